"""The service deployments of one ECS service, as deployments: a rollback inside one counts as a second.

* A service deployment goes from a source to a target service revision, and each deployment has a revision of its own.
  What is deployed is the task definition with the digests that its images had then, and the service's other parts:
  a forced deployment of one definition is another release if a tag meant another image.
* ECS rolls back *inside* the service deployment that failed. For decisions that is two deployments, as with
  CodeDeploy: the release, which ended, and the rollback, `<id>/rollback`, which may still run.
* The history reaches back 90 days, and not before October 2024.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched, pairwise
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.memory import Memory
from lastgood.errors import GroupNotFoundError, RefusedError
from lastgood.model import NATIVE_ROLLBACK_CREATOR, Deployment, DeploymentGroup, Gate, Image, Revision

AT_A_TIME = 20
"""`DescribeServiceDeployments` and `DescribeServiceRevisions` take at most 20 ARNs (the API's service model)."""

PAGE = 100
MAX_PAGES = 20
"""A list that turns out to be unordered is read to its end; this limits even that (2,000 deployments in 90 days)."""

DEPTH = 200
"""How many deployments are looked at before the search for a good one ends."""

REVISION = "/revision"
"""The end of the id of a service revision that represents a deployment which is no longer listed."""

ROLLBACK = "/rollback"
"""The end of the id of ECS's own rollback, after the id of the service deployment that it undoes."""

UNTOLD = "UNKNOWN"
"""The status of a service deployment of which ECS tells none: it may run, and is no success."""

DONE = ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL")
_GO_ON = "aws ecs continue-service-deployment --action CONTINUE --hook-id {} --service-deployment-arn {}"
_ENDED = {"SUCCESSFUL": "Succeeded", "STOPPED": "Stopped"}
_UNDONE = {
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL": "Succeeded",
    "ROLLBACK_FAILED": "Failed",
}

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some service deployments, newest first, and the token of the next page."""

    items: list[Raw]
    next_token: str


class ServiceHistory:
    """The deployments of one service. `memory` outlives it."""

    def __init__(self, group: DeploymentGroup, clients: Clients, pool: ThreadPoolExecutor, memory: Memory) -> None:
        self._group = group
        self._clients = clients
        self._pool = pool
        self._memory = memory
        self._incomplete: dict[str, Revision] = {}

    def listed(self, **filters: Any) -> Page:
        """A page of service deployments, newest first. The order is undocumented, so it is checked.

        A page may be empty and have a token all the same: then the next one is read too.
        """
        raws: list[Raw] = []
        token = ""
        for _ in range(MAX_PAGES):
            asked = {**filters, **({"nextToken": token} if token else {})}
            try:
                answer = call(self._clients.ecs, "list_service_deployments", maxResults=PAGE, **self._names, **asked)
            except RefusedError as error:
                if error.code == "UnsupportedFeatureException":
                    # CodeDeploy, or somebody else, deploys this service.
                    raise GroupNotFoundError(error.operation, error.code, error.message) from error
                raise
            raws += self._in_full(answer.get("serviceDeployments", []))
            token = answer.get("nextToken") or ""
            if not token or (raws and all(created(a) >= created(b) for a, b in pairwise(raws))):
                break
        return Page(newest_first(raws), token)

    def _in_full(self, listed: Iterable[Raw]) -> list[Raw]:
        """What was listed. The API promises neither status nor time: what lacks one of them is described."""
        named = {raw["serviceDeploymentArn"]: raw for raw in listed if raw.get("serviceDeploymentArn")}
        lacking = [arn for arn, raw in named.items() if not (raw.get("status") and raw.get("createdAt"))]
        for arns in batched(lacking, AT_A_TIME, strict=False):
            named |= {arn: {**named.get(arn, {}), **told} for arn, told in self.describe(list(arns)).items()}
        return [{"status": UNTOLD, **raw} for raw in named.values()]

    @property
    def _names(self) -> dict[str, Any]:
        return {"cluster": self._group.application, "service": self._group.deployment_group}

    def in_batches(self, listed: list[Raw], done: Page) -> Iterator[tuple[Deployment, ...]]:
        """What was `listed`, and then, on demand, older successes, beginning with the page after `done`."""
        seen = 0
        while listed and seen < DEPTH:
            for batch in batched(listed, AT_A_TIME, strict=False):
                yield self.deployments(batch)
                seen += len(batch)
            if not done.next_token:
                yield self._before(listed[-1])
                return
            done = self.listed(status=list(DONE), nextToken=done.next_token)
            listed = done.items

    def _before(self, oldest: Raw) -> tuple[Deployment, ...]:
        """What was live before the oldest deployment that ECS still lists: its source revision, if it has just one.

        The history ends after 90 days. A revision that a service ran for longer than that is as good as any.
        """
        described = self.describe([oldest["serviceDeploymentArn"]])
        sources = [s["arn"] for raw in described.values() for s in raw.get("sourceServiceRevisions") or ()]
        return self.from_revision(sources[0]) if len(sources) == 1 else ()

    def from_revision(self, arn: str) -> tuple[Deployment, ...]:
        """A service revision in the place of the deployment that brought it and is no longer listed.

        One without a time has no place.
        """
        return tuple(
            Deployment(
                deployment_id=str(raw["serviceRevisionArn"]).rsplit("/", 1)[-1] + REVISION,
                status="Succeeded",
                created_at=created(raw),
                completed_at=created(raw),
                revision=_revision(raw),
            )
            for raw in self._describe_revisions((arn,))
            if raw.get("createdAt")
        )

    def describe(self, arns: list[str]) -> dict[str, Raw]:
        """Service deployments by their ARN."""
        answer = call(self._clients.ecs, "describe_service_deployments", serviceDeploymentArns=arns)
        told = [raw for raw in answer.get("serviceDeployments", []) if raw.get("serviceDeploymentArn")]
        return {raw["serviceDeploymentArn"]: {"status": UNTOLD, **raw} for raw in told}

    def deployments(self, listed: Iterable[Raw]) -> tuple[Deployment, ...]:
        """What was listed or described, as deployments. Details that lists leave out are read beside the revisions."""
        raws = list(listed)
        briefly = [r["serviceDeploymentArn"] for r in raws if _told_briefly(r)]
        reading = [self._pool.submit(self.describe, list(arns)) for arns in batched(briefly, AT_A_TIME, strict=False)]
        self._learn(_target(raw) for raw in raws)
        details = {arn: raw for batch in reading for arn, raw in batch.result().items()}
        raws = [details.get(raw["serviceDeploymentArn"], raw) for raw in raws]
        self._learn(_goes_back_to(raw) for raw in raws)
        return tuple(deployment for raw in raws for deployment in self._release_and_rollback(raw))

    def _learn(self, revision_arns: Iterable[str]) -> None:
        """Read the unknown service revisions in parallel. ECS adds an image's digest when the first task starts."""
        known = self._memory.revisions.keys() | self._incomplete.keys()
        unknown = [arn for arn in dict.fromkeys(revision_arns) if arn and arn not in known]
        for answer in self._pool.map(self._describe_revisions, batched(unknown, AT_A_TIME, strict=False)):
            for raw in answer:
                made = _revision(raw)
                whole = made.images and all(image.digest for image in made.images)
                (self._memory.revisions if whole else self._incomplete)[raw["serviceRevisionArn"]] = made

    def _describe_revisions(self, arns: tuple[str, ...]) -> list[Raw]:
        answer = call(self._clients.ecs, "describe_service_revisions", serviceRevisionArns=list(arns))
        return [raw for raw in answer.get("serviceRevisions", []) if raw.get("serviceRevisionArn")]

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
            # Even where it cannot be read what the rollback put back: the release ended badly.
            status = "Failed" if _triggered(raw) or rollback is None else "Stopped"
        if rollback:
            reason += f" ECS itself {'put' if not rollback.active else 'is putting'} {rollback.revision.label} back."
        return Deployment(
            deployment_id=_bare_id(raw),
            status=status,
            created_at=created(raw),
            completed_at=rollback.created_at if rollback else _utc(ended) if ended else None,
            revision=self._revision(_target(raw)),
            rollback_deployment_id=rollback.deployment_id if rollback else "",
            error_message=reason.strip(),
            gate=_gate(raw),
        )

    def _rollback(self, raw: Raw) -> Deployment:
        began, ended = raw["rollback"].get("startedAt"), raw.get("finishedAt")
        return Deployment(
            deployment_id=_bare_id(raw) + ROLLBACK,
            status=status_of(raw),
            # It must be newer than what it rolls back, whatever the clock's resolution.
            created_at=max(_utc(began) if began else created(raw), created(raw) + timedelta(microseconds=1)),
            completed_at=_utc(ended) if ended else None,
            revision=self._revision(_goes_back_to(raw)),
            creator=NATIVE_ROLLBACK_CREATOR,
            rolls_back_deployment_id=_bare_id(raw),
            error_message=str(raw.get("statusReason") or raw["rollback"].get("reason") or ""),
        )

    def _revision(self, arn: str) -> Revision:
        return self._memory.revisions.get(arn) or self._incomplete.get(arn) or _revision({})

    def running(self, arn: str) -> Revision:
        """What a service revision runs; its identity is empty where it can no longer be described."""
        self._learn([arn])
        return self._revision(arn)


_PARTS = ("networkConfiguration", "capacityProviderStrategy", "launchType", "platformVersion", "loadBalancers",
          "serviceRegistries", "volumeConfigurations", "vpcLatticeConfigurations", "serviceConnectConfiguration",
          "fargateEphemeralStorage", "gatewayConnectors")  # fmt: skip


def _revision(described: Mapping[str, Any]) -> Revision:
    """Identity is the task definition's ARN; empty where the service revision can no longer be described."""
    definition = str(described.get("taskDefinition", ""))
    parts = {name: described[name] for name in _PARTS if described.get(name)}
    images = tuple(
        Image(raw.get("containerName", ""), raw.get("image", ""), raw.get("imageDigest") or _digest_in(raw))
        for raw in described.get("containerImages") or ()
    )
    return Revision(
        "TaskDefinition",
        definition,
        definition.rsplit("/", 1)[-1],
        other_parts=json.dumps(parts, sort_keys=True, default=str) if parts else "",
        images=images,
    )


def _digest_in(raw: Mapping[str, Any]) -> str:
    return str(raw.get("image", "")).partition("@")[2]


def newest_first(listed: Iterable[Raw]) -> list[Raw]:
    """Sorted by creation, newest first."""
    return sorted(listed, key=created, reverse=True)


def created(raw: Mapping[str, Any]) -> datetime:
    """When a service deployment or a service revision was created, or else when it was started."""
    moment = raw.get("createdAt") or raw.get("startedAt")
    if moment is None:
        what = raw.get("serviceDeploymentArn") or raw.get("serviceRevisionArn")
        raise RefusedError("describe_service_deployments", "NoTime", f"{what} has no time of creation")
    return _utc(moment)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _bare_id(raw: Mapping[str, Any]) -> str:
    return str(raw["serviceDeploymentArn"]).rsplit("/", 1)[-1]


def id_of(raw: Mapping[str, Any]) -> str:
    """The id of the newest deployment in it: ECS's own rollback, where there is one."""
    return _bare_id(raw) + (ROLLBACK if raw["status"] in _UNDONE else "")


def status_of(raw: Mapping[str, Any]) -> str:
    """Its status, in CodeDeploy's words where they mean the same."""
    status = str(raw["status"])
    return _UNDONE.get(status) or _ENDED.get(status, status)


def _target(raw: Mapping[str, Any]) -> str:
    """The ARN of the service revision that is deployed; a list and a description name it differently."""
    return str(raw.get("targetServiceRevisionArn") or (raw.get("targetServiceRevision") or {}).get("arn", ""))


def _goes_back_to(raw: Mapping[str, Any]) -> str:
    """The ARN of the service revision that a rollback puts back; empty where there is none, or ECS does not say."""
    return str((raw.get("rollback") or {}).get("serviceRevisionArn", ""))


def _told_briefly(raw: Mapping[str, Any]) -> bool:
    """Whether a description is needed: a list gives neither a rollback's target nor the hook that pauses it."""
    if raw["status"] in _UNDONE:
        return "rollback" not in raw
    return raw["status"] == "IN_PROGRESS" and "targetServiceRevision" not in raw


def _gate(raw: Mapping[str, Any]) -> Gate | None:
    """The hook that pauses it and waits for people; None for a Lambda hook, which answers by itself."""
    hooks = raw.get("lifecycleHookDetails") or ()
    hook = next((hook for hook in hooks if hook.get("status") == "AWAITING_ACTION"), None)
    if hook is None:
        return None
    expires, hook_id = hook.get("expiresAt"), str(hook.get("hookId", ""))
    command = _GO_ON.format(hook_id, raw["serviceDeploymentArn"])
    return Gate(command, hook_id, _utc(expires) if expires else None, str(hook.get("timeoutAction", "")))


def _triggered(raw: Mapping[str, Any]) -> bool:
    """The circuit breaker or an alarm ended it, not a person."""
    return any((raw.get(part) or {}).get("status") == "TRIGGERED" for part in ("deploymentCircuitBreaker", "alarms"))
