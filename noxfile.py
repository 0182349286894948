"""Everything people and CI do here is a session of this file: `nox -l` lists them, `nox` passes the tests.

All sessions share the repository's one environment, `.venv`, which `cd stacks/api && pulumi up` uses too.
Only what can't live in it (other Pythons, the scanners) has an environment of its own, under `.nox`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False

ROOT = Path(__file__).parent
VENV = ROOT / ".venv"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
CODE = ("lib", "stacks", "systems", "policy", "tests", "bench", "noxfile.py", "tap.py")

command = nox.session(default=False)


def environment(
    session: nox.Session,
    groups: tuple[str, ...] = ("dev",),
    *,
    location: Path = VENV,
    constraints: str = "dev",
    python: str = sys.executable,
    project: bool = True,
) -> str:
    """Make `location` hold the project and the dependency groups at the pinned versions; return its Python.

    A stamp of all that decides the content lets a ready environment be used at once, also without a network.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - nox may run on any Python
        session.error(f"the tools need Python 3.11 or newer; nox runs on {sys.version.split()[0]}")
    pins = ROOT / "constraints" / f"{constraints}.txt"
    wanted = nox.project.dependency_groups(PYPROJECT, *groups)
    facts = [sys.version, *wanted, *PYPROJECT["project"]["dependencies"], pins.read_text()]
    stamp = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    mark = location / ".installed"
    interpreter = str(location / "bin" / "python")
    with _alone(location):
        if mark.is_file() and mark.read_text() == stamp and Path(interpreter).exists():
            return interpreter
        session.log(f"installing {', '.join(groups)} into {location.relative_to(ROOT)}")
        session.run(python, "-m", "venv", str(location), silent=True)
        pip = (interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(pins))
        session.run(*pip, *wanted, silent=True)
        if project:
            session.run(*pip, "--editable", ".", silent=True)
        mark.write_text(stamp)
    return interpreter


@contextlib.contextmanager
def _alone(location: Path) -> Iterator[None]:
    """Let one nox at a time fill an environment; another one waits and then finds it ready."""
    location.parent.mkdir(exist_ok=True)
    with location.with_name(f"{location.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def become(session: nox.Session, module: str, *arguments: str) -> NoReturn:
    """Replace nox by a module of ours, so that its exit code, its signals and its terminal are its own."""
    python = environment(session)
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", "")])
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606 - no shell is what we want
        python,
        [python, "-m", module, *arguments, *session.posargs],
        {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)},
    )


def interpreters() -> dict[str, str]:
    """Return {version: path} of the Pythons on PATH and in pyenv, oldest first."""
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places += sorted(pyenv.glob("versions/*/bin"), reverse=True)
    found = {}
    for minor in range(9, 30):
        version = f"3.{minor}"
        for place in places:
            path = place / f"python{version}"
            if path.is_file() and not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
                found[version] = str(path)
                break
    return found


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest in the shared environment; posargs select tests."""
    session.run(environment(session), "-m", "pytest", *arguments, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and the walls between packages (ruff, import-linter)."""
    python = environment(session)
    session.run(python, "-m", "ruff", "check", *CODE)
    session.run(python, "-m", "ruff", "format", "--check", *CODE)
    session.run(str(VENV / "bin" / "lint-imports"))


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly (mypy)."""
    session.run(environment(session), "-m", "mypy", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that need nothing but Python: programs, settings, contracts, handler, policy."""
    pytest(session, "--numprocesses=auto", "tests/unit")


@nox.session
def handler(session: nox.Session) -> None:
    """Run the handler's tests on Python 3.9 and on the newest Python here, and measure their coverage."""
    found = interpreters()
    if "3.9" not in found:
        message = "no Python 3.9 here, the oldest that the Lambda runs on"
        session.error(message) if os.environ.get("CI", "") not in {"", "0", "false"} else session.warn(message)
    newest = list(found)[-1]
    for version in sorted({"3.9", newest} & found.keys()):
        location = ROOT / ".nox" / f"handler-{version}"
        python = environment(
            session,
            ("handler",),
            location=location,
            constraints="py39" if version == "3.9" else "dev",
            python=found[version],
            project=False,
        )
        measured = (python, "-m", "coverage")
        data = f"--data-file={location / 'coverage'}"
        session.run(
            *measured, "run", data, "-m", "pytest", "--numprocesses=auto", "tests/unit/handler", *session.posargs
        )
        session.run(*measured, "combine", "--quiet", data)
        session.run(*measured, "report", data, "--show-missing", "--skip-covered")


@nox.session
def integration(session: nox.Session) -> None:
    """Deploy onto the embedded AWS and test over HTTP and in a browser."""
    pytest(session, "tests/local")


@nox.session
def engine(session: nox.Session) -> None:
    """Run the deploy tools on the real Pulumi engine; builds it the first time (minutes)."""
    pytest(session, "--numprocesses=2", "--dist=loadfile", "tests/engine")


@command
def live(session: nox.Session) -> None:
    """Run the HTTP tests against a deployed stack; needs credentials and TAP_OUTPUTS."""
    pytest(session, "tests/live")


@command
def plan(session: nox.Session) -> None:
    """Print what the programs would deploy, offline: text, --json, or --mermaid."""
    become(session, "lib.plan")


@command
def local(session: nox.Session) -> None:
    """Run the whole system on an AWS on this machine: no account, no Docker; Ctrl-C ends it."""
    become(session, "lib.local")


def _deploy_session(name: str, help_line: str) -> object:
    def run(session: nox.Session) -> None:
        become(session, "lib.deploy", name)

    run.__doc__ = help_line
    return nox.session(name=name, default=False)(run)


for _name, _help in {
    "deploy_all": "Deploy the four stacks in the order of their contracts.",
    "preview_all": "Show what deploy_all would change.",
    "destroy_all": "Destroy the four stacks in reverse order.",
    "refresh_all": "Read the real state of the four stacks' resources into their state.",
    "outputs": "Print the stacks' outputs.",
    "drift": "Compare what is deployed with what was deployed; exit 7 when it differs.",
    "doctor": "Say what this machine lacks for deploying, and how to get it.",
    "unlock": "Show who holds a stack's lock, and release a stale one.",
    "deploy": "Deploy one stack: nox -s deploy -- api --env dev.",
    "preview": "Show what deploying one stack would change.",
    "destroy": "Destroy one stack, unless others stand on it.",
    "refresh": "Read the real state of one stack's resources into its state, and how interrupted ones ended.",
}.items():
    globals()[_name] = _deploy_session(_name, _help)


@command
def roles(session: nox.Session) -> None:
    """Write the least-privilege deploy role of each stack's team."""
    become(session, "lib.roles")


@command
def audit(session: nox.Session) -> None:
    """Scan the planned resources, the dependencies, the tree for secrets and CI's workflows."""
    become(session, "lib.audit")


@command
def bench(session: nox.Session) -> None:
    """Measure the handler and deploy_all against their peers, and write docs/bench*.md."""
    become(session, "bench")


@command
def docs(session: nox.Session) -> None:
    """Write again what is generated: the OpenAPI document, the diagrams, where the emulator is not AWS."""
    python = environment(session)
    session.run(python, "-m", "lib.openapi")
    session.run(python, "-m", "lib.plan", "--write-diagrams")
    session.run(python, "-m", "tests.local.differences")


@command
def lock(session: nox.Session) -> None:
    """Pin the newest versions that work together into constraints/."""
    oldest = interpreters().get("3.9")
    environments = [("dev", "dev", sys.executable), ("audit", "audit", sys.executable)]
    environments += [("py39", "handler", oldest)] if oldest else []
    for name, group, python in environments:
        location = ROOT / ".nox" / f"lock-{name}"
        shutil.rmtree(location, ignore_errors=True)
        session.run(python, "-m", "venv", str(location), silent=True)
        interpreter = str(location / "bin" / "python")
        wanted = [*nox.project.dependency_groups(PYPROJECT, group)]
        if name == "dev":
            wanted += PYPROJECT["project"]["dependencies"]
        session.run(interpreter, "-m", "pip", "install", "-q", *wanted, silent=True)
        frozen = session.run(interpreter, "-m", "pip", "freeze", "--all", silent=True) or ""
        pins = [line for line in frozen.splitlines() if "==" in line and not line.startswith(("pip==", "setuptools=="))]
        header = f"# The versions that were tested together ({name}); written by `nox -s lock`.\n"
        (ROOT / "constraints" / f"{name}.txt").write_text(header + "\n".join(pins) + "\n")
