"""What to do next with a rollback, and why: pure. No call, no clock, no logger.

`decide` looks at the record and at one observation and returns one step. Doing nothing is a step with a reason.
`plan`, `explain`, dry runs and the tests call the same function.

* `case`: what a decision looks at. `steps`: what it returns. `wording`: how explanations name things.
* `blame`: which deployments an alarm blames. `choice`: which revision goes back.
* `guards`: the questions before anything is touched, in their order; `no_target` is the longest answer.
* `first_step`, `way_back`, `proof`: what is done then, from the stop to the end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from lastgood.judgement.case import Case
from lastgood.judgement.first_step import first_step
from lastgood.judgement.guards import GUARDS, Guard
from lastgood.judgement.proof import verify
from lastgood.judgement.steps import Action, Decision
from lastgood.judgement.way_back import after_stop, redeploy, unless_held
from lastgood.judgement.wording import duration
from lastgood.model import Observation, Phase, Policy, Reason, Rollback

__all__ = ["GUARDS", "Action", "Case", "Decision", "Guard", "decide"]


def decide(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """The next step of `rollback`, from what was `seen` and the `policy` of its deployment group."""
    match rollback.phase:
        case Phase.CLAIMED:
            return judge(Case(rollback, seen, policy, now))
        case Phase.AWAITING_APPROVAL:
            return await_approval(Case(rollback, seen, policy, now))
        case Phase.STOPPING:
            return unless_held(rollback, seen, policy, now, after_stop(rollback, seen, policy, now))
        case Phase.REDEPLOYING:
            return unless_held(rollback, seen, policy, now, redeploy(rollback, seen, policy, now))
        case Phase.VERIFYING:
            return verify(rollback, seen, policy, now)
        case Phase.CLOSED:
            return Decision(Action.WAIT, rollback.reason_code or Reason.VERIFIED, "It is closed already.")
        case _:
            assert_never(rollback.phase)


def judge(case: Case) -> Decision:
    for guard in GUARDS:
        decision = guard.check(case)
        if decision is not None:
            return decision
    return first_step(case)


def await_approval(case: Case) -> Decision:
    rollback = case.rollback
    if rollback.rejected_by:
        return case.refuse(Reason.APPROVAL_REJECTED, f"{rollback.rejected_by} rejected it.")
    if rollback.approved_by:
        return judge(replace(case, approved=True))
    if case.now - rollback.opened_at > case.policy.approval_expiry:
        return case.refuse(
            Reason.APPROVAL_EXPIRED,
            f"Nobody approved it within {duration(case.policy.approval_expiry)}.",
            needs_human=True,
        )
    return Decision(Action.WAIT, Reason.NEEDS_APPROVAL, "It waits for somebody to approve or reject it.")
