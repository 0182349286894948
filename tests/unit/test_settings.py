"""Bad settings: one readable line each, all at once, before anything is registered."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from lib import program, settings
from lib.settings import Settings, SettingsError
from lib.tap_stack import TapStack, TapStackArgs
from tests import kit

POOL = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0"

# (what is given, the key that the error's line begins with, what the line says)
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"environment_suffix": "Dev"}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": ""}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": "-dev"}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": "dev-"}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": "dev.eu"}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": "dév"}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": "dev\n"}, "environmentSuffix", "must be lower-case letters"),
    ({"environment_suffix": "a" * 47}, "environmentSuffix", "at most 46 characters, so that the role's name fits"),
    ({"environment_suffix": ["dev"]}, "environmentSuffix", "must be lower-case letters"),
    ({"region": "us-esat-1"}, "aws:region", "us-east-1"),
    ({"region": ""}, "aws:region", "must be a commercial region"),
    ({"region": "us-gov-west-1"}, "aws:region", "must be a commercial region"),
    ({"region": "cn-north-1"}, "aws:region", "must be a commercial region"),
    ({"tags": {"": "x"}}, "tags", "not 1 to 128 characters: ''"),
    ({"tags": {"a" * 129: "x"}}, "tags", "not 1 to 128 characters"),
    ({"tags": {"aws:team": "x"}}, "tags", "belong to AWS"),
    ({"tags": {"AWS:team": "x"}}, "tags", "belong to AWS"),
    ({"tags": {"team": "x" * 257}}, "tags", "at most 256 characters"),
    ({"tags": {"team": 1}}, "tags", "'team' that is not a string"),
    ({"tags": {1: "team"}}, "tags", "not 1 to 128 characters: 1"),
    ({"tags": {"team": "a|b"}}, "tags", "a character other than"),
    ({"tags": {"team?": "a"}}, "tags", "a character other than"),
    ({"tags": {"owner": "me"}}, "tags", "'owner' beside 'Owner', which to IAM are one name"),
    ({"tags": {f"t{n}": "" for n in range(49)}}, "tags", "at most 50 tags with the defaults, got 51"),
    ({"tags": ["team"]}, "tags", "must map names to values"),
    ({"handler": "item"}, "handler", "one of items, smoke, got 'item' (items?)"),
    ({"lambda_runtime": "python3.8"}, "lambdaRuntime", "must be one of python3.9"),
    ({"lambda_runtime": "nodejs22.x"}, "lambdaRuntime", "must be one of python3.9"),
    ({"lambda_timeout": 30}, "lambdaTimeout", "at most 29 s behind a REST API"),
    ({"lambda_timeout": 0}, "lambdaTimeout", "from 1 to 900"),
    ({"lambda_timeout": 901, "gateway": "http"}, "lambdaTimeout", "from 1 to 900"),
    ({"lambda_timeout": 5.5}, "lambdaTimeout", "must be a whole number"),
    ({"lambda_timeout": True}, "lambdaTimeout", "must be a whole number"),
    ({"lambda_timeout": "5"}, "lambdaTimeout", "must be a whole number"),
    ({"lambda_timeout": None}, "lambdaTimeout", "must be a whole number"),
    ({"lambda_memory": 127}, "lambdaMemory", "from 128 to 10240"),
    ({"lambda_memory": 10241}, "lambdaMemory", "from 128 to 10240"),
    ({"lambda_reserved_concurrency": -1}, "lambdaReservedConcurrency", "from 0 to 1000"),
    ({"log_retention_days": 15}, "logRetentionDays", "must be one of 1, 3, 5, 7, 14"),
    ({"log_retention_days": True}, "logRetentionDays", "must be one of 1, 3, 5, 7, 14"),
    ({"log_retention_days": 0}, "logRetentionDays", "must be one of 1, 3, 5, 7, 14"),
    ({"log_level": "TRACE"}, "logLevel", "must be one of DEBUG"),
    ({"throttle_rate": 0}, "throttleRate", "from 1 to 10000"),
    ({"throttle_burst": 16}, "throttleBurst", "must not be below tap:throttleRate (17)"),
    ({"throttle_burst": 5001}, "throttleBurst", "from 1 to 5000"),
    ({"cors_origins": ()}, "corsOrigins", "at least one origin"),
    ({"cors_origins": "https://a.example"}, "corsOrigins", "must be a list"),
    ({"cors_origins": ("https://a.example/path",)}, "corsOrigins", "without a path; got 'https://a.example/path'"),
    ({"cors_origins": ("https://a.example/",)}, "corsOrigins", "without a path"),
    ({"cors_origins": ("a.example",)}, "corsOrigins", "must be * or origins like https://example.com"),
    ({"cors_origins": ("https://*.example",)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": ("https://A.example",)}, "corsOrigins", "as browsers send them"),
    ({"cors_origins": ("https://a.example:443",)}, "corsOrigins", "as browsers send them"),
    ({"cors_origins": ("https://a.example:65536",)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": ("https://a..example",)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": ("https://me@a.example",)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": ("null",)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": (7,)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": ("https://a.example\nx",)}, "corsOrigins", "must be * or origins"),
    ({"cors_origins": ("*", "https://a.example")}, "corsOrigins", "* alone or a list"),
    ({"cors_origins": tuple(f"https://{n:060}.example" for n in range(50))}, "corsOrigins", "at most 3000 characters"),
    ({"cors_credentials": True}, "corsCredentials", "browsers refuse credentials with *"),
    ({"cors_credentials": 1}, "corsCredentials", "must be true or false"),
    ({"require_if_match": "yes"}, "requireIfMatch", "must be true or false"),
    ({"gateway": "grpc"}, "gateway", "must be one of rest, http"),
    ({"authorization": "aws_iam"}, "authorization", "must be one of NONE, AWS_IAM"),
    ({"authorization": "COGNITO"}, "cognitoUserPoolArn", "is needed when tap:authorization is COGNITO"),
    ({"cognito_user_pool_arn": POOL}, "cognitoUserPoolArn", "and only then"),
    ({"cognito_user_pool_arn": "pool", "authorization": "COGNITO"}, "cognitoUserPoolArn", "a user pool's ARN"),
    (
        {"cognito_user_pool_arn": POOL.replace("us-east-1:", "eu-west-1:"), "authorization": "COGNITO"},
        "cognitoUserPoolArn",
        "must be of aws:region",
    ),
    ({"domain_name": "api.example.com"}, "certificateArn", "one is given without the other"),
    ({"certificate_arn": CERTIFICATE}, "certificateArn", "one is given without the other"),
    ({"domain_name": "https://api.example.com", "certificate_arn": CERTIFICATE}, "domainName", "must be a host name"),
    ({"domain_name": "localhost", "certificate_arn": CERTIFICATE}, "domainName", "must be a host name"),
    ({"domain_name": "a.example", "certificate_arn": "arn:aws:acm"}, "certificateArn", "an ACM certificate's ARN"),
    (
        {"domain_name": "a.example", "certificate_arn": CERTIFICATE, "region": "eu-west-1"},
        "certificateArn",
        "must be of aws:region, which is eu-west-1",
    ),
    ({"waf": None}, "waf", "must be true or false"),
    ({"alarm_duration_ms": 5000}, "alarmDurationMs", "must be below the timeout of 5 s, or it never fires"),
    ({"alarm_duration_ms": 0}, "alarmDurationMs", "from 1 to"),
    ({"lambda_timeout": 3}, "alarmDurationMs", "must be below the timeout of 3 s"),
    ({"alarm_emails": "me@example.com"}, "alarmEmails", "must be a list"),
    ({"alarm_emails": ("me",)}, "alarmEmails", "must be e-mail addresses, got 'me'"),
    ({"alarm_emails": ("me@localhost",)}, "alarmEmails", "must be e-mail addresses"),
    ({"alarm_emails": ("me@a.example", "me@a.example")}, "alarmEmails", "names me@a.example twice"),
    ({"deletion_protection": "true"}, "deletionProtection", "must be true or false"),
    ({"protect": 0}, "protect", "must be true or false"),
    ({"tracing": "Active"}, "tracing", "must be true or false"),
    ({"access_logs": "yes"}, "accessLogs", "must be true or false"),
    ({"execution_logs": "DEBUG"}, "executionLogs", "must be one of OFF, ERROR, INFO"),
    ({"detailed_metrics": "on"}, "detailedMetrics", "must be true or false"),
    ({"kms_key_arn": "alias/aws/sns"}, "kmsKeyArn", "must be a KMS key's ARN"),
    ({"kms_key_arn": KEY, "region": "eu-west-1"}, "kmsKeyArn", "must be of aws:region, which is eu-west-1"),
    ({"permissions_boundary_arn": "ReadOnlyAccess"}, "permissionsBoundaryArn", "must be an IAM policy's ARN"),
]


def lines(error: BaseException) -> dict[str, str]:
    """Return the report's lines as {key: what is said of it}."""
    first, *rest = str(error).splitlines()
    assert first == "the settings are not valid; nothing was changed:"
    assert all(line.startswith("  ") for line in rest), rest
    found = dict(line.strip().split(" ", 1) for line in rest)
    assert len(found) == len(rest), f"a key is reported twice: {rest}"
    return found


@pytest.mark.parametrize(("given", "key", "says"), BAD, ids=[f"{key}-{n}" for n, (_, key, _) in enumerate(BAD)])
def test_a_bad_setting_gives_one_line_that_names_its_key(given: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**given)
    found = lines(raised.value)
    name = key if ":" in key else f"tap:{key}"
    assert found.keys() == {name}
    assert says in found[name]


def test_every_setting_has_a_bad_value_above() -> None:
    keys = {key.removeprefix("tap:") for _, key, _ in BAD}
    assert keys == {settings._key(field.name) for field in dataclasses.fields(Settings) if field.init}


def test_every_setting_has_a_check() -> None:
    assert settings._CHECKS.keys() == {field.name for field in dataclasses.fields(Settings) if field.init}, (
        "a field without a check takes anything"
    )


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(environment_suffix="Dev", lambda_memory=1, throttle_burst=1, cors_origins=("x",), region="mars")
    assert lines(raised.value).keys() == {
        "tap:environmentSuffix",
        "tap:lambdaMemory",
        "tap:throttleBurst",
        "tap:corsOrigins",
        "aws:region",
    }


# What configuration, which is text, can get wrong before a value is even looked at.
UNREADABLE = [
    ("lambdaTimeout", "five", "must be a whole number, got 'five'"),
    ("lambdaTimeout", "5.0", "must be a whole number, got '5.0'"),
    ("lambdaTimeout", "", "must be a whole number, got ''"),
    ("lambdaTimeout", "9" * 5000, "must be a whole number"),
    ("lambdaTimeout", "\N{ARABIC-INDIC DIGIT FIVE}", "must be a whole number"),
    ("tracing", "yes", "must be true or false, got 'yes'"),
    ("tracing", "True", "must be true or false, got 'True'"),
    ("corsOrigins", "https://a.example", 'must be a JSON list like ["a", "b"]'),
    ("corsOrigins", '{"a": "b"}', "must be a JSON list"),
    ("corsOrigins", "[" * 100_000, "must be a JSON list"),
    ("tags", "Owner=me", 'must be a JSON object like {"name": "value"}'),
    ("tags", '["Owner"]', "must be a JSON object"),
    ("tags", "null", "must be a JSON object"),
    ("alarmEmails", "me@example.com", "must be a JSON list"),
    ("lambdaTimout", "5", "is not a setting; did you mean tap:lambdaTimeout?"),
    ("lambda_timeout", "5", "is not a setting; did you mean tap:lambdaTimeout?"),
    ("LambdaTimeout", "5", "is not a setting; did you mean tap:lambdaTimeout?"),
    ("tag", "{}", "is not a setting; did you mean tap:tags?"),
    ("production", "true", "is not a setting"),
    ("zzz", "5", "is not a setting"),
    ("region", "us-east-1", "write it as aws:region"),
]


@pytest.mark.parametrize(("key", "text", "says"), UNREADABLE, ids=[f"{key}={text[:9]}" for key, text, _ in UNREADABLE])
def test_configuration_that_cannot_be_read_gives_one_line(key: str, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        kit.recorded(Settings.load, **{key: text})
    assert lines(raised.value).keys() == {f"tap:{key}"}
    assert says in str(raised.value)
    assert len(str(raised.value)) < 1000, "the input is not repeated without end"


@pytest.mark.parametrize("key", ["alarmEmails", "environmentSuffix", "lambdaMemory", "unheardOf"])
def test_a_setting_that_is_kept_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The program gets it in the clear, and would put it where everybody reads it."""
    monkeypatch.setattr("pulumi.runtime.config.is_config_secret", f"tap:{key}".__eq__)
    recording, error = kit.attempt(kit.ROOT, {f"tap:{key}": "Hunter2", "tap:lambdaTimeout": "0"})
    assert recording.resources == []
    assert f"tap:{key} is set as a secret" in str(error)
    assert "tap:lambdaTimeout must be" in str(error), "every error at once"
    assert "Hunter2" not in str(error)


@pytest.mark.parametrize("directory", [*kit.STACK_DIRECTORIES, kit.ROOT], ids=lambda path: path.name)
def test_a_program_with_bad_settings_registers_nothing(directory: Any) -> None:
    config = {"tap:lambdaTimout": "5", "tap:lambdaMemory": "lots", "tap:corsOrigins": '["x"]', "aws:region": "mars"}
    recording, error = kit.attempt(directory, config)
    assert isinstance(error, SettingsError)
    assert lines(error).keys() == {"tap:lambdaTimout", "tap:lambdaMemory", "tap:corsOrigins", "aws:region"}
    assert recording.resources == []
    assert recording.exports == {}


def test_tapstack_with_bad_arguments_registers_nothing() -> None:
    with pytest.raises(SettingsError):
        kit.recorded(lambda: TapStack("tap", TapStackArgs(environment_suffix="Dev")))


def test_the_defaults_are_the_specification_s() -> None:
    given = TapStackArgs()
    assert given.environment_suffix == "dev"
    assert given.region == "us-east-1"
    assert given.handler == "items"
    assert (given.lambda_runtime, given.lambda_timeout, given.lambda_memory) == ("python3.9", 5, 128)
    assert given.log_retention_days == 14
    assert (given.throttle_rate, given.throttle_burst) == (17, 50)
    assert given.cors_origins == ("*",)
    assert given.alarm_duration_ms == 4000
    assert given.all_tags == {"Project": "IaC-Nova-Test", "Owner": "LLM-Eval"}
    off = ("cors_credentials", "require_if_match", "waf", "deletion_protection", "protect", "tracing", "access_logs")
    assert not any(getattr(given, name) for name in (*off, "detailed_metrics"))
    assert given.authorization == "NONE"


def test_tapstack_s_arguments_are_the_specification_s() -> None:
    given = TapStackArgs(environment_suffix="dev", tags=None)
    assert given == TapStackArgs()
    assert TapStackArgs(tags={"Owner": "me"}).all_tags == {"Project": "IaC-Nova-Test", "Owner": "me"}


def test_the_suffix_is_the_stack_s_name_unless_it_is_given() -> None:
    found = []
    kit.recorded(lambda: found.append(Settings.load()))
    kit.recorded(lambda: found.append(Settings.load()), environmentSuffix="blue")
    assert [one.environment_suffix for one in found] == ["dev", "blue"]


def test_a_program_s_own_defaults_lose_to_configuration() -> None:
    found = []

    def program() -> None:
        found.append(Settings.load(lambda_memory=512, lambda_timeout=20, in_production={"log_retention_days": 365}))

    kit.recorded(program, lambdaMemory="256")
    kit.recorded(program, environmentSuffix="prod")
    assert [(one.lambda_memory, one.lambda_timeout, one.log_retention_days) for one in found] == [
        (256, 20, 14),
        (512, 20, 365),
    ]


def test_what_was_checked_stays_as_it_was() -> None:
    tags = {"Team": "a"}
    origins = ["https://a.example"]
    given = Settings(tags=tags, cors_origins=origins)  # type: ignore[arg-type]  # as a caller without types may
    tags["aws:x"] = "b"
    origins.append("https://a.example/path")
    assert given.all_tags["Team"] == "a"
    assert "aws:x" not in given.all_tags
    assert given.cors_origins == ("https://a.example",)
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.lambda_timeout = 900  # type: ignore[misc]


@pytest.mark.parametrize(
    "given",
    [
        {"environment_suffix": "a" * 46},
        {"environment_suffix": "pr-12"},
        {"environment_suffix": "7"},
        {"lambda_timeout": 29, "alarm_duration_ms": 28_999},
        {"lambda_timeout": 900, "gateway": "http"},
        {"lambda_memory": 10240},
        {"lambda_reserved_concurrency": 0},
        {"throttle_rate": 50, "throttle_burst": 50},
        {"cors_origins": ("http://localhost:3000", "https://xn--bcher-kva.example", "http://127.0.0.1:8080")},
        {"cors_origins": ("https://a.example:80",), "cors_credentials": True},
        {"tags": {"Kosten stelle": "Größe 4 / 5 @ +7:8_9.x=y-z", "Empty": ""}},
        {"tags": {"Owner": "me"}},
        {"region": "us-west-2"},
        {"region": "ap-southeast-7"},
        {"kms_key_arn": KEY.replace("us-east-1", "eu-west-1"), "region": "eu-west-1"},
        {"authorization": "COGNITO", "cognito_user_pool_arn": POOL},
        {"domain_name": "api.example.com", "certificate_arn": CERTIFICATE},
        {"alarm_emails": ("first.last+tap@mail.example.com",)},
    ],
    ids=json.dumps,
)
def test_a_good_setting_is_taken(given: dict[str, Any]) -> None:
    Settings(**given)


def test_the_longest_suffix_fits_every_name_that_is_built_from_it() -> None:
    suffix = "a" * settings.MAX_SUFFIX
    system = kit.deployed("stacks", environmentSuffix=suffix)
    limits = {"Table": 255, "Role": 64, "Function": 64, "LogGroup": 512, "Topic": 256, "RestApi": 1024}
    lengths = {kind: len(system.one(kind).inputs["name"]) for kind in limits}
    assert all(lengths[kind] <= limits[kind] for kind in limits), lengths
    assert lengths["Role"] == 64, "a shorter limit than needed"


def test_every_setting_is_used_by_the_programs() -> None:
    """A setting that is taken and does nothing is a lie; here each one is read while the system is described."""
    read: set[str] = set()

    class Watched(Settings):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    args = Watched(environment_suffix="dev")
    read.clear()
    kit.recorded(lambda: TapStack("tap", args))
    # The provider has the region; the items API is a REST API, the other systems choose with `gateway`.
    elsewhere = {"region", "gateway"}
    unread = {field.name for field in dataclasses.fields(Settings) if field.init} - read - elsewhere
    assert not unread, "a setting that changes nothing"


def test_every_setting_is_documented_with_its_default() -> None:
    text = (kit.ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w:]+)` \| (.+?) \|", text, re.MULTILINE))

    def shown(value: Any) -> str:
        if value is None:
            return "none"
        return f"`{json.dumps(value) if isinstance(value, bool | tuple | int) else value}`"

    wanted = {}
    for field in dataclasses.fields(Settings):
        if field.init:
            key = settings._key(field.name)
            wanted[key if ":" in key else f"tap:{key}"] = shown(field.default)
    wanted["tap:environmentSuffix"] = "the stack's name"
    assert rows == wanted


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_committed_configuration_repeats_no_default(stack: str) -> None:
    """A line that repeats a default hides the differences between the environments."""
    given = {key: value for key, value in program.Program(kit.ROOT).config(stack).items() if key.startswith("tap:")}
    found: list[Settings] = []
    kit.recorded(lambda: found.append(Settings.load()), **{key.removeprefix("tap:"): given[key] for key in given})
    names = {f"tap:{settings._key(field.name)}": field.name for field in dataclasses.fields(Settings)}
    repeated = [key for key in given if getattr(found[0], names[key]) == getattr(Settings(), names[key])]
    assert not repeated
