"""Everything configurable about one environment: one frozen, validated object.

The defaults are the specification's. Every program reads the same configuration namespace, `tap`, and the region from
`aws:region`; all that is wrong is reported at once, before any resource exists.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, Self, get_args, get_type_hints

import pulumi
from pulumi.runtime import config as pulumi_config
from pulumi_aws import Region

from lib.runtimes import RUNTIMES

NAMESPACE = "tap"
DEFAULT_TAGS = {"Project": "IaC-Nova-Test", "Owner": "LLM-Eval"}
DEFAULT_REGION = "us-east-1"
# The environments whose settings and rules are production's.
PRODUCTION = frozenset({"prod", "production"})

# The longest name built from the suffix is the role's, `{suffix}-items-lambda-role`; IAM allows 64 characters.
MAX_SUFFIX = 64 - len("-items-lambda-role")
# A REST API gives up on its integration after this many seconds.
REST_TIMEOUT = 29
# Lambda takes 4 KB of environment; the rest is for the other variables.
MAX_ORIGINS = 3000
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


class SettingsError(pulumi.RunError):
    """All that is wrong with the given settings, one line each; Pulumi shows it without a stack trace."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One environment's settings. Build it from values, or from Pulumi configuration with `load`."""

    environment_suffix: str = "dev"
    tags: Mapping[str, str] | None = None
    region: str = DEFAULT_REGION

    handler: Literal["items", "smoke"] = "items"
    lambda_runtime: str = "python3.9"
    lambda_timeout: int = 5
    lambda_memory: int = 128
    lambda_reserved_concurrency: int | None = None
    log_retention_days: int = 14
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    throttle_rate: int = 17
    throttle_burst: int = 50
    cors_origins: tuple[str, ...] = ("*",)
    cors_credentials: bool = False
    require_if_match: bool = False
    gateway: Literal["rest", "http"] = "rest"
    authorization: Literal["NONE", "AWS_IAM", "API_KEY", "COGNITO"] = "NONE"
    cognito_user_pool_arn: str | None = None
    domain_name: str | None = None
    certificate_arn: str | None = None
    waf: bool = False

    alarm_duration_ms: int = 4000
    alarm_emails: tuple[str, ...] = ()

    deletion_protection: bool = False
    protect: bool = False
    tracing: bool = False
    access_logs: bool = False
    execution_logs: Literal["OFF", "ERROR", "INFO"] = "OFF"
    detailed_metrics: bool = False
    kms_key_arn: str | None = None
    permissions_boundary_arn: str | None = None

    production: bool = field(init=False)

    def __post_init__(self) -> None:
        # Values are copied, so that what was checked stays as it was; a list is as good as a tuple to a caller.
        for name in ("cors_origins", "alarm_emails"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.tags, Mapping):
            object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))
        object.__setattr__(self, "production", any(self.environment_suffix == name for name in PRODUCTION))
        problems = _problems(self)
        if problems:
            raise SettingsError(_report(problems))

    @property
    def all_tags(self) -> dict[str, str]:
        """The given tags over the defaults."""
        return {**DEFAULT_TAGS, **(self.tags or {})}

    @classmethod
    def load(
        cls, *, in_production: Mapping[str, Any] | None = None, without: Collection[str] = (), **defaults: Any
    ) -> Self:
        """Read the running program's configuration; `defaults` are the program's own where the spec's differ.

        The environment suffix defaults to the stack's name; in production, `in_production` is laid over the defaults.
        A field of `without` does nothing in this program, so configuring it is refused.
        """
        configured = _configured()
        problems = [(key, SHOWN_TO_ALL) for key, raw in configured.items() if _is_secret(key, raw)]
        configured = {key: raw for key, raw in configured.items() if not _is_secret(key, raw)}
        suffix = configured.get("environmentSuffix", pulumi.get_stack())
        values: dict[str, Any] = {"environment_suffix": suffix, **defaults}
        if suffix in PRODUCTION:
            values |= in_production or {}
        region = pulumi.Config("aws").get("region")
        if region:
            values["region"] = region
        hints = get_type_hints(cls)
        known = {_key(f.name): f.name for f in fields(cls) if f.init and f.name != "region"}
        for key, raw in configured.items():
            if key == "region":
                problems.append((key, "is the AWS provider's own setting; write it as aws:region"))
                continue
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                problems.append((key, f"is not a setting{f'; did you mean {NAMESPACE}:{near[0]}?' if near else ''}"))
                continue
            if known[key] in without:
                problems.append((key, f"does nothing in {pulumi.get_project()}; it would only look as if it did"))
                continue
            try:
                values[known[key]] = _parse(raw, hints[known[key]])
            except ValueError as error:
                problems.append((key, str(error)))
        try:
            settings = cls(**values)
        except SettingsError as error:
            raise SettingsError("\n".join([str(error), *(_line(*problem) for problem in problems)])) from None
        if problems:
            raise SettingsError(_report(problems))
        return settings


SHOWN_TO_ALL = (
    "is set as a secret, and no setting can stay one: they are in names, plans and the state; set it with --plaintext"
)


def _is_secret(key: str, raw: Any) -> bool:
    # Who runs a program without the passphrase gives it the mask.
    return raw == "[secret]" or pulumi_config.is_config_secret(f"{NAMESPACE}:{key}")


def _configured() -> dict[str, Any]:
    # Config has no way to list what was set, and a misspelt key shows only in such a list.
    everything = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    return {key.split(":", 1)[1]: value for key, value in everything.items() if key.startswith(f"{NAMESPACE}:")}


def _key(name: str) -> str:
    if name == "region":
        return "aws:region"
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _line(key: str, message: str) -> str:
    # A value that is far too long would hide the other lines.
    message = message if len(message) <= 500 else f"{message[:500]}..."
    return f"  {key if ':' in key else f'{NAMESPACE}:{key}'} {message}"


def _report(problems: list[tuple[str, str]]) -> str:
    return "\n".join(["the settings are not valid; nothing was changed:", *(_line(*problem) for problem in problems)])


def _parse(raw: Any, hint: Any) -> Any:
    """Turn Pulumi's string form of a value into the field's type; a wrong form is a ValueError that says so."""
    text = str(raw)
    kinds = get_args(hint) or (hint,)
    if bool in kinds:
        if text not in {"true", "false"}:
            raise ValueError(f"must be true or false, got {text!r}")
        return text == "true"
    if int in kinds:
        if not re.fullmatch(r"-?[0-9]{1,9}", text):
            raise ValueError(f"must be a whole number, got {text!r}")
        return int(text)
    if hint == tuple[str, ...] or Mapping[str, str] in kinds:
        wanted, form = (list, '["a", "b"]') if hint == tuple[str, ...] else (dict, '{"name": "value"}')
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, wanted):
            raise ValueError(f"must be a JSON {'list' if wanted is list else 'object'} like {form}, got {text!r}")
        return tuple(value) if wanted is list else value
    return text


def _between(low: int, high: int, *, optional: bool = False) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if (value is None and optional) or (
            isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        ):
            return None
        return f"must be a whole number from {low} to {high}, got {value!r}"

    return check


def _matches(pattern: str, meaning: str) -> Callable[[Any], str | None]:
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        if value is None or (isinstance(value, str) and compiled.fullmatch(value)):
            return None
        return f"must be {meaning}, got {value!r}"

    return check


def _one_of(*choices: Any) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if any(value == choice and type(value) is type(choice) for choice in choices):
            return None
        near = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1)
        return f"must be one of {', '.join(map(str, choices))}, got {value!r}" + (f" ({near[0]}?)" if near else "")

    return check


def _region(value: Any) -> str | None:
    # The partitions of China and of governments have ARNs of their own, and not all of these services.
    regions = [region.value for region in Region if not region.value.startswith(("cn-", "us-gov-", "us-iso"))]
    if value in regions:
        return None
    near = " or ".join(difflib.get_close_matches(str(value), regions, n=3))
    return f"must be a commercial region of AWS, got {value!r}" + (f"; did you mean {near}?" if near else "")


def _suffix(value: Any) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", value):
        return f"(the stack's name, unless set) must be lower-case letters, digits and inner hyphens, got {value!r}"
    if len(value) > MAX_SUFFIX:
        return f"must be at most {MAX_SUFFIX} characters, so that the role's name fits IAM's 64; got {len(value)}"
    return None


def _tags(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return f"must map names to values, got {value!r}"
    if len({**DEFAULT_TAGS, **value}) > 50:
        return f"must be at most 50 tags with the defaults, got {len({**DEFAULT_TAGS, **value})}"
    seen = {name.lower(): name for name in DEFAULT_TAGS}
    for name, text in value.items():
        problem = _tag(name, text)
        if problem:
            return problem
        if seen.setdefault(name.lower(), name) != name:
            return f"has {name!r} beside {seen[name.lower()]!r}, which to IAM are one name"
    return None


# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
_TAG_TEXT = re.compile(r"[\w .:/=+\-@]*")


def _tag(name: Any, text: Any) -> str | None:
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        return f"has a tag name that is not 1 to 128 characters: {name!r}"
    if name.lower().startswith("aws:"):
        return f"has the tag {name!r}; names beginning with aws: belong to AWS"
    if not isinstance(text, str) or len(text) > 256:
        return f"has a value for {name!r} that is not a string of at most 256 characters"
    if not _TAG_TEXT.fullmatch(name) or not _TAG_TEXT.fullmatch(text):
        return f"has a tag {name!r} with a character other than letters, digits, spaces and .:/=+-@_"
    return None


def _origins(value: Any) -> str | None:
    if not isinstance(value, tuple) or not value:
        return f"must be a list of at least one origin, got {value!r}"
    for origin in value:
        if origin != "*" and not (isinstance(origin, str) and _is_origin(origin)):
            return (
                f"must be * or origins like https://example.com, as browsers send them, without a path; got {origin!r}"
            )
    if "*" in value and len(value) > 1:
        return "must be * alone or a list of origins, not both"
    if len(",".join(value)) > MAX_ORIGINS:
        return f"must fit the function's environment: at most {MAX_ORIGINS} characters, got {len(','.join(value))}"
    return None


def _is_origin(text: str) -> bool:
    found = _ORIGIN.fullmatch(text)
    if not found:
        return False
    scheme, port = found.groups()
    # A browser leaves the scheme's own port out, so an origin that has it would match no request.
    return port is None or (0 < int(port) <= 65535 and int(port) != {"http": 80, "https": 443}[scheme])


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN = re.compile(rf"(https?)://{_LABEL}(?:\.{_LABEL})*(?::([1-9]\d{{0,4}}))?")
_ARN = r"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:{resource}"


def _emails(value: Any) -> str | None:
    if not isinstance(value, tuple):
        return f"must be a list of addresses, got {value!r}"
    for address in value:
        if not isinstance(address, str) or not re.fullmatch(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+", address):
            return f"must be e-mail addresses, got {address!r}"
        if value.count(address) > 1:
            return f"names {address} twice"
    return None


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, got {value!r}"


# One line per field; a field without a check is a mistake that a test finds.
_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "environment_suffix": _suffix,
    "tags": _tags,
    "region": _region,
    "handler": _one_of("items", "smoke"),
    "lambda_runtime": _one_of(*RUNTIMES),
    "lambda_timeout": _between(1, 900),
    "lambda_memory": _between(128, 10240),
    "lambda_reserved_concurrency": _between(0, 1000, optional=True),
    "log_retention_days": _one_of(*RETENTION_DAYS),
    "log_level": _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    "throttle_rate": _between(1, 10_000),
    "throttle_burst": _between(1, 5_000),
    "cors_origins": _origins,
    "cors_credentials": _flag,
    "require_if_match": _flag,
    "gateway": _one_of("rest", "http"),
    "authorization": _one_of("NONE", "AWS_IAM", "API_KEY", "COGNITO"),
    "cognito_user_pool_arn": _matches(_ARN.format(service="cognito-idp", resource="userpool/.+"), "a user pool's ARN"),
    "domain_name": _matches(rf"(?:{_LABEL}\.)+[a-z]{{2,63}}", "a host name like api.example.com"),
    "certificate_arn": _matches(_ARN.format(service="acm", resource="certificate/.+"), "an ACM certificate's ARN"),
    "waf": _flag,
    "alarm_duration_ms": _between(1, 900_000),
    "alarm_emails": _emails,
    "deletion_protection": _flag,
    "protect": _flag,
    "tracing": _flag,
    "access_logs": _flag,
    "execution_logs": _one_of("OFF", "ERROR", "INFO"),
    "detailed_metrics": _flag,
    "kms_key_arn": _matches(_ARN.format(service="kms", resource="key/.+"), "a KMS key's ARN"),
    "permissions_boundary_arn": _matches(r"arn:aws[a-z-]*:iam::(?:\d{12}|aws):policy/.+", "an IAM policy's ARN"),
}


# Rules that join fields: the key to report, the fields it reads, whether it is broken, and what to say.
_JointCheck = tuple[str, tuple[str, ...], Callable[[Settings], bool], Callable[[Settings], str]]


def _of_the_region(name: str) -> _JointCheck:
    def elsewhere(settings: Settings) -> bool:
        arn: str | None = getattr(settings, name)
        return arn is not None and arn.split(":")[3] != settings.region

    return name, ("region",), elsewhere, lambda settings: f"must be of aws:region, which is {settings.region}"


_JOINT_CHECKS: list[_JointCheck] = [
    (
        "lambda_timeout",
        ("gateway",),
        lambda s: s.gateway == "rest" and s.lambda_timeout > REST_TIMEOUT,
        lambda s: f"must be at most {REST_TIMEOUT} s behind a REST API, which gives up then; got {s.lambda_timeout}",
    ),
    (
        "throttle_burst",
        ("throttle_rate",),
        lambda s: s.throttle_burst < s.throttle_rate,
        lambda s: f"must not be below tap:throttleRate ({s.throttle_rate}), which it would cap; got {s.throttle_burst}",
    ),
    (
        "cors_credentials",
        ("cors_origins",),
        lambda s: s.cors_credentials and "*" in s.cors_origins,
        lambda _: "needs tap:corsOrigins to list origins: browsers refuse credentials with *",
    ),
    (
        "alarm_duration_ms",
        ("lambda_timeout",),
        lambda s: s.alarm_duration_ms >= s.lambda_timeout * 1000,
        lambda s: f"must be below the timeout of {s.lambda_timeout} s, or it never fires; got {s.alarm_duration_ms}",
    ),
    (
        "cognito_user_pool_arn",
        ("authorization",),
        lambda s: (s.authorization == "COGNITO") != (s.cognito_user_pool_arn is not None),
        lambda _: "is needed when tap:authorization is COGNITO, and only then",
    ),
    (
        "certificate_arn",
        ("domain_name",),
        lambda s: (s.domain_name is None) != (s.certificate_arn is None),
        lambda _: "and tap:domainName go together: one is given without the other",
    ),
    _of_the_region("certificate_arn"),
    _of_the_region("kms_key_arn"),
    _of_the_region("cognito_user_pool_arn"),
]


def _problems(settings: Settings) -> list[tuple[str, str]]:
    found = {name: problem for name, check in _CHECKS.items() if (problem := check(getattr(settings, name)))}
    for name, others, broken, message in _JOINT_CHECKS:
        if not found.keys() & {name, *others} and broken(settings):
            found[name] = message(settings)
    return [(_key(name), problem) for name, problem in found.items()]
