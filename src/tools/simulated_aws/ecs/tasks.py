"""ListTasks and DescribeTasks: the tasks of the services that were made here, with the digests that they run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulated_aws.codedeploy.engine import Engine
from simulated_aws.ecs.content import Resolved
from simulated_aws.ecs.service_model import RollingService
from simulated_aws.ecs.world import Service
from simulated_aws.model import ServiceError

Answer = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One running task. `started_by` is the id of its task set, or of the deployment in DescribeServices."""

    id: str
    service: Service
    task_definition: str
    started_by: str
    started_at: datetime
    resolved: Resolved


class Tasks:
    """They are not kept: they follow from the task sets and from how many tasks each service revision has."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._world = engine, engine.ecs_world

    def list(self, given: dict[str, Any]) -> Answer:
        """ListTasks, by cluster and `serviceName`, `startedBy` or `family`, on one page."""
        cluster = _last(given.get("cluster") or "default")
        if given.get("desiredStatus", "RUNNING") != "RUNNING":
            return {"taskArns": []}
        name, by, family = _last(given.get("serviceName") or ""), given.get("startedBy"), given.get("family")
        if name and (cluster, name) not in self._world.services:
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        found = [
            task
            for task in self._all(cluster)
            if (not name or task.service.name == name)
            and (not by or task.started_by == by)
            and (not family or _last(task.task_definition).partition(":")[0] == family)
        ]
        return {"taskArns": [self._arn(task) for task in found]}

    def describe(self, given: dict[str, Any]) -> Answer:
        """DescribeTasks, at most a hundred."""
        if len(given["tasks"]) > 100:
            raise ServiceError("InvalidParameterException", "Tasks cannot have more than 100 elements.")
        known = {task.id: task for task in self._all(_last(given.get("cluster") or "default"))}
        asked = [_last(each) for each in given["tasks"]]
        return {
            "tasks": [self._task(known[each]) for each in asked if each in known],
            "failures": [{"arn": each, "reason": "MISSING"} for each in given["tasks"] if _last(each) not in known],
        }

    def _all(self, cluster: str) -> Iterator[Task]:
        for (at, name), service in self._world.services.items():
            if at == cluster:
                rolling = self._engine.service_deployments.services.get((at, name))
                yield from _rolling(service, rolling) if rolling else self._in_task_sets(service)

    def _in_task_sets(self, service: Service) -> Iterator[Task]:
        for each in service.task_sets:
            resolved = self._world.running(each)
            for n in range(service.desired_count if each.status != "DRAINING" else 0):
                yield Task(_id(each.id, n), service, each.task_definition, each.id, each.created_at, resolved)

    def _task(self, task: Task) -> Answer:
        return {
            "taskArn": self._arn(task),
            "clusterArn": self._world.arn(f"cluster/{task.service.cluster}"),
            "taskDefinitionArn": task.task_definition,
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imageDigest": digest,
                    "lastStatus": "RUNNING",
                    "taskArn": self._arn(task),
                }
                for name, (image, digest) in task.resolved.images.items()
            ],
            "desiredStatus": "RUNNING",
            "lastStatus": "RUNNING",
            "group": f"service:{task.service.name}",
            "startedBy": task.started_by,
            "createdAt": task.started_at,
            "startedAt": task.started_at,
            "launchType": "FARGATE",
        }

    def _arn(self, task: Task) -> str:
        return self._world.arn(f"task/{task.service.cluster}/{task.id}")


def _rolling(service: Service, rolling: RollingService) -> Iterator[Task]:
    for key, count in rolling.tasks.items():
        made = rolling.revisions[key]
        for n in range(count):
            yield Task(_id(key, n), service, made.task_definition, f"ecs-svc/{key}", made.created_at, made.resolved)


def _id(owner: str, number: int) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{owner}/{number}").hex


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
