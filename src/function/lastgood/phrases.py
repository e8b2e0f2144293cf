"""Times and durations as people say them, for explanations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def clock(moment: datetime) -> str:
    """`10:04:12Z`, the way an incident is retold."""
    return moment.astimezone(UTC).strftime("%H:%M:%SZ")


def duration(span: timedelta) -> str:
    """`45 s`, `12 min`, `3 h`, `9 days`: one unit, rounded down."""
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and unit != "days"):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(later: datetime, earlier: datetime) -> str:
    """The time between two moments."""
    return duration(later - earlier)
