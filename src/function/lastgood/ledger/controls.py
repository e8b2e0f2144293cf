"""What operators and past rollbacks left for a deployment group, as items and as values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lastgood.model import Controls, DeploymentGroup, Floor, Mode, Outcome, PastRollback, Pause, Rollback
from lastgood.times import parse_iso


def group_pk(group: DeploymentGroup) -> str:
    """The partition of a deployment group."""
    return f"GROUP#{group.key}"


def bad_sk(identity: str) -> str:
    """The sort key of a known-bad revision."""
    return "BAD#" + hashlib.sha256(identity.encode()).hexdigest()[:32]


def name_of_release(joined_by: str) -> str:
    """A release's part of a sort key: what its groups were joined by may be long."""
    return hashlib.sha256(joined_by.encode()).hexdigest()[:32]


def read_controls(rows: Iterable[Mapping[str, Any]], now: datetime) -> Controls:
    """A deployment group's partition as Controls."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_kind.setdefault(str(row["sk"]).split("#", 1)[0], []).append(row)
    bad = by_kind.get("BAD", [])
    return Controls(
        pause_group=next((_pause(row) for row in by_kind.get("PAUSE", [])), None),
        mode=next((_mode(row, now) for row in by_kind.get("MODE", [])), None),
        floor=next((_floor(row) for row in by_kind.get("FLOOR", [])), None),
        cleared_floors=frozenset(str(row["sk"]).split("#", 1)[1] for row in by_kind.get("FLOOR_CLEARED", [])),
        known_bad={row["revision"]: row.get("explanation", "") for row in bad if not row.get("marked_good_at")},
        known_bad_since={row["revision"]: parse_iso(row["marked_bad_at"]) for row in bad if row.get("marked_bad_at")},
        marked_good=frozenset(row["revision"] for row in bad if row.get("marked_good_at")),
        past=tuple(_past(row) for row in by_kind.get("PAST", [])),
        open_rollback_id=next((str(row.get("open_rollback_id", "")) for row in by_kind.get("LOCK", [])), ""),
    )


def read_common(rows: Iterable[Mapping[str, Any]]) -> Controls:
    """What applies to every group: the pause of everything, and the groups that alarms opened rollbacks for.

    A person who resumes everything has looked: what fired before that no longer counts, nor does what was unfounded.
    """
    rows = list(rows)
    said = next((row for row in rows if row["sk"] == "PAUSE"), {})
    resumed = str(said.get("resumed_at", ""))
    opened = [row for row in rows if row["sk"].startswith("OPENED#") and row["sk"] > f"OPENED#{resumed}"]
    return Controls(
        pause_all=_pause(said) if said else None,
        groups_in_alarm=frozenset(_opened_for(row) for row in opened if not row.get("unfounded_at")),
        unfounded_groups=frozenset(_opened_for(row) for row in opened if row.get("unfounded_at")),
        resumed_at=parse_iso(resumed) if resumed else None,
    )


def _opened_for(row: Mapping[str, Any]) -> str:
    return str(row["sk"]).split("#", 2)[2]


def rolled_away(rollback: Rollback) -> tuple[str, ...]:
    """The revisions that a rollback's end makes known bad."""
    if rollback.outcome not in {Outcome.ROLLED_BACK, Outcome.FAILED}:
        return ()
    back = {rollback.choice.good_revision, rollback.progress.redeployed_revision, ""}
    return tuple(i for i in rollback.choice.suspect_revisions if i not in back)


def _pause(row: Mapping[str, Any]) -> Pause | None:
    if row.get("resumed_at"):
        return None
    until = parse_iso(row["until"]) if row.get("until") else None
    return Pause(row.get("explanation", ""), row.get("requested_by", ""), until)


def _mode(row: Mapping[str, Any], now: datetime) -> Mode | None:
    if row.get("until") and parse_iso(row["until"]) <= now:
        return None
    # A mode that this version does not know must not let it act by itself.
    return Mode(row["mode"]) if row.get("mode") in set(Mode) else Mode.OBSERVE


def _floor(row: Mapping[str, Any]) -> Floor | None:
    if row.get("cleared_at"):
        return None
    return Floor(
        row["deployment_id"], parse_iso(row["created_at"]), row.get("explanation", ""), row.get("requested_by", "")
    )


def _past(row: Mapping[str, Any]) -> PastRollback:
    closed = parse_iso(str(row["sk"]).split("#", 2)[1])
    outcome = Outcome(row["outcome"]) if row.get("outcome") in set(Outcome) else Outcome.FAILED
    changed = parse_iso(row["alarm_changed_at"]) if row.get("alarm_changed_at") else None
    return PastRollback(
        row.get("rollback_id", ""),
        closed,
        outcome,
        row.get("rollback_deployment_id", ""),
        row.get("alarm_name", ""),
        changed,
    )
