"""The ECS operations on services and families that were made here."""

from __future__ import annotations

from typing import Any

from simulated_aws.codedeploy.engine import Engine
from simulated_aws.ecs.service_api import ServiceApi
from simulated_aws.ecs.service_model import RollingService
from simulated_aws.ecs.tasks import Tasks
from simulated_aws.ecs.world import Service, TaskDefinition
from simulated_aws.model import ServiceError

Answer = dict[str, Any]
TASK_SET_PARTS = ("networkConfiguration", "capacityProviderStrategy", "platformVersion")


class EcsApi:
    """Services and task definitions that a test has created here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._world = engine.ecs_world
        self._services = ServiceApi(engine)
        self._tasks = Tasks(engine)

    def knows(self, operation: str, given: dict[str, Any]) -> bool:
        """Whether the simulator answers this call: it is about a cluster or a family that was made here."""
        if self._services.knows(operation, given):
            return True
        if operation == "ListClusters":
            return bool(self._world.services)
        if operation in {"DescribeServices", "UpdateService", "ListServices", "ListTasks", "DescribeTasks"}:
            return _last_part(given.get("cluster") or "default") in {cluster for cluster, _ in self._world.services}
        if operation == "UpdateExpressGatewayService":
            return tuple(given["serviceArn"].split("/")[-2:]) in self._world.services
        if operation == "RegisterTaskDefinition":
            return given.get("family") in self._world.families
        if operation in {"DescribeTaskDefinition", "DeregisterTaskDefinition"}:
            return _last_part(given["taskDefinition"]).partition(":")[0] in self._world.families
        return False

    def answer(self, operation: str, given: dict[str, Any]) -> Answer:
        """The answer to a call that `knows` accepts."""
        if self._services.knows(operation, given):
            return self._services.answer(operation, given)
        answers = {
            "ListClusters": self._list_clusters,
            "ListServices": self._list_services,
            "DescribeServices": self._describe_services,
            "ListTasks": self._tasks.list,
            "DescribeTasks": self._tasks.describe,
            "UpdateService": self._update_service,
            "UpdateExpressGatewayService": self._update_express,
            "RegisterTaskDefinition": self._register,
            "DescribeTaskDefinition": self._describe,
            "DeregisterTaskDefinition": self._deregister,
        }
        return answers[operation](given)

    def _list_clusters(self, given: dict[str, Any]) -> Answer:
        clusters = sorted({cluster for cluster, _ in self._world.services})
        return {"clusterArns": [self._world.arn(f"cluster/{cluster}") for cluster in clusters]}

    def _list_services(self, given: dict[str, Any]) -> Answer:
        wanted = _last_part(given.get("cluster") or "default")
        names = sorted(name for cluster, name in self._world.services if cluster == wanted)
        return {"serviceArns": [self._world.arn(f"service/{wanted}/{name}") for name in names]}

    def _describe_services(self, given: dict[str, Any]) -> Answer:
        cluster = _last_part(given.get("cluster") or "default")
        described, failures = [], []
        for name in given["services"]:
            service = self._world.services.get((cluster, _last_part(name)))
            if service:
                described.append(self._service(service))
            else:
                arn = name if name.startswith("arn:") else self._world.arn(f"service/{cluster}/{name}")
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"services": described, "failures": failures}

    def _update_service(self, given: dict[str, Any]) -> Answer:
        cluster = _last_part(given.get("cluster") or "default")
        service = self._world.services.get((cluster, _last_part(given["service"])))
        if service is None:
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        if given.get("taskDefinition") and service.controller == "CODE_DEPLOY":
            message = "Unable to update task definition on services with a CODE_DEPLOY deployment controller."
            raise ServiceError("InvalidParameterException", message)
        if given.get("taskDefinition") and service.express:
            # Inferred from aws/containers-roadmap#2813, where people ask for UpdateService on such services.
            message = "The service is managed by Amazon ECS. Use UpdateExpressGatewayService."
            raise ServiceError("InvalidParameterException", message)
        service.desired_count = given.get("desiredCount", service.desired_count)
        if rolling := self._rolling(service):
            self._services.update(rolling, given)
            return {"service": self._service(service)}
        if given.get("taskDefinition") and service.primary:
            service.primary.task_definition = self._world.task_definition(given["taskDefinition"]).arn
        return {"service": self._service(service)}

    def _update_express(self, given: dict[str, Any]) -> Answer:
        """API reference: a task definition given whole has one container `Main`."""
        cluster, name = given["serviceArn"].split("/")[-2:]
        service = self._world.services.get((cluster, name))
        rolling = self._rolling(service) if service else None
        if service is None or rolling is None or not service.express:
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        definition = self._world.task_definition(given["taskDefinitionArn"])
        if "Main" not in {box["name"] for box in definition.content.get("containerDefinitions", ())}:
            message = "The task definition must have a container named Main."
            raise ServiceError("InvalidParameterException", message)
        self._services.update(rolling, {"taskDefinition": definition.arn})
        return {"service": {"serviceArn": given["serviceArn"], "serviceName": name}}

    def _describe(self, given: dict[str, Any]) -> Answer:
        found = self._world.task_definition(given["taskDefinition"])
        tags = {"tags": found.tags} if "TAGS" in (given.get("include") or []) else {}
        return {"taskDefinition": self._definition(found)} | tags

    def _deregister(self, given: dict[str, Any]) -> Answer:
        found = self._world.deregister(given["taskDefinition"], self._engine.now())
        return {"taskDefinition": self._definition(found)}

    def _register(self, given: dict[str, Any]) -> Answer:
        content = {name: value for name, value in given.items() if name not in {"family", "tags"}}
        made = self._world.register(given["family"], content, self._engine.now(), given.get("tags"))
        return {"taskDefinition": self._definition(made), "tags": made.tags}

    def _definition(self, found: TaskDefinition) -> Answer:
        gone = {"deregisteredAt": found.deregistered_at} if found.deregistered_at else {}
        return {
            **found.content,
            "taskDefinitionArn": found.arn,
            "family": found.family,
            "revision": found.revision,
            "status": found.status,
            "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
            "compatibilities": ["EC2", "FARGATE"],
            "registeredAt": found.registered_at,
            "registeredBy": f"arn:aws:iam::{self._engine.account}:root",
            **gone,
        }

    def _rolling(self, service: Service) -> RollingService | None:
        return self._engine.service_deployments.services.get((service.cluster, service.name))

    def _service(self, service: Service) -> Answer:
        rolling = self._rolling(service)
        primary = rolling.primary if rolling else service.primary
        by_code_deploy = service.controller == "CODE_DEPLOY"
        return {
            "serviceArn": self._world.arn(f"service/{service.cluster}/{service.name}"),
            "serviceName": service.name,
            "clusterArn": self._world.arn(f"cluster/{service.cluster}"),
            "status": service.status,
            "desiredCount": service.desired_count,
            "runningCount": service.desired_count,
            "pendingCount": 0,
            "launchType": "FARGATE",
            "taskDefinition": primary.task_definition if primary else "",
            "deploymentController": {"type": service.controller},
            "taskSets": self._task_sets(service) if by_code_deploy else [],
            # A service that CodeDeploy moves has task sets, and no deployments of its own.
            "deployments": [] if by_code_deploy else self._deployments(service, rolling),
            **({"deploymentConfiguration": rolling.configuration} if rolling else {}),
            "createdAt": service.created_at,
            "resourceManagementType": "ECS" if service.express else "CUSTOMER",
        }

    def _task_sets(self, service: Service) -> list[Answer]:
        service_arn = self._world.arn(f"service/{service.cluster}/{service.name}")
        return [
            {
                "id": each.id,
                "taskSetArn": self._world.arn(f"task-set/{service.cluster}/{service.name}/{each.id}"),
                "serviceArn": service_arn,
                "clusterArn": self._world.arn(f"cluster/{service.cluster}"),
                "startedBy": "CODE_DEPLOY",
                "externalId": each.external_id,
                "status": each.status,
                "taskDefinition": each.task_definition,
                "computedDesiredCount": service.desired_count,
                "pendingCount": 0,
                "runningCount": service.desired_count,
                "createdAt": each.created_at,
                "scale": {"value": 100.0, "unit": "PERCENT"},
                "stabilityStatus": "STEADY_STATE",
                **{name: value for name, value in each.parts.items() if name in TASK_SET_PARTS and value},
                **_balanced(each.parts),
            }
            for each in service.task_sets
        ]

    def _deployments(self, service: Service, rolling: RollingService | None) -> list[Answer]:
        if rolling:
            return self._services.deployments(rolling)
        return [
            {
                "id": each.id,
                "status": "PRIMARY",
                "taskDefinition": each.task_definition,
                "desiredCount": service.desired_count,
                "runningCount": service.desired_count,
                "pendingCount": 0,
                "rolloutState": "COMPLETED",
                "createdAt": each.created_at,
            }
            for each in service.task_sets
        ]


def _last_part(reference: str) -> str:
    return reference.rpartition("/")[2]


def _balanced(parts: dict[str, Any]) -> Answer:
    """The container behind the load balancer, as a task set shows it."""
    if not parts.get("containerName"):
        return {}
    return {"loadBalancers": [{"containerName": parts["containerName"], "containerPort": parts.get("containerPort")}]}
