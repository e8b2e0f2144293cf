"""What can go wrong beside the release: CodeDeploy's own rollbacks, other people, silent instances, hooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulated_aws import Simulator, simulated_aws

CANARY = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
ONE_AT_A_TIME = "CodeDeployDefault.OneAtATime"
ON_STOP = ["DEPLOYMENT_STOP_ON_REQUEST"]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulated_aws() as simulator:
        yield simulator


def canary(sim: Simulator) -> str:
    """A Lambda group with one good release, and a second one at 10 %."""
    sim.lambda_group("shop", "prod", config=CANARY, rollback_events=ON_STOP)
    sim.release("shop", "prod", 2, settle=True)
    made = sim.release("shop", "prod", 3)
    sim.advance(60)
    return made


def stop(deployment_id: str) -> str:
    return str(boto3.client("codedeploy").stop_deployment(deploymentId=deployment_id)["status"])


def native(sim: Simulator, stopped: str) -> dict[str, Any]:
    return sim.deployment(sim.deployment(stopped)["rollbackInfo"]["rollbackDeploymentId"])


def lambda_hooked(function: str, event: str = "BeforeAllowTraffic", target: str = "2") -> dict[str, Any]:
    properties = {"Name": "shop", "Alias": "live", "CurrentVersion": "1", "TargetVersion": target}
    resource = {"shop": {"Type": "AWS::Lambda::Function", "Properties": properties}}
    content = json.dumps({"version": 0.0, "Resources": [resource], "Hooks": [{event: function}]})
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}


# --- CodeDeploy's own rollbacks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "status", "code"),
    [
        ({"fail": True}, "Failed", "HEALTH_CONSTRAINTS"),
        ({"fail": ("THROTTLED", "Rate exceeded")}, "Failed", "THROTTLED"),
        ({"stop": True}, "Stopped", "MANUAL_STOP"),
    ],
)
def test_a_native_rollback_that_fails_or_is_stopped_leaves_the_alias_split(
    sim: Simulator, plan: dict[str, Any], status: str, code: str
) -> None:
    suspect = canary(sim)
    sim.native_rollbacks("shop", "prod", **plan)
    stop(suspect)
    sim.settle()
    rollback = native(sim, suspect)
    assert (rollback["status"], rollback["errorInformation"]["code"]) == (status, code)
    assert sim.live("shop", "prod").shares == {"2": pytest.approx(0.9), "3": 0.1}
    assert len(sim.deployments("shop", "prod")) == 3, "nothing rolls a rollback back"


def test_a_native_rollback_may_put_another_revision_back_than_the_last(sim: Simulator) -> None:
    suspect = canary(sim)
    sim.native_rollbacks(to=None)
    sim.native_rollbacks("shop", "prod", to=1)
    stop(suspect)
    sim.settle()
    assert sim.live("shop", "prod").target == "1"


def test_a_native_rollback_may_never_start(sim: Simulator) -> None:
    suspect = canary(sim)
    sim.native_rollbacks(never=True)
    stop(suspect)
    sim.settle()
    assert "rollbackDeploymentId" not in sim.deployment(suspect)["rollbackInfo"]


# --- other people -----------------------------------------------------------------------------------------------------


def test_somebody_else_may_create_a_deployment_just_before(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod")
    sim.meanwhile("CreateDeployment", lambda: sim.release("shop", "prod", 2))
    codedeploy = boto3.client("codedeploy")
    names = {"applicationName": "shop", "deploymentGroupName": "prod"}
    revision = sim.revision("shop", "prod", 3)
    with pytest.raises(ClientError, match="DeploymentLimitExceeded"):
        codedeploy.create_deployment(**names, revision=revision)
    sim.settle()
    assert codedeploy.create_deployment(**names, revision=sim.revision("shop", "prod", 3)), "only the next call"


# --- silent instances -------------------------------------------------------------------------------------------------


def test_a_stop_waits_for_an_instance_that_does_not_answer(sim: Simulator) -> None:
    sim.server_group("shop", "prod", config=ONE_AT_A_TIME)
    silent = sim.silent_instance("shop", "prod", 1, minutes=65)
    made = sim.release("shop", "prod", "v2.zip")
    sim.advance(60)
    assert (stop(made), stop(made)) == ("Pending", "Pending")
    codedeploy = boto3.client("codedeploy")
    told = codedeploy.get_deployment_target(deploymentId=made, targetId=silent)["deploymentTarget"]
    assert told["instanceTarget"]["status"] == "InProgress"
    sim.advance(60 * 60)
    assert sim.deployment(made)["status"] == "InProgress"
    sim.advance(10 * 60)
    assert sim.deployment(made)["status"] == "Stopped"
    assert list(sim.live("shop", "prod").shares.values()) == [pytest.approx(1 / 3)]


def test_a_hanging_stop_ends_once_the_instance_is_terminated(sim: Simulator) -> None:
    sim.server_group("shop", "prod", config=ONE_AT_A_TIME)
    silent = sim.silent_instance("shop", "prod")
    made = sim.release("shop", "prod", "v2.zip")
    sim.advance(60)
    stop(made)
    sim.terminate_instance("shop", "prod", silent)
    assert sim.deployment(made)["status"] == "Stopped"
    sim.settle(sim.release("shop", "prod", "v1.zip"))
    assert len(boto3.client("codedeploy").list_deployment_targets(deploymentId=made)["targetIds"]) == 2


def test_a_deployment_that_nobody_stops_fails_when_the_instance_is_given_up(sim: Simulator) -> None:
    sim.server_group("shop", "prod", config=ONE_AT_A_TIME)
    sim.silent_instance("shop", "prod", minutes=60)
    made = sim.release("shop", "prod", "v2.zip", settle=True)
    assert sim.deployment(made)["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"


def test_a_stop_script_that_fails_is_in_the_way_of_everything_that_does_not_ignore_it(sim: Simulator) -> None:
    sim.server_group("shop", "prod")
    sim.release("shop", "prod", "bad.zip", settle=True)
    sim.failing_stop_script("shop", "prod", "bad.zip")
    refused = sim.release("shop", "prod", "good.zip", settle=True)
    assert sim.deployment(refused)["status"] == "Failed"
    through = sim.release("shop", "prod", "good.zip", settle=True, ignoreApplicationStopFailures=True)
    assert sim.deployment(through)["status"] == "Succeeded"


# --- hooks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("behaviour", "seconds"), [("fails", 60), ("missing", 60), ("hangs", 3700)])
def test_a_hook_that_does_not_say_yes_ends_the_deployment_before_traffic(
    sim: Simulator, behaviour: str, seconds: float
) -> None:
    sim.lambda_group("shop", "prod")
    sim.hook("check", behaviour)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:check"
    made = sim.release("shop", "prod", lambda_hooked(arn))
    sim.advance(30)
    assert (sim.deployment(made)["status"] == "InProgress") == (behaviour == "hangs")
    sim.advance(seconds)
    assert sim.deployment(made)["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE"
    assert sim.live("shop", "prod").target == "1"


def test_a_hook_after_the_traffic_fails_with_everything_moved(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod")
    sim.hook("smoke", "fails")
    made = sim.release("shop", "prod", lambda_hooked("smoke", "AfterAllowTraffic"), settle=True)
    assert sim.deployment(made)["status"] == "Failed"
    assert sim.live("shop", "prod").target == "2"


def test_a_hook_that_takes_its_time_delays_the_traffic(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod")
    sim.hook("check", seconds=300)
    sim.release("shop", "prod", lambda_hooked("check"))
    sim.advance(200)
    assert sim.live("shop", "prod").target == "1"
    sim.settle()
    assert sim.live("shop", "prod").target == "2"


def test_an_appspec_in_flow_style_yaml_is_read(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod")
    text = (
        "{version: 0.0, Resources: [{shop: {Type: 'AWS::Lambda::Function', Properties: "
        "{Name: shop, Alias: live, CurrentVersion: 1, TargetVersion: 2}}}]}"
    )
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}}
    sim.release("shop", "prod", revision, settle=True)
    assert sim.live("shop", "prod").target == "2"
