"""What a redeployment would carry of the old AppSpec, and what it would leave out, before anything happens."""

from __future__ import annotations

from collections.abc import Iterable

from lastgood.errors import LastgoodError
from lastgood.model import Deployment, DeploymentGroup, LeftOut, Live, Observation, Preparation
from lastgood.observe import Observer


def stands_before(
    observer: Observer, group: DeploymentGroup, good: Deployment | None, seen: Observation
) -> tuple[Preparation, ...]:
    """What a redeployment after the stop would leave out or has to do first, as far as it can be read now."""
    if good is None or seen.group is None:
        return ()
    deployer = observer.deployer_for(group, seen.group.compute_platform)
    try:
        readable = group.can(seen.group.compute_platform).reads_live
        live = deployer.live(seen.group, good.revision) if readable else Live()
        return deployer.prepare(seen.group, good.revision, live)
    except LastgoodError:
        return ()


def left_out(stands: Iterable[Preparation]) -> list[str]:
    """The sentences about it."""
    return [each.told for each in stands if isinstance(each, LeftOut)]
