"""What a stack holds: SAM deploys as a `user` and does not say so; CloudFormation does, and nothing moves behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from scene import ALARM, Scene, scene, service_scene
from stage.local import ACCOUNT, event

ASKS = {"LASTGOOD_FIND_STACKS": "true", "LASTGOOD_ACCOUNT_ID": ACCOUNT}
INSISTS = {**event("manual-rollback"), "force": True}


@contextmanager
def sam(settings: dict[str, str] | None = None, **stack: Any) -> Iterator[Scene]:
    """A stack `app` that holds shop:live, in which version 2 serves; what it deploys names a `user` and no stack."""
    with scene("Lambda", settings=ASKS if settings is None else settings, versions=5) as it:
        it.sim.stack("app", "shop", "prod")
        it.sim.update_stack("app", 2, settle=True)
        it.sim.advance(7200)
        for name, value in stack.items():
            setattr(it.sim.stacks.stack("app"), name, value)
        yield it


def moves(it: Scene) -> int:
    """How often somebody has moved the alias or the service, or tried to."""
    return sum(len(it.calls(name)) for name in ("CreateDeployment", "UpdateAlias", "UpdateService"))


def updated(it: Scene, version: int = 3) -> int:
    """The stack releases a bad version to the end. Returns how many moves there were."""
    it.sim.update_stack("app", version, settle=True)
    it.sim.advance(300)
    return moves(it)


def state(it: Scene, name: str = "app") -> str:
    return it.sim.stacks.stack(name).status


def assert_left(it: Scene, before: int, reason: str = "MANAGED_BY_CLOUDFORMATION") -> dict[str, Any]:
    """Nothing was moved, and people were called."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("BLOCKED", reason), head["explanation"]
    assert head["needs_human"]
    assert moves(it) == before
    return head


def test_a_complete_update_is_left_to_people_with_the_command_that_its_state_allows() -> None:
    with sam() as it:
        before = updated(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert (head["origin"], head["stack_status"]) == ("stack", "UPDATE_COMPLETE")
        assert head["suspect_stack"] == it.sim.stacks.stack("app").id
        assert head["stack_command"].startswith("aws cloudformation --region us-east-1 deploy --stack-name app ")
        assert head["stack_command"] in head["explanation"]
        assert it.is_live(3)


def test_nobody_asks_cloudformation_unless_the_setting_says_so() -> None:
    with sam({}) as it:
        updated(it)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert "origin" not in it.head or not it.head["origin"]
        assert not it.calls("DescribeStackResources")


def test_what_no_stack_holds_is_rolled_back_and_told_as_that() -> None:
    with scene("Lambda", settings=ASKS) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["origin"], head.get("suspect_stack", "")) == ("ROLLED_BACK", "none", "")
        assert not it.calls("DescribeStacks")


def test_servers_are_not_asked_about() -> None:
    with scene("Server", settings=ASKS) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert not it.calls("DescribeStackResources")


@pytest.mark.parametrize("deployed", [False, True], ids=["canary", "canary without a rollback"])
def test_a_running_canary_is_stopped_with_codedeploys_rollback_and_its_stack_goes_back(deployed: bool) -> None:
    with sam() as it:
        if deployed:
            it.sim.native_rollbacks(never=True)
        it.sim.update_stack("app", 3)
        it.sim.advance(60)
        before = moves(it)
        it.alarm_fires()
        if deployed:
            assert_left(it, before)
            return
        head = it.run_to_end()
        assert (head["outcome"], head["adopted"]) == ("ROLLED_BACK", True), head["explanation"]
        assert (moves(it), it.is_live(2)) == (before, True)
        it.sim.settle()
        assert state(it) == "UPDATE_ROLLBACK_COMPLETE"
        assert it.sim.update_stack("app", 4, settle=True)
        assert it.is_live(4), "the stack and the alias agree"


def test_in_its_monitoring_time_an_update_is_cancelled_by_the_command_that_people_get() -> None:
    with sam(monitoring_minutes=60) as it:
        it.sim.update_stack("app", 3)
        it.sim.advance(15 * 60)
        before = moves(it)
        it.alarm_fires()
        head = assert_left(it, before)
        words = head["stack_command"].split()
        assert words[4] == "cancel-update-stack"
        boto3.client("cloudformation").cancel_update_stack(StackName=words[-1])
        it.sim.settle()
        assert (it.is_live(2), state(it)) == (True, "UPDATE_ROLLBACK_COMPLETE")


def test_a_stack_that_somebody_has_cancelled_is_watched_until_what_it_holds_is_back() -> None:
    with sam(monitoring_minutes=60) as it:
        it.connect_events()
        it.sim.update_stack("app", 3)
        it.sim.advance(15 * 60)
        boto3.client("cloudformation").cancel_update_stack(StackName="app")
        before = moves(it)
        it.alarm_fires()
        assert not it.head.get("outcome")
        head = it.run_to_end()
        assert (head["outcome"], head["adopted"]) == ("ROLLED_BACK", True), head["explanation"]
        assert (it.is_live(2), moves(it)) == (True, before)


def test_with_force_it_is_moved_and_the_debt_is_true() -> None:
    with sam() as it:
        updated(it)
        it.deliver(INSISTS)
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert "believes in lambda:shop:live:3" in head["stack_debt"]
        made = it.sim.update_stack("app", 4, settle=True)
        assert it.sim.deployment(made)["errorInformation"]["code"] in head["stack_debt"]


@pytest.mark.parametrize("operation", ["DescribeStackResources", "DescribeStacks"])
def test_a_denied_answer_is_said_and_nothing_is_moved_without_force(operation: str) -> None:
    with sam() as it:
        before = updated(it)
        it.sim.fail_call(operation, "AccessDenied", "not authorized", count=50)
        it.alarm_fires()
        head = assert_left(it, before)
        known = operation == "DescribeStacks"
        assert head["origin"] == ("stack" if known else "unknown")
        assert ("describe-stacks" if known else "AccessDenied") in head["explanation"]
        it.deliver(INSISTS)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


def test_a_canary_is_stopped_even_where_nobody_can_tell_whose_it_is_and_no_more_than_that() -> None:
    with sam() as it:
        it.sim.native_rollbacks(never=True)
        it.sim.fail_call("DescribeStackResources", "AccessDenied", "not authorized", count=50)
        it.sim.update_stack("app", 3)
        it.sim.advance(60)
        before = moves(it)
        it.alarm_fires()
        assert_left(it, before)
        assert len(it.calls("StopDeployment")) == 1


def test_a_throttled_answer_is_asked_for_again() -> None:
    with sam() as it:
        before = updated(it)
        it.sim.throttle("DescribeStackResources")
        it.alarm_fires()
        assert assert_left(it, before)["origin"] == "stack"


def test_a_service_that_a_stack_holds_is_not_updated_behind_it() -> None:
    with service_scene(settings=ASKS) as it:
        it.sim.stack("app", "main", "web")
        it.sim.update_stack("app", "web:2", settle=True)
        it.sim.advance(7200)
        it.sim.update_stack("app", "web:3", settle=True)
        it.sim.advance(300)
        before = moves(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert (head["origin"], head["stack_status"]) == ("stack", "UPDATE_COMPLETE")


def test_the_notice_names_the_stack_and_its_command() -> None:
    with sam() as it:
        updated(it)
        it.alarm_fires()
        head = it.run_to_end()
        told = " ".join(map(str, it.local.notices()))
        assert head["suspect_stack"] in told
        assert head["stack_command"] in told
        assert ALARM in told
