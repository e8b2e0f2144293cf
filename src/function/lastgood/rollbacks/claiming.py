"""Claiming a deployment group: one rollback at a time.

Neither a stale lock, without its rollback, nor an earlier message that nothing confirmed blocks an alarm.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.judgement.held_back import CLOCKS_DIFFER_BY
from lastgood.ledger import Busy, Claim, Kind, Ledger, Step
from lastgood.model import AlarmState, Reason, Rollback
from lastgood.parts import Parts
from lastgood.rollbacks.opening import why_opened

AGAIN = "-2"
"""What the id of a rollback ends with whose first message nothing confirmed."""

_NOT_FIRING = {Reason.ALARM_NOT_CONFIRMED, Reason.ALARM_RECOVERED}


def claim(ledger: Ledger, leased: Rollback, now: datetime) -> tuple[Rollback, Claim]:
    """Claim the group for a leased rollback. A lock that names no open rollback of the group is taken over."""
    claimed = _attempt(ledger, leased, now)
    if not isinstance(claimed, Busy) or _holds(ledger, claimed.rollback_id, leased):
        return leased, claimed
    if ledger.freed(leased.group, claimed.rollback_id):
        leased = leased.changed(took_lock_of=claimed.rollback_id)
    return leased, _attempt(ledger, leased, now)


def confirmed_since(parts: Parts, rollback: Rollback) -> Rollback | None:
    """The rollback under another id, if its first message came before CloudWatch knew of the change, and it does now.

    So a message that somebody made up, or that was faster than DescribeAlarms, does not silence the true one.
    """
    recorded, trigger = parts.ledger.load(rollback.rollback_id), rollback.trigger
    unconfirmed = recorded is not None and not recorded.open and recorded.reason_code in _NOT_FIRING
    said = trigger.alarm_changed_at
    if not unconfirmed or said is None or rollback.rollback_id.endswith(AGAIN):
        return None
    alarm = parts.alarms.read(trigger.alarm, contributor=trigger.alarm_contributor)
    if alarm is None or alarm.state is not AlarmState.ALARM or alarm.changed_at is None:
        return None
    same_change = abs(alarm.changed_at - said) <= CLOCKS_DIFFER_BY
    return replace(rollback, rollback_id=rollback.rollback_id + AGAIN) if same_change else None


def _attempt(ledger: Ledger, leased: Rollback, now: datetime) -> Claim:
    step = Step(Kind.NOTE, "OPEN", why_opened(leased), now)
    return ledger.open(leased, step, counts_for_storm=bool(leased.trigger.alarm_name))


def _holds(ledger: Ledger, rollback_id: str, asking: Rollback) -> bool:
    holder = ledger.load(rollback_id)
    return holder is not None and holder.open and holder.group == asking.group
