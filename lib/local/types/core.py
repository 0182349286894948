"""What every resource type shares: data first, code only where AWS's own API is irregular.

A type is a class whose attributes say which API call creates, reads, updates and deletes the resource and what each
Pulumi input is called in that API. Nested names and value types come from botocore's own service models, so a type
needs no line for them. `lib/local/monitor.py` (no engine) and `lib/local/provider.py` (the real engine) drive them.
"""

import datetime as dt
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

import botocore.loaders
import botocore.session
import jmespath
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from lib.local.emulator import ACCESS_KEY, REGION, SECRET_KEY

Values = dict[str, Any]

# Codes (or parts of them) by which AWS's services say that something is not there.
GONE = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "ResourceNotFound", "WAFNonexistentItem", "404")


# Configuration of the real provider that means nothing on this machine, or exactly what it means on AWS.
CONFIGURATION = frozenset(
    {
        "profile",
        "region",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "version",
    }
)


class ResourceError(Exception):
    """Something a user can act on: what could not be done and, where AWS refused it, AWS's words."""


class FailedError(Exception):
    """Something is not going to be done, for a reason that everybody has been told already."""


class UnknownTypeError(ResourceError):
    def __init__(self, token: str) -> None:
        super().__init__(f"resource type {token} is not known to the embedded AWS; add it in lib/local/types")


class UnknownInputError(ResourceError):
    def __init__(self, token: str, path: str, known: Iterator[str] | list[str]) -> None:
        super().__init__(f"{token} has no input {path!r} in the embedded AWS; known: {', '.join(sorted(known))}")
        self.path = path


class MissingOutputError(ResourceError):
    def __init__(self, token: str, key: str) -> None:
        super().__init__(f"{token} must have an output {key!r}, but the emulator's answer has none")


class RefusedError(ResourceError):
    """AWS (the emulator) answered a call with an error."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code

    @property
    def gone(self) -> bool:
        return any(part in self.code for part in GONE)


class PartlyCreatedError(ResourceError):
    """The resource exists, but a later step of its creation failed; its identifier is here, so that nothing is lost."""

    def __init__(self, resource_id: str, reason: str) -> None:
        super().__init__(reason)
        self.resource_id = resource_id


class _Unknown:
    """The value of an output that is only known after a deploy."""

    def __repr__(self) -> str:
        return "<unknown until deployed>"


UNKNOWN = _Unknown()


# One for the process: it keeps the service models it has read.
_MODELS = botocore.loaders.create_loader()


class Aws:
    """The clients of one emulator. Any address but a loopback one is refused: no real AWS is ever called."""

    def __init__(
        self, endpoint: str, region: str = REGION, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY
    ) -> None:
        host = urlsplit(endpoint).hostname or ""
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise ResourceError(f"the embedded AWS is on this machine only; {endpoint!r} is not a loopback address")
        self.endpoint, self.region = endpoint, region
        self._keys = access_key, secret_key
        self._session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        # The user's own profiles must neither be used nor be able to break a local deploy.
        for variable in ("config_file", "credentials_file"):
            self._session.set_config_variable(variable, "/dev/null")
        self._clients: dict[tuple[str, str], Any] = {}
        self._elsewhere: dict[str, Aws] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.create_client(
                    service,
                    region_name=key[1],
                    endpoint_url=self.endpoint,
                    aws_access_key_id=self._keys[0],
                    aws_secret_access_key=self._keys[1],
                    config=Config(
                        connect_timeout=5,
                        read_timeout=120,
                        retries={"total_max_attempts": 1},
                        proxies={},
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[key]

    def call(self, service: str, operation: str, region: str | None = None, **params: Any) -> Values:
        client = self.client(service, region)
        name = client.meta.method_to_api_mapping[operation]
        try:
            answer: Values = getattr(client, operation)(**params)
        except ClientError as error:
            raise RefusedError(
                name, error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            ) from None
        except ParamValidationError as error:
            raise ResourceError(f"{name}: {error}") from None
        except BotoCoreError as error:
            raise ResourceError(f"{name}: the emulator at {self.endpoint} did not answer: {error}") from None
        answer.pop("ResponseMetadata", None)
        return answer

    def elsewhere(self, region: str) -> "Aws":
        """The same emulator, in another region."""
        with self._lock:
            if region not in self._elsewhere:
                self._elsewhere[region] = Aws(self.endpoint, region, *self._keys)
            return self._elsewhere[region]

    def model(self, service: str, operation: str) -> Any:
        meta = self.client(service).meta
        return meta.service_model.operation_model(meta.method_to_api_mapping[operation])

    @cached_property
    def account(self) -> str:
        return str(self.call("sts", "get_caller_identity")["Account"])


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input: its name in the API, and whether changing it makes a new resource."""

    api: str = ""  # the member of the API's requests; "" when the type's own code handles it
    at: str = ""  # where (JMESPath) its value stands in what the read call answers; `api` when not given
    new: bool = False  # a change forces replacement
    default: Any = None  # what it is when not given; an update that removes it sets this
    json: bool = False  # a JSON document: compared by meaning
    unordered: bool = False  # a list that AWS takes as a set


def f(api: str = "", **options: Any) -> Field:
    return Field(api=api, **options)


def new(api: str = "", **options: Any) -> Field:
    """A field whose change forces replacement."""
    return Field(api=api, new=True, **options)


def pascal(names: str, **options: Any) -> dict[str, Field]:
    """Fields whose API names are their own with a capital."""
    return {name: f(name[:1].upper() + name[1:], **options) for name in names.split()}


def same(names: str, **options: Any) -> dict[str, Field]:
    """Fields that the API calls as Pulumi does."""
    return {name: f(name, **options) for name in names.split()}


@dataclass(frozen=True)
class Tagging:
    """How a service tags what exists: its three calls and the parameter that names the resource."""

    list: str
    tag: str
    untag: str
    resource: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    map: bool = False  # tags are a map; otherwise a list of key and value
    key: str = "Key"
    value: str = "Value"

    def encode(self, tags: Mapping[str, str]) -> Any:
        return dict(tags) if self.map else [{self.key: k, self.value: v} for k, v in tags.items()]

    def decode(self, tags: Any) -> dict[str, str]:
        return dict(tags or {}) if self.map else {tag[self.key]: tag[self.value] for tag in tags or []}


@dataclass(frozen=True)
class Diff:
    changed: frozenset[str]
    replaces: frozenset[str]
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Change:
    """An update: all that is known of the resource, the inputs before and after, and which of them changed."""

    known: Values
    olds: Values
    news: Values
    changed: frozenset[str]

    def without(self, key: str) -> "Change":
        return Change(self.known, self.olds, self.news, self.changed - {key})


class Type:
    """One resource type. Subclasses are data; they override a method where AWS's API is irregular."""

    token: ClassVar[str] = ""
    service: ClassVar[str]
    inputs: ClassVar[Mapping[str, Field]]
    # Outputs beside the inputs: JMESPath into the read call's answer or, where it holds "{", a template over all known.
    outputs: ClassVar[Mapping[str, str]] = {}
    # Outputs that may be empty: what the real provider answers then.
    empty: ClassVar[Mapping[str, Any]] = {}
    # Outputs that an update may change, beside the inputs that it changes.
    moving: ClassVar[frozenset[str]] = frozenset()
    identity: ClassVar[str] = "{id}"
    name: ClassVar[str] = ""  # the input that gets a unique name when it is not given
    key: ClassVar[Mapping[str, str]] = {}  # API parameters that name the resource, as templates
    create_call: ClassVar[str] = ""
    create_extra: ClassVar[Mapping[str, Any]] = {}
    read_call: ClassVar[str] = ""
    read_at: ClassVar[str] = "@"
    update_call: ClassVar[str] = ""
    delete_call: ClassVar[str] = ""
    tagging: ClassVar[Tagging | None] = None
    tag_target: ClassVar[str] = "{arn}"
    regional: ClassVar[bool] = True
    rename: ClassVar[Mapping[str, str]] = {}  # nested names that are not the API's
    delete_first: ClassVar[bool] = False  # two of them cannot exist side by side

    def check(self, aws: Aws, name: str, news: Values, olds: Values) -> Values:
        """Return the inputs with their defaults; raise for what is not known here."""
        known = self.fields
        # Where changes are ignored, the engine hands back what an earlier check has added; that is made again.
        added = {"__defaults", *news.get("__defaults", ())}
        for key in news:
            if key not in known and key not in added:
                raise UnknownInputError(self.token, key, list(known))
        inputs = {key: value for key, value in news.items() if value is not None and key not in added}
        if self.name and self.name not in inputs:
            automatic = self.name in olds.get("__defaults", ())
            inputs[self.name] = olds[self.name] if automatic else self.unique_name(name)
            inputs["__defaults"] = [self.name]
        self.request(aws, self.create_call, inputs)  # refuses unknown names inside
        return inputs

    def diff(self, olds: Values, news: Values) -> Diff:
        changed = {
            key
            for key, field in self.fields.items()
            if canonical(field, olds.get(key)) != canonical(field, news.get(key))
        }
        replaces = {key for key in changed if self.fields[key].new}
        return Diff(frozenset(changed), frozenset(replaces), bool(replaces) and self._in_the_way(olds, news))

    def _in_the_way(self, olds: Values, news: Values) -> bool:
        """Whether the replacement can't stand beside what it replaces: it would have the same identifier or name.

        A name that was made here is no obstacle, because the replacement gets another one.
        """
        if self.delete_first:
            return True
        if self.name:
            return olds.get(self.name) == news.get(self.name) and self.name not in news.get("__defaults", ())
        made_by_aws = "{out" in self.identity or "{id}" in self.identity
        return not made_by_aws and fill(self.identity, olds) == fill(self.identity, news)

    def planned(self, inputs: Values, olds: Values | None = None, changed: frozenset[str] = frozenset()) -> Values:
        """What a preview knows of the outputs."""
        computed: Values
        if olds is None:
            computed = dict.fromkeys(self.computed, UNKNOWN)
        else:
            computed = {key: olds.get(key) for key in self.computed}
            computed |= dict.fromkeys(self.moving if changed else (), UNKNOWN)
        return {**computed, **public(inputs), **self._tags_all(inputs)}

    def create_resource(self, aws: Aws, inputs: Values) -> tuple[str, Values]:
        """Create it and return its identifier and outputs."""
        aws = self._located(aws, inputs)
        resource_id = self.create(aws, inputs)
        try:
            self.created(aws, resource_id, inputs)
            return resource_id, self._outputs(aws, resource_id, inputs, inputs)
        except ResourceError as error:
            raise PartlyCreatedError(resource_id, str(error)) from None

    def read_resource(self, aws: Aws, resource_id: str, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        """What really is there, as inputs and outputs; None when it is gone."""
        aws = self._located(aws, {**state, **inputs})
        try:
            real = self.read(aws, {**state, **inputs, "id": resource_id})
        except RefusedError as error:
            if error.gone:
                return None
            raise
        if real is None:
            return None
        outputs = self._complete(aws, resource_id, real, inputs)
        if not inputs:  # an import knows nothing but the identifier
            fields = {key: field for key, field in self.inputs.items() if key in outputs}
            inputs = {key: outputs[key] for key, field in fields.items() if outputs[key] != field.default}
        seen = {key: like(self.fields[key], outputs.get(key), value) for key, value in public(inputs).items()}
        if real.get("tags") and "tags" not in seen:
            seen["tags"] = real["tags"]
        return {**inputs, **seen}, outputs

    def update_resource(self, aws: Aws, resource_id: str, olds: Values, news: Values, state: Values) -> Values:
        """Change it to the new inputs and return its outputs."""
        aws = self._located(aws, news)
        changed = self.diff(olds, news).changed
        if not changed:
            # The engine repeats an update whose last attempt, or whose creation, broke off: everything is set again.
            olds, changed = {}, frozenset(key for key in public(news) if not self.fields[key].new)
        known = {**state, **news, "id": resource_id}
        if changed - {"tags"}:
            self.update(aws, Change(known, olds, news, changed))
        if "tags" in changed:
            self.retag(aws, known, olds.get("tags") or {}, news.get("tags") or {})
        return self._outputs(aws, resource_id, news, state)

    def delete_resource(self, aws: Aws, resource_id: str, state: Values) -> None:
        """Delete it; that it is gone already is fine."""
        try:
            self.delete(self._located(aws, state), {**state, "id": resource_id})
        except RefusedError as error:
            if not error.gone:
                raise

    def create(self, aws: Aws, inputs: Values) -> str:
        answer = self.call(aws, self.create_call, **self.create_extra, **self.request(aws, self.create_call, inputs))
        return fill(self.identity, {**inputs, "out": answer, **facts(aws)})

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        """Further steps after the resource exists."""

    def read(self, aws: Aws, known: Values) -> Values | None:
        """What is there, under Pulumi's names; None when it is gone."""
        found = jmespath.search(self.read_at, self.call(aws, self.read_call, **self.named(aws, known)))
        if not found:
            return None
        real = self.translate(aws, self.read_call, found)
        for key, where in self.outputs.items():
            if "{" not in where:
                real[key] = plain(jmespath.search(where, found))
            else:
                real[key] = fill(
                    where, {**known, **{k: v for k, v in real.items() if v is not None}, "out": found, **facts(aws)}
                )
        if self.tagging and "tags" not in real:
            real["tags"] = self.tags(aws, {**known, **real})
        return real

    def update(self, aws: Aws, change: Change) -> None:
        """Send everything the update call takes."""
        self.call(aws, self.update_call, **self.wanted(aws, change))

    def wanted(self, aws: Aws, change: Change) -> Values:
        """The new inputs as the update call's parameters; what was removed goes back to its default."""
        removed = {key: self.fields[key].default for key in change.changed - set(change.news)}
        inputs = {**{key: value for key, value in removed.items() if value is not None}, **change.news}
        return {**self.request(aws, self.update_call, inputs), **self.named(aws, change.known)}

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, **self.named(aws, known))

    def tags(self, aws: Aws, known: Values) -> dict[str, str]:
        assert self.tagging  # noqa: S101 - only called for types that have it
        answer = self.call(
            aws, self.tagging.list, **{self.tagging.resource: fill(self.tag_target, {**known, **facts(aws)})}
        )
        found = next((v for k, v in answer.items() if k.lower() in ("tags", "taglist", "tagset", "resourcetags")), None)
        return self.tagging.decode(found)

    def retag(self, aws: Aws, known: Values, olds: Mapping[str, str], news: Mapping[str, str]) -> None:
        assert self.tagging  # noqa: S101
        target = {self.tagging.resource: fill(self.tag_target, {**known, **facts(aws)})}
        if gone := sorted(set(olds) - set(news)):
            self.call(aws, self.tagging.untag, **target, **{self.tagging.keys: gone})
        if added := {key: value for key, value in news.items() if olds.get(key) != value}:
            self.call(aws, self.tagging.tag, **target, **{self.tagging.tags: self.tagging.encode(added)})

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        return {**self.inputs, "region": new()} if self.regional else self.inputs

    @cached_property
    def computed(self) -> tuple[str, ...]:
        own = [key for key in self.outputs if key not in self.inputs]
        return (*own, *(["tagsAll"] if self.tagging else []), *(["region"] if self.regional else []))

    def unique_name(self, name: str) -> str:
        return f"{name}-{secrets.token_hex(4)[:7]}"

    def call(self, aws: Aws, operation: str, **params: Any) -> Values:
        return aws.call(self.service, operation, **params)

    def named(self, aws: Aws, known: Values) -> Values:
        return {parameter: fill(template, {**known, **facts(aws)}) for parameter, template in self.key.items()}

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        """The inputs as the operation's parameters: every input that the operation has a member for."""
        shape = aws.model(self.service, operation).input_shape
        params = {}
        for key, given in public(inputs).items():
            field = self.fields[key]
            if not field.api or field.api not in shape.members or (only is not None and key not in only):
                continue
            if key == "tags" and self.tagging and given is not UNKNOWN:
                value = self.tagging.encode({k: v for k, v in given.items() if v is not UNKNOWN})
            else:
                value = self._to_api(given, shape.members[field.api], key)
            if value is not UNKNOWN:
                params[field.api] = value
        return params

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        """What the read call answered, under the names of the inputs."""
        del operation
        real: Values = {}
        shape = aws.model(self.service, self.create_call).input_shape if self.create_call else None
        for key, field in self.fields.items():
            where = field.at or field.api
            if not where:
                continue
            value = jmespath.search(where, found)
            if value is None:
                continue
            if key == "tags" and self.tagging:
                real[key] = self.tagging.decode(value)
            else:
                real[key] = self._from_api(value, shape.members.get(field.api) if shape else None)
        return real

    def _to_api(self, value: Any, shape: Any, path: str) -> Any:
        if value is UNKNOWN:
            return UNKNOWN
        if shape.type_name == "structure":
            if isinstance(value, list):
                value = value[0] if value else {}
            params = {}
            for key, inner in value.items():
                if inner is None or key == "__defaults":
                    continue
                member = self.rename.get(key) or next((m for m in shape.members if m.lower() == key.lower()), None)
                if member not in shape.members:
                    raise UnknownInputError(self.token, f"{path}.{key}", [camel(m) for m in shape.members])
                params[member] = self._to_api(inner, shape.members[member], f"{path}.{key}")
            return {key: inner for key, inner in params.items() if inner is not UNKNOWN}
        if shape.type_name == "list":
            values = value if isinstance(value, list) else [value]
            return [
                v
                for v in (self._to_api(v, shape.member, f"{path}[{i}]") for i, v in enumerate(values))
                if v is not UNKNOWN
            ]
        if shape.type_name == "map":
            return {
                str(k): v
                for k, v in ((k, self._to_api(v, shape.value, f"{path}.{k}")) for k, v in value.items())
                if v is not UNKNOWN
            }
        return scalar(value, shape.type_name)

    def _from_api(self, value: Any, shape: Any) -> Any:
        kind = shape.type_name if shape is not None else ""
        if isinstance(value, dict) and kind == "string":
            return json.dumps(value)  # a policy document, which botocore has parsed
        if isinstance(value, dict):
            if kind == "map":
                return {k: self._from_api(v, shape.value) for k, v in value.items()}
            back = {api: ours for ours, api in self.rename.items()}
            members = shape.members if kind == "structure" else {}
            return {
                back.get(k) or camel(k): self._from_api(v, members.get(k))
                for k, v in value.items()
                if v is not None and (not members or k in members)
            }
        if isinstance(value, list):
            return [self._from_api(v, shape.member if kind == "list" else None) for v in value]
        return plain(value)

    def _located(self, aws: Aws, values: Values) -> Aws:
        region = values.get("region")
        if not self.regional or not region or region == aws.region:
            return aws
        return aws.elsewhere(region)

    def _tags_all(self, inputs: Values) -> Values:
        return {"tagsAll": inputs.get("tags") or {}} if self.tagging else {}

    def _outputs(self, aws: Aws, resource_id: str, inputs: Values, state: Values) -> Values:
        real = self.read(aws, {**state, **inputs, "id": resource_id})
        if real is None:
            raise ResourceError(f"{self.token} {resource_id} was written but cannot be read back")
        return self._complete(aws, resource_id, real, inputs)

    def _complete(self, aws: Aws, resource_id: str, real: Values, inputs: Values) -> Values:
        given = public(inputs)
        outputs = dict(given)
        for key, value in real.items():
            if value is not None:
                field = self.fields.get(key)
                outputs[key] = like(field, value, given[key]) if field and key in given else value
        for key in (*self.outputs, *self.empty):
            if outputs.get(key) is None:
                if key not in self.empty:
                    raise MissingOutputError(self.token, key)
                outputs[key] = self.empty[key]
        if self.regional:
            outputs["region"] = given.get("region") or aws.region
        if self.tagging:
            outputs["tagsAll"] = outputs.get("tags") or {}
        outputs["id"] = resource_id
        return outputs


def facts(aws: Aws) -> Values:
    return {"region": aws.region, "account": aws.account, "partition": "aws"}


def fill(template: str, values: Mapping[str, Any]) -> str:
    return template.format_map(values)


def public(inputs: Values) -> Values:
    return {key: value for key, value in inputs.items() if key != "__defaults" and value is not None}


def plain(value: Any) -> Any:
    """A value of an answer as Pulumi can carry it: moments as text."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, dt.datetime) else value


def settled(inputs: Values) -> Values:
    """The inputs without those that a preview doesn't know, or not wholly."""
    return {key: value for key, value in inputs.items() if not uncertain(value)}


def uncertain(value: Any) -> bool:
    if isinstance(value, dict):
        return any(uncertain(inner) for inner in value.values())
    return value is UNKNOWN or (isinstance(value, list) and any(uncertain(inner) for inner in value))


def camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def scalar(value: Any, kind: str) -> Any:  # noqa: PLR0911 - one for each case
    """A value as its API type wants it: some of Pulumi's strings are numbers in the API, and the other way round."""
    match kind, value:
        case "string", bool():
            return "true" if value else "false"
        case "string", int():
            return str(value)
        case "string", float():
            return f"{value:g}"
        case (("integer" | "long"), (str() | float())):
            return int(value)
        case (("float" | "double"), str()):
            return float(value)
        case "boolean", str():
            return value == "true"
        case _:
            return value


def canonical(field: Field, value: Any) -> Any:
    """A value in the form in which two of them are compared."""
    if value is None:
        value = field.default
    if field.json and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if field.unordered and isinstance(value, list) and value:
        return sorted(value, key=lambda item: json.dumps(item, sort_keys=True, default=str))
    if isinstance(value, dict) and "hash" in value and any(len(key) == 32 for key in value):
        return value["hash"]
    return prune(value)


def prune(value: Any) -> Any:
    """Without what says nothing: a container that is empty as a whole, and null members."""
    return None if value in ({}, []) else _members(value)


def _members(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _members(v) for k, v in value.items() if k != "__defaults" and v is not None and v != []}
    return [_members(inner) for inner in value] if isinstance(value, list) else value


def like(field: Field, real: Any, given: Any) -> Any:  # noqa: PLR0911 - one for each case
    """The real value as the user writes it: the given spelling where both mean the same, without members not given."""
    if real is None:
        return None
    if canonical(field, real) == canonical(field, given):
        return given
    inner = Field()
    match real, given:
        case dict(), dict():
            return {key: like(inner, real[key], value) for key, value in given.items() if key in real}
        case [only], _ if not isinstance(given, list):
            return like(field, only, given)
        case list(), list() if len(real) == len(given) and not (field.unordered and isinstance(given[0], dict)):
            return [like(inner, *pair) for pair in zip(real, given, strict=True)]
        case ((int() | float()), str()) if scalar(real, "string") == given:
            return given
        case _:
            return real
