"""What is shown: on a terminal, in a log, to a machine."""

from __future__ import annotations

import io
import json
import re

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest
from rich.console import Console

from lib.contracts import ROOT
from lib.deploy.events import (
    Event,
    Found,
    Message,
    Outputs,
    ResourceChanged,
    RunStarted,
    StackChanged,
    StackResult,
    Summary,
)
from lib.deploy.views import JsonView, LiveView, PlainView, view_for

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "deploy-events.schema.json").read_text()))
URN = "urn:pulumi:dev::tap-compute::tap:function:Function$aws:lambda/function:Function::items-lambda"


def a_run() -> list[Event]:
    """One of each event, in the order of a run that fails."""
    changing = {"stack": "compute", "phase": "update", "urn": URN, "type": "aws:lambda/function:Function"}
    return [
        RunStarted(verb="deploy_all", environment="dev", levels=[["data"], ["compute"]]),
        Found(severity="warning", exit=3, stack=None, what="the credentials end soon", next="aws sso login"),
        StackChanged(stack="compute", phase="update", status="running"),
        ResourceChanged(operation="create", status="started", name="items-lambda", **changing),  # type: ignore[arg-type]
        Message(severity="error", text="no\nreally not", stack="compute", urn=URN),
        ResourceChanged(operation="create", status="failed", name="items-lambda", **changing),  # type: ignore[arg-type]
        Outputs(stack="data", outputs={"dynamodb_table_name": "dev-items-table", "key": "[secret]", "arn": None}),
        StackChanged(stack="compute", phase="update", status="failed", seconds=1.25, changes={"create": 2}, why="no"),
        Summary(
            exit=14,
            stacks=[
                StackResult(stack="data", status="succeeded", changes={"create": 1}, seconds=2.0),
                StackResult(stack="compute", status="failed", changes={}, seconds=1.2, why="no\nreally not"),
            ],
            changed=True,
            redeploy=["api"],
            next="nox -s deploy_all -- --env dev --from compute",
        ),
    ]


def test_json_is_one_object_per_line_that_the_schema_knows() -> None:
    stream = io.StringIO()
    view = JsonView(stream)
    for event in a_run():
        view.show(event)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(a_run())
    for line in lines:
        SCHEMA.validate(json.loads(line))


def test_the_schema_refuses_what_is_not_documented() -> None:
    event = a_run()[0].as_json()
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate({**event, "surprise": 1})
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate({**event, "event": "surprise"})


def test_every_event_is_documented() -> None:
    text = (ROOT / "docs" / "deploy-events.md").read_text()
    for event in a_run():
        assert f"`{event.kind}`" in text


def test_plain_lines_tell_what_failed_and_the_next_command() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    for event in a_run():
        view.show(event)
    text = stream.getvalue()
    assert "deploy_all in dev: data, then compute" in text
    assert "compute: error: really not" in text, "every line of a message says whose it is"
    assert "compute: failed (+2) in 1.2 s: no" in text
    assert "partly (exit 14); something was changed, see above" in text
    assert text.rstrip().endswith("next: nox -s deploy_all -- --env dev --from compute")
    assert "\x1b" not in text, "a log has no colours"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_live_table_never_overflows(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    view = LiveView(console)
    view.follow(["data", "compute", "monitoring"])
    for event in a_run():
        if isinstance(event, StackChanged | ResourceChanged):
            view.take(event, 100.0)
            with console.capture() as drawn:
                console.print(view.table(103.5))
            assert max(len(line) for line in _without_colours(drawn.get()).splitlines()) <= width


def test_the_live_table_shows_what_is_happening_now() -> None:
    console = Console(file=io.StringIO(), width=100)
    view = LiveView(console)
    view.follow(["data", "compute"])
    for event in a_run()[2:4]:
        assert isinstance(event, StackChanged | ResourceChanged)
        view.take(event, 100.0)
    with console.capture() as drawn:
        console.print(view.table(103.5))
    header, data, compute = drawn.get().splitlines()
    assert header.split() == ["stack", "state", "changes", "now", "seconds"]
    assert data.split() == ["data", "waiting"]
    assert compute.split() == ["compute", "deploying", "+", "Function", "items-lambda", "3.5"]


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "terminal", "kind"),
    [
        ({"TERM": "xterm"}, True, LiveView),
        ({"TERM": "xterm"}, False, PlainView),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, PlainView),
        ({"TERM": "xterm", "CI": "true"}, True, PlainView),
        ({"TERM": "dumb"}, True, PlainView),
    ],
)
def test_a_live_table_is_only_for_a_terminal_that_can_show_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], terminal: bool, kind: type
) -> None:
    for name in ("CI", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else io.StringIO()
    assert isinstance(view_for(as_json=False, stream=stream), kind)
    assert isinstance(view_for(as_json=True, stream=stream), JsonView)
