"""The rollbacks that CodeDeploy starts by itself. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from simulated_aws.codedeploy.model import ALL_AT_ONCE, Deployment, DeploymentGroup, Timing


class Host(Protocol):
    """What native rollbacks need of the engine."""

    def later(self, seconds: float, act: Callable[[], None]) -> None: ...
    def timing(self, group: DeploymentGroup, config: str = "") -> Timing: ...
    def start(
        self, group: DeploymentGroup, revision: dict[str, Any], config: str, request: dict[str, Any], creator: str
    ) -> Deployment: ...


class NativeRollbacks:
    """When CodeDeploy rolls back, and to what."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def roll_back_if(self, deployment: Deployment, event: str) -> None:
        chosen = deployment.request.get("autoRollbackConfiguration")
        if chosen is None:
            chosen = deployment.group.settings.get("autoRollbackConfiguration") or {}
        if chosen.get("enabled") and event in chosen.get("events", []):
            self.roll_back(deployment)

    def roll_back(self, deployment: Deployment) -> None:
        if deployment.native_rollback:
            return
        if deployment.group.last_successful is None:
            message = f"Deployment {deployment.id} cannot be rolled back: there is no last successful deployment."
            deployment.rollback_info = {"rollbackMessage": message}
            return
        delay = self._host.timing(deployment.group, deployment.config).native_rollback_delay_seconds
        if delay:
            self._host.later(delay, lambda: self._create(deployment))
        else:
            self._create(deployment)

    def _create(self, failed: Deployment) -> None:
        group = failed.group
        if group.active or group.last_successful is None:
            failed.rollback_info = {"rollbackMessage": "The rollback could not start: the group is busy."}
            return
        config, request = ALL_AT_ONCE[group.platform], {"description": ""}
        rollback = self._host.start(group, group.last_successful.revision, config, request, "codeDeployRollback")
        failed.rollback_info = {
            "rollbackDeploymentId": rollback.id,
            "rollbackMessage": f"Deployment {failed.id} terminated. Automatic rollback is triggered with a "
            f"DeploymentId {rollback.id}.",
        }
        rollback.rollback_info = {
            "rollbackTriggeringDeploymentId": failed.id,
            "rollbackMessage": f"Deployment {rollback.id} is triggered to roll back deployment {failed.id}.",
        }
