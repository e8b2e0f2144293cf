"""When an alarm's breach began, and which releases came too late to have caused it: pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lastgood.judgement.wording import clock
from lastgood.model import AlarmFacts, AlarmState, Deployment, Onset, Rollback

SAME_CHANGE = timedelta(seconds=1)
"""A message and DescribeAlarms may round the time of one change differently."""

LONGEST_BREACH = timedelta(days=8)
"""CloudWatch lets no alarm look back further than a week; an onset before that is not believed."""


def onset_of(rollback: Rollback, alarm: AlarmFacts | None) -> Onset | None:
    """When the breach began for which the rollback was opened; None where no alarm opened it.

    What CloudWatch says now counts first, as long as it is about the same breach; then what the message said. Both are
    evidence: they name the datapoints. Without either, the onset is counted back from when the alarm fired, by the
    number of datapoints that the alarm needs. Where CloudWatch held the actions back, its own date of the change is
    used, because the message may be dated much later.
    Such an estimate errs on the side of blaming: the newest period may have been half full and the metric late, so only
    releases that came at least two periods, and at least five minutes, after it are cleared. A release that served
    users before a quick alarm fired can always be blamed.
    """
    fired = rollback.trigger.alarm_changed_at
    if fired is None:
        return None
    margin = timedelta(seconds=rollback.trigger.onset_margin_seconds)
    stored = Onset(rollback.trigger.onset_at or fired, margin, rollback.trigger.onset_measured)
    told = (alarm.onset if alarm and _speaks_of(alarm, fired) else None, stored if stored.measured else None)
    believed = (onset for onset in told if onset and fired - LONGEST_BREACH <= onset.at <= fired)
    if alarm and alarm.state is AlarmState.ALARM:
        fired = min(fired, alarm.changed_at or fired)
    return next(believed, None) or _estimated(fired, alarm, timedelta(seconds=rollback.trigger.evaluation_seconds))


def evaluation_of(rollback: Rollback, alarm: AlarmFacts | None) -> timedelta:
    """How far back the alarm looks, as its message said; never further than CloudWatch says. Zero where unknown.

    Whoever wrote the message could otherwise have releases blamed that served well before the breach.
    """
    said = timedelta(seconds=rollback.trigger.evaluation_seconds)
    return said if alarm is None or alarm.looks_back is None else min(said, alarm.looks_back)


def _speaks_of(alarm: AlarmFacts, fired: datetime) -> bool:
    """Whether it is still in the ALARM that the message reported: it has not recovered and fired again since."""
    return alarm.state is AlarmState.ALARM and (alarm.changed_at or fired) <= fired + SAME_CHANGE


def _estimated(fired: datetime, alarm: AlarmFacts | None, evaluation: timedelta) -> Onset:
    if alarm is None or not alarm.period:
        return Onset(fired - evaluation, evaluation)
    return Onset.estimated(fired, alarm.period, alarm.datapoints)


def latest_cause(onset: Onset, fired: datetime) -> datetime:
    """A release that was created after this did not cause the breach."""
    return min(onset.at + onset.margin, fired)


def came_too_late(deployment: Deployment, onset: Onset | None, fired: datetime) -> str:
    """Why a deployment cannot have caused the breach of an alarm that `fired` then, as a sentence; empty if it can.

    It was created, or began to reach users, only when the breach had begun.
    """
    if deployment.created_at > fired:
        return f"{_created(deployment)}, after the alarm changed at {clock(fired)}."
    if onset is None:
        return ""
    latest, reach = latest_cause(onset, fired), deployment.reach
    if deployment.created_at > latest:
        return f"{_created(deployment)}, and {_after_the_onset(onset, fired)}"
    if reach is None or (reach.at is not None and reach.at <= latest):
        return ""
    users = f"began to reach users at {clock(reach.at)}" if reach.at else "has reached no users"
    return f"{_created(deployment)} and {users}; {_after_the_onset(onset, fired)}"


def _created(deployment: Deployment) -> str:
    return f"{deployment.deployment_id} was created at {clock(deployment.created_at)}"


def _after_the_onset(onset: Onset, fired: datetime) -> str:
    return (
        f"the breach began before, {began(onset)}, though the alarm only fired at {clock(fired)}: it is not the cause."
    )


def began(onset: Onset) -> str:
    """`at 10:02:00Z, as its datapoints show`."""
    how = ", as its datapoints show" if onset.measured else " or a little later, by the alarm's periods"
    return f"at {clock(onset.at)}{how}"


def onset_attributes(onset: Onset | None) -> dict[str, Any]:
    """An onset as the attributes of a rollback's record."""
    if onset is None:
        return {}
    margin = round(onset.margin.total_seconds())
    return {"onset_at": onset.at, "onset_margin_seconds": margin, "onset_measured": onset.measured}
