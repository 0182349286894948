"""Lambda functions, their logs, and who may invoke them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lib.plan.recorder import Recorded, Secret
from lib.runtimes import RUNTIMES
from policy.model import View, nested, rule

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/lambda-controls.html"
LOG_CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/cloudwatch-controls.html"

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:secret|password|passwd|pwd|token|credential|credentials|api_?key|access_?key|private_?key)(?:_|$)",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|\b(?:ghp|gho|ghs|github_pat|xox[abp]|sk_live)_?-?[0-9A-Za-z_-]{20,}"
    r"|\w+://[^/\s:@]+:[^/\s:@]+@"
)


@rule(
    "function-explicit-limits",
    "medium",
    "lambda:Function",
    reason="The defaults (128 MB, 3 s) are nobody's decision; cost and behaviour under load follow from them.",
    link="https://docs.aws.amazon.com/lambda/latest/dg/configuration-function-common.html",
    fix="Set memory_size and timeout.",
)
def explicit_limits(function: Recorded, _view: View) -> Iterator[str]:
    for key in ("memorySize", "timeout"):
        if not function.inputs.get(key):
            yield f"{key} is not set"


@rule(
    "function-supported-runtime",
    "medium",
    "lambda:Function",
    reason="AWS no longer patches an expired runtime, and later refuses to update functions that use it.",
    link=f"{CONTROLS}#lambda-2",
    fix="Set tap:lambdaRuntime to a runtime that AWS patches.",
)
def supported_runtime(function: Recorded, view: View) -> Iterator[str]:
    name = function.inputs.get("runtime")
    if name not in RUNTIMES:
        yield f"the runtime {name} is not a Python that AWS runs"
    elif view.today >= RUNTIMES[name].unpatched:
        yield f"the runtime {name} has not been patched since {RUNTIMES[name].unpatched}"


@rule(
    "function-log-group",
    "medium",
    "lambda:Function",
    whole_stack=True,
    reason="Without its own log group, Lambda makes one that keeps logs for ever and that no program manages.",
    link=f"{LOG_CONTROLS}#cloudwatch-16",
    fix="Make the LogGroup in the same program and let the function depend on it.",
)
def log_group(function: Recorded, view: View) -> Iterator[str]:
    name = nested(function, "loggingConfig").get("logGroup") or f"/aws/lambda/{function.inputs.get('name')}"
    groups = [group for group in view.of("cloudwatch:LogGroup") if group.inputs.get("name") == name]
    if not groups:
        yield f"no log group {name} is in its program"
    elif groups[0].urn not in function.depends_on:
        yield f"it does not wait for its log group {name}"


@rule(
    "log-retention",
    "medium",
    "cloudwatch:LogGroup",
    reason="Logs that are kept for ever cost for ever and hold personal data longer than anyone promised.",
    link=f"{LOG_CONTROLS}#cloudwatch-16",
    fix="Set retention_in_days.",
    config={"minimumDays": 1},
)
def log_retention(group: Recorded, view: View) -> Iterator[str]:
    days = group.inputs.get("retentionInDays") or 0
    if days == 0:
        yield "its logs are kept for ever"
    elif days < view.config["minimumDays"]:
        yield f"its logs are kept {int(days)} days, not {int(view.config['minimumDays'])}"


@rule(
    "function-no-secrets",
    "critical",
    "lambda:Function",
    reason="Everyone who may describe the function reads its environment.",
    link="https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
    fix="Keep the secret in Secrets Manager or Parameter Store and give the function the right to read it.",
)
def no_secrets(function: Recorded, _view: View) -> Iterator[str]:
    environment = function.inputs.get("environment")
    variables = nested(function, "environment").get("variables") or {}
    if isinstance(environment, Secret) or isinstance(variables, Secret):
        yield "its environment holds a value that the program marks secret"
        return
    for name, value in variables.items():
        # A name that says where the secret is kept is how it should be done.
        if _SECRET_NAME.search(name) and not str(value).startswith("arn:") and not name.endswith(("_ARN", "_NAME")):
            yield f"the environment variable {name} is named like a secret"
        elif isinstance(value, str) and _SECRET_VALUE.search(value):
            yield f"the environment variable {name} holds what looks like a secret"


@rule(
    "function-tracing",
    "low",
    "lambda:Function",
    reason="A slow request in production is explained by its trace or not at all.",
    link=f"{CONTROLS}#lambda-7",
    fix="Set tap:tracing to true for the environment.",
)
def tracing(function: Recorded, view: View) -> Iterator[str]:
    if view.production and nested(function, "tracingConfig").get("mode") != "Active":
        yield "tracing is not active in production"


@rule(
    "permission-source",
    "critical",
    "lambda:Permission",
    reason="Without a source, anyone's API, topic or bucket in any account may invoke the function.",
    link=f"{CONTROLS}#lambda-1",
    fix="Set source_arn to the one API (or topic, or bucket) that invokes, and action to lambda:InvokeFunction.",
)
def permission_source(permission: Recorded, _view: View) -> Iterator[str]:
    inputs = permission.inputs
    source = inputs.get("sourceArn")
    principal = str(inputs.get("principal"))
    if not source:
        yield "it has no source ARN"
    elif _open_source(source):
        yield "its source ARN matches more than one API"
    if "*" in principal:
        yield "everyone is its principal"
    if inputs.get("action") != "lambda:InvokeFunction":
        yield f"it allows {inputs.get('action')}, not lambda:InvokeFunction alone"
    if inputs.get("functionUrlAuthType") == "NONE":
        yield "it opens a function URL without authorization"


def _open_source(arn: str) -> bool:
    # What comes before the first slash says which API; stage, method and path after it may be open.
    return "*" in arn.partition("/")[0]
