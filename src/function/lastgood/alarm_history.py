"""What the items of an alarm's history say, as DescribeAlarmHistory lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.model import AlarmHistory, AlarmState, Firing
from lastgood.reason_data import has_no_data, parse_reason_data

_CHANGES_NO_STATE = {
    "actionsenabled",
    "actionssuppressor",
    "actionssuppressorextensionperiod",
    "actionssuppressorwaitperiod",
    "alarmactions",
    "alarmconfigurationupdatedtimestamp",
    "alarmdescription",
    "insufficientdataactions",
    "okactions",
}
"""Fields of an alarm, in small letters, that say what follows a change of its state and not what its state means."""

ROUNDED = timedelta(seconds=1)
"""A message and the history may round the time of one change differently."""


def history_of(name: str, items: Iterable[Mapping[str, Any]]) -> AlarmHistory:
    """The firings that `DescribeAlarmHistory` lists, oldest first; the time before the oldest item is unknown."""
    changes = sorted((item["Timestamp"].astimezone(UTC), _new_state(item)) for item in items)
    firings: list[Firing] = []
    for at, state in changes:
        firing = bool(firings) and firings[-1].ended is None
        if state == AlarmState.ALARM and not firing:
            firings.append(Firing(name, at))
        elif state and state != AlarmState.ALARM and firing:
            firings[-1] = replace(firings[-1], ended=at)
    return AlarmHistory(tuple(firings), changes[0][0] if changes else None)


def _new_state(item: Mapping[str, Any]) -> str:
    return str(_state(item, "newState").get("stateValue", ""))


def _state(item: Mapping[str, Any], which: str) -> Mapping[str, Any]:
    """The old or the new state that an item of the history tells; empty where it tells none."""
    state = parse_reason_data(item.get("HistoryData")).get(which)
    return state if isinstance(state, dict) else {}


def was_taken(item: Mapping[str, Any]) -> bool:
    """Whether an action was really taken: one that was muted or failed reached nobody."""
    state = parse_reason_data(item.get("HistoryData")).get("actionState")
    return state == "Succeeded" if state else str(item.get("HistorySummary", "")).startswith("Successfully executed")


def rested_without_data(items: Iterable[Mapping[str, Any]], fired: datetime) -> bool:
    """Whether an alarm had no datapoint when it last was OK before it `fired`; False where nothing says so."""
    before = (item for item in items if item["Timestamp"].astimezone(UTC) <= fired + ROUNDED)
    states = (_state(item, "oldState") for item in sorted(before, key=lambda i: i["Timestamp"], reverse=True))
    last = next((state for state in states if state.get("stateValue") == AlarmState.OK), {})
    data = last.get("stateReasonData")
    return has_no_data(data if isinstance(data, dict) else parse_reason_data(data))


def still_means_the_same(items: Iterable[Mapping[str, Any]], edited_at: datetime) -> bool:
    """Whether the edits of an alarm, up to the one at `edited_at`, left alone what its states mean.

    False where the history does not say so: it may be behind, or one of the items may be the alarm's creation.
    """
    edits = list(items)
    last = max((item["Timestamp"].astimezone(UTC) for item in edits), default=None)
    return last is not None and last >= edited_at - ROUNDED and all(map(_changed_no_state, edits))


def _changed_no_state(item: Mapping[str, Any]) -> bool:
    before = parse_reason_data(item.get("HistoryData")).get("originalUpdatedFields")
    return isinstance(before, dict) and {name.lower() for name in before} <= _CHANGES_NO_STATE
