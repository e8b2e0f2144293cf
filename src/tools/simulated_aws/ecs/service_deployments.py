"""Services that ECS itself deploys, as a state machine. Standard library only.

    PENDING → IN_PROGRESS (a task at a time) → bake → SUCCESSFUL
                   └── a stop, the circuit breaker or an alarm:
                       ROLLBACK_REQUESTED → ROLLBACK_IN_PROGRESS → ROLLBACK_SUCCESSFUL, or STOPPED without a rollback

Facts: ECS developer guide, "View service history using Amazon ECS service deployments", "Stopping Amazon ECS service
deployments", "How CloudWatch alarms detect Amazon ECS deployment failures", "Deployment circuit breaker". What is
traffic's share of each revision is, for a rolling deployment, its share of the running tasks.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from simulated_aws.ecs.content import Resolved
from simulated_aws.ecs.service_model import RollingService, ServiceDeployment, ServiceRevision
from simulated_aws.ecs.stages import Stages
from simulated_aws.ecs.world import Service
from simulated_aws.model import ServiceError

ID_ALPHABET = string.ascii_letters + string.digits + "_-"
GOING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})


class Host(Protocol):
    """What the state machine needs of the engine."""

    def now(self) -> datetime: ...
    def later(self, seconds: float, act: Callable[[], None]) -> None: ...
    def firing(self, name: str) -> bool: ...
    def random_id(self, alphabet: str, length: int) -> str: ...
    def resolved(self, task_definition: str, parts: dict[str, Any]) -> Resolved: ...
    def tell_service(self, deployment: ServiceDeployment, event_name: str, reason: str) -> None: ...
    def service_ended(self, deployment: ServiceDeployment) -> None: ...
    def tell_hook(self, deployment: ServiceDeployment, hook_id: str) -> None: ...
    def hook_behaviour(self, function: str) -> tuple[str, float]: ...


class ServiceDeployments:
    """Every service that ECS itself deploys, and what happens to each."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.services: dict[tuple[str, str], RollingService] = {}
        self.stages = Stages(host, self._succeed, self._go_back)
        # With which error a stop is refused once it is over, and whether it is while a hook pauses: not documented.
        self.stop_refusal = "ConflictException"
        self.stop_refused_while_paused = False

    def add(
        self, service: Service, configuration: dict[str, Any], task_definition: str, at: datetime
    ) -> RollingService:
        """A service that was created at `at`; its first deployment went well."""
        made = RollingService(service, configuration)
        self.services[(service.cluster, service.name)] = made
        self.seed(made, task_definition, at)
        return made

    def seed(self, owner: RollingService, task_definition: str, at: datetime, status: str = "SUCCESSFUL") -> str:
        """A deployment that is over, put into the history by hand; a success is live afterwards. Returns its id."""
        made = self._new(owner, task_definition, at)
        made.status, made.started_at = status, at
        made.finished_at = made.updated_at = at + timedelta(seconds=60)
        if status == "SUCCESSFUL":
            owner.primary = owner.completed = made.target
            owner.tasks = {made.target.id: owner.service.desired_count}
        return made.id

    # --- UpdateService ------------------------------------------------------------------------------------------------

    def update(self, owner: RollingService, task_definition: str, *, force: bool = False) -> ServiceDeployment | None:
        """Deploy a task definition. The one that runs already starts nothing, unless it is forced."""
        if owner.primary and owner.primary.task_definition == task_definition and not force:
            return None
        before = owner.active
        if before:
            self._end(before, "STOPPED", "A newer service deployment took its place.")
        made = self._new(owner, task_definition, self._host.now())
        owner.primary = made.target
        alarms = owner.alarms
        # An alarm that is in ALARM already is ignored for the whole deployment.
        names = alarms.get("alarmNames") or []
        made.watching = bool(alarms.get("enable")) and not any(self._host.firing(name) for name in names)
        self._while(made, {"PENDING"}, owner.timing.pending_seconds, self._begin)
        return made

    def _new(self, owner: RollingService, task_definition: str, at: datetime) -> ServiceDeployment:
        resolved = self._host.resolved(task_definition, owner.parts)
        revision = ServiceRevision(self._host.random_id(string.digits, 19), task_definition, at, resolved)
        owner.revisions[revision.id] = revision
        made = ServiceDeployment(
            self._host.random_id(ID_ALPHABET, 21),
            owner,
            owner.completed,
            revision,
            at,
            f"ecs-svc/{revision.id}",
            updated_at=at,
        )
        owner.deployments.append(made)
        return made

    def _begin(self, deployment: ServiceDeployment) -> None:
        self._become(deployment, "IN_PROGRESS")
        deployment.started_at = self._host.now()
        reason = f"ECS deployment {deployment.ecs_id} in progress."
        self._host.tell_service(deployment, "SERVICE_DEPLOYMENT_IN_PROGRESS", reason)
        owner = deployment.owner
        if deployment.watching:
            self._poll_alarms(deployment)
        if deployment.target.task_definition in owner.bad:
            if owner.breaker.get("enable"):
                self._while(deployment, {"IN_PROGRESS"}, owner.timing.breaker_seconds, self._break)
            return
        if owner.configuration.get("strategy", "ROLLING") != "ROLLING":
            self.stages.run(deployment)
            return
        self.stages.before_tasks(deployment, lambda: self._begin_tasks(deployment))

    def _begin_tasks(self, deployment: ServiceDeployment) -> None:
        self._while(deployment, {"IN_PROGRESS"}, deployment.owner.timing.task_seconds, self._replace_a_task)

    def _replace_a_task(self, deployment: ServiceDeployment) -> None:
        owner = deployment.owner
        if owner.primary is not deployment.target:
            return
        self._move_a_task(owner, deployment.target)
        running, wanted = owner.tasks.get(deployment.target.id, 0), owner.service.desired_count
        enough = owner.early and 100 * running >= owner.early["healthyPercent"] * wanted
        if enough and deployment.status == "IN_PROGRESS":
            self._succeed(deployment)  # the remaining old tasks go afterwards
        if running < wanted:
            self._while(deployment, {"IN_PROGRESS", "SUCCESSFUL"}, owner.timing.task_seconds, self._replace_a_task)
        else:
            self._while(deployment, {"IN_PROGRESS"}, owner.bake_seconds, self._succeed)

    def _move_a_task(self, owner: RollingService, to: ServiceRevision) -> None:
        other = next((each for each, count in owner.tasks.items() if count and each != to.id), None)
        if other:
            owner.tasks[other] -= 1
        owner.tasks[to.id] = min(owner.service.desired_count, owner.tasks.get(to.id, 0) + 1)

    def _succeed(self, deployment: ServiceDeployment) -> None:
        deployment.owner.completed = deployment.target
        self._end(deployment, "SUCCESSFUL", "")
        reason = f"ECS deployment {deployment.ecs_id} completed."
        self._host.tell_service(deployment, "SERVICE_DEPLOYMENT_COMPLETED", reason)

    # --- what ends it before ------------------------------------------------------------------------------------------

    def stop(self, deployment: ServiceDeployment, stop_type: str) -> None:
        """StopServiceDeployment. Asking again while it rolls back changes nothing."""
        if deployment.ended:
            raise ServiceError(self.stop_refusal, f"The service deployment is {deployment.status}.")
        if self.stop_refused_while_paused and any(hook.status == "AWAITING_ACTION" for hook in deployment.hooks):
            raise ServiceError(self.stop_refusal, "The service deployment is paused at a lifecycle hook.")
        if deployment.status in GOING_BACK:
            return
        if stop_type == "ABORT":
            self._end(deployment, "STOPPED", "The service deployment was stopped by a user.")
            return
        if deployment.source is None:
            raise ServiceError("InvalidParameterException", "There is no service revision to roll back to.")
        self._go_back(deployment, "The service deployment was stopped by a user.")

    def _poll_alarms(self, deployment: ServiceDeployment) -> None:
        owner = deployment.owner
        firing = [name for name in owner.alarms.get("alarmNames") or [] if self._host.firing(name)]
        if firing:
            deployment.triggered_alarms = firing
            self._fail(deployment, f"alarm(s) detected: {', '.join(firing)}", bool(owner.alarms.get("rollback")))
            return
        self._while(deployment, {"IN_PROGRESS"}, owner.timing.alarm_poll_seconds, self._poll_alarms)

    def _break(self, deployment: ServiceDeployment) -> None:
        deployment.breaker_triggered, deployment.failed_tasks = True, 3
        reason = "Service deployment rolled back because the circuit breaker threshold was exceeded."
        self._fail(deployment, reason, bool(deployment.owner.breaker.get("rollback")))

    def _fail(self, deployment: ServiceDeployment, reason: str, roll_back: bool) -> None:
        self._host.tell_service(deployment, "SERVICE_DEPLOYMENT_FAILED", f"ECS deployment failed: {reason}")
        if roll_back and deployment.source:
            self._go_back(deployment, reason)
        else:
            self._end(deployment, "STOPPED", reason)

    def _go_back(self, deployment: ServiceDeployment, reason: str) -> None:
        deployment.reason = reason
        self._become(deployment, "ROLLBACK_REQUESTED")
        seconds = deployment.owner.timing.rollback_requested_seconds
        self._while(deployment, {"ROLLBACK_REQUESTED"}, seconds, self._begin_rollback)

    def _begin_rollback(self, deployment: ServiceDeployment) -> None:
        source = deployment.source
        if source is None:
            return
        self._become(deployment, "ROLLBACK_IN_PROGRESS")
        deployment.rollback = {"reason": deployment.reason, "startedAt": self._host.now(), "revision": source}
        deployment.owner.primary = source
        reason = f"ECS deployment {deployment.ecs_id} rolling back to {source.id}."
        self._host.tell_service(deployment, "SERVICE_DEPLOYMENT_IN_PROGRESS", reason)
        if deployment.owner.traffic:
            deployment.owner.traffic = {source.id: 1.0}  # the old tasks are there: the traffic goes back at once
        seconds = deployment.owner.timing.rollback_task_seconds
        self._while(deployment, {"ROLLBACK_IN_PROGRESS"}, seconds, self._bring_a_task_back)

    def _bring_a_task_back(self, deployment: ServiceDeployment) -> None:
        owner, source = deployment.owner, deployment.source
        if source is None:
            return
        if source.task_definition in owner.bad or owner.rollbacks_fail:
            self._end(deployment, "ROLLBACK_FAILED", "The rollback could not start its tasks.")
            return
        self._move_a_task(owner, source)
        if owner.tasks.get(source.id, 0) < owner.service.desired_count:
            seconds = owner.timing.rollback_task_seconds
            self._while(deployment, {"ROLLBACK_IN_PROGRESS"}, seconds, self._bring_a_task_back)
            return
        owner.completed, owner.tasks = source, {source.id: owner.service.desired_count}
        self._end(deployment, "ROLLBACK_SUCCESSFUL", deployment.reason)
        reason = f"ECS deployment {deployment.ecs_id} rolled back."
        self._host.tell_service(deployment, "SERVICE_DEPLOYMENT_COMPLETED", reason)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _end(self, deployment: ServiceDeployment, status: str, reason: str) -> None:
        deployment.reason = reason
        self._become(deployment, status)
        deployment.finished_at = self._host.now()
        if status == "STOPPED":
            deployment.stopped_at = self._host.now()
        self._host.service_ended(deployment)

    def _become(self, deployment: ServiceDeployment, status: str) -> None:
        deployment.status, deployment.updated_at = status, self._host.now()

    def _while(
        self,
        deployment: ServiceDeployment,
        statuses: set[str],
        seconds: float,
        act: Callable[[ServiceDeployment], None],
    ) -> None:
        def still() -> None:
            if deployment.status in statuses:
                act(deployment)

        self._host.later(seconds, still)
