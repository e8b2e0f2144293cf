"""RollbackStage and its kin behave as others recorded them on AWS (2026-10), and as the API model says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulated_aws import Simulator, simulated_aws

COMMITS = {number: f"{number}" * 40 for number in range(1, 5)}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A pipeline that has released versions 2 and 3 of a function."""
    with simulated_aws() as simulator:
        simulator.lambda_group("shop", "prod", versions=4)
        yield simulator


def pipeline(sim: Simulator, **options: Any) -> list[str]:
    sim.pipeline("shop", "shop", "prod", **options)
    return [sim.push("shop", COMMITS[number], number, settle=True) for number in (2, 3)]


def client() -> Any:
    return boto3.client("codepipeline")


def roll_back(target: str, stage: str = "Deploy") -> str:
    given = {"pipelineName": "shop", "stageName": stage, "targetPipelineExecutionId": target}
    return str(client().rollback_stage(**given)["pipelineExecutionId"])


def execution(run: str) -> dict[str, Any]:
    found = client().get_pipeline_execution(pipelineName="shop", pipelineExecutionId=run)
    return dict(found["pipelineExecution"])


def latest() -> dict[str, Any]:
    stages = client().get_pipeline_state(name="shop")["stageStates"]
    return dict(next(each for each in stages if each["stageName"] == "Deploy")["latestExecution"])


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED", "PARALLEL"])
def test_a_rollback_runs_its_stage_alone_with_what_the_target_had(sim: Simulator, mode: str) -> None:
    good, _ = pipeline(sim, mode=mode, deploys_with="S3")
    made = roll_back(good)
    sim.advance(120)
    told = execution(made)
    assert (told["status"], told["executionType"]) == ("Succeeded", "ROLLBACK")
    assert told["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": good}
    assert told["trigger"]["triggerType"] == "ManualRollback"
    assert json.loads(told["trigger"]["triggerDetail"]) == {"AwsUserArn": sim.codepipeline.caller}
    actions = client().list_action_executions(pipelineName="shop", filter={"pipelineExecutionId": made})
    assert [each["stageName"] for each in actions["actionExecutionDetails"]] == ["Deploy"]
    assert latest() == {"pipelineExecutionId": made, "status": "Succeeded", "type": "ROLLBACK"}


def test_the_artifact_of_the_target_is_deployed_as_it_was(sim: Simulator) -> None:
    """Its AppSpec too, in which the alias was somewhere else: that is why a direct redeployment is better."""
    good, _ = pipeline(sim)
    roll_back(good)
    sim.advance(120)
    last = sim.deployments("shop", "prod")[-1]
    assert last["errorInformation"]["code"] == "INVALID_LAMBDA_CONFIGURATION"


def test_the_same_target_again_is_another_run(sim: Simulator) -> None:
    good, _ = pipeline(sim, deploys_with="S3")
    first = roll_back(good)
    sim.advance(60)
    second = roll_back(good)
    sim.advance(60)
    assert first != second
    assert sim.serving("pipeline:shop", "Deploy") == {"2": 1.0}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("running", "UnableToRollbackStageException"),
        ("a rollback", "UnableToRollbackStageException"),
        ("failed", "UnableToRollbackStageException"),
        ("older version", "PipelineExecutionOutdatedException"),
        ("no such stage", "StageNotFoundException"),
        ("no such run", "PipelineExecutionNotFoundException"),
        ("no uuid", "ValidationException"),
        ("V1", "ValidationException"),
    ],
)
def test_what_cannot_be_rolled_back_to_is_refused(sim: Simulator, change: str, code: str) -> None:
    good, _ = pipeline(sim, deploys_with="S3")
    target, stage = good, "Deploy"
    found = sim.pipelines.pipeline("shop")
    if change == "running":
        found.approval = True
        sim.push("shop", COMMITS[4], 4)
        sim.advance(70)
    elif change == "a rollback":
        target = roll_back(good)
        sim.advance(60)
    elif change == "failed":
        found.runs[0].status = "Failed"
    elif change == "older version":
        found.version += 1
    elif change == "no such stage":
        stage = "Production"
    elif change in {"no such run", "no uuid"}:
        target = "00000000-0000-4000-8000-000000000000" if change == "no such run" else "run-1"
    else:
        found.pipeline_type = "V1"
    with pytest.raises(ClientError, match=code):
        roll_back(target, stage)


def test_what_succeeded_in_the_stage_is_listed_for_the_present_version_only(sim: Simulator) -> None:
    pipeline(sim, deploys_with="S3")
    sim.pipelines.pipeline("shop").version += 1
    newest = sim.push("shop", COMMITS[4], 4, settle=True)
    listed = client().list_pipeline_executions(
        pipelineName="shop", filter={"succeededInStage": {"stageName": "Deploy"}}
    )
    assert [each["pipelineExecutionId"] for each in listed["pipelineExecutionSummaries"]] == [newest]


def test_a_stage_that_fails_rolls_itself_back_where_that_is_configured(sim: Simulator) -> None:
    _, good = pipeline(sim, on_failure="ROLLBACK")
    sim.fail_next()
    sim.push("shop", COMMITS[4], 4)
    sim.advance(300)
    run = sim.pipelines.pipeline("shop").runs[-1]
    assert (run.trigger[0], run.rolls_back_to) == ("AutomatedRollback", good)
    declared = client().get_pipeline(name="shop")["pipeline"]["stages"][-1]
    assert declared["onFailure"]["result"] == "ROLLBACK"


def test_a_condition_holds_the_stage_and_rolls_back_if_its_alarm_fires(sim: Simulator) -> None:
    _, good = pipeline(sim, deploys_with="S3")
    sim.pipelines.pipeline("shop").on_success = {"alarm": "errors", "minutes": 10, "result": "ROLLBACK"}
    run = sim.push("shop", COMMITS[4], 4)
    sim.advance(300)
    assert execution(run)["status"] == "InProgress"
    with pytest.raises(ClientError, match="UnableToRollbackStageException"):
        roll_back(good)
    sim.set_alarm("errors", "ALARM")
    sim.advance(600)
    assert execution(run)["status"] == "Failed"
    assert sim.serving("pipeline:shop", "Deploy") == {"3": 1.0}


def test_an_approval_inside_the_stage_blocks_a_rollback_too(sim: Simulator) -> None:
    good, _ = pipeline(sim, deploys_with="S3")
    sim.pipelines.pipeline("shop").approval = True
    made = roll_back(good)
    sim.advance(3600)
    assert (execution(made)["status"], sim.serving("pipeline:shop", "Deploy")) == ("InProgress", {"3": 1.0})
    actions = client().get_pipeline(name="shop")["pipeline"]["stages"][-1]["actions"]
    assert [each["actionTypeId"]["category"] for each in actions] == ["Approval", "Deploy"]
    sim.pipelines.approve("shop")
    sim.advance(10)
    assert sim.serving("pipeline:shop", "Deploy") == {"2": 1.0}


@pytest.mark.parametrize("waits", [False, True])
def test_a_rollback_into_a_held_stage_goes_as_the_test_says(sim: Simulator, waits: bool) -> None:
    """Nobody has recorded it."""
    good, _ = pipeline(sim, deploys_with="S3", held_rollbacks_wait=waits)
    held = {"pipelineName": "shop", "stageName": "Deploy", "transitionType": "Inbound"}
    client().disable_stage_transition(**held, reason="freeze")
    roll_back(good)
    sim.advance(60)
    assert sim.serving("pipeline:shop", "Deploy") == ({"3": 1.0} if waits else {"2": 1.0})


def test_an_abandoned_run_lets_its_deployment_go_on_and_the_stage_be_rolled_back(sim: Simulator) -> None:
    _, good = pipeline(sim)
    sim.timing(install_seconds=600)
    run = sim.push("shop", COMMITS[4], 4)
    sim.advance(90)
    client().stop_pipeline_execution(pipelineName="shop", pipelineExecutionId=run, abandon=True)
    assert execution(run)["status"] == "Stopped"
    made = roll_back(good)
    assert sim.deployments("shop", "prod")[-1]["status"] == "InProgress"
    assert execution(made)["status"] == "Failed", "the group is still busy"
    client().retry_stage_execution(
        pipelineName="shop", stageName="Deploy", pipelineExecutionId=run, retryMode="ALL_ACTIONS"
    )
    assert execution(run)["status"] in {"InProgress", "Failed"}


def test_the_stage_of_a_stack_puts_the_old_template_back_and_the_stack_believes_in_it(sim: Simulator) -> None:
    sim.stack("app", "shop", "prod")
    good, _ = pipeline(sim, deploys_with="CloudFormation", stack="app")
    sim.settle()
    assert sim.live("shop", "prod").target == "3"
    made = roll_back(good)
    sim.settle()
    sim.advance(30)
    assert (execution(made)["status"], sim.live("shop", "prod").target) == ("Succeeded", "2")
    assert sim.stacks.stack("app").believes == "2"
    assert sim.update_stack("app", 4, settle=True), "nothing has drifted"
    assert sim.live("shop", "prod").target == "4"


def test_eventbridge_hears_of_the_stage(sim: Simulator) -> None:
    good, _ = pipeline(sim, deploys_with="S3", tells=True)
    sim.read_events()
    made = roll_back(good)
    sim.advance(60)
    heard = [each["detail"] for each in sim.read_events() if each["source"] == "aws.codepipeline"]
    assert [(each["execution-id"], each["state"]) for each in heard] == [(made, "STARTED"), (made, "SUCCEEDED")]
