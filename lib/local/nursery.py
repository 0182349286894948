"""Processes for programs, ready before they are needed.

Importing the Pulumi SDK and loading AWS's service models takes most of a second. One process does it once and forks
itself for each program, so that a program has a process of its own - modules and working directory leak otherwise - and
starts at once.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lib.local.emulator import scrubbed

# The services of the base system; the others' models are loaded by the program that uses them.
_SERVICES = ("apigateway", "cloudwatch", "dynamodb", "iam", "lambda", "logs", "sns", "sts")


class Child:
    """A process that runs one program: its events come out, answers to its questions go in.

    `printed` is called with each line that the program prints, from another thread.
    """

    def __init__(self, pipes: Sequence[int], printed: Callable[[str], None]) -> None:
        events, answers, output, errors = pipes
        self._events = os.fdopen(events, encoding="utf-8")
        self._answers = os.fdopen(answers, "w", encoding="utf-8")
        self._output = os.fdopen(output, encoding="utf-8", errors="replace")
        self._errors = os.fdopen(errors, encoding="utf-8", errors="replace")
        self._lock = threading.Lock()
        self._said: list[str] = []
        self._listeners = [
            threading.Thread(target=self._listen, args=(printed,), daemon=True),
            threading.Thread(target=lambda: self._said.extend(self._errors), daemon=True),
        ]
        for listener in self._listeners:
            listener.start()

    def events(self) -> Iterator[dict[str, Any]]:
        """Each event as it comes, until the process has ended."""
        for line in self._events:
            yield json.loads(line)

    def tell(self, message: Mapping[str, Any]) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            if not self._answers.closed:
                self._answers.write(json.dumps(message) + "\n")
                self._answers.flush()

    def close(self) -> None:
        for listener in self._listeners:
            listener.join()
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._answers.close()
        for stream in (self._events, self._output, self._errors):
            stream.close()

    def _listen(self, printed: Callable[[str], None]) -> None:
        for line in self._output:
            printed(line.rstrip("\n"))

    def last_words(self) -> str:
        """The end of what went to the program's stderr."""
        return "".join(self._said[-20:])


class Nursery:
    """The process that forks the others. It ends with whoever started it, whatever becomes of that one."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lib.local.nursery", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**scrubbed(os.environ), "PYTHONUNBUFFERED": "1"},
            # Ctrl-C reaches the caller alone, who decides what it means for a change under way.
            start_new_session=True,
        )
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def child(self, spec: Mapping[str, Any], printed: Callable[[str], None]) -> Child:
        """A process of its own for a program; `spec` is the first thing that it is told."""
        events, events_in = os.pipe()
        answers_out, answers = os.pipe()
        output, output_in = os.pipe()
        errors, errors_in = os.pipe()
        theirs = [events_in, answers_out, output_in, errors_in]
        with self._lock, contextlib.suppress(BrokenPipeError):  # a dead nursery shows as a child that says nothing
            socket.send_fds(self._channel, [b"x"], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        child = Child((events, answers, output, errors), printed)
        child.tell(spec)
        return child

    def close(self) -> None:
        self._channel.close()
        self._process.wait()


_nursery: Nursery | None = None
_starting = threading.Lock()


def nursery() -> Nursery:
    """The nursery of this process, started when it is first asked for: early is better."""
    global _nursery  # noqa: PLW0603 - one for the process, as its imports are
    with _starting:
        if _nursery is None or not _nursery.alive:
            if _nursery is None:
                atexit.register(_close)
            else:
                _nursery.close()
            _nursery = Nursery()
        return _nursery


def _close() -> None:
    if _nursery is not None:
        _nursery.close()


def _warm() -> None:
    """Load what every program needs; nothing of the project's own, which may be edited between two deploys."""
    # ruff: noqa: PLC0415, F401 - imported for the forks
    import pulumi
    from pulumi_aws import apigateway, cloudwatch, dynamodb, iam, lambda_, sns

    from lib.local.deploy import run_child
    from lib.local.types.core import Aws

    aws = Aws("http://127.0.0.1:9")
    for service in _SERVICES:
        aws.client(service)


def _fork(descriptors: list[int]) -> None:
    from lib.local.deploy import run_child

    if os.fork():
        for descriptor in descriptors:
            os.close(descriptor)
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    events, answers, output, errors = descriptors
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for descriptor in (output, errors):
        os.close(descriptor)
    code = 1
    try:
        code = run_child(os.fdopen(events, "w", encoding="utf-8"), os.fdopen(answers, encoding="utf-8"))
    finally:
        sys.stdout.flush()
        # Whatever a program left running must not keep the deploy waiting.
        os._exit(code)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    _warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: their pipes tell how they ended
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 4)
        if not descriptors:
            return
        _fork(list(descriptors))


if __name__ == "__main__":
    main()
