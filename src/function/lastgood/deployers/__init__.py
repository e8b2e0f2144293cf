"""What deploys: one adapter per deployment controller, with its raw dictionaries inside.

`protocol` is what each of them can do; `codedeploy` and `ecs` do it. `codedeploy` reads through `history`,
`group_facts`, `contents` (AppSpecs) and one of `platforms`; `ecs` reads through `ecs_history`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lastgood.clients import Clients
from lastgood.deployers.codedeploy import CodeDeploy
from lastgood.deployers.ecs import EcsService
from lastgood.deployers.ecs_history import Memory
from lastgood.deployers.protocol import Deployer, DeployerFor
from lastgood.model import ComputePlatform, Controller, DeploymentGroup
from lastgood.settings import Settings

__all__ = ["Deployer", "DeployerFor", "deployers"]


def deployers(clients: Clients, settings: Settings, pool: ThreadPoolExecutor) -> DeployerFor:
    """The deployer of each group. What never changes is read once and shared by all of them."""
    contents: dict[tuple[str, str], str] = {}
    memory = Memory()

    def deployer(group: DeploymentGroup, compute_platform: ComputePlatform | None) -> Deployer:
        if group.controller is Controller.ECS:
            return EcsService(group, clients, pool, memory)
        return CodeDeploy(group, clients, settings, pool, contents, compute_platform)

    return deployer
