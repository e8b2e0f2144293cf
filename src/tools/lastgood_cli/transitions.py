"""When alarms went off and recovered, from CloudWatch's history of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lastgood.model import AlarmState, DeploymentGroup


@dataclass(frozen=True, slots=True)
class Series:
    """An alarm by its name, of another region by its ARN; of an alarm over many time series, one of them."""

    alarm: str
    contributor: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Transition:
    """An alarm, or one time series of it, went into ALARM.

    `recovered_at`: when it was OK again; None: not within what is known.
    """

    alarm_name: str
    at: datetime
    recovered_at: datetime | None = None
    groups: tuple[DeploymentGroup, ...] = ()
    problem: str = ""
    evaluation_seconds: int = 0
    contributor: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def series(self) -> Series:
        """What fired."""
        return Series(self.alarm_name, self.contributor, self.attributes)


type Change = tuple[Series, AlarmState, datetime]


def state_changes(items: Iterable[Mapping[str, Any]]) -> tuple[Change, ...]:
    """`DescribeAlarmHistory`'s items as (series, new state, time), oldest first. What cannot be read is left out.

    An alarm over many time series sends messages of those, and none of its own.
    """
    changes = [(_series(item), _new_state(item), item["Timestamp"].astimezone(UTC)) for item in items]
    fleets = {series.alarm for series, _, _ in changes if series.contributor}
    kept = [
        (series, state, at)
        for series, state, at in changes
        if state and (series.contributor or series.alarm not in fleets)
    ]
    return tuple(sorted(kept, key=lambda change: change[2]))


def _series(item: Mapping[str, Any]) -> Series:
    attributes = item.get("AlarmContributorAttributes") or {}
    return Series(str(item.get("AlarmName", "")), str(item.get("AlarmContributorId") or ""), attributes)


def _new_state(item: Mapping[str, Any]) -> AlarmState | None:
    try:
        return AlarmState(json.loads(item.get("HistoryData") or "")["newState"]["stateValue"])
    except (ValueError, KeyError, TypeError):
        pass
    try:
        # "Alarm updated from OK to ALARM"
        return AlarmState(str(item.get("HistorySummary", "")).rpartition(" to ")[2].strip())
    except ValueError:
        return None


def firings(changes: Sequence[Change]) -> tuple[Transition, ...]:
    """Each time that an alarm or a time series went into ALARM, with when it was OK again; both are oldest first."""
    fired: list[Transition] = []
    next_ok: dict[Series, datetime] = {}
    for one, state, at in reversed(changes):
        if state is AlarmState.OK:
            next_ok[one] = at
        elif state is AlarmState.ALARM:
            recovered = next_ok.get(one)
            fired.append(Transition(one.alarm, at, recovered, contributor=one.contributor, attributes=one.attributes))
    return tuple(reversed(fired))
