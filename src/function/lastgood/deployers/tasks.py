"""What the tasks of an ECS service run: the digests that a tag was resolved to when they were started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError
from lastgood.model import Image

MOST_TASKS = 100
"""`ListTasks` and `DescribeTasks` take this many at once; of a larger service only these are looked at."""


def task_sets(clients: Clients, cluster: str, service: str) -> list[Mapping[str, Any]]:
    """The task sets of a service that CodeDeploy deploys; none if it is not there."""
    answer = call(clients.ecs, "describe_services", cluster=cluster, services=[service])
    return list((answer.get("services") or [{}])[0].get("taskSets") or [])


def running_images(clients: Clients, cluster: str, task_set_id: str) -> tuple[Image, ...]:
    """The images of a task set's tasks, by their digests; empty where they may not be read, or no task runs.

    A task that is replaced later may run another image of the same tag: then the container has all their digests.
    """
    try:
        listed = call(clients.ecs, "list_tasks", cluster=cluster, startedBy=task_set_id, maxResults=MOST_TASKS)
        arns = listed.get("taskArns") or []
        answer = call(clients.ecs, "describe_tasks", cluster=cluster, tasks=arns[:MOST_TASKS]) if arns else {}
    except RefusedError:
        return ()
    containers: dict[str, tuple[str, set[str]]] = {}
    for task in answer.get("tasks") or ():
        for box in task.get("containers") or ():
            _, digests = containers.setdefault(box.get("name", ""), (str(box.get("image", "")), set()))
            digests.add(str(box.get("imageDigest") or ""))
    return tuple(
        Image(name, reference, " and ".join(sorted(ds - {""}))) for name, (reference, ds) in containers.items()
    )
