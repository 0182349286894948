"""The HTTP API CRUD: items with one key behind an HTTP API."""

import pulumi

from lib.systems import http_crud

for key, value in http_crud.deploy(http_crud.settings()).items():
    pulumi.export(key, value)
