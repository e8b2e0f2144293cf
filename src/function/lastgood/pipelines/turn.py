"""Recording the follow-ups of one rollback: what was done, what came of it, and what people have to solve."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lastgood.draft import Draft
from lastgood.ledger import Kind
from lastgood.model import FollowUp, Rollback, follow_up_due
from lastgood.parts import Parts
from lastgood.pipelines.wording import PURPOSE, by_hand

RETRY_AFTER = timedelta(seconds=50)
"""A little less than the sweep's minute, so that each sweep is an attempt."""

WATCH_PACE = timedelta(minutes=5)


class Turn:
    """The record of one rollback during one turn, which holds its lease."""

    def __init__(self, parts: Parts, leased: Rollback) -> None:
        self.parts = parts
        self._draft = Draft(parts.ledger, parts.clock, leased)

    @property
    def rollback(self) -> Rollback:
        """The rollback as it is now."""
        return self._draft.rollback

    def undo(self) -> None:
        """Forget what was not written."""
        self._draft.undo()

    def intend(self, due: FollowUp, text: str = "") -> None:
        """Write the intent, and count the attempt."""
        self.note(Kind.INTENT, due, text or f"{PURPOSE[due]} ({self.rollback.trail.pipeline or 'the bundles'}).")
        self.change(
            follow_up_attempts=self.rollback.trail.follow_up_attempts + 1, follow_up_at=self.parts.clock() + RETRY_AFTER
        )
        self.save()

    def settle(self, due: FollowUp, text: str, **changes: Any) -> None:
        """Write the result: this follow-up is finished, whatever came of it."""
        self.note(Kind.RESULT, due, text)
        done = (*self.rollback.trail.followed_up, due)
        self.change(followed_up=done, follow_up_attempts=0, follow_up_at=None, **changes)
        following = follow_up_due(self.rollback)
        if following is not None and not following.prompt and not self.rollback.trail.release_requested_by:
            self.change(follow_up_at=self.parts.clock() + WATCH_PACE)
        self.save()
        self.parts.telemetry.followed_up(self.rollback, due, text)

    def give_up(self, due: FollowUp, why: str, *, alert: bool = False) -> None:
        """Finish a follow-up with a problem that people have to solve, and say how."""
        text = f"{PURPOSE[due]} was given up: {why.rstrip('.')}. {by_hand(due, self.rollback, self._enable_command())}"
        self.problem(text)
        if alert:
            self.alert(text)
        # An attempt whose answer was lost may have held the stage all the same: then we have to release it.
        unclear = due is FollowUp.HOLD and self.rollback.trail.follow_up_attempts > 1
        self.settle(due, text, **({"held_at": self.parts.clock()} if unclear else {}))

    def look_again(self) -> None:
        """Nothing has changed: look again after the usual interval."""
        self.change(follow_up_at=self.parts.clock() + WATCH_PACE)
        self.save()

    def problem(self, text: str) -> None:
        """Add to what people have to solve."""
        self.change(pipeline_problem=f"{self.rollback.trail.pipeline_problem} {text}".strip())

    def alert(self, text: str) -> None:
        """Have people notified, though the rollback is closed."""
        self.change(pipeline_alert=text)

    def note(self, kind: Kind, due: FollowUp, text: str) -> None:
        """Add a step to the record."""
        self._draft.note(kind, str(due), text)

    def change(self, **changes: Any) -> None:
        """Change the record; it is written with `save`."""
        self._draft.change(**changes)

    def save(self) -> None:
        """Write what changed. Raises LostLeaseError if another invocation has taken the rollback."""
        # Open rollbacks are visited anyway, at their own pace. A closed one is visited until its lease is yielded.
        due = None if self.rollback.open else self.rollback.trail.follow_up_at or self.parts.clock()
        self._draft.save(next_check_at=due)

    def _enable_command(self) -> str:
        trail = self.rollback.trail
        return self.parts.pipelines.enable_command(trail.pipeline, trail.hold_stage)
