"""A web application firewall (WAF) in front of a REST API's stage: AWS's managed rules, which AWS keeps current."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import wafv2

# Each with the rules of it that only count. Items may be 400 KB; this rule would refuse bodies over 8 KB.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
MANAGED_RULES: Mapping[str, tuple[str, ...]] = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",),
    "AWSManagedRulesKnownBadInputsRuleSet": (),
}

_AS_THE_GROUP_SAYS = wafv2.WebAclRuleOverrideActionArgs(
    none=wafv2.WebAclRuleOverrideActionNoneArgs()  # type: ignore[no-untyped-call]
)


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What a firewall needs."""

    name: str
    stage_arn: pulumi.Input[str]
    tags: Mapping[str, str]


class Firewall(pulumi.ComponentResource):
    """The rules, and their being asked about every request of the stage."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:firewall:Firewall", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        acl = wafv2.WebAcl(
            name,
            name=args.name,
            scope="REGIONAL",
            default_action=wafv2.WebAclDefaultActionArgs(allow=wafv2.WebAclDefaultActionAllowArgs()),
            rules=[
                wafv2.WebAclRuleArgs(
                    name=group,
                    priority=priority,
                    override_action=_AS_THE_GROUP_SAYS,
                    statement=wafv2.WebAclRuleStatementArgs(
                        managed_rule_group_statement=wafv2.WebAclRuleStatementManagedRuleGroupStatementArgs(
                            vendor_name="AWS",
                            name=group,
                            rule_action_overrides=[
                                wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideArgs(
                                    name=rule,
                                    action_to_use=wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideActionToUseArgs(
                                        count=wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideActionToUseCountArgs()
                                    ),
                                )
                                for rule in counted
                            ],
                        )
                    ),
                    visibility_config=wafv2.WebAclRuleVisibilityConfigArgs(
                        cloudwatch_metrics_enabled=True, metric_name=group, sampled_requests_enabled=False
                    ),
                )
                for priority, (group, counted) in enumerate(MANAGED_RULES.items())
            ],
            # A sample holds headers, and headers hold credentials.
            visibility_config=wafv2.WebAclVisibilityConfigArgs(
                cloudwatch_metrics_enabled=True, metric_name=args.name, sampled_requests_enabled=False
            ),
            tags=dict(args.tags),
            opts=mine,
        )
        wafv2.WebAclAssociation(name, resource_arn=args.stage_arn, web_acl_arn=acl.arn, opts=mine)
        self.arn = acl.arn
        self.register_outputs({"arn": self.arn})
