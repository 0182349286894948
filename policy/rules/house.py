"""What holds for every resource."""

from __future__ import annotations

from collections.abc import Iterator

from lib.plan.recorder import Recorded, resource_class
from policy.model import View, nested, rule


@rule(
    "required-tags",
    "low",
    reason="Costs, owners and clean-ups are found by tag.",
    link="https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
    fix="Pass the settings' all_tags to the resource.",
    config={"tags": ["Project", "Owner"]},
)
def required_tags(resource: Recorded, view: View) -> Iterator[str]:
    if not resource.type.startswith("aws:") or not hasattr(resource_class(resource.type), "tags"):
        return
    missing = [tag for tag in view.config["tags"] if tag not in nested(resource, "tags")]
    if missing:
        yield f"it has no tag {', '.join(missing)}"


@rule(
    "state-machine-logs",
    "medium",
    "sfn:StateMachine",
    reason="A failed execution in production is explained by its log and its trace.",
    link="https://docs.aws.amazon.com/securityhub/latest/userguide/stepfunctions-controls.html#stepfunctions-1",
    fix="Set logging_configuration (ERROR or ALL) and tracing_configuration in production.",
)
def state_machine_logs(machine: Recorded, view: View) -> Iterator[str]:
    if not view.production:
        return
    if nested(machine, "loggingConfiguration").get("level") not in {"ALL", "ERROR"}:
        yield "it logs nothing in production"
    if nested(machine, "tracingConfiguration").get("enabled") is not True:
        yield "tracing is not on in production"
