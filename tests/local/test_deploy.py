"""The engine-free deploy: what a program registers is made, kept, changed, replaced and removed; nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi_aws import cloudwatch, iam, lambda_, sns

from lib import program
from lib.local.deploy import DeployError, deploy, destroy, read_outputs
from lib.local.emulator import Emulator
from lib.local.monitor import Monitor
from lib.local.state import Resource, State
from lib.local.types.core import Aws, FailedError, RefusedError, ResourceError
from lib.program import ROOT, Program

pytestmark = pytest.mark.local

Code = Callable[[], None]
LAMBDA = {"Service": "lambda.amazonaws.com"}
TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": LAMBDA, "Action": "sts:AssumeRole"}]}
)
READ = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}]}
)


class Deployer:
    """Deploys one program again and again, as one stack with one state."""

    def __init__(self, emulator: Emulator, directory: Path) -> None:
        self.aws = Aws(emulator.endpoint)
        self.directory = directory
        self.unique = uuid.uuid4().hex[:8]
        self.events: list[Mapping[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.upstream: dict[str, dict[str, Any]] = {}

    @property
    def state(self) -> State:
        return State.of(self.directory, "test", "dev")

    def _monitor(self) -> Monitor:
        self.events = []
        return Monitor(
            project="test",
            stack="dev",
            state=self.state,
            aws=self.aws,
            tell=self.events.append,
            read_stack=lambda name: self.upstream[name],
        )

    def up(self, code: Code) -> dict[str, str]:
        """Deploy and return what happened to each resource that something happened to."""
        monitor = self._monitor()
        try:
            program.run(code, monitor, project="test", stack="dev", config={}, engine=monitor)
            monitor.finish()
        finally:
            self.failures = monitor.failures
        return self.results()

    def down(self) -> None:
        self._monitor().destroy()

    def results(self) -> dict[str, str]:
        seen = [event for event in self.events if event["event"] == "resource"]
        return {event["name"]: event["result"] for event in seen if event["result"] != "unchanged"}

    def order(self, result: str) -> list[str]:
        return [event["name"] for event in self.events if event.get("result") == result]

    def live(self, name: str) -> Resource:
        found = [each for each in self.state.resources if each.name == name and each.custom]
        assert len(found) == 1, f"exactly one {name} must be in the state"
        return found[0]


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path) -> Iterator[Deployer]:
    deployer = Deployer(emulator, tmp_path)
    yield deployer
    state = deployer.state
    for resource in state.resources:
        resource.protect = False
    state.change()
    deployer.down()


def does(what: Callable[[], object]) -> Code:
    def code() -> None:
        what()

    return code


def topic(logical: str, **args: Any) -> Code:
    return does(lambda: sns.Topic(logical, **args))


def both(*codes: Code) -> Code:
    def code() -> None:
        for each in codes:
            each()

    return code


def test_the_same_program_again_changes_nothing(stack: Deployer) -> None:
    code = both(topic("a", display_name="x"), topic("b"))
    assert stack.up(code) == {"a": "created", "b": "created"}
    before = stack.state.path.read_text()
    assert stack.up(code) == {}
    assert stack.state.path.read_text() == before


def test_a_change_touches_just_what_it_must(stack: Deployer) -> None:
    stack.up(both(topic("a", display_name="x"), topic("b")))
    arn = stack.live("a").id
    assert stack.up(both(topic("a", display_name="y"), topic("b"))) == {"a": "updated"}
    assert stack.live("a").id == arn
    found = stack.aws.call("sns", "get_topic_attributes", TopicArn=arn)
    assert found["Attributes"]["DisplayName"] == "y"


def test_a_replacement_is_made_before_the_old_one_is_deleted(stack: Deployer) -> None:
    stack.up(topic("a", name=f"{stack.unique}-one"))
    old = stack.live("a").id
    stack.up(topic("a", name=f"{stack.unique}-two"))
    assert [event["result"] for event in stack.events if event["event"] == "resource"] == ["replaced", "deleted"]
    assert stack.live("a").id != old
    with pytest.raises(RefusedError):
        stack.aws.call("sns", "get_topic_attributes", TopicArn=old)


def test_a_name_in_use_forces_the_deletion_first(stack: Deployer) -> None:
    def role(path: str) -> Code:
        return does(lambda: iam.Role("r", name=stack.unique, path=path, assume_role_policy=TRUST))

    stack.up(role("/"))
    stack.up(role("/other/"))
    assert [event["result"] for event in stack.events if event["event"] == "resource"] == ["deleted", "replaced"]


def test_a_replacement_gets_a_name_of_its_own_where_the_program_gives_none(stack: Deployer) -> None:
    def role(path: str) -> Code:
        return does(lambda: iam.Role("r", path=path, assume_role_policy=TRUST))

    stack.up(role("/"))
    old = stack.live("r").id
    stack.up(role("/other/"))
    assert [event["result"] for event in stack.events if event["event"] == "resource"] == ["replaced", "deleted"]
    assert stack.live("r").id != old
    assert stack.live("r").inputs["name"] == stack.live("r").id
    assert stack.up(role("/other/")) == {}


def test_a_replacement_in_the_same_place_is_not_deleted_with_the_old_one(stack: Deployer) -> None:
    def code(type_: str) -> Code:
        def run() -> None:
            api = aws.apigateway.RestApi("api", name=stack.unique)
            at: dict[str, Any] = {"rest_api": api.id, "resource_id": api.root_resource_id, "http_method": "GET"}
            method = aws.apigateway.Method("method", **at, authorization="NONE")
            uri = "https://example.com" if type_ == "HTTP_PROXY" else None
            verb = "GET" if type_ == "HTTP_PROXY" else None
            options = pulumi.ResourceOptions(depends_on=[method])
            aws.apigateway.Integration("i", **at, type=type_, uri=uri, integration_http_method=verb, opts=options)

        return run

    stack.up(code("MOCK"))
    stack.up(code("HTTP_PROXY"))
    assert [event["result"] for event in stack.events if event.get("name") == "i" and "result" in event] == [
        "deleted",
        "replaced",
    ]
    where = {key: stack.live("i").inputs[key] for key in ("restApi", "resourceId", "httpMethod")}
    names = {"restApiId": where["restApi"], "resourceId": where["resourceId"], "httpMethod": where["httpMethod"]}
    assert stack.aws.call("apigateway", "get_integration", **names)["type"] == "HTTP_PROXY"


def test_what_dies_with_a_resource_is_made_anew_with_it(stack: Deployer) -> None:
    def code(path: str) -> Code:
        def run() -> None:
            role = iam.Role("r", name=stack.unique, path=path, assume_role_policy=TRUST)
            iam.RolePolicy("p", name="p", role=role.name, policy=READ)

        return run

    stack.up(code("/"))
    stack.up(code("/other/"))
    assert stack.order("deleted") == ["p", "r"], "a role with policies cannot be deleted"
    assert stack.aws.call("iam", "get_role_policy", RoleName=stack.unique, PolicyName="p")


def test_what_a_program_no_longer_has_is_deleted_dependents_first(stack: Deployer) -> None:
    def code() -> None:
        one = sns.Topic("one")
        two = sns.Topic("two", opts=pulumi.ResourceOptions(depends_on=[one]))
        sns.Topic("three", opts=pulumi.ResourceOptions(depends_on=[two]))

    stack.up(code)
    assert stack.up(lambda: None) == {"one": "deleted", "two": "deleted", "three": "deleted"}
    assert stack.order("deleted") == ["three", "two", "one"]


def test_a_failure_in_the_middle_loses_nothing_and_can_be_repeated(stack: Deployer) -> None:
    def code(role: str) -> Code:
        def run() -> None:
            first = sns.Topic("first")
            broken = iam.RolePolicyAttachment(
                "broken",
                role=role,
                policy_arn="arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
                opts=pulumi.ResourceOptions(depends_on=[first]),
            )
            sns.Topic("after", opts=pulumi.ResourceOptions(depends_on=[broken]))

        return run

    with pytest.raises(Exception, match="NoSuchEntity"):
        stack.up(code("nobody"))
    assert stack.results() == {"first": "created", "broken": "failed"}
    (failure,) = stack.failures
    assert failure["type"] == "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    assert failure["message"].startswith("AttachRolePolicy: NoSuchEntity")
    assert failure["source"].startswith(f"{Path(__file__).resolve()}:"), "the message must lead to the line"
    stack.aws.call("iam", "create_role", RoleName=stack.unique, AssumeRolePolicyDocument=TRUST)
    assert stack.up(code(stack.unique)) == {"broken": "created", "after": "created"}


def test_a_half_made_resource_is_known_and_made_anew(stack: Deployer) -> None:
    def code(days: int) -> Code:
        return does(lambda: cloudwatch.LogGroup("logs", name=f"/{stack.unique}", retention_in_days=days))

    with pytest.raises(Exception, match="PutRetentionPolicy"):
        stack.up(code(2))  # the group is made, its retention is refused
    assert stack.live("logs").tainted
    assert stack.up(code(14)) == {"logs": "replaced"}
    assert not stack.live("logs").tainted
    assert stack.up(code(14)) == {}


def test_an_unknown_type_is_refused_by_name(stack: Deployer) -> None:
    def code() -> None:
        pulumi.CustomResource("aws:kinesis/stream:Stream", "events", {})

    with pytest.raises(Exception, match="kinesis"):
        stack.up(code)
    assert "aws:kinesis/stream:Stream is not known" in stack.failures[0]["message"]


def test_an_unknown_input_is_refused_by_name(stack: Deployer) -> None:
    with pytest.raises(Exception, match="archivePolicy"):
        stack.up(topic("a", fifo_topic=True, name=f"{stack.unique}.fifo", archive_policy="{}"))
    assert "has no input 'archivePolicy'" in stack.failures[0]["message"]


def test_two_resources_with_one_name_are_refused(stack: Deployer) -> None:
    with pytest.raises(Exception, match="names must differ"):
        stack.up(both(topic("a"), topic("a")))


def test_a_protected_resource_is_neither_deleted_nor_replaced(stack: Deployer) -> None:
    protected = pulumi.ResourceOptions(protect=True)
    stack.up(topic("a", name=f"{stack.unique}-1", opts=protected))
    with pytest.raises(FailedError):
        stack.up(lambda: None)
    with pytest.raises(Exception, match="protected"):
        stack.up(topic("a", name=f"{stack.unique}-2", opts=protected))
    with pytest.raises(FailedError):
        stack.down()
    assert stack.live("a").id
    assert stack.up(topic("a", name=f"{stack.unique}-1")) == {}
    assert stack.up(lambda: None) == {"a": "deleted"}


def test_ignored_changes_are_ignored_also_inside(stack: Deployer) -> None:
    def code(display: str, tag: str) -> Code:
        options = pulumi.ResourceOptions(ignore_changes=["displayName", "tags.a"])
        return topic("a", display_name=display, tags={"a": tag, "b": "same"}, opts=options)

    stack.up(code("one", "x"))
    assert stack.up(code("two", "y")) == {}


def test_all_changes_can_be_ignored_also_of_a_name_that_was_made_here(stack: Deployer) -> None:
    stack.up(topic("a", display_name="one"))
    assert stack.up(topic("a", display_name="two", opts=pulumi.ResourceOptions(ignore_changes=["*"]))) == {}
    assert stack.up(topic("a", display_name="one")) == {}


def test_a_change_can_be_made_to_replace(stack: Deployer) -> None:
    def code(display: str) -> Code:
        return topic("a", display_name=display, opts=pulumi.ResourceOptions(replace_on_changes=["displayName"]))

    stack.up(code("one"))
    assert stack.up(code("two"))["a"] in {"replaced", "deleted"}
    assert "replaced" in [event.get("result") for event in stack.events]


def test_delete_before_replace_is_honoured(stack: Deployer) -> None:
    options = pulumi.ResourceOptions(delete_before_replace=True)
    stack.up(topic("a", name=f"{stack.unique}-1", opts=options))
    stack.up(topic("a", name=f"{stack.unique}-2", opts=options))
    assert [event["result"] for event in stack.events if event["event"] == "resource"] == ["deleted", "replaced"]


def test_what_is_to_be_retained_stays_in_aws(stack: Deployer) -> None:
    stack.up(topic("a", opts=pulumi.ResourceOptions(retain_on_delete=True)))
    arn = stack.live("a").id
    assert stack.up(lambda: None) == {"a": "deleted"}
    assert stack.aws.call("sns", "get_topic_attributes", TopicArn=arn)


def test_an_alias_keeps_the_resource_when_its_name_changes(stack: Deployer) -> None:
    stack.up(topic("old"))
    arn, name = stack.live("old").id, stack.live("old").inputs["name"]
    assert stack.up(topic("new", name=name, opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")]))) == {}
    assert stack.live("new").id == arn
    assert not [each for each in stack.state.resources if each.name == "old"]
    assert stack.aws.call("sns", "get_topic_attributes", TopicArn=arn)


def test_what_exists_can_be_imported(stack: Deployer) -> None:
    stack.aws.call("logs", "create_log_group", logGroupName=f"/{stack.unique}")
    imported = pulumi.ResourceOptions(import_=f"/{stack.unique}")
    code = does(lambda: cloudwatch.LogGroup("logs", name=f"/{stack.unique}", opts=imported))
    assert stack.up(code) == {"logs": "created"}
    assert stack.up(lambda: None) == {"logs": "deleted"}


def test_what_exists_can_be_read_and_is_never_deleted(stack: Deployer) -> None:
    stack.aws.call("logs", "create_log_group", logGroupName=f"/{stack.unique}")
    arns: list[str] = []

    def code() -> None:
        cloudwatch.LogGroup.get("logs", f"/{stack.unique}").arn.apply(arns.append)

    stack.up(code)
    assert arns == [f"arn:aws:logs:us-east-1:123456789012:log-group:/{stack.unique}"]
    stack.up(lambda: None)
    assert stack.aws.call("logs", "describe_log_groups", logGroupNamePrefix=f"/{stack.unique}")["logGroups"]


def test_components_nest_and_keep_their_outputs(stack: Deployer) -> None:
    class Pair(pulumi.ComponentResource):
        def __init__(self, name: str) -> None:
            super().__init__("test:x:Pair", name)
            one = sns.Topic("one", opts=pulumi.ResourceOptions(parent=self))
            self.register_outputs({"arn": one.arn})

    stack.up(does(lambda: Pair("pair")))
    one = stack.live("one")
    assert one.urn == "urn:pulumi:dev::test::test:x:Pair$aws:sns/topic:Topic::one"
    (pair,) = [each for each in stack.state.resources if each.type == "test:x:Pair"]
    assert pair.outputs == {"arn": one.id}


def test_functions_answer(stack: Deployer) -> None:
    def code() -> None:
        pulumi.export("region", aws.get_region().region)
        pulumi.export("account", aws.get_caller_identity().account_id)
        pulumi.export("partition", aws.get_partition().partition)
        pulumi.export("zones", aws.get_availability_zones(state="available").names)
        pulumi.export("prefix", aws.ec2.get_prefix_list(name="com.amazonaws.us-east-1.dynamodb").prefix_list_id)

    stack.up(code)
    outputs = stack.state.outputs
    assert (outputs["region"], outputs["account"], outputs["partition"]) == ("us-east-1", "123456789012", "aws")
    assert len(outputs["zones"]) >= 2
    assert outputs["prefix"].startswith("pl-")


def test_an_unknown_function_is_refused_by_name(stack: Deployer) -> None:
    with pytest.raises(Exception, match="getBucket"):
        stack.up(does(lambda: aws.s3.get_bucket(bucket="b")))


def test_an_explicit_provider_chooses_the_region(stack: Deployer) -> None:
    def code() -> None:
        west = aws.Provider("west", region="us-west-2")
        sns.Topic("a", opts=pulumi.ResourceOptions(provider=west))

    stack.up(code)
    assert stack.live("a").id.startswith("arn:aws:sns:us-west-2:")
    assert stack.up(code) == {}
    assert stack.up(lambda: None)["a"] == "deleted"


def test_a_secret_stays_secret(stack: Deployer) -> None:
    hidden = "correct-horse-battery"

    def code() -> None:
        secret = pulumi.Output.secret(hidden)
        topic = sns.Topic("a", display_name=secret)
        pulumi.export("name", topic.display_name)
        pulumi.export("arn", topic.arn)
        iam.RolePolicyAttachment(
            "broken",
            role=secret,
            policy_arn="arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
            opts=pulumi.ResourceOptions(depends_on=[topic]),
        )

    with pytest.raises(Exception, match="NoSuchEntity"):
        stack.up(code)
    assert hidden not in json.dumps([stack.events, stack.failures]), "an event is shown and logged"
    assert stat.S_IMODE(stack.state.path.stat().st_mode) == 0o600
    outputs = stack.live("a").outputs["displayName"]
    assert outputs["value"] == hidden
    assert outputs["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    found = stack.aws.call("sns", "get_topic_attributes", TopicArn=stack.live("a").id)
    assert found["Attributes"]["DisplayName"] == hidden, "AWS is told the value itself"


def test_the_secrets_of_an_upstream_stack_stay_secret(stack: Deployer) -> None:
    marked = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hidden-value"}
    stack.upstream["organization/up/dev"] = {"open": "seen", "closed": marked}

    def code() -> None:
        up = pulumi.StackReference("organization/up/dev")
        pulumi.export("closed", up.require_output("closed"))
        pulumi.export("open", up.require_output("open"))

    stack.up(code)
    assert stack.state.outputs == {"open": "seen", "closed": marked}


def test_a_deleted_resource_that_is_gone_already_is_no_error(stack: Deployer) -> None:
    stack.up(topic("a"))
    stack.aws.call("sns", "delete_topic", TopicArn=stack.live("a").id)
    assert stack.up(lambda: None) == {"a": "deleted"}


def test_the_code_of_a_function_changes_when_a_file_does(stack: Deployer, tmp_path: Path) -> None:
    source = tmp_path / "code"
    source.mkdir()

    def code() -> None:
        role = iam.Role("role", name=stack.unique, assume_role_policy=TRUST)
        function = lambda_.Function(
            "f",
            name=stack.unique,
            role=role.arn,
            runtime="python3.12",
            handler="index.handler",
            code=pulumi.FileArchive(str(source)),
            publish=True,
        )
        pulumi.export("version", function.version)

    (source / "index.py").write_text("def handler(event, context): return 1")
    stack.up(code)
    assert stack.up(code) == {}
    (source / "index.py").write_text("def handler(event, context): return 2")
    assert stack.up(code) == {"f": "updated"}
    assert stack.state.outputs["version"] == "2"
    answer = stack.aws.call("lambda", "invoke", FunctionName=stack.unique)
    assert answer["Payload"].read() == b"2"


# The whole thing: programs on disk, a process for each.


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str, str], Program]:
    def make(name: str, source: str) -> Program:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        settings = f"name: {name}\nruntime: python\nconfig:\n  aws:region: us-east-1\n"
        (directory / "Pulumi.yaml").write_text(settings)
        (directory / "__main__.py").write_text(source)
        return Program(directory)

    return make


UP = "import pulumi\nfrom pulumi_aws import sns\npulumi.export('arn', sns.Topic('up').arn)\n"
DOWN = """
import pulumi
from pulumi_aws import sns
arn = pulumi.StackReference("organization/up/dev").require_output("arn")
pulumi.export("seen", arn)
sns.Topic("down", display_name=arn.apply(lambda arn: arn.rsplit(":", 1)[1]))
"""


def test_a_stack_waits_for_the_stack_it_refers_to_whatever_the_order(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program]
) -> None:
    programs = [project("down", DOWN), project("up", UP)]
    done = deploy(programs, endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert done["down"].outputs["seen"] == done["up"].outputs["arn"]
    assert done["up"].counts == {"created": 1}
    # One alone takes its upstream's outputs from what was kept.
    again = deploy(programs[:1], endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert again["down"].counts == {"unchanged": 1}
    destroy(programs[::-1], endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert read_outputs(tmp_path / "state", "up", "dev").outputs == {}


def test_what_depends_on_a_failed_stack_is_not_deployed_and_the_rest_is(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program]
) -> None:
    broken = UP + "raise RuntimeError('not today')\n"
    programs = [project("up", broken), project("down", DOWN), project("other", UP)]
    with pytest.raises(DeployError) as failed:
        deploy(programs, endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert set(failed.value.failures) == {"up", "down"}
    assert set(failed.value.deployed) == {"other"}
    place = f"at {tmp_path / 'up' / '__main__.py'}:4"
    assert "RuntimeError: not today" in failed.value.failures["up"]
    assert place in failed.value.failures["up"], "the message must lead to the line"
    assert "upstream stack up" in failed.value.failures["down"]
    project("up", UP)
    done = deploy(programs, endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert done["up"].counts == {"unchanged": 1}
    assert done["down"].counts == {"created": 1}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (DOWN, "unknown stack 'organization/up/dev'"),
        ("import pulumi\npulumi.export(", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("import os\nos._exit(3)", "ended before its time"),
        ("import sys\nsys.exit('no thanks')", "no thanks"),
    ],
)
def test_a_program_that_cannot_be_deployed_says_why(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program], source: str, words: str
) -> None:
    with pytest.raises(DeployError) as failed:
        deploy([project("one", source)], endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert words in failed.value.failures["one"]
    assert "Traceback" not in failed.value.failures["one"]


def test_stacks_that_wait_for_each_other_are_told_so(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program]
) -> None:
    one = project("one", DOWN.replace("organization/up", "organization/two"))
    two = project("two", DOWN.replace("organization/up", "organization/one"))
    with pytest.raises(DeployError, match="wait for each other"):
        deploy([one, two], endpoint=emulator.endpoint, state_dir=tmp_path / "state")


SLOW = """
import time, pulumi
from pulumi_aws import sns
previous = None
for number in range(8):
    previous = sns.Topic(f"topic-{number}", opts=pulumi.ResourceOptions(depends_on=[previous] if previous else []))
    previous.arn.apply(lambda _: time.sleep(0.2))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_deploy_that_is_ended_midway_is_completed_by_the_next(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program], how: signal.Signals
) -> None:
    slow = project("slow", SLOW)
    script = (
        "import signal, sys; from pathlib import Path\n"
        "from lib.local.deploy import deploy; from lib.program import Program\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "deploy([Program(Path(sys.argv[1]))], endpoint=sys.argv[2], state_dir=Path(sys.argv[3]))"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(slow.directory), emulator.endpoint, str(tmp_path / "state")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = tmp_path / "state" / "slow" / "dev.json"
    deadline = time.monotonic() + 60
    while not (state.is_file() and state.read_text().count("arn:aws:sns") > 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(how)
    started.wait(60)
    made = State.of(tmp_path / "state", "slow", "dev").resources
    done = deploy([slow], endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    counts = done["slow"].counts
    assert counts.get("unchanged", 0) >= 1
    assert counts.get("unchanged", 0) + counts.get("created", 0) == 8, "nothing lost, nothing doubled"
    assert made
    destroy([slow], endpoint=emulator.endpoint, state_dir=tmp_path / "state")


def test_nothing_is_left_running_when_the_caller_is_killed(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program]
) -> None:
    source = "import os, time\nfrom pathlib import Path\nPath('pid').write_text(str(os.getpid()))\ntime.sleep(600)\n"
    endless = project("endless", source)
    script = (
        "import signal, sys; from pathlib import Path\n"
        "from lib.local.deploy import deploy; from lib.program import Program\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "deploy([Program(Path(sys.argv[1]))], endpoint=sys.argv[2], state_dir=Path(sys.argv[3]))"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(endless.directory), emulator.endpoint, str(tmp_path / "state")]
    )
    pid_file = endless.directory / "pid"
    deadline = time.monotonic() + 60
    while not (pid_file.is_file() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    pid = int(pid_file.read_text())
    started.kill()
    started.wait()
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the program's process outlived its caller")


def test_a_deploy_that_is_cancelled_ends_at_once_whatever_the_program_does(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program]
) -> None:
    endless = project("endless", UP + "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n")
    waiting = project("waiting", DOWN.replace("organization/up", "organization/endless"))

    def interrupt(event: Mapping[str, Any]) -> None:
        if event.get("message") == "waiting":
            os.kill(os.getpid(), signal.SIGINT)

    # A job in the background of a shell starts with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            deploy([endless, waiting], endpoint=emulator.endpoint, state_dir=tmp_path / "state", on_event=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [each.name for each in State.of(tmp_path / "state", "endless", "dev").resources if each.custom] in (
        [],
        ["up"],
    )


def test_a_second_deploy_at_the_same_time_is_refused(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program]
) -> None:
    programs = [project("up", UP + "print('here', flush=True)\n")]
    options: dict[str, Any] = {"endpoint": emulator.endpoint, "state_dir": tmp_path / "state"}
    refused: list[str] = []

    def again(event: Mapping[str, Any]) -> None:
        if event.get("message") == "here":
            with pytest.raises(DeployError) as error:
                deploy(programs, **options)
            refused.append(str(error.value))

    deploy(programs, **options, on_event=again)
    assert refused
    assert "another deploy is at work" in refused[0]


@pytest.mark.parametrize(
    ("broken", "words"),
    [("state", "can't be kept"), ("state/up/dev.json", "not a state this version can read")],
)
def test_a_state_that_cannot_be_used_is_said_to_be_so(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program], broken: str, words: str
) -> None:
    file = tmp_path / broken
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{")
    with pytest.raises(DeployError, match=words):
        deploy([project("up", UP)], endpoint=emulator.endpoint, state_dir=tmp_path / "state")


def test_an_emulator_that_is_gone_is_said_to_be_gone(tmp_path: Path, project: Callable[[str, str], Program]) -> None:
    with pytest.raises(DeployError, match="did not answer"):
        deploy([project("up", UP)], endpoint="http://127.0.0.1:9", state_dir=tmp_path / "state")


def test_no_real_aws_is_asked_whatever_the_environment_says(
    emulator: Emulator, tmp_path: Path, project: Callable[[str, str], Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_PROFILE": "production",
        "AWS_ENDPOINT_URL": "https://example.com",
        "AWS_ENDPOINT_URL_SNS": "https://example.com",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "AWS_USE_FIPS_ENDPOINT": "true",
    }.items():
        monkeypatch.setenv(name, value)
    program = project("up", UP + "import os\npulumi.export('keys', [k for k in os.environ if k.startswith('AWS_')])\n")
    done = deploy([program], endpoint=emulator.endpoint, state_dir=tmp_path / "state")
    assert done["up"].outputs["arn"].startswith("arn:aws:sns:us-east-1:123456789012:up-")
    assert done["up"].outputs["keys"] == []
    destroy([program], endpoint=emulator.endpoint, state_dir=tmp_path / "state")


def test_the_four_stacks_deploy_once_and_change_by_a_setting(emulator: Emulator, tmp_path: Path) -> None:
    programs = [Program(ROOT / "stacks" / name) for name in ("data", "compute", "api", "monitoring")]
    options: dict[str, Any] = {
        "endpoint": emulator.endpoint,
        "state_dir": tmp_path,
        "stack": f"t{uuid.uuid4().hex[:6]}",
    }
    lock = threading.Lock()
    events: list[Mapping[str, Any]] = []

    def note(event: Mapping[str, Any]) -> None:
        with lock:
            events.append(event)

    first = deploy(programs, **options, on_event=note)
    assert all(set(stack.counts) == {"created"} for stack in first.values())
    assert {event["state"] for event in events if event["event"] == "stack"} == {"started", "done"}
    again = deploy(programs, **options)
    assert all(set(stack.counts) == {"unchanged"} for stack in again.values())
    changed = deploy(programs, **options, config={"tap:lambdaMemory": "256"})
    assert {name for name, stack in changed.items() if set(stack.counts) != {"unchanged"}} == {"tap-compute"}
    assert changed["tap-compute"].counts["updated"] == 1
    destroy(programs, **options)
    with pytest.raises(ResourceError):
        Aws(emulator.endpoint).call("dynamodb", "describe_table", TableName=f"{stack}-items-table")
