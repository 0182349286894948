"""What is looked at before anything changes. Everything found is reported at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from lib.deploy import doctor
from lib.deploy.aws import AwsError, caller, has_log_role, region
from lib.deploy.backend import backend
from lib.deploy.engine import Engine, clean, exit_of_text, needed
from lib.deploy.exits import Exit, Finding, Refused
from lib.deploy.locks import Lock, locks
from lib.deploy.state import State, is_secret, short
from lib.deploy.targets import Target, all_targets

T = TypeVar("T")
SOON = timedelta(minutes=15)
ACCOUNT_KEY = "aws:allowedAccountIds"


@dataclass
class Surroundings:
    """What the preflight saw: the states of this environment's stacks, and what stands in the way."""

    env: str
    existing: set[str]
    states: dict[str, State]
    findings: list[Finding] = field(default_factory=list)

    def state(self, target: Target) -> State:
        """This stack's state; empty when there is none."""
        return self.states.get(target.name, State({}))


class Preflight:
    """Looks in the background at everything that could stop a run, beside the previews: they change nothing either."""

    def __init__(
        self, engine: Engine, targets: Sequence[Target], *, changing: bool, but: Collection[Exit] = frozenset()
    ) -> None:
        self._engine = engine
        self._but = but
        self.existing = _beside(engine.stacks)
        self._around = _beside(lambda: self._look(targets, changing=changing))

    def result(self) -> Surroundings:
        """What was seen, as soon as all of it is."""
        return self._around.result()

    def over(self, seconds: float) -> bool:
        """Wait this long for it; whether it is over."""
        return bool(wait([self._around], seconds).done)

    @property
    def refuses(self) -> bool:
        """Whether the run ends with what is found here."""
        try:
            return any(not finding.warning for finding in self.result().findings)
        except Refused:
            return True

    def _look(self, targets: Sequence[Target], *, changing: bool) -> Surroundings:
        try:
            around = look(self._engine, targets, self.existing, changing=changing)
        except Refused:
            self._engine.interrupt()
            raise
        around.findings = [finding for finding in around.findings if finding.exit not in self._but]
        if any(not finding.warning for finding in around.findings):
            self._engine.interrupt()  # nobody will look at what it previews
        return around


def look(engine: Engine, targets: Sequence[Target], listed: Future[set[str]], *, changing: bool) -> Surroundings:
    """Look at everything that could stop a run over `targets`; `changing` also asks what only a change needs."""
    env = engine.env
    tools = _beside(_tools)
    account = _beside(lambda: _account(env, targets) if changing else (None, []))
    try:
        existing = listed.result()
    except Refused as refused:
        found = [*tools.result(), *refused.findings, *account.result()[1]]
        raise Refused(*dict.fromkeys(found)) from None
    # Neighbours too: they may be upstream, or own what one of the targets is about to create.
    neighbours = [target for target in all_targets() if target.stack(env) in existing]
    keys = _beside(lambda: _passphrase(engine, [target for target in neighbours if target in targets]))
    exported = {target.name: _beside(partial(engine.export, target)) for target in neighbours}
    states = {name: state.result() for name, state in exported.items()}
    caller, found = account.result()
    surroundings = Surroundings(env, existing, states, [*tools.result(), *keys.result(), *found])
    surroundings.findings += _upstream(env, targets, states)
    if changing:
        surroundings.findings += _locks(env, targets)
        surroundings.findings += _pending(env, targets, states)
        surroundings.findings += _places(env, targets, states, caller)
        if caller:
            surroundings.findings += _log_role(env, targets)
    return surroundings


def _beside(work: Callable[[], T]) -> Future[T]:
    """Begin `work` in a thread that nobody has to wait for, not even the end of the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _tools() -> list[Finding]:
    """What a deploy needs on this machine and that is missing or too old."""
    findings = [needed(part) for part in (doctor.cli(), doctor.host()) if not part.good]
    if not findings and not (plugin := doctor.plugin()).good:
        findings.append(replace(needed(plugin), warning=True))  # the engine gets it by itself, where it can
    return findings


def _passphrase(engine: Engine, targets: Sequence[Target]) -> list[Finding]:
    """Whether the stacks' secrets can be read: a wrong passphrase or key would fail in the middle otherwise."""
    one_of_each = {target.config_path(engine.env): target for target in targets}
    findings = []
    for target in one_of_each.values():
        done = engine.query(target, "stack", "history", "--json", "--show-secrets", "--page-size", "1")
        said = clean(done.stderr)
        if done.returncode and exit_of_text(said) == Exit.AUTH:
            what = f"the secrets of {target.stack(engine.env)} can't be read: {said}"
            findings.append(
                Finding(
                    exit=Exit.AUTH,
                    stack=target.name,
                    what=what,
                    next="export PULUMI_CONFIG_PASSPHRASE=... (the one this environment was made with)",
                )
            )
        elif done.returncode:
            findings.append(
                Finding(
                    exit=Exit.CONFIG,
                    stack=target.name,
                    what=f"{target.stack(engine.env)}: {said}",
                    next=f"nox -s doctor -- --env {engine.env}",
                )
            )
    return findings


def _account(env: str, targets: Sequence[Target]) -> tuple[str | None, list[Finding]]:
    """The account the credentials are for, and what is wrong with them."""
    login = "aws sso login, or set AWS_PROFILE"
    try:
        account, left = caller(targets[0].config(env))
    except AwsError as error:
        return None, [Finding(exit=Exit.AUTH, what=f"AWS refuses the credentials: {error}", next=login)]
    if account is None:
        return None, [Finding(exit=Exit.AUTH, what="there are no AWS credentials", next=login)]
    if left is not None and left < SOON:
        minutes = max(0, int(left.total_seconds() // 60))
        what = f"the AWS credentials end in {minutes} minutes, perhaps in the middle of this run"
        return account, [Finding(exit=Exit.AUTH, what=what, next=login)]
    return account, []


def _upstream(env: str, targets: Sequence[Target], states: Mapping[str, State]) -> list[Finding]:
    """Every value a target reads from a stack that this run will not deploy."""
    known = {target.name: target for target in all_targets()}
    chosen = {target.name for target in targets}
    findings = []
    for name in dict.fromkeys(up for target in targets for up in target.upstream if up not in chosen):
        producer = known[name]
        readers = ", ".join(target.name for target in targets if name in target.upstream)
        outputs = states[name].outputs if name in states else {}
        what = None
        if not outputs:
            what = f"{readers} needs {producer.stack(env)}, which was never deployed"
        elif missing := missing_keys(producer, outputs):
            what = f"{readers} needs {listed(missing)} of {producer.stack(env)}; there is {listed(sorted(outputs))}"
        if what:
            code = Exit.CONTRACT if outputs else Exit.UPSTREAM
            command = f"nox -s deploy -- {name} --env {env}"
            findings.append(Finding(exit=code, stack=name, what=what, next=command))
    return findings


def missing_keys(producer: Target, outputs: Mapping[str, Any]) -> list[str]:
    """Keys of the producer's contract that are absent, empty or not strings (None is: not known yet)."""
    bad = []
    for key in producer.keys:
        value = outputs.get(key, "")
        if value is not None and not is_secret(value) and not (isinstance(value, str) and value):
            bad.append(key)
    return bad


def _locks(env: str, targets: Iterable[Target]) -> list[Finding]:
    findings = []
    for target in targets:
        command = f"wait for it, or if it is gone: nox -s unlock -- {target.name} --env {env}"
        for lock in held(target, env) or ():
            what = f"{target.stack(env)} is locked by {lock}"
            findings.append(Finding(exit=Exit.LOCKED, stack=target.name, what=what, next=command))
    return findings


def held(target: Target, env: str) -> list[Lock] | None:
    """The locks on a stack; None where the backend does not let us see them."""
    try:
        return locks(backend().url, target.stack(env))
    except Exception as error:  # noqa: BLE001 - whatever an S3 client or a damaged lock file may raise
        what = f"the locks of {target.stack(env)} can't be read: {error}"
        raise Refused(Finding(exit=Exit.LOCKED, stack=target.name, what=what, next="pulumi whoami -v")) from None


def _pending(env: str, targets: Iterable[Target], states: Mapping[str, State]) -> list[Finding]:
    findings = []
    for target in targets:
        state = states.get(target.name, State({}))
        if not state.pending:
            continue
        lines = [f"{target.stack(env)} was interrupted; nobody knows how these ended:"]
        lines += [f"  {operation['type']} {short(operation['resource']['urn'])}" for operation in state.pending]
        command = f"nox -s refresh -- {target.name} --env {env}"
        if state.creating:
            command = f"look in AWS whether they came to be, then: {command}"
            for urn, ident in state.creating.items():
                command += (
                    f"\n  with --import-pending '{urn}={ident or 'ID'}' if it did, --clear-pending '{urn}' if not"
                )
        findings.append(Finding(exit=Exit.PENDING, stack=target.name, what="\n".join(lines), next=command))
    return findings


def _places(env: str, targets: Iterable[Target], states: Mapping[str, State], caller: str | None) -> list[Finding]:
    """The account and region of the credentials and settings against those the stacks live in."""
    findings = []
    for target in targets:
        config = target.config(env)
        allowed = config.get(ACCOUNT_KEY)
        wrong = None
        if caller and isinstance(allowed, list) and caller not in map(str, allowed):
            wrong = f"{ACCOUNT_KEY} allows {listed(map(str, allowed))}, the credentials are for {caller}"
        for arn, account, place in states[target.name].places() if target.name in states else ():
            if caller and account != caller:
                wrong = f"it lives in account {account} ({arn}), the credentials are for {caller}"
            elif place != region(config):
                wrong = f"it lives in {place} ({arn}), aws:region says {region(config)}"
            if wrong:
                break
        if wrong:
            command = f"use the account's own credentials, or correct {target.config_path(env).name}"
            what = f"{target.stack(env)}: {wrong}"
            findings.append(Finding(exit=Exit.WRONG_PLACE, stack=target.name, what=what, next=command))
    return findings


def _log_role(env: str, targets: Sequence[Target]) -> list[Finding]:
    """API Gateway writes logs only with a role that is set once per account and region."""
    for target in targets:
        config = target.config(env)
        logging = str(config.get("tap:accessLogs")) == "true" or config.get("tap:executionLogs", "OFF") != "OFF"
        if target.name not in {"api", "tap"} or not logging:
            continue
        try:
            if has_log_role(config):
                continue
        except AwsError as error:
            what = f"whether API Gateway has a role for its logs can't be seen: {error}"
            return [Finding(exit=Exit.AUTH, stack=target.name, what=what, next="check the permissions", warning=True)]
        what = "logs of the API are on, but API Gateway has no role to write them with in this account and region"
        command = "aws apigateway update-account --patch-operations op=replace,path=/cloudwatchRoleArn,value=ROLE"
        return [Finding(exit=Exit.CONFIG, stack=target.name, what=what, next=command)]
    return []


def listed(words: Iterable[str]) -> str:
    """`a, b, c`."""
    return ", ".join(words)
