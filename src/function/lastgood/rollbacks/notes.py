"""What is written to a rollback's record from outside: an operator's answer, and whether its alarm recovered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from lastgood.errors import RetryableError
from lastgood.judgement.wording import NOT_OK
from lastgood.ledger import Kind, Step
from lastgood.model import FollowUp, Rollback
from lastgood.parts import Parts
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.closing import NEXT_CHECK
from lastgood.rollbacks.next_older import next_older
from lastgood.text import clean


class Notes:
    """Notes on rollbacks, for one invocation."""

    def __init__(self, parts: Parts, rollbacks: Rollbacks) -> None:
        self._parts = parts
        self._rollbacks = rollbacks

    def answer(self, rollback_id: str, note: str, **changes: Any) -> Rollback | None:
        """Write an operator's answer to a waiting rollback, and advance it. None if another invocation is at it now."""
        return self._noted(rollback_id, lambda leased: self._write(leased, "ANSWER", note, changes))

    def release_stage(self, rollback_id: str, requested_by: str, note: str) -> Rollback | None:
        """Note that an operator wants a held stage opened, and do it. None if another invocation is at it now."""

        def asked(leased: Rollback) -> Rollback:
            changes = {
                "release_requested_by": requested_by,
                "held_at": leased.trail.held_at or self._parts.clock(),
                # The release may have been given up before.
                "followed_up": tuple(
                    follow_up for follow_up in leased.trail.followed_up if follow_up != FollowUp.RELEASE
                ),
                "follow_up_at": None,
            }
            return self._write(leased, "RELEASE", note, changes)

        return self._noted(rollback_id, asked)

    def not_recovered(self, rollback: Rollback, state: str, alarm: str = "") -> None:
        """Note that the alarm did not recover though the good revision is long live, and what could go back next.

        `alarm` names another alarm of the group that did not, where the rollback's own did.
        People decide about that. Raises RetryableError if another invocation is at the rollback.
        """
        older = next_older(self._parts, rollback)

        def missed(leased: Rollback) -> Rollback:
            now = self._parts.clock()
            changes: dict[str, Any] = {"not_recovered_at": leased.progress.not_recovered_at or now}
            changes |= {"not_recovered_state": state, "not_recovered_alarm": alarm}
            if older is not None:
                changes["next_good_deployment_id"] = older.deployment_id
                changes["next_good_revision"] = older.revision.identity
            name = clean(alarm or leased.trigger.alarm_name, 255)
            text = f"The alarm {name} {NOT_OK[state]}: this did not heal it, as far as can be seen."
            return self._write(leased, "NOT_RECOVERED", text, changes, next_check_at=now + NEXT_CHECK)

        if self._noted(rollback.rollback_id, missed) is None:
            raise RetryableError(f"{rollback.rollback_id} is being advanced by another invocation")

    def alarm_recovered(self, rollback_id: str, at: datetime) -> Rollback | None:
        """Note once that the alarm which opened this rollback is OK again, even while another invocation is at it."""
        noted = self._rollbacks.leases.holding(rollback_id, lambda leased: self._recovered(leased, at))
        return noted or self._recovered_beside(rollback_id, at)

    def _recovered(self, leased: Rollback, at: datetime) -> Rollback:
        steps = []
        if leased.progress.alarm_recovered_at is None:
            steps = [
                Step(
                    Kind.NOTE, "ALARM_RECOVERED", f"The alarm {clean(leased.trigger.alarm_name, 255)} is OK again.", at
                )
            ]
            self._parts.telemetry.recovered(leased.changed(alarm_recovered_at=at))
        after = leased.changed(
            alarm_recovered_at=leased.progress.alarm_recovered_at or at, lease_owner="", lease_until=None
        )
        return self._parts.ledger.write(leased, after, steps)

    def _recovered_beside(self, rollback_id: str, at: datetime) -> Rollback | None:
        held = self._parts.ledger.load(rollback_id)
        if held is not None:
            self._parts.ledger.note_recovery(held, at)
        return held

    def _noted(self, rollback_id: str, write: Callable[[Rollback], Rollback]) -> Rollback | None:
        """Write the note under the lease, and advance the rollback."""
        return self._rollbacks.leases.holding(rollback_id, lambda leased: self._rollbacks.advance(write(leased)))

    def _write(
        self,
        leased: Rollback,
        action: str,
        text: str,
        changes: dict[str, Any],
        next_check_at: datetime | None = None,
    ) -> Rollback:
        step = Step(Kind.NOTE, action, text, self._parts.clock())
        return self._parts.ledger.write(leased, leased.changed(**changes), [step], next_check_at=next_check_at)
