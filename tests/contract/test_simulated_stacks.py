"""Stacks as far as releases go: their states, what may be called in which, and the version that they believe in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulated_aws import Simulator, simulated_aws

CANARY = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
ON_ALARM = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:shop:live"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A stack `app` that owns shop:live, as SAM writes it: a canary, and an alarm that rolls it back."""
    with simulated_aws() as simulator:
        simulator.lambda_group("shop", "prod", config=CANARY, alarms=["errors"], rollback_events=ON_ALARM, versions=4)
        simulator.stack("app", "shop", "prod")
        yield simulator


def cloudformation() -> Any:
    return boto3.client("cloudformation")


def told(name: str = "app") -> dict[str, Any]:
    return dict(cloudformation().describe_stacks(StackName=name)["Stacks"][0])


def states(sim: Simulator) -> list[str]:
    """The states that EventBridge heard of since the last time."""
    events = [each for each in sim.read_events() if each["source"] == "aws.cloudformation"]
    return [each["detail"]["status-details"]["status"] for each in events]


def test_an_update_makes_a_deployment_and_is_told_of_its_end(sim: Simulator) -> None:
    made = sim.update_stack("app", 2)
    assert (told()["StackStatus"], sim.deployment(made)["creator"]) == ("UPDATE_IN_PROGRESS", "user")
    assert "externalId" not in sim.deployment(made)
    sim.settle()
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_COMPLETE", "2")
    assert states(sim) == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_a_stack_may_be_known_by_creator_and_external_id(sim: Simulator) -> None:
    stack = sim.stacks.stack("app")
    stack.creator, stack.linked = "CloudFormation", True
    made = sim.deployment(sim.update_stack("app", 2))
    assert (made["creator"], made["externalId"]) == ("CloudFormation", told()["StackId"])


def test_who_owns_an_alias_is_told_by_its_physical_id(sim: Simulator) -> None:
    describe = cloudformation().describe_stack_resources
    found = describe(PhysicalResourceId=ALIAS)["StackResources"]
    assert {each["StackName"] for each in found} == {"app"}
    assert ("AWS::Lambda::Alias", ALIAS) in {(each["ResourceType"], each["PhysicalResourceId"]) for each in found}
    with pytest.raises(ClientError, match=r"ValidationError.*does not exist"):
        describe(PhysicalResourceId=f"{ALIAS}-other")
    with pytest.raises(ClientError, match="ValidationError"):
        describe(PhysicalResourceId=ALIAS, StackName="app")
    tags = boto3.client("lambda").get_function(FunctionName="shop")["Tags"]
    assert tags["aws:cloudformation:stack-name"] == "app"


def test_codedeploys_rollback_makes_the_stack_go_back(sim: Simulator) -> None:
    sim.update_stack("app", 2, settle=True)
    sim.update_stack("app", 3)
    sim.advance(60)
    sim.set_alarm("errors", "ALARM")
    sim.settle()
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_ROLLBACK_COMPLETE", "2")
    assert states(sim)[-2:] == ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]


def test_a_native_rollback_that_failed_leaves_the_stack_unable_to_go_back(sim: Simulator) -> None:
    sim.update_stack("app", 2, settle=True)
    sim.native_rollbacks(fail=True)
    sim.update_stack("app", 3)
    sim.advance(60)
    sim.set_alarm("errors", "ALARM")
    sim.settle()
    assert told()["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert sim.live("shop", "prod").target == "", "the alias is split"


def test_an_alias_that_was_moved_behind_its_back_makes_the_next_update_fail_and_every_later_one(
    sim: Simulator,
) -> None:
    sim.update_stack("app", 3, settle=True)
    sim.release("shop", "prod", 2, settle=True)
    for version in (4, 3, 4):
        made = sim.update_stack("app", version, settle=True)
        if made:
            assert sim.deployment(made)["errorInformation"]["code"] == "INVALID_LAMBDA_CONFIGURATION"
            assert told()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert sim.live("shop", "prod").target == "2", "an update to the same version moves nothing"


@pytest.mark.parametrize("moment", ["deploying", "monitoring"])
def test_an_update_can_be_cancelled_until_its_monitoring_time_is_over(sim: Simulator, moment: str) -> None:
    sim.update_stack("app", 2, settle=True)
    sim.stacks.stack("app").monitoring_minutes = 30
    sim.update_stack("app", 3)
    sim.advance(60 if moment == "deploying" else 15 * 60)
    assert told()["StackStatus"] == "UPDATE_IN_PROGRESS"
    for _ in range(2):
        cloudformation().cancel_update_stack(StackName="app", ClientRequestToken="rb-1")
    sim.settle()
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_ROLLBACK_COMPLETE", "2")
    assert sim.update_stack("app", 4, settle=True)
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_COMPLETE", "4")


def test_after_completion_nothing_can_be_cancelled_or_rolled_back(sim: Simulator) -> None:
    sim.update_stack("app", 2, settle=True)
    with pytest.raises(ClientError, match="ValidationError"):
        cloudformation().cancel_update_stack(StackName="app")
    with pytest.raises(ClientError, match="ValidationError"):
        cloudformation().rollback_stack(StackName="app")


def test_a_failed_update_waits_for_rollback_stack_where_rollback_is_disabled(sim: Simulator) -> None:
    sim.update_stack("app", 2, settle=True)
    sim.stacks.stack("app").disable_rollback = True
    sim.fail_next()
    sim.update_stack("app", 3, settle=True)
    assert told()["StackStatus"] == "UPDATE_FAILED"
    cloudformation().rollback_stack(StackName="app", ClientRequestToken="rb-1")
    sim.settle()
    assert told()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_rollback_that_fails_is_continued_by_people(sim: Simulator) -> None:
    sim.update_stack("app", 2, settle=True)
    sim.stacks.stack("app").rollback_fails = True
    sim.update_stack("app", 3)
    sim.advance(60)
    cloudformation().cancel_update_stack(StackName="app")
    sim.settle()
    assert told()["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    cloudformation().continue_update_rollback(StackName="app")
    sim.settle()
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_ROLLBACK_COMPLETE", "2")


def test_a_way_back_that_the_groups_own_alarm_stops_leaves_the_stack_unable_to_go_back(sim: Simulator) -> None:
    sim.update_stack("app", 2, settle=True)
    sim.stacks.stack("app").monitoring_minutes = 30
    sim.update_stack("app", 3)
    sim.advance(6 * 60)
    sim.set_alarm("errors", "ALARM")
    cloudformation().cancel_update_stack(StackName="app")
    sim.settle()
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_ROLLBACK_FAILED", "3")
    sim.set_alarm("errors", "OK")
    cloudformation().continue_update_rollback(StackName="app")
    sim.settle()
    assert (told()["StackStatus"], sim.live("shop", "prod").target) == ("UPDATE_ROLLBACK_COMPLETE", "2")


def test_a_stack_that_owns_an_ecs_service_updates_it(sim: Simulator) -> None:
    sim.rolling_service()
    sim.stack("web", "main", "web")
    sim.update_stack("web", "web:2", settle=True)
    assert sim.service_live("main", "web").target.endswith("web:2")
    sim.update_stack("web", "web:3")
    sim.advance(25)
    cloudformation().cancel_update_stack(StackName="web")
    sim.settle()
    assert (told("web")["StackStatus"], sim.service_live("main", "web").target[-5:]) == (
        "UPDATE_ROLLBACK_COMPLETE",
        "web:2",
    )


def test_motos_own_stacks_answer_for_themselves(sim: Simulator) -> None:
    cloudformation().create_stack(StackName="other", TemplateBody='{"Resources": {}}')
    assert told("other")["StackStatus"] == "CREATE_COMPLETE"
