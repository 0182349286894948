"""The other systems grow the shared components; what the base system deploys stays what it was, to the letter.

After a wanted change of the base system, record it again and read the difference:
`python tests/unit/systems/test_base_is_unchanged.py && git diff tests/unit/systems`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from lib.plan import render
from lib.plan.__main__ import plan

RECORDED = Path(__file__).with_name("base_plan.json")
CONFIGURATIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    "the four stacks, development": ("stacks", "dev", {}),
    "the four stacks, production": ("stacks", "prod", {}),
    "with e-mail and tags": ("stacks", "dev", {"tap:alarmEmails": '["a@example.com"]', "tap:tags": '{"Team": "x"}'}),
}


def shape(configuration: str) -> Any:
    """All that would be deployed but the function's code: {project: its exports and {URN: inputs and options}}."""
    target, environment, config = CONFIGURATIONS[configuration]
    stacks = {}
    for stack in render.as_json(plan(target, environment, config)):
        resources = {
            resource["urn"]: {
                "inputs": {name: value for name, value in resource["inputs"].items() if name != "code"},
                "dependsOn": resource["dependsOn"],
                "protect": resource["protect"],
            }
            for resource in stack["resources"]
        }
        stacks[stack["project"]] = {"exports": stack["exports"], "resources": resources}
    return stacks


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_base_system_deploys_what_was_recorded(configuration: str) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))[configuration]
    assert shape(configuration) == recorded, "a change for another system must not reach what is already deployed"


if __name__ == "__main__":
    RECORDED.write_text(
        json.dumps({name: shape(name) for name in CONFIGURATIONS}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
