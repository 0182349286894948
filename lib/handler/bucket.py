"""An S3 bucket, to put objects into."""

from __future__ import annotations

from lib.handler.service import Service


class Bucket:
    """The bucket `name`, whose name has no dots: it is a part of the host's."""

    def __init__(self, name: str, region: str) -> None:
        self.name = name
        self.service = Service("s3", region, f"{name}.s3.{region}.amazonaws.com", "AWS_ENDPOINT_URL_S3")
        self._place = f"{name}/" if self.service.elsewhere else ""

    def put(self, key: str, body: bytes, deadline: float) -> None:
        """Store a JSON document under `key` (of characters that a path carries as they are), or raise `ServiceError`.

        The signature covers the body's digest, so S3 stores what was sent or nothing.
        """
        self.service.send("PUT", self._place + key, {"content-type": "application/json"}, body, deadline)
