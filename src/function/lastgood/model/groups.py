"""Deployment groups: where a revision is deployed, and who deploys there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

# The names that ECS allows for clusters and services.
_ECS_SERVICE = re.compile(r"([A-Za-z0-9_-]{1,255})/([A-Za-z0-9_-]{1,255})")
# The names that CodePipeline allows for pipelines and stages.
_STAGE = re.compile(r"([A-Za-z0-9.@_-]{1,100})/([A-Za-z0-9.@_-]{1,100})")
DEPLOYMENT_ID = re.compile(r"d-[A-Z0-9]{9}")
EXECUTION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The id alone, or the ARN of a service deployment, which ends with it.
_SERVICE_DEPLOYMENT_ID = re.compile(
    r"(?:arn:.*:service-deployment/[^/]+/[^/]+/)?([A-Za-z0-9_-]{8,64}(?:/rollback|/revision)?)"
)


class ComputePlatform(StrEnum):
    """CodeDeploy's `computePlatform`; `Pipeline` for a stage of a pipeline, whatever its actions deploy to."""

    SERVER = "Server"
    LAMBDA = "Lambda"
    ECS = "ECS"
    PIPELINE = "Pipeline"


class Controller(StrEnum):
    """Who deploys: CodeDeploy, ECS itself (its deployment controller of that name, any strategy), or a pipeline."""

    CODE_DEPLOY = "CODE_DEPLOY"
    ECS = "ECS"
    PIPELINE = "PIPELINE"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be done where a revision is deployed, and how to speak of it to people.

    `reads_live`: what serves now can be read. `native_moves_traffic`: the deployer's own rollback of a running
    deployment is quick; `native_reroutes`: it sends the traffic to what still stands, and reads no AppSpec again.
    `names_before`: a deployment names what it found live. `alias_may_split`: a stopped deployment leaves traffic on two
    versions. `replaces_running`: a deployment may begin while another runs, and ends it. `stop_restores_previous`:
    every stop brings back the revision before.

    `put_back` says what happens to the good revision. `called` is what people call such a place. `address` are the
    fields that name it in requests and routes, `key_prefix` begins its key, `tags` are an alarm's tags: one for each of
    the two names, or one for both. `names` matches both names in one text, `written` shows that form to people.
    `stack_resource` is the end of the ARN by which a stack holds it; empty where that depends on the platform.
    `runs_images`: a revision consists of images, whose tags may move. `drift_stops_updates`: a stack that expects
    another revision fails at its next update. `held_by_hook`: what a stack deploys there with CodeDeploy's hook cannot
    be stopped. `stack_cannot_release`: a stack that holds it cannot change what it runs, only the deployer can.

    `deployment_ids` is what the ids of deployments look like, its group the id itself; None: any short text.
    `deployment_id_is` says it to people. `page` and `deployment_page` are what a page of the console shows, and its
    address: of the target by both its names, of one deployment by its `id` too. `deployments_are_runs`: of a
    pipeline; elsewhere a pipeline may release, and `finds_runs` says whether the run that made a deployment is found.
    """

    deployer: str
    rolls_back_by_itself: str
    no_such_group: str
    put_back: str = "is deployed again"
    called: str = "deployment group"
    address: tuple[str, ...] = ("application", "deployment_group")
    key_prefix: str = ""
    tags: tuple[str, ...] = ("lastgood:application", "lastgood:deployment-group")
    names: re.Pattern[str] = re.compile(r"([^/]+)/([^/]+)")
    written: str = "application/deployment_group"
    stack_resource: str = ""
    deployment_ids: re.Pattern[str] | None = None
    deployment_id_is: str = "a text of 1 to 200 characters"
    page: tuple[str, str] = ("", "")
    deployment_page: tuple[str, str] = ("", "")
    deployments_are_runs: bool = False
    finds_runs: bool = True
    runs_images: bool = False
    drift_stops_updates: bool = False
    held_by_hook: bool = False
    stack_cannot_release: bool = False
    reads_live: bool = True
    native_moves_traffic: bool = False
    native_reroutes: bool = False
    names_before: bool = False
    alias_may_split: bool = False
    replaces_running: bool = False
    stop_restores_previous: bool = False


_CODE_DEPLOY = Capabilities(
    deployer="CodeDeploy",
    rolls_back_by_itself="CodeDeploy flips the traffic back by itself",
    no_such_group="CodeDeploy has no deployment group {place}",
    deployment_ids=DEPLOYMENT_ID,
    deployment_id_is="a deployment's id: d- and nine capital letters or digits",
    page=("deployment group", "codesuite/codedeploy/applications/{application}/deployment-groups/{deployment_group}"),
    deployment_page=("deployment", "codesuite/codedeploy/deployments/{id}"),
    reads_live=False,
)
_ECS_ALONE = Capabilities(
    deployer="ECS",
    rolls_back_by_itself="ECS puts the revision before it back by itself",
    no_such_group="ECS has no service {place} whose deployment controller is ECS",
    address=("ecs_service",),
    key_prefix="ecs:",
    tags=("lastgood:ecs-service",),
    called="service",
    names=_ECS_SERVICE,
    written="cluster/service",
    stack_resource="ecs:service/{place}",
    deployment_ids=_SERVICE_DEPLOYMENT_ID,
    deployment_id_is="the id or the ARN of a service deployment",
    page=("service", "ecs/v2/clusters/{application}/services/{deployment_group}/deployments"),
    finds_runs=False,
    runs_images=True,
    held_by_hook=True,
    native_moves_traffic=True,
    replaces_running=True,
    stop_restores_previous=True,
)
_STAGE_OF_A_PIPELINE = Capabilities(
    deployer="CodePipeline",
    rolls_back_by_itself="CodePipeline runs the stage again for its last successful execution by itself",
    no_such_group="CodePipeline has no stage {place}",
    put_back="is put back by rolling the stage back to the execution that released it",
    address=("pipeline", "stage"),
    key_prefix="pipeline:",
    tags=("lastgood:pipeline",),
    called="stage",
    names=_STAGE,
    written="pipeline/stage",
    deployment_ids=EXECUTION_ID,
    deployment_id_is="the id of an execution of the pipeline",
    page=("pipeline", "codesuite/codepipeline/pipelines/{application}/view"),
    deployment_page=("execution", "codesuite/codepipeline/pipelines/{application}/executions/{id}/timeline"),
    deployments_are_runs=True,
)
CAPABILITIES: dict[tuple[Controller, ComputePlatform | None], Capabilities] = {
    # None: the platform is not known yet, so nothing is taken for granted.
    (Controller.CODE_DEPLOY, None): _CODE_DEPLOY,
    (Controller.CODE_DEPLOY, ComputePlatform.SERVER): _CODE_DEPLOY,
    (Controller.CODE_DEPLOY, ComputePlatform.LAMBDA): replace(
        _CODE_DEPLOY,
        reads_live=True,
        native_moves_traffic=True,
        names_before=True,
        alias_may_split=True,
        drift_stops_updates=True,
    ),
    (Controller.CODE_DEPLOY, ComputePlatform.ECS): replace(
        _CODE_DEPLOY,
        reads_live=True,
        native_moves_traffic=True,
        native_reroutes=True,
        runs_images=True,
        held_by_hook=True,
        # UpdateService refuses another task definition for a service with the deployment controller CODE_DEPLOY.
        stack_cannot_release=True,
    ),
    (Controller.ECS, None): _ECS_ALONE,
    (Controller.ECS, ComputePlatform.ECS): _ECS_ALONE,
    (Controller.PIPELINE, None): _STAGE_OF_A_PIPELINE,
    (Controller.PIPELINE, ComputePlatform.PIPELINE): _STAGE_OF_A_PIPELINE,
}


def controllers() -> dict[Controller, Capabilities]:
    """What each controller can do, as far as that does not depend on the platform."""
    return {controller: can for (controller, platform), can in CAPABILITIES.items() if platform is None}


def platforms_of(controller: Controller) -> frozenset[ComputePlatform]:
    """The compute platforms to which a controller deploys."""
    return frozenset(platform for known, platform in CAPABILITIES if known is controller and platform is not None)


@dataclass(frozen=True, slots=True, order=True)
class DeploymentGroup:
    """Where a revision is deployed: a CodeDeploy group, a service that ECS itself deploys, a stage of a pipeline.

    Of a service, `application` is the cluster's name and `deployment_group` the service's; of a stage they are the
    names of the pipeline and of the stage.
    """

    application: str
    deployment_group: str
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def key(self) -> str:
        """`<application>/<deployment_group>`, or with a prefix: `ecs:<cluster>/<service>`, `pipeline:<name>/<stage>`.

        A name of CodeDeploy's that begins with one of these prefixes is refused, so they can never be confused.
        """
        return f"{self.can().key_prefix}{self.place}"

    @property
    def place(self) -> str:
        """`<application>/<deployment_group>`, `<cluster>/<service>` or `<pipeline>/<stage>`."""
        return f"{self.application}/{self.deployment_group}"

    @property
    def address(self) -> dict[str, str]:
        """The fields of an operator's request that name it."""
        return self._named(self.can().address)

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which an alarm is routed to it."""
        return self._named(self.can().tags)

    def _named(self, names: tuple[str, ...]) -> dict[str, str]:
        values = (self.place,) if len(names) == 1 else (self.application, self.deployment_group)
        return dict(zip(names, values, strict=True))

    @property
    def deployer(self) -> str:
        """The deployer's name for people: `CodeDeploy`, `ECS`, `CodePipeline`."""
        return self.can().deployer

    def moves_traffic(self, facts: GroupFacts) -> bool:
        """Whether a deployment there moves traffic to what it has made ready, so that undoing it only moves it back."""
        return facts.blue_green or self.can(facts.compute_platform).native_moves_traffic

    def can(self, compute_platform: ComputePlatform | None = None) -> Capabilities:
        """What can be done there, as far as the platform is known."""
        return CAPABILITIES.get((self.controller, compute_platform), CAPABILITIES[self.controller, None])


def parse_place(controller: Controller, text: str) -> DeploymentGroup:
    """Both names with a slash between → what this controller deploys there. Raises ValueError for anything else."""
    can = CAPABILITIES[controller, None]
    match = can.names.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"must be {can.written}, the two names with a slash between")
    return DeploymentGroup(match[1], match[2], controller)


def parse_stage(text: str) -> DeploymentGroup:
    """`pipeline/stage` → that stage of that pipeline. Raises ValueError for anything else."""
    return parse_place(Controller.PIPELINE, text)


def controller_of(key: str) -> Controller:
    """Who deploys what a key (or a glob over keys) names, by the key's prefix; CodeDeploy's keys have none."""
    by_prefix = ((can.key_prefix, controller) for controller, can in controllers().items() if can.key_prefix)
    return next((controller for prefix, controller in by_prefix if key.startswith(prefix)), Controller.CODE_DEPLOY)


def prefix_of(key: str) -> str:
    """The prefix of a key (or a glob over keys), `ecs:` or `pipeline:`; empty for a CodeDeploy group's."""
    return CAPABILITIES[controller_of(key), None].key_prefix


def parse_key(key: str) -> DeploymentGroup:
    """What a key names, as `DeploymentGroup.key` writes it. Raises ValueError for anything else."""
    return parse_place(controller_of(key), key.removeprefix(prefix_of(key)))


def parse_prefixed(key: str) -> DeploymentGroup | None:
    """The service or the stage of a key with a prefix; None for a key without one. Raises ValueError if it is wrong."""
    return parse_key(key) if prefix_of(key) else None


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A deployment group as `GetDeploymentGroup` describes it, or as far as its newest deployment shows it.

    `names_instances`: each blue/green deployment has to name the instances that it moves to; `ends_originals`: those
    that it moved from are terminated afterwards. `own_instances`: the group's own instances, in the form in which a
    deployment names them. `express_arn`: the ARN of an Express Mode service, which ECS updates by a call of its own.
    `by_list`: only the list of deployments was read, and it may be behind.
    """

    compute_platform: ComputePlatform
    last_attempted_id: str = ""
    last_attempted_status: str = ""
    last_successful_id: str = ""
    blue_green: bool = False
    alarm_names: tuple[str, ...] = ()
    ecs_cluster: str = ""
    ecs_service: str = ""
    express_arn: str = ""
    names_instances: bool = False
    ends_originals: bool = False
    own_instances: Mapping[str, object] = field(default_factory=dict, compare=False)
    by_list: bool = False
