"""Which images ECS really runs: forced deployments of one definition, tags that move, the AppSpec's own parts.

The judge is what really serves in the simulated AWS, and whether people were called.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest

from lastgood.deployers.codedeploy import CodeDeploy
from lastgood.errors import RetryableError
from scene import ALARM, Scene, scene, service_scene

SHOP = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop"


def define(it: Scene, image: str, memory: int = 512) -> int:
    """Register the next revision of `web`. Returns its number."""
    box = {"name": "app", "image": image, "essential": True, "memory": memory, "portMappings": [{"containerPort": 80}]}
    return int(it.sim.register_task_definition("web", containerDefinitions=[box]).rpartition(":")[2])


def serves(it: Scene, content: str) -> bool:
    return it.sim.serving(it.application, it.group) == {content: 1.0}


def content_now(it: Scene) -> str:
    (content,) = it.sim.serving(it.application, it.group)
    return content


# --- services that ECS itself deploys ---------------------------------------------------------------------------------


@pytest.mark.parametrize("active", [True, False], ids=["active", "succeeded"])
def test_a_forced_deployment_of_a_tag_that_moved_is_a_release_and_the_digest_that_served_goes_back(
    active: bool,
) -> None:
    with service_scene(task_definitions=1) as it:
        define(it, f"{SHOP}:latest")
        it.sim.push_image(f"{SHOP}:latest", "good")
        it.release(2, settle=True, rest=86_400)
        good = it.owner.completed.resolved.images["app"][1]
        it.sim.push_image(f"{SHOP}:latest", "bad")
        bad = it.release(2, settle=not active, rest=120)
        it.sim.declare_bad(bad)
        it.sim.advance(25 if active else 0)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert head["suspect_deployment_id"] == bad
        assert it.sim.bad_share(it.application, it.group) == 0
        assert it.owner.primary.resolved.images["app"][1] == good
        assert bool(it.calls("RegisterTaskDefinition")) is not active
        assert head["needs_human"] is True and "still names the image" in head["explanation"]


def test_the_same_images_under_another_definition_go_back_and_people_are_told() -> None:
    with service_scene(task_definitions=1) as it:
        define(it, f"{SHOP}:latest", memory=256)
        it.sim.push_image(f"{SHOP}:latest", "for both")
        it.release(2, settle=True, rest=86_400)
        define(it, f"{SHOP}:latest", memory=512)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK" and it.is_live(2), head["explanation"]
        assert head["needs_human"] is True and "own images" in head["explanation"]


@pytest.mark.parametrize("readable", [True, False], ids=["the registry tells", "the registry may not be read"])
def test_a_tag_that_was_written_over_since_goes_back_by_its_digest_or_is_not_called_verified(readable: bool) -> None:
    """The good definition would bring another image than the one that served."""
    with service_scene(task_definitions=1) as it:
        define(it, f"{SHOP}:v2")
        it.release(2, settle=True, rest=86400)
        good = it.owner.completed.resolved.images["app"][1]
        define(it, f"{SHOP}:v3")
        it.release(3, settle=True, rest=120)
        it.sim.push_image(f"{SHOP}:v2", "something else")
        if not readable:
            it.sim.fail_call("DescribeImages", "AccessDeniedException", "no", count=99)
        it.alarm_fires()
        head = it.run_to_end()
        if readable:
            assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
            assert it.owner.primary.resolved.images["app"][1] == good
        else:
            assert head["reason_code"] != "VERIFIED" and head["needs_human"] is True, head["explanation"]


def test_a_forced_deployment_of_the_same_digests_releases_nothing() -> None:
    with service_scene(task_definitions=1) as it:
        define(it, f"{SHOP}:v2")
        define(it, f"{SHOP}:v3")
        good = it.release(2, settle=True)
        bad = it.release(3, settle=True, rest=60)
        it.release(3, settle=True, rest=60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good), head["explanation"]
        assert it.is_live(2)


@pytest.mark.parametrize("drawn", [True, False], ids=["reads a secret", "reads none"])
@pytest.mark.parametrize("by", ["ECS", "CodeDeploy"])
def test_one_definition_again_may_bring_another_secret_and_then_people_are_called(drawn: bool, by: str) -> None:
    """Restarted a day after its release, for a new value in Parameter Store. Nothing that could go back would help."""
    secret = {"secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/key"}]}
    with service_scene(task_definitions=1) if by == "ECS" else scene("ECS", task_definitions=1) as it:
        for tag in ("v2", "v3"):
            box = {"name": "app", "image": f"{SHOP}:{tag}", "essential": True, "portMappings": [{"containerPort": 80}]}
            it.sim.register_task_definition("web", containerDefinitions=[box | (secret if drawn else {})])
        it.release(2, settle=True, rest=86_400)
        it.release(3, settle=True, rest=86_400)
        again = it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "NOT_ATTRIBUTABLE"), head["explanation"]
        assert head["needs_human"] is drawn
        assert (f"{again} deployed" in head["explanation"]) is drawn
        assert it.is_live(3)


# --- ECS under CodeDeploy ---------------------------------------------------------------------------------------------


def appspec(it: Scene, number: int, group: str) -> dict[str, Any]:
    """A deployment of `web:number` in a security group."""
    network = {
        "AwsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": [group], "AssignPublicIp": "DISABLED"}
    }
    properties = {
        "TaskDefinition": it.sim.engine.ecs_world.arn(f"task-definition/web:{number}"),
        "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 80},
        "NetworkConfiguration": network,
    }
    service = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return {
        "revisionType": "AppSpecContent",
        "appSpecContent": {"content": json.dumps({"version": 0.0, "Resources": [service]})},
    }


@pytest.mark.parametrize("active", [True, False], ids=["active", "succeeded"])
def test_a_deployment_that_changes_only_the_network_is_a_release_and_the_network_goes_back(active: bool) -> None:
    with scene("ECS") as it:
        it.sim.release("shop", "prod", appspec(it, 2, "sg-right"), settle=True)
        it.sim.advance(86_400)
        good = content_now(it)
        bad = it.sim.release("shop", "prod", appspec(it, 2, "sg-wrong"), settle=not active)
        it.sim.advance(60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        it.sim.settle()
        assert serves(it, good)


@pytest.mark.parametrize("active", [True, False], ids=["active", "succeeded"])
def test_one_moving_tag_again_may_be_anything_so_people_decide(active: bool) -> None:
    """While it runs, the tasks that served are there and prove what goes back; afterwards nobody knows the image."""
    with scene("ECS") as it:
        number = define(it, f"{SHOP}:latest")
        it.release(number, settle=True, rest=86_400)
        good = content_now(it)
        it.sim.push_image(f"{SHOP}:latest", "bad")
        bad = it.release(number, settle=not active, rest=90)
        it.sim.advance(60 if active else 0)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["suspect_deployment_id"] == bad, head["explanation"]
        assert head["needs_human"] is True and (head["reason_code"] == "VERIFIED") is active
        if active:
            it.sim.settle()
            assert head["outcome"] == "ROLLED_BACK" and serves(it, good)
        else:
            assert head["outcome"] == "BLOCKED" and "latest" in head["explanation"]


# --- what was live before cannot be told, and the release still runs --------------------------------------------------


def test_an_active_release_after_one_that_cannot_be_parsed_goes_back_to_what_it_names_as_live() -> None:
    with scene("Lambda", versions=4) as it:
        (function,) = it.sim.engine.lambda_world.functions
        text = (
            "version: 0.0\nResources: [{fn: {Type: 'AWS::Lambda::Function', Properties: {"
            f"? Name : {function}, Alias: live, "
            f"CurrentVersion: '1', TargetVersion: '2'}}}}}}]"
        )
        it.sim.release(
            "shop", "prod", {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}}, settle=True
        )
        it.sim.advance(7200)
        bad = it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert head["suspect_deployment_id"] == bad and head["needs_human"] is True
        assert it.sim.live("shop", "prod").shares == {"2": 1.0}


@pytest.mark.parametrize("code", ["InvalidDeploymentIdException", "DeploymentGroupDoesNotExistException"])
@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_a_stop_that_is_refused_for_whatever_reason_is_followed_by_a_look_at_the_deployment(
    platform: str, code: str
) -> None:
    """It has succeeded meanwhile: then it is redeployed away."""
    with scene(platform, **({"versions": 4} if platform == "Lambda" else {})) as it:
        it.release(2, settle=True)
        it.release(3)
        it.sim.advance(60)
        stop = CodeDeploy.stop

        def too_late(self: CodeDeploy, deployment_id: str, *, native: bool) -> str:
            it.sim.settle()
            it.sim.fail_call("StopDeployment", code, "It cannot be stopped.")
            return stop(self, deployment_id, native=native)

        it.local.alarm(ALARM)
        message = it.alarm_message()
        with patch.object(CodeDeploy, "stop", too_late), pytest.raises(RetryableError):
            it.deliver(message)  # its time is over: AWS delivers it again
        it.deliver(message)
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert it.is_live(2)


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_the_task_set_before_the_first_deployment_goes_back_with_its_own_network(settle: bool) -> None:
    """The first release brings another network beside its definition; that is not put back with the old one."""
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-good"]}}
    wait = {"terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 60}}
    more = {"task_set": {"networkConfiguration": network}, "blueGreenDeploymentConfiguration": wait}
    with scene("ECS", task_definitions=3, config="CodeDeployDefault.ECSAllAtOnce", **more) as it:
        before = it.sim.serving(it.application, it.group)
        it.sim.release("shop", "prod", appspec(it, 2, "sg-wrong"))
        it.sim.advance(200 if settle else 20)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert it.sim.serving(it.application, it.group) == before
