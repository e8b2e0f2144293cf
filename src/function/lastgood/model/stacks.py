"""CloudFormation's stacks: whether one holds what a rollback would move, and the state that it is in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

_GOES_BACK = frozenset(
    {"UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}
)


def goes_back_by_itself(status: str) -> bool:
    """The stack is rolling back: what it holds is put back by its own deployment."""
    return status in _GOES_BACK


@dataclass(frozen=True, slots=True)
class Origin:
    """What CloudFormation said about the alias or the service that a rollback would move.

    `stack` is the id of the stack whose template holds it, `root` the outermost stack where that one is nested.
    `status` is the state of the outermost one, which alone can be acted on; empty where it could not be read.
    `problem`: why nobody can tell whether one holds it. Without `stack` and `problem` it belongs to none. `groups` are
    the keys of what the same stack deploys. `stage` is the key of the pipeline's stage that releases it, where the
    settings name one that may be rolled back, and `stage_run` is the execution in it that released what would go back.
    `logical_id` is the template's name of what is moved. `updated_at` is when the outermost stack's last update began,
    and `settled_at` when the stack was last done with what is moved, as far as that is known. `bypassed`: the stack is
    at rest, and somebody else released the suspect after that.
    """

    stack: str = ""
    status: str = ""
    root: str = ""
    problem: str = ""
    groups: frozenset[str] = frozenset()
    stage: str = ""
    stage_run: str = ""
    logical_id: str = ""
    updated_at: datetime | None = None
    settled_at: datetime | None = None
    bypassed: bool = False

    @property
    def acted_on(self) -> str:
        """The stack that is cancelled or rolled back: the outermost one."""
        return self.root or self.stack

    @property
    def kind(self) -> str:
        """`stack`, `bypassed`, `none` or `unknown`."""
        if self.stack:
            return "bypassed" if self.bypassed else "stack"
        return "unknown" if self.problem else "none"
