"""An alarm of any type as `DescribeAlarms` describes it, as facts. What is missing or new in an answer is no error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.model import AlarmFacts, AlarmState
from lastgood.reason_data import LONGEST_PERIOD, breach_began, has_no_data, parse_reason_data

_RATE = re.compile(r"rate\((\d{1,5}) (minute|hour|day)s?\)")
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def silenced_by(alarm: Mapping[str, Any]) -> str:
    """What keeps an alarm's actions from being taken; EventBridge reports its changes all the same."""
    disabled = "somebody who disabled them" if alarm.get("ActionsEnabled") is False else ""
    return str(alarm.get("ActionsSuppressedBy") or disabled)


def facts_of(alarm: Mapping[str, Any]) -> AlarmFacts:
    """What a description says about the alarm."""
    period = _period(alarm)
    evaluated = _first_count(alarm, "EvaluationPeriods", "QueryResultsToEvaluate") or _of_promql(alarm, period)
    data = parse_reason_data(alarm.get("StateReasonData"))
    onset = breach_began(data, str(alarm.get("ComparisonOperator", "")), evaluated, period.total_seconds())
    named = alarm.get("StateValue")
    # A state that this version does not know is neither firing nor recovered.
    state = AlarmState(named) if named in set(AlarmState) else AlarmState.INSUFFICIENT_DATA
    return AlarmFacts(
        name=str(alarm.get("AlarmName", "")),
        state=state,
        changed_at=changed_at_of(alarm),
        suppressed_by=silenced_by(alarm),
        period=period,
        datapoints=_first_count(alarm, "DatapointsToAlarm", "QueryResultsToAlarm") or evaluated,
        looks_back=period * evaluated,
        onset=onset if state is AlarmState.ALARM else None,
        edited_at=_moment(alarm.get("AlarmConfigurationUpdatedTimestamp")),
        without_data=state is AlarmState.OK and has_no_data(data),
    )


def _period(alarm: Mapping[str, Any]) -> timedelta:
    """The alarm's period; for metric math the longest of its metrics', else the time between two queries.

    Zero where it has none (a composite alarm).
    """
    schedule = (alarm.get("ScheduledQueryConfiguration") or {}).get("ScheduleConfiguration") or {}
    if rate := _RATE.fullmatch(str(schedule.get("ScheduleExpression", "")).strip()):
        return min(int(rate[1]) * _UNITS[rate[2]], timedelta(seconds=LONGEST_PERIOD))
    queries = alarm.get("Metrics") or []
    holders = [alarm, *queries, *(query.get("MetricStat") or {} for query in queries)]
    longest = max(_first_count(holder, "Period", "EvaluationInterval") for holder in holders)
    return timedelta(seconds=min(longest, LONGEST_PERIOD))


def _of_promql(alarm: Mapping[str, Any], interval: timedelta) -> int:
    """How many evaluations a PromQL alarm needs in a row: a series has to breach all through the pending period."""
    criteria = (alarm.get("EvaluationCriteria") or {}).get("PromQLCriteria")
    if criteria is None or not interval:
        return 0
    return 1 + timedelta(seconds=_count(criteria.get("PendingPeriod"))) // interval


def _first_count(alarm: Mapping[str, Any], *names: str) -> int:
    return next((count for name in names if (count := _count(alarm.get(name)))), 0)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def changed_at_of(alarm: Mapping[str, Any]) -> datetime | None:
    """When it went into its present state."""
    return _moment(alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"))


def _moment(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
