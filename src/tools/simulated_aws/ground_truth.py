"""The judge of tests and benchmarks: which content really serves, whatever it is called."""

from __future__ import annotations

from simulated_aws.codepipeline.pipelines import Pipelines
from simulated_aws.scenes import Revision, Scenes


class GroundTruth(Scenes):
    """Shares by content. A content is told by code and configuration, digests, bytes: never by a version or a name."""

    pipelines: Pipelines
    bad_contents: set[str]

    def serving_by_target(self, application: str, group: str) -> dict[str, dict[str, float]]:
        """Of each function, service or fleet: every content that serves, and its share.

        For a service that ECS itself deploys, `application` and `group` are its cluster and its name. For a stage that
        deploys neither with CodeDeploy nor through a stack they are `pipeline:<name>` and the stage.
        """
        self.engine.tick()
        if application.startswith("pipeline:"):
            name, deployed = application.removeprefix("pipeline:"), self.pipelines.deployed
            content = deployed.get(f"{name}/{group}") or deployed.get(name)
            return {f"{application}/{group}": {content: 1.0} if content else {}}
        service = self.engine.service_deployments.services.get((application, group))
        if application not in self.engine.applications and service:
            return {f"{application}/{group}": service.serving()}
        owner = self.engine.group(application, group)
        return self.engine.platform_of(owner).serving(owner)

    def serving(self, application: str, group: str) -> dict[str, float]:
        """Every content that serves, and its share. Of several functions each one's shares add up to one."""
        found: dict[str, float] = {}
        for shares in self.serving_by_target(application, group).values():
            for content, share in shares.items():
                found[content] = max(found.get(content, 0.0), share)
        return found

    def content(self, application: str, group: str, revision: Revision) -> str:
        """What a revision would bring if it were deployed now.

        For a service that ECS itself deploys the revision is `family:number` or an ARN.
        """
        if application not in self.engine.applications:
            world = self.engine.ecs_world
            owner = self.engine.service_deployments.services[(application, group)]
            return world.resolve(world.task_definition(str(revision)).arn, owner.parts).id
        owner_group = self.engine.group(application, group)
        given = self.revision(application, group, revision)
        return self.engine.platform_of(owner_group).content(self.probe(owner_group, given))

    def content_of(self, deployment_id: str) -> str:
        """What a deployment of CodeDeploy or of a service really brought; empty if it never got so far."""
        for owner in self.engine.service_deployments.services.values():
            for each in owner.deployments:
                if each.id == deployment_id:
                    return each.target.content
        return self.engine.deployment(deployment_id).content

    def declare_bad(self, *deployment_ids: str) -> None:
        """What these deployments brought is bad from now on, under whatever name."""
        self.bad_contents |= {found for each in deployment_ids if (found := self.content_of(each))}

    def bad_share(self, application: str, group: str) -> float:
        """How much of the traffic bad content gets; of several functions, the worst one's."""
        targets = self.serving_by_target(application, group).values()
        return max((sum(s for c, s in shares.items() if c in self.bad_contents) for shares in targets), default=0.0)
