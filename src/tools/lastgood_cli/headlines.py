"""What a plan would do, in a few words. Pure."""

from __future__ import annotations

from lastgood.judgement.stacks import name_of
from lastgood.judgement.steps import Adopt, AskApproval, CancelUpdate, Close, Decision, Stop, Wait
from lastgood.model import Outcome, Reason


def headline(decision: Decision) -> str:
    """The decision in a few words."""
    if by_others := _by_who_released_it(decision):
        return by_others
    good = decision.good.revision.label or decision.good.revision.identity if decision.good else ""
    match decision:
        case Stop(then=Outcome()):
            return f"It would stop the deployment, put nothing back, and call people ({decision.reason})"
        case Adopt():
            return f"It would adopt the rollback to {good} that is under way"
        case AskApproval():
            return f"It would ask for approval to roll back to {good}"
        case Close(outcome=Outcome.DRY_RUN):
            return f"It would only record that it would roll back to {good} ({decision.reason})"
        case Close():
            return f"It would not roll back: {decision.outcome} ({decision.reason})"
        case Wait():
            return "It would wait"
        case _:
            return f"It would roll back to {good}"


def _by_who_released_it(decision: Decision) -> str:
    """That a stack or a stage puts it back; empty where lastgood itself does."""
    match decision:
        case CancelUpdate(stack=stack):
            return f"It would cancel the update of the stack {name_of(stack)}, which then goes back"
        case Close(passes_on=stage) if stage:
            return f"It would roll {stage} back instead, which released it"
        case Close(reason=Reason.RELEASED_BY_PIPELINE):
            return "It would roll back the stage that released it instead"
        case _:
            return ""
