"""From the stop to the redeployment: what is waited for, what is adopted, and when the good revision goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.judgement.steps import Action, Decision, block, fail, wait
from lastgood.judgement.wording import duration, label
from lastgood.model import (
    NATIVE_ROLLBACK_CREATOR,
    Deployment,
    Observation,
    Outcome,
    Policy,
    Reason,
    Rollback,
)

# A stop that nobody confirmed is asked for again after this long: the first request may never have been sent.
STOP_AGAIN_AFTER = timedelta(seconds=30)

_EFFECTS = frozenset({Action.STOP, Action.CLEAR_ALIAS, Action.REGISTER_TASK_DEFINITION, Action.CREATE})


def unless_held(rollback: Rollback, seen: Observation, policy: Policy, now: datetime, next_step: Decision) -> Decision:
    """A kill switch or a pause also holds what is under way: nothing more is done until it is lifted."""
    if next_step.action not in _EFFECTS:
        return next_step
    pauses = [p for p in (seen.controls.pause_all, seen.controls.pause_group) if p and p.holds(now)]
    if policy.kill_switch:
        return wait("LASTGOOD_KILL_SWITCH is on: the rollback under way is held.")
    if pauses and not rollback.force:
        return wait(f"{pauses[0].requested_by} paused rollbacks: {pauses[0].reason}")
    return next_step


def after_stop(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    suspect = seen.suspect
    if suspect is not None and suspect.active and not rollback.replaces:
        return _still_active(rollback, suspect, policy, now)
    if not rollback.good_deployment_id:
        return Decision(
            Action.CLOSE,
            rollback.reason_code or Reason.NO_GOOD_REVISION,
            rollback.explanation,
            Outcome.BLOCKED,
            needs_human=True,
        )
    native = seen.rollback
    if native is not None and native.revision.identity == rollback.good_revision:
        return _adopt(rollback, native)
    if now - rollback.opened_at > policy.deadline:
        return fail(Reason.DEADLINE_PASSED, f"The redeployment could not start within {duration(policy.deadline)}.")
    if native is not None and native.active:
        return wait(f"{rollback.group.deployer}'s rollback {native.deployment_id} goes elsewhere; it has to end first.")
    if _native_may_come(rollback, suspect, native, policy, now):
        return wait(f"The deployment is stopped; {rollback.group.deployer}'s own rollback has not shown up yet.")
    return _clear_way(rollback, seen, policy, now)


def _still_active(rollback: Rollback, suspect: Deployment, policy: Policy, now: datetime) -> Decision:
    if now - rollback.opened_at > policy.deadline:
        return fail(
            Reason.DEADLINE_PASSED,
            f"{suspect.deployment_id} is still {suspect.status}, {duration(policy.deadline)} after the rollback began.",
        )
    asked = rollback.stop_requested_at
    if asked is not None and now - asked < STOP_AGAIN_AFTER:
        return wait(f"{suspect.deployment_id} is stopping.")
    again = Decision(
        Action.STOP,
        Reason.SUSPECT_ACTIVE,
        f"{suspect.deployment_id} is {suspect.status}, so it is (again) asked to stop.",
        deployment=suspect,
        native=rollback.native_rollback_asked,
    )
    if rollback.good_deployment_id:
        return again
    # Why nothing can go back stays the record's reason until it is closed.
    return replace(again, reason=rollback.reason_code or again.reason, explanation=rollback.explanation)


def _native_may_come(
    rollback: Rollback, suspect: Deployment | None, native: Deployment | None, policy: Policy, now: datetime
) -> bool:
    if not rollback.native_rollback_asked or native is not None:
        return False
    if suspect is None or suspect.status != "Stopped" or rollback.stop_requested_at is None:
        return False
    return now - rollback.stop_requested_at < policy.native_rollback_grace


def _adopt(rollback: Rollback, deployment: Deployment) -> Decision:
    return Decision(
        Action.ADOPT,
        Reason.NATIVE_ROLLBACK,
        f"{rollback.group.deployer}'s own rollback {deployment.deployment_id} to {label(deployment)} is adopted and "
        "watched.",
        deployment=deployment,
    )


def _found(deployment: Deployment) -> Decision:
    return Decision(
        Action.ADOPT,
        Reason.IN_PROGRESS,
        f"{deployment.deployment_id} carries this rollback's marker: it was created, though no answer came.",
        deployment=deployment,
    )


def redeploy(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    if seen.rollback is not None:
        return _found(seen.rollback)
    if now - rollback.opened_at > policy.deadline:
        return fail(Reason.DEADLINE_PASSED, f"The redeployment could not start within {duration(policy.deadline)}.")
    attempted = rollback.create_attempted_at
    if attempted is not None and now - attempted < policy.create_settle:
        return wait("Whether the redeployment was created is not known yet; it is looked for before anything is tried.")
    return _clear_way(rollback, seen, policy, now)


def _clear_way(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Nobody else may have come to the group since: what they released, running or done, may be the fix."""
    newest = seen.newest
    if newest is None:
        return _put_back(rollback, seen)
    if newest.made_by == rollback.rollback_id:
        return _found(newest)
    if newest.active and newest.deployment_id == rollback.suspect_deployment_id:
        if rollback.replaces:
            return _put_back(rollback, seen)
        return _still_active(rollback, newest, policy, now)
    if newest.creator == NATIVE_ROLLBACK_CREATOR and newest.revision.identity == rollback.good_revision:
        return _adopt(rollback, newest)
    if _released_since(rollback, newest):
        return block(
            Reason.OTHER_DEPLOYMENT,
            f"{newest.deployment_id} ({label(newest)}) came meanwhile and is {newest.status}. It may be the fix, so "
            "it is left alone.",
        )
    if newest.active:
        return wait(f"{newest.deployment_id} ({label(newest)}) occupies the deployment group; it has to end first.")
    return _put_back(rollback, seen)


def _released_since(rollback: Rollback, newest: Deployment) -> bool:
    """Somebody meant to change what is live after the signal. What was there before it, the guards have judged."""
    changes = newest.active or newest.created_at > (rollback.alarm_changed_at or rollback.signal_at)
    return changes and newest.is_release and newest.deployment_id != rollback.suspect_deployment_id


def _put_back(rollback: Rollback, seen: Observation) -> Decision:
    objection = _objection(rollback, seen)
    if objection is not None:
        return objection
    todo = seen.preparation
    if todo.problem:
        return fail(Reason.REDEPLOY_REFUSED, f"{rollback.good_revision} cannot be deployed any more: {todo.problem}")
    if todo.alias_split:
        return Decision(
            Action.CLEAR_ALIAS,
            Reason.IN_PROGRESS,
            "The alias still sends traffic to two versions; it is cleared, or every later deployment would fail.",
        )
    if _there_already(rollback, seen):
        return Decision(
            Action.CLOSE,
            Reason.VERIFIED,
            f"{rollback.good_revision} is live again; nothing had to be redeployed.",
            Outcome.ROLLED_BACK,
        )
    if todo.register_task_definition:
        return Decision(
            Action.REGISTER_TASK_DEFINITION,
            Reason.IN_PROGRESS,
            f"{todo.register_task_definition} is INACTIVE; it is registered again unchanged.",
        )
    return Decision(
        Action.CREATE,
        Reason.IN_PROGRESS,
        f"{rollback.good_revision}, deployed by {rollback.good_deployment_id}, is deployed again.",
    )


def _objection(rollback: Rollback, seen: Observation) -> Decision | None:
    """What an operator has said against the chosen revision since it was chosen."""
    if rollback.force and rollback.to_deployment_id:
        return None
    identity, floor = rollback.good_revision, seen.controls.floor
    if identity in seen.controls.known_bad:
        return block(Reason.KNOWN_BAD, f"{identity} is known bad by now: {seen.controls.known_bad[identity]}.")
    if floor and seen.good and seen.good.created_at < floor.created_at:
        return block(
            Reason.BELOW_FLOOR,
            f"{seen.good.deployment_id} is older than the floor {floor.deployment_id} that was set meanwhile: "
            f"{floor.reason}. Fix forward, or revert the commit and release it.",
        )
    return None


def _there_already(rollback: Rollback, seen: Observation) -> bool:
    """Only for platforms whose live state can be read; servers may be half way."""
    return (
        seen.group is not None
        and rollback.group.can(seen.group.compute_platform).reads_live
        and not seen.live.split
        and seen.live.identity == rollback.good_revision
    )
