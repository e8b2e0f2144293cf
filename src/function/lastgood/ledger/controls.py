"""What operators and past rollbacks left for a deployment group, as items and as values.

An item that cannot be read, because somebody else wrote it, must not keep an alarm from being answered: it is left out,
or read as what lets less happen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lastgood.model import Controls, DeploymentGroup, Floor, Mode, Outcome, PastRollback, Pause, Rollback
from lastgood.times import iso, parse_iso

CLOCK_SKEW = timedelta(minutes=5)
"""What is dated further into the future than this was not written by us."""


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
    bad = [row for row in by_kind.get("BAD", []) if isinstance(row.get("revision"), str)]
    return Controls(
        pause_group=next((_pause(row) for row in by_kind.get("PAUSE", [])), None),
        mode=next((_mode(row, now) for row in by_kind.get("MODE", [])), None),
        floor=next((_floor(row, now) for row in by_kind.get("FLOOR", [])), None),
        cleared_floors=frozenset(str(row["sk"]).partition("#")[2] for row in by_kind.get("FLOOR_CLEARED", [])),
        known_bad={row["revision"]: text_of(row, "explanation") for row in bad if not row.get("marked_good_at")},
        known_bad_since={row["revision"]: since for row in bad if (since := _time(row, "marked_bad_at"))},
        known_bad_contents={
            row["revision"]: content
            for row in bad
            if not row.get("marked_good_at") and (content := text_of(row, "revision_content"))
        },
        marked_good=frozenset(row["revision"] for row in bad if row.get("marked_good_at")),
        past=tuple(past for row in by_kind.get("PAST", []) if (past := _past(row, now))),
        open_rollback_id=next((text_of(row, "open_rollback_id") for row in by_kind.get("LOCK", [])), ""),
    )


def read_common(rows: Iterable[Mapping[str, Any]], now: datetime) -> Controls:
    """What applies to every group: the pause of everything, and the groups that alarms opened rollbacks for.

    A person who resumes everything has looked: what fired before that no longer counts, nor does what was unfounded.
    """
    rows = list(rows)
    said = next((row for row in rows if row["sk"] == "PAUSE"), {})
    resumed = _time(said, "resumed_at")
    if resumed and resumed > now + CLOCK_SKEW:
        resumed = None
    since = f"OPENED#{iso(resumed) if resumed else ''}"
    opened = [row for row in rows if row["sk"].startswith("OPENED#") and row["sk"] > since]
    return Controls(
        pause_all=_pause(said) if said else None,
        groups_in_alarm=frozenset(_opened_for(row) for row in opened if not row.get("unfounded_at")),
        unfounded_groups=frozenset(_opened_for(row) for row in opened if row.get("unfounded_at")),
        resumed_at=resumed,
    )


def _opened_for(row: Mapping[str, Any]) -> str:
    return str(row["sk"]).partition("#")[2].partition("#")[2]


def rolled_away(rollback: Rollback) -> tuple[str, ...]:
    """The revisions that a rollback's end makes known bad."""
    if rollback.outcome not in {Outcome.ROLLED_BACK, Outcome.FAILED}:
        return ()
    back = {rollback.choice.good_revision, rollback.progress.redeployed_revision, ""}
    return tuple(i for i in rollback.choice.suspect_revisions if i not in back)


def _pause(row: Mapping[str, Any]) -> Pause | None:
    if row.get("resumed_at"):
        return None
    return Pause(text_of(row, "explanation"), text_of(row, "requested_by"), _time(row, "until"))


def _mode(row: Mapping[str, Any], now: datetime) -> Mode | None:
    until = _time(row, "until")
    if until and until <= now:
        return None
    # A mode that this version does not know must not let it act by itself.
    mode = text_of(row, "mode")
    return Mode(mode) if mode in set(Mode) else Mode.OBSERVE


def _floor(row: Mapping[str, Any], now: datetime) -> Floor | None:
    if row.get("cleared_at"):
        return None
    # How far back one may go is unknown where the floor cannot be read: then not at all.
    return Floor(
        text_of(row, "deployment_id"),
        _time(row, "created_at") or now,
        text_of(row, "explanation"),
        text_of(row, "requested_by"),
    )


def _past(row: Mapping[str, Any], now: datetime) -> PastRollback | None:
    outcome = text_of(row, "outcome")
    try:
        closed = parse_iso(str(row["sk"]).split("#", 2)[1])
    except (ValueError, IndexError):
        return None
    if closed > now + CLOCK_SKEW:
        return None
    return PastRollback(
        text_of(row, "rollback_id"),
        closed,
        Outcome(outcome) if outcome in set(Outcome) else Outcome.FAILED,
        text_of(row, "rollback_deployment_id"),
        text_of(row, "alarm_name"),
        _time(row, "alarm_changed_at"),
    )


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A text of an item; empty where there is none, or something else."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _time(row: Mapping[str, Any], name: str) -> datetime | None:
    """A time of an item; None where there is none, or none that can be read."""
    try:
        return parse_iso(row[name])
    except (KeyError, ValueError):
        return None
