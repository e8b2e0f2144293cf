"""The first step of a rollback that no guard refused: stop, take over, or go on to the redeployment."""

from __future__ import annotations

from dataclasses import replace

from lastgood.judgement.cancelling import cancel_update, may_be_cancelled
from lastgood.judgement.case import Case
from lastgood.judgement.steps import Adopt, Decision, Proceed, Stop
from lastgood.judgement.theirs import reason_to_watch, same, whose, why_it_failed
from lastgood.judgement.wording import at_a_gate, name, rolls_back_too, subject
from lastgood.model import BEFORE, CLOUDFORMATION_CREATORS, Deployment, Reason, Rejection


def first_step(case: Case) -> Decision:
    """The first step of a rollback that no guard refused."""
    adopt = case.attribution.adopt
    if adopt is not None:
        return _take_over(case, adopt)
    suspect, good, can = case.attribution.suspect, case.selection.good, case.rollback.group.can()
    if may_be_cancelled(case) and not stops_for_a_stack(case):
        return cancel_update(case)
    if suspect and suspect.active:
        native = native_flip(case)
        if case.rollback.may_replace_running and not native:
            return Proceed(
                Reason.SUSPECT_ACTIVE,
                f"{subject(suspect)}. A stop would bring back what was before it, which is not what is wanted: "
                f"{name(good)} is deployed in its place.",
                chosen=case.chosen,
            )
        how = can.rolls_back_by_itself if native else f"then {name(good)} {can.put_back}"
        return Stop(
            Reason.SUSPECT_ACTIVE,
            f"{subject(suspect)}{at_a_gate(suspect)}: it is stopped, {how}."
            f"{rolls_back_too(suspect.stack, stack_status(case))}",
            suspect,
            native,
            chosen=case.chosen,
        )
    failed = case.attribution.failed
    if suspect and suspect.rollback_deployment_id and failed is None:
        return Proceed(
            Reason.SUSPECT_STOPPED,
            f"{can.deployer} stopped {suspect.deployment_id} and started {suspect.rollback_deployment_id}.",
            chosen=case.chosen,
        )
    succeeded = suspect is None or suspect.status == "Succeeded"
    return Proceed(
        Reason.SUSPECT_SUCCEEDED if succeeded else Reason.SUSPECT_STOPPED,
        f"{put_nothing_back(case)}{subject(suspect)}: {name(good)}, the last good revision, {can.put_back}.",
        chosen=case.chosen,
    )


def stack_status(case: Case) -> str:
    """The state of the stack that holds what is moved; empty where it was not read."""
    return case.seen.origin.status if case.seen.origin else ""


def put_nothing_back(case: Case) -> str:
    """A sentence about a rollback that somebody else began and that put nothing back; empty where there was none."""
    failed = case.attribution.failed
    return (
        f"{why_it_failed(failed, case.rollback.group.deployer)}. It did not put back what was live. " if failed else ""
    )


def _take_over(case: Case, adopt: Deployment) -> Decision:
    good, suspect = case.selection.good, case.attribution.suspect
    who, going = whose(adopt, case.rollback.group.deployer), "is rolling" if adopt.active else "has rolled"
    if adoptable(case):
        stack = adopt.stack or (suspect.stack if suspect else "")
        return Adopt(
            reason_to_watch(adopt, suspect),
            f"{adopt.deployment_id}, {who}, {going} back to {adopt.revision.name} already: that is adopted and watched."
            f"{rolls_back_too(stack, stack_status(case))}",
            adopt,
            chosen=replace(case.chosen, good=good if good and same(good, adopt) else adopt),
        )
    return Proceed(
        Reason.NATIVE_ROLLBACK,
        f"{adopt.deployment_id}, {who}, {going} back to {adopt.revision.name}, which is not acceptable; once "
        f"it has ended, {name(good)} {case.rollback.group.can().put_back}.",
        chosen=case.chosen,
    )


def adoptable(case: Case) -> bool:
    """Whether a rollback that somebody else began goes to a revision that we would accept.

    A revision that is blamed or known bad is never accepted. AWS's own rollback must go to the revision that we would
    choose; a person's may go to another, because a person may know more.
    """
    adopt, good = case.attribution.adopt, case.selection.good
    if adopt is None:
        return False
    healed = good is not None and good.revision.identity == adopt.revision.identity
    if case.seen.controls.known_bad_as(adopt.revision) and not healed:
        return False
    if any(same(adopt, suspect) for suspect in case.attribution.suspects):
        return False
    # Lack of proof is no reason to work against a rollback that is already running.
    unproven = {c.revision for c in case.selection.candidates if c.rejection is Rejection.UNPROVEN}
    accepted = {good.revision.identity, *unproven} if good else set()
    return not adopt.is_rollback or good is None or adopt.revision.identity in accepted


def stops_for_a_stack(case: Case) -> bool:
    """A stack's release runs, and CodeDeploy would put back what we would. (Its hook for ECS allows no stop.)"""
    suspect, group = case.attribution.suspect, case.seen.group
    if suspect is None or group is None or not suspect.active:
        return False
    can = case.rollback.group.can(group.compute_platform)
    held = can.held_by_hook and suspect.creator in CLOUDFORMATION_CREATORS
    return not held and native_flip(case)


def native_flip(case: Case) -> bool:
    """Whether to use the deployer's own rollback: it only moves traffic, and goes to the revision we would choose."""
    group, good = case.seen.group, case.selection.good
    if group is None or good is None or not case.policy.native_rollback or case.rollback.trigger.to_deployment_id:
        return False
    last = next((d for d in case.seen.history if d.deployment_id == group.last_successful_id), None)
    if last is None or not case.rollback.group.moves_traffic(group):
        return False
    if case.rollback.group.can(group.compute_platform).native_reroutes:
        # Also where nobody can read what the last success deployed: what still stands says it.
        return last.deployment_id == good.deployment_id or _stands_for(good, last) or same(last, good)
    return not last.revision.rewritten and (last.deployment_id == good.deployment_id or same(last, good))


def _stands_for(good: Deployment, last: Deployment) -> bool:
    """Whether what was live before the suspect stands in for a last success that cannot be read."""
    return good.deployment_id.endswith(BEFORE) and not last.revision.identity
