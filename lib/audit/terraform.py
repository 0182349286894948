"""The plan in Terraform's JSON, the one form that every scanner of cloud resources reads.

https://developer.hashicorp.com/terraform/language/syntax/json
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lib.plan.recorder import Recorded, Recording

# Where Terraform's provider calls it otherwise than Pulumi's, which is made from it.
_TYPES = {"apigateway": "api_gateway", "lambda_": "lambda", "sfn": "sfn", "ec2": "", "vpc": "vpc"}
_IRREGULAR = {"aws:apigateway/response:Response": "aws_api_gateway_gateway_response"}
_NAMES = {
    "aws_lambda_function": {"name": "function_name", "role": "role"},
    "aws_lambda_permission": {"function": "function_name"},
    "aws_cloudwatch_metric_alarm": {"name": "alarm_name"},
    "aws_sns_topic_subscription": {"topic": "topic_arn"},
    "aws_api_gateway_usage_plan_key": {"usagePlanId": "usage_plan_id"},
}
_GATEWAY_NAMES = {"restApi": "rest_api_id", "deployment": "deployment_id"}
# Terraform repeats a block, in the singular, where Pulumi has a list.
_BLOCKS = {
    "attributes": "attribute",
    "conditions": "condition",
    "filters": "filter",
    "globalSecondaryIndexes": "global_secondary_index",
    "ruleActionOverrides": "rule_action_override",
    "rules": "rule",
}
_SYMBOL = re.compile(r"\$\{(\w+)\.([^${}]+)\.(\w+)\}")


def rendered(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return all programs as one Terraform document; references between their resources stay references."""
    everything = {(r.kind, r.name): r for recording in recordings for r in recording.real}
    by_urn = {resource.urn: resource for resource in everything.values()}
    document: dict[str, Any] = {}
    for resource in everything.values():
        tf_type = type_of(resource.type)
        inputs = _inputs(_referring(resource, by_urn), tf_type, everything)
        # What Pulumi does unless told otherwise, and Terraform only when told.
        inputs["lifecycle"] = {"create_before_destroy": True, "prevent_destroy": resource.protect}
        document.setdefault(tf_type, {})[_label(resource.name)] = inputs
    return {"resource": document}


def _referring(resource: Recorded, by_urn: Mapping[str, Recorded]) -> Recorded:
    """Write as a reference what comes from another resource's input, such as a name; scanners follow references."""
    inputs = dict(resource.inputs)
    for key, urns in resource.sources.items():
        source = by_urn.get(urns[0]) if len(urns) == 1 else None
        same = [name for name, value in (source.inputs if source else {}).items() if value == inputs.get(key)]
        if source and same and isinstance(inputs[key], str) and not _SYMBOL.search(inputs[key]):
            inputs[key] = f"${{{source.kind}.{source.name}.{same[0]}}}"
    return dataclasses.replace(resource, inputs=inputs)


def type_of(token: str) -> str:
    """`aws:dynamodb/table:Table` is `aws_dynamodb_table`."""
    if token in _IRREGULAR:
        return _IRREGULAR[token]
    module = token.split(":")[1].partition("/")[0]
    kind = token.rpartition(":")[2]
    return "_".join(part for part in ("aws", _TYPES.get(module, module), _snake(kind)) if part)


def _inputs(resource: Recorded, tf_type: str, everything: dict[tuple[str, str], Recorded]) -> dict[str, Any]:
    names = {**(_GATEWAY_NAMES if tf_type.startswith("aws_api_gateway") else {}), **_NAMES.get(tf_type, {})}
    found: dict[str, Any] = {}
    for key, value in resource.inputs.items():
        if key == "code":  # the files themselves are no scanner of resources' business
            found["filename"] = "function.zip"
        else:
            found[names.get(key) or _BLOCKS.get(key) or _snake(key)] = _value(value, everything, key)
    endpoint = found.get("endpoint_configuration")
    if isinstance(endpoint, dict):
        endpoint["types"] = [endpoint["types"]]  # a list in Terraform
    return found


def _value(value: Any, everything: dict[tuple[str, str], Recorded], key: str) -> Any:
    if isinstance(value, dict):
        keep = key in {"tags", "variables", "triggers", "dimensions", "responseTemplates", "responseParameters"}
        return {(k if keep else _BLOCKS.get(k) or _snake(k)): _value(v, everything, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_value(item, everything, key) for item in value]
    if isinstance(value, str):

        def reference(match: re.Match[str]) -> str:
            kind, name, output = match.groups()
            target = everything.get((kind, name))
            return f"${{{type_of(target.type)}.{_label(name)}.{_snake(output)}}}" if target else match[0]

        # A dollar of API Gateway's own ($context...) is no reference.
        return _SYMBOL.sub(reference, value)
    return value


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _label(name: str) -> str:
    return re.sub(r"[^\w-]", "_", name)
