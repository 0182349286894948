"""What previews tell before anything changes: the plans, whom they affect, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lib.contracts import PLANNED_OUTPUTS
from lib.deploy.aws import AwsError, back_up_table
from lib.deploy.exits import Exit, Finding, Refused
from lib.deploy.preflight import Preflight, Surroundings, missing_keys
from lib.deploy.progress import Progress
from lib.deploy.run import Result
from lib.deploy.session import Session
from lib.deploy.state import State, is_secret, masked, short
from lib.deploy.targets import Target, all_targets
from lib.deploy.views import counts

Plans = Mapping[str, Progress]


def preview(session: Session, preflight: Preflight) -> dict[str, Progress]:
    """Preview every stack of the session, each with what the stacks before it are planned to export."""
    if preflight.existing.exception():
        return {}
    existing = preflight.existing.result()
    plans: dict[str, Progress] = {}
    planned: dict[str, dict[str, Any]] = {}

    def one(target: Target) -> Result:
        made[target.name].result()
        upstream = [up for up in session.targets if up.name in target.upstream]
        unknown = [up.name for up in upstream if None in planned[up.name].values()]
        if unknown:
            session.say(f"previewed with values of {' and '.join(unknown)} that only its deploy will tell", target)
        given = {up.stack(session.env): planned[up.name] for up in upstream}
        result, progress = session.operate(
            target,
            "preview",
            ["preview", *session.options.policy_arguments],
            environment={PLANNED_OUTPUTS: json.dumps(given)},
        )
        plans[target.name] = progress
        outputs = progress.outputs or {}
        planned[target.name] = {key: None if is_secret(value) else value for key, value in outputs.items()}
        if result.good and (missing := missing_keys(target, outputs)):
            return unkept(target, missing, result)
        return result

    # One at a time, since one configuration file may be all projects' and its key is made once; beside the previews.
    with ThreadPoolExecutor(max_workers=1) as pool:
        made = {target.name: pool.submit(session.make_stack, target, existing) for target in session.targets}
        session.work("preview", session.targets, one)
    return {target.name: plans[target.name] for target in session.targets if target.name in plans}


def unkept(target: Target, missing: Iterable[str], result: Result) -> Result:
    """The result of a stack that does not export what its contract promises."""
    why = f"it does not export {', '.join(missing)}, which its contract promises to the stacks that read it"
    where = f"export it in {target.directory.name}/__main__.py, or change the contract and its readers"
    return Result(target, "failed", result.changes, result.seconds, why=why, exit=Exit.CONTRACT, next=where)


def failed(session: Session) -> bool:
    """Whether a stack of the session has not gone well."""
    return any(not result.good for result in session.results.values())


def protected(session: Session) -> bool:
    """Whether a preview failed because the engine may not delete what it would have to."""
    return any(result.exit == Exit.DESTRUCTIVE for result in session.results.values())


def affected(session: Session, plans: Plans, around: Surroundings) -> tuple[Target, ...]:
    """The targets whose plan changes something, or that were made with other values than their upstream has now."""
    known = {target.name: target for target in all_targets()}
    chosen = []
    for target in session.targets:
        plan, state = plans[target.name], around.state(target)
        reasons = []
        if not state.deployed:
            reasons.append("it was never deployed")
        elif sum(plan.changes.values()):
            reasons.append(f"its own inputs changed ({counts(plan.changes)})")
        elif plan.flags_changed or (plan.outputs or {}) != masked(state.outputs):
            reasons.append("what it exports or protects changed")
        for up in target.upstream:
            now = (plans[up].outputs if up in plans else around.state(known[up]).outputs) or {}
            if state.deployed and (changed := changed_keys(known[up], state, now, session.env)):
                reasons.append(f"{', '.join(changed)} of {up} changed")
        if reasons:
            chosen.append(target)
            session.say(f"affected: {'; '.join(reasons)}", target)
        else:
            session.settle(Result(target, "unaffected"), "update")
    return tuple(chosen)


def changed_keys(producer: Target, reader: State, now: Mapping[str, Any], env: str) -> list[str]:
    """The keys of the contract whose values differ from those that `reader` was deployed with."""
    read = reader.read_outputs(producer.stack(env))
    if read is None:
        return []
    before, after = masked(read), masked(now)
    return [key for key in producer.keys if before.get(key) != after.get(key)]


def redeploy(session: Session, plans: Plans, around: Surroundings) -> list[str]:
    """The deployed stacks outside this run that were made with other values than this run has exported."""
    mine = {target.name for target in session.targets}
    return [
        other.name
        for other in all_targets()
        if other.name not in mine and around.state(other).deployed
        for target in session.targets
        if target.name in other.upstream and target.name in plans
        if changed_keys(target, around.state(other), plans[target.name].outputs or {}, session.env)
    ]


def lost_tables(session: Session, plans: Plans) -> list[Finding]:
    """Tables that would be lost and that nobody has named."""
    findings = []
    for name, plan in plans.items():
        for step in plan.lost_tables:
            table = step.name or short(step.urn)
            allowed = session.options.allow_data_loss
            doing = "replace" if step.operation == "replace" else "delete"
            why = f" because of a change of {', '.join(step.keys)}" if step.keys else ""
            if step.protected:
                what = f"this would {doing} the table {table}{why}, which is protected"
                command = (
                    "if that is meant: deploy tap:protect and tap:deletionProtection as false with nothing else"
                    f" changed, then: {session.command()} --allow-data-loss {table}"
                )
            elif table not in allowed:
                other = f" (--allow-data-loss names {', '.join(sorted(allowed))})" if allowed else ""
                what = f"this would {doing} the table {table} with all its items{why}{other}"
                command = f"if that is meant: {session.command()} --allow-data-loss {table} (it is backed up first)"
            else:
                continue
            findings.append(Finding(exit=Exit.DESTRUCTIVE, stack=name, what=what, next=command))
    return findings


def taken_names(session: Session, plans: Plans, around: Surroundings) -> list[Finding]:
    """What a stack is about to create and another stack of the environment already owns."""
    everyone = all_targets()
    findings = []
    for name, plan in plans.items():
        owners = {key: other.name for other in everyone if other.name != name for key in around.state(other).names()}
        clashes: dict[str, list[str]] = {}
        for step in plan.steps:
            if step.operation == "create" and step.name and (owner := owners.get((step.type, step.name))):
                clashes.setdefault(owner, []).append(step.name)
        for owner, names in clashes.items():
            what = f"{name} would create what {owner} of {session.env} already owns: {', '.join(names)}"
            command = f"give it an environment of its own: nox -s deploy -- {name} --env {session.env}2"
            findings.append(Finding(exit=Exit.COLLISION, stack=name, what=what, next=command))
    return findings


def dependents(session: Session, around: Surroundings) -> list[Finding]:
    """Stacks that still use what the session is about to destroy."""
    going = {target.name for target in session.targets}
    findings = []
    for target in session.targets:
        standing = [
            other.name
            for other in all_targets()
            if target.name in other.upstream and other.name not in going and around.state(other).owned
        ]
        if standing:
            what = f"{target.name} of {session.env} is still used by {', '.join(standing)}"
            command = f"nox -s destroy_all -- --env {session.env}, or first: nox -s destroy -- {standing[0]}"
            findings.append(
                Finding(exit=Exit.DESTRUCTIVE, stack=target.name, what=what, next=f"{command} --env {session.env}")
            )
    return findings


def back_up_tables(session: Session, plans: Plans) -> None:
    """Back up every table that is about to be lost because somebody named it."""
    for target in session.targets:
        for step in plans[target.name].lost_tables if target.name in plans else ():
            if step.name in session.options.allow_data_loss:
                _back_up(session, target, step.name)


def _back_up(session: Session, target: Target, table: str) -> None:
    name = f"{table}-{session.directory.name.replace('.', '-')}"
    try:
        made = back_up_table(table, name, target.config(session.env))
        session.say(f"backed up {table} as {name}" if made else f"there is no table {table} to back up", target)
    except AwsError as error:
        what = f"the table {table} could not be backed up: {error}; nothing was changed"
        command = "make the backup possible, then repeat"
        raise Refused(Finding(exit=Exit.DESTRUCTIVE, stack=target.name, what=what, next=command)) from None
