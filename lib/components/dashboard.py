"""A CloudWatch dashboard of one function: a row of graphs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_aws import cloudwatch

# A dashboard is 24 units wide: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
WIDTH, HEIGHT = 24, 6


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A graph of some of Lambda's own metrics over time."""

    title: str
    metrics: Sequence[Literal["Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"]]
    statistic: Literal["Sum", "Average", "Maximum"]
    period: int = 300


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What the dashboard needs; the graphs share the row evenly."""

    name: str
    function_name: pulumi.Input[str]
    region: str
    graphs: Sequence[Graph]


class Dashboard(pulumi.ComponentResource):
    """The dashboard; dashboards carry no tags."""

    name: pulumi.Output[str]

    def __init__(self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:dashboard:Dashboard", name, None, opts)
        width = WIDTH // len(args.graphs)
        widgets = [
            {
                "type": "metric",
                "x": index * width,
                "y": 0,
                "width": width,
                "height": HEIGHT,
                "properties": {
                    "title": graph.title,
                    "region": args.region,
                    "view": "timeSeries",
                    "stacked": False,
                    "stat": graph.statistic,
                    "period": graph.period,
                    "metrics": [["AWS/Lambda", metric, "FunctionName", args.function_name] for metric in graph.metrics],
                },
            }
            for index, graph in enumerate(args.graphs)
        ]
        dashboard = cloudwatch.Dashboard(
            name,
            dashboard_name=args.name,
            dashboard_body=pulumi.Output.json_dumps({"widgets": widgets}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = dashboard.dashboard_name
        self.register_outputs({"name": self.name})
