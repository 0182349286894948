"""The HTTP API service: one function behind a catch-all route, its alarms and its dashboard."""

import pulumi

from lib.systems import http_service

for key, value in http_service.deploy(http_service.settings()).items():
    pulumi.export(key, value)
