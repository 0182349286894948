"""Alarms, the topics they notify, and the keys of those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lib.plan.recorder import Recorded
from policy.model import View, conditions, listed, nested, principals, rule, statements

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/cloudwatch-controls.html"
SNS_CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/sns-controls.html"
CLOUDWATCH = "cloudwatch.amazonaws.com"
ALARM_KEYS = "https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns"

# What each of Lambda's metrics means something as.
_STATISTICS = {
    "Errors": {"Sum"},
    "Throttles": {"Sum"},
    "DeadLetterErrors": {"Sum"},
    "Duration": {"Average", "Maximum"},
}
_SCOPED = {"aws:sourceaccount", "aws:sourcearn", "aws:sourceowner", "aws:principalorgid", "aws:principalaccount"}


@rule(
    "alarm-actions",
    "high",
    "cloudwatch:MetricAlarm",
    reason="An alarm that notifies nobody is a coloured dot on a page that nobody looks at.",
    link=f"{CONTROLS}#cloudwatch-15",
    fix="Set alarm_actions to the topic.",
)
def actions(alarm: Recorded, _view: View) -> Iterator[str]:
    if not listed(alarm.inputs.get("alarmActions")):
        yield "it has no alarm action"
    if alarm.inputs.get("actionsEnabled") is False:
        yield "its actions are switched off"


@rule(
    "alarm-statistic",
    "medium",
    "cloudwatch:MetricAlarm",
    reason="The average of an error count is at most 1 and a sum of durations means nothing: such alarms mislead.",
    link="https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    fix="Sum for Errors and Throttles, Average, Maximum or a percentile for Duration.",
)
def statistic(alarm: Recorded, _view: View) -> Iterator[str]:
    if alarm.inputs.get("namespace") != "AWS/Lambda":
        return
    metric = str(alarm.inputs.get("metricName"))
    given = alarm.inputs.get("statistic")
    right = _STATISTICS.get(metric)
    percentile = metric == "Duration" and alarm.inputs.get("extendedStatistic")
    if right and given not in right and not percentile:
        yield f"the statistic {given} of {metric} is not {' or '.join(sorted(right))}"
    if not nested(alarm, "dimensions").get("FunctionName"):
        yield "it watches no function: FunctionName is not among its dimensions"


@rule(
    "alarm-missing-data",
    "medium",
    "cloudwatch:MetricAlarm",
    reason="A function that nobody calls sends no data; by default its alarm then says nothing at all.",
    link="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html",
    fix="Set treat_missing_data to notBreaching (or breaching).",
)
def missing_data(alarm: Recorded, _view: View) -> Iterator[str]:
    if alarm.inputs.get("treatMissingData") not in {"notBreaching", "breaching"}:
        yield "it does not say whether missing data is breaching"


@rule(
    "topic-not-public",
    "critical",
    "sns:TopicPolicy",
    reason="Anyone could read what is published, or publish false alarms.",
    link=f"{SNS_CONTROLS}#sns-4",
    fix="Name the service and hold it to this account with aws:SourceAccount.",
)
def topic_not_public(policy: Recorded, _view: View) -> Iterator[str]:
    for statement in statements(policy, "policy"):
        if statement.get("Effect") != "Allow":
            continue
        scoped = set(conditions(statement)) & _SCOPED
        for kind, who in principals(statement):
            if who == "*" and not scoped:
                yield "everyone is allowed, in any account"
            elif kind == "Service" and not scoped:
                yield f"{who} is allowed for any account"


@rule(
    "topic-tls-only",
    "medium",
    "sns:Topic",
    whole_stack=True,
    reason="What is published over plain HTTP can be read and changed on its way.",
    link="https://docs.aws.amazon.com/sns/latest/dg/sns-security-best-practices.html",
    fix="Deny sns:Publish where aws:SecureTransport is false, in the topic's policy.",
)
def topic_tls_only(topic: Recorded, view: View) -> Iterator[str]:
    said = [s for policy in view.about(topic, "arn", "sns:TopicPolicy") for s in statements(policy, "policy")]
    if not any(_denies_plain(statement, "sns:Publish") for statement in said):
        yield "it can be published to without TLS"


def _denies_plain(statement: Mapping[str, Any], action: str) -> bool:
    if statement.get("Effect") != "Deny":
        return False
    covered = {action, "*", f"{action.partition(':')[0]}:*"} & set(listed(statement.get("Action")))
    insecure = str(conditions(statement).get("aws:securetransport")).lower() == "false"
    return bool(covered) and insecure and ("AWS", "*") in principals(statement)


@rule(
    "alarm-delivers",
    "high",
    "cloudwatch:MetricAlarm",
    whole_stack=True,
    reason="CloudWatch drops a notification that the topic or its key refuses, and tells nobody.",
    link=ALARM_KEYS,
    fix="Let cloudwatch.amazonaws.com publish to the topic and use its key (kms:Decrypt, kms:GenerateDataKey*).",
)
def delivers(alarm: Recorded, view: View) -> Iterator[str]:
    for topic in view.behind(alarm, "alarmActions", "sns:Topic"):
        said = [s for policy in view.about(topic, "arn", "sns:TopicPolicy") for s in statements(policy, "policy")]
        if not any(_lets(statement, "sns:Publish") for statement in said):
            yield f"the topic {topic.name} does not let CloudWatch publish"
        key = topic.inputs.get("kmsMasterKeyId")
        if key and "alias/aws/" in str(key):
            yield f"the topic {topic.name} is encrypted with a key of AWS's, which CloudWatch may not use"
        for made in view.behind(topic, "kmsMasterKeyId", "kms:Key"):
            inline = statements(made, "policy")
            apart = [s for policy in view.about(made, "keyId", "kms:KeyPolicy") for s in statements(policy, "policy")]
            granted = inline + apart
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                if not any(_lets(statement, action) for statement in granted):
                    yield f"the key {made.name} of the topic {topic.name} does not let CloudWatch {action}"


def _lets(statement: Mapping[str, Any], action: str) -> bool:
    """Whether the statement allows CloudWatch the action."""
    if statement.get("Effect") != "Allow":
        return False
    who = principals(statement)
    if ("Service", CLOUDWATCH) not in who:
        return False
    return any(
        given == action or (given.endswith("*") and action.startswith(given[:-1]))
        for given in listed(statement.get("Action"))
    )


@rule(
    "key-rotates",
    "medium",
    "kms:Key",
    reason="A key that never changes protects all that was ever written with it by one secret.",
    link="https://docs.aws.amazon.com/securityhub/latest/userguide/kms-controls.html#kms-4",
    fix="Set enable_key_rotation to True.",
)
def key_rotates(key: Recorded, _view: View) -> Iterator[str]:
    if key.inputs.get("enableKeyRotation") is not True:
        yield "it is not rotated"


@rule(
    "key-not-public",
    "critical",
    "kms:Key",
    "kms:KeyPolicy",
    reason="Who may use the key may read all that it encrypts.",
    link="https://docs.aws.amazon.com/securityhub/latest/userguide/kms-controls.html#kms-5",
    fix="Name this account's root and the services, these with aws:SourceAccount.",
)
def key_not_public(key: Recorded, _view: View) -> Iterator[str]:
    for statement in statements(key, "policy"):
        if statement.get("Effect") == "Allow" and not conditions(statement) and ("AWS", "*") in principals(statement):
            yield "everyone is allowed to use it"
