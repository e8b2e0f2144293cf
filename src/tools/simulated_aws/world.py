"""What is live: Lambda aliases, ECS services and their task sets, bundles in S3. Standard library only."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from simulated_aws.model import ServiceError

# --- Lambda -------------------------------------------------------------------------------------------------


@dataclass
class LambdaVersion:
    """A published version. `state` and `last_update_status` as GetFunctionConfiguration tells them."""

    number: str
    description: str = ""
    state: str = "Active"
    last_update_status: str = "Successful"


@dataclass
class Alias:
    """An alias: the version it points at and, while traffic is split, the weights of others."""

    name: str
    version: str
    revision_id: str
    weights: dict[str, float] = field(default_factory=dict)
    description: str = ""


@dataclass
class Function:
    """A function with its published versions and aliases."""

    name: str
    versions: dict[str, LambdaVersion] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    published_count: int = 0


class LambdaWorld:
    """Every function that the simulator answers for."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.functions: dict[str, Function] = {}

    def create_function(self, name: str, versions: int = 0) -> Function:
        """A function with versions 1 to `versions`; one that exists is returned as it is."""
        function = self.functions.setdefault(name, Function(name))
        while function.published_count < versions:
            self.publish(name)
        return function

    def publish(self, name: str, description: str = "") -> str:
        """Publish the next version and return its number."""
        function = self.function(name)
        function.published_count += 1
        number = str(function.published_count)
        function.versions[number] = LambdaVersion(number, description)
        return number

    def delete_version(self, name: str, number: str) -> None:
        """What a version janitor does."""
        self.function(name).versions.pop(str(number), None)

    def create_alias(self, function: str, name: str, version: str) -> Alias:
        """Create an alias, or point the one that exists at `version`."""
        alias = Alias(name, str(version), self._revision_id())
        self.function(function).aliases[name] = alias
        return alias

    def function(self, name: str) -> Function:
        """A function by name. Raises ResourceNotFoundException."""
        if name not in self.functions:
            raise ServiceError("ResourceNotFoundException", f"Function not found: {name}", 404)
        return self.functions[name]

    def alias(self, function: str, name: str) -> Alias:
        """An alias by name. Raises ResourceNotFoundException."""
        aliases = self.function(function).aliases
        if name not in aliases:
            raise ServiceError("ResourceNotFoundException", f"Cannot find alias arn: {function}:{name}", 404)
        return aliases[name]

    def point(self, function: str, name: str, version: str, weights: dict[str, float] | None = None) -> Alias:
        """Move an alias. Every move gives it a new RevisionId, which is its optimistic lock."""
        alias = self.alias(function, name)
        alias.version, alias.weights, alias.revision_id = (
            str(version),
            dict(weights or {}),
            self._revision_id(),
        )
        return alias

    def _revision_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


# --- ECS ----------------------------------------------------------------------------------------------------


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
    """A task set of a service. `external_id` is the CodeDeploy deployment that created it."""

    id: str
    task_definition: str
    created_at: datetime
    external_id: str = ""
    status: str = "PRIMARY"
    weight: int = 100


@dataclass
class Service:
    """A service and its task sets; the PRIMARY one serves."""

    cluster: str
    name: str
    desired_count: int = 2
    controller: str = "CODE_DEPLOY"
    task_sets: list[TaskSet] = field(default_factory=list)
    created_at: datetime | None = None

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
            known = [each for each in known if str(each.revision) == number and each.status != "DELETED"]
        else:
            known = [each for each in known if each.status == "ACTIVE"]
        if not known:
            raise ServiceError("ClientException", "Unable to describe task definition.")
        return known[-1]

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
    ) -> Service:
        """A service that runs `task_definition`, outside any deployment."""
        service = Service(cluster, name, desired_count, controller, created_at=at)
        service.task_sets.append(TaskSet(self._task_set_id(), task_definition, at))
        self.services[(cluster, name)] = service
        return service

    def add_task_set(self, service: Service, task_definition: str, deployment_id: str, at: datetime) -> TaskSet:
        """A replacement task set that gets no traffic yet."""
        task_set = TaskSet(self._task_set_id(), task_definition, at, deployment_id, "ACTIVE", 0)
        service.task_sets.append(task_set)
        return task_set

    def _task_set_id(self) -> str:
        return f"ecs-svc/{self._chance.randrange(10**18, 10**19)}"


# --- S3 -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredObject:
    """An object in S3 as far as CodeDeploy looks at it."""

    key: str
    version: str = ""
    etag: str = ""
    content: str | None = None


class Objects(Protocol):
    """Where bundles are."""

    def knows(self, bucket: str) -> bool:
        """Whether this store can say anything about the bucket."""
        ...

    def find(self, bucket: str, key: str, version: str) -> StoredObject | None:
        """The object, or None if it is gone. No version means the newest."""
        ...


class RegisteredObjects:
    """Bundles that a test has named. A bucket nobody mentioned is not looked into."""

    def __init__(self) -> None:
        self._objects: dict[str, list[StoredObject]] = {}

    def put(self, bucket: str, key: str, version: str = "", etag: str = "", content: str | None = None) -> None:
        """Add an object; the last one put is the newest version."""
        self._objects.setdefault(bucket, []).append(StoredObject(key, version, etag, content))

    def delete(self, bucket: str, key: str) -> None:
        """Take every version of an object away."""
        self._objects[bucket] = [each for each in self._objects.get(bucket, []) if each.key != key]

    def knows(self, bucket: str) -> bool:
        """Whether a test has named the bucket."""
        return bucket in self._objects

    def find(self, bucket: str, key: str, version: str) -> StoredObject | None:
        """The object, or None if it is gone."""
        found = [each for each in self._objects.get(bucket, []) if each.key == key]
        found = [each for each in found if not version or each.version == version]
        return found[-1] if found else None
