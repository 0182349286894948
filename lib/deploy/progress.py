"""One engine operation, followed: its events become ours, and what it did is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.automation import EngineEvent

from lib.deploy.engine import clean
from lib.deploy.events import Emit, Message, ResourceChanged, Severity, StackPhase
from lib.deploy.state import STACK, TABLE, State, masked, physical_name, short

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine writes a value it does not know yet

# The steps of a replacement each come as an event of their own; one of them counts.
_COUNTED = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "import": "import",
    "import-replacement": "replace",
}
_SEVERITIES: dict[str, Severity] = {"warning": "warning", "error": "error"}
_SILENT = {"same", "read", "read-replacement", "read-discard", "discard-replaced", "remove-pending-replace"}


@dataclass(frozen=True)
class Change:
    """One step of a plan."""

    operation: str
    urn: str
    type: str
    keys: list[str]
    name: str | None
    protected: bool
    """By the engine or by AWS: deleting it would fail, or must not even be tried."""


@dataclass
class Progress:
    """What one operation has done so far."""

    stack: str
    phase: StackPhase
    emit: Emit
    changes: Counter[str] = field(default_factory=Counter)
    steps: list[Change] = field(default_factory=list)
    flags_changed: bool = False
    outputs: dict[str, Any] | None = None
    errors: list[tuple[str | None, str]] = field(default_factory=list)
    failed_resources: list[str] = field(default_factory=list)
    policy_violations: list[str] = field(default_factory=list)
    in_flight: dict[str, str] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)
    _counted: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_destroy(cls, stack: str, state: State) -> Progress:
        """The plan of a destroy, which the state alone tells."""
        plan = cls(stack, "preview", lambda _event: None)
        for resource in reversed(state.owned):
            inputs = resource.get("inputs") or {}
            name = physical_name(resource["type"], inputs)
            protected = _protected(resource.get("protect"), inputs)
            plan.steps.append(Change("delete", resource["urn"], resource["type"], [], name, protected))
        plan.changes["delete"] = len(plan.steps)
        return plan

    def on_event(self, event: EngineEvent) -> None:
        """Take one event of the engine."""
        if event.resource_pre_event:
            self._begun(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._ended(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            meta = event.res_op_failed_event.metadata
            self.in_flight.pop(meta.urn, None)
            self.failed_resources.append(meta.urn)
            self._tell(meta, "failed")
        elif event.policy_event:
            self._violated(event.policy_event)
        elif event.diagnostic_event:
            self._said(event.diagnostic_event)

    def _begun(self, meta: Any) -> None:
        if meta.op == "same":
            # No step, and yet `up` has something to write: the engine's own flags on the resource.
            old, new = meta.old, meta.new
            if (
                old
                and new
                and (bool(old.protect), bool(old.retain_on_delete))
                != (
                    bool(new.protect),
                    bool(new.retain_on_delete),
                )
            ):
                self.flags_changed = True
            return
        if meta.op in _SILENT or meta.op == "refresh" or not _is_resource(meta):
            return
        state = meta.new if meta.op in {"create", "create-replacement"} else meta.old or meta.new
        inputs = (state.inputs if state else None) or {}
        keys = list(meta.keys or meta.diffs or [])
        protected = bool(meta.old) and _protected(meta.old.protect, meta.old.inputs or {})
        self.steps.append(Change(meta.op.value, meta.urn, meta.type, keys, physical_name(meta.type, inputs), protected))
        self.in_flight[meta.urn] = str(meta.op.value)
        if self.phase == "preview":
            self._count(meta)
        self._tell(meta, "started")

    def _ended(self, meta: Any) -> None:
        if meta.type == STACK:
            found = (meta.new.outputs if meta.new else None) or {}
            self.outputs = {key: None if value == UNKNOWN else value for key, value in masked(found).items()}
            return
        self.in_flight.pop(meta.urn, None)
        if meta.op in _SILENT or not _is_resource(meta):
            return
        if self.phase == "refresh":
            self._differs(meta)
        else:
            if self.phase != "preview":
                self._count(meta)
            self._tell(meta, "done")

    def _count(self, meta: Any) -> None:
        """Count a step. What goes for a replacement is part of that; where it goes alone, it is deleted."""
        operation = "delete" if meta.op == "delete-replaced" else _COUNTED.get(meta.op)
        before = self._counted.get(meta.urn)
        if operation is None or (meta.op == "delete-replaced" and before == "replace"):
            return
        if operation == "replace" and before == "delete":
            self.changes -= Counter(delete=1)
        self._counted[meta.urn] = operation
        self.changes[operation] += 1

    def _differs(self, meta: Any) -> None:
        """A refresh found something that is not as the state says."""
        keys = list(meta.diffs or [])
        if meta.op == "delete":
            self.drift.append(f"{short(meta.urn)} is gone")
        elif keys:
            self.drift.append(f"{short(meta.urn)} has another {', '.join(keys)}")
        else:
            return
        self.changes[_COUNTED[meta.op]] += 1
        self._tell(meta, "done")

    def _tell(self, meta: Any, status: Any) -> None:
        if not _is_resource(meta):
            return
        self.emit(
            ResourceChanged(
                stack=self.stack,
                phase=self.phase,
                operation=meta.op.value,
                status=status,
                urn=meta.urn,
                type=meta.type,
                name=meta.urn.rpartition("::")[2],
                keys=list(meta.keys or meta.diffs or []),
            )
        )

    def _violated(self, event: Any) -> None:
        text = f"{event.policy_name}: {' '.join(clean(event.message).split())}"
        mandatory = event.enforcement_level == "mandatory"
        if mandatory:
            self.policy_violations.append(text)
        severity: Severity = "error" if mandatory else "warning"
        self.emit(Message(severity=severity, text=text, stack=self.stack, urn=event.resource_urn or None))

    def _said(self, event: Any) -> None:
        text = clean(event.message)
        severity: Severity = _SEVERITIES.get(event.severity, "info")
        if event.ephemeral or not text or event.severity == "debug":
            return
        urn = event.urn or None
        if severity == "error":
            if text in {"preview failed", "update failed"}:
                return
            self.errors.append((urn, text))
        self.emit(Message(severity=severity, text=text, stack=self.stack, urn=urn))

    @property
    def lost_tables(self) -> list[Change]:
        """Steps that would delete a table's data, one for each table.

        The deletion that belongs to a replacement comes as a step of its own. Where it comes alone, the replacement
        broke off earlier, and the old table, which may have been written to ever since, would go now.
        """
        tables: dict[tuple[str, str | None], Change] = {}
        for step in self.steps:
            if step.type == TABLE and step.operation in {"delete", "replace", "delete-replaced"}:
                kept = tables.setdefault((step.urn, step.name), step)
                if kept.operation == "delete-replaced":
                    tables[step.urn, step.name] = step
        return list(tables.values())

    @property
    def first_error(self) -> str | None:
        """The first thing that went wrong, in one paragraph."""
        if not self.errors:
            return self.policy_violations[0] if self.policy_violations else None
        urn, text = self.errors[0]
        name = urn.rpartition("::")[2] if urn and f"::{STACK}::" not in urn else ""
        return f"{name}: {text}" if name else text


def _protected(protect: Any, inputs: Mapping[str, Any]) -> bool:
    return bool(protect or inputs.get("deletionProtectionEnabled"))


def _is_resource(meta: Any) -> bool:
    state = meta.new or meta.old
    return bool(state and state.custom) and not meta.type.startswith("pulumi:")
