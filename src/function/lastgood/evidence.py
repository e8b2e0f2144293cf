"""Whether an alarm's own metric breaches: the proof that the alarm's state was not set by hand."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lastgood.clients import call
from lastgood.errors import RefusedError
from lastgood.model import name_of
from lastgood.text import clean

_BREACHES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# Metrics arrive late: this many periods more than the alarm evaluates are read.
_LATE_PERIODS = 3
# Names and ARNs may have nearly every character where they are quoted.
_CHILD = re.compile(r"""\bALARM\s*\(\s*(?:"([^"]+)"|'([^']+)'|([^"')\s]+))\s*\)""")
MOST_CHILDREN = 50


def doubt(client: Any, alarm: Mapping[str, Any], now: datetime) -> str:
    """Why the metric of an alarm, as DescribeAlarms describes it, does not confirm the alarm; empty where it does.

    A composite alarm is confirmed by any of the metric alarms in its rule that is in ALARM and whose metric breaches.
    """
    if "AlarmRule" not in alarm:
        return _doubt(client, alarm, now)
    names = [name_of("".join(quoted)) for quoted in _CHILD.findall(alarm["AlarmRule"])][:MOST_CHILDREN]
    if not names:
        return "Its rule names no alarm that could be asked for its metric."
    answer = call(client, "describe_alarms", AlarmNames=names, AlarmTypes=["MetricAlarm"], StateValue="ALARM")
    doubts = [_doubt(client, child, now) for child in answer.get("MetricAlarms", [])]
    if not doubts:
        return "None of the metric alarms in its rule is in ALARM."
    return "" if "" in doubts else doubts[0]


def _doubt(client: Any, alarm: Mapping[str, Any], now: datetime) -> str:
    name, breaches = clean(alarm["AlarmName"], 255), _BREACHES.get(alarm.get("ComparisonOperator", ""))
    queries = _queries(alarm)
    if breaches is None or "Threshold" not in alarm or not queries:
        return f"The metric of {name} cannot be compared: its threshold is a band, or it is a query."
    period = _period(alarm, queries)
    evaluated = int(alarm["EvaluationPeriods"])
    try:
        series = _series(client, queries, now - (evaluated + _LATE_PERIODS) * period, now)
    except RefusedError as error:
        return f"The metric of {name} cannot be read: {error}"
    threshold, silent_breaches = float(alarm["Threshold"]), alarm.get("TreatMissingData") == "breaching"

    def breaching_in(values: list[float]) -> int:
        missing = max(0, evaluated - len(values)) if silent_breaches else 0
        return sum(breaches(value, threshold) for value in values) + missing

    # For an alarm over many time series, one of them has to breach often enough, as CloudWatch evaluates them.
    values = max(series, key=breaching_in)
    breaching = breaching_in(values)
    needed = int(alarm.get("DatapointsToAlarm") or evaluated)
    if breaching >= needed:
        return ""
    return (
        f"The metric of {name} breaches its threshold in {breaching} of {len(values)} datapoints, of {needed} needed."
    )


def _queries(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The queries for GetMetricData, exactly one of which returns data; empty where that is not possible."""
    if alarm.get("Metrics"):
        asked = [dict(query) for query in alarm["Metrics"]]
        return asked if sum(query.get("ReturnData", True) for query in asked) == 1 else []
    statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
    if not statistic or "MetricName" not in alarm:
        return []
    metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions") if key in alarm}
    unit = {"Unit": alarm["Unit"]} if "Unit" in alarm else {}
    return [{"Id": "m", "MetricStat": {"Metric": metric, "Period": alarm["Period"], "Stat": statistic, **unit}}]


def _period(alarm: Mapping[str, Any], queries: list[dict[str, Any]]) -> timedelta:
    """The longest period of the metrics, as CloudWatch evaluates an expression over several."""
    periods = [query.get("MetricStat", query).get("Period") or 0 for query in queries]
    return timedelta(seconds=max([int(alarm.get("Period") or 0), *map(int, periods)]) or 60)


def _series(client: Any, queries: list[dict[str, Any]], start: datetime, end: datetime) -> list[list[float]]:
    """The values of each time series that the alarm covers; one empty series where there is none."""
    answer = call(client, "get_metric_data", MetricDataQueries=queries, StartTime=start, EndTime=end)
    return [list(result.get("Values", [])) for result in answer.get("MetricDataResults", [])] or [[]]
