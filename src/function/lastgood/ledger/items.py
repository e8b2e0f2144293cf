"""The items that a rollback writes: its head, its steps, and the item that counts it towards a storm."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from lastgood.ledger.codec import to_item
from lastgood.ledger.watches import Watch, watch_item
from lastgood.model import Rollback
from lastgood.times import iso

SCHEMA_VERSION = 1
OPEN_KEY = "open"


class Kind(StrEnum):
    """What a step records."""

    DECISION = "decision"
    INTENT = "intent"
    RESULT = "result"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a rollback's story."""

    kind: Kind
    action: str
    explanation: str
    occurred_at: datetime
    deployment_id: str = ""


def rollback_pk(rollback_id: str) -> str:
    """The partition of a rollback."""
    return f"ROLLBACK#{rollback_id}"


@dataclass(frozen=True, slots=True)
class Items:
    """Makes items, each with the time after which DynamoDB may delete it."""

    retention: timedelta

    def head(self, rollback: Rollback) -> dict[str, Any]:
        """The rollback itself."""
        opened = iso(rollback.opened_at)
        item = {
            **to_item(rollback),
            "pk": rollback_pk(rollback.rollback_id),
            "sk": "META",
            "deployment_group_key": rollback.group.key,
            "day": opened[:10],
            "open_key": OPEN_KEY,
            "next_check_at": opened,
            "schema_version": SCHEMA_VERSION,
        }
        return self.expiring(item, rollback.opened_at)

    def step(self, rollback_id: str, number: int, step: Step) -> dict[str, Any]:
        """A step of a rollback; the first has number 1."""
        key = {"pk": rollback_pk(rollback_id), "sk": f"STEP#{number:04d}"}
        return self.expiring({**key, "rollback_id": rollback_id, **to_item(step)}, step.occurred_at)

    def joined(self, holder: str, key: str, rollback: Rollback, now: datetime) -> dict[str, Any]:
        """Another signal, identified by `key`, that joined a rollback; with the rollback that it would have opened."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        item = {"pk": rollback_pk(holder), "sk": f"SIGNAL#{digest}", "signal_key": key[:500], "occurred_at": iso(now)}
        return self.expiring({**to_item(rollback), **item}, now)

    def counted(self, rollback: Rollback) -> dict[str, Any]:
        """The item that counts a rollback towards a storm."""
        sk = f"OPENED#{iso(rollback.opened_at)}#{rollback.group.key}"
        return self.expiring({"pk": "CONTROL", "sk": sk}, rollback.opened_at, days=2)

    def watch(self, watch: Watch) -> dict[str, Any]:
        """An alarm that the sweep looks at."""
        return self.expiring(watch_item(watch), watch.until, days=2)

    def expiring(self, item: dict[str, Any], since: datetime, days: int = 0) -> dict[str, Any]:
        """An item that expires `days` after `since`; 0 stands for the retention."""
        keep = timedelta(days=days) if days else self.retention
        return {**item, "expires_at": int((since + keep).timestamp())}
