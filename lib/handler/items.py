"""The items API's Lambda entry module: all lazy work is done here, in INIT, at full CPU."""

import gc
import os

from lib.handler.app import App
from lib.handler.items_api import Items
from lib.handler.table import Table
from lib.routes import ITEMS

_environ = os.environ
_table = Table(_environ.get("DYNAMODB_TABLE_NAME", ""), _environ.get("AWS_REGION", "us-east-1"))
_items = Items(_table, _environ.get("ENVIRONMENT", ""), _environ.get("REQUIRE_IF_MATCH") == "true")
handler = App(ITEMS, _items, _environ, _table).handler
if _table.name:
    _table.warm_up()
    gc.freeze()
