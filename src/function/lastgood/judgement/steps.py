"""The possible decisions: one small type per action, which carries what that action needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from lastgood.model import (
    Candidate,
    Deployment,
    GroupFacts,
    Live,
    Outcome,
    Reason,
    SplitAlias,
    Unregistered,
    calls_people,
)


class Action(StrEnum):
    """The names of the actions, as they appear in the audit table and the log."""

    STOP = "STOP"
    PROCEED = "PROCEED"
    ADOPT = "ADOPT"
    TAKE_OVER = "TAKE_OVER"
    CLEAR_ALIAS = "CLEAR_ALIAS"
    REGISTER_TASK_DEFINITION = "REGISTER_TASK_DEFINITION"
    CREATE = "CREATE"
    LET_GO_ON = "LET_GO_ON"
    CANCEL_UPDATE = "CANCEL_UPDATE"
    ASK_APPROVAL = "ASK_APPROVAL"
    WAIT = "WAIT"
    CLOSE = "CLOSE"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The suspects, newest first, what goes back, and every deployment that was looked at for that.

    `failed`: a rollback that somebody else began, and that put nothing back.
    `remark`: what people should know about the choice; `calls_people`: they are called for it even if all goes well.
    `floor`: the deployment that is the floor, where only older ones could go back.
    """

    suspects: tuple[Deployment, ...] = ()
    good: Deployment | None = None
    candidates: tuple[Candidate, ...] = ()
    failed: Deployment | None = None
    remark: str = ""
    calls_people: bool = False
    floor: str = ""


@dataclass(frozen=True, slots=True)
class _Decided:
    """What every decision has. `chosen` is empty in the later ones: the first decision fixes the choice.

    `calls_people`: whether people are called, where that differs from what the catalogue says about the reason.
    """

    reason: Reason
    explanation: str
    chosen: Chosen = field(default=Chosen(), kw_only=True)
    calls_people: bool | None = field(default=None, kw_only=True)

    @property
    def suspects(self) -> tuple[Deployment, ...]:
        """The deployments that are blamed, newest first."""
        return self.chosen.suspects

    @property
    def good(self) -> Deployment | None:
        """The deployment whose revision goes back."""
        return self.chosen.good

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every deployment that was looked at."""
        return self.chosen.candidates

    @property
    def needs_human(self) -> bool:
        """Whether people are called."""
        return calls_people(self.reason, outcome_of(self)) if self.calls_people is None else self.calls_people


@dataclass(frozen=True, slots=True)
class Stop(_Decided):
    """Stop a deployment. `native`: its deployer puts the old revision back itself. `then`: the outcome after that."""

    action: ClassVar = Action.STOP
    deployment: Deployment
    native: bool = False
    then: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Proceed(_Decided):
    """The choice is made, and nothing has to be stopped (any more): continue with the redeployment."""

    action: ClassVar = Action.PROCEED


@dataclass(frozen=True, slots=True)
class Adopt(_Decided):
    """Watch a rollback deployment that exists already as if it had been created now. `ours`: this rollback made it."""

    action: ClassVar = Action.ADOPT
    deployment: Deployment
    ours: bool = False


@dataclass(frozen=True, slots=True)
class TakeOver(_Decided):
    """An adopted rollback, begun by somebody else, put nothing back: go on as if it had never run."""

    action: ClassVar = Action.TAKE_OVER
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class ClearAlias(_Decided):
    """Send all traffic of the alias to one version, so that it can be deployed to."""

    action: ClassVar = Action.CLEAR_ALIAS
    target: Deployment
    todo: SplitAlias


@dataclass(frozen=True, slots=True)
class RegisterTaskDefinition(_Decided):
    """Register the target's task definition again."""

    action: ClassVar = Action.REGISTER_TASK_DEFINITION
    target: Deployment
    todo: Unregistered


@dataclass(frozen=True, slots=True)
class Create(_Decided):
    """Deploy the target's revision again, in place of what is live. `instead_of`: the suspect, where it was read."""

    action: ClassVar = Action.CREATE
    target: Deployment
    group: GroupFacts
    live: Live
    instead_of: Deployment | None = None


@dataclass(frozen=True, slots=True)
class LetGoOn(_Decided):
    """Give the rollback's own deployment the go-ahead that it waits for."""

    action: ClassVar = Action.LET_GO_ON
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class CancelUpdate(_Decided):
    """Cancel the update of the stack that makes, or has just made, the suspect."""

    action: ClassVar = Action.CANCEL_UPDATE
    stack: str


@dataclass(frozen=True, slots=True)
class AskApproval(_Decided):
    """Ask people before anything is touched."""

    action: ClassVar = Action.ASK_APPROVAL


@dataclass(frozen=True, slots=True)
class Wait(_Decided):
    """Do nothing now. `told_after`: people are told what holds the rollback up if it still does after this time.

    `a_moment`: what is waited for takes seconds at most, so the same visit looks again.
    """

    action: ClassVar = Action.WAIT
    told_after: timedelta | None = field(default=None, kw_only=True)
    a_moment: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Close(_Decided):
    """End the rollback. `pauses_group`: no rollback starts there by itself until somebody resumes the group.

    `unfounded`: neither CloudWatch nor the deployer confirmed the signal, so it does not count towards a storm.
    `passes_on`: the key of the pipeline's stage that is rolled back instead, and `passes_to` the execution that it has
    to go back to; empty where the stage itself knows that best.
    """

    action: ClassVar = Action.CLOSE
    outcome: Outcome
    pauses_group: bool = False
    unfounded: bool = False
    passes_on: str = ""
    passes_to: str = ""


type Effect = Stop | ClearAlias | RegisterTaskDefinition | Create | LetGoOn | CancelUpdate
"""The decisions that change something in AWS."""

type Decision = Effect | Proceed | Adopt | TakeOver | AskApproval | Wait | Close
"""The one thing to do now, and why."""


def wait(explanation: str, *, told_after: timedelta | None = None) -> Wait:
    """Nothing to do until the next look."""
    return Wait(Reason.IN_PROGRESS, explanation, told_after=told_after)


def fail(reason: Reason, explanation: str) -> Close:
    """It was tried and did not work; people have to take over."""
    return Close(reason, explanation, Outcome.FAILED)


def block(reason: Reason, explanation: str, floor: str = "") -> Close:
    """It must not be tried; people have to decide. `floor`: the deployment that is the floor, if that is the reason."""
    return Close(reason, explanation, Outcome.BLOCKED, chosen=Chosen(floor=floor))


def outcome_of(decision: _Decided) -> Outcome | None:
    """The outcome that this decision gives the rollback, at once or after its stop; None if it does not end it."""
    match decision:
        case Close():
            return decision.outcome
        case Stop():
            return decision.then
        case _:
            return None
