"""Holding a stage of the pipeline, so that it does not release again what was rolled back; and opening it again."""

from __future__ import annotations

from datetime import datetime, timedelta

from lastgood.errors import RefusedError, RetryableError
from lastgood.judgement.wording import duration
from lastgood.model import FollowUp
from lastgood.pipelines.rules import brings_something_new
from lastgood.pipelines.runs import Stage, hold_reason
from lastgood.pipelines.turn import Turn
from lastgood.text import clean

HOLD_WATCH = timedelta(days=30)
"""An execution that waits longer at a disabled transition is lost (CodePipeline User Guide, stage transitions)."""


class Hold:
    """The transition into one stage, in one turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._pipelines = turn.parts.pipelines

    def begin(self) -> None:
        rollback, stage = self._turn.rollback, self._stage()
        trail = rollback.trail
        if stage is None:
            self._turn.give_up(FollowUp.HOLD, f"The pipeline {trail.pipeline} has no stage {trail.hold_stage}.")
        elif stage.enabled:
            self._pipelines.disable(trail.pipeline, trail.hold_stage, hold_reason(rollback.rollback_id))
            self._held(self._turn.parts.clock())
        elif stage.held_by(rollback.rollback_id):
            self._held(stage.changed_at or self._turn.parts.clock())
        else:
            who = clean(stage.changed_by or "somebody", 100)
            why = f"{who} disabled the transition into {trail.hold_stage} before: {clean(stage.reason, 200)}"
            self._turn.settle(FollowUp.HOLD, f"{why}. It is left as it is.")

    def _held(self, at: datetime) -> None:
        trail = self._turn.rollback.trail
        where = f"the stage {trail.hold_stage} of {trail.pipeline}"
        why = f"Nothing enters {where} until it is released, or a newer commit waits."
        self._turn.settle(FollowUp.HOLD, why, held_at=at)

    def watch(self) -> None:
        """Open the stage if an operator asks or a newer commit waits; never one that somebody else closed."""
        rollback = self._turn.rollback
        try:
            self._release_if_wanted()
        except RetryableError:
            self._turn.look_again()
        except RefusedError as error:
            self._turn.give_up(FollowUp.RELEASE, str(error), alert=True)
        else:
            if self._turn.rollback is rollback:
                self._turn.look_again()

    def _release_if_wanted(self) -> None:
        rollback, stage = self._turn.rollback, self._stage()
        trail = rollback.trail
        # CodePipeline's own clock, by which its runs are timed too.
        held_at = (stage.changed_at if stage else None) or trail.held_at or rollback.opened_at
        if stage is not None and stage.enabled and trail.follow_up_attempts:
            self._released("We opened it, though no answer came.", alert=not trail.release_requested_by)
        elif stage is None or not stage.held_by(rollback.rollback_id):
            who = clean(stage.changed_by, 100) if stage else ""
            by = f" by {who}" if who else " by nobody that CodePipeline names"
            self._turn.settle(
                FollowUp.RELEASE,
                f"There is no hold of ours on {trail.hold_stage} (any more); it was last changed{by}.",
            )
        elif trail.release_requested_by:
            self._release(f"{trail.release_requested_by} asks for it.", alert=False)
        elif stage.waiting and brings_something_new(self._pipelines.recent(trail.pipeline), stage.waiting, held_at):
            newer = ", ".join(sorted(stage.waiting))
            self._release(f"{newer} brings a commit that is newer than the hold.", alert=True)
        elif self._turn.parts.clock() - held_at > HOLD_WATCH:
            self._turn.give_up(FollowUp.RELEASE, f"It is held for {duration(HOLD_WATCH)} already.", alert=True)

    def _release(self, why: str, *, alert: bool) -> None:
        trail = self._turn.rollback.trail
        self._turn.intend(FollowUp.RELEASE, f"The stage {trail.hold_stage} of {trail.pipeline} is released: {why}")
        self._pipelines.enable(trail.pipeline, trail.hold_stage)
        self._released(why, alert=alert)

    def _released(self, why: str, *, alert: bool) -> None:
        trail = self._turn.rollback.trail
        text = f"The stage {trail.hold_stage} of {trail.pipeline} is open again: {why}"
        if alert:
            self._turn.alert(text)
        self._turn.settle(FollowUp.RELEASE, text, released_at=self._turn.parts.clock())

    def _stage(self) -> Stage | None:
        trail = self._turn.rollback.trail
        return self._pipelines.stage(trail.pipeline, trail.hold_stage)
