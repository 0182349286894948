"""The whole items API in one program, for tests and single-shot deploys."""

from __future__ import annotations

import pulumi

from lib import items
from lib.settings import Settings

TapStackArgs = Settings


class TapStack(pulumi.ComponentResource):
    """The four stacks' components, wired directly; `outputs` is all that the four export, by key."""

    dynamodb_table_name: pulumi.Input[str]
    lambda_function_name: pulumi.Input[str]
    api_rest_id: pulumi.Input[str]
    api_stage: pulumi.Input[str]
    api_url: pulumi.Input[str]
    alarm_topic_arn: pulumi.Input[str]

    def __init__(self, name: str, args: TapStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:tap_stack:TapStack", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        data = items.data(args, mine)
        compute = items.compute(args, data, mine)
        api = items.api(args, compute, mine)
        monitoring = items.monitoring(args, compute, mine)

        self.dynamodb_table_name = data.dynamodb_table_name
        self.lambda_function_name = compute.lambda_function_name
        self.api_rest_id = api.api_rest_id
        self.api_stage = api.api_stage
        self.api_url = api.api_url
        self.alarm_topic_arn = monitoring.alarm_topic_arn
        self.outputs = {**data.values(), **compute.values(), **api.values(), **monitoring.values()}
        self.register_outputs(self.outputs)
