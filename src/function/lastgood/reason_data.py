"""What an alarm's own reason data says about when its breach began.

CloudWatch keeps it with the alarm (`StateReasonData` of DescribeAlarms), and sends it to a function that it calls
itself and to EventBridge (`reasonData`); SNS messages do not have it. It is JSON in a text: the datapoints that were
evaluated, each with the start of its period.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.model import Onset

LONGEST_REASON_DATA = 20_000
"""Characters; CloudWatch keeps 4,000."""

LONGEST_PERIOD = 604_800
"""Seconds; no alarm looks back further than a week."""

EVALUATED_WITHIN = timedelta(minutes=5)
"""An alarm changes within this time of the evaluation that found the breach."""

LAST_YEAR = 9000
"""Later years are nonsense, and adding to them would overflow."""

type Breaches = Callable[[float], bool]


def parse_reason_data(text: object) -> Mapping[str, Any]:
    """The reason data as a mapping; empty where there is none, or it is no JSON object."""
    if not isinstance(text, str) or len(text) > LONGEST_REASON_DATA:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def breach_began(data: Mapping[str, Any], comparison: str = "", datapoints: int = 0, period: float = 0) -> Onset | None:
    """The start of the earliest datapoint that breached; None where the data do not show it.

    `comparison` is the alarm's operator, or CloudWatch's sentence about it. Where neither is known, the newest
    datapoint shows on which side of the threshold the alarm fires. `datapoints` is how many the alarm evaluates (0:
    unknown); only that many of the newest count. `period` (in seconds) is the alarm's own, for data without one.
    """
    period = _number(data.get("period")) or period
    if not 0 < period <= LONGEST_PERIOD:
        return None
    points = sorted(_points(data, timedelta(seconds=period)).items())
    breached = _breached(data, comparison, [value for _, value in points])
    pairs = list(zip(points, breached, strict=False))[-datapoints:]
    first = next((at for (at, _), breaches in pairs if breaches), None)
    return Onset(first, timedelta(seconds=period), measured=True) if first else None


def is_of_change(data: Mapping[str, Any], changed_at: datetime) -> bool:
    """Whether a message's data can belong to the change that it reports: they were evaluated at that time."""
    evaluated = _time(data.get("queryDate"))
    return evaluated is None or abs(changed_at - evaluated) <= EVALUATED_WITHIN


def has_no_data(data: Mapping[str, Any]) -> bool:
    """Whether the evaluation found no datapoint at all; False where the data do not say what it found."""
    return data.get("recentDatapoints") == [] and all(value is None for _, value in _evaluated(data))


def triggering_alarms(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The ARNs of the alarms that made a composite alarm fire."""
    children = data.get("triggeringAlarms")
    arns = [child.get("arn") for child in children if isinstance(child, dict)] if isinstance(children, list) else []
    return tuple(arn for arn in arns if isinstance(arn, str))


def _points(data: Mapping[str, Any], period: timedelta) -> dict[datetime, float]:
    """Time and value of each datapoint: from the list with times, or else from the older list with a start alone."""
    stated = {at: value for at, value in _evaluated(data) if value is not None}
    recent = data.get("recentDatapoints")
    start = _time(data.get("startDate"))
    if not isinstance(recent, list) or start is None or len(stated) >= len(recent):
        return stated
    values = [_number(value) for value in recent]
    return {start + n * period: value for n, value in enumerate(values) if value is not None} | stated


def _evaluated(data: Mapping[str, Any]) -> Iterator[tuple[datetime, float | None]]:
    points = data.get("evaluatedDatapoints")
    for point in points if isinstance(points, list) else []:
        at = _time(point.get("timestamp")) if isinstance(point, dict) else None
        if at is not None:
            yield at, _number(point.get("value"))


def _breached(data: Mapping[str, Any], comparison: str, values: list[float]) -> list[bool]:
    """For each datapoint, oldest first, whether it breached; empty where that cannot be known.

    An anomaly alarm has no single threshold: each datapoint has a band of its own.
    """
    threshold = _number(data.get("threshold"))
    if threshold is not None and values:
        return list(map(_breaches(comparison, threshold, values[-1]), values))
    lower, upper = (_numbers(data.get(f"recent{side}Thresholds")) for side in ("Lower", "Upper"))
    if {len(side) for side in (lower, upper) if side} != {len(values)}:
        return []
    return _outside_of_bands(comparison.lower(), values, lower, upper)


def _outside_of_bands(said: str, values: list[float], lower: list[float], upper: list[float]) -> list[bool]:
    """For each datapoint whether it left its band on a side that `said` names; on either if it names none."""
    below, above = "less" in said or "greater" not in said, "greater" in said or "less" not in said
    least, most = lower or [-math.inf] * len(values), upper or [math.inf] * len(values)
    bounded = zip(values, least, most, strict=True)
    return [(below and value < low) or (above and value > high) for value, low, high in bounded]


def _numbers(value: object) -> list[float]:
    """The numbers of a list; empty if any element is not a number."""
    numbers = [_number(number) for number in value] if isinstance(value, list) else []
    return [number for number in numbers if number is not None] if None not in numbers else []


def _breaches(comparison: str, threshold: float, newest: float) -> Breaches:
    said = comparison.lower()
    above = "greater" in said or ("less" not in said and newest >= threshold)
    equal = "equal" in said or not said
    if above:
        return lambda value: value > threshold or (equal and value == threshold)
    return lambda value: value < threshold or (equal and value == threshold)


def _number(value: object) -> float | None:
    """A number; None for anything else, and for an integer beyond what CloudWatch can measure."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo and moment.year < LAST_YEAR else None
    except (ValueError, OverflowError):
        return None
