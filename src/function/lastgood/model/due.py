"""What a rollback's record calls for now: notices, follow-ups for the pipeline, and the times to measure."""

from __future__ import annotations

from lastgood.model.catalogue import REASONS
from lastgood.model.policy import AfterRollback, OthersOfARelease
from lastgood.model.record import FollowUp, Outcome, Phase, Rollback

TIMES = ("detect", "stop", "redeploy", "verify", "recover")
"""The spans of a rollback that are recorded (`seconds_to_stop`) and sent as metrics (`SecondsToStop`)."""


PASSED_ON = "passed_on"
"""Listed like a notice, but sends none: the stage of a pipeline is rolled back instead, and that rollback notifies."""


JOINED = "joined"
"""Listed like a notice, but sends none: signals that joined this rollback still have to be answered on their own."""


def seconds_of(rollback: Rollback) -> dict[str, int]:
    """The times that matter, in whole seconds, as far as they are known: `detect` counts from the release, all others
    from the alarm. Without an alarm they count from the request.
    """
    trigger, progress = rollback.trigger, rollback.progress
    since = trigger.signal_at if trigger.released_in_alarm else trigger.alarm_changed_at or trigger.signal_at
    spans = (
        (rollback.choice.suspect_created_at, trigger.alarm_changed_at),
        (since, progress.stopped_at),
        (since, progress.redeployed_at),
        (since, rollback.verified_at),
        (trigger.alarm_changed_at, progress.alarm_recovered_at),
    )
    known = ((name, start, end) for name, (start, end) in zip(TIMES, spans, strict=True) if start and end)
    return {name: max(0, round((end - start).total_seconds())) for name, start, end in known}


def notices_due(rollback: Rollback) -> tuple[str, ...]:
    """The kinds of notices that the record calls for and that were not sent yet."""
    progress = rollback.progress
    follows = follow_up_due(rollback)
    wanted = {
        "opened": rollback.open and rollback.phase not in {Phase.CLAIMED, Phase.AWAITING_APPROVAL},
        "needs_human": rollback.phase is Phase.AWAITING_APPROVAL,
        # The prompt follow-ups come first, so that this notice can report them; they give up soon.
        "closed": not rollback.open and not (follows and follows.prompt) and not _told_by_the_stage(rollback),
        "held_up": rollback.open and bool(progress.held_up_by) and progress.held_up_ended_at is None,
        "goes_on": rollback.open and progress.held_up_ended_at is not None,
        "not_recovered": progress.not_recovered_at is not None,
        "pipeline": bool(rollback.trail.pipeline_alert),
        PASSED_ON: bool(progress.passed_on_to),
        JOINED: answers_no_other_signal(rollback),
    }
    notified = rollback.bookkeeping.notified
    return tuple(kind for kind, called_for in wanted.items() if called_for and kind not in notified)


def _told_by_the_stage(rollback: Rollback) -> bool:
    """It was passed on before people heard of it, so the stage's own rollback tells them everything."""
    heard = any(notice.partition("@")[0] == "opened" for notice in rollback.bookkeeping.notified)
    return bool(rollback.progress.passed_on_to) and not heard


def answers_no_other_signal(rollback: Rollback) -> bool:
    """It ended without acting, for a reason that answers no other signal: its own was unfounded, or it failed."""
    reason = rollback.reason_code
    if rollback.open or rollback.progress.touched or reason is None:
        return False
    return REASONS[reason].of_the_signal or bool(rollback.trigger.requested_by) or rollback.outcome is Outcome.FAILED


def follow_up_due(rollback: Rollback) -> FollowUp | None:
    """What to do next for the pipeline, now that the rollback is this far; None: nothing."""
    trail, rolled_back = rollback.trail, rollback.outcome is Outcome.ROLLED_BACK
    redeploys = bool(rollback.progress.rollback_deployment_id)
    # Nothing is looked up before the redeployment runs: that would only delay it.
    moved = redeploys and (rollback.phase is Phase.VERIFYING or rollback.outcome is Outcome.FAILED)
    ended = not rollback.open and rollback.outcome is not Outcome.SKIPPED
    wanted = {
        FollowUp.HOLD: bool(trail.hold_stage) and not rollback.trigger.dry_run and (moved or rolled_back),
        FollowUp.FIND_COMMITS: _commits_can_be_found(rollback) and (moved or ended),
        FollowUp.BRING_OTHERS: rolled_back and _others_follow(rollback),
        FollowUp.RERUN: trail.after_rollback == AfterRollback.RERUN and bool(trail.rerun_request) and rolled_back,
        FollowUp.WATCH_RERUN: bool(trail.rerun_execution_id),
        FollowUp.RELEASE: trail.held_at is not None,
    }
    return next((follow_up for follow_up, due in wanted.items() if due and follow_up not in trail.followed_up), None)


def _others_follow(rollback: Rollback) -> bool:
    follow = rollback.trail.others_of_release == OthersOfARelease.FOLLOW
    return follow and bool(rollback.choice.release_deployments.keys() - {rollback.group.key})


def _commits_can_be_found(rollback: Rollback) -> bool:
    trail, choice = rollback.trail, rollback.choice
    traced = bool(trail.pipeline) or choice.suspect_revision.startswith("s3://")
    return trail.looks_for_commits and traced and bool(choice.suspect_deployment_id)
