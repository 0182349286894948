"""The HTTP API service's Lambda entry module."""

import gc
import os

from lib.handler.app import App
from lib.handler.http_service_api import Service
from lib.routes import HTTP_SERVICE

_environ = os.environ
_service = Service(_environ.get("ENVIRONMENT", ""), _environ.get("REGION", ""))
handler = App(HTTP_SERVICE, _service, _environ).handler
gc.collect()
gc.freeze()
