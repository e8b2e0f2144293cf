"""The other groups of a release that was rolled back in one group: each follows with a rollback of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lastgood.deployers import DeployerFor
from lastgood.errors import RefusedError
from lastgood.model import DeploymentGroup, Rollback, Trigger, TriggerKind, parse_key
from lastgood.parts import Parts
from lastgood.rollbacks.opening import rollback_id
from lastgood.routing import is_allowed
from lastgood.settings import Settings

type Opens = Callable[[Rollback, str], Rollback]

REQUESTED_BY = "lastgood"


@dataclass(frozen=True)
class Others:
    """Opens the rollbacks that follow another one. They pass the guards of a rollback that an operator asks for."""

    parts: Parts
    opens: Opens

    def follow(self, source: Rollback) -> list[tuple[str, str]]:
        """For each other group the id of its rollback (empty where it is left alone), and a sentence.

        The ids follow from the source's id, so what was begun before a crash is found again.
        """
        others = sorted(source.choice.release_deployments.items())
        return [self._follows(source, parse_key(key), was) for key, was in others if key != source.group.key]

    def _follows(self, source: Rollback, group: DeploymentGroup, deployment_id: str) -> tuple[str, str]:
        key = f"follows|{source.rollback_id}"
        opened_as = rollback_id(key, group, source.opened_at)
        settings, deployer_for = self.parts.settings, self.parts.deployer_for
        begun = self.parts.ledger.load(opened_as) is not None
        if not begun and (why := left_alone(group, deployment_id, settings, deployer_for)):
            return "", f"{group.key} is left alone: {why}."
        opened = self.opens(following(source, group, deployment_id, opened_as, self.parts.clock()), key)
        return opened.rollback_id, f"{group.key} follows: {opened.rollback_id}."


def left_alone(group: DeploymentGroup, deployment_id: str, settings: Settings, deployer_for: DeployerFor) -> str:
    """Why a group is left alone; empty if the release in question is the last that was deployed there."""
    if not is_allowed(group, settings):
        return "it is not in LASTGOOD_ALLOWED_GROUPS"
    deployer = deployer_for(group, None)
    try:
        facts = deployer.facts()
        newest = deployer.newest(facts) if facts else None
    except RefusedError as error:
        return str(error).rstrip(".")
    if newest is None or newest.deployment_id == deployment_id:
        return "" if newest else "nothing is deployed there any more"
    return f"{newest.deployment_id} came after {deployment_id}, which was of this release"


def following(source: Rollback, group: DeploymentGroup, deployment_id: str, opened_as: str, now: datetime) -> Rollback:
    """The rollback of a group that follows the source's; it goes back only if this deployment is to blame there."""
    trigger = Trigger(
        TriggerKind.MANUAL,
        now,
        requested_by=REQUESTED_BY,
        request_reason=f"{source.rollback_id} rolled {source.group.key} back: {source.choice.release_joined_by} "
        "released to both",
        follows=source.rollback_id,
        only_deployment_id=deployment_id,
    )
    opened = Rollback.opened(opened_as, group, trigger, now)
    return opened.changed(
        release_groups=source.choice.release_groups, release_joined_by=source.choice.release_joined_by
    )
