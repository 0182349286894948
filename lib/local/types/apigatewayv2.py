"""API Gateway, HTTP (v2)."""

from lib.local.types.core import Aws, Change, Tagging, Type, Values, f, new, pascal, settled

TAGGING = Tagging("get_tags", "tag_resource", "untag_resource", "ResourceArn", map=True)


class Api(Type):
    token = "aws:apigatewayv2/api:Api"
    service = "apigatewayv2"
    inputs = {
        "name": f("Name"),
        "protocolType": new("ProtocolType"),
        "description": f("Description", default=""),
        "corsConfiguration": f("CorsConfiguration"),
        "disableExecuteApiEndpoint": f("DisableExecuteApiEndpoint", default=False),
        "routeSelectionExpression": f("RouteSelectionExpression", default="$request.method $request.path"),
        "apiKeySelectionExpression": f("ApiKeySelectionExpression", default="$request.header.x-api-key"),
        "ipAddressType": f("IpAddressType", default="ipv4"),
        "version": f("Version", default=""),
        "tags": f("Tags", at="nothing"),
    }
    outputs = {
        "arn": "arn:{partition}:apigateway:{region}::/apis/{id}",
        "executionArn": "arn:{partition}:execute-api:{region}:{account}:{id}",
        "apiEndpoint": "https://{id}.execute-api.{region}.amazonaws.com",
    }
    empty = {"ipAddressType": "ipv4"}
    identity = "{out[ApiId]}"
    name = "name"
    key = {"ApiId": "{id}"}
    create_call = "create_api"
    read_call = "get_api"
    update_call = "update_api"
    delete_call = "delete_api"
    tagging = TAGGING

    def update(self, aws: Aws, change: Change) -> None:
        if "corsConfiguration" in change.changed and not change.news.get("corsConfiguration"):
            self.call(aws, "delete_cors_configuration", **self.named(aws, change.known))
        super().update(aws, change)


class Integration(Type):
    token = "aws:apigatewayv2/integration:Integration"
    service = "apigatewayv2"
    inputs = {
        "apiId": new("ApiId"),
        "integrationType": new("IntegrationType"),
        **pascal("integrationUri integrationMethod credentialsArn connectionId requestParameters requestTemplates"),
        **pascal("contentHandlingStrategy templateSelectionExpression"),
        "integrationSubtype": new("IntegrationSubtype"),
        "connectionType": f("ConnectionType", default="INTERNET"),
        "description": f("Description", default=""),
        "passthroughBehavior": f("PassthroughBehavior", default="WHEN_NO_MATCH"),
        "payloadFormatVersion": f("PayloadFormatVersion", default="1.0"),
        "timeoutMilliseconds": f("TimeoutInMillis", default=30000),
    }
    outputs = {"integrationResponseSelectionExpression": "IntegrationResponseSelectionExpression"}
    empty = {"integrationResponseSelectionExpression": "", "timeoutMilliseconds": 30000}
    identity = "{out[IntegrationId]}"
    key = {"ApiId": "{apiId}", "IntegrationId": "{id}"}
    create_call = "create_integration"
    read_call = "get_integration"
    update_call = "update_integration"
    delete_call = "delete_integration"


class Route(Type):
    token = "aws:apigatewayv2/route:Route"
    service = "apigatewayv2"
    inputs = {
        "apiId": new("ApiId"),
        **pascal("routeKey authorizerId operationName target modelSelectionExpression requestModels"),
        "apiKeyRequired": f("ApiKeyRequired", default=False),
        "authorizationType": f("AuthorizationType", default="NONE"),
        "authorizationScopes": f("AuthorizationScopes", unordered=True),
    }
    identity = "{out[RouteId]}"
    key = {"ApiId": "{apiId}", "RouteId": "{id}"}
    create_call = "create_route"
    read_call = "get_route"
    update_call = "update_route"
    delete_call = "delete_route"


class Stage(Type):
    token = "aws:apigatewayv2/stage:Stage"
    service = "apigatewayv2"
    inputs = {
        "apiId": new("ApiId"),
        "name": new("StageName"),
        "autoDeploy": f("AutoDeploy", default=False),
        "description": f("Description", default=""),
        "deploymentId": f("DeploymentId"),
        "accessLogSettings": f("AccessLogSettings"),
        "clientCertificateId": f("ClientCertificateId"),
        "defaultRouteSettings": f("DefaultRouteSettings"),
        "routeSettings": f(unordered=True),
        "stageVariables": f("StageVariables"),
        "tags": f("Tags", at="nothing"),
    }
    outputs = {
        "arn": "arn:{partition}:apigateway:{region}::/apis/{apiId}/stages/{name}",
        "executionArn": "arn:{partition}:execute-api:{region}:{account}:{apiId}/{name}",
        "invokeUrl": "nothing",
    }
    empty = {"deploymentId": ""}
    identity = "{name}"
    name = "name"
    key = {"ApiId": "{apiId}", "StageName": "{name}"}
    create_call = "create_stage"
    read_call = "get_stage"
    update_call = "update_stage"
    delete_call = "delete_stage"
    tagging = TAGGING

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        inputs = settled(inputs)
        if inputs.get("routeSettings"):
            shape = aws.model(self.service, operation).input_shape.members["RouteSettings"].value
            params["RouteSettings"] = {
                settings["routeKey"]: self._to_api(
                    {key: value for key, value in settings.items() if key != "routeKey"}, shape, "routeSettings"
                )
                for settings in inputs["routeSettings"]
            }
        return params

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        found = self.call(aws, self.read_call, **self.named(aws, known))
        path = "/" if known["name"] == "$default" else f"/{known['name']}"
        settings = found.get("RouteSettings") or {}
        return {
            **real,
            "invokeUrl": f"https://{known['apiId']}.execute-api.{aws.region}.amazonaws.com{path}",
            "routeSettings": [{"routeKey": route, **self._from_api(each, None)} for route, each in settings.items()],
        }


class Authorizer(Type):
    token = "aws:apigatewayv2/authorizer:Authorizer"
    service = "apigatewayv2"
    inputs = {
        "apiId": new("ApiId"),
        **pascal("authorizerType authorizerUri authorizerCredentialsArn name authorizerPayloadFormatVersion"),
        "authorizerResultTtlInSeconds": f("AuthorizerResultTtlInSeconds"),
        "enableSimpleResponses": f("EnableSimpleResponses"),
        "identitySources": f("IdentitySource", unordered=True),
        "jwtConfiguration": f("JwtConfiguration"),
    }
    identity = "{out[AuthorizerId]}"
    name = "name"
    key = {"ApiId": "{apiId}", "AuthorizerId": "{id}"}
    create_call = "create_authorizer"
    read_call = "get_authorizer"
    update_call = "update_authorizer"
    delete_call = "delete_authorizer"
    rename = {"audiences": "Audience"}
