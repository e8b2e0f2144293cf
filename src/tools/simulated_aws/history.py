"""A history that was never played: deployments that are over, put there by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from simulated_aws.codedeploy import revisions as made
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup
from simulated_aws.ecs.world import Service
from simulated_aws.scenes import Revision, Scenes


class History(Scenes):
    """Seeds what tests and benchmarks need at once."""

    def seed_history(
        self,
        application: str,
        group: str,
        count: int,
        *,
        every_seconds: float = 3600,
        failed_every: int = 0,
        status: str = "Succeeded",
        revisions: Iterable[Revision] | None = None,
        **request: Any,
    ) -> list[str]:
        """`count` deployments that are over, the last one an interval ago, not run. Returns their ids.

        Each deploys the next Lambda version, task definition or bundle, unless `revisions` says which. The
        last success is live afterwards. Every `failed_every`-th deployment is Failed.
        """
        owner = self.engine.group(application, group)
        chosen = list(revisions) if revisions is not None else self._new_revisions(owner, count)
        start = self.clock.now() - timedelta(seconds=every_seconds * count)
        seeded: list[Deployment] = []
        for index, short in enumerate(chosen[:count]):
            failed = failed_every and index % failed_every == failed_every - 1
            revision = self._seeded_revision(owner, short, chosen[index - 1] if index else short)
            at = start + timedelta(seconds=every_seconds * index)
            outcome = "Failed" if failed else status
            self.upload(owner, short, at)
            seeded.append(self.engine.seed_deployment(owner, revision, at, outcome, **request))
        self._make_live(owner)
        return [each.id for each in seeded]

    def _new_revisions(self, group: DeploymentGroup, count: int) -> list[Revision]:
        if group.platform == "Lambda":
            function, _ = self._alias_of(group)
            return [self.publish_version(function) for _ in range(count)]
        if group.platform == "ECS":
            return [self.register_task_definition(group.family) for _ in range(count)]
        known = len(group.deployments)
        return [f"{group.name}-{known + number + 1:05d}.zip" for number in range(count)]

    def _seeded_revision(self, group: DeploymentGroup, revision: Revision, before: Revision) -> dict[str, Any]:
        if group.platform == "Lambda" and not isinstance(revision, dict):
            function, alias = self._alias_of(group)
            return made.lambda_appspec(function, alias, str(before), str(revision))
        return self.revision(group.application.name, group.name, revision)

    def _make_live(self, group: DeploymentGroup) -> None:
        last = group.last_successful
        if last is None:
            return
        target = self.engine.target(last)
        if group.alias:
            self.engine.lambda_world.point(*group.alias, target)
        service = self._service(group)
        if service and service.primary:
            service.primary.task_definition, service.primary.external_id = target, last.id
        group.instances = dict.fromkeys(group.instances, last.revision)
        group.contents = dict.fromkeys(group.instances, last.content)

    def _service(self, group: DeploymentGroup) -> Service | None:
        named = (group.settings.get("ecsServices") or [{}])[0]
        return self.engine.ecs_world.services.get((named.get("clusterName", ""), named.get("serviceName", "")))
