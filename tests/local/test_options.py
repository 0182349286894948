"""Production's options deploy onto the emulator, stay as they are on a second deploy, and are gone after a destroy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lib.local.deploy import deploy, destroy
from lib.local.emulator import Emulator
from lib.program import ROOT, Program

pytestmark = pytest.mark.local

POOL = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("stack", "config"),
    [
        ("opt-key", {"tap:authorization": "API_KEY", "tap:waf": "true", "tap:lambdaReservedConcurrency": "5"}),
        ("opt-cognito", {"tap:authorization": "COGNITO", "tap:cognitoUserPoolArn": POOL}),
        ("opt-domain", {"tap:domainName": "api.example.com", "tap:certificateArn": CERTIFICATE}),
    ],
)
def test_an_option_is_deployed_kept_and_taken_away(
    emulator: Emulator, tmp_path: Path, stack: str, config: Mapping[str, str]
) -> None:
    program = Program(ROOT)
    first = deploy([program], endpoint=emulator.endpoint, state_dir=tmp_path, stack=stack, config=config)["tap"]
    assert set(first.counts) == {"created"}
    if domain := config.get("tap:domainName"):
        assert first.outputs["api_url"] == f"https://{domain}"
    second = deploy([program], endpoint=emulator.endpoint, state_dir=tmp_path, stack=stack, config=config)["tap"]
    assert set(second.counts) == {"unchanged"}, "an option that changes on every deploy is never deployed"
    destroy([program], endpoint=emulator.endpoint, state_dir=tmp_path, stack=stack, config=config)
