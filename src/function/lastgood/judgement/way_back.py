"""From the stop to the redeployment: what is waited for, what is adopted, and when the good revision goes back."""

from __future__ import annotations

from lastgood.judgement.cancelling import after_cancel
from lastgood.judgement.case import Case
from lastgood.judgement.proof import TOLD_AFTER
from lastgood.judgement.putting_back import put_back
from lastgood.judgement.steps import (
    Adopt,
    CancelUpdate,
    ClearAlias,
    Create,
    Decision,
    LetGoOn,
    RegisterTaskDefinition,
    Stop,
    block,
    fail,
    wait,
)
from lastgood.judgement.stopping import held_up, still_active
from lastgood.judgement.theirs import whose
from lastgood.judgement.wording import duration, rolls_back_too
from lastgood.model import (
    NATIVE_ROLLBACK_CREATOR,
    Deployment,
    Reason,
    Rollback,
)


def unless_held(case: Case, decision: Decision) -> Decision:
    """A kill switch or a pause also holds what is under way: nothing more is done until it is lifted."""
    if not isinstance(decision, Stop | ClearAlias | RegisterTaskDefinition | Create | LetGoOn | CancelUpdate):
        return decision
    controls = case.seen.controls
    pauses = [p for p in (controls.pause_all, controls.pause_group) if p and p.holds(case.now)]
    if case.policy.kill_switch:
        return wait("LASTGOOD_KILL_SWITCH is on: the rollback under way is held.")
    if pauses and not case.rollback.trigger.force:
        return wait(f"{pauses[0].requested_by} paused rollbacks: {pauses[0].reason}")
    return decision


def after_stop(case: Case) -> Decision:
    """What follows the stop: wait for it, adopt the deployer's own rollback, or put the good revision back."""
    rollback, suspect = case.rollback, case.seen.suspect
    if (stack := after_cancel(case)) is not None:
        return stack
    if suspect is not None and suspect.active and not rollback.may_replace_running:
        return still_active(case, suspect)
    native = case.seen.rollback
    if not rollback.choice.good_deployment_id:
        return _without_good(case, native)
    if native is not None and not native.ended_badly and native.revision.identity == rollback.choice.good_revision:
        return _adopt(rollback, native)
    if case.late:
        return _not_started(case)
    if native is not None and native.active:
        elsewhere = f"{rollback.group.deployer}'s rollback {native.deployment_id} goes elsewhere; it has to end first."
        return wait(elsewhere, told_after=TOLD_AFTER)
    if _native_may_come(case):
        return wait(f"The deployment is stopped; {rollback.group.deployer}'s own rollback has not shown up yet.")
    return _clear_way(case)


def _without_good(case: Case, native: Deployment | None) -> Decision:
    """Nothing was chosen: adopt the deployer's own rollback if it was asked for, else close and call people."""
    if native is not None and not native.ended_badly:
        return _adopt(case.rollback, native)
    if _native_may_come(case):
        return wait(f"It is stopped; {case.rollback.group.deployer}'s own rollback has not shown up yet.")
    return block(case.rollback.reason_code or Reason.NO_GOOD_REVISION, case.rollback.explanation)


def _not_started(case: Case) -> Decision:
    most = duration(case.policy.deadline)
    return fail(Reason.DEADLINE_PASSED, f"The redeployment could not start within {most}.{held_up(case.rollback)}")


def _native_may_come(case: Case) -> bool:
    """A native rollback was asked for, and still has time to show up."""
    rollback, suspect = case.rollback, case.seen.suspect
    if not rollback.progress.native_rollback_asked or case.seen.rollback is not None:
        return False
    if suspect is None or suspect.status != "Stopped" or rollback.progress.stop_requested_at is None:
        return False
    return case.now - rollback.progress.stop_requested_at < case.policy.native_rollback_grace


def _adopt(rollback: Rollback, deployment: Deployment) -> Decision:
    who = whose(deployment, rollback.group.deployer)
    return Adopt(
        Reason.NATIVE_ROLLBACK if deployment.is_rollback else Reason.ALREADY_ROLLING_BACK,
        f"{who[0].upper()}{who[1:]} {deployment.deployment_id} to {deployment.revision.name} is adopted and watched."
        f"{rolls_back_too(rollback.choice.suspect_stack, rollback.choice.stack_status)}",
        deployment,
    )


def _found(deployment: Deployment) -> Decision:
    return Adopt(
        Reason.IN_PROGRESS,
        f"{deployment.deployment_id} carries this rollback's marker: it was created, though no answer came.",
        deployment,
        ours=True,
    )


def redeploy(case: Case) -> Decision:
    """Adopt the redeployment if it was created already; create it only when it certainly was not."""
    if case.seen.rollback is not None:
        return _found(case.seen.rollback)
    if case.late:
        return _not_started(case)
    attempted = case.rollback.progress.create_attempted_at
    if attempted is not None and case.now - attempted < case.policy.create_settle:
        return wait("Whether the redeployment was created is not known yet; it is looked for before anything is tried.")
    return _clear_way(case)


def _clear_way(case: Case) -> Decision:
    """Redeploy, unless somebody else has released to the group since: that, running or done, may be the fix."""
    rollback, newest = case.rollback, case.seen.newest
    if newest is None:
        return put_back(case)
    if newest.made_by == rollback.rollback_id:
        return _found(newest)
    if newest.active and newest.deployment_id == rollback.choice.suspect_deployment_id:
        if rollback.may_replace_running:
            return put_back(case)
        return still_active(case, newest)
    if _puts_it_back(rollback, newest):
        return _adopt(rollback, newest)
    if _released_since(rollback, newest):
        return block(
            Reason.OTHER_DEPLOYMENT,
            f"{newest.deployment_id} ({newest.revision.name}) came meanwhile and is {newest.status}. It may be the "
            "fix, so it is left alone.",
        )
    if newest.active:
        occupier = f"{newest.deployment_id} ({newest.revision.name})"
        return wait(f"{occupier} occupies the deployment group; it has to end first.", told_after=TOLD_AFTER)
    return put_back(case)


def _released_since(rollback: Rollback, newest: Deployment) -> bool:
    """Somebody released something after the signal. What came before the signal, the guards have judged."""
    changes = newest.active or newest.created_at > (rollback.trigger.alarm_changed_at or rollback.trigger.signal_at)
    known = {rollback.choice.suspect_deployment_id, rollback.choice.failed_rollback_id}
    return changes and newest.is_release and newest.deployment_id not in known


def _puts_it_back(rollback: Rollback, newest: Deployment) -> bool:
    """The deployer, or a person, is putting the good revision back, or has just done so."""
    theirs = newest.is_release and newest.deployment_id != rollback.choice.good_deployment_id
    native = newest.creator == NATIVE_ROLLBACK_CREATOR
    return (theirs or native) and not newest.ended_badly and newest.revision.identity == rollback.choice.good_revision
