"""Releases as others make them, outside the log of arrivals: by a pipeline, a stack, or a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from simulated_aws.codedeploy.model import DeploymentGroup
from simulated_aws.codepipeline.model import Pipeline
from simulated_aws.codepipeline.pipelines import Pipelines
from simulated_aws.playing import Playing
from simulated_aws.scenes import Revision


class Releasing(Playing):
    """Deployments, stack updates, commits that reach a pipeline."""

    pipelines: Pipelines

    def release(
        self,
        application: str,
        group: str,
        revision: Revision,
        *,
        creator: str = "user",
        external_id: str = "",
        settle: bool = False,
        **request: Any,
    ) -> str:
        """Create a deployment as a pipeline would, outside the log of arrivals. Returns its id.

        `request` is more of CreateDeployment's parameters; `settle` runs it to its end. A bundle that is named by its
        key alone is uploaded first, as a pipeline does, unless it is there; a new image is pushed to a tag such as
        `latest`, unless a test pushes what it wants there.
        """
        given = {
            "applicationName": application,
            "deploymentGroupName": group,
            "revision": self.revision(application, group, revision),
            **request,
        }
        with self._lock:
            self.engine.tick()
            owner = self.engine.group(application, group)
            self.upload(owner, revision, self.clock.now())
            if owner.platform == "ECS":
                self.build_images(self.engine.target(self.probe(owner, given["revision"])))
            made = self.engine.create_deployment(given, creator, external_id)
        if settle:
            self.settle(made.id)
        return made.id

    def update_stack(self, name: str, revision: str | int, *, settle: bool = False) -> str:
        """What `sam deploy` or a CDK pipeline does: the template names another version, or task definition.

        Returns the id of the deployment that the stack made, empty if there was none.
        """
        with self._lock:
            self.engine.tick()
            stack = self.stacks.stack(name)
            wanted = str(revision)
            if stack.group in self.engine.service_deployments.services:
                wanted = self.engine.ecs_world.task_definition(wanted).arn
            self.stacks.update_stack(stack, wanted)
            deployment = stack.deployment
        if settle:
            self.settle()
        return deployment

    def pipeline(self, name: str, application: str, group: str, **options: Any) -> Pipeline:
        """A pipeline that releases to a group; `options` are fields of `Pipeline` (`pipeline_type`, `mode` …)."""
        with self._lock:
            return self.pipelines.create(name, application, group, **options)

    def push(
        self, pipeline: str, commit: str, builds: Revision, *, settle: bool = False, summary: str = "", action: str = ""
    ) -> str:
        """A commit reaches a pipeline, which builds a revision from it and releases that. Returns the run's id.

        `settle` lets time pass until the run is over, or waits before a stage.
        """
        with self._lock:
            self.engine.tick()
            run = self.pipelines.push(pipeline, commit, builds, summary, action)
        limit = self.clock.now() + timedelta(days=2)
        while settle and run.status == "InProgress" and not run.waiting and self._play_next(limit):
            pass
        return run.id

    def _build(self, application: str, group: str, revision: Revision, again: bool) -> dict[str, Any]:
        """What a build gives, bundles uploaded. Building a commit again gives a new revision with the same content."""
        owner = self.engine.group(application, group)
        if again and not isinstance(revision, dict):
            revision = self._copied(owner, revision)
        self.upload(owner, revision, self.clock.now())
        return self.revision(application, group, revision)

    def _copied(self, group: DeploymentGroup, revision: str | int) -> str | int:
        if group.platform == "ECS":
            old = self.engine.ecs_world.task_definition(self._task_definition_arn(group, revision))
            return self.register_task_definition(group.family, **old.content)
        if group.platform == "Lambda":
            function, _ = self._alias_of(group)
            like = self.engine.lambda_world.function(function).versions[str(revision)]
            return self.publish_version(function, f"the same as {revision}", like.code, **like.configuration)
        return f"{revision}.{len(group.deployments)}"

    def release_service(self, cluster: str, service: str, task_definition: str, *, settle: bool = False) -> str:
        """Update a service as a pipeline would, outside the log of arrivals: to `family:revision` or an ARN.

        A new image is pushed to a tag such as `latest`, as in `release`. Returns the service deployment's id; `settle`
        runs it to its end.
        """
        with self._lock:
            self.engine.tick()
            owner = self.engine.service_deployments.services[(cluster, service)]
            arn = self.engine.ecs_world.task_definition(task_definition).arn
            self.build_images(arn)
            made = self.engine.service_deployments.update(owner, arn, force=True)
        if made is None:
            raise LookupError(f"{task_definition} started no deployment")
        if settle:
            self.settle()
        return made.id
