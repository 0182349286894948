"""A Python language host for the Pulumi engine: `pulumi-language-python`, as far as these tests need it.

The official one ships only inside the CLI's download; the CLI built from its Go module comes without it. The engine
starts this file as a plugin, reads the port from its first line of output and then asks, over gRPC, to run programs and
policy packs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Started by path, so this directory is first on the module path; a program must not find our files there.
    sys.path.pop(0)

import grpc
import pulumi
import pulumi.runtime
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

ALREADY_REPORTED = 32
"""Exit status of a program whose error the engine has been told: the same number as the official host uses."""

MESSAGE_LIMIT = 400 * 1024 * 1024  # as the SDK's own channels


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """What the engine asks of a language."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def Handshake(  # noqa: N802 - the name is the protocol's, here and below
        self, request: language_pb2.LanguageHandshakeRequest, _context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        self.engine = request.engine_address or self.engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, _request: empty_pb2.Empty, _context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        return plugin_pb2.PluginInfo(version="0.0.0")

    def About(  # noqa: N802
        self, request: language_pb2.AboutRequest, _context: grpc.ServicerContext
    ) -> language_pb2.AboutResponse:
        return language_pb2.AboutResponse(executable=python(request.info), version=sys.version.split()[0])

    def GetRequiredPackages(  # noqa: N802
        self, _request: language_pb2.GetRequiredPackagesRequest, _context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        # Nothing for the engine to download: the plugins these tests use are on PATH.
        return language_pb2.GetRequiredPackagesResponse()

    def GetProgramDependencies(  # noqa: N802
        self, _request: language_pb2.GetProgramDependenciesRequest, _context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        return language_pb2.GetProgramDependenciesResponse()

    def InstallDependencies(  # noqa: N802
        self, _request: language_pb2.InstallDependenciesRequest, _context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        # The repository's one virtual environment is the reader's to fill.
        return iter(())

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:  # noqa: N802
        settings = {
            "project": request.project,
            "stack": request.stack,
            "monitor": request.monitor_address,
            "engine": self.engine,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
        }
        environment = os.environ | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            "PYTHONUNBUFFERED": "1",
        }
        program = Path(request.info.program_directory, request.info.entry_point)
        status = None
        for kind, value in stream(
            [python(request.info), __file__, "--program", json.dumps(settings), str(program), *request.args],
            request.pwd,
            environment,
            context,
        ):
            if isinstance(value, int):
                status = value
            else:  # the engine shows a host's own output as the program's
                getattr(sys, kind).buffer.write(value)
                getattr(sys, kind).flush()
        if status == ALREADY_REPORTED:
            return language_pb2.RunResponse(bail=True)
        if status:
            return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {status}")
        return language_pb2.RunResponse()

    def RunPlugin(  # noqa: N802
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        # The engine sends the whole environment it wants the plugin (a policy pack) to have.
        environment = dict(pair.split("=", 1) for pair in request.env)
        environment["PYTHONUNBUFFERED"] = "1"  # as the official host does; a pack never flushes its port
        command = [python(request.info), request.info.program_directory, *request.args]
        for kind, value in stream(command, request.pwd, environment, context):
            response = language_pb2.RunPluginResponse()
            setattr(response, kind, value)
            yield response


def python(info: language_pb2.ProgramInfo) -> str:
    """The interpreter of the project's virtual environment when it has one, else the one running this."""
    options: dict[str, Any] = dict(info.options)
    if virtualenv := options.get("virtualenv"):
        interpreter = Path(info.root_directory, str(virtualenv), "bin", "python")
        if interpreter.exists():
            return str(interpreter)
    return sys.executable


def stream(
    command: list[str], cwd: str, environment: dict[str, str], context: grpc.ServicerContext
) -> Iterator[tuple[str, bytes | int]]:
    """Run `command`; yield ("stdout" | "stderr", bytes) as it writes and, last, ("exitcode", status).

    It ends with its caller: when the engine cancels the call, the process is killed with everything it started.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )

    def kill() -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    context.add_callback(kill)
    pieces: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

    def read(kind: str, pipe: Any) -> None:
        while piece := pipe.read1(65536):
            pieces.put((kind, piece))
        pieces.put((kind, b""))

    pipes = {"stdout": process.stdout, "stderr": process.stderr}
    for kind, pipe in pipes.items():
        threading.Thread(target=read, args=(kind, pipe), daemon=True).start()
    while pipes:
        kind, piece = pieces.get()
        if piece:
            yield kind, piece
        else:
            pipes.pop(kind)
    yield "exitcode", process.wait()


def end_with(parent: int) -> None:
    """End this process when its parent has gone: killed with the engine, a host can't end its programs itself."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def run_program(settings: dict[str, Any], program: str, arguments: list[str]) -> int:
    """Run one Pulumi program to its end, its errors told to the engine; what the process is to exit with."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
    sys.argv = [program, *arguments]
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # a failed resource leaves futures nobody awaits
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    executor = futures.ThreadPoolExecutor(max_workers=max(settings["parallel"], 1) * 4)
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:  # noqa: BLE001 - whatever the program raised is the user's to read
        pulumi.log.error(f"Program failed with an unhandled exception:\n{traceback.format_exc()}")
        return ALREADY_REPORTED
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


def serve() -> None:
    """Answer the engine until it stops us."""
    limits = [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=limits)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine ends its plugins with SIGINT; a Ctrl-C in the terminal must not end them before the engine is done.
    signal.signal(signal.SIGINT, lambda *_: server.stop(grace=None))
    print(port, flush=True)
    # Again and again: a signal that another thread receives is handled only when the main thread wakes up.
    while server.wait_for_termination(timeout=0.1):
        pass


if __name__ == "__main__":
    if sys.argv[1:2] == ["--program"]:
        sys.exit(run_program(json.loads(sys.argv[2]), sys.argv[3], sys.argv[4:]))
    serve()
