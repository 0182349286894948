"""The order of work, without an engine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lib.deploy.exits import Exit
from lib.deploy.run import Interrupts, Result, exit_of, work_through
from lib.deploy.targets import Target, downstream, levels, select, the_stacks

PATIENCE = 30


def targets(graph: Mapping[str, str]) -> list[Target]:
    """Targets named by the keys, each needing the space-separated values."""
    return [Target(name, Path(), None, tuple(needs.split())) for name, needs in graph.items()]


DIAMOND = targets({"a": "", "b": "a", "c": "a", "d": "b c"})


def run(
    graph: list[Target],
    work: Callable[[Target], Result],
    *,
    parallel: int = 0,
    interrupts: Interrupts | None = None,
    told: list[int] | None = None,
) -> dict[str, Result]:
    """Work through the graph."""
    return work_through(
        graph,
        {target.name: set(target.upstream) for target in graph},
        work,
        parallel=parallel,
        interrupts=interrupts or Interrupts(),
        on_interrupt=(told if told is not None else []).append,
        on_result=lambda _result: None,
    )


def test_the_stacks_of_this_repository_have_the_order_of_their_contracts() -> None:
    assert levels(the_stacks()) == [["data"], ["compute"], ["api", "monitoring"]]
    assert downstream("data") == {"compute", "api", "monitoring"}
    assert [target.name for target in select([], "compute")] == ["compute", "api", "monitoring"]
    assert [target.name for target in select(["api", "data"], None)] == ["data", "api"], "in order, however named"


def test_each_starts_when_all_it_needs_is_done() -> None:
    done: list[str] = []

    def work(target: Target) -> Result:
        assert set(target.upstream) <= set(done), f"{target.name} must wait for {target.upstream}"
        done.append(target.name)
        return Result(target, "succeeded")

    assert all(result.good for result in run(DIAMOND, work).values())
    assert done[0] == "a"
    assert done[3] == "d"


def test_independent_ones_are_worked_on_at_the_same_time() -> None:
    both = threading.Barrier(2)

    def work(target: Target) -> Result:
        if target.name in {"b", "c"}:
            both.wait(timeout=PATIENCE)  # passes only when the other is there too
        return Result(target, "succeeded")

    assert run(DIAMOND, work)["d"].good


def test_parallel_limits_how_many() -> None:
    at_work, most = 0, 0
    lock = threading.Lock()

    def work(target: Target) -> Result:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        threading.Event().wait(0.02)
        with lock:
            at_work -= 1
        return Result(target, "succeeded")

    run(targets(dict.fromkeys("abcdef", "")), work, parallel=2)
    assert most == 2


def test_downstream_of_a_failure_is_blocked_and_the_other_branch_is_finished() -> None:
    def work(target: Target) -> Result:
        if target.name == "b":
            return Result(target, "failed", exit=Exit.RESOURCE)
        return Result(target, "succeeded", {"create": 1})

    results = run(DIAMOND, work)
    assert {name: result.status for name, result in results.items()} == {
        "a": "succeeded",
        "b": "failed",
        "c": "succeeded",
        "d": "blocked",
    }
    assert results["d"].why == "b did not succeed"
    assert exit_of(list(results.values()), touched=True) == Exit.PARTLY


def test_after_an_interrupt_nothing_new_starts_and_each_further_one_is_told() -> None:
    interrupts, told = Interrupts(), list[int]()
    release = threading.Event()

    def work(target: Target) -> Result:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        release.wait(timeout=PATIENCE)
        return Result(target, "cancelled", exit=Exit.CANCELLED)

    def on_interrupt(number: int) -> None:
        told.append(number)
        if number == 2:
            release.set()

    with interrupts.installed():
        results = work_through(
            DIAMOND,
            {target.name: set(target.upstream) for target in DIAMOND},
            work,
            parallel=0,
            interrupts=interrupts,
            on_interrupt=on_interrupt,
            on_result=lambda _result: None,
        )
    assert told == [1, 2], "a terminal's signal and a service manager's both count"
    assert results["a"].status == "cancelled"
    assert {results[name].status for name in "bcd"} <= {"blocked", "not-started"}
    assert exit_of(list(results.values()), touched=True) == Exit.CANCELLED


def test_an_interrupt_with_nothing_under_way_ends_the_run() -> None:
    with Interrupts().installed(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("results", "touched", "code"),
    [
        ([("succeeded", {"create": 1}, Exit.OK), ("unaffected", {}, Exit.OK)], True, Exit.OK),
        ([("succeeded", {"create": 1}, Exit.OK), ("failed", {}, Exit.RESOURCE)], True, Exit.PARTLY),
        ([("succeeded", {}, Exit.OK), ("failed", {}, Exit.LOCKED)], True, Exit.LOCKED),
        ([("succeeded", {"create": 1}, Exit.OK), ("failed", {}, Exit.CONTRACT)], False, Exit.CONTRACT),
        ([("failed", {"create": 1}, Exit.RESOURCE)], True, Exit.RESOURCE),
        ([("blocked", {}, Exit.UPSTREAM), ("failed", {}, Exit.AUTH)], False, Exit.AUTH),
        ([("succeeded", {"create": 1}, Exit.OK), ("not-started", {}, Exit.CANCELLED)], True, Exit.CANCELLED),
    ],
)
def test_one_code_tells_how_the_whole_run_ended(
    results: list[tuple[str, dict[str, int], Exit]], touched: bool, code: Exit
) -> None:
    made = [
        Result(DIAMOND[0], status, changes, exit=exit_code)  # type: ignore[arg-type]  # one of the statuses
        for status, changes, exit_code in results
    ]
    assert exit_of(made, touched=touched) == code
