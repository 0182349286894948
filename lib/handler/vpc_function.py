"""The VPC function's Lambda entry module: all lazy work is done here, in INIT, at full CPU."""

import gc
import os

from lib.handler.app import App
from lib.handler.table import Table
from lib.handler.vpc_function_api import Sample
from lib.routes import VPC_FUNCTION

_environ = os.environ
_table = Table(_environ.get("DYNAMODB_TABLE_NAME", ""), _environ.get("AWS_REGION", "us-east-1"))
handler = App(VPC_FUNCTION, Sample(_table), _environ, _table).handler
if _table.name:
    _table.warm_up()
gc.collect()
gc.freeze()
