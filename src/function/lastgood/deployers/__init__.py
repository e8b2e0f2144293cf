"""The deployers: one adapter per deployment controller. AWS's raw dictionaries stay inside.

`protocol` is what each of them can do; `codedeploy`, `ecs` and `pipeline` do it. `codedeploy` reads through `history`,
`group_facts`, `contents` (AppSpecs) and one of `platforms`; `ecs` through `ecs_history`, `pipeline` through
`stage_history`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lastgood.clients import Clients
from lastgood.deployers.codedeploy import CodeDeploy
from lastgood.deployers.memory import Memory
from lastgood.deployers.protocol import Deployer, DeployerFor
from lastgood.model import ComputePlatform, Controller, DeploymentGroup
from lastgood.settings import Settings

__all__ = ["Deployer", "DeployerFor", "deployers"]


@dataclass(frozen=True)
class Shared:
    """What all deployers share. What never changes in AWS (AppSpecs, task definitions) is read once and kept here."""

    clients: Clients
    settings: Settings
    pool: ThreadPoolExecutor
    contents: dict[tuple[str, str], str] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


def _ecs(shared: Shared, group: DeploymentGroup, _: ComputePlatform | None) -> Deployer:
    from lastgood.deployers.ecs import EcsService

    return EcsService(group, shared.clients, shared.pool, shared.memory)


def _pipeline(shared: Shared, group: DeploymentGroup, _: ComputePlatform | None) -> Deployer:
    from lastgood.deployers.pipeline import PipelineStage

    settings = shared.settings
    return PipelineStage(
        group,
        shared.clients,
        shared.pool,
        rerun_outdated=settings.rerun_outdated_stages,
        find_stacks=settings.find_stacks,
    )


# Most deployments are CodeDeploy's: the other adapters are imported when a group needs them.
FACTORIES: dict[Controller, Callable[[Shared, DeploymentGroup, ComputePlatform | None], Deployer]] = {
    Controller.CODE_DEPLOY: lambda shared, group, platform: CodeDeploy(
        group, shared.clients, shared.settings, shared.pool, shared.contents, platform
    ),
    Controller.ECS: _ecs,
    Controller.PIPELINE: _pipeline,
}


def deployers(clients: Clients, settings: Settings, pool: ThreadPoolExecutor) -> DeployerFor:
    """A function that finds the deployer of a group; it is given the compute platform where that is known already."""
    shared = Shared(clients, settings, pool)

    def deployer(group: DeploymentGroup, compute_platform: ComputePlatform | None) -> Deployer:
        return FACTORIES[group.controller](shared, group, compute_platform)

    return deployer
