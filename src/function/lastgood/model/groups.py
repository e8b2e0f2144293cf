"""Deployment groups: where a revision is deployed, and who deploys there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

# The names that ECS allows for clusters and services.
_ECS_SERVICE = re.compile(r"([A-Za-z0-9_-]{1,255})/([A-Za-z0-9_-]{1,255})")


class ComputePlatform(StrEnum):
    """CodeDeploy's `computePlatform`."""

    SERVER = "Server"
    LAMBDA = "Lambda"
    ECS = "ECS"


class Controller(StrEnum):
    """Who deploys: CodeDeploy, or ECS itself (its deployment controller of that name, with any strategy)."""

    CODE_DEPLOY = "CODE_DEPLOY"
    ECS = "ECS"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be done where a revision is deployed, and how people are told of it.

    `reads_live`: what serves now can be read. `native_moves_traffic`: the deployer's own rollback of a running
    deployment is quick. `alias_may_split`: a stopped deployment leaves traffic on two versions. `replaces_running`: a
    deployment may begin while another runs, and ends it. `stop_restores_previous`: every stop brings back the
    revision before. `address` are the members that name a target in requests, `key_prefix` begins its key.
    """

    deployer: str
    rolls_back_by_itself: str
    no_such_group: str
    address: tuple[str, ...] = ("application", "deployment_group")
    key_prefix: str = ""
    reads_live: bool = True
    native_moves_traffic: bool = False
    alias_may_split: bool = False
    replaces_running: bool = False
    stop_restores_previous: bool = False


_CODE_DEPLOY = Capabilities(
    deployer="CodeDeploy",
    rolls_back_by_itself="CodeDeploy flips the traffic back by itself",
    no_such_group="CodeDeploy has no deployment group {place}",
    reads_live=False,
)
_ECS_ALONE = Capabilities(
    deployer="ECS",
    rolls_back_by_itself="ECS puts the revision before it back by itself",
    no_such_group="ECS has no service {place} whose deployment controller is ECS",
    address=("ecs_service",),
    key_prefix="ecs:",
    native_moves_traffic=True,
    replaces_running=True,
    stop_restores_previous=True,
)
CAPABILITIES: dict[tuple[Controller, ComputePlatform | None], Capabilities] = {
    # None: the platform is not known yet, so nothing is taken for granted.
    (Controller.CODE_DEPLOY, None): _CODE_DEPLOY,
    (Controller.CODE_DEPLOY, ComputePlatform.SERVER): _CODE_DEPLOY,
    (Controller.CODE_DEPLOY, ComputePlatform.LAMBDA): replace(
        _CODE_DEPLOY, reads_live=True, native_moves_traffic=True, alias_may_split=True
    ),
    (Controller.CODE_DEPLOY, ComputePlatform.ECS): replace(_CODE_DEPLOY, reads_live=True, native_moves_traffic=True),
    (Controller.ECS, None): _ECS_ALONE,
    (Controller.ECS, ComputePlatform.ECS): _ECS_ALONE,
}


@dataclass(frozen=True, slots=True, order=True)
class DeploymentGroup:
    """Where a revision is deployed: a CodeDeploy deployment group, or a service that ECS itself deploys.

    Of a service, `application` is the cluster's name and `deployment_group` the service's.
    """

    application: str
    deployment_group: str
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def key(self) -> str:
        """`<application>/<deployment_group>`, as the audit table's index has it; `ecs:<cluster>/<service>`.

        A name of CodeDeploy's that begins with `ecs:` is refused, so the two can never be confused.
        """
        return f"{self.can().key_prefix}{self.place}"

    @property
    def place(self) -> str:
        """`<application>/<deployment_group>`, or `<cluster>/<service>`."""
        return f"{self.application}/{self.deployment_group}"

    @property
    def address(self) -> dict[str, str]:
        """The members of an operator's request that name it."""
        names = self.can().address
        values = (self.place,) if len(names) == 1 else (self.application, self.deployment_group)
        return dict(zip(names, values, strict=True))

    @property
    def deployer(self) -> str:
        """Who deploys there, as people say it."""
        return self.can().deployer

    def can(self, compute_platform: ComputePlatform | None = None) -> Capabilities:
        """What is possible there, as far as the platform is known."""
        return CAPABILITIES.get((self.controller, compute_platform), CAPABILITIES[self.controller, None])


def parse_ecs_service(text: str) -> DeploymentGroup:
    """`cluster/service` → the service as ECS itself deploys it. Raises ValueError for anything else."""
    match = _ECS_SERVICE.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be cluster/service, the two names with a slash between")
    return DeploymentGroup(match[1], match[2], Controller.ECS)


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A deployment group as `GetDeploymentGroup` tells it, or as far as its newest deployment shows it."""

    compute_platform: ComputePlatform
    last_attempted_id: str = ""
    last_attempted_status: str = ""
    last_successful_id: str = ""
    blue_green: bool = False
    alarm_names: tuple[str, ...] = ()
    ecs_cluster: str = ""
    ecs_service: str = ""
