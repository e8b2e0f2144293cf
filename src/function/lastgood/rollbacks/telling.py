"""Notifying people and other systems: each notice that a record calls for is sent once to each channel."""

from __future__ import annotations

from datetime import timedelta

from lastgood.draft import Draft
from lastgood.errors import LastgoodError, LostLeaseError
from lastgood.judgement.wording import duration
from lastgood.ledger import Kind
from lastgood.model import JOINED, PASSED_ON, Outcome, Reason, Rollback, notices_due
from lastgood.notices import CLOSED, OPENED, PEOPLE, Sending, all_done, problems
from lastgood.parts import Parts
from lastgood.rollbacks.closing import LONGEST_EXPLANATION
from lastgood.text import clean

TELLING_ENDS_AFTER = timedelta(days=1)
"""A notice that cannot be sent is not tried for ever; UnheardAlarm has called people all that time."""

PATIENCE = timedelta(seconds=1)
"""So long the record of a redeployment waits for the notice of it; a slower channel is waited for afterwards."""

MOST_UNFOUNDED = 10
"""People are told of so many signals within the storm window that lead nowhere; further ones are recorded only."""

_UNFOUNDED = {
    Reason.UNROUTED_ALARM,
    Reason.NOT_ALLOWED,
    Reason.ALARM_NOT_CONFIRMED,
    Reason.GROUP_NOT_FOUND,
    Reason.STALE_SIGNAL,
}


class Telling:
    """Sends the notices of a draft's rollback."""

    def __init__(self, parts: Parts, draft: Draft) -> None:
        self._parts = parts
        self._draft = draft
        self._begun: dict[str, Sending] = {}
        self._tried: set[str] = set()

    def under_way(self) -> None:
        """Notify people that a rollback is under way, before what it did is written: one write then says both.

        What was done is true already. Should the write fail, the next visit finds it in AWS, and says it again under
        the same id. A slow channel does not keep the write waiting. How a rollback ended is told only when that is
        written, for until then it could end otherwise; and of a release of several groups, only once it is known which
        of them tells.
        """
        rollback = self._draft.rollback
        if OPENED not in notices_due(rollback) or _of_several(rollback):
            return
        self._begun[OPENED] = self._parts.notices.begin(rollback, OPENED, _heard(rollback, OPENED))
        if all_done(self._begun[OPENED], PATIENCE):
            self._tell(OPENED)

    def finish(self) -> None:
        """Send the notices that the record calls for, and note who got them. The sweep sends again what fails."""
        draft = self._draft
        # What is only listed like a notice is done by the story itself, or by the next visit if that was cut short.
        for kind in (due for due in notices_due(draft.rollback) if due not in {PASSED_ON, JOINED, *self._tried}):
            self._tell(kind)
        now, written = draft.rollback.bookkeeping, draft.written.bookkeeping
        if now.notified != written.notified or now.lease_owner:
            try:
                draft.save(yields_lease=True)
            except LostLeaseError:
                return

    def _tell(self, kind: str) -> None:
        self._tried.add(kind)
        self._draft.change(notified=(*self._draft.rollback.bookkeeping.notified, *self._told(kind)))

    def _told(self, kind: str) -> tuple[str, ...]:
        """Send one notice. Returns what is to be kept of that: the kind when all heard it, else who did.

        A channel that took it does not get it again because another one failed.
        """
        parts, rollback = self._parts, self._draft.rollback
        told = problems(self._begun.get(kind) or self._send(kind))
        failed = [problem for problem in told.values() if problem]
        if not failed:
            return (kind,)
        parts.telemetry.notice_failed(rollback, kind, failed)
        if rollback.closed_at and parts.clock() - rollback.closed_at > TELLING_ENDS_AFTER:
            why = f"The notice {kind} could not be sent for a day: {'; '.join(failed)}"
            self._draft.note(Kind.NOTE, "NOTICE_GIVEN_UP", clean(why, LONGEST_EXPLANATION))
            return (kind,)
        return tuple(f"{kind}@{channel}" for channel, problem in told.items() if not problem)

    def _send(self, kind: str) -> Sending:
        rollback = self._draft.rollback
        silent = _told_by_another(self._parts, rollback, kind) or self._one_of_too_many()
        return self._parts.notices.begin(
            self._draft.rollback, kind, _heard(rollback, kind) | ({PEOPLE} if silent else set())
        )

    def _one_of_too_many(self) -> bool:
        """Whether people were told of enough unfounded signals: a flood of them must not hide what matters."""
        parts, rollback = self._parts, self._draft.rollback
        if rollback.reason_code not in _UNFOUNDED or rollback.open:
            return False
        window = parts.settings.storm_window
        try:
            told = parts.ledger.told.of_unfounded(parts.clock(), window)
        except LastgoodError:
            return False
        if told == MOST_UNFOUNDED:
            last = (
                f"It is the {MOST_UNFOUNDED}th such message in {duration(window)}: more are recorded without a notice."
            )
            self._draft.change(explanation=clean(f"{rollback.explanation} {last}", LONGEST_EXPLANATION))
        return told > MOST_UNFOUNDED


def _heard(rollback: Rollback, kind: str) -> set[str]:
    """The channels that got a notice which others did not get."""
    return {entry.partition("@")[2] for entry in rollback.bookkeeping.notified if entry.startswith(f"{kind}@")}


def _of_several(rollback: Rollback) -> bool:
    return len(rollback.choice.release_groups) > 1


def _told_by_another(parts: Parts, rollback: Rollback, kind: str) -> bool:
    """Whether another group's rollback told people of the same release already. What needs people is always told."""
    choice, well = rollback.choice, rollback.outcome in {None, Outcome.ROLLED_BACK}
    if not _of_several(rollback) or kind not in {OPENED, CLOSED} or not well or rollback.needs_human:
        return False
    now, window = parts.clock(), parts.settings.storm_window
    try:
        return not parts.ledger.told.of_release(choice.release_joined_by, kind, rollback.rollback_id, now, window)
    except LastgoodError:
        return False
