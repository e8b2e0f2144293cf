"""The simulated CodePipeline speaks botocore's model, and moves as the documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from shapes import check
from simulated_aws import Simulator, simulated_aws
from simulated_aws.codepipeline.api import PipelinesApi

MODEL = ServiceModel(Loader().load_service_model("codepipeline", "service-2"))
UNKNOWN = "00000000-0000-4000-8000-000000000000"
ONE, TWO = "a1" * 20, "b2" * 20


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A pipeline to a fleet; its first commit is released."""
    with simulated_aws() as made:
        made.server_group("shop", "prod")
        made.pipeline("shop", "shop", "prod", variables={"stage": "prod"})
        made.push("shop", ONE, "one.zip", settle=True, summary="the first")
        yield made


def client() -> Any:
    return boto3.client("codepipeline", region_name="us-east-1")


def last_run(simulator: Simulator) -> str:
    return simulator.pipelines.pipeline("shop").runs[-1].id


READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("GetPipeline", {"name": "shop"}),
    ("GetPipelineState", {"name": "shop"}),
    ("ListPipelineExecutions", {"pipelineName": "shop"}),
    ("ListActionExecutions", {"pipelineName": "shop"}),
)
TRANSITION = {"pipelineName": "shop", "stageName": "Deploy", "transitionType": "Inbound"}
WRITES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("StartPipelineExecution", {"name": "shop"}),
    ("DisableStageTransition", {**TRANSITION, "reason": "freeze"}),
    ("EnableStageTransition", TRANSITION),
)


def every_call(simulator: Simulator) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from (*READS, *WRITES)
    yield "GetPipelineExecution", {"pipelineName": "shop", "pipelineExecutionId": last_run(simulator)}


@pytest.mark.parametrize("state", ["over", "failed", "waiting", "running"])
def test_every_answer_fits_the_shape_in_aws_own_model(simulator: Simulator, state: str) -> None:
    if state == "failed":
        simulator.fail_next()
    if state == "waiting":
        client().disable_stage_transition(**TRANSITION, reason="freeze")
    if state != "over":
        simulator.push("shop", TWO, "two.zip", settle=state != "running")
    for operation, given in every_call(simulator):
        shape = MODEL.operation_model(operation).output_shape
        answer = getattr(simulator.codepipeline, snake(operation))(given)
        if shape is not None:
            check(answer, shape, operation)


def snake(operation: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")


def test_every_operation_that_is_simulated_is_codepipelines() -> None:
    names = {snake(name) for name in MODEL.operation_names}
    assert {name for name in vars(PipelinesApi) if not name.startswith("_")} <= names


@pytest.mark.parametrize(
    ("operation", "given", "code"),
    [
        ("GetPipeline", {"name": "none"}, "PipelineNotFoundException"),
        ("GetPipelineState", {"name": "none"}, "PipelineNotFoundException"),
        ("ListActionExecutions", {"pipelineName": "none"}, "PipelineNotFoundException"),
        (
            "GetPipelineExecution",
            {"pipelineName": "shop", "pipelineExecutionId": UNKNOWN},
            "PipelineExecutionNotFoundException",
        ),
        ("DisableStageTransition", {**TRANSITION, "stageName": "None", "reason": "x"}, "StageNotFoundException"),
        ("DisableStageTransition", {**TRANSITION, "reason": "a: b"}, "ValidationException"),
        ("StartPipelineExecution", {"name": "shop", "clientRequestToken": "a b"}, "ValidationException"),
    ],
)
def test_refusals_are_errors_of_the_model(simulator: Simulator, operation: str, given: Any, code: str) -> None:
    assert code in {shape.name for shape in MODEL.operation_model(operation).error_shapes}
    with pytest.raises(ClientError) as refused:
        getattr(client(), snake(operation))(**given)
    assert refused.value.response["Error"]["Code"] == code


def test_an_action_names_the_deployment_that_it_made(simulator: Simulator) -> None:
    details = client().list_action_executions(pipelineName="shop")["actionExecutionDetails"]
    (deploy,) = [d for d in details if d["stageName"] == "Deploy"]
    made = deploy["output"]["executionResult"]["externalExecutionId"]
    assert [made] == [d["deploymentId"] for d in simulator.deployments("shop", "prod")]


def test_actions_come_in_pages_newest_first(simulator: Simulator) -> None:
    simulator.push("shop", TWO, "two.zip", settle=True)
    seen, more = list[str](), dict[str, Any]()
    while True:
        answer = client().list_action_executions(pipelineName="shop", maxResults=2, **more)
        seen += [each["stageName"] for each in answer["actionExecutionDetails"]]
        if "nextToken" not in answer:
            break
        more = {"nextToken": answer["nextToken"]}
    assert seen == ["Deploy", "Build", "Source"] * 2


def test_a_start_for_a_commit_builds_and_releases_that_commit_and_a_token_starts_one_run(simulator: Simulator) -> None:
    simulator.push("shop", TWO, "two.zip", settle=True)
    revision = {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": ONE}
    given = {"name": "shop", "sourceRevisions": [revision], "clientRequestToken": "rb-1"}
    first, second = (client().start_pipeline_execution(**given)["pipelineExecutionId"] for _ in range(2))
    assert first == second
    simulator.advance(600)
    run = client().get_pipeline_execution(pipelineName="shop", pipelineExecutionId=first)["pipelineExecution"]
    assert (run["status"], run["artifactRevisions"][0]["revisionId"]) == ("Succeeded", ONE)
    assert "one.zip" in simulator.live("shop", "prod").target


@pytest.mark.parametrize(
    ("change", "override"),
    [
        ({"pipeline_type": "V1"}, {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": ONE}),
        ({}, {"actionName": "Other", "revisionType": "COMMIT_ID", "revisionValue": ONE}),
        ({}, {"actionName": "Source", "revisionType": "IMAGE_DIGEST", "revisionValue": ONE}),
    ],
)
def test_a_source_revision_that_does_not_fit_is_refused(simulator: Simulator, change: Any, override: Any) -> None:
    for name, value in change.items():
        setattr(simulator.pipelines.pipeline("shop"), name, value)
    with pytest.raises(ClientError, match="ValidationException"):
        client().start_pipeline_execution(name="shop", sourceRevisions=[override])


@pytest.mark.parametrize(("mode", "waiting"), [("SUPERSEDED", 1), ("QUEUED", 2)])
def test_what_finds_the_transition_disabled_waits_and_goes_on_when_it_is_enabled(
    simulator: Simulator, mode: str, waiting: int
) -> None:
    simulator.pipelines.pipeline("shop").mode = mode
    client().disable_stage_transition(**TRANSITION, reason="freeze")
    for commit, name in ((TWO, "two.zip"), ("c3" * 20, "three.zip")):
        simulator.push("shop", commit, name, settle=True)
    (deploy,) = [s for s in client().get_pipeline_state(name="shop")["stageStates"] if s["stageName"] == "Deploy"]
    assert deploy["inboundTransitionState"]["disabledReason"] == "freeze"
    assert len(deploy["inboundExecutions"]) == waiting
    client().enable_stage_transition(**TRANSITION)
    simulator.advance(3600)
    assert "three.zip" in simulator.live("shop", "prod").target
    assert len(simulator.deployments("shop", "prod")) == 1 + waiting


def test_a_deployment_that_is_stopped_fails_the_run(simulator: Simulator) -> None:
    run_id = simulator.push("shop", TWO, "two.zip")
    simulator.advance(70)
    active = simulator.deployments("shop", "prod")[-1]["deploymentId"]
    boto3.client("codedeploy", region_name="us-east-1").stop_deployment(deploymentId=active)
    simulator.advance(60)
    answer = client().get_pipeline_execution(pipelineName="shop", pipelineExecutionId=run_id)
    assert answer["pipelineExecution"]["status"] == "Failed"
