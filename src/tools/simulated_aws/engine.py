"""CodeDeploy as a state machine: pure, on a clock that is passed in. Standard library only.

    Created → Queued → InProgress → (Ready) → shift → (termination wait) → (Baking) → Succeeded
                            └──────────── Failed, Stopped, at any moment

Everything that will happen is in one queue of (moment, what). `tick` does what is due, and nothing else does.
"""

from __future__ import annotations

import heapq
import itertools
import random
import string
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from simulated_aws import configs, revisions
from simulated_aws.clock import Clock
from simulated_aws.events import Events
from simulated_aws.model import (
    ALL_AT_ONCE,
    Application,
    Deployment,
    DeploymentGroup,
    RegisteredRevision,
    ServiceError,
    Timing,
)
from simulated_aws.platforms import EcsPlatform, LambdaPlatform, Platform, ServerPlatform
from simulated_aws.service_deployments import ServiceDeployment, ServiceDeployments
from simulated_aws.world import EcsWorld, LambdaWorld, Objects, RegisteredObjects

ID_ALPHABET = string.ascii_uppercase + string.digits
EVENTS = {
    "InProgress": "START",
    "Ready": "READY",
    "Stopped": "STOP",
    "Failed": "FAILURE",
    "Succeeded": "SUCCESS",
}


class Engine:
    """Applications, groups, deployments, and the world that they change."""

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        account: str = "123456789012",
        region: str = "us-east-1",
        alarm_state: Callable[[str], str] = lambda name: "OK",
        objects: Objects | None = None,
    ) -> None:
        self.clock = clock
        self.account, self.region, self.seed = account, region, seed
        self.alarm_state = alarm_state
        self.applications: dict[str, Application] = {}
        self.deployments: dict[str, Deployment] = {}
        self.configs = configs.predefined()
        self.timings: dict[tuple[str, ...], Timing] = {}
        self.bad_targets: dict[tuple[str, str], tuple[str, str, float | None]] = {}
        self.failures: list[tuple[str, str, float | None]] = []
        self.ended: list[Callable[[Deployment], None]] = []
        self.list_order = "newest_first"
        self.flag_false_suppresses_group_rollback = True
        self.events = Events(account, region)
        self.chance = random.Random(seed)
        self.lambda_world = LambdaWorld(self.chance)
        self.ecs_world = EcsWorld(self.chance, account, region)
        self.service_deployments = ServiceDeployments(self)
        self.objects = RegisteredObjects()
        self._other_objects = objects
        self._platforms: dict[str, Platform] = {
            "Lambda": LambdaPlatform(self.lambda_world, self.content),
            "ECS": EcsPlatform(self.ecs_world, self.content),
            "Server": ServerPlatform(self._store_of),
        }
        self._queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._moment: datetime | None = None

    # --- time -----------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The moment that is being played, or the clock's time."""
        return self._moment or self.clock.now()

    def next_due(self) -> datetime | None:
        """When something happens next."""
        return self._queue[0][0] if self._queue else None

    def tick(self) -> None:
        """Do everything that is due, each at its own moment."""
        while self._queue and self._queue[0][0] <= self.clock.now():
            moment, _, act = heapq.heappop(self._queue)
            self._moment = moment
            try:
                act()
            finally:
                self._moment = None

    def advance(self, seconds: float) -> None:
        """Move the clock from one thing that happens to the next, up to `seconds` from now."""
        self.advance_to(self.clock.now() + timedelta(seconds=seconds))

    def advance_to(self, until: datetime) -> None:
        """Move the clock to `until`, doing on the way what becomes due."""
        while self.play_next(until):
            pass
        self.clock.advance_to(until)

    def play_next(self, until: datetime) -> bool:
        """Move the clock to the next thing that happens and do it. False if nothing happens up to `until`."""
        due = self.next_due()
        if due is None or due > until:
            return False
        self.clock.advance_to(due)
        self.tick()
        return True

    def _schedule(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now() + timedelta(seconds=seconds), next(self._order), act))

    def _while_going(self, deployment: Deployment, seconds: float, act: Callable[[Deployment], None]) -> None:
        def still() -> None:
            if not deployment.terminal and not deployment.stopping:
                act(deployment)

        self._schedule(seconds, still)

    # --- for services that ECS itself deploys, and for pipelines --------------------------------------------

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        self._schedule(seconds, act)

    def firing(self, name: str) -> bool:
        """Whether an alarm is in ALARM."""
        return self.alarm_state(name) == "ALARM"

    def random_id(self, alphabet: str, length: int) -> str:
        """An id, the same for the same seed."""
        return "".join(self.chance.choices(alphabet, k=length))

    def tell_service(self, deployment: ServiceDeployment, event_name: str, reason: str) -> None:
        """Tell EventBridge of a service deployment."""
        self.events.tell_service(deployment, event_name, reason, self.now(), self.new_uuid())

    # --- set-up ---------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """A deployment id: `d-` and nine capitals or digits."""
        while (made := "d-" + "".join(self.chance.choices(ID_ALPHABET, k=9))) in self.deployments:
            pass
        return made

    def new_uuid(self) -> str:
        """An id of an application or a group."""
        digits = f"{self.chance.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def create_application(self, name: str, platform: str = "Server") -> Application:
        """Raises ApplicationAlreadyExistsException."""
        if name in self.applications:
            raise ServiceError("ApplicationAlreadyExistsException", f"Application already exists: {name}")
        self.applications[name] = Application(name, self.new_uuid(), platform, self.now())
        return self.applications[name]

    def application(self, name: str) -> Application:
        """Raises ApplicationDoesNotExistException."""
        if name not in self.applications:
            raise ServiceError("ApplicationDoesNotExistException", f"No application found for name: {name}")
        return self.applications[name]

    def create_group(
        self, application: str, name: str, settings: dict[str, Any], instances: int = 3
    ) -> DeploymentGroup:
        """Raises DeploymentGroupAlreadyExistsException and what is wrong with the settings."""
        owner = self.application(application)
        if name in owner.groups:
            message = f"Deployment group already exists: {name}"
            raise ServiceError("DeploymentGroupAlreadyExistsException", message)
        self.check_settings(settings)
        settings = {"deploymentConfigName": _default_config(owner.compute_platform)} | settings
        group = DeploymentGroup(owner, name, self.new_uuid(), settings)
        if owner.compute_platform == "Server":
            group.instances = {f"i-{self.chance.getrandbits(68):017x}": None for _ in range(instances)}
        owner.groups[name] = group
        return group

    def group(self, application: str, name: str) -> DeploymentGroup:
        """Raises ApplicationDoesNotExistException and DeploymentGroupDoesNotExistException."""
        groups = self.application(application).groups
        if name not in groups:
            message = f"No Deployment Group found for name: {name}"
            raise ServiceError("DeploymentGroupDoesNotExistException", message)
        return groups[name]

    def check_settings(self, settings: dict[str, Any]) -> None:
        """What CreateDeployment, CreateDeploymentGroup and UpdateDeploymentGroup all refuse."""
        if "deploymentConfigName" in settings:
            self.config(settings["deploymentConfigName"])
        _check_alarms(settings.get("alarmConfiguration"))
        _check_alarms(settings.get("overrideAlarmConfiguration"))
        rollback = settings.get("autoRollbackConfiguration") or {}
        if rollback.get("enabled") and not rollback.get("events"):
            message = "The auto rollback configuration is enabled but names no events."
            raise ServiceError("InvalidAutoRollbackConfigException", message)

    def config(self, name: str) -> configs.DeploymentConfig:
        """Raises DeploymentConfigDoesNotExistException."""
        if name not in self.configs:
            message = f"No Deployment Configuration found for name: {name}"
            raise ServiceError("DeploymentConfigDoesNotExistException", message)
        return self.configs[name]

    def timing(self, group: DeploymentGroup, config: str = "") -> Timing:
        """The timing of the group, else of the configuration, else of everything."""
        for key in ((group.application.name, group.name), (config,), ()):
            if key in self.timings:
                return self.timings[key]
        return Timing()

    # --- revisions ------------------------------------------------------------------------------------------

    def register(self, application: Application, revision: dict[str, Any], description: str = "") -> RegisteredRevision:
        """File a revision; one that is filed already keeps its dates."""
        filed = revisions.checked(revision, application.compute_platform)
        key = revisions.identity(filed)
        known = application.revisions.get(key)
        if known is None:
            if "appSpecContent" in filed and revisions.appspec(filed) is None:
                # Only a hash: public scripts send that, so it will do for a revision that is filed.
                raise ServiceError("RevisionDoesNotExistException", "No revision is registered under this hash.")
            known = application.revisions[key] = RegisteredRevision(filed, self.now(), description)
        return known

    def revision(self, application: str, revision: dict[str, Any]) -> RegisteredRevision:
        """Raises RevisionDoesNotExistException."""
        owner = self.application(application)
        key = revisions.identity(revisions.checked(revision, owner.compute_platform))
        if key not in owner.revisions:
            raise ServiceError("RevisionDoesNotExistException", "The revision is not registered with the application.")
        return owner.revisions[key]

    def content(self, deployment: Deployment) -> str | None:
        """The AppSpec of a deployment, from the revision or from S3."""
        if (text := revisions.appspec(deployment.revision)) is not None:
            return text
        location: dict[str, str] = deployment.revision.get("s3Location") or {}
        store = self._store_of(location["bucket"]) if location else None
        if store is None:
            return None
        found = store.find(location["bucket"], location["key"], location.get("version", ""))
        return found.content if found else None

    def _store_of(self, bucket: str) -> Objects | None:
        if self.objects.knows(bucket):
            return self.objects
        return self._other_objects if self._other_objects and self._other_objects.knows(bucket) else None

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
        if group.active:
            message = f"The Deployment Group '{group.name}' already has an active Deployment '{group.active.id}'"
            raise ServiceError("DeploymentLimitExceededException", message)
        filed = self.register(application, revision)
        self._note_use(filed, group)
        config = request.get("deploymentConfigName") or group.settings["deploymentConfigName"]
        return self._start(group, filed.revision, config, request, creator, external_id)

    def _requested_revision(self, group: DeploymentGroup, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("deploymentMode") != "RESTART":
            return revisions.checked(request.get("revision"), group.platform)
        if request.get("revision") or group.last_successful is None:
            raise ServiceError("InvalidInputException", "RESTART takes no revision and needs a successful deployment.")
        return group.last_successful.revision

    def _note_use(self, filed: RegisteredRevision, group: DeploymentGroup) -> None:
        filed.first_used_at = filed.first_used_at or self.now()
        filed.last_used_at = self.now()
        if group.name not in filed.groups:
            filed.groups.append(group.name)

    def _start(
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
        self._while_going(deployment, timing.queued_seconds, lambda it: self._become(it, "Queued"))
        self._while_going(deployment, timing.started_seconds, self._begin)
        return deployment

    def _begin(self, deployment: Deployment) -> None:
        """The alarm gate: a group whose alarm fires already gets its deployment stopped within a second."""
        if firing := self._firing(deployment):
            self._stop_on_alarm(deployment, firing)
            return
        deployment.started_at = self.now()
        self._become(deployment, "InProgress")
        timing = self.timing(deployment.group, deployment.config)
        self._while_going(deployment, timing.validated_seconds - timing.started_seconds, self._validate)
        if self._watched_alarms(deployment):
            self._while_going(deployment, timing.alarm_poll_seconds, self._poll_alarms)

    def _validate(self, deployment: Deployment) -> None:
        platform = self._platforms[deployment.group.platform]
        config = self.config(deployment.config)
        if refusal := platform.refusal(deployment, config):
            self._fail(deployment, *refusal)
            return
        platform.begin(deployment, self.now())
        self._plan_failure(deployment, platform.target(deployment))
        timing = self.timing(deployment.group, deployment.config)
        steps = platform.steps(deployment, config, timing)
        if self._ready_option(deployment).get("actionOnTimeout") == "STOP_DEPLOYMENT":
            self._while_going(deployment, timing.install_seconds, self._wait_ready)
        else:
            self._plan_steps(deployment, steps, 0)

    def _plan_failure(self, deployment: Deployment, target: str) -> None:
        bad = self.bad_targets.get((deployment.group.id, target))
        if bad and not deployment.native_rollback:
            code, message, after = bad
            seconds = self.timing(deployment.group, deployment.config).install_seconds if after is None else after
            deployment.pending_failure = (code, message, seconds)
        if deployment.pending_failure:
            code, message, seconds = deployment.pending_failure
            self._while_going(deployment, seconds, lambda it: self._fail(it, code, message))

    def _plan_steps(self, deployment: Deployment, steps: list[configs.TrafficStep], less: float) -> None:
        for step in steps:
            self._while_going(deployment, step.after_seconds - less, partial(self._shift, percent=step.percent))

    def _shift(self, deployment: Deployment, percent: int) -> None:
        self._platforms[deployment.group.platform].shift(deployment, percent)
        deployment.traffic = percent
        if percent < 100:
            return
        deployment.shifted = True
        wait = self._termination_wait(deployment)
        deployment.terminating = wait > 0
        # An ECS deployment stays InProgress through the termination wait, with all traffic shifted.
        self._while_going(deployment, wait, self._bake)

    def _bake(self, deployment: Deployment) -> None:
        deployment.terminating = False
        seconds = self.timing(deployment.group, deployment.config).baking_seconds
        if seconds:
            self._become(deployment, "Baking")
        self._while_going(deployment, seconds, self._succeed)

    def _succeed(self, deployment: Deployment) -> None:
        self._platforms[deployment.group.platform].finish(deployment)
        deployment.overview = self._final_overview(deployment, "Succeeded")
        deployment.group.last_successful = deployment
        self._become(deployment, "Succeeded")

    def _fail(self, deployment: Deployment, code: str, message: str) -> None:
        deployment.error = (code, message)
        deployment.overview = self._final_overview(deployment, "Failed")
        self._become(deployment, "Failed")
        self._roll_back_if(deployment, "DEPLOYMENT_FAILURE")

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
            return counts | {rest: 1}
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
        self._while_going(deployment, 60.0 * minutes, self._ready_timeout)

    def _ready_timeout(self, deployment: Deployment) -> None:
        if deployment.status == "Ready":
            self._stopped(deployment, "TIMEOUT", "The deployment waited too long for ContinueDeployment.", None)

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

    # --- stopping and rolling back --------------------------------------------------------------------------

    def stop_deployment(self, deployment: Deployment, auto_rollback: bool | None) -> str:
        """StopDeployment: `Succeeded` if it is stopped, `Pending` if that takes a while."""
        if deployment.terminal:
            raise _already_completed(deployment)
        if deployment.creator.startswith("CloudFormation"):
            message = "A deployment that CloudFormation created cannot be stopped here."
            raise ServiceError("UnsupportedActionForDeploymentTypeException", message)
        if deployment.stopping:
            return "Pending"
        pending = self.timing(deployment.group, deployment.config).stop_pending_seconds
        if not pending:
            self._stop_on_request(deployment, auto_rollback)
            return "Succeeded"
        deployment.stopping = True
        self._schedule(pending, lambda: self._stop_on_request(deployment, auto_rollback))
        return "Pending"

    def _stop_on_request(self, deployment: Deployment, auto_rollback: bool | None) -> None:
        self._stopped(deployment, "MANUAL_STOP", "The deployment was stopped by a user.", auto_rollback)

    def _stopped(self, deployment: Deployment, code: str, message: str, auto_rollback: bool | None) -> None:
        self._end_stopped(deployment, code, message)
        if auto_rollback is True:
            # Whether the flag works without a rollback configuration is undocumented; in practice it does.
            self._roll_back(deployment)
        elif auto_rollback is None or not self.flag_false_suppresses_group_rollback:
            self._roll_back_if(deployment, "DEPLOYMENT_STOP_ON_REQUEST")

    def _stop_on_alarm(self, deployment: Deployment, firing: list[str]) -> None:
        message = f"One or more alarms have been activated. Activated alarms: <{', '.join(firing)}>"
        self._end_stopped(deployment, "ALARM_ACTIVE", message)
        self._roll_back_if(deployment, "DEPLOYMENT_STOP_ON_ALARM")

    def _end_stopped(self, deployment: Deployment, code: str, message: str) -> None:
        deployment.stopping = False
        deployment.error = (code, message)
        deployment.overview = self._final_overview(deployment, "Skipped")
        self._become(deployment, "Stopped")

    def _poll_alarms(self, deployment: Deployment) -> None:
        if firing := self._firing(deployment):
            self._stop_on_alarm(deployment, firing)
            return
        seconds = self.timing(deployment.group, deployment.config).alarm_poll_seconds
        self._while_going(deployment, seconds, self._poll_alarms)

    def _firing(self, deployment: Deployment) -> list[str]:
        return [name for name in self._watched_alarms(deployment) if self.alarm_state(name) == "ALARM"]

    def _watched_alarms(self, deployment: Deployment) -> list[str]:
        if deployment.native_rollback:
            return []  # a native rollback succeeds although the alarms are still firing
        watching = deployment.group.settings.get("alarmConfiguration") or {}
        if deployment.request.get("overrideAlarmConfiguration") is not None:
            watching = deployment.request["overrideAlarmConfiguration"]
        return [alarm["name"] for alarm in watching.get("alarms") or []] if watching.get("enabled") else []

    def _roll_back_if(self, deployment: Deployment, event: str) -> None:
        chosen = deployment.request.get("autoRollbackConfiguration")
        if chosen is None:
            chosen = deployment.group.settings.get("autoRollbackConfiguration") or {}
        if chosen.get("enabled") and event in chosen.get("events", []):
            self._roll_back(deployment)

    def _roll_back(self, deployment: Deployment) -> None:
        if deployment.native_rollback:
            return
        if deployment.group.last_successful is None:
            message = f"Deployment {deployment.id} cannot be rolled back: there is no last successful deployment."
            deployment.rollback_info = {"rollbackMessage": message}
            return
        delay = self.timing(deployment.group, deployment.config).native_rollback_delay_seconds
        if delay:
            self._schedule(delay, lambda: self._create_rollback(deployment))
        else:
            self._create_rollback(deployment)

    def _create_rollback(self, failed: Deployment) -> None:
        group = failed.group
        if group.active or group.last_successful is None:
            failed.rollback_info = {"rollbackMessage": "The rollback could not start: the group is busy."}
            return
        config, request = ALL_AT_ONCE[group.platform], {"description": ""}
        rollback = self._start(group, group.last_successful.revision, config, request, "codeDeployRollback")
        failed.rollback_info = {
            "rollbackDeploymentId": rollback.id,
            "rollbackMessage": f"Deployment {failed.id} terminated. Automatic rollback is triggered with a "
            f"DeploymentId {rollback.id}.",
        }
        rollback.rollback_info = {
            "rollbackTriggeringDeploymentId": failed.id,
            "rollbackMessage": f"Deployment {rollback.id} is triggered to roll back deployment {failed.id}.",
        }

    # --- looking --------------------------------------------------------------------------------------------

    def deployment(self, deployment_id: str) -> Deployment:
        """Raises InvalidDeploymentIdException and DeploymentDoesNotExistException."""
        suffix = deployment_id.removeprefix("d-")
        if not deployment_id.startswith("d-") or len(suffix) != 9 or not set(suffix) <= set(ID_ALPHABET):
            raise ServiceError("InvalidDeploymentIdException", f"The deployment id is not valid: {deployment_id}")
        if deployment_id not in self.deployments:
            message = f"The deployment {deployment_id} could not be found"
            raise ServiceError("DeploymentDoesNotExistException", message)
        return self.deployments[deployment_id]

    def listed[D: (Deployment, ServiceDeployment)](self, deployments: list[D]) -> list[D]:
        """In the order of AWS's lists, of which none is documented, so a test can choose `shuffled`."""
        if self.list_order == "shuffled":
            return sorted(deployments, key=lambda each: zlib.crc32(f"{self.seed}{each.id}".encode()))
        return sorted(deployments, key=lambda each: each.created_at, reverse=self.list_order == "newest_first")

    def platform_of(self, group: DeploymentGroup) -> Platform:
        """What the group's deployments change."""
        return self._platforms[group.platform]

    def target(self, deployment: Deployment) -> str:
        """What a deployment deploys, to compare: a version, a task definition's ARN, a bundle."""
        return self._platforms[deployment.group.platform].target(deployment)

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
        self._note_use(filed, group)
        deployment.overview = self._final_overview(deployment, status if status != "Stopped" else "Skipped")
        self.deployments[deployment.id] = deployment
        group.deployments.append(deployment)
        if group.last_successful:
            deployment.previous_revision = group.last_successful.revision
        if status == "Succeeded":
            group.last_successful = deployment
        return deployment

    def set_timing(self, key: tuple[str, ...], **fields: Any) -> None:
        """Change some durations for a key of `timings`."""
        self.timings[key] = replace(self.timings.get(key, self.timings.get((), Timing())), **fields)


def _default_config(platform: str) -> str:
    return "CodeDeployDefault.OneAtATime" if platform == "Server" else ALL_AT_ONCE[platform]


def _already_completed(deployment: Deployment) -> ServiceError:
    message = f"The deployment {deployment.id} has already completed: {deployment.status}"
    return ServiceError("DeploymentAlreadyCompletedException", message)


def _check_alarms(configuration: dict[str, Any] | None) -> None:
    """API reference, InvalidAlarmConfigException: a null list, or an empty one while enabled, is refused."""
    if configuration is None:
        return
    if configuration.get("alarms") is None:
        raise ServiceError("InvalidAlarmConfigException", "The alarm list is null.")
    if configuration.get("enabled") and not configuration["alarms"]:
        message = "The alarm configuration is enabled, but the alarm list is empty."
        raise ServiceError("InvalidAlarmConfigException", message)
