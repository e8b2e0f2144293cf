"""What follows a rollback for its pipeline: hold it, find the commits, run it for the good one, open it again.

These run beside the rollback and can never delay, undo or fail it. Each writes its intent, acts, and writes the result;
after three failed attempts it records a problem that says what to do by hand. What is due follows from the record
(`follow_up_due`), so the sweep finishes what a crash interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from lastgood.errors import LostLeaseError, RefusedError, RetryableError
from lastgood.ledger import Kind
from lastgood.model import CheckBundles, Controls, FollowUp, OthersOfARelease, Rollback, follow_up_due
from lastgood.parts import Parts
from lastgood.pipelines.wording import PURPOSE
from lastgood.settings import Settings

type Brings = Callable[[Rollback], Sequence[tuple[str, str]]]
"""Rolls the rest of a release back: for each group the id of its rollback, empty if there is none, and a sentence."""

MAX_ATTEMPTS = 3
RESERVE = timedelta(seconds=15)


def with_pipeline_rule(rollback: Rollback, settings: Settings) -> Rollback:
    """The rollback with its pipeline's rule copied into it, so that a later change of the rule does not affect it."""
    group, rule = rollback.group, settings.pipeline_of(rollback.group)
    # A rollback that follows another one brings no others along: one step, never a circle.
    others = "" if rollback.trigger.follows else str(settings.release_set)
    if group.can().deployments_are_runs:
        return rollback.changed(looks_for_commits=bool(others), pipeline=group.application, others_of_release=others)
    if rule is None:
        follow = others if others == OthersOfARelease.FOLLOW else ""
        return rollback.changed(looks_for_commits=settings.check_bundles is CheckBundles.TAGS, others_of_release=follow)
    return rollback.changed(
        looks_for_commits=True,
        pipeline=rule.pipeline,
        after_rollback=rule.after_rollback,
        hold_stage=rule.hold,
        others_of_release=others,
    )


def is_due(rollback: Rollback, now: datetime) -> bool:
    """Whether there is something to do for the pipeline now."""
    return follow_up_due(rollback) is not None and (
        rollback.trail.follow_up_at is None or rollback.trail.follow_up_at <= now
    )


class FollowUps:
    """One invocation's turn at the follow-ups of one rollback, whose lease it holds meanwhile."""

    def __init__(self, parts: Parts, leased: Rollback, deadline: datetime, brings: Brings) -> None:
        # Imported here: most rollbacks have no pipeline, and should not pay for these modules.
        from lastgood.pipelines.hold import Hold
        from lastgood.pipelines.rerun import Rerun
        from lastgood.pipelines.turn import Turn

        self._turn = Turn(parts, leased)
        self._parts = parts
        self._deadline = deadline
        self._brings = brings
        self._hold, self._rerun = Hold(self._turn), Rerun(self._turn)
        self._acts: dict[FollowUp, Callable[[], None]] = {
            FollowUp.HOLD: self._hold.begin,
            FollowUp.FIND_COMMITS: self._rerun.find_commits,
            FollowUp.BRING_OTHERS: self._bring_others,
            FollowUp.RERUN: self._rerun.start,
        }

    @property
    def rollback(self) -> Rollback:
        """The rollback as it is now."""
        return self._turn.rollback

    def run(self) -> Rollback:
        """Do what is due. Raises LostLeaseError if somebody else is at it; every other failure ends on the record."""
        try:
            while due := self._due():
                match due:
                    case FollowUp.WATCH_RERUN:
                        self._rerun.watch()
                    case FollowUp.RELEASE:
                        self._hold.watch()
                    case _:
                        self._attempt(due)
        except LostLeaseError:
            raise
        except Exception as error:
            # An error here must not affect the rollback: the sweep tries again, and attempts are counted.
            self._turn.undo()
            self._parts.telemetry.failed("follow_up", error, rollback_id=self.rollback.rollback_id)
        return self.rollback

    def _attempt(self, due: FollowUp) -> None:
        """Intent, act, result. A failure that may pass is tried again; a final one is recorded as a problem."""
        if self.rollback.trail.follow_up_attempts >= MAX_ATTEMPTS:
            self._turn.give_up(due, f"No answer in {MAX_ATTEMPTS} attempts.")
            return
        self._turn.intend(due)
        try:
            held_back = "" if due is FollowUp.FIND_COMMITS else self._held_back()
            if held_back:
                self._turn.give_up(due, held_back)
            else:
                self._acts[due]()
        except RetryableError as error:
            self._turn.note(Kind.RESULT, due, f"{PURPOSE[due]} failed for now: {error}")
            self._turn.save()
        except RefusedError as error:
            self._turn.give_up(due, str(error))

    def _bring_others(self) -> None:
        """The other groups of the release follow, each by a rollback of its own."""
        brought = self._brings(self.rollback)
        told = " ".join(said for _, said in brought)
        followers = tuple(follower for follower, _ in brought if follower)
        self._turn.settle(FollowUp.BRING_OTHERS, told, follower_ids=followers)

    def _held_back(self) -> str:
        """Why nothing may be changed now; empty if it may. The kill switch and pauses hold the follow-ups as well.

        Nothing is done for a record that its group's items do not mention either: anybody could have written one item.
        """
        now, settings = self._parts.clock(), self._parts.settings
        if settings.kill_switch:
            return "LASTGOOD_KILL_SWITCH is on."
        controls = self._parts.ledger.controls(self.rollback.group, now)
        if not self._vouched(controls):
            return "The group's items in the audit table know nothing of this rollback: look who wrote its record."
        pause_all = self._parts.ledger.common(now, settings.storm_window).pause_all
        pauses = (pause_all, controls.pause_group)
        held = next((pause for pause in pauses if pause and pause.holds(now)), None)
        return f"{held.requested_by} paused rollbacks: {held.reason}" if held else ""

    def _vouched(self, controls: Controls) -> bool:
        """Whether the group's lock, or its memory of past rollbacks, names this rollback."""
        ours, ledger = self.rollback.rollback_id, self._parts.ledger
        known = {controls.open_rollback_id, *(past.rollback_id for past in controls.past)}
        return ours in known or ledger.lock(self.rollback.group).last_rollback_id == ours

    def _due(self) -> FollowUp | None:
        """What is due now; None where there is nothing, or no time for it."""
        now = self._parts.clock()
        has_time = self._deadline - now > RESERVE
        return follow_up_due(self.rollback) if has_time and is_due(self.rollback, now) else None
