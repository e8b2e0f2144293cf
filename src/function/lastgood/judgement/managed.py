"""The guard for what CloudFormation holds: nothing is moved behind a stack's back unless an operator insists."""

from __future__ import annotations

from dataclasses import replace

from lastgood.judgement.cancelling import may_be_cancelled, released_by_its_stage
from lastgood.judgement.case import Case
from lastgood.judgement.first_step import adoptable, put_nothing_back, stops_for_a_stack
from lastgood.judgement.live import live_as_expected
from lastgood.judgement.stacks import advice, can_be_updated
from lastgood.judgement.steps import AskApproval, Decision, Wait
from lastgood.judgement.wording import name
from lastgood.model import Deployment, Mode, Origin, Outcome, Reason, goes_back_by_itself


def not_cloudformation(case: Case) -> Decision | None:
    """Refuse to move what a stack holds.

    Two things are allowed: to watch a rollback that runs already, and to stop a running deployment where CodeDeploy
    then rolls back by itself, as it would for the group's own alarm.
    """
    free = _only_the_deployer_releases(case)
    managed = next((d for d in case.attribution.suspects if (d.made_by_stack if free else d.stack)), None)
    origin = case.seen.origin
    unsure = origin.problem if origin and not managed and not free else ""
    if not (managed or unsure) or case.forced or adoptable(case) or _goes_back_with_its_stack(case):
        return None
    if managed is not None and live_as_expected(case):
        # Somebody moved it meanwhile, as a later guard says. A stage's update would fail: its stack believes otherwise.
        return None
    if managed is not None:
        return _held_by_a_stack(case, managed, origin)
    return case.block(
        Reason.MANAGED_BY_CLOUDFORMATION,
        f"Whether a stack holds what would be moved could not be told: {unsure}. LASTGOOD_FIND_STACKS asks for it, "
        "so nothing is moved but with force.",
    )


def _held_by_a_stack(case: Case, managed: Deployment, origin: Origin | None) -> Decision:
    """Watch the stack that rolls back by itself, go back with the stage that released it, or leave it to people."""
    held = "holds what" if managed.held_by else "made"
    made = f"The stack {managed.stack} {held} {managed.deployment_id}{' moved' if managed.held_by else ''}"
    if origin and goes_back_by_itself(origin.status) and case.has_time:
        return Wait(Reason.STACK_ROLLING_BACK, f"{made}, and rolls back by itself ({origin.status}): it is watched.")
    good = case.selection.good.deployment_id if case.selection.good else ""
    if origin and released_by_its_stage(good, origin) and can_be_updated(origin.status):
        return _by_its_pipeline(case, made, origin)
    return case.block(
        Reason.MANAGED_BY_CLOUDFORMATION,
        f"{put_nothing_back(case)}{made}. A redeployment behind its back would leave the stack believing in another "
        f"version. {_not_by_its_stage(case, origin)}{advice(managed.stack, origin)}",
    )


def _only_the_deployer_releases(case: Case) -> bool:
    """Whether a stack that holds it has no part in its releases: each one leaves the template behind."""
    group = case.seen.group
    return group is not None and case.rollback.group.can(group.compute_platform).stack_cannot_release


def _not_by_its_stage(case: Case, origin: Origin | None) -> str:
    """Why the stage that released the suspect is not rolled back; empty where there is none, or its stack failed."""
    if origin is None or not origin.stage or not can_be_updated(origin.status):
        return ""
    good = case.selection.good
    if good is None:
        return f"The stage {origin.stage} released it, and no good revision is known. "
    return (
        f"The stage {origin.stage} released it, and is not known to have released {name(good)}: rolled back, it might "
        "put back another one. "
    )


def _by_its_pipeline(case: Case, made: str, origin: Origin) -> Decision:
    """The pipeline's stage goes back to the execution that released the good revision, and the stack with it.

    So they keep agreeing.
    """
    plan = f"{made}. It goes back with the stage {origin.stage}, which released it: that is rolled back instead."
    dry_run = case.rollback.trigger.dry_run
    if dry_run or case.policy.mode is Mode.OBSERVE:
        reason, why = (Reason.RELEASED_BY_PIPELINE, "Dry run") if dry_run else (Reason.OBSERVE_MODE, "Observe mode")
        return case.refuse(reason, f"{why}: nothing was done. It would have been this: {plan}", Outcome.DRY_RUN)
    if case.policy.mode is Mode.APPROVE and not case.approved:
        asked = f"This deployment group is in approve mode. The plan: {plan}"
        return AskApproval(Reason.NEEDS_APPROVAL, asked, chosen=case.chosen)
    passed = case.refuse(Reason.RELEASED_BY_PIPELINE, plan)
    return replace(passed, passes_on=origin.stage, passes_to=origin.stage_run)


def _goes_back_with_its_stack(case: Case) -> bool:
    """Whether the stack goes back as well: its own deployment is stopped, or its own update is cancelled."""
    return stops_for_a_stack(case) or may_be_cancelled(case)
