"""The route of a request, from the one route table."""

from lib.handler.problem import Problem
from lib.handler.request import Request
from lib.routes import Route, methods_by_path


class Router:
    """Finds a request's route. A path may end in `{name+}`: one segment or more."""

    def __init__(self, routes: "tuple[Route, ...]") -> None:
        self._actions = {(route.path, route.method): route.action for route in routes}
        self._allowed = {path: ", ".join(methods) for path, methods in methods_by_path(routes).items()}
        self._segments = [(path, path.split("/")[1:]) for path in self._allowed]

    def find(self, request: "Request") -> "tuple[str, str]":
        """Return (action, allowed methods), the action "" for OPTIONS; sets the request's `route` and `params`."""
        path = request.template
        if path in self._allowed and path.count("{") == len(request.given):
            request.params = {name: value if isinstance(value, str) else "" for name, value in request.given.items()}
        else:
            found = self._match(request)
            if path not in self._allowed:
                path = found
            elif found != path:
                request.params = {}  # the gateway's route, and no parameters for it anywhere
        if not path:
            raise Problem("route-not-found", "The API has no such path.")
        allowed, method = self._allowed[path], request.method
        action = "" if method == "OPTIONS" else self._actions.get((path, method))
        if action is None:
            request.route = "* " + path
            raise Problem("method-not-allowed", f"The methods are {allowed}.", headers={"Allow": allowed})
        request.route = f"{method} {path}"
        return action, allowed

    def _match(self, request: "Request") -> str:
        """Return the route's path for the request's; "" when there is none."""
        given = request.path.split("/")[1:]
        if given[-1:] == [""] and len(given) > 1:
            del given[-1]
        for path, segments in self._segments:
            greedy = segments[-1].endswith("+}")
            if len(given) != len(segments) and not (greedy and len(given) > len(segments)):
                continue
            params = {}
            for index, segment in enumerate(segments):
                value = "/".join(given[index:]) if segment.endswith("+}") else given[index]
                if segment[:1] == "{" and value:
                    params[segment.strip("{+}")] = value
                elif segment != value:
                    break
            else:
                request.params = params
                return path
        return ""
