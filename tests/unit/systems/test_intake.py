"""The request intake: every value of its specification, in development and production."""

from __future__ import annotations

import pytest

from lib.plan.recorder import record
from lib.program import ROOT, Program
from lib.systems import intake
from tests.unit.systems.kit import allowed, configured, document, named, statements, system

ENVIRONMENTS = pytest.mark.parametrize("environment", ["dev", "prod"])


@ENVIRONMENTS
def test_everything_is_named_after_the_environment(environment: str) -> None:
    recording = system("intake", environment)

    def name(resource: str) -> str:
        return f"tap-{environment}-{resource}"

    assert recording.one("Bucket").inputs["bucket"] == recording.exports["bucket_name"] == name("bucket")
    assert recording.one("Table").inputs["name"] == recording.exports["table_name"] == name("requests")
    assert recording.one("Function").inputs["name"] == recording.exports["function_name"] == name("processor")
    assert recording.one("StateMachine").inputs["name"] == name("statemachine")
    assert recording.one("RestApi").inputs["name"] == name("api")
    assert recording.exports["state_machine_name"] == name("statemachine")


def test_it_is_in_us_west_2_unless_told_otherwise() -> None:
    assert Program(ROOT / "systems/intake").config("dev")["aws:region"] == "us-west-2"
    seen = []

    def program() -> None:
        seen.append(intake.settings())

    record(program)
    assert seen[0].region == "us-west-2", "also where no project says it"


def test_the_function_runs_on_python_3_12() -> None:
    assert system("intake").one("Function").inputs["runtime"] == "python3.12"


def test_post_at_the_root_is_signed_and_its_preflight_is_not() -> None:
    recording = system("intake")
    methods = {method.inputs["httpMethod"]: method.inputs for method in recording.of("Method")}
    assert {verb: inputs["authorization"] for verb, inputs in methods.items()} == {"POST": "AWS_IAM", "OPTIONS": "NONE"}
    assert {inputs["resourceId"] for inputs in methods.values()} == {"${RestApi.api.rootResourceId}"}
    assert not recording.of("Resource")


def test_a_request_without_a_signature_is_told_so() -> None:
    response = named(system("intake"), "Response", "api-MISSING_AUTHENTICATION_TOKEN").inputs
    assert response["statusCode"] == "403", "behind IAM, what AWS calls a missing token is one"


def test_the_function_is_told_of_its_three_parts() -> None:
    variables = system("intake").one("Function").inputs["environment"]["variables"]
    assert variables["BUCKET_NAME"] == "tap-dev-bucket"
    assert variables["DYNAMODB_TABLE_NAME"] == "tap-dev-requests"
    assert variables["STATE_MACHINE_ARN"] == "${StateMachine.statemachine.arn}"


def test_the_table_has_one_key() -> None:
    assert system("intake").one("Table").inputs["hashKey"] == "request_id"


def test_the_state_machine_is_one_pass_state() -> None:
    recording = system("intake")
    definition = document(recording.one("StateMachine"), "definition")
    (state,) = definition["States"].items()
    assert state == (definition["StartAt"], {"Type": "Pass", "End": True})
    assert recording.one("StateMachine").inputs["type"] == "STANDARD", "only this kind keeps names and a history"
    role = named(recording, "Role", "statemachine-role")
    assert '"Service": "states.amazonaws.com"' in role.inputs["assumeRolePolicy"]
    assert not allowed(recording, role.inputs["name"]), "a Pass state needs no rights"


def test_the_role_reaches_these_objects_this_table_and_this_state_machine() -> None:
    assert allowed(system("intake"), "tap-dev-processor") == {
        ("s3:PutObject",): ["${Bucket.bucket.arn}/requests/*"],
        ("dynamodb:PutItem", "dynamodb:UpdateItem"): ["${Table.requests.arn}"],
        ("states:StartExecution",): ["${StateMachine.statemachine.arn}"],
    }


@ENVIRONMENTS
def test_the_bucket_is_private_encrypted_and_speaks_tls_only(environment: str) -> None:
    recording = system("intake", environment)
    private = recording.one("BucketPublicAccessBlock").inputs
    blocks = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert all(private[block] is True for block in blocks)
    assert recording.one("BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (rule,) = recording.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    (statement,) = statements(recording.one("BucketPolicy"))
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == ["${Bucket.bucket.arn}", "${Bucket.bucket.arn}/*"]


@pytest.mark.parametrize(
    ("environment", "emptied"), [("dev", True), ("pr7", True), ("prod", False), ("production", False)]
)
def test_the_bucket_is_emptied_on_destroy_but_never_in_production(environment: str, emptied: bool) -> None:
    assert system("intake", environment).one("Bucket").inputs["forceDestroy"] is emptied


def test_a_key_of_ones_own_encrypts_and_the_function_may_use_it() -> None:
    key = "arn:aws:kms:us-west-2:123456789012:key/1"
    recording = configured("intake", kmsKeyArn=key)
    (rule,) = recording.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}
    assert allowed(recording, "tap-dev-processor")["kms:GenerateDataKey",] == [key]


def test_production_logs_and_traces_executions_without_their_data() -> None:
    machine = system("intake", "prod").one("StateMachine").inputs
    assert machine["loggingConfiguration"]["level"] == "ERROR"
    assert machine["loggingConfiguration"]["includeExecutionData"] is False, "payloads stay in the bucket"
    assert machine["tracingConfiguration"] == {"enabled": True}
    assert "loggingConfiguration" not in system("intake", "dev").one("StateMachine").inputs
