"""The rollbacks that CodeDeploy starts by itself. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from simulated_aws.codedeploy.model import ALL_AT_ONCE, Deployment, DeploymentGroup, Timing


class Host(Protocol):
    """What native rollbacks need of the engine."""

    def later(self, seconds: float, act: Callable[[], None]) -> None: ...
    def timing(self, group: DeploymentGroup, config: str = "") -> Timing: ...
    def stop_if_active(self, deployment: Deployment) -> None: ...
    def start(
        self, group: DeploymentGroup, revision: dict[str, Any], config: str, request: dict[str, Any], creator: str
    ) -> Deployment: ...


@dataclass(frozen=True)
class Plan:
    """How a native rollback goes: it fails with an error, is stopped, goes to another revision, or never starts."""

    fails: tuple[str, str] | None = None
    stopped: bool = False
    to: dict[str, Any] | None = None
    never: bool = False
    after_seconds: float | None = None


class NativeRollbacks:
    """When CodeDeploy rolls back, and to what.

    User guide, "Redeploy and roll back a deployment": to the most recent successfully deployed revision of the group.
    That one may be of another function where a group deploys several.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.plans: dict[tuple[str, ...], Plan] = {}

    def plan(self, group: DeploymentGroup) -> Plan:
        """The plan of the group, else of every group."""
        return self.plans.get((group.application.name, group.name), self.plans.get((), Plan()))

    def roll_back_if(self, deployment: Deployment, event: str) -> None:
        """Roll back if the deployment, else its group, asks for it after such an event."""
        chosen = deployment.request.get("autoRollbackConfiguration")
        if chosen is None:
            chosen = deployment.group.settings.get("autoRollbackConfiguration") or {}
        if chosen.get("enabled") and event in chosen.get("events", []):
            self.roll_back(deployment)

    def roll_back(self, deployment: Deployment) -> None:
        """Roll back, unless this one is a rollback itself or there is nothing to go back to."""
        if deployment.native_rollback:
            return
        if self.plan(deployment.group).never:
            deployment.rollback_info = {"rollbackMessage": f"Deployment {deployment.id} could not be rolled back."}
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
        plan = self.plan(group)
        revision = plan.to or group.last_successful.revision
        rollback = self._host.start(group, revision, config, request, "codeDeployRollback")
        self._prepare(rollback, plan)
        failed.rollback_info = {
            "rollbackDeploymentId": rollback.id,
            "rollbackMessage": f"Deployment {failed.id} terminated. Automatic rollback is triggered with a "
            f"DeploymentId {rollback.id}.",
        }
        rollback.rollback_info = {
            "rollbackTriggeringDeploymentId": failed.id,
            "rollbackMessage": f"Deployment {rollback.id} is triggered to roll back deployment {failed.id}.",
        }

    def _prepare(self, rollback: Deployment, plan: Plan) -> None:
        timing = self._host.timing(rollback.group, rollback.config)
        # Without a wish: before anything has moved.
        seconds = timing.install_seconds * 0.9 if plan.after_seconds is None else plan.after_seconds
        if plan.fails:
            rollback.pending_failure = (*plan.fails, seconds)
        if plan.stopped:
            self._host.later(timing.validated_seconds + seconds, lambda: self._host.stop_if_active(rollback))
