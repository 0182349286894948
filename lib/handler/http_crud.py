"""The HTTP API CRUD's Lambda entry module: all lazy work is done here, in INIT, at full CPU."""

import gc
import os

from lib.handler.app import App
from lib.handler.http_crud_api import Crud
from lib.handler.table import Table
from lib.routes import HTTP_CRUD

_environ = os.environ
_table = Table(_environ.get("DYNAMODB_TABLE_NAME", ""), _environ.get("AWS_REGION", "us-east-1"))
_crud = Crud(_table, _environ.get("ENVIRONMENT", ""))
handler = App(HTTP_CRUD, _crud, _environ, _table).handler
if _table.name:
    _table.warm_up()
gc.collect()
gc.freeze()
