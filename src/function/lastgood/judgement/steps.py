"""The next step of a rollback, as a value: what to do and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lastgood.model import Candidate, Deployment, Outcome, Reason


class Action(StrEnum):
    """The one thing to do now."""

    STOP = "STOP"
    PROCEED = "PROCEED"
    """The plan stands, and nothing has to be stopped (any more): on to the redeployment."""
    ADOPT = "ADOPT"
    CLEAR_ALIAS = "CLEAR_ALIAS"
    REGISTER_TASK_DEFINITION = "REGISTER_TASK_DEFINITION"
    CREATE = "CREATE"
    ASK_APPROVAL = "ASK_APPROVAL"
    WAIT = "WAIT"
    CLOSE = "CLOSE"


@dataclass(frozen=True, slots=True)
class Decision:
    """One step and its reason. `outcome` is set when the step closes the rollback, or will once a stop is done."""

    action: Action
    reason: Reason
    explanation: str
    outcome: Outcome | None = None
    deployment: Deployment | None = None
    native: bool = False
    suspects: tuple[Deployment, ...] = ()
    good: Deployment | None = None
    candidates: tuple[Candidate, ...] = ()
    needs_human: bool = False
    pauses_group: bool = False


def wait(explanation: str) -> Decision:
    return Decision(Action.WAIT, Reason.IN_PROGRESS, explanation)


def fail(reason: Reason, explanation: str) -> Decision:
    return Decision(Action.CLOSE, reason, explanation, Outcome.FAILED, needs_human=True)


def block(reason: Reason, explanation: str) -> Decision:
    return Decision(Action.CLOSE, reason, explanation, Outcome.BLOCKED, needs_human=True)
