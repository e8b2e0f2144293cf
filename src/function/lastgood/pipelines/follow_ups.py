"""What follows a rollback for its pipeline: hold it, find the commits, run it for the good one, release it.

Each is done beside the rollback, which it never delays, undoes or fails: intent, act, result, a few attempts, and else
a problem on the record that says what to do by hand. What is due follows from the record (`follow_up_due`), so the
sweep finishes what a crash interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from lastgood.draft import Draft
from lastgood.errors import LastgoodError, LostLeaseError, RefusedError, RetryableError
from lastgood.judgement.wording import duration
from lastgood.ledger import Kind
from lastgood.links import compare
from lastgood.model import AfterRollback, FollowUp, Rollback, follow_up_due
from lastgood.parts import Parts
from lastgood.pipelines.rules import (
    RUNNING,
    brings_something_new,
    changed_since,
    commit_page,
    commits,
    overtaken,
    start_request,
)
from lastgood.pipelines.runs import Run, Stage, hold_reason
from lastgood.pipelines.wording import PURPOSE, by_hand, release_the_revert, what_was_found
from lastgood.settings import Settings
from lastgood.text import clean

MAX_ATTEMPTS = 3
RETRY_AFTER = timedelta(seconds=50)
"""A little less than the sweep's minute, so that each sweep is an attempt."""

WATCH_PACE = timedelta(minutes=5)
RERUN_WATCH = timedelta(hours=24)
HOLD_WATCH = timedelta(days=30)
"""What waits at a disabled transition for longer goes on no more (CodePipeline User Guide, stage transitions)."""

STARTING = "Starting"
RESERVE = timedelta(seconds=15)


def pinned(rollback: Rollback, settings: Settings) -> Rollback:
    """The rollback with the rule of its deployment group: a rule that changes later changes nothing under way."""
    rule = settings.pipeline_of(rollback.group)
    if rule is None:
        return rollback.changed(looks_for_commits=settings.check_bundles)
    return rollback.changed(
        looks_for_commits=True,
        pipeline=rule.pipeline,
        after_rollback=rule.after_rollback,
        hold_stage=rule.hold,
    )


def is_due(rollback: Rollback, now: datetime) -> bool:
    """Whether there is something to do for the pipeline now."""
    return follow_up_due(rollback) is not None and (
        rollback.trail.follow_up_at is None or rollback.trail.follow_up_at <= now
    )


class FollowUps:
    """One invocation's turn at what follows one rollback; it holds the rollback's lease meanwhile."""

    def __init__(self, parts: Parts, leased: Rollback, deadline: datetime) -> None:
        self._draft = Draft(parts.ledger, parts.clock, leased)
        self._parts = parts
        self._pipelines = parts.pipelines
        self._deadline = deadline
        self._acts: dict[FollowUp, Callable[[], None]] = {
            FollowUp.HOLD: self._hold,
            FollowUp.FIND_COMMITS: self._find,
            FollowUp.RERUN: self._rerun,
        }

    @property
    def rollback(self) -> Rollback:
        """The rollback as it is now."""
        return self._draft.rollback

    def run(self) -> Rollback:
        """Do what is due. Raises LostLeaseError if somebody else is at it; every other failure ends on the record."""
        try:
            while (due := follow_up_due(self.rollback)) and is_due(self.rollback, self._now()) and self._has_time():
                match due:
                    case FollowUp.WATCH_RERUN:
                        self._watch_rerun()
                    case FollowUp.RELEASE:
                        self._watch_hold()
                    case _:
                        self._attempt(due)
        except LostLeaseError:
            raise
        except Exception as error:
            # Whatever is wrong here, the rollback is not: the sweep comes back, and attempts are counted.
            self._draft.undo()
            self._parts.telemetry.failed("follow_up", error, rollback_id=self.rollback.rollback_id)
        return self.rollback

    def _attempt(self, due: FollowUp) -> None:
        """Intent, act, result. What cannot be done now is tried again, what cannot be done at all is a problem."""
        if self.rollback.trail.follow_up_attempts >= MAX_ATTEMPTS:
            self._give_up(due, f"No answer in {MAX_ATTEMPTS} attempts.")
            return
        self._intend(due)
        try:
            held_back = "" if due is FollowUp.FIND_COMMITS else self._held_back()
            if held_back:
                self._give_up(due, held_back)
            else:
                self._acts[due]()
        except RetryableError as error:
            self._note(Kind.RESULT, due, f"{PURPOSE[due]} failed for now: {error}")
            self._save()
        except RefusedError as error:
            self._give_up(due, str(error))

    # --- holding ------------------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        it, stage = self.rollback, self._stage()
        trail = it.trail
        if stage is None:
            self._give_up(FollowUp.HOLD, f"The pipeline {trail.pipeline} has no stage {trail.hold_stage}.")
        elif stage.enabled:
            self._pipelines.disable(trail.pipeline, trail.hold_stage, hold_reason(it.rollback_id))
            self._held(self._now())
        elif stage.held_by(it.rollback_id):
            self._held(stage.changed_at or self._now())
        else:
            who = clean(stage.changed_by or "somebody", 100)
            why = f"{who} disabled the transition into {trail.hold_stage} before: {clean(stage.reason, 200)}"
            self._settle(FollowUp.HOLD, f"{why}. It is left as it is.")

    def _held(self, at: datetime) -> None:
        trail = self.rollback.trail
        where = f"the stage {trail.hold_stage} of {trail.pipeline}"
        why = f"Nothing enters {where} until it is released, or a newer commit waits."
        self._settle(FollowUp.HOLD, why, held_at=at)

    # --- commits ------------------------------------------------------------------------------------------------------

    def _find(self) -> None:
        it = self.rollback
        trail, choice = it.trail, it.choice
        wanted = [each for each in (choice.suspect_deployment_id, choice.good_deployment_id) if each]
        runs = self._pipelines.made(trail.pipeline, wanted) if trail.pipeline else {}
        suspect, good = runs.get(choice.suspect_deployment_id), runs.get(choice.good_deployment_id)
        bad_commit, good_commit = commits(suspect, good)
        bad_commit = trail.suspect_commit or bad_commit or self._pipelines.bundle_commit(choice.suspect_revision)
        good_commit = trail.good_commit or good_commit or self._pipelines.bundle_commit(choice.good_revision)
        self._change(
            suspect_commit=bad_commit,
            good_commit=good_commit,
            compare_url=it.trail.compare_url or compare(commit_page(bad_commit, suspect), good_commit, bad_commit),
            suspect_execution_id=suspect.execution_id if suspect else "",
            good_execution_id=good.execution_id if good else "",
        )
        self._prepare_rerun(good)
        self._settle(FollowUp.FIND_COMMITS, what_was_found(self.rollback, runs))

    def _prepare_rerun(self, good: Run | None) -> None:
        """What would run the pipeline for the good commit: as a request for us, as a command for people."""
        it = self.rollback
        trail, choice = it.trail, it.choice
        if trail.after_rollback not in {AfterRollback.TELL, AfterRollback.RERUN} or not choice.good_deployment_id:
            return
        if good is None:
            self._problem(
                f"No run of {trail.pipeline} is known that made {choice.good_deployment_id}, so it cannot be re-run "
                f"for the good commit. {release_the_revert(it)}"
            )
            return
        definition = self._pipelines.definition(trail.pipeline)
        request, problem = start_request(trail.pipeline, definition, good, it.rollback_id)
        if request is None:
            self._problem(f"{problem} {release_the_revert(it)}")
            return
        changed = changed_since(definition, good)
        self._change(
            rerun_command=self._pipelines.command(request),
            # A changed pipeline is not run unseen: people look at it first.
            rerun_request="" if changed else json.dumps(request),
        )
        if changed:
            self._problem(f"{changed} Look at it, then run: {self.rollback.trail.rerun_command}")

    # --- running the pipeline again -----------------------------------------------------------------------------------

    def _rerun(self) -> None:
        it = self.rollback
        trail = it.trail
        request = json.loads(trail.rerun_request)
        # Once a start may have been sent, only the same start is sent again: its token makes it the same run.
        if trail.rerun_status != STARTING:
            good = frozenset(each["revisionValue"] for each in request["sourceRevisions"])
            since = it.choice.suspect_created_at or it.opened_at
            newer = overtaken(self._pipelines.recent(trail.pipeline), trail.suspect_execution_id, since, good)
            if newer is not None:
                self._give_up(
                    FollowUp.RERUN,
                    f"{newer.execution_id} ({newer.status}) may bring a newer commit, perhaps the fix, which the good "
                    "commit behind it would undo.",
                )
                return
            self._change(rerun_status=STARTING)
            self._save()
        started = self._pipelines.start(request)
        self._settle(
            FollowUp.RERUN,
            f"{trail.pipeline} runs again for {trail.good_commit or 'the good revision'}: {started}.",
            rerun_execution_id=started,
            rerun_status="InProgress",
        )

    def _watch_rerun(self) -> None:
        it = self.rollback
        trail = it.trail
        try:
            status = self._pipelines.status(trail.pipeline, trail.rerun_execution_id)
        except LastgoodError as error:
            status = f"unknown: {error}"
        late = self._now() - (it.closed_at or it.opened_at) > RERUN_WATCH
        waits = status in RUNNING or status.startswith("unknown")
        if waits and not late:
            self._look_again()
            return
        text = f"The re-run {trail.rerun_execution_id} is {status}."
        if status != "Succeeded":
            text += f" After {duration(RERUN_WATCH)} it is watched no more." * waits
            self._alert(f"{text} Look at it in CodePipeline: until a run succeeds, the newest definition is not right.")
        self._settle(FollowUp.WATCH_RERUN, text, rerun_status=status)

    # --- releasing ----------------------------------------------------------------------------------------------------

    def _watch_hold(self) -> None:
        """Open what we closed: an operator asks, or a newer commit waits. Never what somebody else closed."""
        it = self.rollback
        try:
            self._release_if_wanted()
        except RetryableError:
            self._look_again()
        except RefusedError as error:
            self._give_up(FollowUp.RELEASE, str(error), alert=True)
        else:
            if self.rollback is it:
                self._look_again()

    def _release_if_wanted(self) -> None:
        it, stage = self.rollback, self._stage()
        trail = it.trail
        # CodePipeline's own clock, by which its runs are timed too.
        held_at = (stage.changed_at if stage else None) or trail.held_at or it.opened_at
        if stage is not None and stage.enabled and trail.follow_up_attempts:
            self._released("We opened it, though no answer came.", alert=not trail.release_requested_by)
        elif stage is None or not stage.held_by(it.rollback_id):
            who = clean(stage.changed_by, 100) if stage else ""
            by = f" by {who}" if who else " by nobody that CodePipeline names"
            self._settle(
                FollowUp.RELEASE,
                f"There is no hold of ours on {trail.hold_stage} (any more); it was last changed{by}.",
            )
        elif trail.release_requested_by:
            self._release(f"{trail.release_requested_by} asks for it.", alert=False)
        elif stage.waiting and brings_something_new(self._pipelines.recent(trail.pipeline), stage.waiting, held_at):
            newer = ", ".join(sorted(stage.waiting))
            self._release(f"{newer} brings a commit that is newer than the hold.", alert=True)
        elif self._now() - held_at > HOLD_WATCH:
            self._give_up(FollowUp.RELEASE, f"It is held for {duration(HOLD_WATCH)} already.", alert=True)

    def _release(self, why: str, *, alert: bool) -> None:
        trail = self.rollback.trail
        self._intend(FollowUp.RELEASE, f"The stage {trail.hold_stage} of {trail.pipeline} is released: {why}")
        self._pipelines.enable(trail.pipeline, trail.hold_stage)
        self._released(why, alert=alert)

    def _released(self, why: str, *, alert: bool) -> None:
        trail = self.rollback.trail
        text = f"The stage {trail.hold_stage} of {trail.pipeline} is open again: {why}"
        if alert:
            self._alert(text)
        self._settle(FollowUp.RELEASE, text, released_at=self._now())

    # --- recording ----------------------------------------------------------------------------------------------------

    def _intend(self, due: FollowUp, text: str = "") -> None:
        self._note(Kind.INTENT, due, text or f"{PURPOSE[due]} ({self.rollback.trail.pipeline or 'the bundles'}).")
        self._change(
            follow_up_attempts=self.rollback.trail.follow_up_attempts + 1, follow_up_at=self._now() + RETRY_AFTER
        )
        self._save()

    def _settle(self, due: FollowUp, text: str, **changes: Any) -> None:
        self._note(Kind.RESULT, due, text)
        done = (*self.rollback.trail.followed_up, due)
        self._change(followed_up=done, follow_up_attempts=0, follow_up_at=None, **changes)
        following = follow_up_due(self.rollback)
        if following is not None and not following.prompt and not self.rollback.trail.release_requested_by:
            self._change(follow_up_at=self._now() + WATCH_PACE)
        self._save()
        self._parts.telemetry.followed_up(self.rollback, due, text)

    def _give_up(self, due: FollowUp, why: str, *, alert: bool = False) -> None:
        """A problem that people have to solve; it says how."""
        text = f"{PURPOSE[due]} was given up: {why.rstrip('.')}. {by_hand(due, self.rollback, self._enable_command())}"
        self._problem(text)
        if alert:
            self._alert(text)
        # An attempt without an answer may have held the stage all the same: then it is ours to release.
        unclear = due is FollowUp.HOLD and self.rollback.trail.follow_up_attempts > 1
        self._settle(due, text, **({"held_at": self._now()} if unclear else {}))

    def _look_again(self) -> None:
        self._change(follow_up_at=self._now() + WATCH_PACE)
        self._save()

    def _problem(self, text: str) -> None:
        self._change(pipeline_problem=f"{self.rollback.trail.pipeline_problem} {text}".strip())

    def _alert(self, text: str) -> None:
        self._change(pipeline_alert=text)

    def _note(self, kind: Kind, due: FollowUp, text: str) -> None:
        self._draft.note(kind, str(due), text)

    def _change(self, **changes: Any) -> None:
        self._draft.change(**changes)

    def _save(self) -> None:
        # Open rollbacks are visited anyway, at their own pace. A closed one is visited until its lease is given back.
        due = None if self.rollback.open else self.rollback.trail.follow_up_at or self._now()
        self._draft.save(next_check_at=due)

    # --- small things -------------------------------------------------------------------------------------------------

    def _enable_command(self) -> str:
        return self._pipelines.enable_command(self.rollback.trail.pipeline, self.rollback.trail.hold_stage)

    def _stage(self) -> Stage | None:
        return self._pipelines.stage(self.rollback.trail.pipeline, self.rollback.trail.hold_stage)

    def _held_back(self) -> str:
        """Why nothing may be changed now: the kill switch and pauses hold the pipeline's follow-ups as well."""
        now, settings = self._now(), self._parts.settings
        if settings.kill_switch:
            return "LASTGOOD_KILL_SWITCH is on."
        pause_all = self._parts.ledger.common(now, settings.storm_window).pause_all
        pauses = (pause_all, self._parts.ledger.controls(self.rollback.group, now).pause_group)
        held = next((pause for pause in pauses if pause and pause.holds(now)), None)
        return f"{held.requested_by} paused rollbacks: {held.reason}" if held else ""

    def _has_time(self) -> bool:
        return self._deadline - self._now() > RESERVE

    def _now(self) -> datetime:
        return self._parts.clock()
