"""Production's options on the emulator: each is really there, the API answers as it should, nothing stays behind."""

from __future__ import annotations

import json
import shlex
import subprocess
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import jmespath
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lib.components.firewall import MANAGED_RULES
from lib.local.cli import _examples
from lib.local.console import Console
from lib.local.deploy import DeployError, deploy, destroy
from lib.local.emulator import ACCESS_KEY, SECRET_KEY, Emulator
from lib.local.gateway import Functions, Listener
from lib.local.rest_api import RestApi
from lib.local.session import Session, programs
from lib.local.types.core import Aws
from tests import needs
from tests.local.deployed import Answer, Deployed

pytestmark = pytest.mark.local

Option = Callable[..., AbstractContextManager[Deployed]]
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"


def everything(aws: Aws) -> dict[str, list[str]]:
    """The name of everything in the emulator that a deploy of these programs can make."""
    lists = {
        "dynamodb list_tables": "TableNames",
        "lambda list_functions": "Functions[].FunctionName",
        "iam list_roles": "Roles[].RoleName",
        "logs describe_log_groups": "logGroups[].logGroupName",
        "apigateway get_rest_apis": "items[].id",
        "apigateway get_api_keys": "items[].id",
        "apigateway get_usage_plans": "items[].id",
        "apigateway get_domain_names": "items[].domainName",
        "wafv2 list_web_acls": "WebACLs[].Id",
        "sns list_topics": "Topics[].TopicArn",
        "sns list_subscriptions": "Subscriptions[].SubscriptionArn",
        "cloudwatch describe_alarms": "MetricAlarms[].AlarmName",
    }
    found = {}
    for call, where in lists.items():
        service, _, operation = call.partition(" ")
        scope = {"Scope": "REGIONAL"} if service == "wafv2" else {}
        client = aws.client(service)
        pages = (
            client.get_paginator(operation).paginate(**scope)
            if client.can_paginate(operation)
            else [getattr(client, operation)(**scope)]
        )
        found[call] = sorted(name for page in pages for name in jmespath.search(where, page) or [])
    return found


@contextmanager
def served(aws: Aws, api_id: str, domain: str | None = None) -> Iterator[str]:
    """The URL where the local gateway answers for an API, by AWS's own name or by a domain's."""
    listener = Listener(RestApi(aws, Functions(aws), api_id, domain), 0, lambda _: None)
    try:
        yield listener.url
    finally:
        listener.close()


@pytest.fixture
def option(emulator: Emulator, aws: Aws, tmp_path: Path) -> Option:
    """Deploys the four stacks with a configuration for as long as the block lasts.

    Around it: the deploy creates, a second one finds nothing to change, and a destroy leaves what was there before.
    """

    @contextmanager
    def deployed(**config: str) -> Iterator[Deployed]:
        settings = {f"tap:{key}": value for key, value in config.items()}
        stack = f"option-{uuid.uuid4().hex[:6]}"
        before = everything(aws)
        place: dict[str, Any] = {"endpoint": emulator.endpoint, "state_dir": tmp_path, "stack": stack}
        first = deploy(programs(), **place, config=settings)
        assert {result for done in first.values() for result in done.counts} == {"created"}
        outputs = {key: value for done in first.values() for key, value in done.outputs.items()}
        domain = config.get("domainName")
        with served(aws, outputs["api_rest_id"], domain) as url:
            yield Deployed({**outputs, "api_url": url if domain else f"{url}/prod"}, aws.client)
        second = deploy(programs(), **place, config=settings)
        again = {result for done in second.values() for result in done.counts}
        assert again == {"unchanged"}, "an option that changes on every deploy is never deployed"
        if "protect" in config:
            with pytest.raises(DeployError, match="is protected"):
                destroy(programs(), **place)
            deploy(programs(), **place)  # without it
        destroy(programs(), **place)
        assert everything(aws) == before, "a destroy leaves nothing"

    return deployed


def serves(deployed: Deployed, headers: Mapping[str, str] | None = None) -> None:
    """The API does its work: an item is created, found and deleted."""
    item = {"ItemId": deployed.new_id()}
    path = f"/items/{item['ItemId']}"
    made = deployed.send("POST", "/items", item, headers)
    assert made.status == 201, made.body
    assert deployed.send("GET", path, headers=headers).json["items"] == [made.json]
    assert deployed.send("DELETE", path, headers=headers).status == 204


def refuses(deployed: Deployed, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
    """Who may not come in hears why, in the API's own shape; a browser's preflight is answered to everybody."""
    for method, path, body in (("POST", "/items", {}), ("GET", "/items", None), ("DELETE", "/items/a", None)):
        answer = deployed.send(method, path, body, headers)
        assert (answer.status, answer.json["code"]) == (status, code), f"{method} {path}"
        assert answer.headers["access-control-allow-origin"] == "*", "or a browser's program never sees the refusal"
    assert deployed.send("OPTIONS", "/items").status == 204


def test_a_customer_key_is_on_everything_that_is_kept(aws: Aws, option: Option) -> None:
    key = aws.call("kms", "create_key", Description="a customer's")["KeyMetadata"]["Arn"]
    with option(kmsKeyArn=key, accessLogs="true", executionLogs="ERROR") as deployed:
        client, outputs = aws.client, deployed.outputs
        table = client("dynamodb").describe_table(TableName=outputs["dynamodb_table_name"])["Table"]
        assert (table["SSEDescription"]["SSEType"], table["SSEDescription"]["KMSMasterKeyArn"]) == ("KMS", key)
        name = outputs["lambda_function_name"]
        assert client("lambda").get_function_configuration(FunctionName=name)["KMSKeyArn"] == key
        topic = client("sns").get_topic_attributes(TopicArn=outputs["alarm_topic_arn"])["Attributes"]
        assert topic["KmsMasterKeyId"] == key
        groups = client("logs").get_paginator("describe_log_groups").paginate().search("logGroups[]")
        mine = {group["logGroupName"]: group.get("kmsKeyId") for group in groups}
        for group in (
            f"/aws/lambda/{name}",
            f"/aws/apigateway/{deployed.prefix}-items-api",
            f"API-Gateway-Execution-Logs_{outputs['api_rest_id']}/prod",
        ):
            assert mine[group] == key, group
        serves(deployed)


def test_a_boundary_is_the_most_that_the_role_can_do(aws: Aws, option: Option) -> None:
    statement = {"Effect": "Allow", "Action": ["logs:*", "dynamodb:PutItem"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = aws.client("iam")
    policy = iam.create_policy(PolicyName=f"boundary-{uuid.uuid4().hex[:6]}", PolicyDocument=document)["Policy"]["Arn"]
    with option(permissionsBoundaryArn=policy) as deployed:
        role = iam.get_role(RoleName=deployed.outputs["lambda_role_arn"].rpartition("/")[2])["Role"]
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == policy
        assert deployed.send("POST", "/items", {}).status == 201, "what both the policy and the boundary allow"
        answer = deployed.send("GET", "/items")
        assert (answer.status, answer.json["code"]) == (500, "internal-error"), "the boundary does not have Scan"
        wider = {**statement, "Action": ["logs:*", "dynamodb:*"]}
        document = json.dumps({"Version": "2012-10-17", "Statement": [wider]})
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=document, SetAsDefault=True)
        serves(deployed)


def test_a_boundary_that_is_not_there_is_refused(option: Option) -> None:
    with (
        pytest.raises(DeployError, match=r"items-lambda-role .*function.py.*NoSuchEntity"),
        option(permissionsBoundaryArn="arn:aws:iam::123456789012:policy/none"),
    ):
        pass


def test_reserved_concurrency_is_all_there_is(aws: Aws, option: Option) -> None:
    with option(lambdaReservedConcurrency="1") as deployed:
        name = deployed.outputs["lambda_function_name"]
        reserved = aws.client("lambda").get_function_concurrency(FunctionName=name)
        assert reserved["ReservedConcurrentExecutions"] == 1
        serves(deployed)
        found: dict[int, Answer] = {}
        with ThreadPoolExecutor(8) as clients:
            for _ in range(25):  # until two of them meet
                found |= {a.status: a for a in clients.map(lambda _: deployed.send("GET", "/items"), range(16))}
                if len(found) > 1:
                    break
        assert set(found) == {200, 500}, "one at a time is served; API Gateway makes a 500 of Lambda's 429"
        assert found[500].json["code"] == "internal-error"


def test_an_api_key_lets_its_holder_in(aws: Aws, option: Option) -> None:
    with option(authorization="API_KEY") as deployed:
        gateway = aws.client("apigateway")
        named = f"{deployed.prefix}-items-api-key"
        (key,) = gateway.get_api_keys(nameQuery=named, includeValues=True)["items"]
        assert key["name"] == named
        assert key["value"] not in json.dumps(deployed.outputs), "a key is a secret"
        refuses(deployed, 403, "forbidden")
        refuses(deployed, 403, "forbidden", {"x-api-key": "guessed"})
        serves(deployed, {"x-api-key": key["value"]})


def test_iam_lets_signed_requests_in(option: Option) -> None:
    with option(authorization="AWS_IAM") as deployed:
        refuses(deployed, 403, "forbidden")
        item = {"ItemId": deployed.new_id()}
        for secret, status in (("wrong", 403), (SECRET_KEY, 201)):
            request = AWSRequest(
                "POST",
                f"{deployed.outputs['api_url']}/items",
                data=json.dumps(item),
                headers={"Content-Type": "application/json"},
            )
            SigV4Auth(Credentials(ACCESS_KEY, secret), "execute-api", "us-east-1").add_auth(request)
            answer = deployed.send("POST", "/items", item, dict(request.headers.items()))
            assert answer.status == status, answer.body
        assert answer.json["ItemId"] == item["ItemId"]


def id_token(aws: Aws, name: str) -> tuple[str, dict[str, str]]:
    """A new user pool's ARN, and what one of its users gets for a password."""
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=name)["UserPool"]
    application = cognito.create_user_pool_client(
        UserPoolId=pool["Id"], ClientName=name, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    user = {"UserPoolId": pool["Id"], "Username": "ann"}
    cognito.admin_create_user(**user)
    cognito.admin_set_user_password(**user, Password="Correct-horse-1", Permanent=True)
    tokens: dict[str, str] = cognito.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=application,
        AuthParameters={"USERNAME": "ann", "PASSWORD": "Correct-horse-1"},
    )["AuthenticationResult"]
    return pool["Arn"], tokens


def test_a_user_pool_lets_its_users_in(aws: Aws, option: Option) -> None:
    pool, tokens = id_token(aws, "mine")
    _, others = id_token(aws, "another")
    with option(authorization="COGNITO", cognitoUserPoolArn=pool) as deployed:
        (authorizer,) = aws.client("apigateway").get_authorizers(restApiId=deployed.outputs["api_rest_id"])["items"]
        assert (authorizer["type"], authorizer["providerARNs"]) == ("COGNITO_USER_POOLS", [pool])
        refuses(deployed, 401, "unauthorized")
        refuses(deployed, 401, "unauthorized", {"Authorization": others["IdToken"]})
        refuses(deployed, 401, "unauthorized", {"Authorization": tokens["AccessToken"]})
        serves(deployed, {"Authorization": tokens["IdToken"]})


def test_a_firewall_and_a_domain_stand_before_the_stage(aws: Aws, option: Option) -> None:
    host = f"{uuid.uuid4().hex[:6]}.example.com"
    with option(waf="true", domainName=host, certificateArn=CERTIFICATE) as deployed:
        domain = aws.client("apigateway").get_domain_name(domainName=host)
        assert (domain["regionalCertificateArn"], domain["securityPolicy"]) == (CERTIFICATE, "TLS_1_2")
        with served(aws, deployed.outputs["api_rest_id"]) as url:
            around = Deployed({**deployed.outputs, "api_url": f"{url}/prod"}, aws.client)
            assert around.send("GET", "/items").status == 403, "nobody goes around the domain"
        assert deployed.send("GET", "/prod/items").status == 404, "the stage is no part of a domain's paths"
        stage = f"arn:aws:apigateway:us-east-1::/restapis/{deployed.outputs['api_rest_id']}/stages/prod"
        acl = aws.client("wafv2").get_web_acl_for_resource(ResourceArn=stage)["WebACL"]
        assert acl["Name"] == f"{deployed.prefix}-items-api-firewall"
        groups = {
            rule["Statement"]["ManagedRuleGroupStatement"]["Name"]: rule["Statement"]["ManagedRuleGroupStatement"]
            for rule in acl["Rules"]
        }
        assert set(groups) == set(MANAGED_RULES)
        (counted,) = groups["AWSManagedRulesCommonRuleSet"]["RuleActionOverrides"]
        assert counted["Name"] == "SizeRestrictions_BODY", "an item may be larger than the rule's 8 KB"
        assert "Count" in counted["ActionToUse"]
        serves(deployed)


def test_what_production_has_on_is_there_and_protects(aws: Aws, option: Option) -> None:
    on = {"deletionProtection": "true", "protect": "true", "tracing": "true", "accessLogs": "true"}
    with option(**on, executionLogs="ERROR", logRetentionDays="365") as deployed:
        client, outputs = aws.client, deployed.outputs
        name = outputs["dynamodb_table_name"]
        assert client("dynamodb").describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"] is True
        with pytest.raises(ClientError, match="deletion protection"):
            client("dynamodb").delete_table(TableName=name)
        function = client("lambda").get_function_configuration(FunctionName=outputs["lambda_function_name"])
        assert function["TracingConfig"] == {"Mode": "Active"}
        stage = client("apigateway").get_stage(restApiId=outputs["api_rest_id"], stageName="prod")
        assert stage["tracingEnabled"] is True
        assert stage["methodSettings"]["*/*"]["loggingLevel"] == "ERROR"
        assert stage["methodSettings"]["*/*"]["dataTraceEnabled"] is False, "a trace has the clients' bodies in it"
        groups = client("logs").get_paginator("describe_log_groups").paginate().search("logGroups[]")
        kept = {group["logGroupName"]: (group.get("retentionInDays"), group["arn"]) for group in groups}
        access = kept[f"/aws/apigateway/{deployed.prefix}-items-api"]
        assert stage["accessLogSettings"]["destinationArn"] == access[1].removesuffix(":*")
        execution = kept[f"API-Gateway-Execution-Logs_{outputs['api_rest_id']}/prod"]
        assert (access[0], execution[0], kept[function["LoggingConfig"]["LogGroup"]][0]) == (365, 365, 365)
        serves(deployed)


def facts(aws: Aws, outputs: Mapping[str, str]) -> dict[str, Any]:
    """What the options are set to, as AWS has it."""
    client, name = aws.client, outputs["lambda_function_name"]
    table = client("dynamodb").describe_table(TableName=outputs["dynamodb_table_name"])["Table"]
    function = client("lambda").get_function(FunctionName=name)
    role = client("iam").get_role(RoleName=outputs["lambda_role_arn"].rpartition("/")[2])["Role"]
    topic = client("sns").get_topic_attributes(TopicArn=outputs["alarm_topic_arn"])["Attributes"]
    stage = client("apigateway").get_stage(restApiId=outputs["api_rest_id"], stageName="prod")
    groups = client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    return {
        "table": (table["SSEDescription"]["KMSMasterKeyArn"], table["DeletionProtectionEnabled"]),
        "function's key": function["Configuration"].get("KMSKeyArn") or None,
        "tracing": (function["Configuration"]["TracingConfig"]["Mode"], stage["tracingEnabled"]),
        "concurrency": function.get("Concurrency"),
        "boundary": role.get("PermissionsBoundary"),
        "topic's key": topic.get("KmsMasterKeyId") or None,
        "log group's key": [group.get("kmsKeyId") for group in groups],
        "retention": [group["retentionInDays"] for group in groups],
        "access log": stage.get("accessLogSettings") or None,
        "method settings": stage["methodSettings"],
    }


def test_options_are_turned_on_and_off_again(aws: Aws, emulator: Emulator, tmp_path: Path) -> None:
    key = aws.call("kms", "create_key")["KeyMetadata"]["Arn"]
    statement = {"Effect": "Allow", "Action": ["logs:*", "xray:*", "dynamodb:*"], "Resource": "*"}
    boundary = aws.client("iam").create_policy(
        PolicyName=f"boundary-{uuid.uuid4().hex[:6]}",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )["Policy"]["Arn"]
    on = {
        "kmsKeyArn": key,
        "permissionsBoundaryArn": boundary,
        "lambdaReservedConcurrency": "5",
        "waf": "true",
        "tracing": "true",
        "accessLogs": "true",
        "executionLogs": "ERROR",
        "logRetentionDays": "365",
        "deletionProtection": "true",
        "detailedMetrics": "true",
        "authorization": "API_KEY",
    }
    place: dict[str, Any] = {
        "endpoint": emulator.endpoint,
        "state_dir": tmp_path,
        "stack": f"turn-{uuid.uuid4().hex[:6]}",
    }

    def deployed(**config: str) -> dict[str, str]:
        settings = {f"tap:{key}": value for key, value in config.items()}
        done = deploy(programs(), **place, config=settings)
        again = deploy(programs(), **place, config=settings)
        assert {result for stack in again.values() for result in stack.counts} == {"unchanged"}
        return {key: value for stack in done.values() for key, value in stack.outputs.items()}

    before = everything(aws)
    outputs = deployed()
    plain = facts(aws, outputs), everything(aws)
    # One listener for all of it: it serves what was deployed last, as AWS does.
    with served(aws, outputs["api_rest_id"]) as url:
        api = Deployed({**outputs, "api_url": f"{url}/prod"}, aws.client)
        assert api.send("GET", "/items").status == 200
        deployed(**on)
        same = [what for what, value in facts(aws, outputs).items() if value == plain[0][what]]
        assert not same, "each of them was turned on"
        assert api.send("GET", "/items").status == 403
        assert deployed(authorization="AWS_IAM") == outputs
        assert api.send("GET", "/items").json["code"] == "forbidden"
        pool = f"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_{uuid.uuid4().hex[:6]}"
        deployed(authorization="COGNITO", cognitoUserPoolArn=pool)
        assert api.send("GET", "/items").status == 401
        deployed()
        assert api.send("GET", "/items").status == 200
    assert (facts(aws, outputs), everything(aws)) == plain, "nothing of an option stays when it is turned off"
    destroy(programs(), **place)
    assert everything(aws) == before


def test_a_session_serves_a_domain_at_its_root() -> None:
    config = {"tap:domainName": "api.example.com", "tap:certificateArn": CERTIFICATE, "tap:authorization": "API_KEY"}
    with Session(programs(single=True), stack="domain", config=config) as session:
        deployed = Deployed(session.outputs, session.aws.client)
        assert deployed.outputs["api_url"] == session.api_url
        assert urllib.parse.urlsplit(session.api_url).hostname == "127.0.0.1", "not a name that leads to the real AWS"
        refuses(deployed, 403, "forbidden")
        item = {"ItemId": deployed.new_id()}
        answer = deployed.send("POST", "/items", item, {"x-api-key": session.api_key})
        assert answer.headers["location"].startswith(f"/items/{item['ItemId']}/"), "the client's URL has no stage"
        with Console(session) as console:
            page = Deployed({"api_url": console.url}, session.aws.client)
            routes = page.send("GET", "/state").json["apis"][0]["routes"]
        assert {each["authorization"] for each in routes} == {"the header x-api-key", "NONE"}
        needs.program("curl", package="curl")
        for command in _examples(session):
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
            assert done.stdout.startswith("HTTP/1.1 2"), f"does not work as printed: {command}\n{done.stdout}"
