"""CodeDeploy as a state machine: pure, on a clock that is passed in. Standard library only.

Created → Queued → InProgress → (Ready) → shift → (termination wait) → (Baking) → Succeeded
                        └──────────── Failed, Stopped, at any moment
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from simulated_aws.codedeploy import configs, revisions
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup
from simulated_aws.codedeploy.native_rollbacks import NativeRollbacks
from simulated_aws.codedeploy.obstacles import AFTER_TRAFFIC, BEFORE_TRAFFIC, UNHEALTHY, Obstacles
from simulated_aws.codedeploy.registry import Registry
from simulated_aws.codedeploy.stops import Stops
from simulated_aws.model import ServiceError

EVENTS = {
    "InProgress": "START",
    "Ready": "READY",
    "Stopped": "STOP",
    "Failed": "FAILURE",
    "Succeeded": "SUCCESS",
}


class Engine(Registry):
    """Deployments, and how each one goes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.bad_targets: dict[tuple[str, str], tuple[str, str, float | None]] = {}
        self.failures: list[tuple[str, str, float | None]] = []
        self.ended: list[Callable[[Deployment], None]] = []
        self.flag_false_suppresses_group_rollback = True
        self.native_rollbacks = NativeRollbacks(self)
        self.obstacles = Obstacles(self, self.content, self.hooks, self._fail, self._go_on)
        self._stops = Stops(self)

    def while_going(self, deployment: Deployment, seconds: float, act: Callable[[Deployment], None]) -> None:
        """Act in so many seconds, unless the deployment has ended by then or is about to."""

        def still() -> None:
            if not deployment.terminal and not deployment.stopping:
                act(deployment)

        self.later(seconds, still)

    # --- deploying ------------------------------------------------------------------------------------------

    def create_deployment(self, request: dict[str, Any], creator: str = "user", external_id: str = "") -> Deployment:
        """CreateDeployment. Whether the deployment can work is found out later, as on AWS."""
        application = self.application(request["applicationName"])
        if not request.get("deploymentGroupName"):
            raise ServiceError("DeploymentGroupNameRequiredException", "The deployment group name is required.")
        group = self.group(application.name, request["deploymentGroupName"])
        revision = self._requested_revision(group, request)
        if len(request.get("description") or "") > 256:
            raise ServiceError("DescriptionTooLongException", "The description is longer than 256 characters.")
        self.check_settings(request)
        self._check_fit(group, request)
        if group.active:
            message = f"The Deployment Group '{group.name}' already has an active Deployment '{group.active.id}'"
            raise ServiceError("DeploymentLimitExceededException", message)
        filed = self.register(application, revision)
        self.note_use(filed, group)
        config = request.get("deploymentConfigName") or group.settings["deploymentConfigName"]
        return self.start(group, filed.revision, config, request, creator, external_id)

    def _check_fit(self, group: DeploymentGroup, request: dict[str, Any]) -> None:
        if request.get("fileExistsBehavior") and group.platform != "Server":
            # jenkinsci/pipeline-aws-plugin#332 and aws/aws-toolkit-azure-devops#288 have the error.
            message = "For Lambda, ECS and Kubernetes deployment, fileExistsBehavior can not be specified"
            raise ServiceError("InvalidFileExistsBehaviorException", message)
        config = self.configs.get(request.get("deploymentConfigName") or "")
        if config and config.platform != group.platform:
            # CreateDeployment lists this error; that it is the one for this case is inferred, the text is our own.
            message = f"The deployment configuration {config.name} is for {config.platform}, not for {group.platform}."
            raise ServiceError("InvalidComputePlatformException", message)

    def _requested_revision(self, group: DeploymentGroup, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("deploymentMode") != "RESTART":
            return revisions.checked(request.get("revision"), group.platform)
        if request.get("revision") or group.last_successful is None:
            raise ServiceError("InvalidInputException", "RESTART takes no revision and needs a successful deployment.")
        return group.last_successful.revision

    def start(
        self,
        group: DeploymentGroup,
        revision: dict[str, Any],
        config: str,
        request: dict[str, Any],
        creator: str,
        external_id: str = "",
    ) -> Deployment:
        deployment = Deployment(self.new_id(), group, revision, config, self.now(), creator, request)
        deployment.external_id = external_id
        if group.last_successful:
            deployment.previous_revision = group.last_successful.revision
        if self.failures and not deployment.native_rollback:
            code, message, after = self.failures.pop(0)
            seconds = self.timing(group, config).install_seconds if after is None else after
            deployment.pending_failure = (code, message, seconds)
        self.deployments[deployment.id] = deployment
        group.deployments.append(deployment)
        timing = self.timing(group, config)
        self.while_going(deployment, timing.queued_seconds, lambda it: self._become(it, "Queued"))
        self.while_going(deployment, timing.started_seconds, self._begin)
        return deployment

    def _begin(self, deployment: Deployment) -> None:
        """The alarm gate: a group whose alarm fires already gets its deployment stopped within a second."""
        if self._stops.because_of_alarms(deployment):
            return
        deployment.started_at = self.now()
        self._become(deployment, "InProgress")
        timing = self.timing(deployment.group, deployment.config)
        self.while_going(deployment, timing.validated_seconds - timing.started_seconds, self._validate)
        self._stops.watch_alarms(deployment)

    def _validate(self, deployment: Deployment) -> None:
        platform = self._platforms[deployment.group.platform]
        config = self.config(deployment.config)
        # The file is read once: what is written over it later changes nothing of this deployment.
        deployment.appspec = self.content(deployment)
        if refusal := platform.refusal(deployment, config):
            self._fail(deployment, *refusal)
            return
        platform.begin(deployment, self.now())
        deployment.content = platform.content(deployment)
        self._plan_failure(deployment, platform.target(deployment))
        timing = self.timing(deployment.group, deployment.config)
        steps = platform.steps(deployment, config, timing)
        if self._ready_option(deployment).get("actionOnTimeout") == "STOP_DEPLOYMENT":
            self.while_going(deployment, timing.install_seconds, self._wait_ready)
        else:
            then = partial(self._plan_steps, deployment, steps, 0)
            self.obstacles.after_hooks(deployment, BEFORE_TRAFFIC, then)

    def _plan_failure(self, deployment: Deployment, target: str) -> None:
        bad = self.bad_targets.get((deployment.group.id, target))
        if bad and not deployment.native_rollback:
            code, message, after = bad
            seconds = self.timing(deployment.group, deployment.config).install_seconds if after is None else after
            deployment.pending_failure = (code, message, seconds)
        if deployment.group.platform == "Server" and self.obstacles.stop_script_fails(deployment):
            deployment.pending_failure = (*UNHEALTHY, self.timing(deployment.group).install_seconds * 0.9)
        if deployment.pending_failure:
            code, message, seconds = deployment.pending_failure
            self.while_going(deployment, seconds, lambda it: self._fail(it, code, message))

    def _plan_steps(self, deployment: Deployment, steps: list[configs.TrafficStep], less: float) -> None:
        for step in steps:
            self.while_going(deployment, step.after_seconds - less, partial(self._shift, percent=step.percent))

    def _shift(self, deployment: Deployment, percent: int) -> None:
        if deployment.waits_until:
            return
        platform = self._platforms[deployment.group.platform]
        platform.shift(deployment, percent)
        deployment.traffic, deployment.traffic_at = percent, deployment.traffic_at or self.now()
        if self.obstacles.waiting(deployment, platform.reached(deployment, percent)) or percent < 100:
            return
        self._go_on(deployment)

    def _go_on(self, deployment: Deployment) -> None:
        """All has moved: what remains is the hook after it, the termination wait and the bake time."""
        self.obstacles.after_hooks(deployment, AFTER_TRAFFIC, lambda: self._wait_for_termination(deployment))

    def _wait_for_termination(self, deployment: Deployment) -> None:
        wait = self._termination_wait(deployment)
        deployment.terminating = wait > 0
        # An ECS deployment stays InProgress through the termination wait, with all traffic shifted.
        self.while_going(deployment, wait, self._bake)

    def _bake(self, deployment: Deployment) -> None:
        deployment.terminating = False
        seconds = self.timing(deployment.group, deployment.config).baking_seconds
        if seconds:
            self._become(deployment, "Baking")
        self.while_going(deployment, seconds, self._succeed)

    def _succeed(self, deployment: Deployment) -> None:
        self._platforms[deployment.group.platform].finish(deployment)
        deployment.overview = self._final_overview(deployment, "Succeeded")
        deployment.group.last_successful = deployment
        self._become(deployment, "Succeeded")

    def _fail(self, deployment: Deployment, code: str, message: str) -> None:
        deployment.error = (code, message)
        deployment.overview = self._final_overview(deployment, "Failed")
        self._become(deployment, "Failed")
        self.native_rollbacks.roll_back_if(deployment, "DEPLOYMENT_FAILURE")

    def _become(self, deployment: Deployment, status: str) -> None:
        deployment.status = status
        if deployment.terminal:
            deployment.completed_at = self.now()
            for told in self.ended:
                told(deployment)
        if status in EVENTS:
            self.events.tell(deployment, EVENTS[status], self.now(), self.new_uuid())

    def _final_overview(self, deployment: Deployment, rest: str) -> dict[str, int]:
        counts = dict.fromkeys(("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0)
        if deployment.group.platform != "Server":
            # Recorded of an ECS deployment that failed with ECS_UPDATE_ERROR: Succeeded 1, Failed 0.
            return counts | {"Succeeded" if (deployment.group.platform, rest) == ("ECS", "Failed") else rest: 1}
        total = sum(deployment.overview.values()) or len(deployment.group.instances)
        done = deployment.overview.get("Succeeded", 0)
        return counts | {"Succeeded": done} | ({rest: total - done} if rest != "Succeeded" else {})

    def _termination_wait(self, deployment: Deployment) -> float:
        if deployment.group.platform != "ECS" or deployment.native_rollback:
            return 0.0
        timing = self.timing(deployment.group, deployment.config)
        if timing.termination_wait_seconds is not None:
            return timing.termination_wait_seconds
        blue_green = deployment.group.settings.get("blueGreenDeploymentConfiguration") or {}
        termination = blue_green.get("terminateBlueInstancesOnDeploymentSuccess") or {}
        return 60.0 * float(termination.get("terminationWaitTimeInMinutes", 0))

    # --- waiting for ContinueDeployment ---------------------------------------------------------------------

    def _ready_option(self, deployment: Deployment) -> dict[str, Any]:
        if deployment.native_rollback:
            return {}
        blue_green = deployment.group.settings.get("blueGreenDeploymentConfiguration") or {}
        return blue_green.get("deploymentReadyOption") or {}

    def _wait_ready(self, deployment: Deployment) -> None:
        self._become(deployment, "Ready")
        minutes = self._ready_option(deployment).get("waitTimeInMinutes", 60)
        self.while_going(deployment, 60.0 * minutes, self._ready_timeout)

    def _ready_timeout(self, deployment: Deployment) -> None:
        if deployment.status == "Ready":
            self._stops.at_once(deployment, "TIMEOUT", "The deployment waited too long for ContinueDeployment.", None)

    def continue_deployment(self, deployment: Deployment, wait_type: str = "READY_WAIT") -> None:
        """ContinueDeployment: reroute now, or end the termination wait now."""
        if deployment.terminal:
            raise _already_completed(deployment)
        if wait_type not in {"READY_WAIT", "TERMINATION_WAIT"}:
            raise ServiceError("InvalidDeploymentWaitTypeException", f"No such wait type: {wait_type}")
        if deployment.group.settings.get("deploymentStyle", {}).get("deploymentType") != "BLUE_GREEN":
            message = "Only a blue/green deployment can be continued."
            raise ServiceError("UnsupportedActionForDeploymentTypeException", message)
        if wait_type == "TERMINATION_WAIT" and deployment.terminating:
            self._bake(deployment)
        elif wait_type == "READY_WAIT" and deployment.status == "Ready":
            self._become(deployment, "InProgress")
            timing = self.timing(deployment.group, deployment.config)
            platform = self._platforms[deployment.group.platform]
            steps = platform.steps(deployment, self.config(deployment.config), timing)
            self._plan_steps(deployment, steps, timing.install_seconds)
        else:
            message = f"The deployment {deployment.id} is not in a ready state."
            raise ServiceError("DeploymentIsNotInReadyStateException", message)

    # --- stopping -------------------------------------------------------------------------------------------

    def stop_deployment(self, deployment: Deployment, auto_rollback: bool | None) -> str:
        """StopDeployment: `Succeeded` if it is stopped, `Pending` if that takes a while."""
        if deployment.terminal:
            raise _already_completed(deployment)
        return self._stops.ask(deployment, auto_rollback)

    def answered(self, group: DeploymentGroup) -> None:
        """No instance of the group is waited for any more: a stop ends, a deployment goes on."""
        deployment = group.active
        if deployment is None or deployment.waits_until is None:
            return
        deployment.waits_until = None
        if deployment.stopping:
            self._stops.on_request(deployment, deployment.stops_with)
        else:
            self._shift(deployment, 100)

    def end_for_stack(self, deployment: Deployment) -> None:
        """The stack that made it goes back: it is stopped, and rolled back."""
        self._stops.at_once(deployment, "CLOUDFORMATION_STACK_FAILURE", "The stack's update was cancelled.", True)

    def stop_if_active(self, deployment: Deployment) -> None:
        """Somebody stops it, if it is still going on."""
        self._stops.on_request(deployment, None)

    def stopped(self, deployment: Deployment, code: str, message: str) -> None:
        """It has ended without its success or a failure of its own."""
        deployment.stopping, deployment.waits_until = False, None
        deployment.error = (code, message)
        deployment.overview = self._final_overview(deployment, "Skipped")
        self._become(deployment, "Stopped")

    # --- history without waiting ----------------------------------------------------------------------------

    def seed_deployment(
        self,
        group: DeploymentGroup,
        revision: dict[str, Any],
        created_at: datetime,
        status: str = "Succeeded",
        seconds: float = 60,
        creator: str = "user",
        **request: Any,
    ) -> Deployment:
        """A deployment that is over, put into the history by hand; nothing live changes, no event is told."""
        filed = self.register(group.application, revision)
        names = {"applicationName": group.application.name, "deploymentGroupName": group.name}
        deployment = Deployment(
            self.new_id(),
            group,
            filed.revision,
            group.settings["deploymentConfigName"],
            created_at,
            creator,
            names | request,
            status,
            created_at,
            created_at + timedelta(seconds=seconds),
        )
        self.note_use(filed, group)
        deployment.overview = self._final_overview(deployment, status if status != "Stopped" else "Skipped")
        deployment.content = self._platforms[group.platform].content(deployment)
        self.deployments[deployment.id] = deployment
        group.deployments.append(deployment)
        if group.last_successful:
            deployment.previous_revision = group.last_successful.revision
        if status == "Succeeded":
            group.last_successful = deployment
        return deployment


def _already_completed(deployment: Deployment) -> ServiceError:
    message = f"The deployment {deployment.id} has already completed: {deployment.status}"
    return ServiceError("DeploymentAlreadyCompletedException", message)
