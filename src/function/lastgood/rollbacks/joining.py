"""Signals for a group that another rollback holds: they join it, and are answered if it ends without acting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from lastgood.draft import Draft
from lastgood.judgement.wording import listed
from lastgood.ledger import Kind, Ledger
from lastgood.model import JOINED, Rollback, TriggerKind, answers_no_other_signal, notices_due
from lastgood.rollbacks.closing import LONGEST_EXPLANATION
from lastgood.text import clean

OVERDUE = timedelta(minutes=5)
"""The sweep has visited a rollback several times by then; one that it does not find is visited by what joins it."""


def join(
    ledger: Ledger, holder: str, rollback: Rollback, key: str, now: datetime, resumes: Callable[[str], Rollback | None]
) -> Rollback | None:
    """Note the signal with the rollback that holds its group, and return that rollback.

    None if it has ended meanwhile in a way that does not answer this signal.
    """
    ledger.join(holder, key, rollback, now)
    # Read after the note is written: an invocation that ends the rollback from now on finds the note.
    held = ledger.load(holder)
    if held is not None and held.open and now - held.opened_at > OVERDUE:
        held = resumes(holder)
    return None if held is not None and answers_no_other_signal(held) else held or rollback


def answer_joined(ledger: Ledger, draft: Draft, opens: Callable[[Rollback, str], Rollback]) -> None:
    """Open what the alarms that joined would have opened, if this rollback ended without answering them.

    Each id follows from the alarm's own signal, so after a crash the same rollbacks are found again. An operator who
    joined has seen how this one ended, and can ask again.
    """
    if JOINED not in notices_due(draft.rollback):
        return
    alarms = joined_alarms(ledger, draft.rollback)
    answers = list(dict.fromkeys(opens(rollback, key).rollback_id for key, rollback in alarms))
    if answers:
        # One step for all: a transaction takes a hundred writes, and an alarm over a fleet may bring more signals.
        what = f"{len(alarms)} other signals" if len(alarms) > 1 else "Another signal"
        told = f"{what} had joined; answered by {listed(answers)}."
        draft.note(Kind.RESULT, "ANSWER_JOINED", clean(told, LONGEST_EXPLANATION))
    draft.change(notified=(*draft.rollback.bookkeeping.notified, JOINED))


def joined_alarms(ledger: Ledger, rollback: Rollback) -> list[tuple[str, Rollback]]:
    """The alarms of its group that joined a rollback: the key of each signal, and what it would have opened."""
    joined = ledger.joined(rollback.rollback_id)
    return [(key, one) for key, one in joined if _is_an_alarm(one) and one.group == rollback.group]


def _is_an_alarm(rollback: Rollback) -> bool:
    """Whether CloudWatch can be asked about it: a request would be done without another word."""
    trigger = rollback.trigger
    asked = trigger.requested_by or trigger.trigger_kind is TriggerKind.MANUAL
    return bool(trigger.alarm_name) and not asked
