"""The targets of a CodeDeploy deployment: which of them it waits for, and when it began to serve users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from lastgood.clients import call
from lastgood.deployers.history import BATCH
from lastgood.errors import LastgoodError, RefusedError
from lastgood.model import Deployment, Reach

_WAITED_FOR = ("InProgress", "Unknown")
_BEGUN = ("InProgress", "Ready", "Succeeded", "Failed", "Unknown")
_TRAFFIC = "AllowTraffic"
"""The lifecycle event with which users are sent to the new revision (CodeDeploy user guide, "Lifecycle events")."""


def silent(client: Any, deployment_id: str) -> tuple[str, ...]:
    """The targets that a deployment still waits for: instances, or a function's alias. Empty where unknown."""
    try:
        waits, _ = _described(client, deployment_id, _WAITED_FOR)
    except RefusedError:
        return ()
    return tuple(str(t.get("targetId", "")).rsplit("/", 1)[-1] for t in waits if t.get("status") in _WAITED_FOR)


def reach(client: Any, deployment: Deployment, *, moves_traffic: bool) -> Reach | None:
    """How far a deployment came; None where that cannot be read. `moves_traffic`: it is not in place.

    A deployment in place changes its instances from the start, and one that succeeded has served users: of these only
    whether nothing was begun is answered. Of more targets than one call describes, others may have come further.
    """
    try:
        begun, all_of_them = _described(client, deployment.deployment_id, _BEGUN)
    except RefusedError as error:
        return Reach() if error.code == "DeploymentNotStartedException" else None
    except LastgoodError:
        return None
    if not begun:
        return None if deployment.status == "Succeeded" else Reach()
    return _since_traffic(begun) if moves_traffic and all_of_them else None


def _since_traffic(targets: Sequence[Mapping[str, Any]]) -> Reach | None:
    events = [e for t in targets for e in t.get("lifecycleEvents") or [] if e.get("lifecycleEventName") == _TRAFFIC]
    began = [e["startTime"].astimezone(UTC) for e in events if e.get("startTime")]
    if began:
        return Reach(min(began))
    waits = events and all(e.get("status") in {"Pending", "Skipped"} for e in events)
    return Reach() if waits else None


def _described(client: Any, deployment_id: str, statuses: Sequence[str]) -> tuple[list[Mapping[str, Any]], bool]:
    """The targets with these statuses, as many as one call describes, and whether these are all."""
    asked: dict[str, Any] = {"deploymentId": deployment_id}
    listed = call(client, "list_deployment_targets", targetFilters={"TargetStatus": [*statuses]}, **asked)
    ids = listed.get("targetIds", [])
    whole = len(ids) <= BATCH and not listed.get("nextToken")
    answer = call(client, "batch_get_deployment_targets", targetIds=ids[:BATCH], **asked) if ids else {}
    targets = [target for described in answer.get("deploymentTargets", []) for target in described.values()]
    return [target for target in targets if isinstance(target, Mapping)], whole
