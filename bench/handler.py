"""Count what the items handler costs, beside what people use instead: writes docs/bench.md and its chart.

    python -m bench.handler [--quick]

Instructions are counted by callgrind, so the figures do not depend on this machine's speed or on what else it is doing.
Everything runs on 127.0.0.1 against a table that speaks DynamoDB's protocol over TLS 1.3.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore
import trustme

from bench.chart import chart
from lib.archive import sources
from lib.handler.app import App
from lib.handler.items_api import Items
from lib.routes import ITEMS
from tests.unit.handler.fake_table import FakeTable
from tests.unit.handler.table.engine import MemoryTable
from tests.unit.handler.table.server import TableServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
VENVS = ROOT / ".nox" / "bench"
DOCS = ROOT / "docs"
RUNTIME = "awslambdaric==4.0.4"  # Lambda's own runtime client; the last that supports Python 3.9
GOALS = {"cold": 150.0, "get": 1.2, "list": 3.2, "rss": 24.0, "quota": 3.0}
QUOTA_MS, PERIOD_MS = 1.45, 20
BUNDLE = 126
REPEATS = 10


class Peer(NamedTuple):
    """One way to write the function."""

    name: str
    module: str
    requirements: tuple[str, ...]


PEERS = (
    Peer("this handler", "lib.handler.items", ()),
    Peer("boto3.client", "boto3_client", ("boto3",)),
    Peer("boto3.resource", "boto3_resource", ("boto3",)),
    Peer("Powertools", "powertools", ("boto3", "aws-lambda-powertools")),
    Peer("no-op", "noop", ()),
)
OURS = PEERS[0]


class BenchError(Exception):
    """The bench cannot run here; the message says what is missing."""


def item(number: int) -> dict[str, Any]:
    """An item of eight attributes, as a small catalogue has, and the version that this handler stores with each."""
    return {
        "ItemId": {"S": f"0b0e7bd5-6c4f-4a3c-9b1f-{number:012}"},
        "CreatedAt": {"S": "2026-11-21T10:00:00.000000Z"},
        "name": {"S": f"Desk lamp no. {number}"},
        "description": {"S": "Brushed steel, a warm light that can be dimmed."},
        "category": {"S": "lighting"},
        "price": {"N": "49.9"},
        "stock": {"N": str(number % 100)},
        "active": {"BOOL": True},
        "tap:version": {"S": "0123456789abcdef01234567"},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the bench and write its documents; with --quick only this handler's instructions, printed."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="this handler alone, instructions alone, nothing written")
    options = parser.parse_args(arguments)
    try:
        measure(quick=options.quick)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def measure(*, quick: bool) -> None:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise BenchError("valgrind is not on PATH: install it (Debian: apt-get install valgrind) and run again")
    python = python39()
    with tempfile.TemporaryDirectory(prefix="tap-bench-") as scratch, stub(Path(scratch)) as harness:
        counts: dict[str, dict[str, float]] = {}
        for peer in PEERS[:1] if quick else PEERS:
            counts[peer.name] = harness.instructions(valgrind, environment_of(peer, python), peer)
            print(peer.name, {name: round(value, 3) for name, value in counts[peer.name].items()}, flush=True)
        if quick:
            return
        for peer in PEERS:
            counts[peer.name].update(harness.clocked(environment_of(peer, python), peer))
            print(peer.name, {name: round(value, 2) for name, value in counts[peer.name].items()}, flush=True)
        quota = harness.quota_note
    pages = {size: page_cost(size) for size in (1_000, 1_000_000)}
    print("page of 25", pages, flush=True)
    write(counts, pages, quota, versions(python))


def python39() -> Path:
    """Return an interpreter of the oldest runtime the handler supports."""
    candidates: list[str | Path | None] = [
        shutil.which("python3.9"),
        *sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python")),
    ]
    for candidate in [candidate for candidate in candidates if candidate is not None]:
        # pyenv puts a `python3.9` on PATH that only says which versions it could run.
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(candidate)
    raise BenchError("Python 3.9 is neither on PATH nor under ~/.pyenv: install it (pyenv install 3.9) and run again")


def environment_of(peer: Peer, python: Path) -> Path:
    """Return the interpreter of an environment with what this peer needs and nothing else."""
    requirements = [RUNTIME, *peer.requirements]
    home = VENVS / re.sub(r"\W+", "-", "-".join(peer.requirements) or "runtime")
    interpreter, done = home / "bin" / "python", home / "requirements.json"
    if not done.exists() or json.loads(done.read_text()) != [str(python), *requirements]:
        subprocess.run([python, "-m", "venv", "--clear", home], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *requirements], check=True)
        done.write_text(json.dumps([str(python), *requirements]))
    return interpreter


def versions(python: Path) -> dict[str, str]:
    """Return what was measured, by name and version."""
    interpreter = environment_of(PEERS[3], python)
    code = (
        "import importlib.metadata as m, platform, ssl;"
        "print(platform.python_version()); print(ssl.OPENSSL_VERSION.split()[1]);"
        "[print(m.version(name)) for name in ('boto3', 'aws-lambda-powertools', 'awslambdaric')]"
    )
    lines = subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    names = ("Python", "OpenSSL", "boto3", "Powertools", "awslambdaric")
    return dict(zip(names, lines, strict=True))


@contextlib.contextmanager
def stub(scratch: Path) -> Iterator[Harness]:
    """Serve a table of 1,000 items over TLS 1.3, and lay out the code that is measured."""
    root = trustme.CA(key_type=trustme.KeyType.RSA)
    issuer = root.create_child_ca(key_type=trustme.KeyType.RSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    issuer.issue_cert("localhost", key_type=trustme.KeyType.RSA).configure_cert(context)
    root_text = root.cert_pem.bytes().decode()
    public = (Path(botocore.__file__).parent / "cacert.pem").read_text(encoding="utf-8")
    certificates = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", public, re.DOTALL)
    bundle = scratch / "bundle.crt"
    bundle.write_text("".join([*certificates[: BUNDLE - 1], root_text]))
    code = scratch / "code"
    lay_out(code, root_text)
    table = MemoryTable()
    table.load([item(number) for number in range(1_000)])
    with TableServer(table, context, "localhost") as server:
        yield Harness(server, code, bundle)


def lay_out(code: Path, root: str) -> None:
    """Put the function's archive and the peers into one directory.

    The archive is what is deployed but for two values: the first of the five roots is the stub's, and a wait may be 60
    times as long, because under callgrind everything takes that long.
    """
    for name, text in sources(OURS.module).items():
        path = code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_adapted(name, text, root), encoding="utf-8")
    for path in (ROOT / "bench" / "peers").glob("*.py"):
        shutil.copy(path, code)


def _adapted(name: str, text: str, root: str) -> str:
    if name.endswith("roots.py"):
        return re.sub(r"-----BEGIN.*?END CERTIFICATE-----\n", lambda _: root, text, count=1, flags=re.DOTALL)
    waits = r"(?m)^((?:CONNECT|ATTEMPT|WARM_UP)_SECONDS = )([\d.]+)$"
    return re.sub(waits, lambda found: f"{found[1]}{float(found[2]) * 60}", text)


class Harness:
    """Runs one peer in one process, again and again."""

    def __init__(self, server: TableServer, code: Path, bundle: Path) -> None:
        self._server = server
        self._code = code
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": "FwoGZXIvYXdzE" * 30,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": "dev-items-lambda",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": str(bundle),
            "AWS_ENDPOINT_URL": server.url,
            "DYNAMODB_TABLE_NAME": server.table.name,
            "ENVIRONMENT": "dev",
            "POWERTOOLS_SERVICE_NAME": "items",
        }
        self.quota_note = ""

    def instructions(self, valgrind: str, python: Path, peer: Peer) -> dict[str, float]:
        """Return million instructions: cold (net, to the second GET), a warm GET, a warm list of 25."""
        more = 20

        def count(module: str, gets: int, lists: int) -> int:
            command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", str(python)]
            return self._count([*command, *self._probe(module, gets, lists)])

        base = count("-", 0, 0)
        cold = count(peer.module, 2, 0)
        warm = count(peer.module, 2 + more, 0)
        listed = count(peer.module, 2, 2)
        lists = count(peer.module, 2, 2 + more)
        return {
            "cold": (cold - base) / 1e6,
            "get": (warm - cold) / more / 1e6,
            "list": (lists - listed) / more / 1e6,
        }

    def clocked(self, python: Path, peer: Peer) -> dict[str, float]:
        """Return what cannot be counted: resident memory, and the first request under Lambda's CPU quota."""
        probe = [str(python), *self._probe(peer.module, 1, 0)]
        result = {"rss": self._result([*probe, "--rss"])[1] / 1024}
        with quota_group() as (procs, note):
            self.quota_note = note
            if procs is not None:
                # The shortest: the machine's other work can only add to what the quota makes a request wait.
                result["quota"] = min(self._result([*probe, "--quota", str(procs)])[0] for _ in range(REPEATS))
        return result

    def _probe(self, module: str, gets: int, lists: int) -> list[str]:
        return [str(ROOT / "bench" / "probe.py"), str(self._code), module, str(gets), str(lists)]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        connections, requests = self._server.connections, len(self._server.heads)
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        opened, asked = self._server.connections - connections, len(self._server.heads) - requests
        if opened > 1:
            raise BenchError(
                f"{opened} connections for {asked} requests: a retry would be counted; run the bench again"
            )
        return done

    def _count(self, command: list[str]) -> int:
        collected = re.search(r"Collected : (\d+)", self._run(command).stderr)
        if collected is None:
            raise BenchError("callgrind printed no count")
        return int(collected[1])

    def _result(self, command: list[str]) -> tuple[float, float]:
        line = next(line for line in self._run(command).stdout.splitlines() if line.startswith("RESULT"))
        _, milliseconds, kibibytes = line.split()
        return float(milliseconds), float(kibibytes)


@contextlib.contextmanager
def quota_group() -> Iterator[tuple[Path | None, str]]:
    """Make a control group with a 128 MB function's share of a CPU; yield where to join it, and how it was made."""
    quota, period = str(int(QUOTA_MS * 1000)), str(PERIOD_MS * 1000)
    name = f"tap-bench-{os.getpid()}-{time.monotonic_ns()}"
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    try:
        if (v1 / "cpu.cfs_quota_us").exists() or (v1 / "cgroup.procs").exists():
            group, note = v1 / name, "cgroup v1"
            group.mkdir()
            (group / "cpu.cfs_period_us").write_text(period)
            (group / "cpu.cfs_quota_us").write_text(quota)
        else:
            group, note = v2 / name, "cgroup v2"
            group.mkdir()
            (group / "cpu.max").write_text(f"{quota} {period}")
    except OSError as error:
        yield None, f"not measured: this user cannot make a CPU control group ({error})"
        return
    try:
        yield group / "cgroup.procs", note
    finally:
        for _ in range(100):
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.05)
            else:
                break


def page_cost(size: int) -> dict[str, int]:
    """Return what the first page of 25 and the one after it ask of a table of `size` items."""
    table = FakeTable()
    attributes = {"name": {"S": "Desk lamp"}}  # shared: a million items have to fit into this machine's memory
    created = {"S": "2026-11-21T10:00:00.000000Z"}
    table.memory.load([{"ItemId": {"S": f"{number:08}"}, "CreatedAt": created, **attributes} for number in range(size)])
    handler = App(ITEMS, Items(table, "dev"), {"LOG_LEVEL": "ERROR"}, table).handler  # type: ignore[arg-type]  # the double
    result: dict[str, int] = {}
    query: dict[str, str] = {}
    for page in ("first", "next"):
        table.memory.requests.clear()
        table.memory.reads = 0
        response = handler(
            {"resource": "/items", "path": "/items", "httpMethod": "GET", "queryStringParameters": query}, None
        )
        body = json.loads(str(response["body"]))
        if len(body["items"]) != 25:
            raise BenchError(f"a page of 25 has {len(body['items'])} items")
        query = {"cursor": body["next"]}
        result[f"{page} page: requests"] = len(table.memory.requests)
        result[f"{page} page: items read"] = table.memory.reads
    return result


MEASURES = {
    "cold": ("cold: million instructions to the second GET, net", 0),
    "get": ("warm GET: million instructions", 2),
    "list": ("warm list of 25: million instructions", 2),
    "rss": ("resident memory after the first GET, MB", 1),
    "quota": ("first request under the CPU quota, ms", 1),
}


def write(
    counts: dict[str, dict[str, float]], pages: dict[int, dict[str, int]], quota: str, about: dict[str, str]
) -> None:
    """Write the table and the charts."""
    head = "| measure | goal | " + " | ".join(peer.name for peer in PEERS) + " |"
    rows = [head, "|---|---:|" + "---:|" * len(PEERS)]
    missed = []
    for key, (title, digits) in MEASURES.items():
        cells = [f"{counts[peer.name][key]:,.{digits}f}" if key in counts[peer.name] else "-" for peer in PEERS]
        rows.append(f"| {title} | {GOALS[key]:g} | **{cells[0]}** | " + " | ".join(cells[1:]) + " |")
        ours = counts[OURS.name].get(key)
        if ours is not None and ours > GOALS[key]:
            missed.append(
                f"- {title}: {ours:,.{digits + 1}f} instead of {GOALS[key]:g}, {ours / GOALS[key] - 1:.0%} over."
            )
    small, large = pages
    page_rows = [f"| {name} | {pages[small][name]} | {pages[large][name]} |" for name in pages[small]]
    same = "identical" if pages[small] == pages[large] else "**not identical**"
    text = f"""# What a request costs

Written by `nox -s bench`, not by hand: {", ".join(f"{name} {version}" for name, version in about.items())}.
[How it is measured](#how-it-is-measured) is below; why it comes out so: [ADR 0021](adr/0021-c-modules-under-ssl.md).

{chr(10).join(rows)}

![The handler beside its peers: instructions](bench-instructions.svg)

![The handler beside its peers: memory and time](bench-memory.svg)

{"Every goal is met." if not missed else "Not met:" + chr(10) + chr(10).join(missed)}

## A page of 25

| | {small:,} items in the table | {large:,} items |
|---|---:|---:|
{chr(10).join(page_rows)}

The cost of a page is {same}: it is read from where its cursor points, and one item more tells whether another follows.

## How it is measured

- Instructions are callgrind's count of everything the process executes, libc, OpenSSL and Python included, so they
  do not depend on the machine's speed or load. `PYTHONHASHSEED=0`; the function's code has no cached bytecode, the
  runtime's own libraries have theirs.
- A process imports Lambda's own runtime client (`awslambdaric`) and then the function. *Cold* is INIT and two GETs
  less that process without a function. *Warm* is the mean of 20 more requests of one kind.
- The table is a stub on this machine that speaks DynamoDB's protocol over TLS 1.3, with a chain of two RSA
  certificates and 1,000 items of eight attributes. The peers verify it with a bundle of {BUNDLE} roots, this handler
  with Amazon's five, of which the stub's takes the first one's place.
- Peers are in `bench/peers`: the same two reads as people write them with boto3's resource, boto3's client, and
  Powertools for AWS Lambda. They do less than this handler: no ETag, no cursor, no validation, and only Powertools
  writes a log line and metrics.
- The CPU quota is {QUOTA_MS} ms in every {PERIOD_MS} ms, what a 128 MB function gets, joined after INIT. The figure is
  the shortest of {REPEATS} runs, for the machine's other work only adds to it ({quota}). It and the memory are measured
  outside of callgrind.
"""
    (DOCS / "bench.md").write_text(text, encoding="utf-8")
    for name, keys in {"instructions": ("cold", "get", "list"), "memory": ("rss", "quota")}.items():
        panels = [
            (MEASURES[key][0], GOALS[key], {peer.name: counts[peer.name][key] for peer in PEERS})
            for key in keys
            if key in counts[OURS.name]
        ]
        (DOCS / f"bench-{name}.svg").write_text(chart(panels, OURS.name), encoding="utf-8")
    print(f"wrote {DOCS / 'bench.md'}")


if __name__ == "__main__":
    raise SystemExit(main())
