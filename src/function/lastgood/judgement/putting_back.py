"""The good revision goes back: what has to be done at AWS first, and what keeps it from going after all."""

from __future__ import annotations

from lastgood.judgement.case import Case
from lastgood.judgement.proof import TOLD_AFTER, by_the_suspect
from lastgood.judgement.recheck import choice_again
from lastgood.judgement.stacks import left_alone
from lastgood.judgement.steps import (
    ClearAlias,
    Close,
    Create,
    Decision,
    RegisterTaskDefinition,
    block,
    fail,
    wait,
)
from lastgood.judgement.theirs import beside
from lastgood.judgement.wording import listed
from lastgood.model import (
    Deployment,
    Gone,
    GroupFacts,
    LeftOut,
    Live,
    Observation,
    Occupied,
    Outcome,
    Reason,
    Rollback,
    SplitAlias,
    Unregistered,
    same_images,
)


def put_back(case: Case) -> Decision:
    """Nothing is in the way any more: the good revision goes back, unless something else has to be done or said."""
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
    if occupied := seen.needs(Occupied):
        return wait(occupied.why, told_after=TOLD_AFTER)
    return _chore(seen, good) or _created(rollback, seen, good, group)


def _chore(seen: Observation, good: Deployment) -> Decision | None:
    """What has to be done in AWS first; None if nothing."""
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
    choice, put_back = rollback.choice, rollback.group.can().put_back
    again = f"{choice.good_revision}, deployed by {choice.good_deployment_id}, {put_back}."
    told = (preparation.told for preparation in seen.preparations if isinstance(preparation, LeftOut))
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
