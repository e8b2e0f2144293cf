"""Times, durations, deployments and lists in words, for explanations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lastgood.model import AlarmState, Deployment, Rollback

GONE, EDITED, WITHOUT_DATA = "gone", "edited", "without data"
"""What `not_recovered_state` may be beside CloudWatch's own states."""

NOT_OK = {
    str(AlarmState.ALARM): "is still firing",
    str(AlarmState.INSUFFICIENT_DATA): "measures nothing",
    GONE: "no longer exists",
    EDITED: "is OK only since somebody changed it",
    WITHOUT_DATA: "is OK only because no data come any more",
}
"""Each state of an alarm that did not recover, as a verb phrase."""


def clock(moment: datetime) -> str:
    """A time of day as in an incident report: `10:04:12Z`."""
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


def name(deployment: Deployment | None) -> str:
    return f"{deployment.revision.name} (from {deployment.deployment_id})" if deployment else "the last good revision"


def rolls_back_too(stack: str, status: str) -> str:
    """A sentence to add where a stack made the release: its update, if it still runs, fails with the deployment."""
    if stack and status and not status.endswith("_IN_PROGRESS"):
        return f" The stack {stack} holds it and is {status}."
    return f" Its stack rolls back too: {stack}." if stack else ""


def subject(suspect: Deployment | None) -> str:
    if suspect is None:
        return "No deployment is running"
    return f"{suspect.deployment_id} ({suspect.revision.name}) is {suspect.status}"


def at_a_gate(deployment: Deployment) -> str:
    """That it waits for a go-ahead, and what happens if none comes; empty where it does not wait."""
    gate = deployment.gate
    if gate is None:
        return ""
    until = f" until {gate.expires_at:%Y-%m-%d %H:%M}Z" if gate.expires_at else ""
    otherwise = f", when ECS takes {gate.otherwise}" if gate.otherwise and until else ""
    return f", paused at a lifecycle hook{until}{otherwise}" if gate.hook_id else ", waiting for a go-ahead"


def listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def taken_over(rollback: Rollback) -> str:
    """A sentence about a stale lock that this rollback took over; empty where there was none."""
    named = rollback.bookkeeping.took_lock_of
    if not named:
        return ""
    return (
        f"The lock of {rollback.group.key} named {named}, which is no open rollback of this group; it "
        "was taken over. Look who wrote to the audit table, or whether it was restored."
    )
