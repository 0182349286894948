"""One run of one verb: the engine, the stacks, what has become of each, and the summary every run ends with."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from lib.contracts import ROOT
from lib.deploy.engine import Engine, Outcome, exit_of_text
from lib.deploy.events import Event, Found, Message, RunStarted, StackChanged, StackPhase, StackStatus, Summary
from lib.deploy.exits import Exit, Finding, Refused
from lib.deploy.preflight import Preflight, Surroundings
from lib.deploy.progress import Progress
from lib.deploy.run import Interrupts, Result, exit_of, work_through
from lib.deploy.state import STACK, short
from lib.deploy.targets import Target, downstream, levels
from lib.deploy.views import View, counts

_PATIENCE = 0.1

DEPLOYS = ROOT / ".tap" / "deploys"
"""Every run keeps here, by environment and time, each stack's state before it and the engine's own log."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says beyond the verb and its stacks."""

    env: str
    yes: bool = False
    as_json: bool = False
    parallel: int = 0
    policy: Path | None = None
    affected: bool = False
    allow_data_loss: frozenset[str] = frozenset()
    import_pending: Mapping[str, str] = field(default_factory=dict)
    clear_pending: frozenset[str] = frozenset()
    confirm: str | None = None

    @property
    def policy_arguments(self) -> list[str]:
        """What tells the engine of the policy pack."""
        return ["--policy-pack", str(self.policy)] if self.policy else []


class Session:
    """The machinery the verbs share."""

    def __init__(self, verb: str, options: Options, view: View, interrupts: Interrupts) -> None:
        self.verb = verb
        self.targets: tuple[Target, ...] = ()
        self.options = options
        self.env = options.env
        self.view = view
        self.results: dict[str, Result] = {}
        self.redeploy: list[str] = []
        self.directory = DEPLOYS / self.env / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self._interrupts = interrupts
        self._progress: dict[str, Progress] = {}
        self._touched = False
        self._preflight: Preflight | None = None
        self._made: list[Target] = []
        self._configs: dict[Path, str | None] = {}
        self._warned: set[tuple[str | None, str]] = set()

    @cached_property
    def engine(self) -> Engine:
        """The Pulumi CLI."""
        return Engine(self.env)

    def begin(self) -> None:
        """Tell the order of work."""
        self.view.show(RunStarted(verb=self.verb, environment=self.env, levels=levels(self.targets)))

    def look(self, *, changing: bool, but: Collection[Exit] = frozenset()) -> Preflight:
        """Begin the preflight; it passes over `but`, which this verb does not mind."""
        self._preflight = Preflight(self.engine, self.targets, changing=changing, but=but)
        return self._preflight

    def passed(self, preflight: Preflight) -> Surroundings:
        """Refuse the run for what the preflight has found; end it here if it was interrupted meanwhile."""
        if self._interrupts.count:
            raise KeyboardInterrupt
        around = preflight.result()
        self.refuse(around.findings)
        return around

    @property
    def _refused(self) -> bool:
        """Whether the preflight refuses the run. It is waited for, but not by somebody who has interrupted the run."""
        while self._preflight and not self._interrupts.count:
            if self._preflight.over(_PATIENCE):
                return self._preflight.refuses
        return False

    def refuse(self, findings: Iterable[Finding]) -> None:
        """End the run if any of these is more than a warning; show the warnings otherwise."""
        findings = list(findings)
        if any(not finding.warning for finding in findings):
            raise Refused(*findings)
        self.found(findings)

    def found(self, findings: Iterable[Finding]) -> None:
        """Show findings."""
        for finding in findings:
            self.view.show(
                Found(
                    severity="warning" if finding.warning else "error",
                    exit=finding.exit,
                    stack=finding.stack,
                    what=finding.what,
                    next=finding.next,
                )
            )

    def say(self, text: str, target: Target | None = None) -> None:
        """Tell something that is neither a finding nor the engine's."""
        self.view.show(Message(severity="info", stack=target.name if target else None, text=text))

    def must_be_able_to_ask(self) -> None:
        """Refuse to change anything when there is nobody to ask and `--yes` was not given."""
        if not self.options.yes and not self.can_ask:
            what = f"{self.verb} changes things, and there is no terminal to ask on; nothing was changed"
            raise Refused(Finding(exit=Exit.CONFIG, what=what, next=f"look first, then: {self.command()} --yes"))

    @property
    def can_ask(self) -> bool:
        """Whether somebody can answer."""
        return not self.options.as_json and sys.stdin.isatty()

    def question(self, text: str) -> str:
        """The answer of the person at the terminal."""
        self.view.pause()
        return input(text).strip()

    def ask(self, plans: Mapping[str, Progress]) -> None:
        """Show the plan and go on only with a yes."""
        if self.options.yes:
            return
        self.view.pause()
        for name, plan in plans.items():
            steps = [f"  {step.operation:<8} {short(step.urn)}" for step in plan.steps]
            self.say("\n".join([f"\n{name}: {counts(plan.changes)}", *steps]))
        names = ", ".join(target.name for target in self.targets)
        if self.question(f"\n{self.verb} {names} in {self.env}? [y/N] ").lower() not in {"y", "yes"}:
            raise KeyboardInterrupt

    def work(
        self, phase: StackPhase, targets: Sequence[Target], work: Callable[[Target], Result], *, reverse: bool = False
    ) -> dict[str, Result]:
        """Do `work` for every target in the order of the contracts, or against it."""
        needs = {target.name: set(target.upstream) for target in targets}
        if reverse:
            needs = {name: {other.name for other in targets if name in other.upstream} for name in needs}

        def guarded(target: Target) -> Result:
            self.view.show(StackChanged(stack=target.name, phase=phase, status="running"))
            try:
                return work(target)
            except Refused as refused:
                first = refused.findings[0]
                status: StackStatus = "not-started" if first.exit == Exit.CANCELLED else "failed"
                command = first.next if status == "failed" else self.command()
                return Result(target, status, why=first.what, exit=first.exit, next=command)

        return work_through(
            targets,
            needs,
            guarded,
            parallel=self.options.parallel,
            interrupts=self._interrupts,
            on_interrupt=self._interrupted,
            on_result=lambda result: self.settle(result, phase),
        )

    def settle(self, result: Result, phase: StackPhase) -> None:
        """Keep and show how a stack's part ended."""
        if phase == "preview" and self._refused:
            # It was stopped on the way and counts for nothing: what the preflight has found is the answer.
            if result.status != "blocked":
                self.view.show(StackChanged(stack=result.target.name, phase=phase, status="not-started"))
            return
        self.results[result.target.name] = result
        self.view.show(
            StackChanged(
                stack=result.target.name,
                phase=phase,
                status=result.status,
                seconds=round(result.seconds, 1),
                changes=dict(result.changes),
                why=result.why,
            )
        )

    def change(self, target: Target, phase: StackPhase, arguments: Sequence[str]) -> tuple[Result, Progress]:
        """Run an operation that changes things, the state saved before it and the engine's log kept."""
        # As the preflight saw it moments ago, unless somebody has thought about a question since.
        seen = self._preflight.result() if self.options.yes and self._preflight else None
        before = seen.state(target) if seen else self.engine.export(target)
        before.save(self.directory / f"{target.name}.before.json")
        log = self.directory / f"{target.name}.{phase}.log"
        result, progress = self.operate(target, phase, [*arguments, "--yes", "--skip-preview"], log=log)
        if progress.changes or progress.in_flight:
            self._touched = True
        return result, progress

    def operate(
        self,
        target: Target,
        phase: StackPhase,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> tuple[Result, Progress]:
        """Run one engine operation, shown as it goes, and name how it ended."""
        progress = Progress(target.name, phase, self._show_once)
        self._progress[target.name] = progress
        outcome = self.engine.operate(target, *arguments, on_event=progress.on_event, log=log, environment=environment)
        return self._judge(target, progress, outcome), progress

    def _show_once(self, event: Event) -> None:
        """Show an event of the engine, unless it was told before: by a preview, or better by the preflight."""
        if isinstance(event, Message) and self._refused:
            return
        if isinstance(event, Message) and event.severity != "error":
            if (event.stack, event.text) in self._warned:
                return
            self._warned.add((event.stack, event.text))
        self.view.show(event)

    def _judge(self, target: Target, progress: Progress, outcome: Outcome) -> Result:
        result = Result(target, "succeeded", dict(progress.changes), outcome.seconds)
        if outcome.code == 0:
            return result
        unlock = f"nox -s unlock -- {target.name} --env {self.env}"
        if outcome.code < 0 and outcome.code != -signal.SIGINT:
            why = f"the engine was killed (signal {-outcome.code}); its lock and what it was doing remain"
            return replace(result, status="failed", why=why, exit=Exit.ERROR, next=unlock)
        if outcome.interrupted or outcome.code in {Exit.CANCELLED, -signal.SIGINT}:
            why = "cancelled; what had begun was finished"
            if progress.in_flight:
                why = f"stopped in the middle of {', '.join(map(short, progress.in_flight))}"
            return replace(result, status="cancelled", why=why, exit=Exit.CANCELLED, next=self.command(target))
        why = progress.first_error or outcome.last_error or f"the engine ended with code {outcome.code}"
        code = exit_of_text(f"{why}\n{outcome.output}") or _exit_of(progress, outcome.code)
        command = self.command(target)
        if code == Exit.LOCKED:
            command = f"wait for the other run, or if it is gone: {unlock}"
        return replace(result, status="failed", why=why, exit=code, next=command)

    def command(self, start: Target | None = None) -> str:
        """The command that repeats this run, from a stack on where it can."""
        names = [target.name for target in self.targets]
        if self.verb in {"deploy", "preview", "destroy", "refresh", "unlock"}:
            return f"nox -s {self.verb} -- {' '.join(names)} --env {self.env}"
        if names and set(names) == {names[0]} | downstream(names[0]):
            begin = start if start and self.verb == "deploy_all" else self.targets[0]
            rest = f" --from {begin.name}" if begin.upstream else ""
        else:
            rest = "".join(f" --only {name}" for name in names)
        return f"nox -s {self.verb} -- --env {self.env}{rest}"

    def _interrupted(self, number: int) -> None:
        if number == 1:
            text = "interrupted: what has begun is being finished, nothing new starts (again: what is at risk)"
        elif number == 2:
            begun = [
                f"  {name}: {operation} {short(urn)}"
                for name, progress in self._progress.items()
                for urn, operation in progress.in_flight.items()
            ]
            what = begun or ["  the writing of the state"]
            text = "\n".join(
                [
                    "still under way; stopped now, nobody would know how these end:",
                    *what,
                    "They would stay as pending operations of a locked stack. Ctrl-C once more stops at once.",
                ]
            )
        else:
            text = "stopping at once"
        self.view.show(Message(severity="warning", text=text))
        if number != 2:
            self.engine.interrupt()

    def make_stack(self, target: Target, existing: Collection[str]) -> None:
        """Make the empty stack a preview needs; `tidy` removes it again unless `keep_stacks` was called."""
        if target.stack(self.env) in existing or self.engine.stopping:
            return
        path = target.config_path(self.env)
        self._configs.setdefault(path, path.read_text() if path.exists() else None)
        if self.engine.create(target):
            self._made.append(target)
        else:
            del self._configs[path]  # it is another run's, with what making it has written

    def keep_stacks(self) -> None:
        """The stacks made are about to be filled."""
        self._made.clear()

    def tidy(self) -> None:
        """Remove the empty stacks that were made, and what making them wrote into the configuration."""
        if not self._made:
            return
        for target in self._made:
            self.engine.forget(target)
        for path, text in self._configs.items():
            if text is None:
                path.unlink(missing_ok=True)
            elif path.read_text() != text:
                path.write_text(text)
        self._made.clear()

    def end(self, code: Exit | None = None, command: str | None = None) -> Exit:
        """Show the summary; every run ends here."""
        results = [self.results[target.name] for target in self.targets if target.name in self.results]
        if code is None:
            code = exit_of(results, touched=self._touched)
        if command is None:
            commands = {result.next: result.target for result in results if not result.good and result.next}
            command = next(iter(commands), None)
            if len(commands) > 1 and all(next_ == self.command(target) for next_, target in commands.items()):
                command = self.command()  # one command for all that failed side by side
        if command is None and code == Exit.CANCELLED:
            command = self.command()
        if command is None and self.redeploy:
            command = f"nox -s deploy_all -- --env {self.env} --affected"
        self.view.show(
            Summary(
                exit=code,
                stacks=[result.line() for result in results],
                changed=self._touched,
                redeploy=list(dict.fromkeys(self.redeploy)),
                next=command,
            )
        )
        return code


def _exit_of(progress: Progress, code: int) -> Exit:
    """The code of a failure whose words say nothing."""
    if progress.policy_violations:
        return Exit.POLICY
    if code in set(Exit) - {Exit.OK, Exit.ERROR}:
        return Exit(code)
    of_resource = any(urn and f"::{STACK}::" not in urn for urn, _ in progress.errors)
    return Exit.RESOURCE if progress.failed_resources or of_resource else Exit.ERROR
