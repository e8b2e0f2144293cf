"""Alarms that the sweep looks at again, as items and as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lastgood.ledger.controls import text_of
from lastgood.times import iso, parse_iso

WATCH_PK = "WATCH"


@dataclass(frozen=True, slots=True)
class Watch:
    """An alarm that the sweep watches until a time. With a `deployment_id`, it was firing when that was released."""

    rollback_id: str
    until: datetime
    alarm_name: str = ""
    deployment_id: str = ""

    @property
    def key(self) -> str:
        """Its sort key: watches are in the order in which they end."""
        return f"{iso(self.until)}#{self.rollback_id}"


def watch_item(watch: Watch) -> dict[str, Any]:
    """A watch as an item."""
    about = {"alarm_name": watch.alarm_name, "deployment_id": watch.deployment_id}
    return {"pk": WATCH_PK, "sk": watch.key, "rollback_id": watch.rollback_id, **about}


def read_watches(rows: Iterable[Mapping[str, Any]]) -> list[Watch]:
    """The watches of some items, without those that are settled, or that cannot be read."""
    return [watch for row in rows if not row.get("settled_at") and (watch := _read(row))]


def _read(row: Mapping[str, Any]) -> Watch | None:
    try:
        until = parse_iso(row["sk"].split("#", 1)[0])
    except ValueError:
        return None
    return Watch(text_of(row, "rollback_id"), until, text_of(row, "alarm_name"), text_of(row, "deployment_id"))
