"""A rollback and its steps as plain items, and back. Reading is tolerant of what other versions wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, get_type_hints

from lastgood.model import (
    Candidate,
    ComputePlatform,
    Controller,
    Outcome,
    Phase,
    Reason,
    Rejection,
    Rollback,
    TriggerKind,
)
from lastgood.times import iso, parse_iso

_RESERVED = {"force": "forced", "action": "step_name"}


def stored_name(name: str) -> str:
    """An attribute's name in the table: two of ours are reserved words, which the console's filters choke on."""
    return _RESERVED.get(name, name)


def to_item(value: Any) -> dict[str, Any]:
    """A dataclass as a plain item: enums as their text, times as ISO text, None left out."""
    pairs = ((stored_name(spec.name), _plain(getattr(value, spec.name))) for spec in fields(value))
    return {name: plain for name, plain in pairs if plain is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return to_item(value) if is_dataclass(value) else value


def changes(before: Rollback, after: Rollback) -> tuple[dict[str, Any], list[str]]:
    """The attributes of a head item to set, and those to remove."""
    old, new = to_item(before), to_item(after)
    return {k: v for k, v in new.items() if old.get(k) != v}, [k for k in old if k not in new]


def read_rollback(item: Mapping[str, Any]) -> Rollback:
    """An item as a Rollback. Tolerant: unknown attributes are ignored, unknown values read as absent."""
    # A phase of a newer version is not taken for a fresh start: it is only watched.
    values: dict[str, Any] = {"phase": Phase.VERIFYING, "trigger_kind": TriggerKind.SNS}
    for name, read in _READERS.items():
        found = item.get(stored_name(name))
        if found is None:
            continue
        try:
            values[name] = read(found)
        except (ValueError, TypeError, KeyError):
            continue
    # A signal came, at the latest, when it opened the rollback.
    values.setdefault("signal_at", values.get("opened_at"))
    return Rollback(**values)


_OF_A_LIFE: Mapping[str, Callable[[Any], Any]] = {"served_seconds": int, "alarms_meanwhile": int, "content_known": bool}


def _read_candidates(rows: list[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            row["deployment_id"],
            row.get("revision", ""),
            parse_iso(row["created_at"]),
            Rejection(row["rejection"]) if row.get("rejection") else None,
            row.get("explanation", ""),
            **{name: read(row[name]) for name, read in _OF_A_LIFE.items() if row.get(name) is not None},
        )
        for row in rows
    )


_BY_TYPE: dict[Any, Callable[[Any], Any]] = {
    str: str,
    bool: bool,
    int: int,
    datetime: parse_iso,
    datetime | None: parse_iso,
    Phase: Phase,
    Outcome | None: Outcome,
    Reason | None: Reason,
    ComputePlatform | None: ComputePlatform,
    TriggerKind: TriggerKind,
    Controller: Controller,
    tuple[str, ...]: tuple,
    Mapping[str, str]: dict,
    tuple[Candidate, ...]: _read_candidates,
}
_READERS = {name: _BY_TYPE[kind] for name, kind in get_type_hints(Rollback).items()}
