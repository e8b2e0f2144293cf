"""Which deployments lastgood made: anybody can write a description, so the ledger has to confirm it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from lastgood.ledger import Ledger
from lastgood.model import Controls, Deployment, DeploymentGroup

CLOCKS_DIFFER_BY = timedelta(minutes=5)


def signed(deployments: Iterable[Deployment], controls: Controls) -> tuple[Deployment, ...]:
    """Deployments with `made_by` from past rollbacks. ECS keeps no descriptions, so only the ledger knows it there."""
    ours = {p.rollback_deployment_id: p.rollback_id for p in controls.past if p.rollback_deployment_id}
    return tuple(
        replace(d, made_by=ours[d.deployment_id]) if d.deployment_id in ours and not d.is_rollback else d
        for d in deployments
    )


@dataclass(frozen=True, slots=True)
class Vouching:
    """Checks the markers of one group's deployments with the ledger, which is read only for unknown markers."""

    ledger: Ledger
    group: DeploymentGroup
    controls: Controls

    def signed(self, deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
        """The deployments, each with the rollback that made it; with none where only the description says so."""
        known = {p.rollback_deployment_id for p in self.controls.past}
        return tuple(
            d if not d.made_by or d.deployment_id in known or self._made(d) else replace(d, made_by="")
            for d in signed(deployments, self.controls)
        )

    def _made(self, deployment: Deployment) -> bool:
        """Whether its rollback is of this group, tried to create a deployment, and knows of no other one.

        Where its answer was lost, only what deploys the same, and was created before the rollback ended, can be it.
        """
        rollback = self.ledger.load(deployment.made_by)
        if rollback is None or rollback.group != self.group:
            return False
        progress = rollback.progress
        if progress.rollback_deployment_id:
            return progress.rollback_deployment_id == deployment.deployment_id
        ended = (rollback.closed_at or deployment.created_at) + CLOCKS_DIFFER_BY
        in_time = rollback.opened_at - CLOCKS_DIFFER_BY <= deployment.created_at <= ended
        meant = {"", progress.redeployed_revision or rollback.choice.good_revision}
        return progress.create_attempted_at is not None and in_time and deployment.revision.identity in meant
