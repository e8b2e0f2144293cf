"""CloudFormation's stacks: whether one holds what a rollback would move, and the state that it is in."""

from __future__ import annotations

from dataclasses import dataclass

_GOES_BACK = frozenset(
    {"UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}
)


def goes_back_by_itself(status: str) -> bool:
    """The stack is rolling back: what it holds is put back by its own deployment."""
    return status in _GOES_BACK


@dataclass(frozen=True, slots=True)
class Origin:
    """What CloudFormation said of the alias or the service that a rollback would move.

    `stack` is the id of the stack whose template holds it and `status` that stack's state, empty where it could not be
    read; `root` is the outermost stack where `stack` is nested. `problem`: why nobody can tell whether one holds it.
    Without `stack` and `problem` it belongs to none. `groups` are the keys of what the same stack deploys.
    `stage` is the key of the pipeline's stage that releases it, where the settings name one that may be rolled back.
    """

    stack: str = ""
    status: str = ""
    root: str = ""
    problem: str = ""
    groups: frozenset[str] = frozenset()
    stage: str = ""

    @property
    def kind(self) -> str:
        """`stack`, `none` or `unknown`."""
        if self.stack:
            return "stack"
        return "unknown" if self.problem else "none"
