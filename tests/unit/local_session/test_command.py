"""`--run`: the command's exit status is the session's, and nothing that it started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.local.cli import parse, run_command
from lib.local.session import SessionError


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_status_is_the_commands(code: int) -> None:
    assert run_command(["sh", "-c", f"exit {code}"], dict(os.environ)) == code


def test_a_command_that_a_signal_ended_exits_as_in_a_shell() -> None:
    assert run_command(["sh", "-c", "kill -TERM $$"], dict(os.environ)) == 128 + signal.SIGTERM


def test_it_gets_the_environment_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "environment"
    command = [sys.executable, "-c", f"import os; open({str(out)!r}, 'w').write(repr(dict(os.environ)))"]
    assert run_command(command, {"API_URL": "here", "PATH": os.defpath}) == 0
    assert "'API_URL': 'here'" in out.read_text()
    assert "PYTEST_CURRENT_TEST" not in out.read_text()


def test_what_it_left_running_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    assert run_command(["sh", "-c", f"sleep 983 & echo $! > {note}"], dict(os.environ)) == 0
    pid = int(note.read_text())
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        time.sleep(0.05)
    pytest.fail("a process of the command is still there")


def test_a_command_that_is_not_there_is_said() -> None:
    with pytest.raises(SessionError, match="cannot run no-such-command"):
        run_command(["no-such-command"], {"PATH": os.defpath})


def test_in_a_terminal_ctrl_c_is_the_commands() -> None:
    # Not a shell: one that is starting `sleep` at that moment can lose a Ctrl-C.
    command = [sys.executable, "-c", "import time; print('ready'); print('got', input()); time.sleep(60)"]
    code = (
        f"import os; from lib.local.cli import run_command; print('exit', run_command({command!r}, dict(os.environ)))"
    )
    spawning = f"import pty; pty.spawn({[sys.executable, '-c', code]!r})"
    with subprocess.Popen([sys.executable, "-c", spawning], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as terminal:
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        seen = b""

        def until(text: bytes) -> None:
            nonlocal seen
            while text not in seen:
                more = os.read(terminal.stdout.fileno(), 4096) if terminal.stdout else b""
                assert more, f"it ended before it said {text!r}: {seen!r}"
                seen += more

        try:
            until(b"ready")
            os.write(terminal.stdin.fileno(), b"hello\n")
            until(b"got hello")  # it may read from the terminal, so it has the foreground
            os.write(terminal.stdin.fileno(), b"\x03")
            until(b"exit 130")
        finally:
            terminal.kill()  # by itself pty.spawn never ends when it still has something to say and nobody reads it


def test_everything_after_run_is_the_commands() -> None:
    options = parse(["--stack", "x", "--run", "pytest", "--stack", "y", "-x", "--json"])
    assert (options.stack, options.run) == ("x", ["pytest", "--stack", "y", "-x", "--json"])
    assert options.json is False


def test_ctrl_c_before_the_session_has_begun_is_no_traceback() -> None:
    code = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'lib.local.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "import runpy; runpy.run_module('lib.local', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
