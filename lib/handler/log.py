"""One JSON line per request, which is also its metrics (CloudWatch's embedded metric format).

Nothing a client sends gets into a line: a route is the table's own, a code one of `problem.CODES`, an id was checked.
"""

import sys
from json import dumps
from time import time_ns

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from lib.handler.request import Request

_LEVELS = {"DEBUG": 0, "INFO": 0, "WARNING": 400, "ERROR": 500, "CRITICAL": 500}
_METRICS = (("milliseconds", "Milliseconds"), ("tableCalls", "Count"), ("fault", "Count"))


class Log:
    """Writes the lines of the given level and above; a level that is none means INFO."""

    def __init__(self, level: str, function: str) -> None:
        self._least = _LEVELS.get(level.strip().upper(), 0)
        directive = {
            "Namespace": "tap",
            "Dimensions": [["FunctionName"]],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in _METRICS],
        }
        self._tail = f'"CloudWatchMetrics":{dumps([directive])}}},"FunctionName":{dumps(function)}}}\n'

    def write(
        self,
        request: "Request",
        status: int,
        about: "dict[str, object]",
        *,
        milliseconds: float,
        calls: int,
        cold: bool,
    ) -> None:
        """Write what became of a request; `about` says more of an error."""
        if status < self._least:
            return
        level = "INFO" if status < 400 else "WARNING" if status < 500 else "ERROR"
        more = "".join([f'"{name}":{dumps(value)},' for name, value in about.items()])
        sys.stdout.write(
            f'{{"level":"{level}","requestId":"{request.id}","route":"{request.route}","status":{status},'
            f'"milliseconds":{milliseconds:.3f},"tableCalls":{calls},"cold":{"true" if cold else "false"},'
            f'"fault":{1 if status >= 500 else 0},{more}"_aws":{{"Timestamp":{time_ns() // 1000000},{self._tail}'
        )
