"""API Gateway, REST (v1): read by GET, changed by patch operations."""

from typing import Any, ClassVar

from lib.local.types.core import (
    Aws,
    Change,
    Field,
    RefusedError,
    ResourceError,
    Tagging,
    Type,
    Values,
    canonical,
    f,
    new,
    plain,
    public,
    same,
    scalar,
)

# The emulator keeps the tags of a create call and those of TagResource apart; only the latter can be read and changed.
TAGGING = Tagging("get_tags", "tag_resource", "untag_resource", "resourceArn", "tags", "tagKeys", map=True)


class Patched(Type):
    """A type whose update is a list of patch operations, one for each changed value.

    Lists, and maps whose names hold a slash, are no inputs of these types: the emulator can't patch them.
    """

    service = "apigateway"

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        if self.tagging and inputs.get("tags"):
            self.retag(aws, {**inputs, "id": resource_id}, {}, inputs["tags"])

    def update(self, aws: Aws, change: Change) -> None:
        operations = [
            operation
            for key in sorted(change.changed - {"tags"})
            if self.fields[key].api
            for operation in patches(
                f"/{self.fields[key].api}", change.olds.get(key), change.news.get(key), self.fields[key]
            )
        ]
        if operations:
            self.call(aws, self.update_call, patchOperations=operations, **self.named(aws, change.known))

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        # What a patch wrote, the emulator answers as the text it was.
        real = super().translate(aws, operation, found)
        members = aws.model(self.service, self.create_call).input_shape.members
        for key, value in real.items():
            if isinstance(value, str) and (member := members.get(self.fields[key].api)) is not None:
                real[key] = scalar(value, member.type_name)
        if isinstance(endpoint := real.get("endpointConfiguration"), dict) and endpoint.get("types"):
            # A list of one in the API, and one in Pulumi.
            real["endpointConfiguration"] = {**endpoint, "types": endpoint["types"][0]}
        return real


def patches(path: str, old: Any, wanted: Any, field: Field) -> list[dict[str, str]]:
    """The operations that turn the old value at a path into the wanted one."""
    if isinstance(old, dict) or isinstance(wanted, dict):
        old, wanted = old or {}, wanted or {}
        inner = Field()
        return [
            operation
            for key in sorted({*old, *wanted})
            if canonical(inner, old.get(key)) != canonical(inner, wanted.get(key))
            for operation in patches(f"{path}/{pointer(key)}", old.get(key), wanted.get(key), inner)
        ]
    if wanted is None:
        wanted = field.default
    if wanted is None:
        return [{"op": "remove", "path": path}]
    return [{"op": "replace", "path": path, "value": scalar(wanted, "string")}]


def pointer(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


class RestApi(Patched):
    token = "aws:apigateway/restApi:RestApi"
    inputs = {
        "name": f("name"),
        "description": f("description", default=""),
        "apiKeySource": f("apiKeySource", default="HEADER"),
        "minimumCompressionSize": f("minimumCompressionSize", default=""),
        "disableExecuteApiEndpoint": f("disableExecuteApiEndpoint", default=False),
        "endpointConfiguration": f("endpointConfiguration"),
        "policy": f("policy", json=True, default=""),
        "tags": f("tags", at="nothing"),
    }
    outputs = {
        "arn": "arn:{partition}:apigateway:{region}::/restapis/{id}",
        "executionArn": "arn:{partition}:execute-api:{region}:{account}:{id}",
        "rootResourceId": "rootResourceId",
        "createdDate": "createdDate",
        "securityPolicy": "securityPolicy",
    }
    empty = {
        "apiKeySource": "HEADER",
        "binaryMediaTypes": [],
        "description": "",
        "disableExecuteApiEndpoint": False,
        "minimumCompressionSize": "",
        "policy": "",
        "securityPolicy": "",
    }
    identity = "{out[id]}"
    name = "name"
    key = {"restApiId": "{id}"}
    create_call = "create_rest_api"
    read_call = "get_rest_api"
    update_call = "update_rest_api"
    delete_call = "delete_rest_api"
    tagging = TAGGING
    tag_target = outputs["arn"]

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        if not real.get("rootResourceId"):
            resources = self.call(aws, "get_resources", restApiId=known["id"])["items"]
            real["rootResourceId"] = next(resource["id"] for resource in resources if resource["path"] == "/")
        return real

    def update(self, aws: Aws, change: Change) -> None:
        super().update(aws, change.without("endpointConfiguration"))
        if "endpointConfiguration" in change.changed:
            before, after = (
                endpoint_type(values.get("endpointConfiguration")) for values in (change.olds, change.news)
            )
            operation = {"op": "replace", "path": f"/endpointConfiguration/types/{before}", "value": after}
            self.call(aws, self.update_call, restApiId=change.known["id"], patchOperations=[operation])


def endpoint_type(configuration: Values | None) -> str:
    types = (configuration or {}).get("types", "EDGE")
    return str(types[0] if isinstance(types, list) else types)


class Resource(Patched):
    token = "aws:apigateway/resource:Resource"
    inputs = {"restApi": new("restApiId"), "parentId": f("parentId"), "pathPart": f("pathPart")}
    outputs = {"path": "path"}
    identity = "{out[id]}"
    key = {"restApiId": "{restApi}", "resourceId": "{id}"}
    create_call = "create_resource"
    read_call = "get_resource"
    update_call = "update_resource"
    delete_call = "delete_resource"
    moving = frozenset({"path"})


class Method(Patched):
    token = "aws:apigateway/method:Method"
    inputs = {
        "restApi": new("restApiId"),
        "resourceId": new("resourceId"),
        "httpMethod": new("httpMethod"),
        "authorization": f("authorizationType"),
        "authorizerId": f("authorizerId"),
        "apiKeyRequired": f("apiKeyRequired", default=False),
        **same("operationName requestParameters requestValidatorId"),
    }
    identity = "agm-{restApi}-{resourceId}-{httpMethod}"
    key = {"restApiId": "{restApi}", "resourceId": "{resourceId}", "httpMethod": "{httpMethod}"}
    create_call = "put_method"
    read_call = "get_method"
    update_call = "update_method"
    delete_call = "delete_method"

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        real = super().translate(aws, operation, found)
        return (
            real | {"requestParameters": booleans(real["requestParameters"])} if "requestParameters" in real else real
        )


class MethodResponse(Patched):
    token = "aws:apigateway/methodResponse:MethodResponse"
    inputs = {
        "restApi": new("restApiId"),
        "resourceId": new("resourceId"),
        "httpMethod": new("httpMethod"),
        "statusCode": new("statusCode"),
        **same("responseModels responseParameters"),
    }
    identity = "agmr-{restApi}-{resourceId}-{httpMethod}-{statusCode}"
    key = {**Method.key, "statusCode": "{statusCode}"}
    create_call = "put_method_response"
    read_call = "get_method_response"
    update_call = "update_method_response"
    delete_call = "delete_method_response"


class Integration(Type):
    """PutIntegration overwrites what is there, as the real provider does."""

    service = "apigateway"
    token = "aws:apigateway/integration:Integration"
    inputs = {
        "restApi": new("restApiId"),
        "resourceId": new("resourceId"),
        "httpMethod": new("httpMethod", at="nothing"),  # the answer's httpMethod is the one of the backend
        "type": new("type"),
        "integrationHttpMethod": new("integrationHttpMethod", at="httpMethod"),
        "uri": f("uri"),
        "credentials": new("credentials"),
        "connectionType": f("connectionType", default="INTERNET"),
        "connectionId": f("connectionId"),
        "passthroughBehavior": new("passthroughBehavior", default="WHEN_NO_MATCH"),
        "timeoutMilliseconds": f("timeoutInMillis", default=29000),
        "contentHandling": f("contentHandling"),
        "cacheKeyParameters": f("cacheKeyParameters", unordered=True),
        "cacheNamespace": f("cacheNamespace"),
        "requestParameters": f("requestParameters"),
        "requestTemplates": f("requestTemplates"),
    }
    outputs = {"responseTransferMode": "responseTransferMode"}
    empty = {"cacheNamespace": "", "passthroughBehavior": "WHEN_NO_MATCH", "responseTransferMode": "BUFFERED"}
    identity = "agi-{restApi}-{resourceId}-{httpMethod}"
    key = Method.key
    create_call = update_call = "put_integration"
    read_call = "get_integration"
    delete_call = "delete_integration"


class IntegrationResponse(Type):
    token = "aws:apigateway/integrationResponse:IntegrationResponse"
    service = "apigateway"
    inputs = {
        **MethodResponse.inputs,
        **same("selectionPattern responseParameters responseTemplates contentHandling"),
    }
    inputs = {key: field for key, field in inputs.items() if key != "responseModels"}
    identity = "agir-{restApi}-{resourceId}-{httpMethod}-{statusCode}"
    key = MethodResponse.key
    create_call = update_call = "put_integration_response"
    read_call = "get_integration_response"
    delete_call = "delete_integration_response"


class Response(Type):
    """A gateway response is always there; this one overwrites AWS's."""

    token = "aws:apigateway/response:Response"
    service = "apigateway"
    inputs = {
        "restApiId": new("restApiId"),
        "responseType": new("responseType"),
        **same("statusCode responseParameters responseTemplates"),
    }
    identity = "aggr-{restApiId}-{responseType}"
    key = {"restApiId": "{restApiId}", "responseType": "{responseType}"}
    create_call = update_call = "put_gateway_response"
    read_call = "get_gateway_response"
    delete_call = "delete_gateway_response"

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        default = self.call(aws, self.read_call, **self.named(aws, known)).get("defaultResponse")
        return None if default else real


class Deployment(Patched):
    """A snapshot of the API: whatever is in `triggers` decides when a new one is taken."""

    token = "aws:apigateway/deployment:Deployment"
    inputs = {
        "restApi": new("restApiId"),
        "description": f("description", default=""),
        "variables": new("variables"),
        "triggers": new(),
    }
    outputs = {"createdDate": "createdDate"}
    identity = "{out[id]}"
    key = {"restApiId": "{restApi}", "deploymentId": "{id}"}
    create_call = "create_deployment"
    read_call = "get_deployment"
    update_call = "update_deployment"
    delete_call = "delete_deployment"


class Stage(Patched):
    token = "aws:apigateway/stage:Stage"
    inputs = {
        "restApi": new("restApiId"),
        "stageName": new("stageName"),
        "deployment": f("deploymentId"),
        "description": f("description", default=""),
        **same("cacheClusterSize documentationVersion canarySettings"),
        "variables": f("variables"),
        "cacheClusterEnabled": f("cacheClusterEnabled", default=False),
        "xrayTracingEnabled": f("tracingEnabled", default=False),
        "accessLogSettings": f("accessLogSettings"),
        "clientCertificateId": f("clientCertificateId"),
        "tags": f("tags", at="nothing"),
    }
    outputs = {
        "arn": "arn:{partition}:apigateway:{region}::/restapis/{restApi}/stages/{stageName}",
        "executionArn": "arn:{partition}:execute-api:{region}:{account}:{restApi}/{stageName}",
        "invokeUrl": "https://{restApi}.execute-api.{region}.amazonaws.com/{stageName}",
        "webAclArn": "webAclArn",
    }
    empty = {"webAclArn": ""}
    identity = "ags-{restApi}-{stageName}"
    key = {"restApiId": "{restApi}", "stageName": "{stageName}"}
    create_call = "create_stage"
    read_call = "get_stage"
    update_call = "update_stage"
    delete_call = "delete_stage"
    tagging = TAGGING
    tag_target = outputs["arn"]

    def check(self, aws: Aws, name: str, news: Values, olds: Values) -> Values:
        inputs = super().check(aws, name, news, olds)
        settings = inputs.get("accessLogSettings")
        if isinstance(settings, dict) and (unknown := set(settings) - {"destinationArn", "format"}):
            raise ResourceError(f"{self.token} has no input accessLogSettings.{unknown.pop()}")
        return inputs

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        super().created(aws, resource_id, inputs)
        # CreateStage takes neither; the real provider patches them afterwards as well.
        later = frozenset(public(inputs)) & {"accessLogSettings", "clientCertificateId"}
        if later:
            self.update(aws, Change({**inputs, "id": resource_id}, {}, inputs, later))

    def update(self, aws: Aws, change: Change) -> None:
        if "accessLogSettings" in change.changed and not change.news.get("accessLogSettings"):
            operation = {"op": "remove", "path": "/accessLogSettings"}
            self.call(aws, self.update_call, patchOperations=[operation], **self.named(aws, change.known))
            change = change.without("accessLogSettings")
        super().update(aws, change)


class MethodSettings(Type):
    """Settings of a stage for some of its methods: a part of the stage in the API, with patch paths of its own."""

    token = "aws:apigateway/methodSettings:MethodSettings"
    service = "apigateway"
    inputs = {
        "restApi": new("restApiId"),
        "stageName": new("stageName"),
        "methodPath": new(),
        "settings": f(),
    }
    identity = "{restApi}-{stageName}-{methodPath}"
    key = Stage.key
    create_call = "update_stage"
    read_call = "get_stage"
    paths: ClassVar[dict[str, tuple[str, str]]] = {
        "metricsEnabled": ("metrics/enabled", "metricsEnabled"),
        "loggingLevel": ("logging/loglevel", "loggingLevel"),
        "dataTraceEnabled": ("logging/dataTrace", "dataTraceEnabled"),
        "throttlingBurstLimit": ("throttling/burstLimit", "throttlingBurstLimit"),
        "throttlingRateLimit": ("throttling/rateLimit", "throttlingRateLimit"),
        "cachingEnabled": ("caching/enabled", "cachingEnabled"),
        "cacheTtlInSeconds": ("caching/ttlInSeconds", "cacheTtlInSeconds"),
        "cacheDataEncrypted": ("caching/dataEncrypted", "cacheDataEncrypted"),
        "requireAuthorizationForCacheControl": (
            "caching/requireAuthorizationForCacheControl",
            "requireAuthorizationForCacheControl",
        ),
        "unauthorizedCacheControlHeaderStrategy": (
            "caching/unauthorizedCacheControlHeaderStrategy",
            "unauthorizedCacheControlHeaderStrategy",
        ),
    }

    def check(self, aws: Aws, name: str, news: Values, olds: Values) -> Values:
        inputs = super().check(aws, name, news, olds)
        settings = inputs.get("settings")
        if isinstance(settings, dict) and (unknown := set(settings) - {*self.paths, "__defaults"}):
            raise ResourceError(f"{self.token} has no input settings.{unknown.pop()}")
        return inputs

    def create(self, aws: Aws, inputs: Values) -> str:
        self._apply(aws, inputs, {}, inputs["settings"])
        return self.identity.format_map(inputs)

    def read(self, aws: Aws, known: Values) -> Values | None:
        stage = self.call(aws, self.read_call, **self.named(aws, known))
        found = stage.get("methodSettings", {}).get(known["methodPath"])
        if found is None:
            return None
        shape = aws.model(self.service, self.read_call).output_shape.members["methodSettings"].value
        settings = {
            key: scalar(found[api], shape.members[api].type_name)
            for key, (_, api) in self.paths.items()
            if found.get(api) is not None
        }
        return {**{key: known[key] for key in ("restApi", "stageName", "methodPath")}, "settings": settings}

    def update(self, aws: Aws, change: Change) -> None:
        self._apply(aws, change.known, change.olds["settings"], change.news["settings"])

    def delete(self, aws: Aws, known: Values) -> None:
        operation = {"op": "remove", "path": f"/{setting_path(known['methodPath'])}"}
        try:
            self.call(aws, self.create_call, patchOperations=[operation], **self.named(aws, known))
        except RefusedError as error:
            if "no method setting" not in str(error):
                raise

    def _apply(self, aws: Aws, known: Values, olds: Values, news: Values) -> None:
        prefix = f"/{setting_path(known['methodPath'])}"
        defaults = {"throttlingBurstLimit": -1, "throttlingRateLimit": -1, "loggingLevel": "OFF"}
        operations = [
            {"op": "replace", "path": f"{prefix}/{path}", "value": scalar(value, "string")}
            for key, (path, _) in self.paths.items()
            if key in olds or key in news
            for value in [news.get(key, defaults.get(key, False))]
        ]
        self.call(aws, self.create_call, patchOperations=operations, **self.named(aws, known))


def setting_path(path: str) -> str:
    """`items/{ItemId}/GET` as a patch path: the resource's slashes escaped, the one before the method not."""
    resource, _, method = path.rpartition("/")
    return f"{pointer(resource)}/{method}"


class Account(Patched):
    """The one account of a region: never created, never deleted."""

    token = "aws:apigateway/account:Account"
    inputs = {"cloudwatchRoleArn": f("cloudwatchRoleArn", default="")}
    outputs = {"apiKeyVersion": "apiKeyVersion", "features": "features", "throttleSettings": "throttleSettings"}
    empty = {"cloudwatchRoleArn": "", "apiKeyVersion": "", "features": []}
    identity = "api-gateway-account"
    create_call = "update_account"
    update_call = "update_account"
    read_call = "get_account"

    def create(self, aws: Aws, inputs: Values) -> str:
        self.update(aws, Change(inputs, {}, inputs, frozenset(inputs) & {"cloudwatchRoleArn"}))
        return self.identity

    def delete(self, aws: Aws, known: Values) -> None:
        self.update(aws, Change(known, known, {}, frozenset({"cloudwatchRoleArn"})))

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        del aws, operation
        throttle = found.get("throttleSettings") or {}
        return {
            "cloudwatchRoleArn": found.get("cloudwatchRoleArn"),
            "throttleSettings": [throttle] if throttle else [],
        }

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known) or {}
        throttle = real.get("throttleSettings") or []
        return {**real, "throttleSettings": throttle if isinstance(throttle, list) else [throttle]}


class Authorizer(Patched):
    token = "aws:apigateway/authorizer:Authorizer"
    inputs = {
        "restApi": new("restApiId"),
        "name": f("name"),
        "type": f("type", default="TOKEN"),
        "identitySource": f("identitySource", default="method.request.header.Authorization"),
        "authorizerResultTtlInSeconds": f("authorizerResultTtlInSeconds", default=300),
        **same("authorizerUri authorizerCredentials"),
        "providerArns": new("providerARNs", unordered=True),
        "identityValidationExpression": f("identityValidationExpression"),
    }
    outputs = {"arn": "arn:{partition}:apigateway:{region}::/restapis/{restApi}/authorizers/{id}"}
    identity = "{out[id]}"
    name = "name"
    key = {"restApiId": "{restApi}", "authorizerId": "{id}"}
    create_call = "create_authorizer"
    read_call = "get_authorizer"
    update_call = "update_authorizer"
    delete_call = "delete_authorizer"

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        defaults = {"type": "TOKEN", "identitySource": "method.request.header.Authorization"}
        return super().request(aws, operation, {**defaults, **inputs}, only)


class ApiKey(Patched):
    token = "aws:apigateway/apiKey:ApiKey"
    inputs = {
        "name": new("name"),
        "description": f("description", default="Managed by Pulumi"),
        "enabled": f("enabled", default=True),
        "customerId": f("customerId", default=""),
        "value": new("value"),
        "tags": f("tags", at="nothing"),
    }
    outputs = {
        "arn": "arn:{partition}:apigateway:{region}::/apikeys/{id}",
        "createdDate": "createdDate",
        "lastUpdatedDate": "lastUpdatedDate",
    }
    identity = "{out[id]}"
    name = "name"
    key = {"apiKey": "{id}"}
    create_call = "create_api_key"
    read_call = "get_api_key"
    update_call = "update_api_key"
    delete_call = "delete_api_key"
    tagging = TAGGING
    tag_target = outputs["arn"]

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        defaults = {"description": "Managed by Pulumi", "enabled": True}
        return super().request(aws, operation, {**defaults, **inputs}, only)

    def read(self, aws: Aws, known: Values) -> Values | None:
        found = self.call(aws, self.read_call, apiKey=known["id"], includeValue=True)
        real = self.translate(aws, self.read_call, found)
        arn = f"arn:aws:apigateway:{aws.region}::/apikeys/{known['id']}"
        dates = {key: plain(found[key]) for key in ("createdDate", "lastUpdatedDate")}
        return {**real, **dates, "arn": arn, "tags": self.tags(aws, {**known, "arn": arn})}


class UsagePlan(Patched):
    token = "aws:apigateway/usagePlan:UsagePlan"
    inputs = {
        "name": f("name"),
        "description": f("description", default=""),
        "apiStages": f("apiStages", unordered=True),
        "quotaSettings": f("quota"),
        "throttleSettings": f("throttle"),
        "productCode": f("productCode", default=""),
        "tags": f("tags", at="nothing"),
    }
    outputs = {"arn": "arn:{partition}:apigateway:{region}::/usageplans/{id}"}
    identity = "{out[id]}"
    name = "name"
    key = {"usagePlanId": "{id}"}
    create_call = "create_usage_plan"
    read_call = "get_usage_plan"
    update_call = "update_usage_plan"
    delete_call = "delete_usage_plan"
    tagging = TAGGING
    tag_target = outputs["arn"]

    def update(self, aws: Aws, change: Change) -> None:
        super().update(aws, change.without("apiStages"))
        if "apiStages" in change.changed:
            before, after = (
                {f"{stage['apiId']}:{stage['stage']}" for stage in values.get("apiStages") or []}
                for values in (change.olds, change.news)
            )
            self._stages(aws, change.known["id"], dict.fromkeys(before - after, "remove"))
            self._stages(aws, change.known["id"], dict.fromkeys(after - before, "add"))

    def delete(self, aws: Aws, known: Values) -> None:
        # AWS keeps a plan that still covers a stage.
        stages = known.get("apiStages") or []
        self._stages(aws, known["id"], {f"{stage['apiId']}:{stage['stage']}": "remove" for stage in stages})
        super().delete(aws, known)

    def _stages(self, aws: Aws, plan: str, changes: dict[str, str]) -> None:
        if changes:
            operations = [{"op": op, "path": "/apiStages", "value": stage} for stage, op in sorted(changes.items())]
            self.call(aws, self.update_call, usagePlanId=plan, patchOperations=operations)


class UsagePlanKey(Type):
    token = "aws:apigateway/usagePlanKey:UsagePlanKey"
    service = "apigateway"
    inputs = {
        "keyId": new("keyId", at="id"),
        "keyType": new("keyType", at="type"),
        "usagePlanId": new("usagePlanId"),
    }
    outputs = {"name": "name", "value": "value"}
    identity = "{out[id]}"
    key = {"usagePlanId": "{usagePlanId}", "keyId": "{keyId}"}
    create_call = "create_usage_plan_key"
    read_call = "get_usage_plan_key"
    delete_call = "delete_usage_plan_key"


class DomainName(Patched):
    token = "aws:apigateway/domainName:DomainName"
    inputs = {
        "domainName": new("domainName"),
        **same("certificateArn certificateName regionalCertificateArn regionalCertificateName securityPolicy"),
        **same("endpointConfiguration mutualTlsAuthentication ownershipVerificationCertificateArn"),
        "tags": f("tags", at="nothing"),
    }
    outputs = {
        "arn": "arn:{partition}:apigateway:{region}::/domainnames/{domainName}",
        "certificateUploadDate": "certificateUploadDate",
        "cloudfrontDomainName": "distributionDomainName",
        "cloudfrontZoneId": "distributionHostedZoneId",
        "domainNameId": "domainNameId",
        "regionalDomainName": "regionalDomainName",
        "regionalZoneId": "regionalHostedZoneId",
        "routingMode": "routingMode",
    }
    empty = {
        "certificateUploadDate": "",
        "cloudfrontDomainName": "",
        "cloudfrontZoneId": "Z2FDTNDATAQYW2",
        "domainNameId": "",
        "ownershipVerificationCertificateArn": "",
        "regionalDomainName": "",
        "regionalZoneId": "",
        "routingMode": "BASE_PATH_MAPPING_ONLY",
        "securityPolicy": "TLS_1_2",
    }
    identity = "{domainName}"
    key = {"domainName": "{id}"}
    create_call = "create_domain_name"
    read_call = "get_domain_name"
    update_call = "update_domain_name"
    delete_call = "delete_domain_name"
    tagging = TAGGING
    tag_target = outputs["arn"]


class BasePathMapping(Patched):
    token = "aws:apigateway/basePathMapping:BasePathMapping"
    inputs = {
        "domainName": new("domainName"),
        "restApi": f("restApiId"),
        "stageName": f("stage"),
        "basePath": f("basePath"),
    }
    create_call = "create_base_path_mapping"
    read_call = "get_base_path_mapping"
    update_call = "update_base_path_mapping"
    delete_call = "delete_base_path_mapping"
    delete_first = True

    def create(self, aws: Aws, inputs: Values) -> str:
        self.call(aws, self.create_call, **self.request(aws, self.create_call, inputs))
        return f"{inputs['domainName']}/{inputs.get('basePath', '')}"

    def named(self, aws: Aws, known: Values) -> Values:  # noqa: ARG002
        domain, _, path = known["id"].partition("/")
        return {"domainName": domain, "basePath": path or "(none)"}

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        real = super().translate(aws, operation, found)
        return {key: value for key, value in real.items() if (key, value) != ("basePath", "(none)")}


def booleans(values: Values) -> Values:
    """A map of flags, of which a patch may have left the text."""
    return {key: scalar(value, "boolean") for key, value in values.items()}
