"""Services, their task sets, and task definitions. Standard library only."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulated_aws.ecs.content import Resolved, resolve
from simulated_aws.ecs.images import Images
from simulated_aws.model import ServiceError


@dataclass
class TaskDefinition:
    """One revision of a family. `content` is what RegisterTaskDefinition was given, in AWS's spelling."""

    family: str
    revision: int
    arn: str
    content: dict[str, Any]
    registered_at: datetime
    status: str = "ACTIVE"
    tags: list[dict[str, str]] = field(default_factory=list)
    deregistered_at: datetime | None = None


@dataclass
class TaskSet:
    """A task set of a service. `external_id` is the CodeDeploy deployment that created it.

    `parts` is what an AppSpec said beside the task definition; `resolved` is what its tasks really run.
    """

    id: str
    task_definition: str
    created_at: datetime
    external_id: str = ""
    status: str = "PRIMARY"
    weight: int = 100
    parts: dict[str, Any] = field(default_factory=dict)
    resolved: Resolved | None = None
    resolved_of: str = ""


@dataclass
class Service:
    """A service and its task sets; the PRIMARY one serves."""

    cluster: str
    name: str
    desired_count: int = 2
    controller: str = "CODE_DEPLOY"
    status: str = "ACTIVE"
    task_sets: list[TaskSet] = field(default_factory=list)
    created_at: datetime | None = None
    express: bool = False

    @property
    def primary(self) -> TaskSet | None:
        """The task set that serves."""
        return next((each for each in self.task_sets if each.status == "PRIMARY"), None)


class EcsWorld:
    """Every service and task definition that the simulator answers for."""

    def __init__(self, chance: random.Random, account: str, region: str) -> None:
        self._chance = chance
        self._prefix = f"arn:aws:ecs:{region}:{account}"
        self.services: dict[tuple[str, str], Service] = {}
        self.families: dict[str, list[TaskDefinition]] = {}
        self.images = Images()

    def arn(self, resource: str) -> str:
        """The ARN of an ECS resource such as `cluster/main`."""
        return f"{self._prefix}:{resource}"

    def register(
        self, family: str, content: dict[str, Any], at: datetime, tags: list[dict[str, str]] | None = None
    ) -> TaskDefinition:
        """Register the next revision of a family. Deleted revisions keep their numbers."""
        known = self.families.setdefault(family, [])
        number = len(known) + 1
        arn = self.arn(f"task-definition/{family}:{number}")
        known.append(TaskDefinition(family, number, arn, dict(content), at, tags=list(tags or [])))
        return known[-1]

    def task_definition(self, reference: str) -> TaskDefinition:
        """By ARN, `family:revision` or family (newest ACTIVE). Raises ClientException, once deleted too."""
        family, _, number = reference.rpartition("/")[2].partition(":")
        known = self.families.get(family, [])
        if number:
            # Revision n is the n-th that was registered, and is asked for in histories of ten thousand.
            at = int(number) if number.isdecimal() else 0
            found = next((each for each in known[at - 1 : at] if at and each.status != "DELETED"), None)
        else:
            found = next((each for each in reversed(known) if each.status == "ACTIVE"), None)
        if found is None:
            raise ServiceError("ClientException", "Unable to describe task definition.")
        return found

    def described(self, reference: str) -> dict[str, Any]:
        """What a task definition was registered with; nothing where there is none."""
        try:
            return self.task_definition(reference).content
        except ServiceError:
            return {}

    def deregister(self, reference: str, at: datetime) -> TaskDefinition:
        """Make a revision INACTIVE: it can be described, but no longer deployed."""
        found = self.task_definition(reference)
        found.status, found.deregistered_at = "INACTIVE", at
        return found

    def delete_task_definition(self, reference: str) -> None:
        """Take a revision away for good."""
        self.task_definition(reference).status = "DELETED"

    def create_service(
        self,
        cluster: str,
        name: str,
        task_definition: str,
        at: datetime,
        desired_count: int = 2,
        controller: str = "CODE_DEPLOY",
        parts: dict[str, Any] | None = None,
    ) -> Service:
        """A service that runs `task_definition`, outside any deployment; `parts` as an AppSpec would say them."""
        service = Service(cluster, name, desired_count, controller, created_at=at)
        service.task_sets.append(TaskSet(self._task_set_id(), task_definition, at, parts=parts or {}))
        self.running(service.task_sets[0])
        self.services[(cluster, name)] = service
        return service

    def add_task_set(
        self, service: Service, task_definition: str, deployment_id: str, at: datetime, parts: dict[str, Any]
    ) -> TaskSet:
        """A replacement task set that gets no traffic yet. Its images are resolved now."""
        task_set = TaskSet(self._task_set_id(), task_definition, at, deployment_id, "ACTIVE", 0, parts)
        service.task_sets.append(task_set)
        self.running(task_set)
        return task_set

    def running(self, task_set: TaskSet) -> Resolved:
        """What the tasks of a task set really run: tags are resolved when it is made or pointed elsewhere."""
        if task_set.resolved is None or task_set.resolved_of != task_set.task_definition:
            task_set.resolved = self.resolve(task_set.task_definition, task_set.parts)
            task_set.resolved_of = task_set.task_definition
        return task_set.resolved

    def resolve(self, task_definition: str, parts: dict[str, Any]) -> Resolved:
        """What would run if tasks of this definition were started now."""
        try:
            found = self.task_definition(task_definition)
        except ServiceError:
            return Resolved(task_definition, {})
        return resolve(found.family, found.content, self.images, parts)

    def _task_set_id(self) -> str:
        return f"ecs-svc/{self._chance.randrange(10**18, 10**19)}"
