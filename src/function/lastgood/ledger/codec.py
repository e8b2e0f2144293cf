"""A rollback and its steps as plain items, and back. Reading is tolerant of what other versions wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from lastgood.model import (
    GROUPS,
    Candidate,
    Choice,
    ComputePlatform,
    Controller,
    Outcome,
    Phase,
    Reason,
    Rejection,
    Rollback,
    Trail,
    TriggerKind,
)
from lastgood.times import iso, parse_iso

_DERIVED: Mapping[type, tuple[str, ...]] = {
    Rollback: ("verified_at", "needs_human"),
    Choice: ("suspect_revision",),
    Trail: ("revert_command",),
}
"""Values that follow from other fields and are stored as well, for people who read the table."""
_IN_ANOTHER: Mapping[type, tuple[str, ...]] = {Rollback: (*GROUPS, "people")}
"""Fields without an attribute of their own: their values are in the attributes of others."""

_AS_THEY_ARE = {str, int, bool, type(None)}
"""What most values are. Each write looks at some hundreds of them, so these are not asked what else they may be."""

_YEARS = range(2009, 9000)
"""From CloudWatch's first year to far ahead: beyond that, times cannot be added to."""

_RESERVED = {"force": "forced", "action": "step_name"}


def stored_names() -> tuple[str, ...]:
    """The attributes of a head item that hold the record."""
    return tuple(stored for kind in (Rollback, *GROUPS.values()) for stored, _ in _stored(kind))


def stored_name(name: str) -> str:
    """A field's name in the table: two of ours are reserved words, which the console's filters cannot use."""
    return _RESERVED.get(name, name)


def to_item(value: Any) -> dict[str, Any]:
    """A dataclass as a plain item: enums as their text, times as ISO text, None left out; groups are flattened."""
    groups = _groups(value) if isinstance(value, Rollback) else (value,)
    return {name: plain for group in groups for name, plain in _attributes(group).items()}


def _groups(rollback: Rollback) -> tuple[Any, ...]:
    return (rollback, *(getattr(rollback, name) for name in GROUPS))


def _attributes(group: Any) -> dict[str, Any]:
    pairs = ((stored, _plain(getattr(group, name))) for stored, name in _stored(group.__class__))
    return {stored: plain for stored, plain in pairs if plain is not None}


@cache
def _stored(kind: type) -> tuple[tuple[str, str], ...]:
    """The attributes that a dataclass is stored in, each with the field's name."""
    names = [spec.name for spec in fields(kind) if spec.name not in _IN_ANOTHER.get(kind, ())]
    return tuple((stored_name(name), name) for name in (*names, *_DERIVED.get(kind, ())))


def _plain(value: Any) -> Any:
    if value.__class__ in _AS_THEY_ARE:
        return value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return to_item(value) if is_dataclass(value) else value


def changes(before: Rollback, after: Rollback) -> tuple[dict[str, Any], list[str]]:
    """The attributes of a head item to set, and those to remove. A group that is the same object did not change."""
    old, new = dict[str, Any](), dict[str, Any]()
    for was, now in zip(_groups(before), _groups(after), strict=True):
        if was is not now:
            old |= _attributes(was)
            new |= _attributes(now)
    return {k: v for k, v in new.items() if old.get(k) != v}, [k for k in old if k not in new]


def read_rollback(item: Mapping[str, Any]) -> Rollback:
    """An item as a Rollback. Tolerant: unknown attributes are ignored, unknown values read as absent."""
    # An unknown phase, of a newer version, must not read as a fresh start: such a rollback is only watched.
    values: dict[str, Any] = {"phase": Phase.VERIFYING, "trigger_kind": TriggerKind.SNS}
    for name, read in _READERS.items():
        stored = item.get(stored_name(name))
        if stored is None:
            continue
        try:
            values[name] = read(stored)
        except (ValueError, TypeError, KeyError):
            continue
    # A record without the signal's time: it came, at the latest, when it opened the rollback.
    values.setdefault("signal_at", values.get("opened_at"))
    # Older versions, and the records of releases, held the one suspect's revision alone.
    if item.get("suspect_revision") and not values.get("suspect_revisions"):
        values["suspect_revisions"] = (str(item["suspect_revision"]),)
    rollback = Rollback.of(values)
    called = item.get("needs_human")
    return rollback if called in {None, rollback.needs_human} else rollback.changed(people=bool(called))


def readable(item: Mapping[str, Any] | None, rollback_id: str = "") -> Rollback | None:
    """An item as a Rollback; None where there is none, or it lacks what every rollback has, or has another id.

    Each write depends on the version: a record whose version is no whole number can never be written again.
    """
    try:
        if not item or int(item.get("version", 0)) != item.get("version", 0):
            return None
        found = read_rollback(item)
        return found if rollback_id in {"", found.rollback_id} else None
    except (TypeError, ValueError):
        return None


def _read_time(text: str) -> datetime:
    """A time with which one can reckon. Raises ValueError for others, which were not written by us."""
    found = parse_iso(text)
    if found.year not in _YEARS:
        raise ValueError(f"no time of a rollback: {text}")
    return found


_OF_A_LIFE: Mapping[str, Callable[[Any], Any]] = {
    "served_seconds": int,
    "alarms_meanwhile": int,
    "content_known": bool,
    "content_known_by": str,
}


def _read_candidates(rows: list[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            row["deployment_id"],
            row.get("revision", ""),
            _read_time(row["created_at"]),
            Rejection(row["rejection"]) if row.get("rejection") else None,
            row.get("explanation", ""),
            **{name: read(row[name]) for name, read in _OF_A_LIFE.items() if row.get(name) is not None},
        )
        for row in rows
    )


_BY_TYPE: Mapping[object, Callable[[Any], Any]] = {
    "str": str,
    "bool": bool,
    "int": int,
    "datetime": _read_time,
    "datetime | None": _read_time,
    "Phase": Phase,
    "Outcome | None": Outcome,
    "Reason | None": Reason,
    "ComputePlatform | None": ComputePlatform,
    "TriggerKind": TriggerKind,
    "Controller": Controller,
    "tuple[str, ...]": tuple,
    "Mapping[str, str]": dict,
    "tuple[Candidate, ...]": _read_candidates,
}
"""How a field is read, by its type in the words of the class: to make types of them would take the start its time."""

_READERS = {
    spec.name: _BY_TYPE[spec.type]
    for part in (Rollback, *GROUPS.values())
    for spec in fields(part)
    if spec.name not in _IN_ANOTHER.get(part, ())
}
