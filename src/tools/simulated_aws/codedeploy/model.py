"""What CodeDeploy knows: applications, deployment groups, deployments, revisions. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TERMINAL_STATUSES = frozenset({"Succeeded", "Failed", "Stopped"})
ACTIVE_STATUSES = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})
STATUSES = ACTIVE_STATUSES | TERMINAL_STATUSES
ALL_AT_ONCE = {
    "Server": "CodeDeployDefault.AllAtOnce",
    "Lambda": "CodeDeployDefault.LambdaAllAtOnce",
    "ECS": "CodeDeployDefault.ECSAllAtOnce",
}


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds. Everything but the queue counts from the validation."""

    queued_seconds: float = 0.2
    started_seconds: float = 0.7
    validated_seconds: float = 1.5
    install_seconds: float = 10.0
    baking_seconds: float = 0.0
    alarm_poll_seconds: float = 5.0
    stop_pending_seconds: float = 0.0
    native_rollback_delay_seconds: float = 0.0
    termination_wait_seconds: float | None = None


@dataclass
class Application:
    """A CodeDeploy application with every revision it has seen."""

    name: str
    id: str
    compute_platform: str
    created_at: datetime
    groups: dict[str, DeploymentGroup] = field(default_factory=dict)
    revisions: dict[str, RegisteredRevision] = field(default_factory=dict)


@dataclass
class RegisteredRevision:
    """A revision that an application knows, and where it was used."""

    revision: dict[str, Any]
    registered_at: datetime
    description: str = ""
    first_used_at: datetime | None = None
    last_used_at: datetime | None = None
    groups: list[str] = field(default_factory=list)


@dataclass
class DeploymentGroup:
    """A deployment group: its settings in AWS's spelling, and its deployments, oldest first."""

    application: Application
    name: str
    id: str
    settings: dict[str, Any]
    deployments: list[Deployment] = field(default_factory=list)
    last_successful: Deployment | None = None
    alias: tuple[str, str] | None = None
    family: str = ""
    instances: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    # What each instance really fetched, the seconds after which a silent one is given up, whose stop script fails.
    contents: dict[str, str] = field(default_factory=dict)
    silent: dict[str, float] = field(default_factory=dict)
    failing_stop_scripts: set[str] = field(default_factory=set)
    # The instances that deployments named and that a later one terminated.
    terminated: list[dict[str, Any]] = field(default_factory=list)

    @property
    def platform(self) -> str:
        """`Server`, `Lambda` or `ECS`."""
        return self.application.compute_platform

    @property
    def last_attempted(self) -> Deployment | None:
        """The newest deployment, whatever became of it."""
        return self.deployments[-1] if self.deployments else None

    @property
    def active(self) -> Deployment | None:
        """The one deployment that occupies the group, if there is one."""
        last = self.last_attempted
        return last if last and last.status in ACTIVE_STATUSES else None


@dataclass(eq=False)
class Deployment:
    """One deployment. `request` is what CreateDeployment was given, in AWS's spelling.

    `appspec` is the file as it was when CodeDeploy read it, `content` is what really went out.
    `waits_until` is set while an instance does not answer, `traffic_at` when the first user met it.
    """

    id: str
    group: DeploymentGroup
    revision: dict[str, Any]
    config: str
    created_at: datetime
    creator: str = "user"
    request: dict[str, Any] = field(default_factory=dict)
    status: str = "Created"
    started_at: datetime | None = None
    completed_at: datetime | None = None
    previous_revision: dict[str, Any] | None = None
    error: tuple[str, str] | None = None
    rollback_info: dict[str, str] = field(default_factory=dict)
    external_id: str = ""
    related: dict[str, Any] = field(default_factory=dict)
    overview: dict[str, int] = field(default_factory=dict)
    traffic: int = 0
    traffic_at: datetime | None = None
    terminating: bool = False
    stopping: bool = False
    pending_failure: tuple[str, str, float] | None = None
    appspec: str | None = None
    content: str = ""
    waits_until: datetime | None = None
    stops_with: bool | None = None

    @property
    def terminal(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in TERMINAL_STATUSES

    @property
    def native_rollback(self) -> bool:
        """Whether CodeDeploy started it to roll another one back."""
        return self.creator == "codeDeployRollback"
