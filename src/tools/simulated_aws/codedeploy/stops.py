"""How a deployment is stopped: by somebody who asks for it, by an alarm that its group watches, by its stack.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulated_aws.codedeploy.model import Deployment, DeploymentGroup, Timing
from simulated_aws.codedeploy.native_rollbacks import NativeRollbacks
from simulated_aws.codedeploy.obstacles import Obstacles
from simulated_aws.model import ServiceError


class Host(Protocol):
    """What stops need of the engine."""

    flag_false_suppresses_group_rollback: bool
    native_rollbacks: NativeRollbacks
    obstacles: Obstacles

    def later(self, seconds: float, act: Callable[[], None]) -> None: ...
    def while_going(self, deployment: Deployment, seconds: float, act: Callable[[Deployment], None]) -> None: ...
    def timing(self, group: DeploymentGroup, config: str = "") -> Timing: ...
    def alarm_state(self, name: str) -> str: ...
    def stopped(self, deployment: Deployment, code: str, message: str) -> None: ...


class Stops:
    """When a deployment stops, and which native rollback follows."""

    def __init__(self, host: Host) -> None:
        self._host = host

    # --- somebody asks ----------------------------------------------------------------------------------------

    def ask(self, deployment: Deployment, auto_rollback: bool | None) -> str:
        """Stop a deployment that has not ended: `Succeeded`, or `Pending` while instances do not answer."""
        if deployment.creator.startswith("CloudFormation") and deployment.group.platform != "Lambda":
            # User guide, "Stop a deployment": of blue/green deployments through CloudFormation, so not of a function's.
            message = "A deployment that CloudFormation created cannot be stopped here."
            raise ServiceError("UnsupportedActionForDeploymentTypeException", message)
        if deployment.stopping:
            return "Pending"
        pending = self._host.timing(deployment.group, deployment.config).stop_pending_seconds
        pending = pending or self._host.obstacles.stop_waits(deployment)
        if not pending:
            self.on_request(deployment, auto_rollback)
            return "Succeeded"
        deployment.stopping, deployment.stops_with = True, auto_rollback
        self._host.later(pending, lambda: self.on_request(deployment, auto_rollback))
        return "Pending"

    def on_request(self, deployment: Deployment, auto_rollback: bool | None) -> None:
        """The stop takes effect, unless the deployment ended first."""
        if not deployment.terminal:
            self.at_once(deployment, "MANUAL_STOP", "The deployment was stopped by a user.", auto_rollback)

    def at_once(self, deployment: Deployment, code: str, message: str, auto_rollback: bool | None) -> None:
        """It ends here, and is rolled back if the one who stopped it or its group wants that."""
        self._host.stopped(deployment, code, message)
        if auto_rollback is True:
            # Whether the flag works without a rollback configuration is undocumented; in practice it does.
            self._host.native_rollbacks.roll_back(deployment)
        elif auto_rollback is None or not self._host.flag_false_suppresses_group_rollback:
            self._host.native_rollbacks.roll_back_if(deployment, "DEPLOYMENT_STOP_ON_REQUEST")

    # --- an alarm fires ---------------------------------------------------------------------------------------

    def watch_alarms(self, deployment: Deployment) -> None:
        """Look at its alarms, if it watches any, every few seconds while it is going on."""
        if _watched_alarms(deployment):
            seconds = self._host.timing(deployment.group, deployment.config).alarm_poll_seconds
            self._host.while_going(deployment, seconds, self._poll_alarms)

    def _poll_alarms(self, deployment: Deployment) -> None:
        if not self.because_of_alarms(deployment):
            self.watch_alarms(deployment)

    def because_of_alarms(self, deployment: Deployment) -> bool:
        """Stop it if one of its alarms fires; whether one does."""
        firing = [name for name in _watched_alarms(deployment) if self._host.alarm_state(name) == "ALARM"]
        if firing and (wait := self._host.obstacles.stop_waits(deployment)):
            deployment.stopping = True
            self._host.later(wait, lambda: self._end_on_alarm(deployment, firing))
        elif firing:
            self._end_on_alarm(deployment, firing)
        return bool(firing)

    def _end_on_alarm(self, deployment: Deployment, firing: list[str]) -> None:
        if deployment.terminal:
            return
        # The text as two real deployments carry it (recorded 2026-08), one pair of brackets for each alarm.
        message = (
            "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the "
            f"affected deployments have been stopped. Activated alarms: {' '.join(f'<{name}>' for name in firing)}"
        )
        self._host.stopped(deployment, "ALARM_ACTIVE", message)
        self._host.native_rollbacks.roll_back_if(deployment, "DEPLOYMENT_STOP_ON_ALARM")


def _watched_alarms(deployment: Deployment) -> list[str]:
    if deployment.native_rollback:
        return []  # a native rollback succeeds although the alarms are still firing
    watching = deployment.group.settings.get("alarmConfiguration") or {}
    if deployment.request.get("overrideAlarmConfiguration") is not None:
        watching = deployment.request["overrideAlarmConfiguration"]
    return [alarm["name"] for alarm in watching.get("alarms") or []] if watching.get("enabled") else []
