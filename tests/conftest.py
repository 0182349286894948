"""What every test gets: no network, no luck, and no assertion that never runs.

The handler's tests load this file on Python 3.9 too, where pulumi is not installed.
"""

from __future__ import annotations

import _socket
import importlib.util
import ipaddress
import random
import signal
import socket
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

MAY_USE_NETWORK = ("local", "engine", "live", "browser")

# The same examples on every run, so that a red build is red again on the next machine; look for new ones with
# `--hypothesis-profile=explore`. No deadline: a busy machine is not a bug.
patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("tap", patient, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", patient)
hypothesis.settings.load_profile("tap")


def pytest_configure() -> None:
    """Let Ctrl-C be tested also where a script started the tests in its background: a shell ignores it for those."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_luck() -> None:
    """Code under test that throws dice (retry jitter, ids) throws the same ones on every run."""
    random.seed(17)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine answers, unless the test's marker says otherwise.

    A unit test that reaches AWS would be slow, would fail on a train, and could change a real account.
    """
    if any(request.node.get_closest_marker(marker) for marker in MAY_USE_NETWORK):
        return

    def guard(name: str) -> None:
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_this_machine(address[0]):
                pytest.fail(f"a test without a marker of {MAY_USE_NETWORK} connects to {address}")
            return real(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and not _is_this_machine(host):
            pytest.fail(f"a test without a marker of {MAY_USE_NETWORK} looks up {host!r}")
        return lookup(host, *args, **kwargs)

    lookup = _socket.getaddrinfo  # under `socket.getaddrinfo`, and what the handler stands on (docs/adr/0021)
    guard("connect")
    guard("connect_ex")
    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)


def _is_this_machine(host: Any) -> bool:
    host = host.decode() if isinstance(host, bytes) else host
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Fail a test whose `apply` never ran, or that formatted an Output into a string.

    Pulumi lets both pass: an assertion inside an `apply` on an unknown value, or outside of a program, is never
    reached, and an Output in an f-string becomes a sentence about itself.
    """
    if importlib.util.find_spec("pulumi") is None:
        return (yield)

    import pulumi

    waiting: list[str] = []
    apply = pulumi.Output.apply

    def watched(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        code = getattr(func, "__code__", None)
        if code is None or code.co_filename != str(pyfuncitem.path):
            return apply(self, func, *args, **kwargs)
        place = f"{pyfuncitem.path.name}:{code.co_firstlineno}"
        waiting.append(place)

        def ran(value: Any) -> Any:
            if place in waiting:
                waiting.remove(place)
            return func(value)

        return apply(self, ran, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.Output, "apply", watched)
        patch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")
        result = yield
    assert not waiting, f"never ran, so it asserted nothing: the function given to apply at {', '.join(waiting)}"
    return result
