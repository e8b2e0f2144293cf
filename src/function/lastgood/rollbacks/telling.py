"""Telling people and other systems: the notices that a record calls for, each channel once."""

from __future__ import annotations

from datetime import timedelta

from lastgood.draft import Draft
from lastgood.errors import LastgoodError, LostLeaseError
from lastgood.ledger import Kind
from lastgood.model import Outcome, Rollback, notices_due
from lastgood.notices import CLOSED, OPENED, PEOPLE
from lastgood.parts import Parts
from lastgood.rollbacks.closing import LONGEST_EXPLANATION
from lastgood.text import clean

TELLING_ENDS_AFTER = timedelta(days=1)
"""A notice that nobody can hear is not tried for ever; the metric NoticeFailed has called people all the while."""


def tell(parts: Parts, draft: Draft) -> None:
    """Send the notices that the record calls for. What fails is sent by the sweep."""
    for kind in notices_due(draft.rollback):
        draft.change(notified=(*draft.rollback.bookkeeping.notified, *_told(parts, draft, kind)))
    now, written = draft.rollback.bookkeeping, draft.written.bookkeeping
    if now.notified != written.notified or now.lease_owner:
        try:
            draft.save(yields_lease=True)
        except LostLeaseError:
            return


def _told_by_another(parts: Parts, rollback: Rollback, kind: str) -> bool:
    """Of a release that changed several groups, people hear once; whatever needs them is told by each for itself."""
    choice, well = rollback.choice, rollback.outcome in {None, Outcome.ROLLED_BACK}
    if len(choice.release_groups) < 2 or kind not in {OPENED, CLOSED} or not well or rollback.needs_human:
        return False
    now, window = parts.clock(), parts.settings.storm_window
    try:
        return not parts.ledger.tells_of_release(choice.release_joined_by, kind, rollback.rollback_id, now, window)
    except LastgoodError:
        return False


def _told(parts: Parts, draft: Draft, kind: str) -> tuple[str, ...]:
    """Send one notice. Returns what is to be kept of that: the kind when all heard it, else who did.

    Whoever heard it is not told again because somebody else cannot hear.
    """
    rollback = draft.rollback
    heard = {mark.partition("@")[2] for mark in rollback.bookkeeping.notified if mark.startswith(f"{kind}@")}
    if _told_by_another(parts, rollback, kind):
        heard.add(PEOPLE)
    told = parts.notices.tell(rollback, kind, heard)
    problems = [problem for problem in told.values() if problem]
    if not problems:
        return (kind,)
    parts.telemetry.notice_failed(rollback, kind, problems)
    if rollback.closed_at and parts.clock() - rollback.closed_at > TELLING_ENDS_AFTER:
        why = f"The notice {kind} could not be sent for a day: {'; '.join(problems)}"
        draft.note(Kind.NOTE, "NOTICE_GIVEN_UP", clean(why, LONGEST_EXPLANATION))
        return (kind,)
    return tuple(f"{kind}@{channel}" for channel, problem in told.items() if not problem)
