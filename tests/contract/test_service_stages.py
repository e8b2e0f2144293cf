"""ECS's own blue/green: traffic apart from tasks, hooks that pause, bake time, early success, refused stops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulated_aws import Simulator, simulated_aws

STAGE = "PRE_PRODUCTION_TRAFFIC_SHIFT"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulated_aws() as simulator:
        yield simulator


def pause(stage: str = STAGE, **timeout: Any) -> list[dict[str, Any]]:
    return [
        {"targetType": "PAUSE", "lifecycleStages": [stage]} | ({"timeoutConfiguration": timeout} if timeout else {})
    ]


def detail(sim: Simulator, made: str) -> dict[str, Any]:
    arn = sim.engine.ecs_world.arn(f"service-deployment/main/web/{made}")
    found: dict[str, Any] = boto3.client("ecs").describe_service_deployments(serviceDeploymentArns=[arn])
    return dict(found["serviceDeployments"][0])


def answer(sim: Simulator, made: str, **action: str) -> None:
    told = detail(sim, made)
    hook = told["lifecycleHookDetails"][-1]["hookId"]
    boto3.client("ecs").continue_service_deployment(
        serviceDeploymentArn=told["serviceDeploymentArn"], hookId=hook, **action
    )


def paused(sim: Simulator, **timeout: Any) -> str:
    sim.rolling_service(strategy="BLUE_GREEN", lifecycleHooks=pause(**timeout))
    made = sim.release_service("main", "web", "web:2")
    sim.advance(120)
    return made


def test_a_pause_holds_the_traffic_back_and_says_until_when(sim: Simulator) -> None:
    made = paused(sim)
    told = detail(sim, made)
    [hook] = told["lifecycleHookDetails"]
    assert (told["status"], told["lifecycleStage"], hook["status"]) == ("IN_PROGRESS", STAGE, "AWAITING_ACTION")
    assert (hook["expiresAt"] - sim.clock.now()).total_seconds() > 23 * 3600
    assert sim.service_live("main", "web").target.endswith("web:1")
    [event] = [each for each in sim.read_events() if each["detail-type"] == "ECS Hook State Change"]
    assert (event["detail"]["eventName"], event["detail"]["hookId"]) == ("HOOK_AWAITING_ACTION", hook["hookId"])


def test_to_continue_without_an_action_releases_what_was_held_back(sim: Simulator) -> None:
    made = paused(sim)
    answer(sim, made)
    sim.settle()
    assert detail(sim, made)["status"] == "SUCCESSFUL"
    assert sim.service_live("main", "web").target.endswith("web:2")


def test_the_action_rollback_goes_back_and_can_be_given_once(sim: Simulator) -> None:
    made = paused(sim)
    answer(sim, made, action="ROLLBACK")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        answer(sim, made, action="ROLLBACK")
    sim.settle()
    assert detail(sim, made)["status"] == "ROLLBACK_SUCCESSFUL"
    assert sim.service_live("main", "web").target.endswith("web:1")


@pytest.mark.parametrize(("action", "status"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("CONTINUE", "SUCCESSFUL")])
def test_a_pause_that_nobody_ends_takes_its_timeouts_action(sim: Simulator, action: str, status: str) -> None:
    made = paused(sim, timeoutInMinutes=30, action=action)
    sim.settle()
    told = detail(sim, made)
    assert (told["status"], told["lifecycleHookDetails"][0]["status"]) == (status, "TIMED_OUT")


def test_a_function_that_fails_as_a_hook_rolls_back(sim: Simulator) -> None:
    sim.hook("check", "fails")
    hook = {"hookTargetArn": "arn:aws:lambda:us-east-1:123456789012:function:check", "lifecycleStages": [STAGE]}
    sim.rolling_service(strategy="BLUE_GREEN", lifecycleHooks=[hook])
    made = sim.release_service("main", "web", "web:2", settle=True)
    assert detail(sim, made)["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_stop_is_accepted_while_paused_or_refused_as_the_test_says(sim: Simulator) -> None:
    made = paused(sim)
    arn = detail(sim, made)["serviceDeploymentArn"]
    sim.engine.service_deployments.stop_refused_while_paused = True
    ecs = boto3.client("ecs")
    with pytest.raises(ClientError, match="ConflictException"):
        ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    sim.engine.service_deployments.stop_refused_while_paused = False
    ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    sim.settle()
    assert detail(sim, made)["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_canary_shifts_traffic_apart_from_its_tasks_and_bakes(sim: Simulator) -> None:
    canary = {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5}
    sim.rolling_service(strategy="CANARY", canaryConfiguration=canary, bakeTimeInMinutes=20)
    made = sim.release_service("main", "web", "web:2")
    sim.advance(120)
    sim.declare_bad(made)
    assert sim.bad_share("main", "web") == pytest.approx(0.1)
    sim.advance(10 * 60)
    assert sim.bad_share("main", "web") == 1
    assert (detail(sim, made)["status"], detail(sim, made)["lifecycleStage"]) == ("IN_PROGRESS", "BAKE_TIME")
    boto3.client("ecs").stop_service_deployment(serviceDeploymentArn=detail(sim, made)["serviceDeploymentArn"])
    sim.advance(5)
    assert sim.bad_share("main", "web") == 0, "the old tasks still stand while it bakes"


def test_early_success_leaves_old_tasks_serving(sim: Simulator) -> None:
    early = {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": "DEFERRED"}
    sim.rolling_service(desired_count=4, earlySuccessCriteria=early)
    made = sim.release_service("main", "web", "web:2")
    sim.settle()
    assert detail(sim, made)["status"] == "SUCCESSFUL"
    assert sim.service_live("main", "web").shares == {
        sim.engine.ecs_world.arn("task-definition/web:1"): 0.5,
        sim.engine.ecs_world.arn("task-definition/web:2"): 0.5,
    }
    sim.advance(300)
    assert sim.service_live("main", "web").target.endswith("web:2")


@pytest.mark.parametrize("code", ["ConflictException", "ClientException", "InvalidParameterException"])
def test_a_stop_that_comes_too_late_is_refused_with_whatever_code(sim: Simulator, code: str) -> None:
    sim.rolling_service()
    made = sim.release_service("main", "web", "web:2", settle=True)
    sim.engine.service_deployments.stop_refusal = code
    with pytest.raises(ClientError, match=code):
        boto3.client("ecs").stop_service_deployment(serviceDeploymentArn=detail(sim, made)["serviceDeploymentArn"])


def test_ecs_own_rollback_can_be_made_to_fail(sim: Simulator) -> None:
    sim.rolling_service()
    sim.service_rollbacks("main", "web", fail=True)
    made = sim.release_service("main", "web", "web:2")
    sim.advance(25)
    boto3.client("ecs").stop_service_deployment(serviceDeploymentArn=detail(sim, made)["serviceDeploymentArn"])
    sim.settle()
    assert detail(sim, made)["status"] == "ROLLBACK_FAILED"
    assert sim.service_live("main", "web").target == ""
