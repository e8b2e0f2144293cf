"""What to do next with a rollback, and why: pure. No call, no clock, no logger.

`decide` looks at the record and at one observation and returns one step. Doing nothing is a step with a reason.
`plan`, `explain`, dry runs and the tests call the same function.

* `case`: what a decision looks at. `steps`: what it returns. `wording`: how explanations name things.
* `blame`: which deployments an alarm blames. `choice`: which revision goes back.
* `guards`: the questions before anything is touched, in their order; `no_target` is the longest answer.
* `first_step`, `way_back`, `proof`: what is done then, from the stop to the end. `recheck`: may this record act at all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from lastgood.judgement.case import Case
from lastgood.judgement.first_step import first_step
from lastgood.judgement.guards import GUARDS, Guard
from lastgood.judgement.proof import verify
from lastgood.judgement.recheck import without_the_lock
from lastgood.judgement.steps import (
    Action,
    Adopt,
    AskApproval,
    Chosen,
    ClearAlias,
    Close,
    Create,
    Decision,
    LetGoOn,
    Proceed,
    RegisterTaskDefinition,
    Stop,
    TakeOver,
    Wait,
    outcome_of,
)
from lastgood.judgement.way_back import after_stop, redeploy, unless_held
from lastgood.judgement.wording import duration
from lastgood.model import Observation, Phase, Policy, Reason, Rollback

__all__ = [
    "GUARDS",
    "Action",
    "Adopt",
    "AskApproval",
    "Case",
    "Chosen",
    "ClearAlias",
    "Close",
    "Create",
    "Decision",
    "Guard",
    "LetGoOn",
    "Proceed",
    "RegisterTaskDefinition",
    "Stop",
    "TakeOver",
    "Wait",
    "decide",
    "outcome_of",
]


def decide(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """The next step of `rollback`, from what was `seen` and the `policy` of its deployment group."""
    case = Case(rollback, seen, policy, now)
    if rollback.open and (stray := without_the_lock(rollback, seen)) is not None:
        return stray
    match rollback.phase:
        case Phase.CLAIMED:
            return judge(case)
        case Phase.AWAITING_APPROVAL:
            return await_approval(case)
        case Phase.STOPPING:
            return unless_held(case, after_stop(case))
        case Phase.REDEPLOYING:
            return unless_held(case, redeploy(case))
        case Phase.VERIFYING:
            return unless_held(case, verify(case))
        case Phase.CLOSED:
            return Wait(rollback.reason_code or Reason.VERIFIED, "It is closed already.")
        case _:
            assert_never(rollback.phase)


def judge(case: Case) -> Decision:
    """The answer of the first guard that objects, or the first step."""
    objections = (guard.check(case) for guard in GUARDS)
    decision = next((each for each in objections if each is not None), None) or first_step(case)
    return replace(decision, explanation=f"{decision.explanation} {decision.chosen.remark}".strip())


def await_approval(case: Case) -> Decision:
    """Judge again once it is approved: what was true when people were asked may no longer be."""
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
