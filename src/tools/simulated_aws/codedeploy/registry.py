"""Applications, deployment groups, revisions and configurations: what CodeDeploy keeps. Standard library only."""

from __future__ import annotations

import string
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from simulated_aws.clock import Clock
from simulated_aws.codedeploy import configs, revisions
from simulated_aws.codedeploy.model import (
    ALL_AT_ONCE,
    Application,
    Deployment,
    DeploymentGroup,
    RegisteredRevision,
    Timing,
)
from simulated_aws.codedeploy.obstacles import Hook
from simulated_aws.codedeploy.platforms import EcsPlatform, LambdaPlatform, Platform
from simulated_aws.codedeploy.servers import ServerPlatform
from simulated_aws.ecs.content import Resolved
from simulated_aws.ecs.service_deployments import ServiceDeployments
from simulated_aws.ecs.service_model import ServiceDeployment
from simulated_aws.ecs.world import EcsWorld
from simulated_aws.events import Events
from simulated_aws.lambda_.world import LambdaWorld
from simulated_aws.model import ServiceError
from simulated_aws.objects import Objects, RegisteredObjects
from simulated_aws.timeline import Timeline

ID_ALPHABET = string.ascii_uppercase + string.digits


class Registry(Timeline):
    """What is filed, and the world that deployments change."""

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
        super().__init__(clock, seed)
        self.account, self.region = account, region
        self.alarm_state = alarm_state
        self.applications: dict[str, Application] = {}
        self.deployments: dict[str, Deployment] = {}
        self.configs = configs.predefined()
        self.timings: dict[tuple[str, ...], Timing] = {}
        self.list_order = "newest_first"
        self.events = Events(account, region)
        self.lambda_world = LambdaWorld(self.chance)
        self.ecs_world = EcsWorld(self.chance, account, region)
        self.service_deployments = ServiceDeployments(self)
        self.objects = RegisteredObjects()
        self._other_objects = objects
        self.hooks: dict[str, Hook] = {}
        self.services_ended: list[Callable[[ServiceDeployment], None]] = []
        self.branches: dict[tuple[str, str], str] = {}
        self._platforms: dict[str, Platform] = {
            "Lambda": LambdaPlatform(self.lambda_world, self.content),
            "ECS": EcsPlatform(self.ecs_world, self.content),
            "Server": ServerPlatform(self.store_of, self.branches),
        }

    # --- for services that ECS itself deploys ---------------------------------------------------------------

    def firing(self, name: str) -> bool:
        """Whether an alarm is in ALARM."""
        return self.alarm_state(name) == "ALARM"

    def service_ended(self, deployment: ServiceDeployment) -> None:
        """A service deployment is over, now."""
        for told in self.services_ended:
            told(deployment)

    def tell_hook(self, deployment: ServiceDeployment, hook_id: str) -> None:
        """Tell EventBridge that a deployment waits at a hook."""
        self.events.tell_hook(deployment, hook_id, self.now(), self.new_uuid())

    def hook_behaviour(self, function: str) -> tuple[str, float]:
        """How a validation function behaves, and how long it takes."""
        hook = self.hooks.get(function.rpartition("function:")[2].partition(":")[0], Hook())
        return hook.behaviour, hook.seconds

    def resolved(self, task_definition: str, parts: dict[str, Any]) -> Resolved:
        """What tasks of a definition would run if they were started now."""
        return self.ecs_world.resolve(task_definition, parts)

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

    def set_timing(self, key: tuple[str, ...], **fields: Any) -> None:
        """Change some durations for a key of `timings`."""
        self.timings[key] = replace(self.timings.get(key, self.timings.get((), Timing())), **fields)

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
        """The AppSpec of a deployment, from the revision or from S3; once CodeDeploy has read it, as it was then."""
        if deployment.appspec is not None:
            return deployment.appspec
        if (text := revisions.appspec(deployment.revision)) is not None:
            return text
        location: dict[str, str] = deployment.revision.get("s3Location") or {}
        store = self.store_of(location["bucket"]) if location else None
        if store is None:
            return None
        found = store.find(location["bucket"], location["key"], location.get("version", ""))
        return found.content if found else None

    def store_of(self, bucket: str) -> Objects | None:
        """The store that can say something about a bucket: what a test has put, else moto's S3."""
        if self.objects.knows(bucket):
            return self.objects
        return self._other_objects if self._other_objects and self._other_objects.knows(bucket) else None

    def note_use(self, filed: RegisteredRevision, group: DeploymentGroup) -> None:
        """Note on a revision that a group deploys it now."""
        filed.first_used_at = filed.first_used_at or self.now()
        filed.last_used_at = self.now()
        if group.name not in filed.groups:
            filed.groups.append(group.name)

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


def _default_config(platform: str) -> str:
    return "CodeDeployDefault.OneAtATime" if platform == "Server" else ALL_AT_ONCE[platform]


def _check_alarms(configuration: dict[str, Any] | None) -> None:
    """API reference, InvalidAlarmConfigException: a null list, or an empty one while enabled, is refused."""
    if configuration is None:
        return
    if configuration.get("alarms") is None:
        raise ServiceError("InvalidAlarmConfigException", "The alarm list is null.")
    if configuration.get("enabled") and not configuration["alarms"]:
        message = "The alarm configuration is enabled, but the alarm list is empty."
        raise ServiceError("InvalidAlarmConfigException", message)
