"""What holds a rollback up for a while: people are told once if it lasts, and once when the rollback goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from lastgood.draft import Draft
from lastgood.judgement.proof import TOLD_AFTER
from lastgood.judgement.steps import Wait
from lastgood.model import Phase


class Delays:
    """The delays of the rollback of a draft."""

    def __init__(self, draft: Draft, clock: Callable[[], datetime]) -> None:
        self._draft = draft
        self._clock = clock

    @property
    def known(self) -> bool:
        """Whether it is held up already: one more attempt that ends the same way adds no step."""
        rollback = self._draft.rollback
        return rollback.progress.held_up_since is not None and rollback.progress.held_up_ended_at is None

    def waits(self, decision: Wait) -> None:
        """Note that the decision is to wait, perhaps for something that should not last."""
        if decision.told_after is not None:
            self._lasts(decision.explanation, decision.told_after)
        elif self._draft.rollback.phase is Phase.VERIFYING:
            self.over()

    def refused(self, why: str) -> None:
        """Note that AWS refused an act for now, without effect."""
        self._lasts(f"AWS refuses for now, and it is tried again until the deadline: {why}", TOLD_AFTER)

    def over(self) -> None:
        """Note that an act went through."""
        if not self.known:
            return
        told = bool(self._draft.rollback.progress.held_up_by)
        self._draft.change(**({"held_up_ended_at": self._clock()} if told else {"held_up_since": None}))

    def _lasts(self, why: str, told_after: timedelta) -> None:
        now = self._clock()
        since = self._draft.rollback.progress.held_up_since or now
        self._draft.change(held_up_since=since)
        if not self._draft.rollback.progress.held_up_by and now - since >= told_after:
            self._draft.change(held_up_by=why)
