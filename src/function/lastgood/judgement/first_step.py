"""The first step of a rollback that no guard refused: stop, take over, or go on to the redeployment."""

from __future__ import annotations

from dataclasses import replace

from lastgood.judgement.case import Case
from lastgood.judgement.steps import Adopt, Decision, Proceed, Stop
from lastgood.judgement.wording import label, name, subject
from lastgood.model import Deployment, Reason


def first_step(case: Case) -> Decision:
    """The first step of a rollback that no guard refused."""
    adopt = case.attribution.adopt
    if adopt is not None:
        return _take_over(case, adopt)
    suspect, good = case.attribution.suspect, case.selection.good
    if suspect and suspect.active:
        native = _native_flip(case)
        if case.rollback.replaces and not native:
            return Proceed(
                Reason.SUSPECT_ACTIVE,
                f"{subject(suspect)}. A stop would bring back what was before it, which is not what is wanted: "
                f"{name(good)} is deployed in its place.",
                chosen=case.chosen,
            )
        how = case.rollback.group.can().rolls_back_by_itself if native else f"then {name(good)} is deployed again"
        return Stop(
            Reason.SUSPECT_ACTIVE,
            f"{subject(suspect)}: it is stopped, {how}.",
            suspect,
            native,
            chosen=case.chosen,
        )
    if suspect and suspect.rollback_deployment_id:
        return Proceed(
            Reason.SUSPECT_STOPPED,
            f"{case.rollback.group.deployer} stopped {suspect.deployment_id} and started "
            f"{suspect.rollback_deployment_id}.",
            chosen=case.chosen,
        )
    succeeded = suspect is None or suspect.status == "Succeeded"
    return Proceed(
        Reason.SUSPECT_SUCCEEDED if succeeded else Reason.SUSPECT_STOPPED,
        f"{subject(suspect)}: {name(good)}, the last good revision, is deployed again.",
        chosen=case.chosen,
    )


def _take_over(case: Case, adopt: Deployment) -> Decision:
    chosen = replace(case.chosen, good=case.selection.good or adopt)
    if adoptable(case):
        return Adopt(
            Reason.NATIVE_ROLLBACK,
            f"{adopt.deployment_id} is already rolling back to {label(adopt)}: that is adopted and watched.",
            adopt,
            chosen=chosen,
        )
    return Proceed(
        Reason.NATIVE_ROLLBACK,
        f"{case.rollback.group.deployer} is rolling back to {label(adopt)}, which is not acceptable; once "
        f"{adopt.deployment_id} has ended, {name(case.selection.good)} is deployed.",
        chosen=chosen,
    )


def adoptable(case: Case) -> bool:
    """CodeDeploy's rollback goes to a revision that we would accept ourselves."""
    adopt = case.attribution.adopt
    if adopt is None:
        return False
    identity = adopt.revision.identity
    good = case.selection.good
    return identity not in case.seen.controls.known_bad and (good is None or good.revision.identity == identity)


def _native_flip(case: Case) -> bool:
    """CodeDeploy's own rollback is the quick way where it only moves traffic, if it goes where we would go."""
    group, good = case.seen.group, case.selection.good
    if group is None or good is None or not case.policy.native_rollback or case.rollback.to_deployment_id:
        return False
    moves_traffic = group.blue_green or case.rollback.group.can(group.compute_platform).native_moves_traffic
    last = next((d for d in case.seen.history if d.deployment_id == group.last_successful_id), None)
    return moves_traffic and last is not None and last.revision.identity == good.revision.identity
