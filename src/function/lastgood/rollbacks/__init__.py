"""The story of a rollback: claim → observe → decide → act → record, again and again until it must wait or is closed.

A rollback is opened once and advanced by whatever comes next: a retry, a CodeDeploy event, the sweep. Each effect has
its intent written before it; after a crash the next visit looks at AWS and goes on from there.

`opening` and `claiming` are how one begins, `acts` what it does, `closing` how it ends, `telling` who is notified,
`notes` what is written from outside, `leases` how two invocations keep out of each other's way.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from lastgood.draft import Draft
from lastgood.errors import LostLeaseError, RefusedError, RetryableError
from lastgood.judgement import decide
from lastgood.ledger import Busy, Duplicate, Opened
from lastgood.model import Observation, Reason, Rollback
from lastgood.parts import Parts
from lastgood.pipelines.follow_ups import with_pipeline_rule
from lastgood.rollbacks.acts import Acts
from lastgood.rollbacks.claiming import claim, confirmed_since
from lastgood.rollbacks.closing import NEXT_CHECK, Closing, readable
from lastgood.rollbacks.following import follow_up
from lastgood.rollbacks.joining import answer_joined, join
from lastgood.rollbacks.leases import Leases
from lastgood.rollbacks.opening import recorded
from lastgood.rollbacks.passing_on import pass_on
from lastgood.rollbacks.telling import Telling

RESERVE = timedelta(seconds=8)
"""No step begins with less time than this left: a call that is cut off leaves its effect unknown."""


class Rollbacks:
    """Opens and advances rollbacks for one invocation, whose `owner` holds leases until `deadline`."""

    def __init__(self, parts: Parts, owner: str, deadline: datetime) -> None:
        self._parts = parts
        self.owner, self.deadline = owner, deadline
        self.leases = Leases(parts.ledger, parts.clock, owner, deadline)

    def open(self, rollback: Rollback, key: str) -> Rollback:
        """Open a rollback and advance it as far as it can; a repeated message resumes the rollback that it opened.

        If another rollback holds the deployment group, the message is noted with that one, which is returned.
        """
        ledger, now = self._parts.ledger, self._parts.clock()
        rollback = with_pipeline_rule(rollback, self._parts.settings)
        leased, claimed = claim(ledger, self.leases.first(rollback).changed(step_count=1), now)
        match claimed:
            case Opened():
                return self.advance(leased)
            case Duplicate():
                again = confirmed_since(self._parts, rollback)
                return self.open(again, key) if again else self.resume(rollback.rollback_id) or rollback
            case Busy(holder):
                return join(ledger, holder, rollback, key, now, self.resume) or self.open(rollback, key)
            case _:
                assert_never(claimed)

    def resume(self, rollback_id: str) -> Rollback | None:
        """Advance a rollback unless another invocation is at it; return it as it is then. None: there is none."""
        return self.leases.holding(rollback_id, self.advance) or self._parts.ledger.load(rollback_id)

    def record(self, rollback: Rollback, reason: Reason, explanation: str, *, people: bool | None = None) -> Rollback:
        """Record a signal that cannot open a rollback, so that it is neither lost nor goes unnoticed."""
        closed = recorded(self._parts, rollback, reason, explanation, people)
        return self.leases.holding(rollback.rollback_id, self.advance) or closed

    def advance(self, leased: Rollback) -> Rollback:
        """Advance a leased rollback as far as it can, notify people, then do what is due for its pipeline."""
        draft = Draft(self._parts.ledger, self._parts.clock, leased)
        closing, telling = Closing(self._parts, draft), Telling(self._parts, draft)
        try:
            self._visit(draft, closing, telling)
            pass_on(draft, self.open)
            answer_joined(self._parts.ledger, draft, self.open)
        except LostLeaseError:
            return self._parts.ledger.load(leased.rollback_id) or leased
        except Exception as error:
            if not closing.given_up(error):
                draft.abandon()
                raise
        telling.finish()
        return follow_up(self._parts, self.leases, draft.rollback, self.deadline, self.open)

    def _visit(self, draft: Draft, closing: Closing, telling: Telling) -> None:
        """Observe, decide, act, record, until the rollback must wait or is closed."""
        parts, acts, policy = self._parts, Acts(self._parts, draft, closing), self._parts.settings.policy()
        seen: Observation | None = None
        while draft.rollback.open:
            if self.deadline - parts.clock() < RESERVE:
                raise RetryableError("the invocation's time is nearly over; the next one goes on from here")
            try:
                seen, policy = parts.observer.look(draft.rollback, policy, parts.clock(), seen)
            except RefusedError as error:
                return closing.refused(Reason.READ_REFUSED, error)
            acts.note_what_was_seen(seen)
            decision = readable(decide(draft.rollback, seen, policy, parts.clock()))
            parts.telemetry.decided(draft.rollback, decision)
            seen = acts.perform(decision, seen)
            if acts.must_wait(decision, seen):
                telling.under_way()
                return draft.save(next_check_at=parts.clock() + NEXT_CHECK, yields_lease=True)
