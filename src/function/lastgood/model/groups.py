"""Deployment groups: where a revision is deployed, and who deploys there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ComputePlatform(StrEnum):
    """CodeDeploy's `computePlatform`."""

    SERVER = "Server"
    LAMBDA = "Lambda"
    ECS = "ECS"


class Controller(StrEnum):
    """Who deploys: CodeDeploy, or ECS itself (its deployment controller of that name, with any strategy)."""

    CODE_DEPLOY = "CODE_DEPLOY"
    ECS = "ECS"


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
        prefix = "ecs:" if self.controller is Controller.ECS else ""
        return f"{prefix}{self.application}/{self.deployment_group}"

    @property
    def address(self) -> dict[str, str]:
        """The members of an operator's request that name it."""
        if self.controller is Controller.ECS:
            return {"ecs_service": f"{self.application}/{self.deployment_group}"}
        return {"application": self.application, "deployment_group": self.deployment_group}

    @property
    def deployer(self) -> str:
        """Who deploys there, as people say it."""
        return "ECS" if self.controller is Controller.ECS else "CodeDeploy"


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
