"""Rollbacks that others began: whose they are, what they go back to, and whether they put anything back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from lastgood.judgement.wording import rolls_back_too
from lastgood.model import (
    BEFORE,
    CLOUDFORMATION_ROLLBACK_CREATOR,
    NATIVE_ROLLBACK_CREATOR,
    Deployment,
    Reason,
    Rollback,
    same_content,
)

AT_ONCE = timedelta(seconds=10)
"""A deployment into a group whose alarm fires was stopped within a second of its creation (recorded 2026-08)."""


def same(one: Deployment, other: Deployment) -> bool:
    """Whether both are known to have deployed the same content."""
    return bool(same_content(one.revision, other.revision))


def goes_back(newest: Deployment, events: Sequence[Deployment]) -> bool:
    """A release of a revision that was live before the one that it replaces is somebody's own rollback.

    What it replaces may also have been cancelled, or have failed. If that was a rollback, the same revision is released
    a second time; and a release of what is live already replaces nothing.
    """
    if newest.creator == CLOUDFORMATION_ROLLBACK_CREATOR and newest.active:
        return True
    older = [d for d in events if d.created_at < newest.created_at]
    replaced = next((d for d in older if d.status == "Succeeded" or _was_in_part(d, newest)), None)
    if replaced is None or replaced.is_rollback or same(replaced, newest):
        return False
    before = [d for d in older if d.created_at < replaced.created_at]
    went_back = any(d.status == "Succeeded" and same(d, newest) for d in before)
    return went_back and not goes_back(replaced, older)


def _was_in_part(older: Deployment, newest: Deployment) -> bool:
    """A release that was cancelled or failed: it may have been live in part, unless it reached nobody."""
    return older.is_release and not older.reached_nobody and not same(older, newest)


def to_compare(events: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """The deployments whose content decides whether the newest goes back, where so far only their names match."""
    newest = events[0] if events else None
    if newest is None or not newest.is_release or not newest.revision.moves:
        return ()
    named = [d for d in events[1:] if d.status == "Succeeded" and d.revision.identity == newest.revision.identity]
    return (newest, named[0]) if named and named[0] is not events[1] else ()


def perhaps_nothing_new(events: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """The newest release, and what was live lately: it may deploy one of these under the same or another name."""
    newest = events[0] if events else None
    if newest is None or not newest.is_release:
        return ()
    older = [d for d in events[1:] if d.status == "Succeeded" and d.revision.target == newest.revision.target]
    return (newest, *older[:2]) if older else ()


def standing(events: Sequence[Deployment]) -> tuple[Sequence[Deployment], Deployment | None]:
    """The events without the newest ones if these are rollbacks that failed or were stopped; and the newest of those.

    Such a rollback put back nothing, or only a part: the release that it was to undo is still the one in question.
    lastgood's own rollbacks are kept: they are not tried a second time.
    """
    failed: Deployment | None = None
    while events and events[0].ended_badly and not events[0].made_by and _is_theirs(events[0], events):
        failed = failed or events[0]
        events = events[1:]
    return events, failed


def without_attempts(events: Sequence[Deployment], breach: datetime) -> list[Deployment]:
    """The events without attempts that changed nothing: what was live before them was live when the breach began.

    Those are releases that reached nobody, and releases that failed by themselves where AWS put back what was live
    before the breach began: such a rollback does not answer this alarm.
    """
    over = {d.deployment_id for d in events if d.reached_nobody and d.failed_alone}
    for failed, rollback, before in _failed_and_put_back(events, breach):
        if before is None or same(before, rollback):
            over |= {rollback.deployment_id, failed.deployment_id}
    return [d for d in events if d.deployment_id not in over]


def attempts_to_compare(events: Sequence[Deployment], breach: datetime) -> list[Deployment]:
    """The deployments whose content decides whether AWS put back what was live, where so far only names are known."""
    pairs = [(rollback, before) for _, rollback, before in _failed_and_put_back(events, breach) if before]
    return [d for pair in pairs if same_content(pair[0].revision, pair[1].revision) is None for d in pair]


def _failed_and_put_back(
    events: Sequence[Deployment], breach: datetime
) -> Iterator[tuple[Deployment, Deployment, Deployment | None]]:
    """Each release that failed by itself, AWS's rollback of it that ended before the breach, and what was live before.

    The last is None where the history was not read that far back.
    """
    for at, rollback in enumerate(events):
        failed = next((d for d in events[at + 1 :] if d.deployment_id == rollback.rolls_back_deployment_id), None)
        ended = rollback.status == "Succeeded" and (rollback.completed_at or rollback.created_at) < breach
        if failed and failed.status == "Failed" and rollback.creator == NATIVE_ROLLBACK_CREATOR and ended:
            older = (d for d in events if d.created_at < failed.created_at and d.status == "Succeeded")
            yield failed, rollback, next(older, None)


def met_the_alarm(deployment: Deployment) -> bool:
    """Its group's alarm was firing when it came, so CodeDeploy stopped it at once, whatever it contained."""
    took = (deployment.completed_at or deployment.created_at) - deployment.created_at
    return deployment.error_code == "ALARM_ACTIVE" and took < AT_ONCE


def _is_theirs(newest: Deployment, events: Sequence[Deployment]) -> bool:
    return newest.creator == NATIVE_ROLLBACK_CREATOR or (newest.is_release and goes_back(newest, events))


def deployed_before(first: Deployment, history: Sequence[Deployment]) -> Deployment | None:
    """What was deployed before a deployment, to the same target as far as that can be read; None for nothing."""
    older = (d for d in history if d.created_at < first.created_at and d.status == "Succeeded")
    targets = {"", first.revision.target}
    return next((d for d in older if d.revision.target in targets and not d.deployment_id.endswith(BEFORE)), None)


def put_back_already(history: Sequence[Deployment], suspects: Sequence[Deployment]) -> Deployment | None:
    """The deployment by which somebody already returned to what was live before the suspects, if there is one."""
    if not suspects:
        return None
    first = suspects[-1]
    before = next((d for d in history if d.status == "Succeeded" and d.created_at < first.created_at), None)
    latest = next((d for d in history if d.is_release or d.is_rollback), first)
    if before is None or latest.status != "Succeeded" or latest.created_at <= first.created_at:
        return None
    return latest if same(latest, before) else None


def brings_back(deployment: Deployment, rollback: Rollback) -> bool:
    """Whether a deployment deploys the very revision that a rollback put back, under its old or its new name."""
    choice = rollback.choice
    put_back = {choice.good_revision, rollback.progress.redeployed_revision} - {"", *choice.suspect_revisions}
    return deployment.revision.known and deployment.revision.identity in put_back


def whose(rollback: Deployment, deployer: str) -> str:
    """Whose rollback a deployment is, in words for people."""
    if rollback.made_by:
        return f"the rollback {rollback.made_by}"
    if rollback.creator == NATIVE_ROLLBACK_CREATOR:
        return f"{deployer}'s own rollback"
    if rollback.stack:
        return f"the rollback of {rollback.stack}"
    return "somebody's rollback"


def reason_to_watch(rollback: Deployment, suspect: Deployment | None) -> Reason:
    """Why a rollback that others began is watched."""
    if rollback.stack or (suspect is not None and suspect.stack):
        return Reason.STACK_ROLLING_BACK
    return Reason.NATIVE_ROLLBACK if rollback.is_rollback else Reason.ALREADY_ROLLING_BACK


def beside(rollback: Rollback) -> str:
    """Sentences for the end about others: that a stack rolls back too, and whose rollback failed before."""
    failed = f" {rollback.choice.failed_rollback}." if rollback.choice.failed_rollback else ""
    return f"{rolls_back_too(rollback.choice.suspect_stack, rollback.choice.stack_status)}{failed}"


def why_it_failed(rollback: Deployment, deployer: str) -> str:
    """`CodeDeploy's own rollback d-4 is Failed (HEALTH_CONSTRAINTS): too few instances`, without a full stop."""
    code = f" ({rollback.error_code})" if rollback.error_code else ""
    said = f": {rollback.error_message.rstrip('.')}" if rollback.error_message else ""
    who = whose(rollback, deployer)
    return f"{who[0].upper()}{who[1:]} {rollback.deployment_id} is {rollback.status}{code}{said}"
