"""The simulator speaks botocore's model: no unknown member, no unmodelled error, every error typed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from shapes import check
from simulated_aws import Simulator, VirtualClock, s3_revision, simulated_aws
from simulated_aws.codedeploy.api import CodeDeployApi

MODEL = ServiceModel(Loader().load_service_model("codedeploy", "service-2"))
UNKNOWN = "d-NOTTHERE1"
SESSION = boto3.Session("fake", "fake", region_name="us-east-1")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """One group of each platform; `servers` has an active deployment, the other two have finished ones."""
    with simulated_aws() as made:
        made.server_group("servers", "prod", alarms=["a"], rollback_events=["DEPLOYMENT_FAILURE"])
        made.lambda_group("functions", "prod")
        made.ecs_group("services", "prod")
        made.release("functions", "prod", 2)
        made.release("services", "prod", 2)
        made.settle()
        made.release("servers", "prod", "one.zip", description="x", overrideAlarmConfiguration={"alarms": []})
        made.advance(3)
        yield made


def newest(simulator: Simulator, application: str) -> str:
    """The newest deployment of an application."""
    return str(simulator.deployments(application, "prod")[-1]["deploymentId"])


def names(application: str) -> dict[str, str]:
    """The names of a group."""
    return {"applicationName": application, "deploymentGroupName": "prod"}


READS: list[tuple[str, dict[str, Any]]] = [
    ("ListApplications", {}),
    *(
        (operation, names(application))
        for operation in ("GetDeploymentGroup", "ListDeployments")
        for application in ("servers", "functions", "services")
    ),
    ("GetApplication", {"applicationName": "servers"}),
    ("ListDeploymentGroups", {"applicationName": "servers"}),
    ("BatchGetDeploymentGroups", {"applicationName": "servers", "deploymentGroupNames": ["prod", "gone"]}),
    ("ListApplicationRevisions", {"applicationName": "functions", "sortBy": "registerTime"}),
    ("GetDeploymentConfig", {"deploymentConfigName": "CodeDeployDefault.OneAtATime"}),
    ("GetDeploymentConfig", {"deploymentConfigName": "CodeDeployDefault.LambdaCanary10Percent5Minutes"}),
    ("GetDeploymentConfig", {"deploymentConfigName": "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"}),
]


@pytest.mark.parametrize(("operation", "parameters"), READS)
def test_every_answer_fits_the_shape_in_aws_own_model(
    simulator: Simulator, operation: str, parameters: dict[str, Any]
) -> None:
    assert_fits(simulator, operation, parameters)


def assert_fits(simulator: Simulator, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Ask the simulator itself, before botocore drops what it does not know."""
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    answer: dict[str, Any] = getattr(CodeDeployApi(simulator.engine), method)(parameters)
    shape = MODEL.operation_model(operation).output_shape
    assert shape is not None
    check(answer, shape, operation)
    return answer


@pytest.mark.parametrize("application", ["servers", "functions", "services"])
def test_deployments_targets_and_revisions_fit_their_shapes(simulator: Simulator, application: str) -> None:
    made = newest(simulator, application)
    info = assert_fits(simulator, "GetDeployment", {"deploymentId": made})["deploymentInfo"]
    assert_fits(simulator, "BatchGetDeployments", {"deploymentIds": [made, UNKNOWN]})
    targets = assert_fits(simulator, "ListDeploymentTargets", {"deploymentId": made})["targetIds"]
    assert_fits(simulator, "GetDeploymentTarget", {"deploymentId": made, "targetId": targets[0]})
    assert_fits(simulator, "BatchGetDeploymentTargets", {"deploymentId": made, "targetIds": targets})
    asked = {"applicationName": application, "revision": info["revision"]}
    assert_fits(simulator, "GetApplicationRevision", asked)
    batch = {"applicationName": application, "revisions": [info["revision"]]}
    assert_fits(simulator, "BatchGetApplicationRevisions", batch)


def test_lambda_and_ecs_answers_fit_their_shapes(simulator: Simulator) -> None:
    functions = ServiceModel(Loader().load_service_model("lambda", "service-2"))
    services = ServiceModel(Loader().load_service_model("ecs", "service-2"))
    answers = [
        (functions, "GetAlias", simulator.lambda_.get_alias("shop", "live")),
        (functions, "GetFunctionConfiguration", simulator.lambda_.get_function_configuration("shop", "live")),
        (functions, "ListVersionsByFunction", simulator.lambda_.list_versions("shop")),
        *(
            (services, operation, simulator.ecs.answer(operation, given))
            for operation, given in (
                ("DescribeServices", {"cluster": "main", "services": ["web", "gone"]}),
                ("DescribeTaskDefinition", {"taskDefinition": "web:2", "include": ["TAGS"]}),
                ("DeregisterTaskDefinition", {"taskDefinition": "web:1"}),
                ("UpdateService", {"cluster": "main", "service": "web", "desiredCount": 3}),
            )
        ),
    ]
    for model, operation, answer in answers:
        shape = model.operation_model(operation).output_shape
        assert shape is not None
        check(answer, shape, operation)


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("CreateApplication", {"applicationName": "servers"}, "ApplicationAlreadyExistsException"),
    (
        "CreateApplication",
        {"applicationName": "x", "computePlatform": "Boat"},
        "InvalidComputePlatformException",
    ),
    ("GetApplication", {"applicationName": "gone"}, "ApplicationDoesNotExistException"),
    (
        "CreateDeploymentGroup",
        names("servers") | {"serviceRoleArn": "r"},
        "DeploymentGroupAlreadyExistsException",
    ),
    (
        "CreateDeploymentGroup",
        {"applicationName": "servers", "deploymentGroupName": "new", "serviceRoleArn": "r"}
        | {"alarmConfiguration": {"enabled": True, "alarms": []}},
        "InvalidAlarmConfigException",
    ),
    (
        "GetDeploymentGroup",
        names("servers") | {"deploymentGroupName": "x"},
        "DeploymentGroupDoesNotExistException",
    ),
    (
        "UpdateDeploymentGroup",
        {"applicationName": "servers", "currentDeploymentGroupName": "prod"}
        | {"autoRollbackConfiguration": {"enabled": True, "events": []}},
        "InvalidAutoRollbackConfigException",
    ),
    (
        "UpdateDeploymentGroup",
        {"applicationName": "servers", "currentDeploymentGroupName": "gone"},
        "DeploymentGroupDoesNotExistException",
    ),
    (
        "BatchGetDeploymentGroups",
        {"applicationName": "servers", "deploymentGroupNames": ["x"] * 101},
        "BatchLimitExceededException",
    ),
    ("CreateDeployment", names("gone"), "ApplicationDoesNotExistException"),
    ("CreateDeployment", {"applicationName": "servers"}, "DeploymentGroupNameRequiredException"),
    ("CreateDeployment", names("functions"), "RevisionRequiredException"),
    ("CreateDeployment", names("functions") | {"revision": s3_revision("b", "")}, "InvalidRevisionException"),
    (
        "CreateDeployment",
        names("functions") | {"revision": {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": "0"}}},
        "RevisionDoesNotExistException",
    ),
    (
        "CreateDeployment",
        names("servers") | {"revision": s3_revision("b", "k"), "deploymentConfigName": "gone"},
        "DeploymentConfigDoesNotExistException",
    ),
    (
        "CreateDeployment",
        names("servers") | {"revision": s3_revision("b", "k"), "description": "x" * 257},
        "DescriptionTooLongException",
    ),
    (
        "CreateDeployment",
        names("servers") | {"revision": s3_revision("b", "k")},
        "DeploymentLimitExceededException",
    ),
    ("GetDeployment", {"deploymentId": "d-short"}, "InvalidDeploymentIdException"),
    ("GetDeployment", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException"),
    ("BatchGetDeployments", {"deploymentIds": [UNKNOWN] * 26}, "BatchLimitExceededException"),
    ("BatchGetDeployments", {"deploymentIds": []}, "DeploymentIdRequiredException"),
    ("ListDeployments", names("gone"), "ApplicationDoesNotExistException"),
    (
        "ListDeployments",
        names("servers") | {"deploymentGroupName": "x"},
        "DeploymentGroupDoesNotExistException",
    ),
    ("ListDeployments", {"applicationName": "servers"}, "DeploymentGroupNameRequiredException"),
    ("ListDeployments", {"deploymentGroupName": "prod"}, "ApplicationNameRequiredException"),
    (
        "ListDeployments",
        names("servers") | {"includeOnlyStatuses": ["Odd"]},
        "InvalidDeploymentStatusException",
    ),
    ("ListDeployments", names("servers") | {"nextToken": "odd"}, "InvalidNextTokenException"),
    (
        "ListDeployments",
        names("servers") | {"createTimeRange": {"start": 2, "end": 1}},
        "InvalidTimeRangeException",
    ),
    ("StopDeployment", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException"),
    ("ContinueDeployment", {}, "DeploymentIdRequiredException"),
    (
        "GetApplicationRevision",
        {"applicationName": "servers", "revision": s3_revision("b", "k")},
        "RevisionDoesNotExistException",
    ),
    (
        "BatchGetApplicationRevisions",
        {"applicationName": "servers", "revisions": [s3_revision("b", "k")] * 26},
        "BatchLimitExceededException",
    ),
    (
        "RegisterApplicationRevision",
        {"applicationName": "functions", "revision": s3_revision("b", "")},
        "InvalidRevisionException",
    ),
    ("ListApplicationRevisions", {"applicationName": "servers", "sortBy": "x"}, "InvalidSortByException"),
    ("GetDeploymentConfig", {"deploymentConfigName": "gone"}, "DeploymentConfigDoesNotExistException"),
    ("ListDeploymentTargets", {"deploymentId": UNKNOWN}, "DeploymentDoesNotExistException"),
]


@pytest.mark.parametrize(("operation", "parameters", "code"), REFUSALS)
def test_every_refusal_is_modelled_and_typed(
    simulator: Simulator, operation: str, parameters: dict[str, Any], code: str
) -> None:
    client = SESSION.client("codedeploy")
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    with pytest.raises(ClientError) as caught:
        getattr(client, method)(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    assert code in {shape.name for shape in MODEL.operation_model(operation).error_shapes}
    assert isinstance(caught.value, client.exceptions.from_code(code))


def test_ten_thousand_deployments_are_seeded_quickly() -> None:
    simulator = Simulator(VirtualClock())
    simulator.lambda_group("shop", "prod")
    before = time.process_time()
    assert len(simulator.seed_history("shop", "prod", 10_000, failed_every=7)) == 10_000
    assert time.process_time() - before < 3
    assert simulator.live("shop", "prod").target == "10003"


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids(seed: int) -> list[str]:
        simulator = Simulator(seed=seed)
        simulator.server_group("shop", "prod")
        return simulator.seed_history("shop", "prod", 3)

    assert ids(1) == ids(1) != ids(2)


def test_a_clock_that_is_moved_from_outside_is_caught_up_with() -> None:
    clock = VirtualClock()
    simulator = Simulator(clock)
    simulator.server_group("shop", "prod")
    made = simulator.release("shop", "prod", "one.zip")
    clock.advance(3600)
    info = simulator.deployment(made)
    assert info["status"] == "Succeeded"
    assert (clock.now() - info["completeTime"]).total_seconds() > 3000
