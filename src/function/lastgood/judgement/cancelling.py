"""The update of a stack, cancelled while it runs: the stack itself then puts back what the update had changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from lastgood.judgement.case import Case
from lastgood.judgement.stacks import advice, name_of
from lastgood.judgement.steps import CancelUpdate, Close, Decision, Wait, block, wait
from lastgood.judgement.theirs import same
from lastgood.judgement.wording import clock, subject
from lastgood.model import BEFORE, Origin, Outcome, Reason, goes_back_by_itself

RUNNING = "UPDATE_IN_PROGRESS"

CLOCKS_DIFFER_BY = timedelta(seconds=5)
"""CloudFormation and CodeDeploy may date one moment so differently."""

CANCELLED_AGAIN_AFTER = timedelta(seconds=30)
"""An unconfirmed cancellation is asked for again after this long, with the same token."""


def may_be_cancelled(case: Case) -> bool:
    """Whether the settings name the stack, its update still runs, and cancelling it puts back what we would."""
    origin, good, suspects = case.seen.origin, case.selection.good, case.attribution.suspects
    if origin is None or origin.status != RUNNING or not _named(case, origin) or good is None or not suspects:
        return False
    if _is_another(origin, suspects[0].created_at):
        return False
    if case.forced or case.rollback.trigger.to_deployment_id or case.late:
        return False
    # It goes back to what was there before this update; an earlier one that is blamed too would stay.
    began = origin.updated_at or suspects[0].created_at
    older = (d for d in case.seen.history if d.status == "Succeeded" and d.created_at < began)
    return next((before.deployment_id == good.deployment_id or same(before, good) for before in older), False)


def _is_another(origin: Origin, suspect_created_at: datetime) -> bool:
    """Whether the update that runs began after the suspect was made: it did not make that, and may be the fix."""
    return origin.updated_at is not None and origin.updated_at > suspect_created_at + CLOCKS_DIFFER_BY


def _named(case: Case, origin: Origin) -> bool:
    return bool(origin.stack) and fnmatchcase(name_of(origin.acted_on), case.policy.cancel_stack_updates)


def cancel_update(case: Case) -> Decision:
    """Cancel the whole update."""
    origin = case.seen.origin or Origin()
    return CancelUpdate(
        Reason.STACK_ROLLING_BACK,
        f"{subject(case.attribution.suspect)}, and the update of the stack {origin.acted_on} that made it still runs: "
        "it is cancelled, which undoes all of it, and the stack puts back what was there before.",
        origin.acted_on,
        chosen=case.chosen,
    )


def after_cancel(case: Case) -> Decision | None:
    """What the stack is doing since; None where it has finished, and what it put back has to be proven."""
    progress, origin = case.rollback.progress, case.seen.origin
    asked = progress.stack_cancel_requested_at
    if asked is None or origin is None or case.late:
        return None
    made = case.seen.suspect.created_at if case.seen.suspect else case.rollback.choice.suspect_created_at
    if origin.status == RUNNING and made and _is_another(origin, made):
        return block(
            Reason.OTHER_DEPLOYMENT,
            f"The update of {origin.acted_on} was to be cancelled and is over. Another one runs since "
            f"{clock(origin.updated_at or made)}: it may be the fix, so it is left alone.",
        )
    if origin.status == RUNNING and case.now - asked >= CANCELLED_AGAIN_AFTER:
        return CancelUpdate(
            Reason.STACK_ROLLING_BACK,
            f"The update of {origin.acted_on} still runs, so it is (again) asked to be cancelled.",
            origin.acted_on,
        )
    if origin.status in {RUNNING, ""}:
        return wait(f"The update of {origin.acted_on} is being cancelled.")
    if goes_back_by_itself(origin.status):
        back = "and puts back what was there before"
        return Wait(Reason.STACK_ROLLING_BACK, f"The stack {origin.acted_on} is {origin.status}, {back}.")
    if origin.status == "UPDATE_ROLLBACK_COMPLETE":
        return None
    return _too_late(case, origin)


def released_by_its_stage(good_deployment_id: str, origin: Origin) -> bool:
    """Whether the stage that released the suspect also released what goes back, so that it can put that back.

    What was live before the first deployment of all is what the stage had released before.
    """
    return bool(origin.stage) and (bool(origin.stage_run) or good_deployment_id.endswith(BEFORE))


def _too_late(case: Case, origin: Origin) -> Decision:
    """It did not go back: its update was complete already, or its rollback failed."""
    if released_by_its_stage(case.rollback.choice.good_deployment_id, origin):
        return Close(
            Reason.RELEASED_BY_PIPELINE,
            f"The update of {origin.acted_on} was complete before it could be cancelled. It goes back with the stage "
            f"{origin.stage}, which released it: that is rolled back instead.",
            Outcome.SKIPPED,
            passes_on=origin.stage,
            passes_to=origin.stage_run,
        )
    if origin.status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
        return wait(f"The update of {origin.acted_on} was complete before it could be cancelled; it cleans up.")
    return block(
        Reason.MANAGED_BY_CLOUDFORMATION,
        f"The update of {origin.acted_on} was to be cancelled and did not go back. {advice(origin.stack, origin)}",
    )
