"""The stacks that a stage of a pipeline updates: whether they can be updated now, and whether somebody else did it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError
from lastgood.judgement.stacks import CLOCKS_DIFFER_BY, advice, can_be_updated, name_of
from lastgood.judgement.wording import clock
from lastgood.model import Gone, Occupied, Origin, Preparation


@dataclass(frozen=True, slots=True)
class StageStacks:
    """The stacks of a stage as they are now; those that are not there, or may not be read, are left out."""

    stacks: tuple[Origin, ...] = ()

    @classmethod
    def read(cls, clients: Clients, names: Sequence[str]) -> StageStacks:
        """Ask CloudFormation for each. Raises RetryableError."""
        stacks: list[Origin] = []
        for name in names:
            try:
                told = call(clients.cloudformation, "describe_stacks", StackName=name)["Stacks"][0]
            except RefusedError:
                continue
            stacks.append(Origin(told["StackId"], told["StackStatus"], updated_at=told.get("LastUpdatedTime")))
        return cls(tuple(stacks))

    def problem(self) -> str:
        """Why the stage cannot be rolled back: a stack failed. An action that replaces on failure would delete it."""
        failed = (stack for stack in self.stacks if not can_be_updated(stack.status) and not _moves(stack))
        return next((f"{_named(stack)} has failed. {advice(stack.stack, stack)}" for stack in failed), "")

    def in_the_way(self) -> tuple[Preparation, ...]:
        """What keeps the stage from being rolled back now, or for good."""
        if problem := self.problem():
            return (Gone(problem),)
        moving = next((stack for stack in self.stacks if _moves(stack)), None)
        return (Occupied(f"{_named(moving)} is {moving.status}: it has to come to rest first."),) if moving else ()

    def updated_by_others(self, last: datetime | None) -> str:
        """What an update brought that began after the stage's `last` action had ended; empty where there was none."""
        for stack in self.stacks:
            if last and stack.updated_at and stack.updated_at > last + CLOCKS_DIFFER_BY:
                began = clock(stack.updated_at)
                return f"what the update of the stack {name_of(stack.stack)} brought that began at {began}"
        return ""


def _moves(stack: Origin) -> bool:
    return stack.status.endswith("_IN_PROGRESS")


def _named(stack: Origin) -> str:
    return f"The stack {name_of(stack.stack)}, which the stage updates,"
