"""The embedded AWS: one MiniStack process on 127.0.0.1, started for a caller and gone with it.

    with Emulator() as aws:
        boto3.client("dynamodb", endpoint_url=aws.endpoint, ...)   # or run a command with env=aws.environment()

It gets a process group, a temporary directory and an environment of its own. Nothing from the caller's environment
reaches it: no credentials, no profile, no proxy. When the caller goes away, even by SIGKILL, the emulator goes too, and
so do the Lambda workers it started (see `_serve`).
"""

import contextlib
import fcntl
import http.client
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

VERSION = "1.5.33"  # what it checks and what it does differently is recorded in docs/emulator.md for this version alone
ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
# Not a secret: whoever may open the port on 127.0.0.1 may do everything. These are the credentials of the account's
# root user; the function gets its role's own.
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105 - see above
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
_START_ATTEMPTS = 3


class EmulatorError(RuntimeError):
    """The emulator cannot be started, or it died; the message says what to do next."""


class Emulator:
    """One running emulator. `region` is the region of `environment()`, not a limit: it serves every region.

    With `keep`, what is in that directory from an earlier run is taken up again, and everything is written there at a
    clean stop, whole or not at all: a crash leaves what the last clean stop had written. `on_death` is called, from
    another thread, with an explanation when the process ends without having been asked to.
    """

    endpoint: str
    port: int
    log_path: Path

    def __init__(
        self,
        *,
        region: str = REGION,
        keep: Path | None = None,
        on_death: Callable[[str], None] | None = None,
    ) -> None:
        self._region = region
        self._keep = keep
        self._on_death = on_death
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._lock: BinaryIO | None = None
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the emulator, which is also the id of its process group."""
        if self._process is None:
            raise EmulatorError("the emulator is not running")
        return self._process.pid

    @property
    def directory(self) -> Path:
        """A directory of this run alone, for whatever belongs to it; removed when the emulator is stopped."""
        if self._directory is None:
            raise EmulatorError("the emulator is not running")
        return self._directory

    @property
    def state_directory(self) -> Path:
        """A directory that lives as long as the emulator's own state: kept with it, or gone with it."""
        return self.directory / "state"

    def start(self) -> None:
        """Start the process and return when it answers."""
        check_version()
        try:
            self._directory = Path(tempfile.mkdtemp(prefix="tap-local-"))
            self.log_path = self._directory / "emulator.log"
            (self._directory / "tmp").mkdir()
            self._take_up()
            for attempt in range(_START_ATTEMPTS):
                if self._launch(last=attempt == _START_ATTEMPTS - 1):
                    break
        except OSError as error:
            self.stop()
            raise EmulatorError(f"the emulator cannot be started: {error}") from error
        except BaseException:  # Ctrl-C while starting must leave nothing behind either
            self.stop()
            raise
        threading.Thread(target=self._watch, args=(self._process,), name="emulator-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop the process and everything it started, and remove its files. Safe to call again."""
        self._stopping.set()
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.terminate()  # the process alone first: a kept state is written on the way out
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_TIMEOUT)
            _kill_group(process.pid)
            _close(process)
            try:
                if process.wait() == 0:
                    self._lay_down()
            except OSError as error:
                raise EmulatorError(f"the state could not be kept in {self._keep}: {error}") from error
            finally:
                self._discard()
        self._discard()

    def _take_up(self) -> None:
        if self._keep is None:
            self.state_directory.mkdir(mode=0o700)
            return
        self._keep.mkdir(parents=True, exist_ok=True)
        self._lock = (self._keep / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmulatorError(
                f"{self._keep} is in use by another session; stop that one, or keep elsewhere"
            ) from None
        saved = self._keep / "state"
        if saved.is_dir():
            shutil.copytree(saved, self.state_directory)
        else:
            self.state_directory.mkdir(mode=0o700)

    def _lay_down(self) -> None:
        if self._keep is None or not self.state_directory.is_dir():
            return
        new, saved, old = self._keep / "new", self._keep / "state", self._keep / "old"
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir(mode=0o700)  # there are secrets in it
        shutil.copytree(self.state_directory, new, dirs_exist_ok=True)
        if saved.exists():
            saved.rename(old)
        new.rename(saved)
        shutil.rmtree(old, ignore_errors=True)

    def check(self) -> None:
        """Raise when the emulator is not there (any more)."""
        if self._process is None or self._process.poll() is not None:
            raise EmulatorError(self._obituary())

    def environment(self) -> dict[str, str]:
        """The variables with which any AWS SDK or tool talks to this emulator and to nothing else."""
        return aws_environment(self.endpoint, self._region)

    def _launch(self, *, last: bool) -> bool:
        """Start the process; return False when the port that was free a moment ago is taken."""
        directory = self.directory
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        environment = {
            "PATH": os.defpath,
            "HOME": str(directory),
            "TMPDIR": str(directory / "tmp"),
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONSAFEPATH": "1",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            # Listeners nothing here uses, and a container daemon that must not be looked for.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{directory}/none",
        }
        if self._keep is not None:
            environment |= {"PERSIST_STATE": "1", "STATE_DIR": str(self.state_directory / "services")}
            environment |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(self.state_directory / "s3")}
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), str(directory)],
                env=environment,
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None:
                if not last and "already in use" in self.log_path.read_text(errors="replace"):
                    _close(self._process)
                    return False
                raise EmulatorError(self._obituary())
            if time.monotonic() > deadline:
                raise EmulatorError(f"the emulator does not answer after {_START_TIMEOUT:.0f} s\n{self._last_words()}")
            time.sleep(0.02)
        return True

    def _answers(self) -> bool:
        # Only once it says so itself: on a port that somebody else took, somebody else would answer.
        if f"Running on {self.endpoint}" not in self.log_path.read_text(errors="replace"):
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/_ministack/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if not self._stopping.is_set() and self._on_death is not None:
            self._on_death(self._obituary())

    def _obituary(self) -> str:
        if self._process is None:
            return "the emulator is not running"
        code = self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        return f"the emulator {how}\n{self._last_words()}"

    def _last_words(self) -> str:
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()[-15:]
        except OSError:
            lines = []
        return "\n".join(["its last lines were:", *(f"  {line}" for line in lines)]) if lines else "it said nothing"

    def _discard(self) -> None:
        if self._lock is not None:
            self._lock.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def aws_environment(endpoint: str, region: str = REGION) -> dict[str, str]:
    """The AWS variables for an emulator at `endpoint`: they win over every profile, file and metadata service."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without anything that names a real AWS account, endpoint or proxy on the way to one."""
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {k: v for k, v in environment.items() if not k.startswith("AWS_") and k.upper() not in proxies}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def check_version() -> None:
    """Raise unless the emulator that is installed is the one this project was tested with."""
    remedy = "Install what the project pins: pip install --group local"
    try:
        installed = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        raise EmulatorError(f"the emulator (ministack {VERSION}) is not installed. {remedy}") from None
    if installed != VERSION:
        raise EmulatorError(f"ministack {installed} is installed, and {VERSION} is needed. {remedy}")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _serve(directory: str) -> None:
    """Be the emulator, in a process of its own.

    The other end of stdin belongs to the process that wanted it. Once that end is closed, by whatever death, this whole
    process group is of no use to anybody.
    """
    orphaned = threading.Event()

    def end() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    def wait_for_the_end_of_the_parent() -> None:
        while os.read(0, 1):
            pass
        orphaned.set()
        os.kill(os.getpid(), signal.SIGTERM)  # so that a kept state is still written
        time.sleep(_STOP_TIMEOUT)
        end()

    threading.Thread(target=wait_for_the_end_of_the_parent, daemon=True).start()
    from ministack import app  # type: ignore[import-untyped]  # noqa: PLC0415 - only this process wants it

    # What AWS serves over TLS is served here without, and never leaves this machine: a policy that refuses plain HTTP
    # (aws:SecureTransport) would refuse everything.
    pin = app.pin_request_origin
    app.pin_request_origin = lambda address, _secure: pin(address, secure_transport=True)

    sys.argv[1:] = []
    app.main()
    if orphaned.is_set():
        end()


if __name__ == "__main__":
    _serve(sys.argv[1])
