"""The request intake's Lambda entry module: all lazy work is done here, in INIT, at full CPU."""

import gc
import os

from lib.handler.app import App
from lib.handler.bucket import Bucket
from lib.handler.intake_api import Intake
from lib.handler.state_machine import StateMachine
from lib.handler.table import Table
from lib.routes import INTAKE

_environ = os.environ
_region = _environ.get("AWS_REGION", "us-west-2")
_table = Table(_environ.get("DYNAMODB_TABLE_NAME", ""), _region)
_bucket = Bucket(_environ.get("BUCKET_NAME", "bucket"), _region)
_machine = StateMachine(_environ.get("STATE_MACHINE_ARN", ""), _region)
handler = App(INTAKE, Intake(_table, _bucket, _machine, _environ.get("ENVIRONMENT", "")), _environ, _table).handler
if _table.name:
    _table.warm_up()
    _bucket.service.warm_up()
    _machine.service.warm_up()
gc.collect()
gc.freeze()
