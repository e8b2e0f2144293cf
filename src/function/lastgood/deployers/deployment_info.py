"""CodeDeploy's `DeploymentInfo` as a deployment, and the description by which our own deployments are found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lastgood.deployers.options import OPTIONS
from lastgood.model import APPROVAL_MARKER, FLOOR_MARKER, Deployment, Gate, Revision, Rollback

_GO_ON = "aws deploy continue-deployment --deployment-wait-type READY_WAIT --deployment-id {}"
MARKER_PREFIX = "lastgood "
"""The description of each deployment that we create begins with this and the rollback's id."""


def deployment_of(
    info: Mapping[str, Any], revision_of: Callable[[Mapping[str, Any], datetime], Revision]
) -> Deployment:
    """A deployment. `revision_of` reads what it deployed, given its `revision` and the time of its creation."""
    undone, overview = info.get("rollbackInfo") or {}, info.get("deploymentOverview") or {}
    error, text = info.get("errorInformation") or {}, info.get("description") or ""
    return Deployment(
        deployment_id=info["deploymentId"],
        status=info.get("status", "Created"),
        created_at=_utc(info["createTime"]),
        completed_at=_utc(info["completeTime"]) if info.get("completeTime") else None,
        revision=revision_of(info.get("revision") or {}, _utc(info["createTime"])),
        creator=info.get("creator", "user"),
        made_by=_made_by(text),
        external_id=info.get("externalId", ""),
        rollback_deployment_id=undone.get("rollbackDeploymentId", ""),
        rolls_back_deployment_id=undone.get("rollbackTriggeringDeploymentId", ""),
        error_code=error.get("code", ""),
        error_message=error.get("message", ""),
        restart=info.get("deploymentMode") == "RESTART",
        outdated_instances_only=bool(info.get("updateOutdatedInstancesOnly")),
        instances_failed=overview.get("Failed") or 0,
        instances_skipped=overview.get("Skipped") or 0,
        floor=FLOOR_MARKER in text,
        needs_approval=APPROVAL_MARKER in text,
        gate=Gate(_GO_ON.format(info["deploymentId"])) if info.get("status") == "Ready" else None,
        options={name: info[name] for name in OPTIONS if info.get(name)},
    )


def description(rollback: Rollback) -> str:
    """The redeployment's description, which starts with the marker by which it is found again."""
    text = f"{MARKER_PREFIX}{rollback.rollback_id} puts back {rollback.choice.good_deployment_id}"
    if rollback.choice.suspect_deployment_id:
        text += f" instead of {rollback.choice.suspect_deployment_id}"
    return text[:100]


def _made_by(text: str) -> str:
    """The id of the rollback that the description names as the deployment's creator; empty if it names none."""
    if not text.startswith(MARKER_PREFIX):
        return ""
    return text[len(MARKER_PREFIX) :].split(" ", 1)[0].rstrip(":;,")


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
