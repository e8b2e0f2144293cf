"""What to do next with a rollback, and why: pure. No call, no clock, no logger.

`decide` looks at the record and at one observation and returns one step. Doing nothing is a step with a reason.
`plan`, `explain`, dry runs and the tests call the same function.

* `case`: what a decision looks at. `steps`: what it returns. `wording`: how explanations name things.
* `blame`: which deployments an alarm blames; `onset`: when its breach began; `theirs`: rollbacks that others began.
* `choice`: which revision goes back; `service`: how long each one served, and how quietly.
* `guards`: the questions before anything is touched, in their order; `held_back`, `managed` and `no_target` answer
  three of them. `stacks` and `release_sets`: what a stack allows, and what else the same release changed.
* `first_step`, `way_back`, `proof`: what is done then, from the stop to the end. `recheck`: may this record act at all?
* `unpinned`: names that do not say what they contain, found before an incident.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from lastgood.judgement.case import Case
from lastgood.judgement.first_decision import await_approval, judge
from lastgood.judgement.proof import verify
from lastgood.judgement.recheck import without_the_lock
from lastgood.judgement.steps import Decision, Wait
from lastgood.judgement.way_back import after_stop, redeploy, unless_held
from lastgood.model import Observation, Phase, Policy, Reason, Rollback


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
