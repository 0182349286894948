"""Errors as RFC 9457 problem documents."""

from json import dumps

TYPE = "urn:problem-type:tap:"
# Every code an answer may carry: its status and title. Codes are part of the contract (docs/openapi.json has them).
CODES = {
    "bad-request": (400, "The request could not be read"),
    "invalid-path": (400, "The path could not be read"),
    "invalid-limit": (400, "The limit is not one"),
    "invalid-cursor": (400, "The cursor was not issued for this listing"),
    "invalid-header": (400, "A header could not be read"),
    "invalid-body": (400, "The body could not be read"),
    "route-not-found": (404, "There is no such route"),
    "item-not-found": (404, "There is no such item"),
    "method-not-allowed": (405, "The route does not have this method"),
    "item-exists": (409, "The item exists already"),
    "several-versions": (409, "The item has several versions"),
    "precondition-failed": (412, "The item is not the one that was expected"),
    "too-large": (413, "The item is too large"),
    "unsupported-media-type": (415, "The body is not application/json"),
    "unsupported-encoding": (415, "The body is encoded"),
    "invalid-item": (422, "The item is not valid"),
    "idempotency-key-reused": (422, "The idempotency key belongs to another request"),
    "precondition-required": (428, "The request must be conditional"),
    "internal-error": (500, "The request failed"),
    "unavailable": (503, "The service did not answer in time"),
}


class Problem(Exception):  # noqa: N818 - what RFC 9457 calls it
    """Ends a request with an error. `errors` are (JSON pointer, detail); `cause` is for the log alone."""

    def __init__(
        self,
        code: str,
        detail: str,
        errors: "list[tuple[str, str]] | None" = None,
        headers: "dict[str, str] | None" = None,
        cause: str = "",
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status, self.title = CODES[code]
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.cause = cause

    def document(self, request_id: str) -> str:
        """Return the body that tells a client of it."""
        members: "dict[str, object]" = {
            "type": TYPE + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": "urn:request:" + request_id,
            "code": self.code,
            "requestId": request_id,
        }
        if self.errors:
            members["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in self.errors]
        return dumps(members)
