"""The local gateway against API Gateway's documented behaviour, with a function that echoes its event."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lib.local.emulator import ACCESS_KEY, ACCOUNT_ID, SECRET_KEY
from lib.local.gateway import Api, Exchange, Functions, Listener, Throttle
from lib.local.http_api import HttpApi
from lib.local.rest_api import RestApi
from lib.local.types.core import Aws

pytestmark = pytest.mark.local


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """One API behind a listener of its own."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.exchanges: list[Exchange] = []
        self.listener = Listener(api, 0, self.exchanges.append)

    def send(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.listener.port, timeout=60)
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ask(self, result: Any, path: str = "/prod/items", headers: dict[str, str] | None = None) -> Answer:
        """Have the function return `result`."""
        return self.send("POST", path, json.dumps({"answer": result}), headers)


def lambda_uri(arn: str) -> str:
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"


class Rest:
    """Builds a REST API call by call, as the deploy does."""

    def __init__(self, aws: Aws, **settings: Any) -> None:
        self.client = aws.client("apigateway")
        self.id = self.client.create_rest_api(name=f"api-{uuid.uuid4().hex[:6]}", **settings)["id"]
        self.paths = {"/": self.client.get_resources(restApiId=self.id)["items"][0]["id"]}

    def path(self, path: str) -> str:
        if path not in self.paths:
            parent, _, part = path.rpartition("/")
            made = self.client.create_resource(restApiId=self.id, parentId=self.path(parent or "/"), pathPart=part)
            self.paths[path] = made["id"]
        found: str = self.paths[path]
        return found

    def method(self, method: str, path: str, function: str, **settings: Any) -> None:
        where = {"restApiId": self.id, "resourceId": self.path(path), "httpMethod": method}
        self.client.put_method(**where, **{"authorizationType": "NONE", **settings})
        self.client.put_integration(
            **where, type="AWS_PROXY", integrationHttpMethod="POST", uri=lambda_uri(function), timeoutInMillis=29_000
        )

    def deploy(self) -> None:
        self.client.create_deployment(restApiId=self.id, stageName="prod")

    def limit(self, rate: float, burst: int) -> None:
        settings = {"throttling/rateLimit": str(rate), "throttling/burstLimit": str(burst)}
        operations = [{"op": "replace", "path": f"/*/*/{key}", "value": value} for key, value in settings.items()]
        self.client.update_stage(restApiId=self.id, stageName="prod", patchOperations=operations)


@pytest.fixture
def serve(aws: Aws) -> Iterator[Callable[[Any], Served]]:
    open_listeners = []

    def start(api: Any) -> Served:
        kind = RestApi if isinstance(api, Rest) else HttpApi
        served = Served(kind(aws, Functions(aws), api.id))
        open_listeners.append(served.listener)
        return served

    yield start
    for listener in open_listeners:
        listener.close()


@pytest.fixture
def rest(aws: Aws, echo: str) -> Rest:
    api = Rest(aws)
    api.method("GET", "/items", echo)
    api.method("POST", "/items", echo)
    api.method("GET", "/items/{ItemId}", echo)
    api.method("GET", "/items/{ItemId}/{CreatedAt}", echo)
    api.deploy()
    return api


class TestRestEvents:
    def test_path_parameters_reach_the_function_as_the_client_encoded_them(self, rest: Rest, serve: Any) -> None:
        event = serve(rest).send("GET", "/prod/items/a%2Fb%20%C3%A9+c/2026-01-01T00%3A00%3A00Z").json
        assert event["pathParameters"] == {"ItemId": "a%2Fb%20%C3%A9+c", "CreatedAt": "2026-01-01T00%3A00%3A00Z"}
        assert event["resource"] == "/items/{ItemId}/{CreatedAt}"
        assert event["path"] == "/items/a%2Fb%20%C3%A9+c/2026-01-01T00%3A00%3A00Z"
        assert event["requestContext"]["path"] == "/prod" + event["path"], "Location is built from this one"

    def test_queries_are_decoded_and_keep_every_value(self, rest: Rest, serve: Any) -> None:
        event = serve(rest).send("GET", "/prod/items?a=1&a=2%263&b=&c=x+y").json
        assert event["queryStringParameters"] == {"a": "2&3", "b": "", "c": "x y"}
        assert event["multiValueQueryStringParameters"] == {"a": ["1", "2&3"], "b": [""], "c": ["x y"]}

    def test_what_is_absent_is_null(self, rest: Rest, serve: Any) -> None:
        event = serve(rest).send("GET", "/prod/items").json
        for member in ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "body"):
            assert event[member] is None, f"{member} is null on AWS"
        assert event["isBase64Encoded"] is False

    def test_headers_keep_their_spelling_and_repeated_values(self, rest: Rest, serve: Any) -> None:
        served = serve(rest)
        connection = http.client.HTTPConnection("127.0.0.1", served.listener.port, timeout=60)
        connection.putrequest("GET", "/prod/items")
        for name, value in (("X-Twice", "1"), ("X-twice", "2"), ("If-None-Match", '"a"')):
            connection.putheader(name, value)
        connection.endheaders()
        event = json.loads(connection.getresponse().read())
        connection.close()
        assert event["headers"]["X-Twice"] == "2"
        assert event["multiValueHeaders"]["X-Twice"] == ["1", "2"]
        assert event["headers"]["If-None-Match"] == '"a"'

    def test_the_request_context_has_what_a_handler_may_read(self, rest: Rest, serve: Any) -> None:
        answer = serve(rest).send("GET", "/prod/items", headers={"User-Agent": "test/1"})
        context = answer.json["requestContext"]
        assert context["requestId"] == answer.headers["x-amzn-requestid"]
        assert context["accountId"] == ACCOUNT_ID
        assert context["apiId"] == rest.id
        assert context["stage"] == "prod"
        assert context["resourcePath"] == "/items"
        assert context["httpMethod"] == "GET"
        assert context["identity"]["sourceIp"] == "127.0.0.1"
        assert context["identity"]["userAgent"] == "test/1"
        assert context["identity"]["userArn"] is None

    def test_bodies_are_text_unless_their_media_type_is_declared_binary(self, aws: Aws, echo: str, serve: Any) -> None:
        api = Rest(aws, binaryMediaTypes=["image/*"])
        api.method("PUT", "/blob", echo)
        api.deploy()
        served = serve(api)
        event = served.send("PUT", "/prod/blob", b"\xff\x00", {"Content-Type": "image/png"}).json
        assert event["isBase64Encoded"] is True
        assert base64.b64decode(event["body"]) == b"\xff\x00"
        event = served.send("PUT", "/prod/blob", '{"a": "é"}', {"Content-Type": "application/json"}).json
        assert (event["isBase64Encoded"], event["body"]) == (False, '{"a": "é"}')

    def test_a_chunked_body_arrives_whole(self, rest: Rest, serve: Any) -> None:
        served = serve(rest)
        connection = http.client.HTTPConnection("127.0.0.1", served.listener.port, timeout=60)
        connection.request("POST", "/prod/items", iter([b'{"a":', b"1}"]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        event = json.loads(connection.getresponse().read())
        connection.close()
        assert event["body"] == '{"a":1}'


class TestRestAnswers:
    def test_status_headers_and_body_are_the_functions(self, rest: Rest, serve: Any) -> None:
        answer = serve(rest).ask(
            {
                "statusCode": 201,
                "headers": {"Location": "/prod/items/1", "ETag": '"1"', "Date": "never", "X-Number": 5},
                "multiValueHeaders": {"X-Many": ["1", "2"]},
                "body": "{}",
            }
        )
        assert answer.status == 201
        assert answer.headers["location"] == "/prod/items/1"
        assert answer.headers["etag"] == '"1"'
        assert answer.headers["x-number"] == "5"
        assert answer.headers["x-amzn-remapped-date"] == "never"
        assert answer.headers["content-type"] == "application/json", "API Gateway's default"
        assert answer.body == b"{}"

    def test_the_length_is_the_bodys_whatever_the_function_says(self, rest: Rest, serve: Any) -> None:
        headers = {"Content-Length": "1", "Transfer-Encoding": "chunked", "X-Lines": "a\r\nX-Evil: 1"}
        answer = serve(rest).ask({"statusCode": 200, "headers": headers, "body": "whole"})
        assert answer.body == b"whole"
        assert "x-evil" not in answer.headers, "a line break in a value must not begin a header"

    def test_no_content_has_none(self, rest: Rest, serve: Any) -> None:
        answer = serve(rest).ask({"statusCode": 204})
        assert (answer.status, answer.body) == (204, b"")
        assert "content-length" not in answer.headers

    @pytest.mark.parametrize(
        "result",
        [None, "text", {"statusCode": "x"}, {"statusCode": 200, "body": {}}, {"statusCode": 200, "oops": 1}, []],
        ids=repr,
    )
    def test_a_malformed_result_is_a_502(self, rest: Rest, serve: Any, result: Any) -> None:
        served = serve(rest)
        answer = served.ask(result)
        assert (answer.status, answer.json) == (502, {"message": "Internal server error"})
        assert "malformed" in served.exchanges[-1].logs[-1], "the developer must see why"

    def test_a_function_that_raises_is_a_502_and_its_trace_is_shown(self, rest: Rest, serve: Any) -> None:
        served = serve(rest)
        assert served.send("POST", "/prod/items", '{"raise": "no way"}').status == 502
        assert any("no way" in line for line in served.exchanges[-1].logs)

    def test_the_functions_own_lines_belong_to_the_request(self, rest: Rest, serve: Any) -> None:
        served = serve(rest)
        served.send("GET", "/prod/items")
        assert [line for line in served.exchanges[-1].logs if line.startswith("echo ")]
        assert served.exchanges[-1].route == "GET /items"

    def test_base64_is_decoded_for_declared_media_types_only(self, aws: Aws, echo: str, serve: Any) -> None:
        api = Rest(aws, binaryMediaTypes=["image/png"])
        api.method("POST", "/items", echo)
        api.deploy()
        served = serve(api)
        result = {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(b"\xff").decode()}
        assert served.ask(result, headers={"Accept": "image/png"}).body == b"\xff"
        assert served.ask(result).body == base64.b64encode(b"\xff"), "AWS sends the text when nothing asked for binary"


class TestRestRouting:
    def test_unknown_paths_and_methods_are_missing_tokens(self, rest: Rest, serve: Any) -> None:
        served = serve(rest)
        for method, path in (("GET", "/prod/nowhere"), ("DELETE", "/prod/items"), ("GET", "/prod/items/1/2/3")):
            answer = served.send(method, path)
            assert (answer.status, answer.json) == (403, {"message": "Missing Authentication Token"})
            assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"

    def test_an_unknown_stage_is_forbidden(self, rest: Rest, serve: Any) -> None:
        for path in ("/items", "/", "/dev/items"):
            answer = serve(rest).send("GET", path)
            assert (answer.status, answer.json) == (403, {"message": "Forbidden"})

    def test_a_literal_path_wins_over_a_parameter_and_that_over_a_greedy_one(
        self, aws: Aws, echo: str, serve: Any
    ) -> None:
        api = Rest(aws)
        for path in ("/a/{id}", "/a/new", "/{rest+}"):
            api.method("ANY", path, echo)
        api.deploy()
        served = serve(api)
        routes = {path: served.send("GET", f"/prod{path}").json["resource"] for path in ("/a/new", "/a/1", "/b/c/d")}
        assert routes == {"/a/new": "/a/new", "/a/1": "/a/{id}", "/b/c/d": "/{rest+}"}
        assert served.send("GET", "/prod/b/c%2Fd").json["pathParameters"] == {"rest": "b/c%2Fd"}

    def test_a_route_is_not_served_before_it_is_deployed(self, rest: Rest, echo: str, serve: Any) -> None:
        served = serve(rest)
        assert served.send("GET", "/prod/items").status == 200
        rest.method("GET", "/late", echo)
        served.api.stale()
        assert served.send("GET", "/prod/late").status == 403, "AWS serves what the last deployment captured"
        rest.deploy()
        served.api.stale()
        assert served.send("GET", "/prod/late").status == 200

    def test_a_function_that_does_not_permit_the_call_is_a_500(
        self, aws: Aws, make_function: Callable[..., str], serve: Any
    ) -> None:
        function = make_function("def handler(event, context): return {'statusCode': 200}")
        api = Rest(aws)
        api.method("GET", "/a", function)
        api.method("GET", "/b", function)
        api.deploy()
        served = serve(api)
        assert served.send("GET", "/prod/a").status == 500, "no policy at all"
        aws.client("lambda").add_permission(
            FunctionName=function,
            StatementId="one",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT_ID}:{api.id}/prod/GET/a",
        )
        assert served.send("GET", "/prod/a").status == 200
        assert served.send("GET", "/prod/b").status == 500, "the policy names another method"


class TestDomains:
    """What a custom domain name maps is served at a listener of its own; the stage's name is no part of its paths."""

    @pytest.fixture
    def domain(self, rest: Rest) -> str:
        name = f"{rest.id}.example.com"
        rest.client.create_domain_name(domainName=name, endpointConfiguration={"types": ["REGIONAL"]})
        return name

    @pytest.fixture
    def at(self, aws: Aws, rest: Rest, domain: str) -> Iterator[Served]:
        served = Served(RestApi(aws, Functions(aws), rest.id, domain))
        yield served
        served.listener.close()

    def test_the_root_leads_to_the_mapped_stage(self, rest: Rest, domain: str, at: Served) -> None:
        assert at.send("GET", "/items").json == {"message": "Forbidden"}, "nothing is mapped yet"
        rest.client.create_base_path_mapping(domainName=domain, restApiId=rest.id, stage="prod")
        at.api.stale()
        event = at.send("GET", "/items/a%20b").json
        assert (event["path"], event["requestContext"]["path"]) == ("/items/a%20b", "/items/a%20b")
        assert (event["requestContext"]["stage"], event["pathParameters"]) == ("prod", {"ItemId": "a%20b"})
        assert event["requestContext"]["domainName"] == domain
        assert at.send("GET", "/prod/items").status == 403

    def test_a_base_path_is_part_of_the_path_and_not_of_the_resource(self, rest: Rest, domain: str, at: Served) -> None:
        rest.client.create_base_path_mapping(domainName=domain, restApiId=rest.id, stage="prod", basePath="v1")
        event = at.send("GET", "/v1/items/a").json
        assert (event["path"], event["resource"]) == ("/v1/items/a", "/items/{ItemId}")
        assert at.send("GET", "/items/a").json == {"message": "Forbidden"}

    def test_an_endpoint_that_is_switched_off_serves_nobody(
        self, rest: Rest, domain: str, at: Served, serve: Any
    ) -> None:
        rest.client.create_base_path_mapping(domainName=domain, restApiId=rest.id, stage="prod")
        own = serve(rest)
        for off, status in (("true", 403), ("false", 200)):
            operation = {"op": "replace", "path": "/disableExecuteApiEndpoint", "value": off}
            rest.client.update_rest_api(restApiId=rest.id, patchOperations=[operation])
            own.api.stale()
            assert own.send("GET", "/prod/items/a").status == status
            assert at.send("GET", "/items/a").status == 200


class TestRestLimits:
    def test_a_burst_is_served_then_429_then_it_recovers(self, rest: Rest, serve: Any) -> None:
        rest.limit(2, 5)
        served = serve(rest)
        statuses = [served.send("GET", "/prod/items").status for _ in range(12)]
        assert statuses[:5] == [200] * 5, "the burst is served whole"
        assert 429 in statuses, "and then the rate counts"
        refused = served.send("GET", "/prod/items")
        while refused.status == 200:
            refused = served.send("GET", "/prod/items")
        assert refused.json == {"message": "Too Many Requests"}

    def test_the_bucket_refills_at_the_rate(self) -> None:
        now = [0.0]
        bucket = Throttle(rate=17, burst=50, clock=lambda: now[0])
        assert [bucket.admit() for _ in range(51)] == [True] * 50 + [False]
        now[0] = 1.0
        assert [bucket.admit() for _ in range(18)] == [True] * 17 + [False]
        now[0] = 100.0
        assert [bucket.admit() for _ in range(51)] == [True] * 50 + [False], "never more than the burst"

    def test_a_body_over_10_mb_is_a_413(self, rest: Rest, serve: Any) -> None:
        answer = serve(rest).send("POST", "/prod/items", b"x" * (10 * 1024 * 1024 + 1))
        assert (answer.status, answer.json) == (413, {"message": "Request Too Long"})

    def test_an_event_over_lambdas_6_mb_is_a_413(self, rest: Rest, serve: Any) -> None:
        assert serve(rest).send("POST", "/prod/items", b" " * (7 * 1024 * 1024)).status == 413

    def test_a_result_over_6_mb_is_a_502(self, rest: Rest, make_function: Any, aws: Aws, serve: Any) -> None:
        function = make_function("def handler(event, context): return {'statusCode': 200, 'body': 'x' * 6_300_000}")
        aws.client("lambda").add_permission(
            FunctionName=function, StatementId="a", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
        )
        rest.method("GET", "/big", function)
        rest.deploy()
        assert serve(rest).send("GET", "/prod/big").status == 502


class TestGatewayResponses:
    @pytest.fixture
    def mapped(self, rest: Rest) -> Rest:
        template = (
            '{"title": $context.error.messageString, "requestId": "$context.requestId", "at": "${context.stage}"}'
        )
        for kind, status in (("MISSING_AUTHENTICATION_TOKEN", "404"), ("THROTTLED", "429"), ("DEFAULT_5XX", "500")):
            rest.client.put_gateway_response(
                restApiId=rest.id,
                responseType=kind,
                statusCode=status,
                responseParameters={
                    "gatewayresponse.header.Access-Control-Allow-Origin": "'*'",
                    "gatewayresponse.header.Content-Type": "'application/problem+json'",
                    "gatewayresponse.header.Retry-After": "'1'",
                    "gatewayresponse.header.X-Origin": "method.request.header.Origin",
                },
                responseTemplates={"application/json": template},
            )
        return rest

    def test_they_count_from_the_next_deployment(self, mapped: Rest, serve: Any) -> None:
        served = serve(mapped)
        mapped.deploy()
        served.api.stale()
        answer = served.send("GET", "/prod/nowhere", headers={"Origin": "https://example.com"})
        assert answer.status == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-origin"] == "https://example.com"
        assert answer.json == {
            "title": "Missing Authentication Token",
            "requestId": answer.headers["x-amzn-requestid"],
            "at": "prod",
        }

    def test_an_error_without_a_response_of_its_own_takes_its_familys(self, mapped: Rest, serve: Any) -> None:
        mapped.client.put_gateway_response(
            restApiId=mapped.id,
            responseType="DEFAULT_4XX",
            responseParameters={"gatewayresponse.header.X-Family": "'4XX'"},
            responseTemplates={"application/json": '{"title": "family"}'},
        )
        mapped.deploy()
        answer = serve(mapped).send("POST", "/prod/items", b"x" * (10 * 1024 * 1024 + 1))
        assert (answer.status, answer.json) == (413, {"title": "family"}), "its own status, the family's shape"
        assert answer.headers["x-family"] == "4XX"

    def test_a_family_gives_its_members_shape_and_status(self, mapped: Rest, serve: Any) -> None:
        mapped.deploy()
        answer = serve(mapped).ask(None)
        assert answer.status == 500, "without the family it would be 502"
        assert answer.headers["content-type"] == "application/problem+json"


def signed(served: Served, path: str, access_key: str, secret: str, body: str = "") -> dict[str, str]:
    request = AWSRequest("POST", f"{served.listener.url}{path}", data=body)
    SigV4Auth(Credentials(access_key, secret), "execute-api", "us-east-1").add_auth(request)
    return dict(request.headers.items())


class TestAuthorization:
    def test_iam_wants_a_good_signature(self, aws: Aws, echo: str, serve: Any) -> None:
        api = Rest(aws)
        api.method("POST", "/", echo, authorizationType="AWS_IAM")
        api.deploy()
        served = serve(api)
        assert served.send("POST", "/prod/", "{}").status == 403
        wrong = signed(served, "/prod/", ACCESS_KEY, "other", "{}")
        assert served.send("POST", "/prod/", "{}", wrong).headers["x-amzn-errortype"] == "InvalidSignatureException"
        stranger = signed(served, "/prod/", "AKIASTRANGER", SECRET_KEY, "{}")
        assert served.send("POST", "/prod/", "{}", stranger).status == 403
        good = signed(served, "/prod/?b=2&a=%20", ACCESS_KEY, SECRET_KEY, "{}")
        answer = served.send("POST", "/prod/?b=2&a=%20", "{}", good)
        assert answer.status == 200, answer.body
        assert answer.json["requestContext"]["identity"]["userArn"] == f"arn:aws:iam::{ACCOUNT_ID}:root"
        assert served.send("POST", "/prod/?b=2&a=%20", '{"more": 1}', good).status == 403, "the body is signed too"

    def test_an_old_signature_is_refused(
        self, aws: Aws, echo: str, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = Rest(aws)
        api.method("POST", "/", echo, authorizationType="AWS_IAM")
        api.deploy()
        served = serve(api)
        old = datetime.now(UTC) - timedelta(minutes=20)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: old)
        headers = signed(served, "/prod/", ACCESS_KEY, SECRET_KEY)
        answer = served.send("POST", "/prod/", "", headers)
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")

    def test_keys_count_when_a_usage_plan_has_the_stage(self, aws: Aws, echo: str, serve: Any) -> None:
        api = Rest(aws)
        api.method("GET", "/items", echo, apiKeyRequired=True)
        api.deploy()
        served = serve(api)
        key = api.client.create_api_key(name=f"key-{api.id}", enabled=True)
        plan = api.client.create_usage_plan(name=f"plan-{api.id}", apiStages=[{"apiId": api.id, "stage": "prod"}])
        header = {"x-api-key": api.client.get_api_key(apiKey=key["id"], includeValue=True)["value"]}
        elsewhere = api.client.create_usage_plan(name=f"other-{api.id}", apiStages=[])["id"]
        api.client.create_usage_plan_key(usagePlanId=elsewhere, keyId=key["id"], keyType="API_KEY")
        assert served.send("GET", "/prod/items").status == 403
        assert served.send("GET", "/prod/items", headers=header).status == 403, "the key's plan is for another stage"
        api.client.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
        assert served.send("GET", "/prod/items", headers=header).status == 200
        assert served.send("GET", "/prod/items", headers={"x-api-key": "guess"}).status == 403

    def test_a_user_pool_wants_a_live_id_token_of_its_own(self, aws: Aws, echo: str, serve: Any) -> None:
        api = Rest(aws)
        arn = f"arn:aws:cognito-idp:us-east-1:{ACCOUNT_ID}:userpool/us-east-1_x"
        mine = {"iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_x", "token_use": "id", "sub": "me"}
        alive = {**mine, "exp": 1 << 33}
        another = {"iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_another"}
        authorizer = api.client.create_authorizer(
            restApiId=api.id, name="pool", type="COGNITO_USER_POOLS", providerARNs=[arn],
            identitySource="method.request.header.Authorization",
        )["id"]  # fmt: skip
        api.method("GET", "/items", echo, authorizationType="COGNITO_USER_POOLS", authorizerId=authorizer)
        api.deploy()
        served = serve(api)

        def token(**claims: Any) -> dict[str, str]:
            parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "x"}, claims)]
            return {"Authorization": ".".join([*parts, "signature"]).replace("=", "")}

        for headers in (
            {},
            {"Authorization": "nonsense"},
            {"Authorization": f"a.{base64.urlsafe_b64encode(b'[]').decode()}.c"},
            token(**mine),
            token(**mine, exp=1),
            token(**mine, exp="tomorrow"),
            token(**{**alive, **another}),
            token(**{**alive, "token_use": "access"}),
        ):
            answer = served.send("GET", "/prod/items", headers=headers)
            assert (answer.status, answer.json) == (401, {"message": "Unauthorized"})
        event = served.send("GET", "/prod/items", headers=token(**alive)).json
        assert event["requestContext"]["authorizer"]["claims"]["sub"] == "me"


class Http:
    """An HTTP API with the given routes on its `$default` stage."""

    def __init__(
        self,
        aws: Aws,
        function: str,
        *routes: str,
        stage: dict[str, Any] | None = None,
        route: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        client = aws.client("apigatewayv2")
        self.id = client.create_api(Name="http", ProtocolType="HTTP", **settings)["ApiId"]
        target = client.create_integration(
            ApiId=self.id, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        for key in routes:
            client.create_route(ApiId=self.id, RouteKey=key, Target=f"integrations/{target}", **route or {})
        client.create_stage(**{"ApiId": self.id, "StageName": "$default", "AutoDeploy": True, **(stage or {})})


class TestHttpApis:
    def test_the_event_is_payload_format_2(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "GET /items/{id}"))
        event = served.send("GET", "/items/a%2Fb%20c+d?x=1&x=2&y=%20", headers={"X-A": "1", "Cookie": "a=1; b=2"}).json
        assert event["version"] == "2.0"
        assert event["routeKey"] == "GET /items/{id}"
        assert event["rawPath"] == "/items/a/b c+d", "HTTP APIs decode paths"
        assert event["pathParameters"] == {"id": "a/b c+d"}
        assert event["rawQueryString"] == "x=1&x=2&y=%20"
        assert event["queryStringParameters"] == {"x": "1,2", "y": " "}
        assert event["cookies"] == ["a=1", "b=2"]
        assert event["headers"]["x-a"] == "1"
        assert event["requestContext"]["http"]["method"] == "GET"
        assert event["requestContext"]["stage"] == "$default"
        assert "body" not in event

    def test_default_takes_what_no_route_has_and_without_it_that_is_404(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "GET /a", "$default"))
        assert served.send("GET", "/a").json["routeKey"] == "GET /a"
        assert served.send("POST", "/a").json["routeKey"] == "$default"
        assert served.send("GET", "/").json["routeKey"] == "$default"
        answer = serve(Http(aws, echo, "GET /a")).send("GET", "/b")
        assert (answer.status, answer.json) == (404, {"message": "Not Found"})

    def test_bodies_of_unknown_media_types_are_base64(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "$default"))
        event = served.send("PUT", "/", b"\xff", {"Content-Type": "application/octet-stream"}).json
        assert (event["isBase64Encoded"], event["body"]) == (True, base64.b64encode(b"\xff").decode())
        event = served.send("PUT", "/", "{}", {"Content-Type": "application/json; charset=utf-8"}).json
        assert (event["isBase64Encoded"], event["body"]) == (False, "{}")

    def test_a_result_without_a_status_is_a_json_body(self, aws: Aws, echo: str, serve: Any) -> None:
        answer = serve(Http(aws, echo, "$default")).ask({"hello": "world"}, "/")
        assert (answer.status, answer.json) == (200, {"hello": "world"})

    def test_base64_results_and_cookies_are_unpacked(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "$default"))
        result = {"statusCode": 200, "isBase64Encoded": True, "body": "/w==", "cookies": ["a=1"]}
        answer = served.ask(result, "/")
        assert (answer.body, answer.headers["set-cookie"]) == (b"\xff", "a=1")
        assert served.ask({"statusCode": 200, "body": []}, "/").status == 500

    def test_the_gateway_answers_preflights_and_owns_the_cors_headers(self, aws: Aws, echo: str, serve: Any) -> None:
        cors = {
            "AllowOrigins": ["*"],
            "AllowMethods": ["*"],
            "AllowHeaders": ["*"],
            "ExposeHeaders": ["*"],
            "MaxAge": 300,
        }
        served = serve(Http(aws, echo, "$default", CorsConfiguration=cors))
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
        preflight = served.send("OPTIONS", "/x", headers=asked)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert preflight.headers["access-control-allow-methods"] == "*"
        assert preflight.headers["access-control-max-age"] == "300"
        assert "access-control-allow-credentials" not in preflight.headers
        assert served.exchanges[-1].function == "", "the function is not asked"
        result = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://other.example"}, "body": ""}
        answer = served.ask(result, "/", {"Origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert served.send("OPTIONS", "/x").json["routeKey"] == "$default", "no preflight without its headers"

    def test_an_origin_that_is_not_listed_gets_no_cors_headers(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "$default", CorsConfiguration={"AllowOrigins": ["https://a.example"]}))
        assert (
            "access-control-allow-origin"
            not in served.send("GET", "/", headers={"Origin": "https://b.example"}).headers
        )
        listed = served.send("GET", "/", headers={"Origin": "https://a.example"})
        assert listed.headers["access-control-allow-origin"] == "https://a.example"

    def test_routes_are_throttled(self, aws: Aws, echo: str, serve: Any) -> None:
        limits = {"ThrottlingRateLimit": 1.0, "ThrottlingBurstLimit": 2}
        served = serve(Http(aws, echo, "$default", stage={"DefaultRouteSettings": limits}))
        statuses = [served.send("GET", "/").status for _ in range(6)]
        assert statuses[:2] == [200, 200]
        assert 429 in statuses

    def test_a_route_may_ask_for_a_signature(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "$default", route={"AuthorizationType": "AWS_IAM"}))
        answer = served.send("POST", "/", "{}")
        assert (answer.status, answer.json) == (403, {"message": "Forbidden"})
        good = served.send("POST", "/", "{}", signed(served, "/", ACCESS_KEY, SECRET_KEY, "{}"))
        assert good.json["requestContext"]["authorizer"]["iam"]["accountId"] == ACCOUNT_ID

    def test_a_stage_serves_nothing_before_its_first_deployment(self, aws: Aws, echo: str, serve: Any) -> None:
        assert serve(Http(aws, echo, "$default", stage={"AutoDeploy": False})).send("GET", "/").status == 404

    def test_a_named_stage_is_part_of_the_path(self, aws: Aws, echo: str, serve: Any) -> None:
        served = serve(Http(aws, echo, "GET /a", stage={"StageName": "v1"}))
        assert served.send("GET", "/v1/a").json["rawPath"] == "/v1/a"
        assert served.send("GET", "/a").status == 404

    def test_a_function_that_does_not_permit_the_call_is_a_500(
        self, aws: Aws, make_function: Callable[..., str], serve: Any
    ) -> None:
        function = make_function("def handler(event, context): return {'statusCode': 200}")
        assert serve(Http(aws, function, "$default")).send("GET", "/").status == 500

    def test_a_body_over_10_mb_is_a_413(self, aws: Aws, echo: str, serve: Any) -> None:
        answer = serve(Http(aws, echo, "$default")).send("POST", "/", b"x" * (10 * 1024 * 1024 + 1))
        assert (answer.status, answer.json) == (413, {"message": "Request Entity Too Large"})


class TestTheServer:
    def test_a_request_that_breaks_off_is_not_served(self, rest: Rest, serve: Any) -> None:
        served = serve(rest)
        with socket.create_connection(("127.0.0.1", served.listener.port)) as client:
            client.sendall(b"POST /prod/items HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{}")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        assert served.exchanges == []

    def test_it_listens_on_this_machine_only(self, rest: Rest, serve: Any) -> None:
        address = serve(rest).listener._server._server.socket.getsockname()
        assert address[0] == "127.0.0.1"

    @pytest.mark.parametrize("length", ["-1", "x"])
    def test_a_bad_length_is_refused(self, rest: Rest, serve: Any, length: str) -> None:
        assert serve(rest).send("POST", "/prod/items", headers={"Content-Length": length}).status == 400

    def test_an_emulator_that_is_gone_is_a_502_that_says_so(self) -> None:
        nowhere = Aws("http://127.0.0.1:9", "us-east-1")
        served = Served(RestApi(nowhere, Functions(nowhere), "x"))
        answer = served.send("GET", "/prod/items")
        served.listener.close()
        assert (answer.status, answer.json["message"]) == (502, "The local AWS is not reachable")
