"""What goes wrong in the middle: failures, kills, locks, rivals. Nothing is lost or doubled, all can be continued."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from lib.local.emulator import Emulator
from tests.engine.gate import Gate
from tests.engine.machine import Checkout, children, dead_pid, finish, first_event, until

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def gate(emulator: Emulator) -> Iterator[Gate]:
    """Between the deploys of this file and the emulator."""
    gate = Gate(emulator.endpoint)
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def checkout(new_checkout: Callable[[str], Checkout], gate: Gate) -> Checkout:
    """One copy of the programs; each test takes an environment of its own."""
    checkout = new_checkout("unused")
    checkout.variables["AWS_ENDPOINT_URL"] = gate.endpoint
    return checkout


def everything(checkout: Checkout) -> dict[str, list[str]]:
    """What AWS has of this environment, by name."""
    env = checkout.env
    functions = checkout.client("lambda").list_functions()["Functions"]
    apis = checkout.client("apigateway").get_rest_apis()["items"]
    names = {
        "tables": checkout.client("dynamodb").list_tables()["TableNames"],
        "functions": [function["FunctionName"] for function in functions],
        "roles": [role["RoleName"] for role in checkout.client("iam").list_roles()["Roles"]],
        "logs": [
            g["logGroupName"].rpartition("/")[2] for g in checkout.client("logs").describe_log_groups()["logGroups"]
        ],
        "apis": [api["name"] for api in apis],
        "topics": [topic["TopicArn"].rpartition(":")[2] for topic in checkout.client("sns").list_topics()["Topics"]],
    }
    return {kind: [name for name in found if name.startswith(f"{env}-")] for kind, found in names.items()}


def one_of_each(env: str) -> dict[str, list[str]]:
    """What a complete deploy has made."""
    return {
        "tables": [f"{env}-items-table"],
        "functions": [f"{env}-items-lambda"],
        "roles": [f"{env}-items-lambda-role"],
        "logs": [f"{env}-items-lambda"],
        "apis": [f"{env}-items-api"],
        "topics": [f"{env}-items-alarms"],
    }


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL a run with all that it has started, as a power cut would."""
    everyone = [process.pid]
    for pid in everyone:
        everyone += children(pid)
    for pid in everyone:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def lock(checkout: Checkout, project: str, *, pid: int, host: str) -> None:
    """Leave a lock as an engine does."""
    directory = checkout.lock_directory(project)
    directory.mkdir(parents=True, exist_ok=True)
    content = {"pid": pid, "username": "ann", "hostname": host, "timestamp": datetime.now(UTC).isoformat()}
    (directory / "0b1c.json").write_text(json.dumps(content))


def test_a_failure_in_the_middle_stops_what_is_downstream_and_can_be_continued(checkout: Checkout, gate: Gate) -> None:
    broken = checkout.in_environment("broken")
    with gate.refusing("POST /2015-03-31/functions"):
        run = broken.run("deploy_all", "--yes")
    assert run.code == 14, run
    assert run.status == {"data": "succeeded", "compute": "failed", "api": "blocked", "monitoring": "blocked"}
    assert "the gate refuses it" in run.summary["stacks"][1]["why"]
    assert run.summary["next"] == "nox -s deploy_all -- --env broken --from compute"
    with gate.refusing("PutMetricAlarm"):
        run = broken.run("deploy_all", "--yes", "--from", "compute")
    assert run.code == 14, run
    assert run.status == {"compute": "succeeded", "api": "succeeded", "monitoring": "failed"}, (
        "a branch that does not need the failed stack is finished"
    )
    run = broken.run("deploy", "monitoring", "--yes")
    assert run.code == 0, run
    assert everything(broken) == one_of_each("broken")


def test_a_stale_lock_is_shown_and_removed_on_request(checkout: Checkout) -> None:
    locked = checkout.in_environment("locked")
    assert locked.run("deploy", "data", "--yes").code == 0
    pid = dead_pid()
    lock(locked, "tap-data", pid=pid, host=os.uname().nodename)
    run = locked.run("deploy", "data", "--yes")
    assert run.code == 12, run
    assert f"ann@{os.uname().nodename}, process {pid}, no longer running, held for 0 min" in run.found
    assert "nox -s unlock -- data --env locked" in run.summary["next"]
    assert locked.run("unlock", "data").code == 12, "without anybody's yes it stays"
    assert locked.run("unlock", "data", "--yes").code == 0
    assert locked.run("deploy", "data", "--yes").code == 0


def test_a_lock_that_is_held_is_not_removed_and_another_hosts_only_by_name(checkout: Checkout) -> None:
    locked = checkout.in_environment("held")
    assert locked.run("deploy", "data", "--yes").code == 0
    lock(locked, "tap-data", pid=os.getpid(), host=os.uname().nodename)
    # The lock's process has to be older than the lock, or its number was given to another one since.
    run = locked.run("unlock", "data", "--yes")
    assert run.code == 12, run
    assert f"process {os.getpid()} of this machine is still at work" in run.summary["stacks"][0]["why"]
    lock(locked, "tap-data", pid=1, host="elsewhere")
    run = locked.run("unlock", "data", "--yes")
    assert run.code == 12, run
    assert run.summary["next"].endswith("--confirm organization/tap-data/held")
    assert locked.run("unlock", "data", "--confirm", "organization/tap-data/other").code == 12
    assert locked.run("unlock", "data", "--confirm", "organization/tap-data/held").code == 0
    assert not list(locked.lock_directory("tap-data").glob("*.json"))


def test_two_at_the_same_moment_do_not_disturb_each_other(checkout: Checkout) -> None:
    rivals = checkout.in_environment("rivals")
    runs = [finish(process) for process in [rivals.start("deploy_all", "--yes"), rivals.start("deploy_all", "--yes")]]
    codes = sorted(run.code for run in runs)
    assert codes[0] == 0 or codes == [12, 14], f"one goes on until it meets the other: {[str(run) for run in runs]}"
    for run in runs:
        if run.code:
            assert run.code in {12, 14}, run
            assert any("locked" in (stack["why"] or "") for stack in run.summary["stacks"]) or "locked" in run.found
    final = rivals.run("deploy_all", "--yes")
    assert final.code == 0, final
    assert everything(rivals) == one_of_each("rivals")


def test_ctrl_c_once_finishes_what_has_begun_and_starts_nothing_new(checkout: Checkout) -> None:
    stopped = checkout.in_environment("stopped")
    process = stopped.start("deploy_all", "--yes")
    first_event(
        process, lambda e: e["event"] == "resource-changed" and e["stack"] == "compute" and e["phase"] == "update"
    )
    process.send_signal(signal.SIGINT)
    run = finish(process)
    assert run.code == 8, run
    assert run.status["data"] == "succeeded"
    assert run.status["compute"] in {"cancelled", "succeeded"}, "it may have been at its end"
    assert run.status["api"] in {"not-started", "blocked"}
    assert run.summary["changed"], "the summary is true"
    assert run.summary["next"] == "nox -s deploy_all -- --env stopped" + (
        " --from compute" if run.status["compute"] == "cancelled" else ""
    )
    assert not stopped.state("stacks/compute").get("pending_operations"), "a clean stop leaves nothing half done"
    run = stopped.run("deploy_all", "--yes")
    assert run.code == 0, run
    assert everything(stopped) == one_of_each("stopped")


def test_killed_after_aws_had_made_something_it_is_found_again_and_not_made_twice(
    checkout: Checkout, gate: Gate
) -> None:
    killed = checkout.in_environment("killed")
    with gate.swallowing("POST /2015-03-31/functions") as caught:
        process = killed.start("deploy_all", "--yes")
        until(caught.is_set, "the function's creation")
        kill(process)
    run = killed.run("deploy_all", "--yes")
    assert run.code == 12, run
    assert "no longer running" in run.found, "the lock of a dead run says that its holder is dead"
    assert killed.run("unlock", "compute", "--yes").code == 0

    run = killed.run("deploy_all", "--yes")
    assert run.code == 17, run
    assert "creating lambda/function:Function items-lambda" in run.found
    assert "--import-pending" in run.summary["next"]
    assert "items-lambda=killed-items-lambda" in run.summary["next"], "the id to import is told where it can be"

    run = killed.run("refresh", "compute", "--yes")
    assert run.code == 17, f"how it ended is never guessed: {run}"
    [pending] = killed.state("stacks/compute")["pending_operations"]
    urn = pending["resource"]["urn"]
    run = killed.run("refresh", "compute", "--yes", "--import-pending", f"{urn}=killed-items-lambda")
    assert run.code == 0, run
    run = killed.run("deploy_all", "--yes")
    assert run.code == 0, run
    assert everything(killed) == one_of_each("killed")


def test_killed_before_aws_had_made_it_it_is_made_once(checkout: Checkout, gate: Gate) -> None:
    early = checkout.in_environment("early")
    with gate.swallowing("CreateTable", before=True) as caught:
        process = early.start("deploy", "data", "--yes")
        until(caught.is_set, "the table's creation")
        kill(process)
    assert early.run("unlock", "data", "--yes").code == 0
    [pending] = early.state("stacks/data")["pending_operations"]
    run = early.run("refresh", "data", "--yes", "--clear-pending", pending["resource"]["urn"])
    assert run.code == 0, run
    run = early.run("deploy", "data", "--yes")
    assert run.code == 0, run
    assert everything(early)["tables"] == ["early-items-table"]


def test_ctrl_c_twice_says_what_is_at_risk_and_a_third_time_stops_at_once(checkout: Checkout, gate: Gate) -> None:
    risky = checkout.in_environment("risky")
    with gate.swallowing("CreateTable") as caught:
        process = risky.start("deploy", "data", "--yes")
        until(caught.is_set, "the table's creation")
        seen = []

        def press(words: str) -> None:
            process.send_signal(signal.SIGINT)
            seen.extend(first_event(process, lambda e: e["event"] == "message" and words in e["text"]))

        press("what has begun is being finished")
        press("data: create dynamodb/table:Table items-table")
        assert process.poll() is None, "saying what is at risk must not do it"
        time.sleep(1)  # a double press is one wish
        process.send_signal(signal.SIGINT)
        run = finish(process)
    assert run.code == 8, run
    assert "stopped in the middle of dynamodb/table:Table items-table" in run.summary["stacks"][0]["why"]


def test_the_update_goes_on_when_only_the_run_that_watched_it_is_killed(checkout: Checkout) -> None:
    orphan = checkout.in_environment("orphan")
    process = orphan.start("deploy", "data", "--yes")
    first_event(process, lambda e: e["event"] == "resource-changed" and e["phase"] == "update")
    [engine] = children(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not alive(engine), "the engine to finish by itself")
    assert not list(orphan.lock_directory("tap-data").glob("*.json")), "it has given its lock back"
    run = orphan.run("deploy", "data", "--yes")
    assert run.code == 0, run
    assert run.changes == {"data": {}}, "the update was complete"


def alive(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_destroying_goes_against_the_order_and_backs_up_a_named_table(checkout: Checkout) -> None:
    doomed = checkout.in_environment("broken")
    run = doomed.run("destroy_all", "--yes", "--allow-data-loss", "broken-items-table")
    assert run.code == 0, run
    ended = [event["stack"] for event in run.of("stack-changed", phase="destroy", status="succeeded")]
    assert sorted(ended[:2]) == ["api", "monitoring"]
    assert ended[2:] == ["compute", "data"]
    assert not any(everything(doomed).values()), "nothing is left behind"
    assert any("backed up broken-items-table" in event["text"] for event in run.of("message"))
