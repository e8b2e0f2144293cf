"""ECS's operations on services that ECS itself deploys, in AWS's shapes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from simulated_aws.codedeploy.engine import Engine
from simulated_aws.ecs.service_model import RollingService, ServiceDeployment, ServiceRevision
from simulated_aws.ecs.stages import HookRun
from simulated_aws.model import ServiceError

Answer = dict[str, Any]
MOST = 20
CROSS_SERVICE = "Cross service requests are not allowed. All requested service revisions must be for a single service"
SERVICE_PARTS = ("networkConfiguration", "capacityProviderStrategy", "platformVersion", "loadBalancers",
                 "serviceConnectConfiguration", "volumeConfigurations")  # fmt: skip


class ServiceApi:
    """Service deployments and revisions of the services that were made with `rolling_service`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._world = engine.ecs_world
        self._machine = engine.service_deployments
        self._answers: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "ListServiceDeployments": self._list,
            "DescribeServiceDeployments": self._describe,
            "DescribeServiceRevisions": self._describe_revisions,
            "StopServiceDeployment": self._stop,
            "ContinueServiceDeployment": self._continue,
        }

    def knows(self, operation: str, given: dict[str, Any]) -> bool:
        """Whether the simulator answers this call: it does once a service was made here."""
        return operation in self._answers and bool(self._machine.services)

    def answer(self, operation: str, given: dict[str, Any]) -> Answer:
        """The answer to a call that `knows` accepts."""
        return self._answers[operation](given)

    def update(self, owner: RollingService, given: dict[str, Any]) -> None:
        """UpdateService, as far as it deploys. An INACTIVE task definition is refused."""
        wanted = given.get("taskDefinition")
        parts = {name: given[name] for name in SERVICE_PARTS if name in given}
        force = bool(given.get("forceNewDeployment")) or any(owner.parts.get(n) != v for n, v in parts.items())
        if not wanted and not force:
            return
        primary = owner.primary.task_definition if owner.primary else ""
        found = self._world.task_definition(wanted or primary)
        if found.status != "ACTIVE":
            raise ServiceError("ClientException", "TaskDefinition is inactive")
        owner.parts = owner.parts | parts
        self._machine.update(owner, found.arn, force=force)

    def deployments(self, owner: RollingService) -> list[Answer]:
        """`deployments` as DescribeServices has them: the primary one, those with tasks, and what it replaces.

        Recorded (2026-09): while a deployment goes on, the ACTIVE one before it is listed without a single task too.
        """
        with_tasks = [each for each, count in owner.tasks.items() if count]
        primary = [owner.primary.id] if owner.primary else []
        replaced = [owner.completed.id] if owner.active and owner.completed else []
        ids = dict.fromkeys([*primary, *with_tasks, *replaced])
        return [self._deployment_of(owner, owner.revisions[each]) for each in ids]

    def _deployment_of(self, owner: RollingService, revision: ServiceRevision) -> Answer:
        primary = owner.primary is not None and revision.id == owner.primary.id
        running = owner.tasks.get(revision.id, 0)
        going = bool(owner.active) or running < owner.service.desired_count
        state = "IN_PROGRESS" if primary and going else "COMPLETED"
        return {
            "id": f"ecs-svc/{revision.id}",
            "status": "PRIMARY" if primary else "ACTIVE",
            "taskDefinition": revision.task_definition,
            "desiredCount": owner.service.desired_count if primary else 0,
            "runningCount": running,
            "pendingCount": 0,
            "failedTasks": 0,
            "rolloutState": state,
            "createdAt": revision.created_at,
            "updatedAt": revision.created_at,
        }

    # --- the operations -----------------------------------------------------------------------------------------------

    def _list(self, given: dict[str, Any]) -> Answer:
        owner = self._owner(given)
        statuses, created = given.get("status") or [], given.get("createdAt") or {}
        after, before = _moment(created.get("after")), _moment(created.get("before"))
        found = [
            each
            for each in self._engine.listed(owner.deployments)
            if (not statuses or each.status in statuses)
            and (after is None or each.created_at >= after)
            and (before is None or each.created_at <= before)
        ]
        size, start = int(given.get("maxResults") or MOST), int(given.get("nextToken") or 0)
        if not 1 <= size <= 100:
            raise ServiceError("InvalidParameterException", "maxResults must be between 1 and 100.")
        more = {"nextToken": str(start + size)} if len(found) > start + size else {}
        return {"serviceDeployments": [self._brief(each) for each in found[start : start + size]], **more}

    def _describe(self, given: dict[str, Any]) -> Answer:
        arns = given["serviceDeploymentArns"]
        if len(arns) > MOST:
            raise ServiceError("InvalidParameterException", f"At most {MOST} service deployments can be described.")
        known = self._by_arn()
        return {
            "serviceDeployments": [self._detail(known[arn]) for arn in arns if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known],
        }

    def _describe_revisions(self, given: dict[str, Any]) -> Answer:
        """Errors and texts as recorded on AWS (2026-09)."""
        arns = given["serviceRevisionArns"]
        owner = self._one_service(arns)
        known = {self._revision_arn(owner, each): each for each in owner.revisions.values()}
        return {
            "serviceRevisions": [self._revision(owner, known[arn]) for arn in arns if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known],
        }

    def _one_service(self, arns: list[str]) -> RollingService:
        if not arns:
            raise ServiceError("InvalidParameterException", "The Service ARN provided is invalid.")
        if len(arns) > MOST:
            raise ServiceError("InvalidParameterException", f"Service Revision ARN count cannot exceed {MOST}")
        services = {tuple(arn.split("/")[1:3]) for arn in arns}
        if len(services) > 1:
            raise ServiceError("InvalidParameterException", CROSS_SERVICE)
        if len(set(arns)) < len(arns):
            raise ServiceError("ServerException", "Service Unavailable. Please try again later.", 500)
        cluster, name = (*services.pop(), "", "")[:2]
        if cluster not in {each for each, _ in self._world.services}:
            raise ServiceError("ClusterNotFoundException", "The referenced cluster was inactive.")
        if (cluster, name) not in self._machine.services:
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        owner = self._machine.services[(cluster, name)]
        if owner.service.status != "ACTIVE":
            message = "Cannot call DescribeServiceRevisions for a service that is INACTIVE"
            raise ServiceError("InvalidParameterException", message)
        return owner

    def _stop(self, given: dict[str, Any]) -> Answer:
        arn = given["serviceDeploymentArn"]
        found = self._by_arn().get(arn)
        if found is None:
            raise ServiceError("ServiceDeploymentNotFoundException", "The service deployment was not found.")
        self._machine.stop(found, given.get("stopType") or "ROLLBACK")
        return {"serviceDeploymentArn": arn}

    def _continue(self, given: dict[str, Any]) -> Answer:
        """Without an action the deployment goes on: that releases what a hook held back."""
        arn = given["serviceDeploymentArn"]
        found = self._by_arn().get(arn)
        if found is None:
            raise ServiceError("ServiceDeploymentNotFoundException", "The service deployment was not found.")
        self._machine.stages.answer(found, given.get("hookId", ""), given.get("action") or "CONTINUE")
        return {"serviceDeploymentArn": arn}

    # --- shapes -------------------------------------------------------------------------------------------------------

    def _owner(self, given: dict[str, Any]) -> RollingService:
        cluster = _last(given.get("cluster") or "default")
        if cluster not in {name for name, _ in self._world.services}:
            raise ServiceError("ClusterNotFoundException", "Cluster not found.")
        owner = self._machine.services.get((cluster, _last(given["service"])))
        if owner is None and (cluster, _last(given["service"])) in self._world.services:
            message = "Service deployments are not supported for this deployment controller."
            raise ServiceError("UnsupportedFeatureException", message)
        if owner is None:
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        return owner

    def _by_arn(self) -> dict[str, ServiceDeployment]:
        owners = self._machine.services.values()
        return {self._arn(each): each for owner in owners for each in owner.deployments}

    def _arn(self, deployment: ServiceDeployment) -> str:
        service = deployment.owner.service
        return self._world.arn(f"service-deployment/{service.cluster}/{service.name}/{deployment.id}")

    def _revision_arn(self, owner: RollingService, revision: ServiceRevision) -> str:
        return self._world.arn(f"service-revision/{owner.service.cluster}/{owner.service.name}/{revision.id}")

    def _places(self, owner: RollingService) -> Answer:
        return {
            "serviceArn": self._world.arn(f"service/{owner.service.cluster}/{owner.service.name}"),
            "clusterArn": self._world.arn(f"cluster/{owner.service.cluster}"),
        }

    def _brief(self, deployment: ServiceDeployment) -> Answer:
        return _without_none(
            {
                "serviceDeploymentArn": self._arn(deployment),
                **self._places(deployment.owner),
                "startedAt": deployment.started_at,
                "createdAt": deployment.created_at,
                "finishedAt": deployment.finished_at,
                "targetServiceRevisionArn": self._revision_arn(deployment.owner, deployment.target),
                "status": deployment.status,
                "statusReason": deployment.reason or None,
            }
        )

    def _detail(self, deployment: ServiceDeployment) -> Answer:
        owner, source = deployment.owner, deployment.source
        brief = {name: value for name, value in self._brief(deployment).items() if name != "targetServiceRevisionArn"}
        more = {
            "stoppedAt": deployment.stopped_at,
            "updatedAt": deployment.updated_at,
            "sourceServiceRevisions": [self._summary(owner, source)] if source else [],
            "targetServiceRevision": self._summary(owner, deployment.target),
            "deploymentConfiguration": owner.configuration,
            "rollback": self._rollback(deployment) if deployment.rollback else None,
            "lifecycleStage": deployment.stage or None,
            "lifecycleHookDetails": [_hook(each) for each in deployment.hooks] or None,
            "deploymentCircuitBreaker": {
                "status": self._breaker_status(deployment),
                "failureCount": deployment.failed_tasks,
                "threshold": 3,
            },
            "alarms": {
                "status": self._alarm_status(deployment),
                "alarmNames": list(owner.alarms.get("alarmNames") or []),
                "triggeredAlarmNames": list(deployment.triggered_alarms),
            },
        }
        return brief | _without_none(more)

    def _rollback(self, deployment: ServiceDeployment) -> Answer:
        told = deployment.rollback
        arn = self._revision_arn(deployment.owner, told["revision"])
        return {"reason": told["reason"], "startedAt": told["startedAt"], "serviceRevisionArn": arn}

    def _breaker_status(self, deployment: ServiceDeployment) -> str:
        if not deployment.owner.breaker.get("enable"):
            return "DISABLED"
        if deployment.breaker_triggered:
            return "TRIGGERED"
        return "MONITORING_COMPLETE" if deployment.ended else "MONITORING"

    def _alarm_status(self, deployment: ServiceDeployment) -> str:
        if not deployment.watching:
            return "DISABLED"
        if deployment.triggered_alarms:
            return "TRIGGERED"
        return "MONITORING_COMPLETE" if deployment.ended else "MONITORING"

    def _summary(self, owner: RollingService, revision: ServiceRevision) -> Answer:
        return {
            "arn": self._revision_arn(owner, revision),
            "requestedTaskCount": owner.service.desired_count,
            "runningTaskCount": owner.tasks.get(revision.id, 0),
            "pendingTaskCount": 0,
        }

    def _revision(self, owner: RollingService, revision: ServiceRevision) -> Answer:
        return {
            "serviceRevisionArn": self._revision_arn(owner, revision),
            **self._places(owner),
            "taskDefinition": revision.task_definition,
            "launchType": "FARGATE",
            "containerImages": [
                {"containerName": name, "image": image, "imageDigest": digest}
                for name, (image, digest) in revision.resolved.images.items()
            ],
            **{name: value for name, value in revision.resolved.parts.items() if name in SERVICE_PARTS},
            "createdAt": revision.created_at,
        }


def _hook(hook: HookRun) -> Answer:
    return {
        "hookId": hook.id,
        "targetType": hook.kind,
        "targetArn": hook.target,
        "status": hook.status,
        "expiresAt": hook.expires_at,
        "timeoutAction": hook.timeout_action,
    }


def _without_none(answer: Answer) -> Answer:
    return {name: value for name, value in answer.items() if value is not None}


def _moment(value: Any) -> datetime | None:
    """botocore sends times as seconds since the epoch."""
    return None if value is None else datetime.fromtimestamp(float(value), UTC)


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
