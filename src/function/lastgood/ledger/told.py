"""Which notice speaks for others, so that people are told once of what many records are about."""

from __future__ import annotations

from datetime import datetime, timedelta

from lastgood.ledger.controls import name_of_release
from lastgood.ledger.dynamo import Table
from lastgood.times import iso


class Told:
    """What people were told of, as items of the partition `CONTROL`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of_storm(self, rollback_id: str, now: datetime, storm_window: timedelta) -> bool:
        """True for the one rollback that tells people of a storm; the others are recorded without a notice."""
        return self._tells("STORM", rollback_id, now, storm_window)

    def of_release(self, joined_by: str, kind: str, rollback_id: str, now: datetime, window: timedelta) -> bool:
        """True for the one rollback whose notice of this kind speaks for all groups of a release."""
        return self._tells(f"RELEASE#{name_of_release(joined_by)}#{kind}", rollback_id, now, window)

    def of_unfounded(self, now: datetime, window: timedelta) -> int:
        """Count a notice of a signal that led nowhere. Returns how many there were within the present window."""
        began = int(now.timestamp() // window.total_seconds())
        values = {":one": 1, ":end": int((now + timedelta(days=1)).timestamp())}
        change = "ADD notice_count :one SET expires_at = :end"
        item = self._table.change("CONTROL", f"UNFOUNDED#{began}", change, None, values)
        return int(item["notice_count"]) if item else 0

    def _tells(self, about: str, rollback_id: str, now: datetime, window: timedelta) -> bool:
        item = self._table.change(
            "CONTROL",
            about,
            "SET told_by = :id, silent_until = :until, expires_at = :end",
            # A silence much longer than the window, or that is no time, was not written by us.
            "attribute_not_exists(pk) OR NOT attribute_type(silent_until, :text) OR silent_until <= :now "
            "OR silent_until > :longest OR told_by = :id",
            {
                ":id": rollback_id,
                ":now": iso(now),
                ":until": iso(now + window),
                ":longest": iso(now + 2 * window),
                ":end": int((now + window + timedelta(days=1)).timestamp()),
                ":text": "S",
            },
        )
        return item is not None
