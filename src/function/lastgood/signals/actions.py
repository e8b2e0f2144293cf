"""What operators may ask for: one table, from which the parser, the dispatch, the command and the examples are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from lastgood.model import controllers
from lastgood.signals.types import DrillSignal, HealthRequest, OperatorRequest, SweepSignal

ECS_SERVICE = "ecs_service"
GROUP = ("application", "deployment_group")
_WHO_AND_WHY = ("reason", "requested_by")
_DEPLOYMENT = (*GROUP, "deployment_id", *_WHO_AND_WHY)

type Answer = dict[str, Any]


class Handlers(Protocol):
    """What carries out the requests: one method for each action that people ask for. Each returns one result."""

    def rollback(self, request: OperatorRequest) -> Answer: ...
    def approve(self, request: OperatorRequest) -> Answer: ...
    def reject(self, request: OperatorRequest) -> Answer: ...
    def status(self, request: OperatorRequest) -> Answer: ...
    def pause(self, request: OperatorRequest) -> Answer: ...
    def resume(self, request: OperatorRequest) -> Answer: ...
    def set_mode(self, request: OperatorRequest) -> Answer: ...
    def release(self, request: OperatorRequest) -> Answer: ...
    def set_floor(self, request: OperatorRequest) -> Answer: ...
    def clear_floor(self, request: OperatorRequest) -> Answer: ...
    def mark(self, request: OperatorRequest) -> Answer: ...


_EXAMPLE_VALUES: Mapping[str, str | bool] = {
    "application": "shop",
    "deployment_group": "prod",
    "rollback_id": "<rollback_id>",
    "deployment_id": "d-A1B2C3D4E",
    "mode": "observe",
    "reason": "error rate after release",
    "requested_by": "me",
}

type Handler = Callable[[Handlers], Callable[[OperatorRequest], Answer]]
type Errand = SweepSignal | DrillSignal | HealthRequest


class Door(StrEnum):
    """An alias of the function: with `LASTGOOD_DOORS` an action is accepted only through its own alias."""

    READ = "read"
    OPERATE = "operate"
    APPROVE = "approve"


OPENS: Mapping[str, frozenset[Door]] = {
    Door.READ: frozenset({Door.READ}),
    Door.OPERATE: frozenset({Door.READ, Door.OPERATE}),
    Door.APPROVE: frozenset({Door.READ, Door.APPROVE}),
}
"""What may be asked through each alias. Approving takes another alias than operating, and so another permission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One action.

    `about`: a sentence for people. `does`: the method that carries it out, or the signal that it stands for.
    `required`, `optional`: its fields besides `action`. `example`: values of the example event, where the usual ones do
    not fit. `command`: the words after `lastgood` that ask for it; empty where no command does. `question`: what that
    command asks first, with the fields in braces and `{group}` for the group. `awaited`: it advances a rollback whose
    outcome the command can wait for. `door`: the alias that it must come through; None where any caller may ask.
    """

    name: str
    about: str
    does: Handler | Errand
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    example: Mapping[str, str | bool] = field(default_factory=dict)
    command: str = ""
    question: str = ""
    awaited: bool = False
    door: Door | None = Door.OPERATE

    @property
    def known(self) -> tuple[str, ...]:
        """Every field, as a refusal lists them, with those that name other controllers' services and stages."""
        fields = ("action", *self.required, *self.optional)
        instead = (name for can in controllers().values() for name in can.address if can.key_prefix)
        return (*fields, *instead) if set(GROUP) <= set(fields) else fields

    @property
    def handler(self) -> Handler:
        """The method that carries it out. Raises TypeError for an action that stands for a signal instead."""
        if isinstance(self.does, SweepSignal | DrillSignal | HealthRequest):
            raise TypeError(f"{self.name} is no request")
        return self.does

    @property
    def event(self) -> dict[str, str | bool]:
        """A correct event, to copy into the console. That of a rollback is a dry run."""
        values = {**_EXAMPLE_VALUES, **self.example}
        named = [name for name in (*self.required, *self.optional) if name in self.required or name in self.example]
        return {"action": self.name, **{name: values[name] for name in named}}


_TABLE = (
    Act(
        name="rollback",
        about="Roll a deployment group back to its last good revision.",
        does=lambda do: do.rollback,
        required=(*GROUP, *_WHO_AND_WHY),
        optional=("dry_run", "to_deployment_id", "force"),
        example={"dry_run": True},
        command="rollback",
        question="Roll back {group}{to_deployment_id}{force}?",
        awaited=True,
    ),
    Act(
        name="approve",
        about="Let a rollback that waits for approval go on. Everything is checked again first.",
        does=lambda do: do.approve,
        required=("rollback_id", "requested_by"),
        optional=("reason",),
        command="approve",
        door=Door.APPROVE,
        question="Approve {rollback_id}?",
        awaited=True,
    ),
    Act(
        name="reject",
        about="Close a rollback that waits for approval; nothing is touched.",
        does=lambda do: do.reject,
        required=("rollback_id", *_WHO_AND_WHY),
        example={"reason": "the alarm was a false one"},
        command="reject",
        door=Door.APPROVE,
        question="Reject {rollback_id}?",
    ),
    Act(
        name="status",
        about="Show the state of a rollback, with its steps.",
        does=lambda do: do.status,
        required=("rollback_id",),
        optional=_WHO_AND_WHY,
        door=Door.READ,
    ),
    Act(
        name="pause",
        about="Stop all rollbacks, or those of one deployment group, from the next decision on.",
        does=lambda do: do.pause,
        required=_WHO_AND_WHY,
        optional=(*GROUP, "until"),
        example={"application": "shop", "deployment_group": "prod", "until": "2h", "reason": "planned load test"},
        command="pause",
        question="Pause {group}{until}?",
    ),
    Act(
        name="resume",
        about="Take a pause back: that of everything, or that of one deployment group.",
        does=lambda do: do.resume,
        required=_WHO_AND_WHY,
        optional=GROUP,
        example={"application": "shop", "deployment_group": "prod", "reason": "the load test is over"},
        command="resume",
        question="Resume {group}?",
    ),
    Act(
        name="set_mode",
        about="Say how far lastgood goes by itself for a deployment group.",
        does=lambda do: do.set_mode,
        required=(*GROUP, "mode", *_WHO_AND_WHY),
        optional=("until",),
        example={"until": "2h", "reason": "watch the new alarm first"},
        command="mode",
        question="Set {group} to {mode}{until}?",
    ),
    Act(
        name="release",
        about="Open the pipeline's stage that a rollback of this deployment group holds.",
        does=lambda do: do.release,
        required=(*GROUP, *_WHO_AND_WHY),
        example={"reason": "the fix is ready"},
        command="release",
        question="Release the pipeline of {group}?",
    ),
    Act(
        name="set_floor",
        about="From now on nothing older than this deployment is redeployed.",
        does=lambda do: do.set_floor,
        required=_DEPLOYMENT,
        example={"reason": "column orders.old_total is dropped"},
        command="floor set",
        question="Never redeploy to {group} what is older than {deployment_id}?",
    ),
    Act(
        name="clear_floor",
        about="This deployment is no longer a floor, whether an operator or the release itself made it one.",
        does=lambda do: do.clear_floor,
        required=_DEPLOYMENT,
        example={"reason": "column orders.old_total is back"},
        command="floor clear",
        question="Let {group} go back past {deployment_id} again?",
    ),
    Act(
        name="mark_good",
        about="What this deployment deployed may be chosen again.",
        does=lambda do: do.mark,
        required=_DEPLOYMENT,
        example={"reason": "the alarm was a false one"},
        command="mark good",
        question="Mark what {deployment_id} deployed to {group} as good?",
    ),
    Act(
        name="mark_bad",
        about="What this deployment deployed is never chosen again.",
        does=lambda do: do.mark,
        required=_DEPLOYMENT,
        example={"reason": "it loses orders without an alarm"},
        command="mark bad",
        question="Mark what {deployment_id} deployed to {group} as bad?",
    ),
    Act(name="sweep", about="Visit every open rollback now, as the schedule does.", does=SweepSignal(), door=None),
    Act(name="drill", about="Try everything that a rollback would need, without one.", does=DrillSignal(), door=None),
    Act(name="health", about="Say whether the function is set up well.", does=HealthRequest(), door=None),
)

ACTIONS: Mapping[str, Act] = {act.name: act for act in _TABLE}


def alias_of(function_arn: str) -> str:
    """The alias or version in an invoked ARN; empty where the function itself was invoked."""
    parts = function_arn.split(":")
    return parts[7] if len(parts) == 8 else ""
