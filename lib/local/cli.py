"""The command line of the local session: what it prints, how long it stays, and with what it exits."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from lib.local.console import Console
from lib.local.deploy import DeployError
from lib.local.emulator import ACCOUNT_ID, EmulatorError, scrubbed
from lib.local.examples import examples
from lib.local.report import Report, summary
from lib.local.server import PortTakenError
from lib.local.session import Session, SessionError, programs
from lib.local.watch import Watcher

_PATIENCE = 5.0  # seconds that a command has to end after it was asked to
_LOOK_EVERY = 0.15  # seconds between two looks at the files under --watch


class Stopped(BaseException):
    """A signal asked this process to end. Not an Exception: nothing on the way may take it for a failure of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Died(BaseException):
    """The emulator ended by itself, whatever the session was just doing."""


class Signals:
    """Turns the first SIGINT, SIGTERM or SIGHUP, and the emulator's death, into an exception; the later ones wait."""

    _STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._held = False
        self._death = ""
        for number in self._STOPPING:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._died)

    def emulator_died(self, why: str) -> None:
        """Have the main thread hear of it."""
        self._death = why
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def hold(self) -> None:
        """From now on nothing interrupts: what is left to do is to clean up."""
        self._held = True

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if not self._held:
            self._held = True
            raise Stopped(number)

    def _died(self, _number: int, _frame: FrameType | None) -> None:
        if not self._held:
            self._held = True
            raise Died(self._death)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a wrong one ends with status 2 and says which."""
    parser = argparse.ArgumentParser(
        prog="nox -s local --",
        description="Start an AWS on this machine, deploy the programs onto it, serve the API, and stay until Ctrl-C.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--single", action="store_true", help="deploy TapStack instead of the four stacks")
    what.add_argument("--system", metavar="NAME", help="deploy one of the programs in systems/ instead")
    parser.add_argument("--stack", metavar="NAME", default="dev", help="the environment's name (default: dev)")
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="the API's port (default: a free one)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="take up the state in DIR and leave it there")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="bring edits to life while running")
    how.add_argument("--json", action="store_true", help="print one JSON object when ready, and nothing else")
    how.add_argument(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="CMD",
        help="run CMD with the API's URL, AWS credentials and every output in its environment; then take all down",
    )
    options = parser.parse_args(arguments)
    if options.run is not None and not options.run:
        parser.error("--run needs a command")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a session; returns the exit status."""
    options = parse(arguments)
    # From here on no part of this process, nor any that it starts, knows of an account of yours.
    environment = scrubbed(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    report = Report(sys.stdout if options.run is None and not options.json else sys.stderr)
    signals = Signals()
    try:
        return _session(options, report, signals)
    except Stopped as stopped:
        report.say(f"stopped by {stopped}; everything that was started is gone")
        return 128 + stopped.number
    except Died as died:
        report.error(str(died))
        return 1
    except (SessionError, EmulatorError, DeployError, PortTakenError) as error:
        report.error(str(error))
        return 1


def _session(options: argparse.Namespace, report: Report, signals: Signals) -> int:
    chosen = programs(single=options.single, system=options.system)
    report.say(report.bold(f"starting an AWS on this machine, stack {options.stack}"))
    with contextlib.ExitStack() as stack:
        session = Session(
            chosen,
            stack=options.stack,
            port=options.port,
            keep=options.keep,
            on_event=report.event,
            on_exchange=report.exchange if options.run is None and not options.json else lambda _: None,
            on_death=signals.emulator_died,
        )
        # In this order: whatever happens, first no signal interrupts any more, then everything is taken down.
        stack.callback(session.close)
        stack.callback(signals.hold)
        session.open()
        if options.run is not None:
            return run_command(options.run, session.environment())
        console = stack.enter_context(Console(session))
        if options.json:
            print(summary(_facts(session, console)), flush=True)
        else:
            report.say(_welcome(session, console))
        _stay(session, report, watch=options.watch)
    return 0


def _stay(session: Session, report: Report, *, watch: bool) -> None:
    watcher = Watcher()
    while True:
        time.sleep(_LOOK_EVERY if watch else 3600)
        files = watcher.changed() if watch else set()
        if files:
            _reload(session, report, files)


def _reload(session: Session, report: Report, files: set[Path]) -> None:
    started = time.monotonic()
    try:
        wrong, touched = session.reload(files)
    except (DeployError, SessionError) as error:
        report.error(str(error))
        report.say("the last good version keeps serving; correct it and save")
        return
    for each in wrong:
        report.error(str(each))
    if wrong:
        report.say("the last good version keeps serving; correct it and save")
    elif touched:
        report.say(f"reloaded {', '.join(touched)} in {time.monotonic() - started:.2f} s")


def run_command(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end and return its exit status, as a shell would give it.

    It gets a process group of its own, so that all that it started can be stopped, and the terminal, when there is one.
    """
    try:
        process = subprocess.Popen(list(command), env=environment, process_group=0)
    except OSError as error:
        raise SessionError(f"cannot run {command[0]}: {error.strerror}") from error
    try:
        with _terminal_of(process.pid):
            code = process.wait()
    finally:
        _end_group(process)
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _terminal_of(group: int) -> Iterator[None]:
    """Give the terminal to a process group, when there is one to give, and take it back."""
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        yield
        return
    # Whoever changes the terminal's owner from the background is stopped by SIGTTOU, unless it is ignored.
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(sys.stdin.fileno(), group)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGCONT)
    try:
        yield
    finally:
        os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
        signal.signal(signal.SIGTTOU, before)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask everything the command started to end; make it, when it does not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)  # raises once nobody is left
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _facts(session: Session, console: Console) -> dict[str, object]:
    return {
        "api_url": session.api_url,
        "console_url": console.url,
        "stack": session.stack,
        "outputs": session.shown_outputs,
        "tables": session.tables(),
        "aws": session.emulator.environment(),
        "account": ACCOUNT_ID,
        "requests": _examples(session),
        "logs": str(session.log_path),
        "emulator_log": str(session.emulator.log_path),
        "pid": os.getpid(),
    }


def _examples(session: Session) -> list[str]:
    key = session.api_key
    return [command for url, routes, region in session.served() for command in examples(url, routes, region, key)]


def _welcome(session: Session, console: Console) -> str:
    aws = session.emulator.environment()
    keys = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    lines = [
        "",
        f"API       {session.api_url}",
        f"Console   {console.url}",
        f"Tables    {', '.join(session.tables()) or 'none'}",
        f"Logs      {session.log_path}",
        f"AWS       {' '.join(f'{key}={shlex.quote(aws[key])}' for key in keys)}",
        "",
        "Try it:",
        *(f"  {command}" for command in _examples(session)),
        "",
        "Ctrl-C stops everything. Requests and their log lines follow.",
    ]
    return "\n".join(lines)


def _port(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 <= int(text) <= 65535:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port")
