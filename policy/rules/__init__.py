"""Every rule, by what it is about."""

from __future__ import annotations

from policy.model import Rule
from policy.rules import alarms, apis, functions, house, network, roles, storage, tables

RULES: dict[str, Rule] = {
    rule.id: rule
    for module in (tables, roles, functions, apis, alarms, storage, network, house)
    for rule in vars(module).values()
    if isinstance(rule, Rule)
}
