"""`python -m lib.local` from the outside: what it prints, with what it exits, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.program import ROOT
from tests import needs
from tests.local.sessions import LocalSession, copied_repository

pytestmark = pytest.mark.local

LOOPBACK = {"0100007F"}  # 127.0.0.1 as /proc/net/tcp writes it


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalSession]]:
    started: list[LocalSession] = []

    def start_one(*arguments: str, **settings: Any) -> LocalSession:
        started.append(LocalSession(tmp_path, *arguments, **settings))
        return started[-1]

    yield start_one
    for session in started:
        if session.process.poll() is None:
            session.process.kill()
            session.end()


def assert_clean_end(session: LocalSession, code: int, said: str) -> None:
    assert (session.process.returncode, "Traceback" in session.err + session.out) == (code, False), session.err
    assert said in session.err + session.out
    assert session.leftovers() == []


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - an address that the session gave
        return answer.status, answer.read()


def shell(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout  # noqa: S602


class TestTheSession:
    def test_two_at_once_serve_what_they_print_and_listen_on_this_machine_only(
        self, start: Callable[..., LocalSession]
    ) -> None:
        stacks, single = start("--json"), start("--json", "--single", "--stack", "other")
        facts = stacks.facts()
        answers = [shell(request) for request in facts["requests"]]
        assert [answer.split()[1] for answer in answers] == ["201", "200", "200", "200", "204"], answers
        assert facts["tables"] == ["dev-items-table"]
        other = single.facts()
        assert other["tables"] == ["other-items-table"]
        assert other["api_url"] != facts["api_url"]
        assert len(get(facts["console_url"])[1]) > 1000
        assert "POST /prod/items 201" in Path(facts["logs"]).read_text()
        assert len(stacks.processes()) >= 3, "this session, its emulator, and a worker for the function"
        for session in (stacks, single):
            assert session.listening() == LOOPBACK
        assert stacks.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert get(f"{other['api_url']}/items")[0] == 200, "the other one is not touched"
        assert single.end(signal.SIGINT) == 128 + signal.SIGINT
        assert_clean_end(stacks, 143, "stopped by SIGTERM")
        assert_clean_end(single, 130, "stopped by SIGINT")

    def test_what_it_prints_for_people_works_as_printed(self, start: Callable[..., LocalSession]) -> None:
        session = start()
        session.says("Ctrl-C stops everything")
        lines = session.out.splitlines()
        requests = [line.strip() for line in lines if line.startswith("  curl ")]
        assert [shell(request).split()[1] for request in requests] == ["201", "200", "200", "200", "204"]
        session.says("POST /prod/items 201")
        session.says('"route":"POST /items"')
        (aws,) = [line for line in lines if line.startswith("AWS ")]
        code = "import boto3; print(boto3.client('dynamodb').list_tables()['TableNames'])"
        printed = " ".join(aws.split()[1:])
        assert shell(f"{printed} {sys.executable} -c {shlex.quote(code)}").strip() == "['dev-items-table']"
        session.end(signal.SIGINT)
        assert_clean_end(session, 130, "everything that was started is gone")

    @pytest.mark.parametrize("system", sorted(path.parent.name for path in (ROOT / "systems").glob("*/Pulumi.yaml")))
    def test_every_other_system_is_served_the_same_way(self, start: Callable[..., LocalSession], system: str) -> None:
        session = start("--json", "--system", system)
        requests = session.facts()["requests"]
        assert requests, "there must be something to try"
        statuses = [shell(request).split()[1] for request in requests]
        assert {status[0] for status in statuses} == {"2"}, dict(zip(requests, statuses, strict=True))
        session.end(signal.SIGINT)
        assert_clean_end(session, 130, "stopped by SIGINT")

    def test_run_gives_a_command_all_it_needs_and_exits_as_it_did(self, start: Callable[..., LocalSession]) -> None:
        code = """
import json, os, sys, boto3, urllib.request
outputs = json.loads(os.environ["TAP_OUTPUTS"])
assert all(os.environ[key.upper()] == value for key, value in outputs.items())
assert urllib.request.urlopen(os.environ["API_URL"] + "/items").status == 200
assert outputs["api_url"] == os.environ["API_URL"]
assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"
print(sys.argv[1:], os.environ["AWS_REGION"])
sys.exit(7)
"""
        session = start("--run", sys.executable, "-c", code, "--json", "-x", "two words")
        session.end()
        assert session.out == "['--json', '-x', 'two words'] us-east-1\n", session.err
        assert_clean_end(session, 7, "tap-api")

    def test_a_command_that_is_running_ends_with_the_session(self, start: Callable[..., LocalSession]) -> None:
        session = start("--run", "bash", "-c", "sleep 987 & echo ready; wait")
        session.says("ready")
        assert len(session.processes()) >= 4
        assert session.end(signal.SIGTERM) == 143
        assert_clean_end(session, 143, "stopped by SIGTERM")

    def test_state_is_kept_where_asked_and_taken_up_again(
        self, start: Callable[..., LocalSession], tmp_path: Path
    ) -> None:
        keep = tmp_path / "kept"
        first = start("--json", "--keep", str(keep))
        created = shell(first.facts()["requests"][0])
        assert created.split()[1] == "201"
        beside = start("--json", "--keep", str(keep))
        assert beside.end() == 1
        assert_clean_end(beside, 1, "is in use by another session")
        first.end(signal.SIGINT)
        assert_clean_end(first, 130, "stopped")
        second = start("--json", "--keep", str(keep))
        facts = second.facts()
        assert "created" not in second.err, "nothing is made a second time"
        assert '"note":"first"' in shell(facts["requests"][1]), "the item of the first run is still there"
        second.end(signal.SIGTERM)
        assert_clean_end(second, 143, "stopped")


class TestWhenThingsGoWrong:
    @pytest.mark.parametrize("moment", [0, 0.1, 0.3, 0.6, 1, 1.5, 2.2, 3.5])
    def test_ctrl_c_at_any_moment_leaves_nothing(self, start: Callable[..., LocalSession], moment: float) -> None:
        session = start()
        # Before its first word there is nothing to leave; tests/unit/local_session/test_command.py is about that.
        session.says("starting an AWS")
        time.sleep(moment)
        assert session.end(signal.SIGINT) == 130, session.err
        assert "Traceback" not in session.err + session.out
        assert session.leftovers() == []

    @pytest.mark.parametrize("sign", ["tap-data", "Ctrl-C stops everything"], ids=["during a deploy", "when ready"])
    def test_a_dead_emulator_ends_the_session_readably(self, start: Callable[..., LocalSession], sign: str) -> None:
        session = start()
        session.says(sign)
        own = {session.process.pid}
        emulators = [pid for pid in session.processes() if pid not in own and b"emulator.py" in cmdline(pid)]
        os.kill(emulators[0], signal.SIGKILL)
        assert session.end() == 1
        assert_clean_end(session, 1, "the emulator was killed by SIGKILL")

    def test_a_killed_session_takes_its_emulator_along(self, start: Callable[..., LocalSession]) -> None:
        session = start()
        session.says("Ctrl-C stops everything")
        session.end(signal.SIGKILL)
        assert session.leftovers() == [], "also SIGKILL leaves neither processes nor files"

    def test_a_taken_port_is_said(self, start: Callable[..., LocalSession]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            session = start("--port", str(port))
            assert session.end() == 1
        assert_clean_end(session, 1, f"cannot listen on 127.0.0.1:{port}")

    def test_a_given_port_is_used(self, start: Callable[..., LocalSession]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        session = start("--json", "--port", str(port))
        assert session.facts()["api_url"] == f"http://127.0.0.1:{port}/prod"
        session.end(signal.SIGINT)

    def test_a_place_that_cannot_be_written_is_said(self, start: Callable[..., LocalSession], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        session = start("--keep", str(tmp_path / "file" / "kept"))
        assert session.end() == 1
        assert_clean_end(session, 1, "the emulator cannot be started")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--port", "x"], "is not a port"),
            (["--run"], "--run needs a command"),
            (["--json", "--watch"], "not allowed with"),
            (["--single", "--system", "intake"], "not allowed with"),
            (["--nonsense"], "unrecognized"),
        ],
        ids=str,
    )
    def test_a_wrong_option_is_said(self, start: Callable[..., LocalSession], arguments: list[str], said: str) -> None:
        session = start(*arguments)
        assert session.end() == 2
        assert_clean_end(session, 2, said)

    def test_an_unknown_system_is_said(self, start: Callable[..., LocalSession]) -> None:
        session = start("--system", "nonsense")
        assert session.end() == 1
        assert_clean_end(session, 1, "there is no system 'nonsense'")

    def test_a_command_that_is_not_there_is_said(self, start: Callable[..., LocalSession]) -> None:
        session = start("--run", "no-such-command")
        assert session.end() == 1
        assert_clean_end(session, 1, "cannot run no-such-command")

    def test_a_program_that_raises_is_said_with_its_place(
        self, start: Callable[..., LocalSession], tmp_path: Path
    ) -> None:
        root = copied_repository(tmp_path)
        main = root / "stacks" / "compute" / "__main__.py"
        main.write_text(main.read_text() + "\nraise RuntimeError('on purpose')\n")
        session = start(root=root)
        assert session.end() == 1
        assert_clean_end(session, 1, "on purpose")
        assert "stacks/compute/__main__.py:" in session.err + session.out


def test_a_secret_is_shown_nowhere(start: Callable[..., LocalSession], tmp_path: Path) -> None:
    hidden = "battery-staple-in-the-clear"
    root = copied_repository(tmp_path)
    exported = f'\nimport pulumi\npulumi.export("note", pulumi.Output.secret("{hidden}"))\n'
    told = "import os\nprint('the note is there:', 'NOTE' in os.environ)\n"
    for path, old, new in (
        ("lib/items.py", '"LOG_LEVEL": settings.log_level,', f'"NOTE": pulumi.Output.secret("{hidden}"),'),
        ("lib/handler/items.py", "", told),
        ("stacks/compute/__main__.py", "", exported),
    ):
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, f"{old} {new}") if old else text + new)
    session = start("--json", "--keep", str(tmp_path / "kept"), root=root)
    facts = session.facts()
    assert facts["outputs"]["note"] == "[secret]"
    pages = []
    for url in (f"{facts['api_url']}/items", f"{facts['console_url']}/state", f"{facts['console_url']}/requests"):
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - a URL of this machine
            pages.append(answer.read().decode())
    logs = [Path(facts[name]).read_text() for name in ("logs", "emulator_log")]
    assert "the note is there: True" in logs[0] + pages[2], "the function itself gets it"
    session.end(signal.SIGTERM)
    assert hidden not in "".join([session.out, session.err, *pages, *logs])
    kept = tmp_path / "kept" / "state"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700, "what is kept has the secret in it, for its owner alone"


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class TestNoOtherAws:
    def test_real_credentials_and_profiles_are_not_used(
        self, start: Callable[..., LocalSession], tmp_path: Path
    ) -> None:
        (tmp_path / "config").write_text(
            "[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\n"
            "[profile real]\nregion = eu-west-1\nsso_start_url = https://sso.example\n"
        )
        (tmp_path / "credentials").write_text("[real]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n")
        real = {
            "AWS_PROFILE": "real",
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_ACCESS_KEY_ID": "AKIAREAL",
            "AWS_SECRET_ACCESS_KEY": "real",
            "AWS_SESSION_TOKEN": "real",
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }
        code = "import boto3, os; print(boto3.client('sts').get_caller_identity()['Account'], dict(os.environ))"
        session = start("--run", sys.executable, "-c", code, environment=real)
        session.end()
        assert session.process.returncode == 0, session.err
        assert session.out.startswith("123456789012 ")
        assert "AKIAREAL" not in session.out, "not even the command sees them"
        assert "real" not in json.dumps([v for k, v in os.environ.items() if k.startswith("AWS_")])

    def test_nothing_outside_this_machine_is_looked_up_or_contacted(self, tmp_path: Path) -> None:
        """In a network of its own every address leads back to this machine, where a trap waits for any connection."""
        trap = ROOT / "tests" / "local" / "trap.py"
        network = "ip link set lo up && ip route add local default dev lo"
        alone = [needs.program("unshare", package="util-linux"), "-rn", "sh", "-c"]
        isolated = [*alone, f'{network} && exec {sys.executable} {trap} "$@"', "trap"]
        needs.program("ip", package="iproute2")
        needs.program("curl", package="curl")
        if subprocess.run([*alone, network], capture_output=True, check=False).returncode:
            needs.lacking("this machine does not let its users make a network of their own", "own-network")
        real = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real", "AWS_REGION": "eu-west-1"}
        post = "curl -sSf -X POST -H 'Content-Type: application/json' -d '{}' $API_URL/items"

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, **real, "TMPDIR": str(tmp_path)}
            return subprocess.run(
                [*isolated, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )

        caught = run(sys.executable, "-c", "import boto3; boto3.client('sts').get_caller_identity()")
        assert "TRAPPED look-up of sts" in caught.stderr, "the trap must see a real attempt, or this proves nothing"
        assert caught.returncode, "nobody answers here"
        session = run(sys.executable, "-m", "lib.local", "--run", "bash", "-c", post)
        assert session.returncode == 0, session.stderr
        assert "ItemId" in session.stdout
        assert "TRAPPED" not in session.stderr
