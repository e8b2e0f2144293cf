"""What is written together with a rollback's end: its lock is removed, and what later rollbacks must know is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lastgood.ledger.controls import bad_sk, group_pk, rolled_away
from lastgood.ledger.dynamo import Table
from lastgood.ledger.items import Items
from lastgood.ledger.watches import Watch
from lastgood.model import Rollback
from lastgood.times import iso


@dataclass(frozen=True, slots=True)
class Closing:
    """The writes that end one rollback, in one transaction."""

    table: Table
    items: Items
    rollback: Rollback

    @property
    def at(self) -> datetime:
        """When it ended."""
        return self.rollback.closed_at or self.rollback.opened_at

    def lock_goes(self) -> dict[str, Any]:
        """The group is free again. Fails where another rollback holds it."""
        return self.table.update(
            group_pk(self.rollback.group),
            "LOCK",
            "REMOVE open_rollback_id SET last_rollback_id = :id, last_closed_at = :at",
            "open_rollback_id = :id",
            {":id": self.rollback.rollback_id, ":at": iso(self.at)},
        )

    def memory(self) -> dict[str, Any]:
        """Remember that it acted, for the cooldown and the limits."""
        rollback, at = self.rollback, iso(self.at)
        past = {
            "pk": group_pk(rollback.group),
            "sk": f"PAST#{at}#{rollback.rollback_id}",
            "outcome": str(rollback.outcome),
            "rollback_id": rollback.rollback_id,
            "rollback_deployment_id": rollback.progress.rollback_deployment_id,
        }
        if fired := rollback.trigger.alarm_changed_at:
            past |= {"alarm_name": rollback.trigger.alarm_name, "alarm_changed_at": iso(fired)}
        return self.table.put(self.items.expiring(past, self.at, days=30))

    def known_bad(self) -> Iterator[dict[str, Any]]:
        """Remember its suspects' revisions as known bad."""
        return map(self._known_bad, rolled_away(self.rollback))

    def _known_bad(self, identity: str) -> dict[str, Any]:
        why = f"rolled away from by {self.rollback.rollback_id}"
        content = self.rollback.choice.suspect_contents.get(identity, "")
        return self.table.update(
            group_pk(self.rollback.group),
            bad_sk(identity),
            "SET revision = :revision, explanation = :why, marked_bad_at = :at, revision_content = :content "
            "REMOVE marked_good_at",
            None,
            {":revision": identity, ":why": why, ":at": iso(self.at), ":content": content},
        )

    def uncounted(self) -> dict[str, Any]:
        """Its alarm no longer counts towards a storm."""
        item = self.items.counted(self.rollback)
        values = {":at": iso(self.at), ":end": item["expires_at"]}
        return self.table.update(item["pk"], item["sk"], "SET unfounded_at = :at, expires_at = :end", None, values)

    def watched(self, until: datetime) -> dict[str, Any]:
        """Have the sweep watch until that time whether its alarm recovers."""
        watch = Watch(self.rollback.rollback_id, until, self.rollback.trigger.alarm_name)
        return self.table.put(self.items.watch(watch))

    def pause(self) -> dict[str, Any]:
        """Pause its group: no rollback starts there by itself until somebody resumes it."""
        why = {"requested_by": "lastgood", "explanation": self.rollback.explanation, "occurred_at": iso(self.at)}
        return self.table.put({"pk": group_pk(self.rollback.group), "sk": "PAUSE", **why})
