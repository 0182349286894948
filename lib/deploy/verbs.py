"""The verbs: what each looks at, asks and does."""

from __future__ import annotations

from dataclasses import replace

from lib.deploy import plan
from lib.deploy.events import Outputs
from lib.deploy.exits import Exit, Finding
from lib.deploy.preflight import Surroundings, held, missing_keys
from lib.deploy.progress import Progress
from lib.deploy.run import Result
from lib.deploy.session import Session
from lib.deploy.state import State, masked, short
from lib.deploy.targets import Target


def deploy(session: Session) -> Exit:
    """Preview every stack, ask, then update them in order."""
    session.must_be_able_to_ask()
    session.begin()
    preflight = session.look(changing=True)
    plans = plan.preview(session, preflight)
    around = session.passed(preflight)
    lost = plan.lost_tables(session, plans)
    if plan.failed(session) and not (lost and plan.protected(session)):
        return session.end()
    session.refuse([*lost, *plan.taken_names(session, plans, around)])
    targets = plan.affected(session, plans, around) if session.options.affected else session.targets
    if not targets:
        return session.end()
    session.ask({target.name: plans[target.name] for target in targets})
    plan.back_up_tables(session, plans)
    session.keep_stacks()
    done: dict[str, Progress] = {}

    def update(target: Target) -> Result:
        result, progress = session.change(target, "update", ["up", *session.options.policy_arguments])
        if not result.good:
            return result
        done[target.name] = progress
        outputs = progress.outputs or {}
        session.view.show(Outputs(stack=target.name, outputs=outputs))
        missing = missing_keys(target, outputs)
        return plan.unkept(target, missing, result) if missing else result

    session.work("update", targets, update)
    session.redeploy = plan.redeploy(session, done, around)
    return session.end()


def preview(session: Session) -> Exit:
    """Preview every stack, on a fresh environment too; warn of what a deploy would refuse."""
    session.begin()
    preflight = session.look(changing=False)
    plans = plan.preview(session, preflight)
    around = session.passed(preflight)
    findings = [*plan.lost_tables(session, plans), *plan.taken_names(session, plans, around)]
    session.found(replace(finding, warning=True) for finding in findings)
    if session.options.affected and not plan.failed(session):
        plan.affected(session, plans, around)
    for name, planned in plans.items():
        session.view.show(Outputs(stack=name, outputs=planned.outputs or {}))
    return session.end()


def destroy(session: Session) -> Exit:
    """Delete the stacks' resources, what is downstream first."""
    session.must_be_able_to_ask()
    session.begin()
    around = session.look(changing=True, but={Exit.UPSTREAM, Exit.CONTRACT}).result()
    plans = {}
    for target in session.targets:
        if around.state(target).resources:
            plans[target.name] = Progress.of_destroy(target.name, around.state(target))
        else:
            session.settle(Result(target, "succeeded", why="there is nothing to destroy"), "destroy")
    session.refuse([*around.findings, *plan.dependents(session, around), *plan.lost_tables(session, plans)])
    session.ask(plans)
    plan.back_up_tables(session, plans)
    targets = [target for target in session.targets if target.name in plans]
    session.work("destroy", targets, lambda target: session.change(target, "destroy", ["destroy"])[0], reverse=True)
    return session.end()


def refresh(session: Session) -> Exit:
    """Take into the state what is really there, and how interrupted operations ended."""
    session.must_be_able_to_ask()
    session.begin()
    around = session.look(changing=True, but={Exit.UPSTREAM, Exit.CONTRACT, Exit.PENDING}).result()
    session.refuse([*around.findings, *_unresolved(session, around)])
    session.ask({})
    targets = [target for target in session.targets if target.stack(session.env) in around.existing]
    session.work("refresh", targets, lambda target: _refresh(session, target, around.state(target)))
    return session.end()


def _refresh(session: Session, target: Target, state: State) -> Result:
    told = {urn: ident for urn, ident in session.options.import_pending.items() if urn in state.creating}
    cleared = session.options.clear_pending & state.creating.keys()
    if told or cleared:
        state.save(session.directory / f"{target.name}.before.resolving.json")
        session.engine.replace_state(target, state.resolved(told, cleared))
    return session.change(target, "refresh", ["refresh"])[0]


def _unresolved(session: Session, around: Surroundings) -> list[Finding]:
    """Interrupted creations of which the caller has not said how they ended."""
    findings = []
    told = set(session.options.import_pending) | session.options.clear_pending
    for target in session.targets:
        missing = [urn for urn in around.state(target).creating if urn not in told]
        if missing:
            what = f"whether {', '.join(map(short, missing))} of {target.name} came to be has to be said"
            options = "".join(
                f"\n  --import-pending '{urn}={around.state(target).creating[urn] or 'ID'}' if it exists, "
                f"--clear-pending '{urn}' if not"
                for urn in missing
            )
            command = f"look in AWS, then: {session.command()}{options}"
            findings.append(Finding(exit=Exit.PENDING, stack=target.name, what=what, next=command))
    return findings


def drift(session: Session) -> Exit:
    """Compare the state with what is really there; 7 when they differ."""
    session.begin()
    around = session.look(changing=False, but={Exit.UPSTREAM, Exit.CONTRACT}).result()
    session.refuse(around.findings)

    def compare(target: Target) -> Result:
        result, progress = session.operate(target, "refresh", ["refresh", "--preview-only"])
        if not result.good or not progress.drift:
            return result
        why = f"it is not as it was deployed: {'; '.join(progress.drift)}"
        command = f"nox -s deploy -- {target.name} --env {session.env} restores it; nox -s refresh accepts it"
        return replace(result, status="failed", why=why, exit=Exit.CHANGES, next=command)

    targets = [target for target in session.targets if around.state(target).deployed]
    for target in session.targets:
        if target not in targets:
            session.settle(Result(target, "succeeded", why="it was never deployed"), "refresh")
    session.work("refresh", [replace(target, upstream=()) for target in targets], compare)
    return session.end()


def outputs(session: Session) -> Exit:
    """Show what the stacks export."""
    existing = session.engine.stacks()
    for target in session.targets:
        values = session.engine.export(target).outputs if target.stack(session.env) in existing else {}
        session.view.show(Outputs(stack=target.name, outputs=masked(values)))
        if values:
            session.results[target.name] = Result(target, "succeeded")
        else:
            why = f"{target.stack(session.env)} was never deployed"
            command = f"nox -s deploy -- {target.name} --env {session.env}"
            session.results[target.name] = Result(target, "failed", why=why, exit=Exit.STACK_NOT_FOUND, next=command)
    return session.end()


def unlock(session: Session) -> Exit:
    """Show who holds each lock and since when; remove it when its process is gone, or when it is confirmed by name."""
    for target in session.targets:
        session.results[target.name] = _unlock(session, target)
    return session.end()


def _unlock(session: Session, target: Target) -> Result:
    stack = target.stack(session.env)
    found = held(target, session.env)
    if found is None:
        why = "this backend keeps its locks where they can't be looked at"
        command = f"pulumi cancel --stack {stack} (only when nobody is deploying it)"
        return Result(target, "failed", why=why, exit=Exit.LOCKED, next=command)
    if not found:
        return Result(target, "succeeded", why="it is not locked")
    for lock in found:
        session.say(f"{stack} is locked by {lock}", target)
    if running := next((lock for lock in found if lock.alive), None):
        why = f"process {running.pid} of this machine is still at work on it"
        command = f"kill -INT {running.pid}, and wait until it has ended"
        return Result(target, "failed", why=why, exit=Exit.LOCKED, next=command)
    foreign = any(lock.alive is None for lock in found)
    if not _agreed(session, stack, foreign=foreign):
        why = "its holder can't be seen from this machine" if foreign else "nobody has agreed to it"
        flag = f"--confirm {stack}" if foreign else "--yes"
        command = f"make sure that its holder is gone, then: {session.command()} {flag}"
        return Result(target, "failed", why=why, exit=Exit.LOCKED, next=command)
    session.engine.unlock(target)
    return Result(target, "succeeded", why="its lock was removed")


def _agreed(session: Session, stack: str, *, foreign: bool) -> bool:
    if session.options.confirm == stack or (session.options.yes and not foreign):
        return True
    if not session.can_ask:
        return False
    if foreign:
        return session.question(f"Type {stack} to remove another machine's lock: ") == stack
    return session.question(f"Remove the lock of {stack}? [y/N] ").lower() in {"y", "yes"}
