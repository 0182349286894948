"""Alarms on a function, notifying one topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_aws import cloudwatch, sns


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm on one of Lambda's own metrics: fires when `statistic` of `metric` is `comparison` `threshold`."""

    metric: Literal["Duration", "Errors", "Throttles"]
    statistic: Literal["Average", "Sum", "Maximum"]
    comparison: Literal["GreaterThanThreshold", "GreaterThanOrEqualToThreshold"]
    threshold: float
    period: int = 60
    evaluation_periods: int = 1
    description: str


def any_sum(metric: Literal["Errors", "Throttles"]) -> Alarm:
    """Return the alarm that a single error or throttle sets off."""
    return Alarm(
        metric=metric,
        statistic="Sum",
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        description=f"{metric} of the function: one is too many.",
    )


def slow(milliseconds: int) -> Alarm:
    """Return the alarm for an average duration over this many milliseconds."""
    return Alarm(
        metric="Duration",
        statistic="Average",
        comparison="GreaterThanThreshold",
        threshold=milliseconds,
        description=f"The function takes over {milliseconds} ms on average.",
    )


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What monitoring needs; `alarm_prefix` begins each alarm's name and the metric's name ends it."""

    topic_name: str
    alarm_prefix: str
    function_name: pulumi.Input[str]
    alarms: Sequence[Alarm]
    emails: Sequence[str] = ()
    kms_key_arn: str | None = None
    tags: Mapping[str, str]


class Monitoring(pulumi.ComponentResource):
    """The topic and its alarms."""

    topic_arn: pulumi.Output[str]
    alarm_names: list[pulumi.Output[str]]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:monitoring:Monitoring", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        # Never alias/aws/sns: its key policy can't let CloudWatch in, and alarms would silently reach nobody.
        topic = sns.Topic(name, name=args.topic_name, kms_master_key_id=args.kms_key_arn, tags=tags, opts=mine)
        sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "AlarmsOfThisAccount",
                            "Effect": "Allow",
                            "Principal": {"Service": "cloudwatch.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": topic.arn,
                            "Condition": {"StringEquals": {"aws:SourceAccount": topic.owner}},
                        },
                        {
                            "Sid": "NoPlainHttp",
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "sns:Publish",
                            "Resource": topic.arn,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        },
                    ],
                }
            ),
            opts=mine,
        )
        for address in args.emails:
            sns.TopicSubscription(f"{name}-{address}", topic=topic.arn, protocol="email", endpoint=address, opts=mine)
        self.alarm_names = [
            cloudwatch.MetricAlarm(
                f"{name}-{alarm.metric.lower()}",
                name=f"{args.alarm_prefix}-{alarm.metric.lower()}",
                alarm_description=alarm.description,
                namespace="AWS/Lambda",
                metric_name=alarm.metric,
                dimensions={"FunctionName": args.function_name},
                statistic=alarm.statistic,
                comparison_operator=alarm.comparison,
                threshold=alarm.threshold,
                period=alarm.period,
                evaluation_periods=alarm.evaluation_periods,
                treat_missing_data="notBreaching",
                alarm_actions=[topic.arn],
                tags=tags,
                opts=mine,
            ).name
            for alarm in args.alarms
        ]
        self.topic_arn = topic.arn
        self.register_outputs({"topic_arn": self.topic_arn, "alarm_names": self.alarm_names})
