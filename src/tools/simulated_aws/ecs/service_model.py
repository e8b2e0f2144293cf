"""Services that ECS itself deploys, their revisions and their deployments. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulated_aws.ecs.content import Resolved
from simulated_aws.ecs.stages import HookRun
from simulated_aws.ecs.world import Service

ENDED = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})


@dataclass
class ServiceTiming:
    """How long things take, in seconds."""

    pending_seconds: float = 1.0
    task_seconds: float = 20.0
    bake_seconds: float = 0.0
    rollback_requested_seconds: float = 1.0
    rollback_task_seconds: float = 10.0
    alarm_poll_seconds: float = 5.0
    breaker_seconds: float = 60.0


@dataclass(frozen=True)
class ServiceRevision:
    """A version of a service; each deployment makes one of its own."""

    id: str
    task_definition: str
    created_at: datetime
    resolved: Resolved

    @property
    def content(self) -> str:
        """What its tasks really run."""
        return self.resolved.id


@dataclass(eq=False)
class ServiceDeployment:
    """One service deployment. `running` counts the tasks of its target; `rollback` is AWS's `Rollback`, once there."""

    id: str
    owner: RollingService
    source: ServiceRevision | None
    target: ServiceRevision
    created_at: datetime
    ecs_id: str
    status: str = "PENDING"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    updated_at: datetime | None = None
    reason: str = ""
    rollback: dict[str, Any] = field(default_factory=dict)
    watching: bool = False
    triggered_alarms: list[str] = field(default_factory=list)
    breaker_triggered: bool = False
    failed_tasks: int = 0
    stage: str = ""
    hooks: list[HookRun] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in ENDED


@dataclass(eq=False)
class RollingService:
    """A service with the controller ECS: its settings in AWS's spelling, its deployments, oldest first.

    `tasks` maps each service revision's id to how many of its tasks run; `parts` are its network and the like.
    `traffic` maps revisions to their share where the strategy shifts traffic; else the tasks share it.
    """

    service: Service
    configuration: dict[str, Any]
    deployments: list[ServiceDeployment] = field(default_factory=list)
    revisions: dict[str, ServiceRevision] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    primary: ServiceRevision | None = None
    completed: ServiceRevision | None = None
    timing: ServiceTiming = field(default_factory=ServiceTiming)
    bad: set[str] = field(default_factory=set)
    parts: dict[str, Any] = field(default_factory=dict)
    traffic: dict[str, float] = field(default_factory=dict)
    rollbacks_fail: bool = False

    @property
    def active(self) -> ServiceDeployment | None:
        """The service deployment that is going on, if one is."""
        last = self.deployments[-1] if self.deployments else None
        return last if last and not last.ended else None

    def serving(self) -> dict[str, float]:
        """Ground truth: each content and its share of the tasks."""
        shares: dict[str, float] = {}
        for revision, share in self.shares().items():
            content = self.revisions[revision].content
            shares[content] = shares.get(content, 0.0) + share
        return shares

    def shares(self) -> dict[str, float]:
        """Each service revision that gets traffic, and its share of it."""
        total = sum(self.tasks.values()) or 1
        spread = self.traffic or {key: count / total for key, count in self.tasks.items()}
        return {key: share for key, share in spread.items() if share}

    @property
    def bake_seconds(self) -> float:
        """`bakeTimeInMinutes` of its settings, else its timing's."""
        return 60.0 * self.configuration.get("bakeTimeInMinutes", 0) or self.timing.bake_seconds

    @property
    def early(self) -> dict[str, Any]:
        """`earlySuccessCriteria`, if it is on and lets old tasks run on after the success."""
        early = dict(self.configuration.get("earlySuccessCriteria") or {})
        deferred = early.get("sourceServiceRevisionCleanup") == "DEFERRED"
        return early if early.get("enable") and deferred else {}

    @property
    def breaker(self) -> dict[str, Any]:
        """`deploymentCircuitBreaker` of its settings."""
        return dict(self.configuration.get("deploymentCircuitBreaker") or {})

    @property
    def alarms(self) -> dict[str, Any]:
        """`alarms` of its settings."""
        return dict(self.configuration.get("alarms") or {})
