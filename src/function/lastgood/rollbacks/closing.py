"""How a rollback ends: with an outcome, by AWS's refusal, or given up because every visit fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from lastgood.draft import Draft
from lastgood.errors import LostLeaseError, RefusedError, RetryableError
from lastgood.judgement.steps import Close, Decision
from lastgood.judgement.wording import duration
from lastgood.ledger import Kind
from lastgood.model import Outcome, Phase, Policy, Reason, Rollback
from lastgood.parts import Parts
from lastgood.text import clean

NEXT_CHECK = timedelta(seconds=20)
GIVE_UP_AFTER = timedelta(minutes=30)
"""A rollback whose visits all fail is given up this long after its deadline; one that can be decided is not."""

UNDECIDABLE_AFTER, VISITS = timedelta(minutes=5), 3
"""One that has touched nothing is given up so soon, if no waiting helps: other alarms of its group wait for it.

It must have been visited so often: an alarm that had joined another one is opened long after it came.
"""

LONGEST_EXPLANATION = 2_000
"""How many characters of an explanation are kept."""


class Closing:
    """Closes the rollback of a draft."""

    def __init__(self, parts: Parts, draft: Draft) -> None:
        self._parts = parts
        self._draft = draft
        self._policy: Policy = parts.settings.policy()

    def close(self, decision: Close) -> None:
        """Write the outcome, and everything in the table that follows from it, in one transaction."""
        now, draft = self._parts.clock(), self._draft
        decision = _with_remark(decision, draft.rollback)
        draft.note(Kind.DECISION, str(decision.action), decision.explanation)
        draft.change(
            phase=Phase.CLOSED,
            outcome=decision.outcome,
            reason_code=decision.reason,
            explanation=decision.explanation,
            people=decision.calls_people,
            closed_at=now,
            passed_on_to=decision.passes_on,
            passed_on_run=decision.passes_to,
        )
        rolled_back = decision.outcome is Outcome.ROLLED_BACK
        watch = now + self._policy.recovery_window if rolled_back and draft.rollback.trigger.alarm_name else None
        if decision.reason is Reason.STORM and not self._tells_of_storm():
            draft.change(notified=(*draft.rollback.bookkeeping.notified, "closed"))
        follows = partial(
            self._parts.ledger.closing,
            draft.rollback,
            acted=_acted(draft.rollback),
            watch_until=watch,
            pauses_group=decision.pauses_group,
            unfounded=decision.unfounded,
        )
        try:
            draft.save(next_check_at=now + NEXT_CHECK, extra=follows())
        except LostLeaseError:
            if self._parts.ledger.lock(draft.rollback.group).open_rollback_id == draft.rollback.rollback_id:
                raise
            # The group's lock names another rollback, or none: this one is closed all the same, and the lock is kept.
            draft.save(next_check_at=now + NEXT_CHECK, extra=follows(holds_lock=False))
        self._parts.telemetry.closed(draft.rollback)

    def refused(self, reason: Reason, error: RefusedError) -> None:
        """Close because AWS refused for good: people have to act, and the record quotes AWS's answer."""
        reason = Reason.PERMISSION_DENIED if error.permission_denied else reason
        self.close(Close(reason, clean(str(error), LONGEST_EXPLANATION), Outcome.FAILED))

    def given_up(self, error: Exception) -> bool:
        """Close a rollback whose every visit fails, after a time: it must not hold the group for ever.

        Returns whether it was closed.
        """
        draft, now = self._draft, self._parts.clock()
        # Each visit writes twice: when it begins, and when it yields.
        visited = draft.written.bookkeeping.version > 2 * VISITS
        hopeless = visited and draft.written.phase is Phase.CLAIMED and not isinstance(error, RetryableError)
        patience = UNDECIDABLE_AFTER if hopeless else self._policy.deadline + GIVE_UP_AFTER
        if now - draft.written.opened_at <= patience or not draft.written.open:
            return False
        draft.undo()
        why = f"Every visit failed for {duration(patience)}, at last with {type(error).__name__}: {error}"
        told = clean(why, LONGEST_EXPLANATION)
        self.close(Close(Reason.READ_REFUSED if hopeless else Reason.DEADLINE_PASSED, told, Outcome.FAILED))
        return True

    def _tells_of_storm(self) -> bool:
        now, rollback_id = self._parts.clock(), self._draft.rollback.rollback_id
        return self._parts.ledger.told.of_storm(rollback_id, now, self._policy.storm_window)


def readable(decision: Decision) -> Decision:
    """Clean the decision's texts before they are kept: names of revisions and AWS's messages are foreign text."""
    candidates = tuple(replace(c, explanation=clean(c.explanation, LONGEST_EXPLANATION)) for c in decision.candidates)
    chosen = replace(decision.chosen, candidates=candidates)
    return replace(decision, explanation=clean(decision.explanation, LONGEST_EXPLANATION), chosen=chosen)


def _with_remark(decision: Close, rollback: Rollback) -> Close:
    """Repeat at the end what people should know about the choice."""
    told, remark = decision.explanation, rollback.choice.remark
    told = told if remark in told else f"{told} {remark}"
    remarkable = rollback.choice.calls_people and decision.outcome is Outcome.ROLLED_BACK
    calls = True if remarkable else decision.calls_people
    return replace(decision, explanation=clean(told, LONGEST_EXPLANATION), calls_people=calls)


def _acted(rollback: Rollback) -> bool:
    """Whether it counts for the cooldown and the limits."""
    return rollback.progress.touched and rollback.outcome in {Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.BLOCKED}
