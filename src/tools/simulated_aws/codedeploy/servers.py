"""What a deployment does to a fleet of instances: the late checks, one batch after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import Any

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.configs import DeploymentConfig, TrafficStep
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup, Timing
from simulated_aws.codedeploy.platforms import Refusal, summed
from simulated_aws.objects import Objects


class ServerPlatform:
    """A fleet on which instances get the revision one batch after the other."""

    def __init__(self, objects: Callable[[str], Objects | None], branches: dict[tuple[str, str], str]) -> None:
        """`branches` maps a repository and a branch to the commit on which it stands."""
        self._objects = objects
        self._branches = branches

    def target(self, deployment: Deployment) -> str:
        """The bundle or commit."""
        return revisions.identity(deployment.revision)

    def refusal(self, deployment: Deployment, config: DeploymentConfig) -> Refusal | None:
        """There must be instances, and the bundle must be in S3 with the ETag that was asked for."""
        if not self._instances(deployment) or self._names_no_replacement(deployment):
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

    def _names_no_replacement(self, deployment: Deployment) -> bool:
        """Blue/green with DISCOVER_EXISTING: each deployment names its replacement instances in `targetInstances`.

        terraform-provider-aws#4678; that AWS ends it with NO_INSTANCES is inferred. A native rollback only reroutes.
        """
        blue_green = deployment.group.settings.get("blueGreenDeploymentConfiguration") or {}
        option = blue_green.get("greenFleetProvisioningOption") or {}
        named = deployment.request.get("targetInstances") or {}
        found = any(named.get(key) for key in ("tagFilters", "autoScalingGroups", "ec2TagSet"))
        found = found and named not in deployment.group.terminated
        return option.get("action") == "DISCOVER_EXISTING" and not deployment.native_rollback and not found

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
        group, instances = deployment.group, self._instances(deployment)
        reached = self.reached(deployment, percent)
        done = [each for each in reached if each not in group.silent]
        deployment.content = self.content(deployment)
        for each in done:
            group.instances[each], group.contents[each] = deployment.revision, deployment.content
        silent = len(reached) - len(done)
        deployment.overview = _overview(
            Succeeded=len(done), InProgress=silent, Pending=len(instances) - len(done) - silent
        )

    def reached(self, deployment: Deployment, percent: int) -> list[str]:
        """The first so many percent of the instances."""
        instances = self._instances(deployment)
        return instances[: ceil(len(instances) * percent / 100)]

    def finish(self, deployment: Deployment) -> None:
        """The instances from which a blue/green deployment moved are terminated, where the group says so."""
        group, last = deployment.group, deployment.group.last_successful
        blue_green = group.settings.get("blueGreenDeploymentConfiguration") or {}
        blue = blue_green.get("terminateBlueInstancesOnDeploymentSuccess") or {}
        left = last.request.get("targetInstances") if last else None
        if left and blue.get("action") == "TERMINATE" and left != deployment.request.get("targetInstances"):
            group.terminated.append(left)

    def live(self, group: DeploymentGroup) -> dict[str, float]:
        """Revision to the share of the instances that run it."""
        running = [revisions.identity(each) for each in group.instances.values() if each]
        return {each: running.count(each) / len(group.instances) for each in running}

    def content(self, deployment: Deployment) -> str:
        """What lies under the bundle's key, or where the branch stands, at this moment."""
        return self._fetched(deployment.revision)

    def serving(self, group: DeploymentGroup) -> dict[str, dict[str, float]]:
        """What the instances run; those on which nothing was installed count with nobody."""
        fleet = len(group.instances) or 1
        running = [group.contents.get(i) or self._fetched(r) for i, r in group.instances.items() if r]
        return {group.name: summed((each, 1 / fleet) for each in running)}

    def _fetched(self, revision: dict[str, Any]) -> str:
        if git := revision.get("gitHubLocation"):
            commit = self._branches.get((git["repository"], git["commitId"]), git["commitId"])
            return f"{git['repository']}@{commit}"
        location = revision.get("s3Location") or {}
        store = self._objects(location["bucket"]) if location else None
        found = store.find(location["bucket"], location["key"], location.get("version", "")) if store else None
        if found is None:
            return revisions.identity(revision)
        told = found.content if found.content is not None else found.etag or found.version
        return f"{location['key']}@{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def _instances(self, deployment: Deployment) -> list[str]:
        everywhere = deployment.group.instances
        if deployment.request.get("updateOutdatedInstancesOnly"):
            return [each for each, revision in everywhere.items() if revision != deployment.revision]
        return list(everywhere)


def _overview(**counts: int) -> dict[str, int]:
    empty = dict.fromkeys(("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0)
    return empty | counts
