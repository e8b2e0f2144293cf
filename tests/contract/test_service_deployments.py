"""The simulator's services deploy as ECS itself does: the same sentences in process and over HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from shapes import check
from simulated_aws import Server, Simulator, simulated_aws
from simulated_aws.ecs.service_model import RollingService

MODEL = ServiceModel(Loader().load_service_model("ecs", "service-2"))
SESSION = boto3.Session("fake", "fake", region_name="us-east-1")
ONE_ATTEMPT = Config(retries={"mode": "standard", "total_max_attempts": 1})
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
_numbers = itertools.count()
ALARMED = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}


class Ecs:
    """A simulator, a client that reaches it, and a service in a cluster of its own."""

    def __init__(self, simulator: Simulator, client: Callable[..., Any], cluster: str) -> None:
        self.simulator, self.cluster = simulator, cluster
        self.client = client("ecs", config=ONE_ATTEMPT)
        self.owner: RollingService

    def service(self, **configuration: Any) -> None:
        """The service `web` on `<cluster>:1`, with three task definitions."""
        self.owner = self.simulator.rolling_service(self.cluster, "web", self.cluster, **configuration)

    def arn(self, number: int) -> str:
        return f"arn:aws:ecs:us-east-1:123456789012:task-definition/{self.cluster}:{number}"

    def update(self, number: int, **more: Any) -> dict[str, Any]:
        """UpdateService to a task definition of the family. Returns the service."""
        names = {"cluster": self.cluster, "service": "web"}
        service: dict[str, Any] = self.client.update_service(
            **names, taskDefinition=f"{self.cluster}:{number}", **more
        )["service"]
        return service

    def listed(self, **filters: Any) -> list[dict[str, Any]]:
        answer = self.client.list_service_deployments(cluster=self.cluster, service="web", **filters)
        return list(answer["serviceDeployments"])

    def newest(self) -> dict[str, Any]:
        """DescribeServiceDeployments of the newest one."""
        arn = self.listed()[0]["serviceDeploymentArn"]
        (found,) = self.client.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
        return dict(found)

    def stop(self, **more: Any) -> Any:
        return self.client.stop_service_deployment(serviceDeploymentArn=self.newest()["serviceDeploymentArn"], **more)

    def primary(self) -> dict[str, Any]:
        """The primary deployment, as DescribeServices has it."""
        (service,) = self.client.describe_services(cluster=self.cluster, services=["web"])["services"]
        return next(dict(d) for d in service["deployments"] if d["status"] == "PRIMARY")

    def shares(self) -> dict[str, float]:
        return self.simulator.service_live(self.cluster, "web").shares


@pytest.fixture(params=["in process", "over HTTP"])
def ecs(request: pytest.FixtureRequest) -> Iterator[Ecs]:
    """A simulator behind boto3; each test has a cluster of its own."""
    cluster = f"cluster{next(_numbers)}"
    if request.param == "over HTTP":
        running: Server = request.getfixturevalue("server")
        yield Ecs(running.simulator, running.client, cluster)
        return
    with simulated_aws() as simulator:
        yield Ecs(simulator, SESSION.client, cluster)


def code_of(call: Callable[[], Any]) -> str:
    """The error code with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_an_update_is_pending_then_replaces_a_task_at_a_time_and_is_successful(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(2)
    seen = [(ecs.newest()["status"], dict(ecs.shares()))]
    for seconds in (2, 20, 20):
        ecs.simulator.advance(seconds)
        seen.append((ecs.newest()["status"], dict(ecs.shares())))
    old, new = ecs.arn(1), ecs.arn(2)
    assert seen == [
        ("PENDING", {old: 1.0}),
        ("IN_PROGRESS", {old: 1.0}),
        ("IN_PROGRESS", {old: 0.5, new: 0.5}),
        ("SUCCESSFUL", {new: 1.0}),
    ]
    primary = ecs.primary()
    assert (primary["taskDefinition"], primary["rolloutState"], primary["runningCount"]) == (new, "COMPLETED", 2)


def test_each_deployment_has_a_service_revision_of_its_own_that_names_its_task_definition(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(2)
    ecs.simulator.settle()
    ecs.update(2, forceNewDeployment=True)
    arns = [raw["targetServiceRevisionArn"] for raw in ecs.listed()]
    assert len(set(arns)) == 3
    found = ecs.client.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    assert [revision["taskDefinition"] for revision in found] == [ecs.arn(2), ecs.arn(2), ecs.arn(1)]


def test_an_update_to_what_runs_already_starts_nothing(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(1)
    assert len(ecs.listed()) == 1


def test_an_inactive_task_definition_is_refused(ecs: Ecs) -> None:
    ecs.service()
    ecs.client.deregister_task_definition(taskDefinition=f"{ecs.cluster}:2")
    assert code_of(lambda: ecs.update(2)) == "ClientException"
    assert len(ecs.listed()) == 1


def test_a_newer_update_takes_the_place_of_one_that_is_going_on(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(2)
    ecs.simulator.advance(25)
    ecs.update(3)
    ecs.simulator.settle()
    assert [raw["status"] for raw in ecs.listed()] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]
    assert ecs.shares() == {ecs.arn(3): 1.0}


def test_a_stop_rolls_back_inside_the_same_service_deployment(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(2)
    ecs.simulator.advance(25)
    ecs.stop(stopType="ROLLBACK")
    requested = ecs.newest()
    assert requested["status"] == "ROLLBACK_REQUESTED" and "rollback" not in requested
    ecs.simulator.advance(2)
    going = ecs.newest()
    assert going["status"] == "ROLLBACK_IN_PROGRESS"
    assert going["rollback"]["serviceRevisionArn"] == going["sourceServiceRevisions"][0]["arn"]
    ecs.stop(stopType="ROLLBACK")
    ecs.simulator.settle()
    assert ecs.newest()["status"] == "ROLLBACK_SUCCESSFUL"
    assert ecs.shares() == {ecs.arn(1): 1.0}
    assert len(ecs.listed()) == 2


def test_an_abort_leaves_the_service_half_way(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(2)
    ecs.simulator.advance(25)
    ecs.stop(stopType="ABORT")
    ecs.simulator.advance(600)
    assert ecs.newest()["status"] == "STOPPED"
    assert ecs.shares() == {ecs.arn(1): 0.5, ecs.arn(2): 0.5}


def test_what_has_ended_cannot_be_stopped(ecs: Ecs) -> None:
    ecs.service()
    ecs.update(2)
    ecs.simulator.settle()
    assert code_of(ecs.stop) == "ConflictException"


def test_the_circuit_breaker_rolls_back_to_the_last_completed_deployment(ecs: Ecs) -> None:
    ecs.service(**BREAKER)
    ecs.owner.bad.add(ecs.arn(2))
    ecs.update(2)
    ecs.simulator.settle()
    found = ecs.newest()
    assert (found["status"], found["deploymentCircuitBreaker"]["status"]) == ("ROLLBACK_SUCCESSFUL", "TRIGGERED")
    assert ecs.shares() == {ecs.arn(1): 1.0}


def test_a_circuit_breaker_without_rollback_stops_it(ecs: Ecs) -> None:
    ecs.service(deploymentCircuitBreaker={"enable": True, "rollback": False})
    ecs.owner.bad.add(ecs.arn(2))
    ecs.update(2)
    ecs.simulator.settle()
    assert ecs.newest()["status"] == "STOPPED"


def test_an_alarm_that_goes_off_rolls_back(ecs: Ecs) -> None:
    ecs.service(**ALARMED)
    ecs.simulator.set_alarm("errors", "OK")
    ecs.update(2)
    ecs.simulator.advance(25)
    ecs.simulator.set_alarm("errors", "ALARM")
    ecs.simulator.settle()
    found = ecs.newest()
    assert (found["status"], found["alarms"]["status"]) == ("ROLLBACK_SUCCESSFUL", "TRIGGERED")
    assert found["alarms"]["triggeredAlarmNames"] == ["errors"]


def test_an_alarm_that_was_firing_already_is_ignored(ecs: Ecs) -> None:
    ecs.service(**ALARMED)
    ecs.simulator.set_alarm("errors", "ALARM")
    ecs.update(2)
    ecs.simulator.settle()
    found = ecs.newest()
    assert (found["status"], found["alarms"]["status"]) == ("SUCCESSFUL", "DISABLED")


def test_the_list_is_filtered_and_paged(ecs: Ecs) -> None:
    ecs.service()
    machine, now = ecs.simulator.engine.service_deployments, ecs.simulator.clock.now()
    for number in range(30):
        machine.seed(
            ecs.owner, ecs.arn(2), now - timedelta(hours=30 - number), "STOPPED" if number % 3 else "SUCCESSFUL"
        )
    assert len(ecs.listed()) == 20
    assert len(ecs.listed(maxResults=100)) == 31
    assert {raw["status"] for raw in ecs.listed(status=["STOPPED"])} == {"STOPPED"}
    assert len(ecs.listed(createdAt={"after": now - timedelta(hours=3, minutes=1)})) == 3
    names = {"cluster": ecs.cluster, "service": "web"}
    page = ecs.client.list_service_deployments(**names, maxResults=25)
    rest = ecs.client.list_service_deployments(**names, maxResults=25, nextToken=page["nextToken"])
    assert len(page["serviceDeployments"]) + len(rest["serviceDeployments"]) == 31
    assert "nextToken" not in rest


def test_events_tell_of_the_start_the_failure_the_rollback_and_the_end(ecs: Ecs) -> None:
    ecs.service(**BREAKER)
    ecs.owner.bad.add(ecs.arn(3))
    ecs.update(2)
    ecs.simulator.settle()
    ecs.update(3)
    ecs.simulator.settle()
    mine = [e for e in ecs.simulator.read_events() if e["resources"][0].endswith(f"service/{ecs.cluster}/web")]
    assert [e["detail"]["eventName"].removeprefix("SERVICE_DEPLOYMENT_") for e in mine] == [
        "IN_PROGRESS",
        "COMPLETED",
        "IN_PROGRESS",
        "FAILED",
        "IN_PROGRESS",
        "COMPLETED",
    ]
    assert {(e["source"], e["detail-type"]) for e in mine} == {("aws.ecs", "ECS Deployment State Change")}


def test_what_is_not_there_is_told(ecs: Ecs) -> None:
    ecs.service()
    client, gone = ecs.client, "arn:aws:ecs:us-east-1:123456789012:service-deployment/x/web/gone"
    assert code_of(lambda: client.list_service_deployments(cluster="nope", service="web")) == "ClusterNotFoundException"
    missing = code_of(lambda: client.list_service_deployments(cluster=ecs.cluster, service="gone"))
    assert missing == "ServiceNotFoundException"
    refused = code_of(lambda: client.stop_service_deployment(serviceDeploymentArn=gone))
    assert refused == "ServiceDeploymentNotFoundException"
    answer = client.describe_service_deployments(serviceDeploymentArns=[gone])
    assert (answer["serviceDeployments"], answer["failures"][0]["reason"]) == ([], "MISSING")


def test_faults_can_be_set_on_the_calls_for_services_too(ecs: Ecs) -> None:
    ecs.service()
    ecs.simulator.throttle("ListServiceDeployments")
    assert code_of(ecs.listed) == "ThrottlingException"
    ecs.simulator.effect_then_timeout("UpdateService")
    with pytest.raises((ReadTimeoutError, ClientError)):
        ecs.update(2)
    assert len(ecs.listed()) == 2
    ecs.simulator.timeout_without_effect("StopServiceDeployment")
    with pytest.raises((ReadTimeoutError, ClientError)):
        ecs.stop()
    assert ecs.newest()["status"] == "PENDING"


def test_every_answer_fits_the_shape_in_aws_own_model() -> None:
    """Asked of the simulator itself, before botocore drops what it does not know."""
    with simulated_aws() as simulator:
        simulator.rolling_service(**BREAKER, **ALARMED)
        simulator.release_service("main", "web", "web:2", settle=True)
        stopped = simulator.release_service("main", "web", "web:3")
        simulator.advance(25)
        base = "arn:aws:ecs:us-east-1:123456789012:service-deployment/main/web"
        names = {"cluster": "main", "service": "web"}
        answers = [
            ("StopServiceDeployment", {"serviceDeploymentArn": f"{base}/{stopped}", "stopType": "ROLLBACK"}),
            ("DescribeServices", {"cluster": "main", "services": ["web", "gone"]}),
            ("ListServiceDeployments", {**names, "maxResults": 2}),
            ("UpdateService", {**names, "taskDefinition": "web:1"}),
        ]
        for operation, given in answers:
            answer = simulator.ecs.answer(operation, given)
            check(answer, MODEL.operation_model(operation).output_shape, operation)
            simulator.advance(3)
        listed = simulator.ecs.answer("ListServiceDeployments", names)["serviceDeployments"]
        described = simulator.ecs.answer(
            "DescribeServiceDeployments", {"serviceDeploymentArns": [d["serviceDeploymentArn"] for d in listed]}
        )
        check(described, MODEL.operation_model("DescribeServiceDeployments").output_shape, "described")
        assert any("rollback" in d for d in described["serviceDeployments"])
        revisions = simulator.ecs.answer(
            "DescribeServiceRevisions", {"serviceRevisionArns": [d["targetServiceRevisionArn"] for d in listed]}
        )
        check(revisions, MODEL.operation_model("DescribeServiceRevisions").output_shape, "revisions")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("ListServiceDeployments", "ClusterNotFoundException"),
        ("ListServiceDeployments", "ServiceNotFoundException"),
        ("ListServiceDeployments", "UnsupportedFeatureException"),
        ("ListServiceDeployments", "InvalidParameterException"),
        ("StopServiceDeployment", "ConflictException"),
        ("StopServiceDeployment", "ServiceDeploymentNotFoundException"),
        ("StopServiceDeployment", "InvalidParameterException"),
        ("DescribeServiceDeployments", "InvalidParameterException"),
        ("DescribeServiceRevisions", "InvalidParameterException"),
        ("UpdateService", "ClientException"),
        ("UpdateService", "ServiceNotFoundException"),
    ],
)
def test_every_refusal_is_one_that_the_model_has(operation: str, code: str) -> None:
    assert code in {shape.name for shape in MODEL.operation_model(operation).error_shapes}
