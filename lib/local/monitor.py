"""A resource monitor: what a Pulumi program registers is created, changed or kept in the emulator.

It does for one program what the engine does: compares with what the stack has, decides between nothing, update and
replacement, honours the resource options, and deletes at the end what the program no longer has. Options it can't
honour are errors. `lib/local/deploy.py` gives it a process, a state and somebody to tell.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from lib.local.state import Resource, State, Wire
from lib.local.types import find
from lib.local.types.archive import hashed
from lib.local.types.core import (
    CONFIGURATION,
    Aws,
    Diff,
    FailedError,
    PartlyCreatedError,
    ResourceError,
    Type,
    Values,
)
from lib.local.types.functions import invoke
from lib.local.types.values import decode, encode, has_secret, is_secret, reveal, secret, secret_texts

STACK = "pulumi:pulumi:Stack"
REFERENCE = "pulumi:pulumi:StackReference"
PROVIDER = "pulumi:providers:aws"
Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class _Step:
    """What the program wants of one resource, and what can be done about it."""

    request: Any
    type: Type
    aws: Aws
    resource: Resource
    news: Values
    given: frozenset[str]  # what the program says itself; the rest of `news` comes from the check


class Monitor:
    """Answers one program's registrations.

    `tell` gets one event for each thing that happens; `read_stack` answers a StackReference with that stack's outputs.
    """

    def __init__(
        self,
        *,
        project: str,
        stack: str,
        state: State,
        aws: Aws,
        tell: Tell,
        read_stack: Callable[[str], Wire],
    ) -> None:
        self._prefix = f"urn:pulumi:{stack}::{project}::"
        self._state, self._aws, self._read_stack = state, aws, read_stack
        self._tell = tell
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._busy = 0
        self._registered: set[str] = set()
        self._secrets: set[str] = {
            text for each in state.resources for text in secret_texts(each.inputs | each.outputs)
        }
        self.outputs: Wire = {}
        self.failures: list[dict[str, Any]] = []
        self.cancelled = False

    def GetDeploymentInfo(self, request: Any) -> Any:  # noqa: ARG002, N802
        return resource_pb2.DeploymentInfo(
            supportedFeatures=[
                resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
                resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
            ]
        )

    def SupportsFeature(self, request: Any) -> Any:  # noqa: N802
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in ("secrets", "deletedWith"))

    def SignalAndWaitForShutdown(self, request: Any) -> Any:  # noqa: ARG002, N802
        return empty_pb2.Empty()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        urn = self._urn(request.parent, request.type, request.name)
        source = _source(request)
        with self._working(urn, request.type, source):
            with self._lock:
                if urn in self._registered:
                    raise ResourceError("a second resource with this type, parent and name: names must differ")
                self._registered.add(urn)
            if request.remote or request.replace_with:
                raise ResourceError("remote components and replaceWith need the real engine")
            if request.type == STACK or not request.custom:
                resource = self._frame(request, urn, source)
                if old := self._state.find([urn]):
                    resource.outputs = old.outputs
                self._state.put(resource)
                return resource_pb2.RegisterResourceResponse(urn=urn)
            if request.type == PROVIDER:
                resource = self._provider(request, urn, source)
            else:
                resource = self._custom(request, urn, source)
            return resource_pb2.RegisterResourceResponse(urn=urn, id=resource.id, object=encode(resource.outputs))

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        urn = self._urn(request.parent, request.type, request.name)
        with self._working(urn, request.type, _source(request)):
            state = decode(request.properties)
            if request.type == REFERENCE:
                outputs = self._read_stack(request.id)
                names = sorted(key for key, value in outputs.items() if has_secret(value))
                answer = {"name": request.id, "outputs": outputs, "secretOutputNames": names}
                return resource_pb2.ReadResourceResponse(urn=urn, properties=encode(answer))
            type_ = find(request.type)
            found = type_.read_resource(self._for(request.provider), request.id, {}, reveal(state))
            if found is None:
                raise ResourceError(f"resource {request.id!r} does not exist")
            outputs = self._marked(found[1], request.additionalSecretOutputs)
            resource = self._frame(request, urn, _source(request), custom=True)
            resource.id, resource.outputs, resource.external = request.id, outputs, True
            self._state.put(resource)
            self._registered.add(urn)
            return resource_pb2.ReadResourceResponse(urn=urn, properties=encode(outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        outputs = decode(request.outputs)
        self._learn(outputs)
        if f"::{STACK}::" in request.urn:
            self.outputs = outputs
        elif resource := self._state.find([request.urn]):
            self._state.put(replace(resource, outputs=outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        with self._working("", request.tok, _source(request)):
            args = decode(request.args)
            answer = invoke(self._for(request.provider), request.tok, reveal(args))
            if has_secret(args):
                answer = {key: secret(value) for key, value in answer.items()}
            response = resource_pb2.ResourceInvokeResponse()
            getattr(response, "return").CopyFrom(encode(answer))
            return response

    def RegisterPackage(self, request: Any) -> Any:  # noqa: N802
        raise ResourceError(f"the package {request.name} needs the real engine")

    def Log(self, request: Any) -> Any:  # noqa: N802
        """What the program logs: this object is its engine as well."""
        if request.severity != engine_pb2.DEBUG:
            level = engine_pb2.LogSeverity.Name(request.severity).lower()
            self._say({"event": "log", "level": level, "message": request.message, "urn": request.urn})
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """Begin nothing more, and return when what is under way is finished and written down."""
        with self._idle:
            self.cancelled = True
            self._idle.wait_for(lambda: not self._busy)

    def _custom(self, request: Any, urn: str, source: str) -> Resource:
        old = self._state.find([urn, *request.aliasURNs])
        if old and old.urn != urn:
            old.urn = urn
            self._state.change()
        if old and old.external:
            old = None
        type_, aws = find(request.type), self._for(request.provider)
        wire = hashed(decode(request.object))
        if old:
            wire = _ignoring(wire, old.inputs, request.ignoreChanges)
        self._learn(wire)
        olds = reveal(old.inputs) if old else {}
        news = type_.check(aws, request.name, reveal(wire), olds)
        resource = self._frame(request, urn, source, custom=True)
        # What the check added is not secret; what the program gave keeps its mark.
        resource.inputs = {key: wire.get(key, value) for key, value in news.items()}
        step = _Step(request, type_, aws, resource, news, frozenset(wire))
        if old is None:
            self._create(step, "created")
            return resource
        diff = _forced(type_.diff(olds, news), request.replaceOnChanges)
        if diff.replaces or old.tainted:
            self._replace(step, old, diff)
        elif diff.changed:
            self._update(step, old, olds, diff)
        else:
            resource.id, resource.outputs = old.id, old.outputs
            self._state.put(resource)
            self._done("unchanged", resource)
        return resource

    def _create(self, step: "_Step", result: str) -> None:
        resource = step.resource
        started = self._begin("replace" if result == "replaced" else "create", resource)
        if step.request.importId:
            resource.id = step.request.importId
            found = step.type.read_resource(step.aws, resource.id, step.news, step.news)
            if found is None:
                raise ResourceError(f"resource {resource.id!r} does not exist and can't be imported")
            if different := step.type.diff(found[0], step.news).changed:
                raise ResourceError(f"what exists differs from the program in {', '.join(sorted(different))}")
            outputs = found[1]
        else:
            try:
                resource.id, outputs = step.type.create_resource(step.aws, step.news)
            except PartlyCreatedError as error:
                # It exists, so it is written down: the next deploy makes it anew, and a destroy finds it.
                resource.id, resource.tainted = error.resource_id, True
                resource.outputs = {**resource.inputs, "id": resource.id}
                self._state.put(resource)
                raise
        self._keep(step, outputs)
        self._done(result, resource, started)

    def _update(self, step: "_Step", old: Resource, olds: Values, diff: Diff) -> None:
        step.resource.id = old.id
        started = self._begin("update", step.resource, sorted(diff.changed))
        self._keep(step, step.type.update_resource(step.aws, old.id, olds, step.news, reveal(old.outputs)))
        self._done("updated", step.resource, started)

    def _replace(self, step: "_Step", old: Resource, diff: Diff) -> None:
        if old.protect:
            changed = ", ".join(sorted(diff.replaces))
            raise ResourceError(
                f"{changed} changed, which replaces it, and it is protected: deploy it once unprotected"
            )
        request = step.request
        first = request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else diff.delete_before_replace
        if first or old.tainted:
            self._clear_the_way(old)
            self._delete(old)
        # Checked again as if it were new, because a name made for the old one is not the replacement's.
        news = step.type.check(step.aws, request.name, {k: v for k, v in step.news.items() if k in step.given}, {})
        step.resource.inputs = {k: step.resource.inputs[k] if k in step.given else v for k, v in news.items()}
        step = replace(step, news=news)
        old.doomed = not (first or old.tainted)
        try:
            self._create(step, "replaced")
        except BaseException:
            # Nothing took its place (a half-made replacement is written down as such and is the live one).
            old.doomed = old.doomed and step.resource.tainted
            self._state.change()
            raise

    def _keep(self, step: "_Step", outputs: Values) -> None:
        step.resource.outputs = self._marked(outputs, step.request.additionalSecretOutputs, step.resource.inputs)
        self._state.put(step.resource)

    def _clear_the_way(self, doomed: Resource) -> None:
        """Delete the resources that could not outlive this one, because an input that replaces them depends on it."""

        def dies_with(resource: Resource) -> bool:
            if not resource.custom or resource.external or resource is doomed:
                return False
            replacing = {
                key
                for key, urns in resource.property_dependencies.items()
                if doomed.urn in urns and (field := find(resource.type).fields.get(key)) and field.new
            }
            return bool(replacing)

        for resource in self._state.for_deletion(lambda each: not each.doomed and dies_with(each)):
            if resource.protect:
                raise ResourceError(f"must be replaced together with {resource.urn}, which is protected")
            self._clear_the_way(resource)
            if resource in self._state.resources:
                self._delete(resource)

    def _provider(self, request: Any, urn: str, source: str) -> Resource:
        given = {key: value for key, value in reveal(decode(request.object)).items() if value is not None}
        if unknown := set(given) - CONFIGURATION:
            raise ResourceError(f"the embedded AWS does not know the provider's configuration {sorted(unknown)}")
        old = self._state.find([urn])
        resource = self._frame(request, urn, source, custom=True)
        resource.id = old.id if old else str(uuid.uuid4())
        resource.inputs = resource.outputs = given
        self._state.put(resource)
        return resource

    def finish(self) -> None:
        """Delete what the program no longer has, dependents first, and keep the stack's outputs."""
        gone = self._state.for_deletion(lambda resource: resource.doomed or resource.urn not in self._registered)
        self._delete_all(gone)
        self._state.outputs, self._state.deployed = self.outputs, True
        self._state.change()

    def destroy(self) -> None:
        """Delete everything the stack has."""
        everything = self._state.for_deletion(lambda resource: True)  # noqa: ARG005
        self._delete_all(everything)
        self._state.path.unlink(missing_ok=True)

    def _delete_all(self, resources: list[Resource]) -> None:
        if protected := [resource for resource in resources if resource.protect and not resource.doomed]:
            for resource in protected:
                self._fail(
                    resource.urn,
                    resource.type,
                    resource.source,
                    "is protected and would be deleted; deploy it once without protect",
                )
            raise FailedError
        gone = {resource.urn for resource in resources}
        for resource in resources:
            with self._working(resource.urn, resource.type, resource.source):
                self._delete(resource, spared=resource.deleted_with in gone)

    def _delete(self, resource: Resource, *, spared: bool = False) -> None:
        real = resource.custom and not resource.external and resource.type != PROVIDER
        if real:
            started = self._begin("delete", resource)
            if not (spared or resource.retain_on_delete):
                aws = self._for(resource.provider)
                find(resource.type).delete_resource(aws, resource.id, reveal(resource.outputs))
        self._state.remove(resource)
        if real:
            self._done("deleted", resource, started)

    def _urn(self, parent: str, type_: str, name: str) -> str:
        if parent:
            parents = parent.split("::")[2]
            if parents != STACK:
                type_ = f"{parents}${type_}"
        return f"{self._prefix}{type_}::{name}"

    def _frame(self, request: Any, urn: str, source: str, *, custom: bool = False) -> Resource:
        """The resource as the program describes it, without what makes it real."""
        registering = hasattr(request, "propertyDependencies")
        return Resource(
            urn=urn,
            type=request.type,
            custom=custom,
            parent=request.parent,
            dependencies=list(request.dependencies),
            provider=request.provider,
            source=source,
            property_dependencies={k: list(v.urns) for k, v in request.propertyDependencies.items()}
            if registering
            else {},
            protect=registering and request.protect,
            retain_on_delete=registering and request.retainOnDelete,
            deleted_with=request.deletedWith if registering else "",
        )

    def _for(self, provider: str) -> Aws:
        """The emulator in the region of an explicit provider."""
        resource = self._state.find([provider.rpartition("::")[0]]) if provider else None
        region = resource.inputs.get("region") if resource else None
        return self._aws.elsewhere(region) if region else self._aws

    def _marked(self, outputs: Values, additional: Iterable[str], inputs: Wire | None = None) -> Wire:
        """The outputs with their secrets marked: what came from a secret input, and what the program says."""
        hidden = {key for key, value in (inputs or {}).items() if has_secret(value)} | set(additional)
        if "tags" in hidden:
            hidden.add("tagsAll")
        marked = {key: secret(value) if key in hidden else value for key, value in outputs.items()}
        self._learn(marked)
        return marked

    def _learn(self, values: Wire) -> None:
        """Remember the secrets, so that no message ever shows one."""
        self._secrets |= secret_texts(values)

    def masked(self, text: str) -> str:
        for hidden in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(hidden, "[secret]")
        return text

    def _say(self, event: dict[str, Any]) -> None:
        self._tell({key: self.masked(value) if isinstance(value, str) else value for key, value in event.items()})

    def _begin(self, operation: str, resource: Resource, changed: list[str] | None = None) -> float:
        event = {
            "event": "start",
            "operation": operation,
            "urn": resource.urn,
            "type": resource.type,
            "name": resource.name,
        }
        self._say({**event, "source": resource.source, **({"changed": changed} if changed else {})})
        return time.monotonic()

    def _done(self, result: str, resource: Resource, started: float | None = None) -> None:
        seconds = round(time.monotonic() - started, 3) if started is not None else 0.0
        event = {
            "event": "resource",
            "result": result,
            "urn": resource.urn,
            "type": resource.type,
            "name": resource.name,
        }
        self._say({**event, "id": resource.id, "source": resource.source, "seconds": seconds})

    def _fail(self, urn: str, type_: str, source: str, message: str) -> None:
        name = urn.split("::", 3)[-1]
        event = {"event": "resource", "result": "failed", "urn": urn, "type": type_, "name": name, "source": source}
        event["message"] = self.masked(message)
        self.failures.append(event)
        self._tell(event)

    @contextlib.contextmanager
    def _working(self, urn: str, type_: str, source: str) -> Iterator[None]:
        """Turn what goes wrong with one resource into one event, and stop the rest of the run."""
        with self._idle:
            if self.cancelled:
                raise FailedError("not attempted: the deploy was cancelled")
            if self.failures:
                raise FailedError(f"not attempted: {self.failures[0]['message']}")
            self._busy += 1
        try:
            yield
        except FailedError:
            raise
        except ResourceError as error:
            self._fail(urn, type_, source, str(error))
            raise FailedError(self.masked(str(error))) from None
        except Exception as error:
            self._fail(urn, type_, source, f"{type(error).__name__}: {error}")
            raise FailedError(self.masked(str(error))) from error
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()


def _source(request: Any) -> str:
    """Where the program wrote it: file and line."""
    position = request.sourcePosition
    return f"{unquote(urlsplit(position.uri).path)}:{position.line}" if position.uri else ""


def _forced(diff: Diff, paths: Iterable[str]) -> Diff:
    """The difference with what `replaceOnChanges` names."""
    names = {path.replace("[", ".").split(".", 1)[0] for path in paths}
    forced = diff.changed if "*" in names else diff.changed & names
    return Diff(diff.changed, diff.replaces | forced, diff.delete_before_replace)


def _ignoring(news: Wire, olds: Wire, paths: Iterable[str]) -> Wire:
    """The new inputs, with the old values where `ignoreChanges` says so."""
    for path in paths:
        steps = [step.strip("\"'") for step in path.replace("]", "").replace("[", ".").split(".") if step]
        news = olds if steps == ["*"] else _keeping(news, olds, steps)
    return news


def _keeping(news: Any, olds: Any, steps: list[str]) -> Any:
    if is_secret(news):
        return secret(_keeping(news["value"], olds, steps))
    olds = olds["value"] if is_secret(olds) else olds
    step, *rest = steps
    if isinstance(news, list):
        index = int(step) if step.isdigit() else -1
        if not isinstance(olds, list) or not 0 <= index < min(len(news), len(olds)):
            return news
        return [*news[:index], _keeping(news[index], olds[index], rest) if rest else olds[index], *news[index + 1 :]]
    if not isinstance(news, dict) or not isinstance(olds, dict):
        return news
    if rest:
        return {**news, step: _keeping(news[step], olds.get(step), rest)} if step in news else news
    kept = {key: value for key, value in news.items() if key != step}
    return {**kept, step: olds[step]} if step in olds else kept
