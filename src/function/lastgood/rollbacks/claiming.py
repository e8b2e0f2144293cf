"""Claiming a deployment group: one rollback at a time. A stale lock, without its rollback, blocks no alarm."""

from __future__ import annotations

from datetime import datetime

from lastgood.ledger import Busy, Claim, Kind, Ledger, Step
from lastgood.model import Rollback
from lastgood.rollbacks.opening import why_opened


def claim(ledger: Ledger, leased: Rollback, now: datetime) -> tuple[Rollback, Claim]:
    """Claim the group for a leased rollback. A lock that names no open rollback of the group is taken over."""
    claimed = _attempt(ledger, leased, now)
    if not isinstance(claimed, Busy) or _holds(ledger, claimed.rollback_id, leased):
        return leased, claimed
    if ledger.freed(leased.group, claimed.rollback_id):
        leased = leased.changed(took_lock_of=claimed.rollback_id)
    return leased, _attempt(ledger, leased, now)


def _attempt(ledger: Ledger, leased: Rollback, now: datetime) -> Claim:
    step = Step(Kind.NOTE, "OPEN", why_opened(leased), now)
    return ledger.open(leased, step, counts_for_storm=bool(leased.trigger.alarm_name))


def _holds(ledger: Ledger, rollback_id: str, asking: Rollback) -> bool:
    holder = ledger.load(rollback_id)
    return holder is not None and holder.open and holder.group == asking.group
