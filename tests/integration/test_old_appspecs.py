"""What an old AppSpec names beside the code, and what became of it: validation functions, network, capacity."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scene import Scene, scene
from simulated_aws import revisions

NETWORK = {"AwsvpcConfiguration": {"Subnets": ["subnet-a"], "SecurityGroups": ["sg-a"], "AssignPublicIp": "DISABLED"}}
OTHER = {"AwsvpcConfiguration": {"Subnets": ["subnet-b"], "SecurityGroups": ["sg-b"], "AssignPublicIp": "DISABLED"}}
SPOT = [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1, "Base": 0}]


def revision(it: Scene, number: int, hooks: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    """Revision n with these hooks, and these properties beside the task definition."""
    if it.platform == "Lambda":
        body = revisions.lambda_appspec("shop", "live", str(number - 1), str(number))
    else:
        body = revisions.ecs_appspec(it.sim.engine.ecs_world.arn(f"task-definition/web:{number}"))
    document = json.loads(body["appSpecContent"]["content"])
    next(iter(document["Resources"][0].values()))["Properties"] |= parts
    document |= {"Hooks": [{event: function} for event, function in hooks.items()]} if hooks else {}
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(document)}}


def released(it: Scene, made: dict[str, Any], *, rest: float = 7200) -> None:
    it.sim.release("shop", "prod", made, settle=True)
    it.sim.advance(rest)


def ended(it: Scene) -> dict[str, Any]:
    it.alarm_fires()
    return it.run_to_end()


def sent(it: Scene) -> dict[str, Any]:
    """The AppSpec that the rollback deployed."""
    found: dict[str, Any] = json.loads(it.calls("CreateDeployment")[-1]["revision"]["appSpecContent"]["content"])
    return found


HOOKS = {"BeforeAllowTraffic": "gone", "AfterAllowTraffic": "arn:aws:lambda:us-east-1:123456789012:function:there"}


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_a_hook_that_no_longer_exists_is_left_out_and_the_others_run(platform: str) -> None:
    with scene(platform) as it:
        released(it, revision(it, 2, HOOKS))
        released(it, revision(it, 3), rest=600)
        it.sim.hook("gone", "missing")
        head = ended(it)
        assert (head["outcome"], head["reason_code"], it.is_live(2)) == ("ROLLED_BACK", "VERIFIED", True)
        assert [list(entry.values()) for entry in sent(it)["Hooks"]] == [[HOOKS["AfterAllowTraffic"]]]
        assert any("Its hooks gone no longer exist" in step["explanation"] for step in it.steps)


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_where_all_hooks_are_to_run_a_revision_with_a_missing_one_is_passed_over_before_anything_is_stopped(
    platform: str,
) -> None:
    many: dict[str, Any] = {"versions": 5} if platform == "Lambda" else {"task_definitions": 5}
    with scene(platform, settings={"LASTGOOD_APPSPEC_HOOKS": "keep"}, **many) as it:
        released(it, revision(it, 2))
        released(it, revision(it, 3, HOOKS))
        released(it, revision(it, 4), rest=600)
        it.sim.hook("gone", "missing")
        head = ended(it)
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        (passed,) = [each for each in head["candidates"] if each.get("rejection") == "NOT_DEPLOYABLE"]
        assert "validated by gone" in passed["explanation"]
        assert "LASTGOOD_APPSPEC_HOOKS=present" in passed["explanation"]


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_a_hook_that_went_after_the_choice_is_told_and_nothing_is_deployed(platform: str) -> None:
    keeps = {"LASTGOOD_APPSPEC_HOOKS": "keep", "LASTGOOD_MODE": "approve"}
    with scene(platform, settings=keeps) as it:
        released(it, revision(it, 2, HOOKS))
        released(it, revision(it, 3), rest=600)
        it.alarm_fires()
        it.sim.hook("gone", "missing")
        request = {"action": "approve", "rollback_id": it.rollback_id, "reason": "go", "requested_by": "me"}
        it.deliver(request)
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "NO_GOOD_REVISION")
        assert "validated by gone" in head["explanation"]
        assert not [made for made in it.calls("CreateDeployment") if "gone" in json.dumps(made)]


def test_a_hook_that_exists_goes_back_with_it() -> None:
    with scene("Lambda") as it:
        released(it, revision(it, 2, {"BeforeAllowTraffic": "theirs"}))
        released(it, revision(it, 3), rest=600)
        head = ended(it)
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
        assert sent(it)["Hooks"] == [{"BeforeAllowTraffic": "theirs"}]


@pytest.mark.parametrize(("setting", "network"), [("keep", NETWORK), ("today", OTHER)])
def test_the_network_of_an_old_appspec_goes_back_or_todays_stays(setting: str, network: dict[str, Any]) -> None:
    with scene("ECS", settings={"LASTGOOD_APPSPEC_PARTS": setting}) as it:
        released(it, revision(it, 2, NetworkConfiguration=NETWORK))
        released(it, revision(it, 3, NetworkConfiguration=OTHER, CapacityProviderStrategy=SPOT), rest=600)
        head = ended(it)
        assert (head["outcome"], head["reason_code"], it.is_live(2)) == ("ROLLED_BACK", "VERIFIED", True)
        properties = sent(it)["Resources"][0]["TargetService"]["Properties"]
        assert properties["NetworkConfiguration"] == network
        assert properties.get("CapacityProviderStrategy") == (SPOT if setting == "today" else None)
        told = " ".join(step["explanation"] for step in it.steps)
        assert ("network and capacity differ from today's" in told) is (setting == "keep")
        assert ("network and capacity are not put back" in told) is (setting == "today")


def test_an_appspec_as_it_is_today_goes_back_unchanged() -> None:
    with scene("ECS") as it:
        released(it, revision(it, 2, NetworkConfiguration=NETWORK))
        released(it, revision(it, 3, NetworkConfiguration=NETWORK), rest=600)
        assert ended(it)["outcome"] == "ROLLED_BACK"
        assert "today's" not in " ".join(step["explanation"] for step in it.steps)
