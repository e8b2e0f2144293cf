"""From the stop to the redeployment: what is waited for, what is adopted, and when the good revision goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.judgement.cancelling import after_cancel
from lastgood.judgement.case import Case
from lastgood.judgement.proof import TOLD_AFTER, by_the_suspect
from lastgood.judgement.recheck import choice_again
from lastgood.judgement.stacks import left_alone
from lastgood.judgement.steps import (
    Adopt,
    CancelUpdate,
    ClearAlias,
    Close,
    Create,
    Decision,
    LetGoOn,
    RegisterTaskDefinition,
    Stop,
    block,
    fail,
    wait,
)
from lastgood.judgement.theirs import beside, whose
from lastgood.judgement.wording import at_a_gate, duration, listed, rolls_back_too
from lastgood.model import (
    NATIVE_ROLLBACK_CREATOR,
    Deployment,
    Gone,
    GroupFacts,
    LeftOut,
    Live,
    Observation,
    Outcome,
    Reason,
    Rollback,
    SplitAlias,
    Unregistered,
    same_images,
)

HANGS_AFTER = timedelta(minutes=10)
"""A stop takes seconds; after this long something is not answering (70 minutes in acquia/moonshot#39)."""

# A stop that nobody confirmed is asked for again after this long: the first request may never have been sent.
STOP_AGAIN_AFTER = timedelta(seconds=30)
_TAKEN = {"Pending", "Accepted"}


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
        return _still_active(case, suspect)
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
    return fail(Reason.DEADLINE_PASSED, f"The redeployment could not start within {most}.{_held_up(case.rollback)}")


def _still_active(case: Case, suspect: Deployment) -> Decision:
    rollback = case.rollback
    if case.late:
        most = duration(case.policy.deadline)
        still = (
            f"{suspect.deployment_id} is still {suspect.status}, {most} after the rollback began.{_held_up(rollback)}"
        )
        return fail(Reason.DEADLINE_PASSED, still)
    asked = rollback.progress.stop_requested_at
    paused = bool(suspect.gate and suspect.gate.hook_id) and asked is not None and case.now - asked >= STOP_AGAIN_AFTER
    if asked is not None and rollback.progress.stop_answer in _TAKEN and not paused:
        return _stopping(case, suspect, asked)
    if asked is not None and case.now - asked < STOP_AGAIN_AFTER:
        return wait(f"{suspect.deployment_id} is stopping.")
    again = Stop(
        Reason.SUSPECT_ACTIVE,
        f"{suspect.deployment_id} is {suspect.status}{at_a_gate(suspect)}, so it is (again) asked to stop.",
        suspect,
        rollback.progress.native_rollback_asked,
    )
    if rollback.choice.good_deployment_id:
        return again
    # The record keeps its reason, why nothing can go back, until it is closed.
    return replace(again, reason=rollback.reason_code or again.reason, explanation=rollback.explanation)


def _stopping(case: Case, suspect: Deployment, asked: datetime) -> Decision:
    """The stop was accepted, so asking again would not help. It may be waiting for an instance whose agent is dead."""
    took = case.now - asked
    if took < HANGS_AFTER:
        return wait(f"{suspect.deployment_id} is stopping.")
    deployer, silent = case.rollback.group.deployer, listed(case.seen.silent)
    who = f"{silent} {'does' if len(case.seen.silent) == 1 else 'do'} not answer" if silent else "something in it waits"
    todo = "detach or terminate it, or restart its CodeDeploy agent" if silent else "see what in it is waiting"
    return wait(
        f"The stop of {suspect.deployment_id} hangs: {deployer} took it {duration(took)} ago and it is still "
        f"{suspect.status}, for {who}. To free it, {todo}; the rollback then goes on by itself.",
        told_after=timedelta(0),
    )


def _held_up(rollback: Rollback) -> str:
    progress = rollback.progress
    return f" {progress.held_up_by}" if progress.held_up_by and progress.held_up_ended_at is None else ""


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
        return _put_back(case)
    if newest.made_by == rollback.rollback_id:
        return _found(newest)
    if newest.active and newest.deployment_id == rollback.choice.suspect_deployment_id:
        if rollback.may_replace_running:
            return _put_back(case)
        return _still_active(case, newest)
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
    return _put_back(case)


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


def _put_back(case: Case) -> Decision:
    rollback, seen = case.rollback, case.seen
    objection = _objection(rollback, seen) or choice_again(case)
    if objection is not None:
        return objection
    good, group, gone, split = seen.good, seen.group, seen.needs(Gone), seen.needs(SplitAlias)
    if gone or good is None or group is None:
        why = gone.why if gone else f"{rollback.choice.good_deployment_id} or its deployment group is gone."
        return fail(Reason.REDEPLOY_REFUSED, f"{rollback.choice.good_revision} cannot be deployed any more: {why}")
    if not split and _there_already(rollback, group, good, seen.live):
        live_again = f"{rollback.choice.good_revision} is live again; nothing had to be redeployed.{beside(rollback)}"
        return Close(Reason.VERIFIED, live_again, Outcome.ROLLED_BACK)
    if left_alone(rollback):
        return _left_to_the_stack(rollback)
    return _chore(seen, good) or _created(rollback, seen, good, group)


def _chore(seen: Observation, good: Deployment) -> Decision | None:
    """What has to be done at AWS first; None if nothing."""
    if split := seen.needs(SplitAlias):
        return ClearAlias(
            Reason.IN_PROGRESS,
            "The alias still sends traffic to two versions; it is cleared, or every later deployment would fail.",
            good,
            split,
        )
    if lapsed := seen.needs(Unregistered):
        return RegisterTaskDefinition(Reason.IN_PROGRESS, _why_registered(lapsed), good, lapsed)
    return None


def _created(rollback: Rollback, seen: Observation, good: Deployment, group: GroupFacts) -> Decision:
    again = f"{rollback.choice.good_revision}, deployed by {rollback.choice.good_deployment_id}, is deployed again."
    told = (each.told for each in seen.preparations if isinstance(each, LeftOut))
    return Create(Reason.IN_PROGRESS, " ".join([again, *told]), good, group, seen.live, seen.suspect)


def _left_to_the_stack(rollback: Rollback) -> Decision:
    return block(
        Reason.MANAGED_BY_CLOUDFORMATION,
        f"{rollback.choice.suspect_deployment_id} is stopped, and {rollback.group.deployer} put nothing back by "
        "itself. A redeployment would leave the stack believing in another version: see that it rolls back "
        f"({rollback.choice.suspect_stack or 'which stack holds it could not be told'}).",
    )


def _why_registered(lapsed: Unregistered) -> str:
    if not lapsed.pins:
        return f"{lapsed.task_definition} is INACTIVE; it is registered again unchanged."
    moved, name = listed([image.reference for image in lapsed.pins]), lapsed.task_definition
    return f"{moved} means another image by now; {name} is registered again with the digests that served."


def _objection(rollback: Rollback, seen: Observation) -> Decision | None:
    """What an operator has said against the chosen revision since it was chosen."""
    if rollback.trigger.force and rollback.trigger.to_deployment_id:
        return None
    identity, floor = rollback.choice.good_revision, seen.controls.floor
    marked = seen.controls.known_bad_since.get(identity, rollback.opened_at)
    if identity in seen.controls.known_bad and marked >= rollback.opened_at:
        return block(Reason.KNOWN_BAD, f"{identity} is known bad by now: {seen.controls.known_bad[identity]}.")
    if floor and seen.good and seen.good.created_at < floor.created_at:
        return block(
            Reason.BELOW_FLOOR,
            f"{seen.good.deployment_id} is older than the floor {floor.deployment_id} that was set meanwhile. It comes "
            f"from {floor.source}. Fix forward, or revert the commit and release it.",
            floor.deployment_id,
        )
    return None


def _there_already(rollback: Rollback, group: GroupFacts, good: Deployment, live: Live) -> bool:
    """Whether the good revision is live. Only for platforms whose live state can be read: servers may be half way."""
    readable = rollback.group.can(group.compute_platform).reads_live
    if not readable or live.split or live.identity != rollback.choice.good_revision:
        return False
    return not by_the_suspect(rollback, live) and same_images(live.images, good.revision.images) is not False
