"""Stacks that own an alias or a service, as a state machine. Standard library only.

    UPDATE_IN_PROGRESS (CodeDeploy's deployment, then the monitoring time)
        → UPDATE_COMPLETE_CLEANUP_IN_PROGRESS → UPDATE_COMPLETE
        └── it failed, was stopped, or the update is cancelled:
            UPDATE_FAILED (rollback disabled), or UPDATE_ROLLBACK_IN_PROGRESS → UPDATE_ROLLBACK_COMPLETE | _FAILED

Sources: API models and user guide (which call is allowed in which state; cancelling works through the monitoring time
of rollback triggers), serverless-application-model#291 (an update whose `CurrentVersion`, the last template's, is not
the alias's fails with INVALID_LAMBDA_CONFIGURATION, and so does every later one), a capture of `sam deploy` (2026-08:
its deployment's creator is `user`). That a rollback moves the alias by a deployment of CodeDeploy is inferred.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from simulated_aws.model import ServiceError

CLEANUP_SECONDS = 10.0
ROLLBACK_SECONDS = 20.0
GOING = frozenset({"UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})


@dataclass(frozen=True)
class Resource:
    """A resource of a stack. `physical` is what its `Ref` gives: an alias's ARN, a group's name."""

    logical: str
    physical: str
    kind: str
    status: str = "UPDATE_COMPLETE"


@dataclass(eq=False)
class Stack:
    """A stack. `believes` is the version or task definition of its last template that went well.

    `moved_at`: when it was last done with its alias or service.
    """

    name: str
    id: str
    group: tuple[str, str]
    resources: tuple[Resource, ...]
    believes: str
    created_at: datetime
    creator: str = "user"
    linked: bool = False
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    updated_at: datetime | None = None
    monitoring_minutes: float = 0.0
    disable_rollback: bool = False
    rollback_fails: bool = False
    root_id: str = ""
    wants: str = ""
    deployment: str = ""
    moved_at: datetime | None = None
    token: str = ""
    tokens: set[str] = field(default_factory=set)
    update: int = 0
    put_back: bool = False

    @property
    def going(self) -> bool:
        """Whether something is going on."""
        return self.status in GOING


class Host(Protocol):
    """What stacks need: time, and somebody who moves the alias or the service."""

    def later(self, seconds: float, act: Callable[[], None]) -> None: ...
    def now(self) -> datetime: ...


class Releases(Protocol):
    """How a stack changes what it owns. Each returns the id of the deployment, empty if none was needed."""

    def deploy(self, stack: Stack, from_: str, to: str, creator: str) -> str: ...
    def stop(self, stack: Stack) -> None: ...
    def live(self, stack: Stack) -> str: ...
    def native_rollback(self, stack: Stack) -> str: ...


class Stacks:
    """Every stack. `tell` hears of each state, with the reason and the token of the operation."""

    def __init__(self, host: Host, releases: Releases, tell: Callable[[Stack], None]) -> None:
        self._host, self._releases, self._tell = host, releases, tell
        self.stacks: dict[str, Stack] = {}
        self.ends: list[Callable[[Stack], None]] = []

    def stack(self, name: str) -> Stack:
        """By name or id. Raises ValidationError."""
        for each in self.stacks.values():
            if name in {each.name, each.id}:
                return each
        raise ServiceError("ValidationError", f"Stack with id {name} does not exist")

    def owner_of(self, physical: str) -> Stack:
        """The stack to which a resource belongs. Raises ValidationError."""
        for each in self.stacks.values():
            if any(resource.physical == physical for resource in each.resources):
                return each
        raise ServiceError("ValidationError", f"Stack for {physical} does not exist")

    def live(self, stack: Stack) -> str:
        """What is live of what a stack owns, whatever the stack believes."""
        return self._releases.live(stack)

    def add(self, name: str, region: str, account: str, group: tuple[str, str], **fields: Any) -> Stack:
        """A stack that exists already."""
        identity = uuid.uuid5(uuid.NAMESPACE_URL, name)
        arn = f"arn:aws:cloudformation:{region}:{account}:stack/{name}/{identity}"
        now = self._host.now()
        self.stacks[name] = Stack(name, arn, group, created_at=now, **{"moved_at": now, **fields})
        return self.stacks[name]

    # --- an update ----------------------------------------------------------------------------------------------------

    def update_stack(self, stack: Stack, to: str) -> None:
        """UpdateStack, or the change set of `sam deploy`: the template now names another version."""
        if stack.going or stack.status.endswith("_FAILED"):
            message = f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            raise ServiceError("ValidationError", message)
        stack.wants, stack.update, stack.token = to, stack.update + 1, ""
        self._become(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        # Traditional updates compare templates, not what is live: the same version moves nothing.
        stack.deployment = ""
        if to == stack.believes:
            self._deployed(stack)
            return
        stack.moved_at = None
        try:
            stack.deployment = self._releases.deploy(stack, stack.believes, to, stack.creator)
        except ServiceError as error:
            self._failed(stack, error.message)

    def ended(self, deployment_id: str, well: bool) -> None:
        """A deployment is over: the stack that made it goes on, or back."""
        stack = next((s for s in self.stacks.values() if s.deployment == deployment_id), None)
        if stack is None or stack.status not in {"UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"}:
            return
        if stack.status == "UPDATE_ROLLBACK_IN_PROGRESS":
            self._while(stack, "UPDATE_ROLLBACK_IN_PROGRESS", 1.0, lambda: self._restore(stack))
        elif well:
            self._deployed(stack)
        else:
            self._failed(stack, f"CodeDeploy deployment {deployment_id} did not succeed.")

    def _deployed(self, stack: Stack) -> None:
        stack.deployment, stack.moved_at = "", stack.moved_at or self._host.now()
        seconds = 60.0 * stack.monitoring_minutes
        self._while(stack, "UPDATE_IN_PROGRESS", seconds, lambda: self._cleanup(stack))

    def _cleanup(self, stack: Stack) -> None:
        stack.believes = stack.wants
        self._become(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        done = "UPDATE_COMPLETE"
        self._while(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", CLEANUP_SECONDS, lambda: self._become(stack, done))

    def _failed(self, stack: Stack, reason: str) -> None:
        if stack.disable_rollback:
            self._become(stack, "UPDATE_FAILED", reason)
        else:
            self._roll_back(stack, reason)

    # --- going back ---------------------------------------------------------------------------------------------------

    def _roll_back(self, stack: Stack, reason: str) -> None:
        stack.put_back = False
        self._become(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
        # CodeDeploy's own rollback of the deployment comes first: the stack waits for it.
        self._while(stack, "UPDATE_ROLLBACK_IN_PROGRESS", ROLLBACK_SECONDS, lambda: self._restore(stack))

    def _restore(self, stack: Stack) -> None:
        if native := self._releases.native_rollback(stack):
            stack.deployment = native
            return
        stack.deployment = ""
        if stack.rollback_fails:
            self._become(stack, "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update.")
        elif not self._releases.live(stack):
            self._become(stack, "UPDATE_ROLLBACK_FAILED", "The alias has more than one version with traffic.")
        elif stack.put_back and self._releases.live(stack) != stack.believes:
            # What was to put it back did not succeed, such as when the group's own alarm stopped it.
            stack.wants = self._releases.live(stack)
            self._become(stack, "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update.")
        elif self._releases.live(stack) == stack.believes or stack.wants == stack.believes:
            self._become(stack, "UPDATE_ROLLBACK_COMPLETE")
        else:
            self._put_back(stack)

    def _put_back(self, stack: Stack) -> None:
        live = self._releases.live(stack)
        wanted, stack.wants = stack.wants, stack.believes
        if live == wanted:
            stack.deployment = self._releases.deploy(stack, live, stack.believes, "CloudFormationRollback")
            stack.put_back = bool(stack.deployment)
        if not stack.deployment:
            self._become(stack, "UPDATE_ROLLBACK_COMPLETE")

    # --- calls --------------------------------------------------------------------------------------------------------

    def cancel(self, stack: Stack, token: str) -> None:
        """CancelUpdateStack: the whole update is undone. In the monitoring time too."""
        if token and token in stack.tokens:
            return
        if stack.status != "UPDATE_IN_PROGRESS":
            message = "CancelUpdateStack cannot be called from current stack status"
            raise ServiceError("ValidationError", message)
        self._take(stack, token)
        going, stack.deployment = stack.deployment, ""
        self._roll_back(stack, "User Initiated")
        if going:
            self._releases.stop(stack)

    def roll_back_stack(self, stack: Stack, token: str) -> None:
        """RollbackStack: from UPDATE_FAILED (and CREATE_FAILED) only."""
        if token and token in stack.tokens:
            return
        if stack.status not in {"UPDATE_FAILED", "CREATE_FAILED"}:
            message = f"Stack:{stack.id} is in {stack.status} state and can not be rolled back."
            raise ServiceError("ValidationError", message)
        self._take(stack, token)
        self._roll_back(stack, "User Initiated")

    def continue_rollback(self, stack: Stack, token: str) -> None:
        """ContinueUpdateRollback: from UPDATE_ROLLBACK_FAILED, of a root stack."""
        if token and token in stack.tokens:
            return
        if stack.status != "UPDATE_ROLLBACK_FAILED" or stack.root_id:
            message = f"Stack:{stack.id} is in {stack.status} state and can not continue the rollback."
            raise ServiceError("ValidationError", message)
        self._take(stack, token)
        stack.rollback_fails = False
        self._roll_back(stack, "User Initiated")

    def _take(self, stack: Stack, token: str) -> None:
        stack.token = token
        stack.tokens |= {token} if token else set()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _become(self, stack: Stack, status: str, reason: str = "") -> None:
        stack.status, stack.reason, stack.updated_at = status, reason, self._host.now()
        if stack.moved_at is None and not stack.deployment and status != "UPDATE_IN_PROGRESS":
            stack.moved_at = self._host.now()
        self._tell(stack)
        if not stack.going:
            for told in self.ends:
                told(stack)

    def _while(self, stack: Stack, status: str, seconds: float, act: Callable[[], None]) -> None:
        update = stack.update

        def still() -> None:
            if stack.status == status and stack.update == update:
                act()

        if seconds:
            self._host.later(seconds, still)
        else:
            still()
