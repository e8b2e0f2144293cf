"""What a deployment does to the world, for each compute platform: the late checks, the shift, the way back.

A platform refuses asynchronously: CreateDeployment has long returned an id by then, and the deployment goes
Failed with one of the codes of the `ErrorCode` enum (CodeDeploy API reference, ErrorInformation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.configs import DeploymentConfig, TrafficStep
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup, Timing
from simulated_aws.ecs.content import Resolved, appspec_parts
from simulated_aws.ecs.world import EcsWorld, Service, TaskSet
from simulated_aws.lambda_.world import LambdaVersion, LambdaWorld
from simulated_aws.model import ServiceError

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

    def reached(self, deployment: Deployment, percent: int) -> list[str]:
        """The instances whose turn has come at so many percent; none where there are no instances."""
        ...

    def finish(self, deployment: Deployment) -> None:
        """Tidy up after success."""
        ...

    def content(self, deployment: Deployment) -> str:
        """What the deployment would bring if it were made now; empty if nothing."""
        ...

    def serving(self, group: DeploymentGroup) -> dict[str, dict[str, float]]:
        """Ground truth: of each function, service or fleet of the group, each content and its share."""
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
        named = revisions.properties(self._content(deployment) or "")
        keys = ("Name", "Alias", "CurrentVersion", "TargetVersion")
        return {key: str(named.get(key.lower()) or "") for key in keys}

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
        return self._target_refusal(parts, versions, config)

    def _target_refusal(
        self, parts: dict[str, str], versions: dict[str, LambdaVersion], config: DeploymentConfig
    ) -> Refusal | None:
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

    def reached(self, deployment: Deployment, percent: int) -> list[str]:
        """No instances here."""
        return []

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

    def content(self, deployment: Deployment) -> str:
        """Code and configuration of the target version."""
        parts = self.parts(deployment)
        return self._content_of(parts["Name"], parts["TargetVersion"])

    def serving(self, group: DeploymentGroup) -> dict[str, dict[str, float]]:
        """Every alias that the group was made for or has ever deployed."""
        named = [group.alias] if group.alias else []
        for parts in map(self.parts, group.deployments):
            named.append((parts["Name"], parts["Alias"]))
        known = [(f, a) for f, a in dict.fromkeys(named) if a in getattr(self._world.functions.get(f), "aliases", {})]
        return {f"{function}:{alias}": self._shares(function, alias) for function, alias in known}

    def _shares(self, function: str, name: str) -> dict[str, float]:
        alias = self._world.alias(function, name)
        versions = {alias.version: 1.0 - sum(alias.weights.values())} | alias.weights
        return summed((self._content_of(function, version), share) for version, share in versions.items())

    def _content_of(self, function: str, version: str) -> str:
        known = self._world.functions.get(function)
        found = known.versions.get(version) if known else None
        return f"{function}@{found.content if found else f'version {version}'}"


class EcsPlatform:
    """A replacement task set that takes the traffic over."""

    def __init__(self, world: EcsWorld, content: Content) -> None:
        self._world = world
        self._content = content

    def target(self, deployment: Deployment) -> str:
        """The task definition's ARN."""
        return str(revisions.properties(self._content(deployment) or "").get("taskdefinition") or "")

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
        if deployment.native_rollback and self._original(service, deployment):
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
        return self._misfit(deployment)

    def _misfit(self, deployment: Deployment) -> Refusal | None:
        """The AppSpec must name a container of the definition, and every image must be there (texts are our own)."""
        resolved, named = self._resolved(deployment), self._resolved(deployment).parts.get("containerName")
        if named and named not in resolved.images:
            return "ECS_UPDATE_ERROR", f"The container {named} does not exist in the task definition."
        if resolved.missing:
            return "ECS_UPDATE_ERROR", f"CannotPullContainerError: {resolved.missing[0]} not found."
        return None

    def begin(self, deployment: Deployment, at: datetime) -> None:
        """Start the replacement task set. A native rollback takes the original while that exists."""
        service, target = self._service_of(deployment), self.target(deployment)
        service.task_sets = [each for each in service.task_sets if each.status != "DRAINING"]
        if not (deployment.native_rollback and self._original(service, deployment)):
            self._world.add_task_set(service, target, deployment.id, at, self._parts(deployment))

    def _parts(self, deployment: Deployment) -> dict[str, Any]:
        return appspec_parts(revisions.properties(self._content(deployment) or ""))

    def _resolved(self, deployment: Deployment) -> Resolved:
        return self._world.resolve(self.target(deployment), self._parts(deployment))

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

    def reached(self, deployment: Deployment, percent: int) -> list[str]:
        """No instances here."""
        return []

    def finish(self, deployment: Deployment) -> None:
        """Every other task set drains; it is gone when the next deployment begins."""
        for each in self._service_of(deployment).task_sets:
            if each.status != "PRIMARY":
                each.status = "DRAINING"

    def live(self, group: DeploymentGroup) -> dict[str, float]:
        """Task definition ARN to its share of the traffic."""
        service = self.service(group)
        return {each.task_definition: each.weight / 100 for each in service.task_sets if each.weight} if service else {}

    def content(self, deployment: Deployment) -> str:
        """The definition with its images as they are now, and the AppSpec's own parts."""
        return self._resolved(deployment).id

    def serving(self, group: DeploymentGroup) -> dict[str, dict[str, float]]:
        """What the task sets with traffic run."""
        service = self.service(group)
        if service is None:
            return {}
        weighted = [each for each in service.task_sets if each.weight]
        shares = summed((self._world.running(each).id, each.weight / 100) for each in weighted)
        return {f"{service.cluster}/{service.name}": shares}

    def _service_of(self, deployment: Deployment) -> Service:
        service = self.service(deployment.group)
        if service is None:
            raise LookupError(f"{deployment.group.name} has no service")
        return service

    def _replacement(self, service: Service, deployment: Deployment) -> TaskSet | None:
        if own := next((each for each in service.task_sets if each.external_id == deployment.id), None):
            return own
        return self._original(service, deployment)

    def _original(self, service: Service, deployment: Deployment) -> TaskSet | None:
        """The task set that a rollback reroutes to: the last success's own while it stands, whatever an AppSpec says.

        User guide, "Redeploy and roll back a deployment": traffic goes back to the original task set.
        """
        standing = [each for each in service.task_sets if each.status != "DRAINING"]
        last, target = deployment.group.last_successful, self.target(deployment)
        if deployment.native_rollback and last and deployment.revision == last.revision:
            own = next((each for each in standing if each.external_id == last.id), None)
            if own is not None:
                return own
        return next((each for each in standing if each.task_definition == target), None)


def _after(seconds: float, steps: list[TrafficStep]) -> list[TrafficStep]:
    return [TrafficStep(seconds + step.after_seconds, step.percent) for step in steps]


def summed(shares: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Each content with the sum of its shares."""
    total: dict[str, float] = {}
    for content, share in shares:
        total[content] = total.get(content, 0.0) + share
    return {content: share for content, share in total.items() if share > 1e-9}
