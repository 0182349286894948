"""A domain name of one's own for a REST API's stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import apigateway


@dataclass(frozen=True, kw_only=True)
class DomainArgs:
    """What a domain needs: a certificate of the same region that is valid for the name."""

    domain_name: str
    certificate_arn: str
    api_id: pulumi.Input[str]
    stage: pulumi.Input[str]
    tags: Mapping[str, str]


class Domain(pulumi.ComponentResource):
    """The name, at whose root the stage answers; the record that leads there is the owner's of the DNS zone."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: DomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:domain:Domain", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        domain = apigateway.DomainName(
            name,
            domain_name=args.domain_name,
            regional_certificate_arn=args.certificate_arn,
            endpoint_configuration=apigateway.DomainNameEndpointConfigurationArgs(types="REGIONAL"),
            security_policy="TLS_1_2",
            tags=dict(args.tags),
            opts=mine,
        )
        mapping = apigateway.BasePathMapping(
            name, domain_name=domain.domain_name, rest_api=args.api_id, stage_name=args.stage, opts=mine
        )
        self.url = pulumi.Output.format("https://{}", mapping.domain_name)
        self.register_outputs({"url": self.url})
