"""How a rollback begins: its id, why it was opened, and the record of a signal that opens none."""

from __future__ import annotations

import hashlib
from datetime import datetime

from lastgood.judgement.wording import taken_over
from lastgood.ledger import Kind, Step
from lastgood.model import DeploymentGroup, Outcome, Phase, Reason, Rollback
from lastgood.parts import Parts
from lastgood.text import clean


def rollback_id(key: str, group: DeploymentGroup, at: datetime | None) -> str:
    """The id of the rollback that answers one transition of one alarm, or one request, for one deployment group.

    It depends on these alone, so every delivery of the same signal finds the same record. Ids with a time sort by it.
    """
    digest = hashlib.sha256(f"{key}|{group.key}".encode()).hexdigest()[:12]
    when = f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z" if at else "manual"
    return f"rb-{when}-{digest}"


def why_opened(rollback: Rollback) -> str:
    """What caused the rollback, for its first step."""
    cause = (
        f"The alarm {clean(rollback.trigger.alarm_name, 255)} went into ALARM."
        if rollback.trigger.alarm_name
        else f"{rollback.trigger.requested_by} asked for it: {rollback.trigger.request_reason}"
    )
    return f"{cause} {taken_over(rollback)}".strip()


def recorded(parts: Parts, rollback: Rollback, reason: Reason, explanation: str, people: bool | None) -> Rollback:
    """Write the record of a signal that cannot open a rollback: closed from the start, and counted once."""
    now = parts.clock()
    closed = not_opened(rollback, reason, explanation, now, people=people)
    if parts.ledger.record(closed, Step(Kind.NOTE, "RECORD", explanation, now)):
        parts.telemetry.closed(closed)
    return closed


def not_opened(
    rollback: Rollback, reason: Reason, explanation: str, now: datetime, *, people: bool | None = None
) -> Rollback:
    """The record of a signal that cannot open a rollback: closed from the start.

    `people`: whether they are called, where that differs from what the catalogue says of the reason.
    """
    return rollback.changed(
        phase=Phase.CLOSED,
        outcome=Outcome.SKIPPED,
        reason_code=reason,
        explanation=explanation,
        people=people,
        closed_at=now,
        step_count=1,
    )
