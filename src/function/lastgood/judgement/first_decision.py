"""The first decision: the guards are asked in their order, and again once people have approved."""

from __future__ import annotations

from dataclasses import replace

from lastgood.judgement.case import Case
from lastgood.judgement.first_step import first_step
from lastgood.judgement.guards import GUARDS
from lastgood.judgement.steps import Decision, Wait
from lastgood.judgement.wording import duration
from lastgood.model import Reason


def judge(case: Case) -> Decision:
    """The first guard's objection; if no guard objects, the first step."""
    objections = (guard.check(case) for guard in GUARDS)
    decision = next((objection for objection in objections if objection is not None), None) or first_step(case)
    return replace(decision, explanation=f"{decision.explanation} {decision.chosen.remark}".strip())


def await_approval(case: Case) -> Decision:
    """Wait for the approval, then judge again: what was true when people were asked may no longer be."""
    rollback = case.rollback
    if rollback.progress.rejected_by:
        return case.refuse(Reason.APPROVAL_REJECTED, f"{rollback.progress.rejected_by} rejected it.")
    if rollback.progress.approved_by:
        return judge(replace(case, approved=True))
    if case.now - rollback.opened_at > case.policy.approval_expiry:
        return case.refuse(
            Reason.APPROVAL_EXPIRED,
            f"Nobody approved it within {duration(case.policy.approval_expiry)}.",
        )
    return Wait(Reason.NEEDS_APPROVAL, "It waits for somebody to approve or reject it.")
