"""What a deployment does to the world, for each compute platform: the late checks, the shift, the way back.

A platform refuses asynchronously: CreateDeployment has long returned an id by then, and the deployment goes
Failed with one of the codes of the `ErrorCode` enum (CodeDeploy API reference, ErrorInformation).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import Protocol

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.configs import DeploymentConfig, TrafficStep
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup, Timing
from simulated_aws.ecs.world import EcsWorld, Service, TaskSet
from simulated_aws.lambda_.world import LambdaWorld
from simulated_aws.model import ServiceError
from simulated_aws.objects import Objects

Refusal = tuple[str, str]
Content = Callable[[Deployment], str | None]


class Platform(Protocol):
    """What the engine asks of a compute platform."""

    def target(self, deployment: Deployment) -> str:
        """What is deployed, to compare: a version, a task definition's ARN, a bundle."""
        ...

    def refusal(self, deployment: Deployment, config: DeploymentConfig) -> Refusal | None:
        """Why the deployment fails before it changes anything, or None."""
        ...

    def begin(self, deployment: Deployment, at: datetime) -> None:
        """Prepare what the traffic will move to."""
        ...

    def steps(self, deployment: Deployment, config: DeploymentConfig, timing: Timing) -> list[TrafficStep]:
        """When how much has moved, counted from the validation."""
        ...

    def shift(self, deployment: Deployment, percent: int) -> None:
        """Move so much to the new revision."""
        ...

    def finish(self, deployment: Deployment) -> None:
        """Tidy up after success."""
        ...

    def live(self, group: DeploymentGroup) -> dict[str, float]:
        """What is live: each target, as `target` names it, and its share."""
        ...


class LambdaPlatform:
    """An alias that is split over time, then moved."""

    def __init__(self, world: LambdaWorld, content: Content) -> None:
        self._world = world
        self._content = content

    def parts(self, deployment: Deployment) -> dict[str, str]:
        """`Name`, `Alias`, `CurrentVersion` and `TargetVersion` of the AppSpec; a missing one is empty."""
        content = self._content(deployment) or ""
        keys = ("Name", "Alias", "CurrentVersion", "TargetVersion")
        return {key: revisions.value_of(content, key) or "" for key in keys}

    def target(self, deployment: Deployment) -> str:
        """The published version."""
        return self.parts(deployment)["TargetVersion"]

    def refusal(self, deployment: Deployment, config: DeploymentConfig) -> Refusal | None:
        """The alias must stand where the AppSpec says, whole, and the target version must be there."""
        parts = self.parts(deployment)
        if not all(parts.values()):
            return (
                "INVALID_REVISION",
                "The AppSpec file is missing or does not name a function, alias and versions.",
            )
        if deployment.native_rollback:
            return None
        try:
            alias = self._world.alias(parts["Name"], parts["Alias"])
            versions = self._world.function(parts["Name"]).versions
        except ServiceError as error:
            return "INVALID_LAMBDA_FUNCTION", error.message
        if alias.weights:
            # User guide, troubleshooting-deployments-lambda: each one fails until the weights are cleared.
            return (
                "INVALID_LAMBDA_CONFIGURATION",
                "The Lambda function alias has more than one version with traffic.",
            )
        if alias.version != parts["CurrentVersion"]:
            message = "The Lambda function alias version does not match the current version in AppSpec file."
            return "INVALID_LAMBDA_CONFIGURATION", f"{message} (Error code: INVALID_LAMBDA_CONFIGURATION)"
        if parts["TargetVersion"] not in versions:
            return "INVALID_LAMBDA_FUNCTION", f"The target version {parts['TargetVersion']} does not exist."
        if versions[parts["TargetVersion"]].state == "Failed":
            return (
                "INVALID_LAMBDA_CONFIGURATION",
                f"The target version {parts['TargetVersion']} is not Active.",
            )
        if parts["CurrentVersion"] == parts["TargetVersion"] and config.kind != "AllAtOnce":
            return "INVALID_LAMBDA_CONFIGURATION", "The current version and the target version are the same."
        return None

    def begin(self, deployment: Deployment, at: datetime) -> None:
        """Nothing to prepare: the version is published already."""

    def steps(self, deployment: Deployment, config: DeploymentConfig, timing: Timing) -> list[TrafficStep]:
        """The steps of the configuration, once the hook before the traffic has had its time."""
        return _after(timing.install_seconds, config.steps())

    def shift(self, deployment: Deployment, percent: int) -> None:
        """Split the alias; at 100 % move it and drop the weights."""
        parts = self.parts(deployment)
        if percent < 100:
            weights = {parts["TargetVersion"]: percent / 100}
            self._world.point(parts["Name"], parts["Alias"], parts["CurrentVersion"], weights)
        else:
            self._world.point(parts["Name"], parts["Alias"], parts["TargetVersion"])

    def finish(self, deployment: Deployment) -> None:
        """Nothing to tidy up."""

    def live(self, group: DeploymentGroup) -> dict[str, float]:
        """Version to its share of the traffic."""
        names = group.alias
        if names is None and group.deployments:
            parts = self.parts(group.deployments[-1])
            names = parts["Name"], parts["Alias"]
        if names is None:
            return {}
        alias = self._world.alias(*names)
        return {alias.version: 1.0 - sum(alias.weights.values())} | alias.weights


class EcsPlatform:
    """A replacement task set that takes the traffic over."""

    def __init__(self, world: EcsWorld, content: Content) -> None:
        self._world = world
        self._content = content

    def target(self, deployment: Deployment) -> str:
        """The task definition's ARN."""
        return revisions.value_of(self._content(deployment) or "", "TaskDefinition") or ""

    def service(self, group: DeploymentGroup) -> Service | None:
        """The service that the group deploys to."""
        named = (group.settings.get("ecsServices") or [{}])[0]
        return self._world.services.get((named.get("clusterName", "default"), named.get("serviceName", "")))

    def refusal(self, deployment: Deployment, config: DeploymentConfig) -> Refusal | None:
        """The service must be there, and the task definition ACTIVE."""
        service, target = self.service(deployment.group), self.target(deployment)
        if service is None or service.primary is None:
            return "INVALID_ECS_SERVICE", "The ECS service cannot be found or has no primary task set."
        if not target:
            return "INVALID_REVISION", "The AppSpec file is missing or does not name a task definition."
        if deployment.native_rollback and self._original(service, target):
            return None
        try:
            status = self._world.task_definition(target).status
        except ServiceError:
            status = "not there"
        if status != "ACTIVE":
            return (
                "ECS_UPDATE_ERROR",
                f"The ECS service cannot be updated: TaskDefinition {target} is {status}.",
            )
        return None

    def begin(self, deployment: Deployment, at: datetime) -> None:
        """Start the replacement task set. A native rollback takes the original while that exists."""
        service, target = self._service_of(deployment), self.target(deployment)
        service.task_sets = [each for each in service.task_sets if each.status != "DRAINING"]
        if not (deployment.native_rollback and self._original(service, target)):
            self._world.add_task_set(service, target, deployment.id, at)

    def steps(self, deployment: Deployment, config: DeploymentConfig, timing: Timing) -> list[TrafficStep]:
        """The steps of the configuration, once the replacement tasks run."""
        return _after(timing.install_seconds, config.steps())

    def shift(self, deployment: Deployment, percent: int) -> None:
        """Move traffic; at 100 % the replacement becomes PRIMARY, and the original stays ACTIVE."""
        service = self._service_of(deployment)
        new = self._replacement(service, deployment)
        for each in service.task_sets:
            each.weight = percent if each is new else 0
            if percent == 100:
                each.status = "PRIMARY" if each is new else "ACTIVE"
        if service.primary and service.primary is not new:
            service.primary.weight = 100 - percent

    def finish(self, deployment: Deployment) -> None:
        """Every other task set drains; it is gone when the next deployment begins."""
        for each in self._service_of(deployment).task_sets:
            if each.status != "PRIMARY":
                each.status = "DRAINING"

    def live(self, group: DeploymentGroup) -> dict[str, float]:
        """Task definition ARN to its share of the traffic."""
        service = self.service(group)
        return {each.task_definition: each.weight / 100 for each in service.task_sets if each.weight} if service else {}

    def _service_of(self, deployment: Deployment) -> Service:
        service = self.service(deployment.group)
        if service is None:
            raise LookupError(f"{deployment.group.name} has no service")
        return service

    def _replacement(self, service: Service, deployment: Deployment) -> TaskSet | None:
        if own := next((each for each in service.task_sets if each.external_id == deployment.id), None):
            return own
        return self._original(service, self.target(deployment))

    def _original(self, service: Service, target: str) -> TaskSet | None:
        standing = [each for each in service.task_sets if each.status != "DRAINING"]
        return next((each for each in standing if each.task_definition == target), None)


class ServerPlatform:
    """A fleet on which instances get the revision one batch after the other."""

    def __init__(self, objects: Callable[[str], Objects | None]) -> None:
        self._objects = objects

    def target(self, deployment: Deployment) -> str:
        """The bundle or commit."""
        return revisions.identity(deployment.revision)

    def refusal(self, deployment: Deployment, config: DeploymentConfig) -> Refusal | None:
        """There must be instances, and the bundle must be in S3 with the ETag that was asked for."""
        if not self._instances(deployment):
            return "NO_INSTANCES", "No instances were found for the deployment group."
        location = deployment.revision.get("s3Location")
        store = self._objects(location["bucket"]) if location else None
        if not location or store is None:
            return None
        found = store.find(location["bucket"], location["key"], location.get("version", ""))
        if found is None:
            return (
                "REVISION_MISSING",
                f"The revision s3://{location['bucket']}/{location['key']} is not there.",
            )
        asked = location.get("eTag", "").strip('"')
        if asked and asked != found.etag.strip('"'):
            return (
                "REVISION_MISSING",
                f"The ETag of s3://{location['bucket']}/{location['key']} does not match.",
            )
        return None

    def begin(self, deployment: Deployment, at: datetime) -> None:
        """Every instance waits its turn."""
        deployment.overview = _overview(Pending=len(self._instances(deployment)))

    def steps(self, deployment: Deployment, config: DeploymentConfig, timing: Timing) -> list[TrafficStep]:
        """One step for each batch of instances."""
        fleet = len(self._instances(deployment))
        batches = {"CodeDeployDefault.OneAtATime": fleet, "CodeDeployDefault.HalfAtATime": min(2, fleet)}
        count = batches.get(config.name, 1)
        return [TrafficStep(timing.install_seconds * n, ceil(100 * n / count)) for n in range(1, count + 1)]

    def shift(self, deployment: Deployment, percent: int) -> None:
        """Install on the first so many percent of the instances."""
        instances = self._instances(deployment)
        done = instances[: ceil(len(instances) * percent / 100)]
        for each in done:
            deployment.group.instances[each] = deployment.revision
        deployment.overview = _overview(Succeeded=len(done), Pending=len(instances) - len(done))

    def finish(self, deployment: Deployment) -> None:
        """Nothing to tidy up."""

    def live(self, group: DeploymentGroup) -> dict[str, float]:
        """Revision to the share of the instances that run it."""
        running = [revisions.identity(each) for each in group.instances.values() if each]
        return {each: running.count(each) / len(group.instances) for each in running}

    def _instances(self, deployment: Deployment) -> list[str]:
        everywhere = deployment.group.instances
        if deployment.request.get("updateOutdatedInstancesOnly"):
            return [each for each, revision in everywhere.items() if revision != deployment.revision]
        return list(everywhere)


def _after(seconds: float, steps: list[TrafficStep]) -> list[TrafficStep]:
    return [TrafficStep(seconds + step.after_seconds, step.percent) for step in steps]


def _overview(**counts: int) -> dict[str, int]:
    empty = dict.fromkeys(("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0)
    return empty | counts
