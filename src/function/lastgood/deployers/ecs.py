"""A service that ECS itself deploys (rolling, blue/green, linear, canary): history, stop, redeploy, live.

Facts that shape this module (ECS API reference; developer guide, "service deployments", "stop service deployment"):

* The stop that is sent is the one with rollback: the tasks of the source revision come back. It works whatever the
  service's own settings say, and asking again while it rolls back changes nothing. (The API's model names ABORT too,
  and no document says what it leaves behind.) An update takes a running deployment's place.
* A deployment may pause at a lifecycle hook until somebody answers, a day by default. Whether a stop is taken meanwhile
  is not documented; the answer ROLLBACK is. An answer without an action continues, so it is always given.
* ECS ignores a deployment alarm that is in ALARM already when a deployment begins. So a redeployment that answers an
  alarm is not stopped by it (with CodeDeploy it would be). An alarm that goes off during the redeployment, or the
  circuit breaker, can still end it, and ECS then goes back to the last completed deployment: the bad one. That is
  left as it is: to prevent it, the service's own settings would have to be changed. It fails the rollback, loudly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.ecs_history import (
    DONE,
    REVISION,
    ROLLBACK,
    Raw,
    ServiceHistory,
    created,
    id_of,
    newest_first,
    status_of,
)
from lastgood.deployers.memory import Memory
from lastgood.deployers.protocol import never_asked
from lastgood.deployers.registry import gone
from lastgood.deployers.task_definitions import TaskDefinitions
from lastgood.errors import AmbiguousError, GroupNotFoundError, LastgoodError, RefusedError, RetryableError
from lastgood.model import (
    Chore,
    ComputePlatform,
    Deployment,
    DeploymentGroup,
    Evidence,
    Gate,
    GroupFacts,
    Live,
    Note,
    Preparation,
    Reach,
    Revision,
    Rollback,
    Unregistered,
)

_CLOCK_SKEW = timedelta(minutes=5)


class EcsService:
    """One service, for one look: `live` uses what `facts` or `survey` read."""

    def __init__(self, group: DeploymentGroup, clients: Clients, pool: ThreadPoolExecutor, memory: Memory) -> None:
        self._group = group
        self._clients = clients
        self._pool = pool
        self._memory = memory
        self._definitions = TaskDefinitions(clients)
        self._history = ServiceHistory(group, clients, pool, memory)
        self._service: Raw | None = None

    # --- reading ------------------------------------------------------------------------------------------------------

    def facts(self) -> GroupFacts | None:
        """The service as it is; None if it does not exist, or if something other than ECS deploys it."""
        reading = self._pool.submit(self._read_service)
        try:
            listed = self._history.listed().items
        except GroupNotFoundError:
            return None
        return self._facts(reading.result(), listed)

    def survey(self, since: datetime, now: datetime) -> tuple[GroupFacts | None, Iterator[tuple[Deployment, ...]]]:
        """The service and its deployments, newest first, in batches; older ones are read only when asked for.

        Everything since `since` and the newest successes are listed in parallel, so that a pile of failures on top
        costs no more calls.
        """
        reading = self._pool.submit(self._read_service)
        listing = self._pool.submit(self._history.listed, createdAt={"after": since})
        try:
            done = self._history.listed(status=list(DONE))
            recent = listing.result().items
        except GroupNotFoundError:
            return None, iter(())
        newest = {raw["serviceDeploymentArn"]: raw for raw in [*recent, *done.items]}
        batches = self._history.in_batches(newest_first(newest.values()), done)
        return self._facts(reading.result(), newest.values()), batches

    def deployment(self, deployment_id: str) -> Deployment | None:
        """One deployment as it is now; None if ECS does not know it, or it belongs to another service."""
        return next((d for d in self._both(deployment_id) if d.deployment_id == deployment_id), None)

    def newest(self, facts: GroupFacts) -> Deployment | None:
        """The deployment that was attempted last: ECS's own rollback of it, where there is one."""
        return next(iter(self._both(facts.last_attempted_id)), None) if facts.last_attempted_id else None

    def created_by(self, rollback: Rollback, now: datetime) -> Deployment | None:
        """The deployment that a rollback created; None if there is none (yet).

        UpdateService takes no description that could carry a marker. Ours is recognised by being newer than the suspect
        by ECS's own clock, not older than the attempt, and of the task definition that was meant. If somebody else
        started the very same deployment at that moment, it is as good as ours.
        """
        since = (rollback.progress.create_attempted_at or now) - _CLOCK_SKEW
        listing = self._pool.submit(self._history.listed, createdAt={"after": since})
        suspect = (
            self.deployment(rollback.choice.suspect_deployment_id) if rollback.choice.suspect_deployment_id else None
        )
        listed = [raw for raw in listing.result().items if suspect is None or created(raw) > suspect.created_at]
        wanted = rollback.progress.redeployed_revision or rollback.choice.good_revision
        deployments = self._history.deployments(newest_first(listed))
        return next((d for d in deployments if d.is_release and d.revision.identity == wanted), None)

    def live(self, facts: GroupFacts, revision: Revision) -> Live:
        """The task definition of the primary deployment; split while another has tasks, or it is not stable."""
        service = self._service or self._read_service() or {}
        deployments = service.get("deployments") or []
        primary = next((d for d in deployments if d.get("status") == "PRIMARY"), None)
        if primary is None:
            return Live()
        others = any(d.get("runningCount") or d.get("pendingCount") for d in deployments if d is not primary)
        images = self._history.running(self._revision_arn(primary)).images
        return Live(str(primary.get("taskDefinition", "")), split=others or not _stable(primary), images=images)

    def evidence(self, deployment: Deployment) -> Evidence:
        """Whether the task definition, and the image under a moving tag, still exist, and what its tags say."""
        if not deployment.revision.identity:
            return Evidence(deployment.revision)
        evidence = self._definitions.evidence(deployment.revision)
        moving = [image for image in evidence.revision.images if image.moves and image.digest]
        return replace(evidence, problem=evidence.problem or gone(self._clients, moving))

    def contents(self, deployment: Deployment) -> Revision:
        """The definition with the digests that its service revision recorded."""
        return self.evidence(deployment).revision

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """Nothing more: the notebook's facts about a service come from its service revisions, which are read anyway."""
        return Evidence(deployment.revision)

    def before(self, first: Deployment, facts: GroupFacts) -> Deployment | None:
        """Nothing more: the history ends with the source revision of the oldest deployment that is listed."""
        return None

    def renamed(self, good: Revision) -> str:
        """Never: a service revision has the digest of each image."""
        return ""

    def prepare(self, facts: GroupFacts, good: Revision, live: Live) -> tuple[Preparation, ...]:
        """ECS refuses to update a service to an INACTIVE task definition, and would resolve a tag anew."""
        return self._definitions.prepare(good, live.images)

    # --- writing ------------------------------------------------------------------------------------------------------

    def stop(self, deployment: Deployment, *, native: bool) -> str:
        """Stop a deployment; ECS goes back to the revision before it. Returns `Accepted`, or `AlreadyCompleted`.

        There is no other stop, so one without rollback (`native` false) is refused; see `Rollback.may_replace_running`.
        """
        if not native:
            raise RefusedError(
                "stop_service_deployment", "NoOtherStop", "ECS stops a deployment only by rolling it back"
            )
        try:
            self._roll_back(deployment)
        except RefusedError as error:
            if error.permission_denied:
                raise
            # It is undocumented which error a deployment gives that has just ended, so its status is read.
            current = self.deployment(deployment.deployment_id)
            if current is not None and not current.active:
                return "AlreadyCompleted"
            if current is not None and current.gate != deployment.gate:
                self._roll_back(current)
            elif error.code == "ConflictException":
                raise RetryableError(str(error)) from error
            else:
                raise
        return "Accepted"

    def _roll_back(self, deployment: Deployment) -> None:
        """Answer ROLLBACK to the hook that pauses it, if one does; else, or where that is not possible yet, stop it.

        A role or a botocore from before there were pauses cannot answer hooks, but may still stop the deployment.
        """
        if deployment.gate is None:
            return self._stop(deployment)
        try:
            return self._answer(deployment, deployment.gate, "ROLLBACK")
        except RefusedError as error:
            if not error.permission_denied and error.code != "UnknownOperation":
                raise
            refused = error
        try:
            self._stop(deployment)
        except RefusedError:
            raise refused from None

    def _stop(self, deployment: Deployment) -> None:
        call(
            self._clients.ecs,
            "stop_service_deployment",
            writes=True,
            serviceDeploymentArn=self._arn(deployment.deployment_id),
            stopType="ROLLBACK",
        )

    def _answer(self, deployment: Deployment, gate: Gate, action: str) -> None:
        call(
            self._clients.ecs,
            "continue_service_deployment",
            writes=True,
            serviceDeploymentArn=self._arn(deployment.deployment_id),
            hookId=gate.hook_id,
            action=action,
        )

    def let_go_on(self, deployment: Deployment) -> None:
        """Answer the hook that pauses a deployment with CONTINUE."""
        if deployment.gate is not None:
            self._answer(deployment, deployment.gate, "CONTINUE")

    def silent(self, deployment_id: str) -> tuple[str, ...]:
        """None: ECS's stop waits for no instance that could be named."""
        return ()

    def reach(self, deployment: Deployment, facts: GroupFacts) -> Reach | None:
        """Unknown: the first new task serves users as soon as it is healthy, and ECS records no time of that."""
        return None

    def do(self, todo: Chore, good: Revision) -> str:
        """Register a task definition again: an INACTIVE one, or with the digests that served. Returns its new ARN."""
        return self._definitions.register(good, todo.pins) if isinstance(todo, Unregistered) else never_asked(todo)

    def create(
        self, rollback: Rollback, facts: GroupFacts, good: Deployment, live: Live, suspect: Deployment | None
    ) -> str:
        """Update the service to the last good task definition, and nothing else of it. Returns the deployment's id.

        Raises AmbiguousError if it is unknown whether the update was made, or while its deployment is not listed yet.
        """
        self._update(facts, rollback.progress.redeployed_revision or good.revision.identity)
        try:
            made = self.created_by(rollback, rollback.progress.create_attempted_at or rollback.opened_at)
        except LastgoodError as error:
            # The update was made even if reading it failed, so this is ambiguous and not "without effect".
            raise AmbiguousError(f"the service was updated, and its deployment could not be read: {error}") from error
        if made is None:
            raise AmbiguousError("the service was updated, and its deployment is not listed yet")
        return made.deployment_id

    def _update(self, facts: GroupFacts, task_definition: str) -> None:
        """Update the service; an Express Mode service is changed through an operation of its own (API reference)."""
        if facts.express_arn:
            asked = {"serviceArn": facts.express_arn, "taskDefinitionArn": task_definition}
            call(self._clients.ecs_writer, "update_express_gateway_service", writes=True, **asked)
            return
        names = {"cluster": self._group.application, "service": self._group.deployment_group}
        call(self._clients.ecs_writer, "update_service", writes=True, **names, taskDefinition=task_definition)

    # --- inside: the service ------------------------------------------------------------------------------------------

    def _read_service(self) -> Raw | None:
        try:
            answer = call(self._clients.ecs, "describe_services", **self._names("services"))
        except GroupNotFoundError:
            return None
        service: Raw | None = next(iter(answer.get("services") or []), None)
        if service is None or service.get("status") == "INACTIVE":
            return None
        self._service = service
        # `arn:aws:ecs:<region>:<account>:cluster/<name>`; a service's own ARN may be of the old kind without cluster.
        before = str(service["clusterArn"]).partition(":cluster/")[0]
        names = f"{self._group.application}/{service['serviceName']}"
        self._memory.prefixes[self._group] = f"{before}:service-deployment/{names}/"
        return service

    def _names(self, parameter: str) -> dict[str, Any]:
        name = self._group.deployment_group
        return {"cluster": self._group.application, parameter: [name] if parameter == "services" else name}

    def _facts(self, service: Raw | None, listed: Iterable[Raw]) -> GroupFacts | None:
        # A service without a controller is deployed by ECS itself.
        controller = (service or {}).get("deploymentController") or {}
        if service is None or controller.get("type", "ECS") != "ECS":
            return None
        newest = newest_first(listed)
        done = next((raw for raw in newest if raw["status"] in DONE), None)
        configuration = service.get("deploymentConfiguration") or {}
        return GroupFacts(
            compute_platform=ComputePlatform.ECS,
            last_attempted_id=id_of(newest[0]) if newest else "",
            last_attempted_status=status_of(newest[0]) if newest else "",
            last_successful_id=id_of(done) if done else "",
            blue_green=configuration.get("strategy", "ROLLING") != "ROLLING",
            alarm_names=tuple((configuration.get("alarms") or {}).get("alarmNames") or ()),
            ecs_cluster=self._group.application,
            ecs_service=self._group.deployment_group,
            express_arn=str(service["serviceArn"]) if service.get("resourceManagementType") == "ECS" else "",
        )

    def _both(self, deployment_id: str) -> tuple[Deployment, ...]:
        """A service deployment, with ECS's rollback of it on top where there is one."""
        try:
            if deployment_id.endswith(REVISION):
                arn = self._arn(deployment_id.removesuffix(REVISION))
                return self._history.from_revision(arn.replace(":service-deployment/", ":service-revision/", 1))
            described = self._history.describe([self._arn(deployment_id)])
        except RefusedError as error:
            if error.permission_denied:
                raise
            return ()
        return self._history.deployments(described.values())

    def _revision_arn(self, deployment: Mapping[str, Any]) -> str:
        """The service revision behind an entry of `deployments`, whose id is `ecs-svc/<id of the revision>`."""
        revision_id = str(deployment.get("id", "")).rpartition("/")[2]
        return self._arn(revision_id).replace(":service-deployment/", ":service-revision/", 1) if revision_id else ""

    def _arn(self, deployment_id: str) -> str:
        if self._group not in self._memory.prefixes and self._read_service() is None:
            raise GroupNotFoundError("describe_services", "ServiceNotFoundException", f"there is no {self._group.key}")
        return self._memory.prefixes[self._group] + deployment_id.removesuffix(ROLLBACK)


def _stable(deployment: Mapping[str, Any]) -> bool:
    """Whether it is stable. `rolloutState` is given for rolling deployments only; otherwise the tasks are counted."""
    state = deployment.get("rolloutState")
    if state:
        return bool(state == "COMPLETED")
    return int(deployment.get("runningCount", 0)) >= int(deployment.get("desiredCount", 0))
