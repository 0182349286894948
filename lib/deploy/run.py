"""Work on many stacks: each as soon as what it needs is done, several at a time, and a clean end on Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from lib.deploy.events import StackResult, StackStatus
from lib.deploy.exits import Exit
from lib.deploy.targets import Target

_TICK = 0.1


@dataclass(frozen=True)
class Result:
    """How one stack's part ended; `exit` and `next` tell of a failure."""

    target: Target
    status: StackStatus
    changes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    why: str | None = None
    exit: Exit = Exit.OK
    next: str | None = None

    @property
    def good(self) -> bool:
        """Whether what is downstream may start."""
        return self.status in {"succeeded", "unaffected"}

    def line(self) -> StackResult:
        """Its line of the summary."""
        return StackResult(
            stack=self.target.name,
            status=self.status,
            changes=dict(self.changes),
            seconds=round(self.seconds, 1),
            why=self.why,
        )


class Interrupts:
    """Ctrl-C, counted while stacks are being worked on; anywhere else it ends the run, with nothing under way."""

    def __init__(self) -> None:
        self.count = 0
        self._counting = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP, which a closed terminal sends, for the time of a run."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Engines are at work: count instead of raising."""
        self._counting = True
        try:
            yield
        finally:
            self._counting = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self._counting:
            raise KeyboardInterrupt


def work_through(
    targets: Sequence[Target],
    needs: Mapping[str, set[str]],
    work: Callable[[Target], Result],
    *,
    parallel: int,
    interrupts: Interrupts,
    on_interrupt: Callable[[int], None],
    on_result: Callable[[Result], None],
) -> dict[str, Result]:
    """Do `work` for every target once everything it needs is good; what needs a failure is blocked.

    After the first interrupt nothing new starts; `on_interrupt` is told the number of each.
    """
    waiting = {target.name: target for target in targets}
    results: dict[str, Result] = {}
    running: dict[Future[Result], Target] = {}
    seen = interrupts.count

    def settle(result: Result) -> None:
        results[result.target.name] = result
        on_result(result)

    with interrupts.counted(), ThreadPoolExecutor(max_workers=max(1, min(parallel or len(targets), 32))) as pool:
        while waiting or running:
            while seen < interrupts.count:
                seen += 1
                on_interrupt(seen)
            for name, target in list(waiting.items()):
                needed = needs[name] & {target.name for target in targets}
                bad = [up for up in needed if up in results and not results[up].good]
                if bad:
                    settle(_blocked(waiting.pop(name), [results[up] for up in bad]))
                elif seen:
                    del waiting[name]
                    settle(Result(target, "not-started", why="the run was interrupted", exit=Exit.CANCELLED))
                elif needed <= results.keys() and len(running) < (parallel or len(targets)):
                    running[pool.submit(work, waiting.pop(name))] = target
            done, _ = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                settle(future.result())
    return {target.name: results[target.name] for target in targets}


def _blocked(target: Target, by: Sequence[Result]) -> Result:
    names = " and ".join(result.target.name for result in by)
    cancelled = all(result.exit == Exit.CANCELLED for result in by)
    blocked = Result(target, "blocked", why=f"{names} did not succeed", exit=Exit.UPSTREAM)
    return replace(blocked, exit=Exit.CANCELLED) if cancelled else blocked


def exit_of(results: Sequence[Result], *, touched: bool) -> Exit:
    """One code for the whole run; `touched` says that something was changed, so that it may be partly deployed."""
    bad = [result for result in results if not result.good]
    if not bad:
        return Exit.OK
    if any(result.exit == Exit.CANCELLED for result in bad):
        return Exit.CANCELLED
    if touched and any(result.good and any(result.changes.values()) for result in results):
        return Exit.PARTLY
    # The cause, not what it held back.
    return next((result.exit for result in bad if result.status == "failed"), bad[0].exit)
