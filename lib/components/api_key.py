"""One API key for a REST API's stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import apigateway


@dataclass(frozen=True, kw_only=True)
class ApiKeyArgs:
    """What a key needs."""

    name: str
    api_id: pulumi.Input[str]
    stage: pulumi.Input[str]
    tags: Mapping[str, str]


class ApiKey(pulumi.ComponentResource):
    """The key, in a usage plan of the stage; its value is AWS's choice and no output: ask AWS for it by `id`.

    The stage throttles everybody alike, so the plan sets no limits of its own.
    """

    id: pulumi.Output[str]

    def __init__(self, name: str, args: ApiKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:api_key:ApiKey", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        plan = apigateway.UsagePlan(
            name,
            name=args.name,
            api_stages=[apigateway.UsagePlanApiStageArgs(api_id=args.api_id, stage=args.stage)],
            tags=tags,
            opts=mine,
        )
        key = apigateway.ApiKey(name, name=args.name, tags=tags, opts=mine)
        apigateway.UsagePlanKey(name, key_id=key.id, key_type="API_KEY", usage_plan_id=plan.id, opts=mine)
        self.id = key.id
        self.register_outputs({"id": self.id})
