"""The embedded AWS as a Pulumi provider plugin, so that the real engine drives the very types that `nox -s local` uses.

`install` writes the executable `pulumi-resource-aws` that an engine finds on PATH. The plugin speaks to the address in
AWS_ENDPOINT_URL, which must be one of this machine; without it, it refuses to work rather than ever reach AWS.
"""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lib.local.types import find
from lib.local.types.archive import hashed
from lib.local.types.core import CONFIGURATION, Aws, PartlyCreatedError, ResourceError, UnknownInputError, Values
from lib.local.types.functions import invoke
from lib.local.types.values import decode, encode, reveal

# The version of pulumi-aws whose names and behaviour the types follow.
VERSION = "7.51.1"
_MESSAGE_LIMIT = 400 * 1024 * 1024

Request = TypeVar("Request")
Answer = TypeVar("Answer")


def _answering(
    method: Callable[[Any, Request, grpc.ServicerContext], Answer],
) -> Callable[[Any, Request, grpc.ServicerContext], Answer]:
    """What went wrong is said in words, never as a traceback."""

    @wraps(method)
    def wrapper(self: Any, request: Request, context: grpc.ServicerContext) -> Answer:
        try:
            return method(self, request, context)
        except PartlyCreatedError as error:
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
            details = provider_pb2.ErrorResourceInitFailed(
                id=error.resource_id, properties=getattr(request, "properties", None), reasons=[str(error)]
            )
            packed = any_pb2.Any()
            packed.Pack(details)
            status.details.append(packed)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ResourceError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:  # noqa: BLE001 - a mistake in a type's code must name itself too
            context.abort(grpc.StatusCode.INTERNAL, f"{method.__name__}: {type(error).__name__}: {error}")
        raise AssertionError("abort raises")

    return wrapper


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine; `aws` is set once the engine has sent the configuration."""

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint
        self._aws: Aws | None = None
        self.stopped = threading.Event()

    @property
    def aws(self) -> Aws:
        if self._aws is None:
            raise ResourceError("the provider was used before it was configured")
        return self._aws

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return provider_pb2.GetSchemaResponse(schema=f'{{"name": "aws", "version": "{VERSION}"}}')

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return empty_pb2.Empty()

    @_answering
    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self._connect(decode(request.news))
        return provider_pb2.CheckResponse(inputs=request.news)

    @_answering
    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        olds, news = decode(request.old_inputs or request.olds), decode(request.news)
        replaces = ["region"] if olds.get("region") != news.get("region") else []
        changes = provider_pb2.DiffResponse.DIFF_SOME if olds != news else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changes, replaces=replaces)

    @_answering
    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self._aws = self._connect(decode(request.args))
        # Secrets are left to the engine: it marks the outputs whose inputs are secret.
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def _connect(self, configuration: Values) -> Aws:
        configuration = reveal(configuration)
        if unknown := set(configuration) - CONFIGURATION:
            raise ResourceError(f"the embedded AWS does not know the provider's configuration {sorted(unknown)}")
        if not self._endpoint:
            raise ResourceError(
                "this pulumi-resource-aws is the embedded one and needs AWS_ENDPOINT_URL, the emulator's address on"
                " this machine; to deploy to AWS, take it off PATH"
            )
        region = configuration.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            raise ResourceError("no region is configured: pulumi config set aws:region us-east-1")
        return Aws(self._endpoint, region)

    @_answering
    def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        token, name = _subject(request)
        news, olds = hashed(reveal(decode(request.news))), reveal(decode(request.olds))
        try:
            inputs = find(token).check(self.aws, name, news, olds)
        except UnknownInputError as error:
            failure = provider_pb2.CheckFailure(property=error.path, reason=str(error))
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        return provider_pb2.CheckResponse(inputs=encode(inputs))

    @_answering
    def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        token, _ = _subject(request)
        olds = reveal(decode(request.old_inputs if request.HasField("old_inputs") else request.olds))
        diff = find(token).diff(olds, reveal(decode(request.news)))
        detailed = {}
        for key in diff.changed:
            kind = "UPDATE" if key in olds else "ADD"
            kind += "_REPLACE" if key in diff.replaces else ""
            detailed[key] = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(kind), inputDiff=True)
        some = provider_pb2.DiffResponse.DIFF_SOME if diff.changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some,
            replaces=sorted(diff.replaces),
            diffs=sorted(diff.changed),
            deleteBeforeReplace=diff.delete_before_replace,
            detailedDiff=detailed,
            hasDetailedDiff=bool(diff.changed),
        )

    @_answering
    def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        token, _ = _subject(request)
        inputs = reveal(decode(request.properties))
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(find(token).planned(inputs)))
        resource_id, outputs = find(token).create_resource(self.aws, inputs)
        return provider_pb2.CreateResponse(id=resource_id, properties=encode(outputs))

    @_answering
    def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        token, _ = _subject(request)
        inputs, state = reveal(decode(request.inputs)), reveal(decode(request.properties))
        found = find(token).read_resource(self.aws, request.id, inputs, state)
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, inputs=encode(found[0]), properties=encode(found[1]))

    @_answering
    def Update(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        token, _ = _subject(request)
        state, news = reveal(decode(request.olds)), reveal(decode(request.news))
        olds = reveal(decode(request.old_inputs))
        type_ = find(token)
        if request.preview:
            return provider_pb2.UpdateResponse(
                properties=encode(type_.planned(news, state, type_.diff(olds, news).changed))
            )
        return provider_pb2.UpdateResponse(
            properties=encode(type_.update_resource(self.aws, request.id, olds, news, state))
        )

    @_answering
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        token, _ = _subject(request)
        find(token).delete_resource(self.aws, request.id, reveal(decode(request.properties)))
        return empty_pb2.Empty()

    @_answering
    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        answer = invoke(self.aws, request.tok, reveal(decode(request.args)))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(encode(answer))
        return response


def _subject(request: Any) -> tuple[str, str]:
    """The type and the name that a request is about."""
    *_, qualified, name = request.urn.split("::", 3)
    return request.type or qualified.rsplit("$", 1)[-1], request.name or name


def serve(provider: Provider, address: str = "127.0.0.1:0") -> tuple[grpc.Server, int]:
    """Start answering on a port of this machine; return the server and the port."""
    options = [("grpc.max_receive_message_length", _MESSAGE_LIMIT), ("grpc.max_send_message_length", _MESSAGE_LIMIT)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def install(directory: Path) -> Path:
    """Write the plugin's executable into a directory, which belongs on PATH in front of everything else."""
    directory.mkdir(parents=True, exist_ok=True)
    plugin = directory / "pulumi-resource-aws"
    plugin.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lib.local.provider "$@"\n')
    plugin.chmod(0o755)
    return plugin


def main() -> None:
    server, port = serve(Provider(os.environ.get("AWS_ENDPOINT_URL")))
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # The engine ends its plugins with SIGINT, which is handled only when the main thread wakes up now and then.
    signal.signal(signal.SIGINT, lambda *_: server.stop(grace=None))
    while server.wait_for_termination(timeout=0.1):
        pass


if __name__ == "__main__":
    main()
