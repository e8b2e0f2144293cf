"""Deployments and revisions, as the deployers read them from AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TERMINAL_STATUSES = frozenset({"Succeeded", "Failed", "Stopped"})
# CodeDeploy starts these by itself; they bring the revision that is live to more instances and release nothing.
SCALE_OUT_CREATORS = frozenset({"autoscaling", "autoscalingTermination", "CodeDeployAutoUpdate"})
CLOUDFORMATION_CREATORS = frozenset({"CloudFormation", "CloudFormationRollback"})
NATIVE_ROLLBACK_CREATOR = "codeDeployRollback"
FLOOR_MARKER = "lastgood:floor"
APPROVAL_MARKER = "lastgood:needs-approval"


@dataclass(frozen=True, slots=True)
class Revision:
    """What a deployment deploys.

    `identity` says what ends up live, so that two deployments of the same code compare equal: an S3 object's
    version, a commit, a Lambda version, a task definition ARN. It is never an AppSpec's hash, which changes with
    hooks and with `CurrentVersion`. Empty while the AppSpec has not been read.
    """

    kind: str
    identity: str
    label: str = ""
    commit: str = ""
    location: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment, as its deployer tells it. `made_by` is the id of our rollback that created it, if one did."""

    deployment_id: str
    status: str
    created_at: datetime
    revision: Revision
    completed_at: datetime | None = None
    creator: str = "user"
    made_by: str = ""
    external_id: str = ""
    rollback_deployment_id: str = ""
    rolls_back_deployment_id: str = ""
    error_code: str = ""
    error_message: str = ""
    restart: bool = False
    outdated_instances_only: bool = False
    instances_failed: int = 0
    instances_skipped: int = 0
    floor: bool = False
    needs_approval: bool = False

    @property
    def active(self) -> bool:
        """Occupies the group. A status that we do not know counts as active, never as a success."""
        return self.status not in TERMINAL_STATUSES

    @property
    def is_rollback(self) -> bool:
        """CodeDeploy's own rollback, or one of ours."""
        return self.creator == NATIVE_ROLLBACK_CREATOR or bool(self.made_by)

    @property
    def is_release(self) -> bool:
        """Somebody meant to change what is live."""
        return not (
            self.is_rollback or self.creator in SCALE_OUT_CREATORS or self.restart or self.outdated_instances_only
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """What a revision says of itself in its tags or its description, wherever its platform keeps them."""

    floor: bool = False
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """What is live now. `identity` is empty where it cannot be read; `split`: a second revision may have traffic.

    `deployment_id` is the deployment that made it so, where the platform tells (ECS).
    """

    identity: str = ""
    split: bool = False
    deployment_id: str = ""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What must be done before the last good revision can be deployed again (read from live AWS)."""

    problem: str = ""
    alias_split: bool = False
    register_task_definition: str = ""
