"""Which deployments an alarm blames: pure, over a history that is newest first.

Deployments are compared by their content (`same_content`), never by an AppSpec's hash. Unless the content is known to
be the same, a deployment may have changed what is live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lastgood.judgement.onset import began, came_too_late, latest_cause
from lastgood.judgement.theirs import goes_back, same, standing, without_attempts
from lastgood.judgement.wording import ago, clock
from lastgood.model import NATIVE_ROLLBACK_CREATOR, Deployment, Onset, Reason, Revision, same_content


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the alarm blames: the suspects, newest first; or a rollback to adopt; or the reason why there is neither.

    `undecided`: a release is the likely cause, but nobody can tell which one. `seen_soon`: the newest deployment may be
    the fix, and the alarm's next evaluation will show whether it is. `failed`: a rollback of the suspects that somebody
    else began, and that put nothing back.
    """

    suspects: tuple[Deployment, ...] = ()
    adopt: Deployment | None = None
    reason: Reason | None = None
    explanation: str = ""
    undecided: bool = False
    seen_soon: bool = False
    failed: Deployment | None = None

    @property
    def suspect(self) -> Deployment | None:
        """The newest suspect: the one to stop if it is still active."""
        return self.suspects[0] if self.suspects else None


@dataclass(frozen=True, slots=True)
class Question:
    """What `attribute` is asked, beside the history. `alarm_at` is when the alarm changed; None: an operator asks.

    An operator who asked at `requested_at` saw what had been released until then, and means that; beside an alarm it
    does not count. `released_in_alarm` is a deployment that was released while the alarm already fired, and that the
    policy blames because it still does. `brought_back` maps each deployment that only released again what a rollback
    had put back to that rollback's id: none of them is blamed.
    `onset` is when the alarm's breach began; None: when the alarm changed. `only` is the one deployment that may be
    blamed; empty: any.
    """

    alarm_at: datetime | None
    attribution_window: timedelta
    evaluation_window: timedelta
    now: datetime
    requested_at: datetime | None = None
    force: bool = False
    released_in_alarm: str = ""
    brought_back: Mapping[str, str] = field(default_factory=dict)
    onset: Onset | None = None
    only: str = ""


def attribute(history: Sequence[Deployment], asked: Question) -> Attribution:
    """Find the deployments that may be blamed.

    A deployment is blamed only if it changed what is live, was created before the breach began (or so soon after that
    it may have caused the breach's first period), and ended within the attribution window before it. Releases that
    ended inside one evaluation window cannot be told apart: all of them are suspects.
    """
    events = [d for d in history if d.is_release or d.is_rollback]
    by_target = _by_target(events)
    if len(by_target) > 1:
        since = asked.alarm_at - asked.evaluation_window if asked.alarm_at else None
        return _of_one_target([_judge(releases, asked) for releases in by_target.values()], since, asked.now)
    return _judge(events, asked)


def _judge(listed: Sequence[Deployment], asked: Question) -> Attribution:
    """Blame something of one target's events, which are newest first."""
    events, failed = standing(listed)
    if asked.alarm_at is not None:
        events = without_attempts(events, asked.onset.at if asked.onset else asked.alarm_at)
    blamed = _blamed(events, asked)
    if blamed.reason is Reason.NOT_ATTRIBUTABLE and events:
        blamed = _or_its_settings(blamed, events[0], asked)
    return replace(blamed, failed=failed or blamed.failed)


def _or_its_settings(nobody: Attribution, newest: Deployment, asked: Question) -> Attribution:
    """What only deployed the live definition again may have brought other secrets: then people have to look."""
    onset = asked.onset.at if asked.onset else asked.alarm_at
    if onset is None or not newest.revision.draws or not newest.is_release:
        return nobody
    if _ended(newest, asked.now) < onset - asked.attribution_window:
        return nobody
    told = (
        f"{nobody.explanation} But {newest.deployment_id} deployed {newest.revision.name} again, whose containers read "
        "secrets or files when they start: what these held then is not known, and is not put back by a redeployment."
    )
    return replace(nobody, explanation=told, undecided=True)


def _blamed(events: Sequence[Deployment], asked: Question) -> Attribution:
    if not events:
        return _nobody(Reason.NOT_ATTRIBUTABLE, "The deployment group has no deployment that could be blamed.")
    newest, alarm_at = events[0], asked.alarm_at
    if newest.is_rollback:
        return _rollback_on_top(newest, events, asked)
    if goes_back(newest, events) and not asked.force:
        return _somebody_goes_back(newest, events, asked)
    if alarm_at is not None and asked.released_in_alarm == newest.deployment_id:
        return _released_into(events, alarm_at, asked)
    if too_late := _came_too_late(newest, asked):
        return _perhaps_the_fix(newest, events, asked, too_late)
    changes = changes_of_live(events)
    if not changes:
        return _nobody(Reason.NOT_ATTRIBUTABLE, "No deployment in the history changed what is live.")
    if alarm_at is None:
        return Attribution(suspects=(changes[0],))
    return _within_windows(changes, alarm_at, asked)


def _perhaps_the_fix(newest: Deployment, events: Sequence[Deployment], asked: Question, too_late: str) -> Attribution:
    """It came too late to be the cause, so it may be the fix; if it failed, the release before it still serves.

    Once it serves users, one evaluation of the alarm decides: if the alarm still fires, it is not the fix.
    """
    if newest.ended_badly:
        return _judge(events[1:], asked)
    live = next((d for d in events[1:] if d.status == "Succeeded"), newest)
    if live is not newest and same(newest, live) and (blamed := _judge(events[1:], asked)).suspects:
        # It brings what was live already, so it is no fix, and goes back with that.
        return replace(blamed, suspects=(newest, *blamed.suspects))
    left_alone = _nobody(Reason.NEWER_DEPLOYMENT, f"{too_late} It may be the fix, so it is left alone.")
    met_at = newest.reach.at if newest.reach else None
    below = _judge(events[1:], asked).suspects if met_at else ()
    if met_at and below and asked.now - met_at >= asked.evaluation_window:
        return Attribution(suspects=(newest, *below))
    return replace(left_alone, seen_soon=bool(below))


def _came_too_late(newest: Deployment, asked: Question) -> str:
    """Why the newest deployment cannot be what is meant, as a sentence; empty if it can."""
    if asked.alarm_at is not None:
        return came_too_late(newest, asked.onset, asked.alarm_at)
    if asked.only and newest.deployment_id != asked.only:
        return f"{newest.deployment_id} came after {asked.only}, which was of the release in question."
    if asked.force or asked.requested_at is None or newest.created_at <= asked.requested_at:
        return ""
    return (
        f"{newest.deployment_id} was created at {clock(newest.created_at)}, after the rollback was asked for at "
        f"{clock(asked.requested_at)}."
    )


def _nobody(reason: Reason, explanation: str) -> Attribution:
    return Attribution(reason=reason, explanation=explanation)


def _somebody_goes_back(newest: Deployment, events: Sequence[Deployment], asked: Question) -> Attribution:
    """A person, a pipeline or a stack puts back what was live before: lastgood watches and proves it.

    One that was over before the breach answers nothing: it is judged like AWS's own, which is never rolled back.
    """
    suspects, ended = _judge(events[1:], asked).suspects, _ended(newest, asked.now)
    in_the_breach = asked.onset is not None and asked.onset.at <= ended
    if newest.active or (not asked.released_in_alarm and (in_the_breach or _answers(newest, asked))):
        return Attribution(suspects=suspects, adopt=newest)
    who = newest.stack or "somebody"
    back = (
        f"{newest.deployment_id} goes back to {newest.revision.name}, which was live before: {who} has rolled back"
        f"{'' if newest.stack else ' by hand'}"
    )
    if asked.alarm_at is None or asked.released_in_alarm:
        return _nobody(Reason.ALREADY_LIVE, f"{back}.")
    began_at = asked.onset.at if asked.onset else asked.alarm_at
    if ended < began_at - asked.attribution_window:
        return _too_long_ago(newest, asked.alarm_at, asked)
    return _nobody(
        Reason.SUSPECT_IS_ROLLBACK,
        f"{back}, {ago(began_at, ended)} before the breach began. A rollback is never rolled back: "
        "if it did not help, the release was not the cause, or the revision before it is bad too.",
    )


def _rollback_on_top(rollback: Deployment, events: Sequence[Deployment], asked: Question) -> Attribution:
    """The newest deployment is a rollback: take over one that answers this alarm, never roll back an older one."""
    undone, native = _rolled_back_by(rollback, events), rollback.creator == NATIVE_ROLLBACK_CREATOR
    suspects = (undone,) if undone else ()
    newer = bool(undone and asked.alarm_at and _came_too_late(undone, asked))
    if native and undone and newer:
        return _undid_something_newer(rollback, undone, events, asked)
    if rollback.active or (native and _answers(rollback, asked)):
        below = _judge(events[1:], asked).suspects
        return Attribution(suspects=below if native and undone in below else suspects, adopt=rollback)
    if asked.force:
        return Attribution(suspects=(rollback,))
    whose = "AWS's own rollback" if native else f"the rollback {rollback.made_by}"
    return Attribution(
        # What came after the breach began is no suspect, though it was rolled back.
        suspects=() if newer else suspects,
        reason=Reason.SUSPECT_IS_ROLLBACK,
        explanation=f"The newest deployment, {rollback.deployment_id}, is {whose}. A rollback is never rolled back: "
        "if it did not help, the release was not the cause, or the revision before it is bad too.",
    )


def _undid_something_newer(
    rollback: Deployment, undone: Deployment, events: Sequence[Deployment], asked: Question
) -> Attribution:
    """A rollback of what was released after the breach began: that was not the cause, and may have been the fix."""
    judged = _judge([d for d in events if d not in (rollback, undone)], asked)
    if judged.suspects:
        return replace(judged, adopt=rollback)
    return _nobody(
        Reason.NEWER_DEPLOYMENT,
        f"{rollback.deployment_id} is AWS's own rollback of {undone.deployment_id}, which came after the breach had "
        f"begun. That one was not the cause, and may have been the fix. {judged.explanation}",
    )


def _rolled_back_by(rollback: Deployment, events: Sequence[Deployment]) -> Deployment | None:
    """CodeDeploy names the deployment that it rolled back; one of ours is preceded by it."""
    named = rollback.rolls_back_deployment_id
    if named:
        return next((d for d in events if d.deployment_id == named), None)
    return next((d for d in events if d.is_release and not same(d, rollback)), None)


def _answers(rollback: Deployment, asked: Question) -> bool:
    """Whether it is others' rollback for the same errors: it ended after the alarm, or just before."""
    if asked.alarm_at is None or rollback.completed_at is None:
        return False
    return rollback.status == "Succeeded" and rollback.completed_at >= asked.alarm_at - asked.evaluation_window


def changes_of_live(events: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """The releases that changed what is live, or may have, newest first.

    Deploying the same revision again changes nothing. A deployment that failed or was stopped, and that nothing
    rolled back, may have reached a part of the group.
    """
    changes: list[Deployment] = []
    undone_by = {d.deployment_id for d in events if not d.ended_badly}
    live: Revision | None = None
    for deployment in reversed(events):
        fresh = live is None or not same_content(deployment.revision, live)
        undone = deployment.ended_badly and deployment.rollback_deployment_id in undone_by
        if fresh and deployment.is_release and not undone:
            changes.append(deployment)
        if deployment.status == "Succeeded":
            live = deployment.revision
    return tuple(reversed(changes))


def _within_windows(changes: Sequence[Deployment], alarm_at: datetime, asked: Question) -> Attribution:
    began_at = asked.onset.at if asked.onset else alarm_at
    mixed_since = min(alarm_at - asked.evaluation_window, began_at)
    indistinguishable = tuple(d for d in changes if _ended(d, asked.now) >= mixed_since)
    if indistinguishable:
        return Attribution(suspects=indistinguishable)
    newest = changes[0]
    if _ended(newest, asked.now) >= began_at - asked.attribution_window:
        return Attribution(suspects=(newest,))
    return _too_long_ago(newest, alarm_at, asked)


def _too_long_ago(newest: Deployment, alarm_at: datetime, asked: Question) -> Attribution:
    onset = asked.onset or Onset(alarm_at)
    before_what = "the alarm" if onset.at == alarm_at else f"the breach began ({began(onset)})"
    before = f"{ago(onset.at, _ended(newest, asked.now))} before {before_what}"
    return _nobody(
        Reason.NOT_ATTRIBUTABLE,
        f"The last deployment that changed what is live, {newest.deployment_id}, ended {before}, longer ago than the "
        "attribution window allows. The release is not the likely cause.",
    )


def _released_into(events: Sequence[Deployment], alarm_at: datetime, asked: Question) -> Attribution:
    """Blame everything that was released since the breach began, and what the alarm would blame anyway.

    Going back to a revision under which the alarm began to fire would not help. A release that only brings back what a
    rollback had put back is not blamed: rolling it back would roll back the rollback.
    """
    newest, brought_back = events[0], asked.brought_back
    if newest.deployment_id in brought_back:
        return _nobody(
            Reason.SUSPECT_IS_ROLLBACK,
            f"{newest.deployment_id} ({newest.revision.name}) only brings back what "
            f"{brought_back[newest.deployment_id]} had put back. A rollback is never rolled back: if it did not help, "
            "the release was not the cause, or the revision before it is bad too.",
        )
    changes = changes_of_live(events)
    latest = latest_cause(asked.onset or Onset(alarm_at), alarm_at)
    before = [d for d in changes if d.created_at <= latest]
    since = tuple(d for d in changes if d.created_at > latest and d.deployment_id not in brought_back)
    own = _within_windows(before, alarm_at, asked) if before else Attribution()
    if not since:
        return _nobody(Reason.NOT_ATTRIBUTABLE, f"{newest.deployment_id} released what was live already.")
    return Attribution(suspects=since + own.suspects)


def _ended(deployment: Deployment, now: datetime) -> datetime:
    """When a deployment stopped changing what is live; now, if it is still active."""
    return now if deployment.active else deployment.completed_at or deployment.created_at


def _by_target(events: Sequence[Deployment]) -> dict[str, list[Deployment]]:
    """The events of each target, newest first. What could not be read belongs to the only target there is."""
    by_target: dict[str, list[Deployment]] = {}
    targets = {d.revision.target for d in events} - {""}
    for deployment in events:
        target = deployment.revision.target or (next(iter(targets)) if len(targets) == 1 else "")
        by_target.setdefault(target, []).append(deployment)
    return by_target


def _of_one_target(blamed: Sequence[Attribution], since: datetime | None, now: datetime) -> Attribution:
    """One group deploys several functions, and the alarm does not say which: blame the one that was released last.

    Two that changed within one evaluation window cannot be told apart, and only one of them could be put back: then
    nothing is blamed.
    """
    ours = [attribution for attribution in blamed if attribution.reason is None]
    if not ours:
        return blamed[0]
    at_once = [
        attribution
        for attribution in ours
        if attribution.suspect and since and _ended(attribution.suspect, now) >= since
    ]
    if len(at_once) > 1:
        names = " and ".join(attribution.suspect.revision.name for attribution in at_once if attribution.suspect)
        why = f"{names} were released at the same time; the alarm does not say which of them is ill."
        return Attribution(reason=Reason.NOT_ATTRIBUTABLE, explanation=why, undecided=True)
    return max(ours, key=lambda attribution: attribution.suspect.created_at if attribution.suspect else now)
