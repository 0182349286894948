"""The kit itself: what is wrong in a program, or asserts nothing in a test, makes the test fail.

Each sample below is a test that has to fail, or the one right way next to it; pytest runs them all in a process of
its own, with this repository's conftest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pulumi
import pytest
from pulumi_aws import dynamodb, sns

from lib.plan.recorder import RecordingError
from tests import kit

SAMPLES = """
import socket

import pulumi
import pytest
from pulumi_aws import sns

from tests import kit


def make_topic():
    topic = sns.Topic("t", name="wrong", tags={"Owner": "me"})
    pulumi.export("arn", topic.arn)
    return topic


def test_right():
    recording = kit.recorded(make_topic)
    assert recording.one("Topic").inputs["name"] == "wrong"
    assert recording.exports == {"arn": "${Topic.t.arn}"}


def test_right_inside_an_apply_that_ran():
    def program():
        def check(name):
            assert name == "wrong"
        make_topic().name.apply(check)

    kit.recorded(program)


def test_wrong_value():
    assert kit.recorded(make_topic).one("Topic").inputs["name"] == "right"


def test_missing_resource():
    kit.recorded(make_topic).one("Table")


def test_missing_export():
    assert kit.recorded(make_topic).exports["url"]


def test_export_of_what_the_provider_does_not_compute():
    kit.recorded(lambda: pulumi.export("policy", make_topic().signature_version))


def test_export_of_none():
    assert "name" in kit.recorded(lambda: pulumi.export("name", None)).exports


def test_input_that_the_provider_does_not_compute():
    def program():
        sns.Topic("second", name="second", display_name=make_topic().signature_version.apply(str))

    kit.recorded(program)


def test_wrong_value_inside_an_apply():
    def program():
        def check(name):
            assert name == "right"
        make_topic().name.apply(check)

    kit.recorded(program)


def test_apply_outside_of_a_program():
    topics = []
    kit.recorded(lambda: topics.append(make_topic()))
    try:
        topics[0].signature_version.apply(lambda name: pytest.fail("never reached"))
    except RuntimeError:
        pass


def test_apply_on_an_unknown_value():
    def program():
        def check(name):
            assert name == "right"
        make_topic().signature_version.apply(check)

    kit.recorded(program)


def test_output_formatted_into_an_input():
    def program():
        sns.Topic("second", name=f"{make_topic().name}-second")

    kit.recorded(program)


def test_output_formatted_into_an_export():
    kit.recorded(lambda: pulumi.export("url", f"https://{make_topic().name}"))


def test_two_resources_of_one_name():
    kit.recorded(lambda: (make_topic(), make_topic()))


def test_network():
    with socket.socket() as unconnected:
        unconnected.connect(("192.0.2.1", 443))


def test_network_by_name():
    socket.create_connection(("example.com", 443), timeout=1)


def test_network_when_caught():
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=1)
    except Exception:
        pass
"""

# What each sample that has to fail says.
REASONS = {
    "test_wrong_value": "assert 'wrong' == 'right'",
    "test_missing_resource": "has 0 resources of kind Table; its kinds are ['Topic']",
    "test_missing_export": "KeyError: 'url'",
    "test_export_of_what_the_provider_does_not_compute": "the export 'policy'",
    "test_export_of_none": "assert 'name' in {}",
    "test_input_that_the_provider_does_not_compute": "input displayName comes from an output",
    "test_wrong_value_inside_an_apply": "assert 'wrong' == 'right'",
    "test_apply_outside_of_a_program": "never ran, so it asserted nothing",
    "test_apply_on_an_unknown_value": "never ran, so it asserted nothing",
    "test_output_formatted_into_an_input": "Calling __str__ on an Output",
    "test_output_formatted_into_an_export": "Calling __str__ on an Output",
    "test_two_resources_of_one_name": "two resources have the URN",
    "test_network": "connects to ('192.0.2.1', 443)",
    "test_network_by_name": "looks up 'example.com'",
    "test_network_when_caught": "looks up '192.0.2.1'",
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints about the samples; one run for all, since each run imports pulumi again."""
    directory = tmp_path_factory.mktemp("samples")
    (directory / "test_samples.py").write_text(SAMPLES)
    (directory / "conftest.py").write_text("from tests.conftest import *\n")
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--tb=short", str(directory)],
        env={**os.environ, "PYTHONPATH": str(kit.ROOT)},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout + finished.stderr


def test_the_samples_that_have_to_fail_are_all_there_is_but_the_right_ones(outcome: str) -> None:
    passed = set(re.findall(r"::(test_\w+) PASSED", outcome))
    failed = set(re.findall(r"::(test_\w+) (?:FAILED|ERROR)", outcome))
    assert passed == {"test_right", "test_right_inside_an_apply_that_ran"}, outcome
    assert failed == REASONS.keys(), outcome


@pytest.mark.parametrize("sample", REASONS)
def test_a_failing_sample_says_why(outcome: str, sample: str) -> None:
    story = re.search(rf"^_+ {sample} _+$(.*?)^(?:_{{5,}}|={{5,}})", outcome, re.MULTILINE | re.DOTALL)
    assert story, outcome
    assert REASONS[sample] in story[1], story[1]


def _table(name: str = "same", *, hash_key: str | None = None, protect: bool = False) -> None:
    attributes = [dynamodb.TableAttributeArgs(name="id", type="S")]
    opts = pulumi.ResourceOptions(protect=protect)
    dynamodb.Table("t", name=name, attributes=attributes, hash_key=hash_key, opts=opts)


def _table_and_topic() -> None:
    _table()
    sns.Topic("more")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda: _table("other"), "Table t: name is 'same' in test, 'other' in test"),
        (lambda: _table(hash_key="id"), "Table t: hashKey is 'absent' in test, 'id' in test"),
        (lambda: _table(protect=True), "Table t: protect is False in test, True in test"),
        (_table_and_topic, "Topic more: only in test"),
    ],
)
def test_a_difference_is_printed_with_its_resource(change: Callable[[], None], line: str) -> None:
    assert kit.differences(kit.recorded(_table), kit.recorded(change)) == [line]


def test_equal_systems_have_no_difference() -> None:
    assert kit.differences(kit.recorded(_table), kit.recorded(_table)) == []


def test_a_program_is_run_as_main_with_its_exports() -> None:
    recording, error = kit.attempt(kit.ROOT / "stacks" / "data", {})
    assert error is None
    assert recording.exports == {
        "dynamodb_table_name": "spec-items-table",
        "dynamodb_table_arn": "${Table.items-table.arn}",
    }


def test_reading_what_does_not_exist_is_an_error() -> None:
    with pytest.raises(RecordingError, match="reads the existing"):
        kit.recorded(lambda: sns.Topic.get("t", "arn:aws:sns:us-east-1:123456789012:t"))
