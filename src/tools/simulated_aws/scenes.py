"""Scenes as tests and the demo build them: groups, functions, services, stacks, and the short forms of revisions."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from simulated_aws.clock import Clock
from simulated_aws.cloudformation.releases import StackReleases
from simulated_aws.cloudformation.stacks import Stack, Stacks
from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup
from simulated_aws.ecs.service_model import RollingService
from simulated_aws.objects import Objects

Revision = dict[str, Any] | str | int
BUNDLES = "bundles"
ROLE = "arn:aws:iam::123456789012:role/CodeDeploy"


class Scenes:
    """What is there before anything is released."""

    engine: Engine
    clock: Clock
    account: str
    region: str
    bundles: Objects | None
    stacks: Stacks
    releases_of_stacks: StackReleases
    _lock: threading.RLock

    def server_group(self, application: str, group: str, *, instances: int = 3, **options: Any) -> DeploymentGroup:
        """A fleet of instances on which nothing is deployed yet."""
        return self._group("Server", application, group, options, instances)

    def lambda_group(
        self,
        application: str,
        group: str,
        function: str = "shop",
        alias: str = "live",
        *,
        versions: int = 3,
        current: int | str = 1,
        **options: Any,
    ) -> DeploymentGroup:
        """A function with published versions 1 to `versions`, and an alias at `current`."""
        self.engine.lambda_world.create_function(function, versions)
        self.engine.lambda_world.create_alias(function, alias, str(current))
        made = self._group("Lambda", application, group, options)
        made.alias = (function, alias)
        return made

    def ecs_group(
        self,
        application: str,
        group: str,
        cluster: str = "main",
        service: str = "web",
        family: str = "web",
        *,
        task_definitions: int = 3,
        current: int = 1,
        task_set: dict[str, Any] | None = None,
        **options: Any,
    ) -> DeploymentGroup:
        """A service on `family:current`, whose family has revisions 1 to `task_definitions`.

        `task_set` is what its first task set has beside the definition and its container behind the load balancer.
        """
        for _ in range(task_definitions):
            self.register_task_definition(family)
        running = self.engine.ecs_world.task_definition(f"{family}:{current}").arn
        parts = {"containerName": "app", "containerPort": 80, **(task_set or {})}
        self.engine.ecs_world.create_service(cluster, service, running, self.clock.now(), parts=parts)
        style = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
        named = {"ecsServices": [{"clusterName": cluster, "serviceName": service}], "deploymentStyle": style}
        made = self._group("ECS", application, group, named | options)
        made.family = family
        return made

    def _group(
        self, platform: str, application: str, group: str, options: dict[str, Any], instances: int = 0
    ) -> DeploymentGroup:
        """`alarms` and `rollback_events` are short forms; all else is AWS's own setting."""
        settings = {"serviceRoleArn": ROLE} | dict(options)
        alarms, rollback_events = settings.pop("alarms", None), settings.pop("rollback_events", None)
        if alarms is not None:
            named = [{"name": name} for name in alarms]
            settings["alarmConfiguration"] = {
                "enabled": bool(named), "ignorePollAlarmFailure": False, "alarms": named,
            }  # fmt: skip
        if rollback_events is not None:
            events = list(rollback_events)
            settings["autoRollbackConfiguration"] = {"enabled": bool(events), "events": events}
        if "config" in settings:
            settings["deploymentConfigName"] = settings.pop("config")
        with self._lock:
            if application not in self.engine.applications:
                self.engine.create_application(application, platform)
            return self.engine.create_group(application, group, settings, instances)

    def rolling_service(
        self,
        cluster: str = "main",
        service: str = "web",
        family: str = "web",
        *,
        task_definitions: int = 3,
        current: int = 1,
        desired_count: int = 2,
        age_seconds: float = 86_400,
        **configuration: Any,
    ) -> RollingService:
        """A service that ECS itself deploys, on `family:current`, created `age_seconds` ago.

        `configuration` is AWS's `deploymentConfiguration`: `alarms`, `deploymentCircuitBreaker`, `strategy`, …
        """
        for _ in range(task_definitions):
            self.register_task_definition(family)
        running = self.engine.ecs_world.task_definition(f"{family}:{current}").arn
        at = self.clock.now() - timedelta(seconds=age_seconds)
        made = self.engine.ecs_world.create_service(cluster, service, running, at, desired_count, "ECS")
        made.task_sets.clear()
        settings = {"strategy": "ROLLING", "maximumPercent": 200, "minimumHealthyPercent": 100} | configuration
        return self.engine.service_deployments.add(made, settings, running, at)

    def publish_version(self, function: str, description: str = "", code: str = "", **configuration: Any) -> str:
        """Publish the next version of a function, with new code unless `code` says which.

        `configuration` is more of GetFunctionConfiguration's members (`MemorySize`, `Environment` …).
        """
        world = self.engine.lambda_world
        return world.publish(function, description, code, self.clock.now(), **configuration)

    def register_task_definition(self, family: str, tags: list[dict[str, str]] | None = None, **content: Any) -> str:
        """Register the next revision of a family, with one container `app` by default. Returns its ARN."""
        number = len(self.engine.ecs_world.families.get(family, [])) + 1
        container = {
            "name": "app",
            "image": f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{family}:{number}",
            "essential": True,
            "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
        }
        content = {"containerDefinitions": [container], "cpu": "256", "memory": "512"} | content
        return self.engine.ecs_world.register(family, content, self.clock.now(), tags).arn

    def stack(self, name: str, application: str, group: str, **fields: Any) -> Stack:
        """A stack that owns a group's alias, or the service `group` in the cluster `application`.

        It believes in what is live. `fields` are those of `Stack` (`monitoring_minutes`, `disable_rollback`,
        `rollback_fails`, `creator`, `linked` for deployments that carry the stack's id as `externalId`).
        """
        with self._lock:
            owned = self.releases_of_stacks.resources((application, group))
            options = {"resources": owned, "believes": "", **fields}
            made = self.stacks.add(name, self.region, self.account, (application, group), **options)
            made.believes = made.believes or self.releases_of_stacks.live(made)
        for each in owned:
            if each.kind == "AWS::Lambda::Function" and each.physical:
                tags = {"stack-name": name, "stack-id": made.id, "logical-id": each.logical}
                named = {f"aws:cloudformation:{key}": value for key, value in tags.items()}
                self.engine.lambda_world.function(each.physical).tags |= named
        return made

    # --- short forms -----------------------------------------------------------------------------------------

    def revision(self, application: str, group: str, revision: Revision) -> dict[str, Any]:
        """A revision in AWS's shape from a short form.

        A Lambda version number, an ECS task definition's number or ARN, or a key in the bucket `bundles`.
        """
        if isinstance(revision, dict):
            return revision
        owner = self.engine.group(application, group)
        if owner.platform == "Lambda":
            function, alias = self._alias_of(owner)
            current = self.engine.lambda_world.alias(function, alias).version
            return revisions.lambda_appspec(function, alias, current, str(revision))
        if owner.platform == "ECS":
            return revisions.ecs_appspec(self._task_definition_arn(owner, revision))
        return revisions.s3_revision(BUNDLES, str(revision))

    def upload(self, group: DeploymentGroup, revision: Revision, at: datetime) -> None:
        """Put the bundle that a release names by its key alone into the bucket `bundles`, unless it is there."""
        named = not isinstance(revision, dict) and group.platform == "Server" and not self.engine.objects.knows(BUNDLES)
        if named and self.bundles is not None:
            self.bundles.add(BUNDLES, str(revision), str(revision), at)

    def build_images(self, task_definition: str) -> None:
        """Push the images of a task definition whose tags every release moves, as a pipeline does."""
        for box in self.engine.ecs_world.described(task_definition).get("containerDefinitions") or ():
            self.engine.ecs_world.images.build(box["image"], self.clock.now())

    def probe(self, group: DeploymentGroup, revision: dict[str, Any]) -> Deployment:
        """A deployment of a revision that is not made, to be asked what it would be."""
        return Deployment("", group, revision, "", self.clock.now())

    def _task_definition_arn(self, group: DeploymentGroup, revision: str | int) -> str:
        text = str(revision)
        name = f"{group.family}:{text}" if text.isdigit() else text
        return text if text.startswith("arn:") else self.engine.ecs_world.arn(f"task-definition/{name}")

    def _alias_of(self, group: DeploymentGroup) -> tuple[str, str]:
        if group.alias is None:
            raise LookupError(f"{group.name} was not made with lambda_group: give the revision in full")
        return group.alias
