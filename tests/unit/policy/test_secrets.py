"""A secret that a program uses is in nothing that is printed or written from its plan."""

from __future__ import annotations

import json
from datetime import date

import pulumi
import pytest
from pulumi_aws import lambda_

from lib.audit.terraform import rendered
from lib.plan import recorder, render
from lib.plan.recorder import Recording
from policy.check import Config, check

SECRET = "correct-horse-battery-staple"


def program() -> None:
    secret = pulumi.Output.secret(SECRET)
    function = lambda_.Function(
        "f",
        role="arn:aws:iam::123456789012:role/r",
        description=pulumi.Output.concat("knows ", secret),
        environment={"variables": {"API_TOKEN": secret}},
        handler="shown.handler",
    )
    pulumi.export("secret", secret)
    pulumi.export("inside", {"nested": [secret]})
    pulumi.export("name", function.name)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorder.record(program, stack="prod")


def judged(recording: Recording) -> str:
    report = check([recording], config=Config(), waivers=[], today=date(2026, 11, 21))
    assert "function-no-secrets" in report.text(), "the rule has to speak of it for its silence to mean anything"
    return report.text() + json.dumps(report.as_json())


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(lambda r: render.text([r], full=True), id="plan"),
        pytest.param(lambda r: json.dumps(render.as_json([r])), id="plan as JSON"),
        pytest.param(lambda r: render.mermaid([r]), id="diagram"),
        pytest.param(lambda r: json.dumps(rendered([r])), id="Terraform JSON for scanners"),
        pytest.param(judged, id="policy report"),
    ],
)
def test_a_secret_is_not_shown(recording: Recording, shown: object) -> None:
    assert callable(shown)
    text = shown(recording)
    assert text
    assert SECRET not in text


def test_what_is_no_secret_is_shown(recording: Recording) -> None:
    assert "shown.handler" in render.text([recording], full=True), (
        "a plan that hides everything passes every other test here"
    )
