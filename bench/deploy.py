"""How long deploy_all takes, against plain `pulumi up` stack by stack, on the same engine and emulator in the same run.

    python -m bench.deploy [--rounds N] [--svg FILE]

The overhead is what deploy_all takes beyond the time in which at least one engine is making a stack, previewing or
updating; a budget of 5 % was set for it. `--svg` draws the live table of the first deploy_all, at its busiest moment
and at its end.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from lib.contracts import STACKS
from lib.deploy.events import ResourceChanged, StackChanged
from lib.deploy.views import LiveView
from lib.local.emulator import Emulator
from tests.engine import cli_build, machine
from tests.engine.machine import Checkout, Run


def by_hand(checkout: Checkout, *, init: bool) -> list[float]:
    """The seconds of `pulumi up` for each stack, one after the other."""
    seconds = []
    for contract in STACKS:
        began = time.monotonic()
        if init:
            checkout.pulumi(contract.directory, "stack", "init", checkout.env)
        done = checkout.pulumi(contract.directory, "up", "--yes", "--stack", checkout.env)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        seconds.append(time.monotonic() - began)
    return seconds


def in_order(checkout: Checkout) -> tuple[float, Run]:
    """The seconds of one deploy_all, and what it told."""
    began = time.monotonic()
    process = checkout.start("deploy_all", "--yes")
    said = process.communicate()
    seconds = time.monotonic() - began
    run = machine.read(process.returncode, *said)
    if run.code:
        raise SystemExit(str(run))
    return seconds, run


def engine_seconds(run: Run) -> tuple[float, float]:
    """The time in which at least one engine was at work, and the sum over the stacks."""
    at_work: set[str] = set()
    union = total = 0.0
    began: dict[str, float] = {}
    since = 0.0
    for event in run.of("stack-changed"):
        now = moment(event)
        if event["status"] == "running":
            since = since if at_work else now
            at_work.add(event["stack"])
            began[event["stack"]] = now
        elif event["stack"] in at_work:
            at_work.remove(event["stack"])
            total += now - began[event["stack"]]
            union += 0.0 if at_work else now - since
    return union, total


def moment(event: dict[str, Any]) -> float:
    """An event's time in seconds."""
    return datetime.fromisoformat(event["time"]).timestamp()


def draw(run: Run, path: Path) -> None:
    """Replay a recorded deploy into the live table; keep it at its busiest moment and at its end."""
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    view = LiveView(console)
    shown = run.of("stack-changed", phase="update") + run.of("resource-changed", phase="update")
    shown.sort(key=moment)
    last = {event["stack"]: number for number, event in enumerate(shown)}
    # Two stacks at work, each in the middle of something.
    busiest = (shown.index(next(e for e in shown if e["stack"] == "monitoring")) + last["monitoring"]) // 2
    console.print(Text("$ nox -s deploy_all -- --env dev", style="bold"))
    view.follow([contract.stack for contract in STACKS])
    for number, event in enumerate(shown):
        fields = {key: value for key, value in event.items() if key not in {"version", "event", "time"}}
        kind = StackChanged if event["event"] == "stack-changed" else ResourceChanged
        view.take(kind(**fields), moment(event))
        if number == busiest:
            console.print(view.table(moment(event)))
            console.print(Text("\n... and when it is done:\n", style="dim"))
    console.print(view.table(moment(shown[-1])))
    console.print(Text("done", style="bold green"))
    url = run.outputs["api_url"].replace(run.outputs["api_rest_id"], "a1b2c3d4e5")
    console.print(Text.assemble(("api_url  ", "dim"), (url, "bold")))
    svg = console.export_svg(title="deploy_all")
    path.write_text(re.sub(r"@font-face {.*?}\s*", "", svg, flags=re.DOTALL))  # a picture fetches nothing


def measure(rounds: int, svg: Path | None) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch, Emulator() as emulator:
        tools = Path(scratch, "tools")
        tools.mkdir()
        machine.install_tools(tools, cli_build.find())
        given = machine.variables(tools, emulator, Path(scratch))
        rows: dict[str, list[Sequence[float]]] = {"from nothing": [], "without changes": []}
        for number in range(rounds):
            root = Path(scratch, f"checkout{number}")
            root.mkdir()
            hand = machine.copy_programs(root, f"hand{number}", given, emulator)
            together = hand.in_environment(f"all{number}")
            for kind, found in rows.items():
                stacks = by_hand(hand, init=kind == "from nothing")
                whole, run = in_order(together)
                found.append((sum(stacks), whole, *engine_seconds(run)))
                if svg and kind == "from nothing" and number == 0:
                    draw(run, svg)
    print("seconds, medians of", rounds)
    print(f"{'':<16} {'pulumi up x4':>13} {'deploy_all':>11} {'its engines':>12} {'sum of stacks':>14} {'overhead':>9}")
    for kind, found in rows.items():
        hand_s, whole, union, total = (statistics.median(values) for values in zip(*found, strict=True))
        overhead = statistics.median((w - u) / u for _, w, u, _ in found)
        print(f"{kind:<16} {hand_s:13.1f} {whole:11.1f} {union:12.1f} {total:14.1f} {overhead:9.1%}")
    print(json.dumps(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time deploy_all against plain pulumi up.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--svg", type=Path)
    arguments = parser.parse_args()
    measure(arguments.rounds, arguments.svg)
