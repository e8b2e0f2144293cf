"""Which deployments lastgood made: a description is anybody's text, so the ledger has to vouch for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lastgood.ledger import Ledger
from lastgood.model import Controls, Deployment, DeploymentGroup


def signed(deployments: Iterable[Deployment], controls: Controls) -> tuple[Deployment, ...]:
    """ECS keeps no description of a deployment: which of them past rollbacks created is in the ledger alone."""
    ours = {p.rollback_deployment_id: p.rollback_id for p in controls.past if p.rollback_deployment_id}
    return tuple(
        replace(d, made_by=ours[d.deployment_id]) if d.deployment_id in ours and not d.is_rollback else d
        for d in deployments
    )


@dataclass(frozen=True, slots=True)
class Vouching:
    """The ledger's word on the deployments of one group. It is asked only where a marker is not known already."""

    ledger: Ledger
    group: DeploymentGroup
    controls: Controls

    def signed(self, deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
        """The deployments, each with the rollback that made it, and with none where only its description says so."""
        known = {p.rollback_deployment_id for p in self.controls.past}
        return tuple(
            d if not d.made_by or d.deployment_id in known or self._made(d) else replace(d, made_by="")
            for d in signed(deployments, self.controls)
        )

    def _made(self, deployment: Deployment) -> bool:
        """Its rollback is of this group, asked for a deployment, and knows of no other one."""
        found = self.ledger.load(deployment.made_by)
        if found is None or found.group != self.group:
            return False
        if found.progress.rollback_deployment_id:
            return found.progress.rollback_deployment_id == deployment.deployment_id
        return found.progress.create_attempted_at is not None
