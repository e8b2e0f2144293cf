"""ECS services that CodeDeploy deploys blue/green: a task definition and the task sets that run it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpec, AppSpecError, appspec_location
from lastgood.deployers.contents import AppSpecText, inline
from lastgood.deployers.task_definitions import TaskDefinitions
from lastgood.model import Deployment, Evidence, GroupFacts, Live, Preparation, Revision
from lastgood.settings import Settings


@dataclass(frozen=True)
class EcsPlatform:
    """ECS blue/green under CodeDeploy: the task definition's ARN is what is deployed."""

    clients: Clients
    settings: Settings
    content: AppSpecText

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.ecs_deployment_config

    def revision(self, location: Mapping[str, Any], made_at: datetime) -> Revision:
        """Two AppSpecs with other hooks deploy the same; with another network or other capacity they do not."""
        kind = location.get("revisionType", "")
        try:
            location = inline(location, self.content(location, made_at))
            spec = AppSpec(self.content(location))
            arn = spec.get("TaskDefinition")
        except AppSpecError as error:
            return Revision(kind, "", "", "", location, unreadable=str(error))
        return Revision(kind, arn, arn.rsplit("/", 1)[-1], "", location, parts=_parts(spec.properties))

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """The task definition of the primary task set. A second active one may have a share of the traffic.

        A deployment that was stopped half way leaves both task sets and their shares as they were, and the shares
        stand in the load balancer alone.
        """
        answer = call(self.clients.ecs, "describe_services", cluster=group.ecs_cluster, services=[group.ecs_service])
        services = answer.get("services") or [{}]
        sets = services[0].get("taskSets") or []
        primary = next((s for s in sets if s.get("status") == "PRIMARY"), services[0])
        return Live(
            identity=str(primary.get("taskDefinition", "")),
            split=any(s.get("status") == "ACTIVE" for s in sets),
            deployment_id=str(primary.get("externalId", "")),
        )

    def evidence(self, deployment: Deployment) -> Evidence:
        """Whether the task definition can still be deployed, and what its tags say."""
        return TaskDefinitions(self.clients).evidence(deployment.revision)

    def before(self, first: Deployment, group: GroupFacts) -> Revision | None:
        """The task set that the service was created with, while it exists: CodeDeploy's own name a deployment."""
        answer = call(self.clients.ecs, "describe_services", cluster=group.ecs_cluster, services=[group.ecs_service])
        sets = (answer.get("services") or [{}])[0].get("taskSets") or []
        original = next((s for s in sets if not s.get("externalId") and s.get("status") in {"PRIMARY", "ACTIVE"}), None)
        if original is None:
            return None
        try:
            spec = AppSpec(self.content(first.revision.location)).replaced(TaskDefinition=original["taskDefinition"])
        except AppSpecError:
            return None
        return self.revision(appspec_location(spec, self.settings), first.created_at)

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """ECS refuses new task sets from an INACTIVE task definition."""
        return TaskDefinitions(self.clients).prepare(revision)

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The old AppSpec, pointing to the task definition that was registered again where one was."""
        spec = AppSpec(self.content(revision.location))
        if task_definition and task_definition != revision.identity:
            spec = spec.replaced(TaskDefinition=task_definition)
        return appspec_location(spec, self.settings)

    def do(self, todo: Preparation, revision: Revision) -> str:
        """Register an INACTIVE task definition again, unchanged, with its tags. Returns the new ARN."""
        return TaskDefinitions(self.clients).register(revision) if todo.register_task_definition else ""


_PARTS = ("networkconfiguration", "capacityproviderstrategy", "platformversion", "loadbalancerinfo")


def _parts(properties: Mapping[str, Any]) -> str:
    """What an AppSpec deploys beside the task definition; what it leaves out is taken away from the service."""
    found = {name: _plain(properties[name]) for name in _PARTS if properties.get(name)}
    return json.dumps(found, sort_keys=True) if found else ""


def _plain(value: Any) -> Any:
    """Names in small letters and values as text: the same setting may be written either way."""
    if isinstance(value, dict):
        return {str(name).lower(): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else str(value)
