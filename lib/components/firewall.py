"""A web application firewall (WAF) in front of a REST API's stage: AWS's managed rules, and a log of whom they meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, wafv2

# Each with the rules of it that only count: an API's clients are often servers of some hosting provider, and items may
# be 400 KB where a rule would refuse bodies over 8 KB.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
MANAGED_RULES: Mapping[str, tuple[str, ...]] = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesAnonymousIpList": ("HostingProviderIPList",),
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",),
    "AWSManagedRulesKnownBadInputsRuleSet": (),
}

# The headers that hold a credential; the query string is one where a request is signed in its URL.
CREDENTIALS = ("authorization", "cookie", "x-amz-security-token", "x-api-key")
# What a rule refused or counted is logged; EXCLUDED_AS_COUNT is a rule that counts because it is told to above.
# https://docs.aws.amazon.com/waf/latest/APIReference/API_ActionCondition.html
LOGGED = ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")

_AS_THE_GROUP_SAYS = wafv2.WebAclRuleOverrideActionArgs(
    none=wafv2.WebAclRuleOverrideActionNoneArgs()  # type: ignore[no-untyped-call]
)


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What a firewall needs."""

    name: str
    stage_arn: pulumi.Input[str]
    log_retention_days: int
    kms_key_arn: str | None = None
    tags: Mapping[str, str]


class Firewall(pulumi.ComponentResource):
    """The rules, their being asked about every request of the stage, and the log of those they refuse or count."""

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
        logs = cloudwatch.LogGroup(
            f"{name}-logs",
            # WAF writes to groups of this prefix alone, and itself gives the group the policy that lets it:
            # https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
            name=f"aws-waf-logs-{args.name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=dict(args.tags),
            opts=mine,
        )
        wafv2.WebAclLoggingConfiguration(
            name,
            resource_arn=acl.arn,
            log_destination_configs=[logs.arn],
            redacted_fields=[
                wafv2.WebAclLoggingConfigurationRedactedFieldArgs(
                    query_string=wafv2.WebAclLoggingConfigurationRedactedFieldQueryStringArgs()  # type: ignore[no-untyped-call]
                ),
                *(
                    wafv2.WebAclLoggingConfigurationRedactedFieldArgs(
                        single_header=wafv2.WebAclLoggingConfigurationRedactedFieldSingleHeaderArgs(name=header)
                    )
                    for header in CREDENTIALS
                ),
            ],
            logging_filter=wafv2.WebAclLoggingConfigurationLoggingFilterArgs(
                default_behavior="DROP",
                filters=[
                    wafv2.WebAclLoggingConfigurationLoggingFilterFilterArgs(
                        behavior="KEEP",
                        requirement="MEETS_ANY",
                        conditions=[
                            wafv2.WebAclLoggingConfigurationLoggingFilterFilterConditionArgs(
                                action_condition=wafv2.WebAclLoggingConfigurationLoggingFilterFilterConditionActionConditionArgs(
                                    action=action
                                )
                            )
                            for action in LOGGED
                        ],
                    )
                ],
            ),
            opts=mine,
        )
        wafv2.WebAclAssociation(name, resource_arn=args.stage_arn, web_acl_arn=acl.arn, opts=mine)
        self.arn = acl.arn
        self.register_outputs({"arn": self.arn})
