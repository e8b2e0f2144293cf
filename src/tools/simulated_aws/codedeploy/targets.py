"""Deployment targets: the alias, the service or the instances, with their lifecycle events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import Deployment
from simulated_aws.codedeploy.platforms import EcsPlatform, LambdaPlatform
from simulated_aws.model import ServiceError

_HOOKS = {
    "Server": ("ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall",
               "ApplicationStart", "ValidateService"),
    "Lambda": ("BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"),
    "ECS": ("BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic",
            "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"),
}  # fmt: skip
_STATUS = {"Succeeded": "Succeeded", "Failed": "Failed", "Stopped": "Failed", "Ready": "Ready"}


class Targets:
    """What GetDeploymentTarget and ListDeploymentTargets tell."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ids(self, deployment: Deployment, statuses: Iterable[str] | None = None) -> list[str]:
        """Target ids: `function:alias`, `cluster:service`, or instance ids; of targets in certain statuses, or all."""
        found = self._all(deployment)
        return found if statuses is None else [each for each in found if self._status(deployment, each) in statuses]

    def _all(self, deployment: Deployment) -> list[str]:
        if deployment.started_at is None:
            message = f"The deployment {deployment.id} has not started."
            raise ServiceError("DeploymentNotStartedException", message)
        platform = self._engine.platform_of(deployment.group)
        if isinstance(platform, LambdaPlatform):
            parts = platform.parts(deployment)
            return [f"{parts['Name']}:{parts['Alias']}"]
        if isinstance(platform, EcsPlatform):
            named = (deployment.group.settings.get("ecsServices") or [{}])[0]
            return [f"{named.get('clusterName', 'default')}:{named.get('serviceName', '')}"]
        return list(deployment.group.instances)

    def describe(self, deployment: Deployment, target_id: str) -> dict[str, Any]:
        """A `DeploymentTarget`."""
        if target_id not in self.ids(deployment):
            message = f"The deployment {deployment.id} has no target {target_id}."
            raise ServiceError("DeploymentTargetDoesNotExistException", message)
        platform = self._engine.platform_of(deployment.group)
        target = self._common(deployment, target_id)
        if isinstance(platform, LambdaPlatform):
            return {
                "deploymentTargetType": "LambdaTarget",
                "lambdaTarget": target | self._function(deployment, platform),
            }
        if isinstance(platform, EcsPlatform):
            return {
                "deploymentTargetType": "ECSTarget",
                "ecsTarget": target | self._task_sets(deployment, platform),
            }
        return {"deploymentTargetType": "InstanceTarget", "instanceTarget": target}

    def _common(self, deployment: Deployment, target_id: str) -> dict[str, Any]:
        status = self._status(deployment, target_id)
        return {
            "deploymentId": deployment.id,
            "targetId": target_id,
            "status": status,
            "lastUpdatedAt": deployment.completed_at or self._engine.now(),
            "lifecycleEvents": _lifecycle(deployment, status, _names(deployment)),
        }

    def _status(self, deployment: Deployment, target_id: str) -> str:
        if deployment.waits_until and target_id in deployment.group.silent:
            return "InProgress"
        on_it = deployment.group.instances.get(target_id) == deployment.revision
        if deployment.group.platform == "Server" and not on_it:
            return "Skipped" if deployment.terminal else "Pending"
        if deployment.group.platform == "Server" and deployment.status != "Failed":
            return "Succeeded"
        return _STATUS.get(deployment.status, "InProgress")

    def _function(self, deployment: Deployment, platform: LambdaPlatform) -> dict[str, Any]:
        parts = platform.parts(deployment)
        return {
            "lambdaFunctionInfo": {
                "functionName": parts["Name"],
                "functionAlias": parts["Alias"],
                "currentVersion": parts["CurrentVersion"],
                "targetVersion": parts["TargetVersion"],
                "targetVersionWeight": float(deployment.traffic),
            }
        }

    def _task_sets(self, deployment: Deployment, platform: EcsPlatform) -> dict[str, Any]:
        service = platform.service(deployment.group)
        described = [
            {
                # AWS's own spelling of this member lacks an n.
                "identifer": each.id,
                "desiredCount": service.desired_count,
                "pendingCount": 0,
                "runningCount": service.desired_count,
                "status": each.status,
                "trafficWeight": float(each.weight),
                "taskSetLabel": "Green" if each.external_id == deployment.id else "Blue",
            }
            for each in (service.task_sets if service else [])
            if service
        ]
        return {"taskSetsInfo": described}


def _names(deployment: Deployment) -> tuple[str, ...]:
    """The lifecycle events of the platform; where a load balancer moves to new instances, with those of the traffic."""
    style = deployment.group.settings.get("deploymentStyle") or {}
    names = _HOOKS[deployment.group.platform]
    rerouted = deployment.group.platform == "Server" and style.get("deploymentType") == "BLUE_GREEN"
    return (*names, "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic") if rerouted else names


def _lifecycle(deployment: Deployment, status: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """A stopped or failed deployment shows its current event as Failed and the rest as Skipped.

    What has begun says when (API reference, LifecycleEvent); the traffic begins to move with `AllowTraffic`.
    """
    done = names.index("AllowTraffic") if deployment.traffic_at and "AllowTraffic" in names else 0
    if status == "Succeeded":
        statuses = ["Succeeded"] * len(names)
    elif status == "Failed":
        statuses = ["Succeeded"] * done + ["Failed"] + ["Skipped"] * (len(names) - 1 - done)
    elif status in {"Pending", "Skipped"}:
        statuses = [status] * len(names)
    else:
        statuses = ["Succeeded"] * done + ["InProgress"] + ["Pending"] * (len(names) - 1 - done)
    return [
        {"lifecycleEventName": name, "status": each, **_begun(deployment, name, each)}
        for name, each in zip(names, statuses, strict=True)
    ]


def _begun(deployment: Deployment, name: str, status: str) -> dict[str, Any]:
    if status in {"Pending", "Skipped"}:
        return {}
    began = deployment.traffic_at if name in {"AllowTraffic", "AfterAllowTraffic"} else None
    return {"startTime": began or deployment.started_at or deployment.created_at}
