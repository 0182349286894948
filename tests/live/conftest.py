"""A stack on AWS, named by its outputs: `TAP_OUTPUTS` as `nox -s outputs -- --json` prints them, and credentials."""

from __future__ import annotations

import json
import os

import boto3
import pytest

from tests.local.deployed import Deployed

NEEDED = {"api_url", "api_rest_id", "api_stage", "dynamodb_table_name", "lambda_function_name"}


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    given = os.environ.get("TAP_OUTPUTS")
    if not given:
        pytest.skip("TAP_OUTPUTS is not set: there is no deployed stack to test")
    outputs = json.loads(given)
    # Outputs come stack by stack from some tools; what the tests want is one flat object.
    if not outputs.keys() >= NEEDED:
        outputs = {key: value for each in outputs.values() if isinstance(each, dict) for key, value in each.items()}
    missing = NEEDED - outputs.keys()
    assert not missing, f"TAP_OUTPUTS lacks {', '.join(sorted(missing))}: give the outputs of all four stacks"
    session = boto3.Session()
    if session.get_credentials() is None:
        pytest.skip("there are no AWS credentials: the stack's settings cannot be read back")
    return Deployed(outputs, session.client)
