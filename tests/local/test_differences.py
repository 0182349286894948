"""What the emulator does not check, or does differently from AWS; docs/emulator.md is made from these tests."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lib.local.emulator import Emulator
from lib.local.types.core import Aws
from lib.program import ROOT
from tests.local.conftest import zipped
from tests.local.differences import PAGE, difference, table
from tests.local.test_gateway import Rest

pytestmark = pytest.mark.local

Make = Callable[..., str]


def result(aws: Aws, function: str, event: Any = None) -> Any:
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event or {}))
    assert "FunctionError" not in answer, answer["Payload"].read()
    return json.loads(answer["Payload"].read())


# --- Lambda


@difference(
    area="Lambda",
    aws="runs the function on the runtime's own Python",
    here="runs it on the Python of the tools, whatever `Runtime` says",
    instead="`nox -s handler` runs the handler's tests on Python 3.9 and on the newest",
)
def test_the_runtime_is_not_the_functions(aws: Aws, make_function: Make) -> None:
    function = make_function("import sys\ndef handler(event, context): return sys.version_info[:2]")
    assert tuple(result(aws, function)) >= (3, 11)
    assert aws.call("lambda", "get_function_configuration", FunctionName=function)["Runtime"] == "python3.12"


@difference(
    area="Lambda",
    aws="has boto3 and the standard library, and nothing else",
    here="can import everything that is installed beside the emulator",
    instead="import-linter keeps `lib/handler` to itself, and the handler's tests run where nothing else is installed",
)
def test_a_missing_dependency_is_not_missed(aws: Aws, make_function: Make) -> None:
    assert result(aws, make_function("import pulumi\ndef handler(event, context): return 'imported'")) == "imported"


@difference(
    area="Lambda",
    aws="ends a function that needs more than its memory, and gives one of 128 MB 7 % of a processor",
    here="limits neither memory nor processor",
    instead="the bench counts the handler's instructions and its peak memory",
)
def test_memory_is_not_limited(aws: Aws, make_function: Make) -> None:
    source = "def handler(event, context): return len(bytearray(300 << 20))"
    assert result(aws, make_function(source, MemorySize=128)) == 300 << 20


@difference(
    area="Lambda",
    aws="takes and gives at most 6 MB",
    here="takes and gives more",
    instead="the local gateway answers 413 and 502 as AWS does",
)
def test_payloads_are_not_limited(aws: Aws, make_function: Make) -> None:
    assert len(result(aws, make_function("def handler(event, context): return 'x' * 7_000_000"))) == 7_000_000
    assert (
        result(aws, make_function("def handler(e, context): return len(e['a'])"), {"a": "x" * 7_000_000}) == 7_000_000
    )


@difference(
    area="Lambda",
    aws="isolates a function: its own file system, and a network that its VPC decides",
    here="is a plain process of the user who runs it, with that user's files and network",
    instead="do not run code here that you would not run in a terminal",
)
def test_a_function_is_not_isolated(aws: Aws, make_function: Make) -> None:
    source = f"def handler(event, context): return open({str(ROOT / 'LICENSE')!r}).read(4096)"
    assert "Apache License" in result(aws, make_function(source))


@difference(
    area="Lambda",
    aws="sets no `AWS_ENDPOINT_URL`",
    here="sets it, to the emulator",
    instead="the handler takes it where it is set; its tests cover both",
)
def test_the_endpoint_is_in_the_environment(aws: Aws, make_function: Make) -> None:
    source = "import os\ndef handler(event, context): return os.environ['AWS_ENDPOINT_URL']"
    assert result(aws, make_function(source)) == aws.endpoint


@difference(
    area="Lambda",
    aws="lets invocations finish on the old code when a function gets new code",
    here="ends them, and one that is just beginning can leave the old code serving",
    instead="`--watch` lets the requests that are running finish before it changes anything",
)
def test_new_code_ends_what_is_running(aws: Aws, make_function: Make) -> None:
    source = "import time\ndef handler(event, context): time.sleep(event.get('for', 0)); return 'old'"
    function = make_function(source, Timeout=60)
    assert result(aws, function) == "old"
    client = aws.client("lambda")
    with ThreadPoolExecutor(1) as running:
        slow = running.submit(client.invoke, FunctionName=function, Payload=json.dumps({"for": 30}))
        time.sleep(1)
        client.update_function_code(FunctionName=function, ZipFile=zipped({"index.py": source.replace("old", "new")}))
        assert "FunctionError" in slow.result()
    assert result(aws, function) == "new"


@difference(
    area="Lambda",
    aws="refuses runtimes that it does not have, or no longer",
    here="takes any name",
    instead="`lib/runtimes.py` knows the dates; settings refuse other names and warn ahead",
)
def test_any_runtime_is_taken(aws: Aws, make_function: Make) -> None:
    source = "def handler(event, context): return 1"
    function = make_function(source)
    changed = aws.call("lambda", "update_function_configuration", FunctionName=function, Runtime="python2.7")
    assert changed["Runtime"] == "python2.7"


@difference(
    area="Lambda",
    aws="reserves concurrency only while 100 executions are left for the account's other functions",
    here="reserves what is asked for",
    instead="a deploy on AWS fails with AWS's words, and changes nothing about the reservation",
)
def test_all_of_the_accounts_concurrency_can_be_reserved(aws: Aws, make_function: Make) -> None:
    client = aws.client("lambda")
    function = make_function("def handler(event, context): return 1")
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1000)
    limits = client.get_account_settings()["AccountLimit"]
    client.delete_function_concurrency(FunctionName=function)
    assert limits["UnreservedConcurrentExecutions"] == 0


# --- API Gateway: what its own data plane does, and why requests do not go through it


def asked(emulator: Emulator, api: Rest, path: str) -> tuple[int, Any]:
    """A GET through the emulator's own data plane."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    try:
        connection.request("GET", f"/restapis/{api.id}/prod/_user_request_{path}")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@difference(
    area="API Gateway",
    aws="gives a REST API's function its path parameters percent-encoded",
    here="decodes them",
    instead="the local gateway serves the API and leaves them as they came",
)
def test_path_parameters_are_decoded(emulator: Emulator, aws: Aws, echo: str) -> None:
    api = Rest(aws)
    api.method("GET", "/items/{ItemId}", echo)
    api.deploy()
    status, event = asked(emulator, api, "/items/a%20b")
    assert (status, event["pathParameters"]) == (200, {"ItemId": "a b"})


@difference(
    area="API Gateway",
    aws="serves what the stage's deployment captured",
    here="serves methods that were never deployed",
    instead="the local gateway serves what the deployment's summary lists",
)
def test_undeployed_methods_are_served(emulator: Emulator, aws: Aws, echo: str) -> None:
    api = Rest(aws)
    api.method("GET", "/items", echo)
    api.deploy()
    api.method("GET", "/late", echo)
    assert asked(emulator, api, "/late")[0] == 200


@difference(
    area="API Gateway",
    aws="cannot call a function whose policy does not let it",
    here="calls it",
    instead="the local gateway reads the function's policy before each call",
)
def test_a_function_is_called_without_permission(emulator: Emulator, aws: Aws, make_function: Make) -> None:
    api = Rest(aws)
    api.method("GET", "/items", make_function("def handler(e, c): return {'statusCode': 200, 'body': '{}'}"))
    api.deploy()
    assert asked(emulator, api, "/items")[0] == 200


@difference(
    area="API Gateway",
    aws="lists the usage plans of one key when asked for them",
    here="lists all of them",
    instead="the local gateway asks each plan for its keys",
)
def test_usage_plans_are_not_filtered_by_key(aws: Aws) -> None:
    client = aws.client("apigateway")
    client.create_usage_plan(name=f"plan-{uuid.uuid4().hex[:6]}")
    key = client.create_api_key(name="unused", enabled=True)["id"]
    assert client.get_usage_plans(keyId=key)["items"]


@difference(
    area="API Gateway",
    aws="writes access and execution logs, and refuses to until the account has a role for them",
    here="writes none and asks for no role; the log groups are there",
    instead="the session shows each request; the preflight of a deploy looks for the role",
)
def test_access_logs_are_not_written(emulator: Emulator, aws: Aws, echo: str) -> None:
    assert "cloudwatchRoleArn" not in aws.call("apigateway", "get_account")
    logs = aws.client("logs")
    group = f"/access/{uuid.uuid4().hex[:6]}"
    logs.create_log_group(logGroupName=group)
    api = Rest(aws)
    api.method("GET", "/items", echo)
    api.deploy()
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"].removesuffix(":*")
    operations = [
        {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": arn},
        {"op": "replace", "path": "/accessLogSettings/format", "value": '{"id":"$context.requestId"}'},
    ]
    api.client.update_stage(restApiId=api.id, stageName="prod", patchOperations=operations)
    assert asked(emulator, api, "/items")[0] == 200
    assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []


@difference(
    area="API Gateway",
    aws="writes what a web ACL refuses or counts to its log",
    here="has no call to set one up; only the stack's state keeps what was asked for",
    instead="what is asked for is checked against AWS's API; the unit tests and the policies show what it leaves out",
)
def test_a_firewalls_log_can_t_be_set_up(aws: Aws) -> None:
    config = {"ResourceArn": "a" * 20, "LogDestinationConfigs": ["b" * 20]}
    with pytest.raises(ClientError, match="Unknown WAF action: PutLoggingConfiguration"):
        aws.client("wafv2").put_logging_configuration(LoggingConfiguration=config)


@difference(
    area="API Gateway",
    aws="asks the stage's web ACL about each request",
    here="keeps the ACL and asks nobody",
    instead="`tests/local/test_options.py` reads the rules back; the unit tests and the policies show what they are",
)
def test_a_web_acl_stops_nothing(emulator: Emulator, aws: Aws, echo: str) -> None:
    api = Rest(aws)
    api.method("GET", "/items", echo)
    api.deploy()
    name = f"acl-{api.id}"
    seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": name}
    blocking: dict[str, Any] = {
        "Scope": "REGIONAL",
        "DefaultAction": {"Block": {}},
        "VisibilityConfig": seen,
        "Rules": [],
    }
    acl = aws.call("wafv2", "create_web_acl", Name=name, **blocking)["Summary"]["ARN"]
    stage = f"arn:aws:apigateway:us-east-1::/restapis/{api.id}/stages/prod"
    aws.call("wafv2", "associate_web_acl", WebACLArn=acl, ResourceArn=stage)
    assert asked(emulator, api, "/items")[0] == 200


@difference(
    area="API Gateway",
    aws="serves a custom domain name over TLS, with a certificate that it has looked up",
    here="takes any certificate",
    instead="the local gateway serves the domain's mappings over plain HTTP, at the root of a port of its own",
)
def test_any_certificate_is_taken(aws: Aws) -> None:
    certificate = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    name = f"{uuid.uuid4().hex[:6]}.example.com"
    aws.call(
        "apigateway",
        "create_domain_name",
        domainName=name,
        regionalCertificateArn=certificate,
        endpointConfiguration={"types": ["REGIONAL"]},
    )
    assert aws.call("apigateway", "get_domain_name", domainName=name)["regionalCertificateArn"] == certificate


# --- CloudWatch, SNS, IAM, DynamoDB, KMS, X-Ray


@difference(
    area="CloudWatch",
    aws="makes metrics of log lines in the embedded metric format",
    here="does not",
    instead="the handler's tests check the line against the format's rules",
)
def test_embedded_metrics_are_not_extracted(aws: Aws, make_function: Make) -> None:
    namespace = f"tap-{uuid.uuid4().hex[:6]}"
    line = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": [[]], "Metrics": [{"Name": "faults"}]}],
        },
        "faults": 1,
    }
    result(aws, make_function(f"import json\ndef handler(event, context): print(json.dumps({line!r}))"))
    time.sleep(1)
    assert aws.client("cloudwatch").list_metrics(Namespace=namespace)["Metrics"] == []


@difference(
    area="SNS",
    aws="writes to an e-mail address only after its owner has confirmed",
    here="subscribes it at once and sends nothing",
    instead="`tests/local/test_enforcement.py` follows an alarm to a queue that is subscribed to the topic",
)
def test_addresses_are_subscribed_without_being_asked(aws: Aws) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name=f"t-{uuid.uuid4().hex[:6]}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="somebody@example.com")
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert subscription["SubscriptionArn"].startswith("arn:"), "and not PendingConfirmation"


@difference(
    area="IAM",
    aws="needs some seconds until a new role or policy counts everywhere",
    here="it counts at once",
    instead="a deploy on AWS waits and tries again, as the real provider does",
)
def test_a_role_counts_at_once(aws: Aws, make_function: Make) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}],
    }
    source = "import boto3\ndef handler(event, context): return 'TableNames' in boto3.client('dynamodb').list_tables()"
    assert result(aws, make_function(source, policy=policy, Timeout=60)) is True


@difference(
    area="DynamoDB",
    aws="removes expired items within some days",
    here="keeps them",
    instead="the handler looks at the time itself and never trusts an item to be gone",
)
def test_expired_items_stay(aws: Aws) -> None:
    name = f"table-{uuid.uuid4().hex[:6]}"
    aws.call(
        "dynamodb",
        "create_table",
        TableName=name,
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    on = {"Enabled": True, "AttributeName": "expires"}
    aws.call("dynamodb", "update_time_to_live", TableName=name, TimeToLiveSpecification=on)
    aws.call("dynamodb", "put_item", TableName=name, Item={"k": {"S": "old"}, "expires": {"N": "1"}})
    time.sleep(1)
    assert "Item" in aws.call("dynamodb", "get_item", TableName=name, Key={"k": {"S": "old"}})


@difference(
    area="API Gateway",
    aws="has one set of tags for each resource, whichever call set them",
    here="keeps the tags of the create call and those of `TagResource` apart",
    instead="the resource types set and read them through `TagResource` and `GetTags` alone",
)
def test_tags_are_kept_twice(aws: Aws) -> None:
    api = aws.call("apigateway", "create_rest_api", name="tagged", tags={"a": "created"})["id"]
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api}"
    aws.call("apigateway", "tag_resource", resourceArn=arn, tags={"a": "tagged"})
    assert aws.call("apigateway", "get_rest_api", restApiId=api)["tags"] == {"a": "created"}
    assert aws.call("apigateway", "get_tags", resourceArn=arn)["tags"] == {"a": "tagged"}


@difference(
    area="API Gateway",
    aws="patches lists, and maps whose names hold a slash (`~1` in the path)",
    here="takes the path's text for the name",
    instead="the resource types have no such inputs, or put the whole resource again",
)
def test_a_patch_path_is_taken_literally(aws: Aws) -> None:
    api = aws.call("apigateway", "create_rest_api", name="patched")["id"]
    root = aws.call("apigateway", "get_resources", restApiId=api)["items"][0]["id"]
    where = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    aws.call("apigateway", "put_method", **where, authorizationType="NONE")
    operation = {"op": "add", "path": "/requestModels/application~1json", "value": "Empty"}
    aws.call("apigateway", "update_method", **where, patchOperations=[operation])
    assert aws.call("apigateway", "get_method", **where)["requestModels"] == {"application~1json": "Empty"}


@difference(
    area="CloudWatch",
    aws="changes the key of a log group that exists",
    here="has no call for it",
    instead="the resource type makes the group again, without the lines that were in it",
)
def test_a_log_groups_key_cant_be_changed(aws: Aws) -> None:
    name = f"/group/{uuid.uuid4().hex[:6]}"
    aws.call("logs", "create_log_group", logGroupName=name)
    key = aws.call("kms", "create_key")["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="Unknown action: AssociateKmsKey"):
        aws.client("logs").associate_kms_key(logGroupName=name, kmsKeyId=key)


@difference(
    area="CloudWatch",
    aws="has alarms on expressions of several metrics",
    here="forgets the expressions without a word",
    instead="the alarm's resource type has no `metricQueries`, so that a program with one is refused",
)
def test_metric_queries_are_forgotten(aws: Aws) -> None:
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Errors"}
    query = {"Id": "e", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    name = f"alarm-{uuid.uuid4().hex[:6]}"
    aws.call(
        "cloudwatch",
        "put_metric_alarm",
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=1,
        Metrics=[query],
    )
    (alarm,) = aws.call("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"]
    assert not alarm.get("Metrics")


@difference(
    area="EC2",
    aws="keeps a flow log's role and the tags it is created with",
    here="keeps neither",
    instead="the resource type sets the tags by a call of their own; the role is in the plan",
)
def test_a_flow_log_loses_its_role_and_tags(aws: Aws) -> None:
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = aws.call(
        "ec2",
        "create_flow_logs",
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestination="arn:aws:logs:us-east-1:123456789012:log-group:flows",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flows",
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "a", "Value": "b"}]}],
    )["FlowLogIds"]
    (log,) = aws.call("ec2", "describe_flow_logs", FlowLogIds=made)["FlowLogs"]
    assert not log.get("DeliverLogsPermissionArn")
    assert not log.get("Tags")


@difference(
    area="IAM",
    aws="tells TLS from plain HTTP (`aws:SecureTransport`)",
    here="every request counts as secure, for none here is encrypted and none leaves the machine",
    instead="the unit tests and the policies show who refuses plain HTTP",
)
def test_plain_http_counts_as_secure(aws: Aws) -> None:
    s3, name = aws.client("s3"), f"bucket-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    refusal = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [refusal]}))
    s3.put_object(Bucket=name, Key="a", Body=b"over plain HTTP")
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"over plain HTTP"


@difference(
    area="EC2",
    aws="lets a security group's rule name a prefix list",
    here="drops it, and the rule leads nowhere",
    instead="the unit tests show the rule",
)
def test_a_rule_forgets_its_prefix_list(aws: Aws) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": "pl-02cd2c6b"}]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert not [each for each in found["IpPermissionsEgress"] if each.get("PrefixListIds")]


@difference(
    area="KMS",
    aws="uses a customer key for each read and write, and fails where the key is disabled or its policy says no",
    here="keeps the key's ARN and uses no key",
    instead="unit tests hold the key policy in [security-options.md](security-options.md) to what the services need",
)
def test_a_key_is_never_used(aws: Aws) -> None:
    key = aws.call("kms", "create_key")["KeyMetadata"]
    aws.call("kms", "disable_key", KeyId=key["KeyId"])
    name = f"table-{uuid.uuid4().hex[:6]}"
    aws.call(
        "dynamodb",
        "create_table",
        TableName=name,
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key["Arn"]},
    )
    aws.call("dynamodb", "put_item", TableName=name, Item={"k": {"S": "readable"}})
    assert "Item" in aws.call("dynamodb", "get_item", TableName=name, Key={"k": {"S": "readable"}})


@difference(
    area="X-Ray",
    aws="keeps traces of stages and functions that are traced",
    here="has no X-Ray",
    instead="`tests/local/test_options.py` reads back that tracing is on; the unit tests show the role's rights",
)
def test_there_are_no_traces(aws: Aws) -> None:
    with pytest.raises(ClientError):
        aws.client("xray").get_trace_summaries(StartTime=0, EndTime=time.time())


def test_the_page_is_made_from_these_tests() -> None:
    made = table()
    assert made.count("\n| ") >= 15, "every difference is a row"
    assert PAGE.read_text(encoding="utf-8") == made, "run: python -m tests.local.differences"
