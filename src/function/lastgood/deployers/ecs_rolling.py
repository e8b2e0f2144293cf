"""A service that ECS itself deploys (rolling, blue/green, linear, canary): history, stop, redeploy, live.

Facts that shape this module (ECS API reference; developer guide, "service deployments", "stop service deployment"):

* A service deployment goes from a source to a target service revision, and each deployment has a revision of its own.
  What is deployed is the revision's task definition: two revisions with the same one are the same to us.
* ECS rolls back *inside* the service deployment that failed. For decisions that is two deployments, as with
  CodeDeploy: the release, which ended, and the rollback, `<id>/rollback`, which may still run.
* The only stop is one with rollback: the tasks of the source revision come back. It works whatever the service's own
  settings say, and asking again while it rolls back changes nothing. An update takes a running deployment's place.
* ECS ignores a deployment alarm that is in ALARM already when a deployment begins. So a redeployment that answers an
  alarm is not stopped by it (with CodeDeploy it would be). An alarm that goes off during the redeployment, or the
  circuit breaker, can still end it, and ECS then goes back to the last completed deployment: the bad one. That is
  left as it is: to prevent it, the service's own settings would have to be changed. It fails the rollback, loudly.
* The history reaches back 90 days, and not before October 2024.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, pairwise
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.task_definitions import TaskDefinitions
from lastgood.errors import AmbiguousError, GroupNotFoundError, LastgoodError, RefusedError, RetryableError
from lastgood.model import (
    NATIVE_ROLLBACK_CREATOR,
    ComputePlatform,
    Deployment,
    DeploymentGroup,
    GroupFacts,
    Live,
    Marks,
    Preparation,
    Revision,
    Rollback,
)

AT_A_TIME = 20
"""`DescribeServiceDeployments` and `DescribeServiceRevisions` take at most 20 ARNs (the API's service model)."""

PAGE = 100
MAX_PAGES = 20
"""A list whose order cannot be believed is read to its end; this bounds even that (2,000 deployments in 90 days)."""

DEPTH = 200
"""How many deployments are looked at before the search for a good one ends."""

REVISION = "/revision"
"""What the id of a service revision ends with that stands for a deployment which is no longer listed."""

ROLLBACK = "/rollback"
"""What the id of ECS's own rollback ends with, after the id of the service deployment that it undoes."""

_DONE = ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL")
_ENDED = {"SUCCESSFUL": "Succeeded", "STOPPED": "Stopped"}
_UNDONE = {
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL": "Succeeded",
    "ROLLBACK_FAILED": "Failed",
}
_CLOCK_SKEW = timedelta(minutes=5)

Raw = dict[str, Any]


@dataclass
class Memory:
    """What never changes and is kept between visits: a revision's task definition, how a service's ARNs begin."""

    task_definitions: dict[str, str] = field(default_factory=dict)
    prefixes: dict[DeploymentGroup, str] = field(default_factory=dict)


class EcsRolling:
    """One service, for one look: what `facts` or `survey` read of it stands for `live` as well."""

    def __init__(self, group: DeploymentGroup, clients: Clients, pool: ThreadPoolExecutor, memory: Memory) -> None:
        self._group = group
        self._clients = clients
        self._pool = pool
        self._memory = memory
        self._definitions = TaskDefinitions(clients)
        self._service: Raw | None = None

    # --- reading ------------------------------------------------------------------------------------------------------

    def facts(self) -> GroupFacts | None:
        """The service as it is; None if it does not exist, or if something else than ECS deploys it."""
        reading = self._pool.submit(self._read_service)
        try:
            listed = self._list().items
        except GroupNotFoundError:
            return None
        return self._facts(reading.result(), listed)

    def survey(self, since: datetime, now: datetime) -> tuple[GroupFacts | None, Iterator[tuple[Deployment, ...]]]:
        """The service and its deployments, newest first, in parts; what lies further back is read only when asked for.

        Everything since `since` and the newest that ended well are listed side by side, so that a pile of failures
        on top costs nothing more.
        """
        reading = self._pool.submit(self._read_service)
        listing = self._pool.submit(self._list, createdAt={"after": since})
        try:
            done = self._list(status=list(_DONE))
            recent = listing.result().items
        except GroupNotFoundError:
            return None, iter(())
        newest = {raw["serviceDeploymentArn"]: raw for raw in [*recent, *done.items]}
        return self._facts(reading.result(), newest.values()), self._parts(_newest_first(newest.values()), done)

    def _parts(self, listed: list[Raw], done: _Page) -> Iterator[tuple[Deployment, ...]]:
        seen = 0
        while listed and seen < DEPTH:
            for batch in batched(listed, AT_A_TIME, strict=False):
                yield self._deployments(batch)
                seen += len(batch)
            if not done.next_token:
                yield self._before(listed[-1])
                return
            done = self._list(status=list(_DONE), nextToken=done.next_token)
            listed = done.items

    def _before(self, oldest: Raw) -> tuple[Deployment, ...]:
        """What was live before the oldest deployment that ECS still lists: its source revision, if it has just one.

        The history ends after 90 days. The revision that such a service ran until its only release is none the worse.
        """
        described = self._describe([oldest["serviceDeploymentArn"]])
        sources = [s["arn"] for raw in described.values() for s in raw.get("sourceServiceRevisions") or ()]
        return self._from_revision(sources[0]) if len(sources) == 1 else ()

    def _from_revision(self, arn: str) -> tuple[Deployment, ...]:
        return tuple(
            Deployment(
                deployment_id=str(found["serviceRevisionArn"]).rsplit("/", 1)[-1] + REVISION,
                status="Succeeded",
                created_at=_created(found),
                completed_at=_created(found),
                revision=_revision(found.get("taskDefinition", "")),
            )
            for found in self._describe_revisions((arn,))
        )

    def deployment(self, deployment_id: str) -> Deployment | None:
        """One deployment as it stands now; None if ECS does not know it, or it is another service's."""
        return next((d for d in self._both(deployment_id) if d.deployment_id == deployment_id), None)

    def newest(self, facts: GroupFacts) -> Deployment | None:
        """The deployment that was attempted last: ECS's own rollback of it, where there is one."""
        return next(iter(self._both(facts.last_attempted_id)), None) if facts.last_attempted_id else None

    def marked(self, rollback: Rollback, now: datetime) -> Deployment | None:
        """The deployment that a rollback created; None if there is none (yet).

        UpdateService takes no description that could carry a marker. What identifies ours is that it is newer than
        the suspect, by ECS's own clock, not older than the attempt, and goes to the task definition that was meant.
        Should somebody else have started the very same one in that moment, it is as good as ours.
        """
        since = (rollback.create_attempted_at or now) - _CLOCK_SKEW
        listing = self._pool.submit(self._list, createdAt={"after": since})
        suspect = self.deployment(rollback.suspect_deployment_id) if rollback.suspect_deployment_id else None
        listed = [raw for raw in listing.result().items if suspect is None or _created(raw) > suspect.created_at]
        wanted = rollback.redeployed_revision or rollback.good_revision
        found = self._deployments(_newest_first(listed))
        return next((d for d in found if d.is_release and d.revision.identity == wanted), None)

    def live(self, facts: GroupFacts, revision: Revision) -> Live:
        """The task definition of the primary deployment; split while another has tasks, or it is not stable yet."""
        service = self._service or self._read_service() or {}
        deployments = service.get("deployments") or []
        primary = next((d for d in deployments if d.get("status") == "PRIMARY"), None)
        if primary is None:
            return Live()
        others = any(d.get("runningCount") or d.get("pendingCount") for d in deployments if d is not primary)
        return Live(str(primary.get("taskDefinition", "")), split=others or not _stable(primary))

    def unusable(self, revision: Revision) -> str:
        """Why a task definition cannot be deployed again; empty if it can."""
        return self._definitions.unusable(revision)

    def marks(self, revision: Revision) -> Marks:
        """What the tags of a task definition say."""
        return self._definitions.marks(revision) if revision.identity else Marks()

    def prepare(self, facts: GroupFacts, good: Revision, live: Live) -> Preparation:
        """ECS refuses to update a service to an INACTIVE task definition."""
        return self._definitions.prepare(good)

    # --- writing ------------------------------------------------------------------------------------------------------

    def stop(self, deployment_id: str, *, native: bool) -> str:
        """Stop a deployment; ECS goes back to the revision before it. Returns `Accepted`, or `AlreadyCompleted`.

        There is no other stop, so one without rollback (`native` false) is refused; see `Rollback.replaces`.
        """
        if not native:
            raise RefusedError(
                "stop_service_deployment", "NoOtherStop", "ECS stops a deployment only by rolling it back"
            )
        arn = self._arn(deployment_id)
        try:
            call(
                self._clients.ecs,
                "stop_service_deployment",
                writes=True,
                serviceDeploymentArn=arn,
                stopType="ROLLBACK",
            )
        except RefusedError as error:
            if error.permission_denied:
                raise
            # No document says which error a deployment gives that ended a moment ago, so it is looked at.
            found = self.deployment(deployment_id)
            if found is not None and not found.active:
                return "AlreadyCompleted"
            if error.code == "ConflictException":
                raise RetryableError(str(error)) from error
            raise
        return "Accepted"

    def clear_alias(self, revision: Revision) -> None:
        """A service has no alias; nothing asks for this."""
        raise RefusedError("update_alias", "NotLambda", f"{self._group.key} is no Lambda function")

    def register(self, revision: Revision) -> str:
        """Register an INACTIVE task definition again, unchanged. Returns its new ARN."""
        return self._definitions.register(revision)

    def create(self, rollback: Rollback, facts: GroupFacts, good: Revision, live: Live) -> str:
        """Update the service to the last good task definition, and nothing else of it. Returns the deployment's id.

        Raises AmbiguousError when nobody knows whether the update was made, or while its deployment is not listed yet.
        """
        call(
            self._clients.ecs_writer,
            "update_service",
            writes=True,
            cluster=self._group.application,
            service=self._group.deployment_group,
            taskDefinition=rollback.redeployed_revision or good.identity,
        )
        try:
            made = self.marked(rollback, rollback.create_attempted_at or rollback.opened_at)
        except LastgoodError as error:
            # The update was made, whatever became of the look at it: never "it had no effect".
            raise AmbiguousError(f"the service was updated, and its deployment could not be read: {error}") from error
        if made is None:
            raise AmbiguousError("the service was updated, and its deployment is not listed yet")
        return made.deployment_id

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
        # A service without a controller is ECS's own.
        controller = (service or {}).get("deploymentController") or {}
        if service is None or controller.get("type", "ECS") != "ECS":
            return None
        newest = _newest_first(listed)
        done = next((raw for raw in newest if raw["status"] in _DONE), None)
        configuration = service.get("deploymentConfiguration") or {}
        return GroupFacts(
            compute_platform=ComputePlatform.ECS,
            last_attempted_id=_id(newest[0]) if newest else "",
            last_attempted_status=_status(newest[0]) if newest else "",
            last_successful_id=_id(done) if done else "",
            blue_green=configuration.get("strategy", "ROLLING") != "ROLLING",
            alarm_names=tuple((configuration.get("alarms") or {}).get("alarmNames") or ()),
            ecs_cluster=self._group.application,
            ecs_service=self._group.deployment_group,
        )

    # --- inside: service deployments ----------------------------------------------------------------------------------

    def _list(self, **filters: Any) -> _Page:
        """A page of service deployments, newest first. No document states the order, so it is checked."""
        found: list[Raw] = []
        token = ""
        for _ in range(MAX_PAGES):
            asked = {**filters, **({"nextToken": token} if token else {})}
            try:
                answer = call(
                    self._clients.ecs, "list_service_deployments", maxResults=PAGE, **self._names("service"), **asked
                )
            except RefusedError as error:
                if error.code == "UnsupportedFeatureException":
                    # CodeDeploy, or somebody else, deploys this service.
                    raise GroupNotFoundError(error.operation, error.code, error.message) from error
                raise
            found += answer.get("serviceDeployments", [])
            token = answer.get("nextToken") or ""
            if not token or all(_created(a) >= _created(b) for a, b in pairwise(found)):
                break
        return _Page(_newest_first(found), token)

    def _both(self, deployment_id: str) -> tuple[Deployment, ...]:
        """A service deployment, with ECS's rollback of it on top where there is one."""
        try:
            if deployment_id.endswith(REVISION):
                arn = self._arn(deployment_id.removesuffix(REVISION))
                return self._from_revision(arn.replace(":service-deployment/", ":service-revision/", 1))
            described = self._describe([self._arn(deployment_id)])
        except RefusedError as error:
            if error.permission_denied:
                raise
            return ()
        return self._deployments(described.values())

    def _describe(self, arns: list[str]) -> dict[str, Raw]:
        answer = call(self._clients.ecs, "describe_service_deployments", serviceDeploymentArns=arns)
        return {raw["serviceDeploymentArn"]: raw for raw in answer.get("serviceDeployments", [])}

    def _arn(self, deployment_id: str) -> str:
        if self._group not in self._memory.prefixes and self._read_service() is None:
            raise GroupNotFoundError("describe_services", "ServiceNotFoundException", f"there is no {self._group.key}")
        return self._memory.prefixes[self._group] + deployment_id.removesuffix(ROLLBACK)

    def _deployments(self, listed: Iterable[Raw]) -> tuple[Deployment, ...]:
        """What was listed or described, as deployments. A list does not tell where a rollback goes; that is read."""
        raws = list(listed)
        undone = [r["serviceDeploymentArn"] for r in raws if r["status"] in _UNDONE and "rollback" not in r]
        reading = [self._pool.submit(self._describe, list(arns)) for arns in batched(undone, AT_A_TIME, strict=False)]
        self._learn(_target(raw) for raw in raws)
        details = {arn: raw for each in reading for arn, raw in each.result().items()}
        raws = [details.get(raw["serviceDeploymentArn"], raw) for raw in raws]
        self._learn(_goes_back_to(raw) for raw in raws)
        return tuple(deployment for raw in raws for deployment in self._release_and_rollback(raw))

    def _learn(self, revision_arns: Iterable[str]) -> None:
        """Read the task definitions of service revisions that are not known yet, side by side."""
        unknown = [arn for arn in dict.fromkeys(revision_arns) if arn and arn not in self._memory.task_definitions]
        for answer in self._pool.map(self._describe_revisions, batched(unknown, AT_A_TIME, strict=False)):
            for found in answer:
                self._memory.task_definitions[found["serviceRevisionArn"]] = found.get("taskDefinition", "")

    def _describe_revisions(self, arns: tuple[str, ...]) -> list[Raw]:
        answer = call(self._clients.ecs, "describe_service_revisions", serviceRevisionArns=list(arns))
        return list(answer.get("serviceRevisions", []))

    def _release_and_rollback(self, raw: Raw) -> Iterator[Deployment]:
        if not _goes_back_to(raw) or raw["status"] not in _UNDONE:
            yield self._release(raw)
            return
        # The rollback first: it is the newer one.
        rollback = self._rollback(raw)
        yield rollback
        yield self._release(raw, rollback)

    def _release(self, raw: Raw, rollback: Deployment | None = None) -> Deployment:
        ended = raw.get("finishedAt") or raw.get("stoppedAt")
        status, reason = _ENDED.get(str(raw["status"]), str(raw["status"])), str(raw.get("statusReason") or "")
        if raw["status"] in {"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"} or rollback:
            # Where the rollback went cannot be read: the release ended badly all the same.
            status = "Failed" if _triggered(raw) or rollback is None else "Stopped"
        if rollback:
            reason += f" ECS itself {'put' if not rollback.active else 'is putting'} {rollback.revision.label} back."
        return Deployment(
            deployment_id=_bare_id(raw),
            status=status,
            created_at=_created(raw),
            completed_at=rollback.created_at if rollback else _utc(ended) if ended else None,
            revision=self._revision(_target(raw)),
            rollback_deployment_id=rollback.deployment_id if rollback else "",
            error_message=reason.strip(),
        )

    def _rollback(self, raw: Raw) -> Deployment:
        began, ended = raw["rollback"].get("startedAt"), raw.get("finishedAt")
        return Deployment(
            deployment_id=_bare_id(raw) + ROLLBACK,
            status=_status(raw),
            # It must be newer than what it rolls back, whatever the clock's resolution.
            created_at=max(_utc(began) if began else _created(raw), _created(raw) + timedelta(microseconds=1)),
            completed_at=_utc(ended) if ended else None,
            revision=self._revision(_goes_back_to(raw)),
            creator=NATIVE_ROLLBACK_CREATOR,
            rolls_back_deployment_id=_bare_id(raw),
            error_message=str(raw.get("statusReason") or raw["rollback"].get("reason") or ""),
        )

    def _revision(self, arn: str) -> Revision:
        return _revision(self._memory.task_definitions.get(arn, ""))


@dataclass(frozen=True, slots=True)
class _Page:
    items: list[Raw]
    next_token: str


def _revision(definition: str) -> Revision:
    """Identity is the task definition's ARN; empty where the service revision can no longer be described."""
    return Revision("TaskDefinition", definition, definition.rsplit("/", 1)[-1])


def _newest_first(listed: Iterable[Raw]) -> list[Raw]:
    return sorted(listed, key=_created, reverse=True)


def _created(raw: Mapping[str, Any]) -> datetime:
    return _utc(raw["createdAt"])


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _bare_id(raw: Mapping[str, Any]) -> str:
    return str(raw["serviceDeploymentArn"]).rsplit("/", 1)[-1]


def _id(raw: Mapping[str, Any]) -> str:
    return _bare_id(raw) + (ROLLBACK if raw["status"] in _UNDONE else "")


def _status(raw: Mapping[str, Any]) -> str:
    status = str(raw["status"])
    return _UNDONE.get(status) or _ENDED.get(status, status)


def _target(raw: Mapping[str, Any]) -> str:
    """The ARN of the service revision that is deployed: a list and a description name it differently."""
    return str(raw.get("targetServiceRevisionArn") or (raw.get("targetServiceRevision") or {}).get("arn", ""))


def _goes_back_to(raw: Mapping[str, Any]) -> str:
    """The ARN of the service revision that a rollback puts back; empty where there is none, or ECS does not say."""
    return str((raw.get("rollback") or {}).get("serviceRevisionArn", ""))


def _triggered(raw: Mapping[str, Any]) -> bool:
    """The circuit breaker or an alarm ended it, not a person."""
    return any((raw.get(part) or {}).get("status") == "TRIGGERED" for part in ("deploymentCircuitBreaker", "alarms"))


def _stable(deployment: Mapping[str, Any]) -> bool:
    """`rolloutState` is given for rolling deployments only; elsewhere the tasks are counted."""
    state = deployment.get("rolloutState")
    if state:
        return bool(state == "COMPLETED")
    return int(deployment.get("runningCount", 0)) >= int(deployment.get("desiredCount", 0))
