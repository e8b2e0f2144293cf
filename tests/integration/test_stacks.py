"""What a stack holds: SAM deploys as a `user` and does not say so; CloudFormation does, and nothing moves behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from lastgood.clients import call
from lastgood.errors import RetryableError
from scene import ALARM, Scene, scene, service_scene
from simulated_aws.cloudformation.stacks import Resource
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


def test_cloudformation_is_not_asked_about_servers() -> None:
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


@contextmanager
def held_service() -> Iterator[Scene]:
    """A service that a stack holds, whose newest update is bad."""
    with service_scene(settings=ASKS) as it:
        it.sim.stack("app", "main", "web")
        it.sim.update_stack("app", "web:2", settle=True)
        it.sim.advance(7200)
        it.sim.update_stack("app", "web:3", settle=True)
        it.sim.advance(300)
        yield it


def test_a_service_that_a_stack_holds_is_not_updated_behind_it() -> None:
    with held_service() as it:
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


# --- the pipeline that released it ---

RELEASED_BY = json.dumps([{"application": "*", "deployment_group": "*", "pipeline": "sam", "stage": "Deploy"}])
STAGE = "pipeline:sam/Deploy"


@contextmanager
def sam_by_pipeline(settings: dict[str, str] | None = None, **pipeline: Any) -> Iterator[Scene]:
    """The same, and the stack is updated by the stage Deploy of the pipeline `sam`, which a rule names."""
    with sam(ASKS | {"LASTGOOD_PIPELINES": RELEASED_BY} | (settings or {})) as it:
        it.sim.pipeline("sam", "shop", "prod", deploys_with="CloudFormation", stack="app", **pipeline)
        it.sim.push("sam", "4" * 40, 4, settle=True)
        it.sim.settle()
        it.sim.advance(7200)
        yield it


def released(it: Scene, version: int = 3) -> None:
    """The pipeline releases a bad version to the end."""
    it.sim.push("sam", f"{version}" * 40, version, settle=True)
    it.sim.settle()
    it.sim.advance(300)
    assert it.is_live(version)


def of_the_stage(it: Scene) -> dict[str, Any]:
    """The head of the stage's own rollback, after it has ended."""
    it.rollback_id = it.head["passed_on_id"]
    return it.run_to_end()


def test_what_a_pipeline_released_through_a_stack_goes_back_by_the_pipeline_and_the_stack_agrees() -> None:
    with sam_by_pipeline() as it:
        released(it)
        before = moves(it)
        it.alarm_fires()
        first = it.head
        assert (first["outcome"], first["reason_code"]) == ("SKIPPED", "RELEASED_BY_PIPELINE"), first["explanation"]
        assert (first["passed_on_to"], first["needs_human"]) == (STAGE, False)
        head = of_the_stage(it)
        assert (head["outcome"], head["deployment_group_key"]) == ("ROLLED_BACK", STAGE), head["explanation"]
        assert head["good_revision"] == "4" * 40
        it.sim.settle()
        assert (it.is_live(4), moves(it)) == (True, before)
        assert it.sim.update_stack("app", 5, settle=True)
        assert it.is_live(5), "the stack and the alias agree"


def test_people_are_told_once_by_the_stages_own_rollback() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.alarm_fires()
        first = it.rollback_id
        of_the_stage(it)
        told = json.dumps(it.local.notices())
        assert STAGE in told
        assert f'"{first}"' not in told


def test_while_the_canary_runs_codedeploys_own_rollback_is_the_quick_way() -> None:
    with sam_by_pipeline() as it:
        it.sim.push("sam", "3" * 40, 3)
        it.sim.advance(120)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["adopted"], it.is_live(4)) == ("ROLLED_BACK", True, True), head["explanation"]
        assert not it.calls("RollbackStage")


def test_in_its_monitoring_time_the_stage_is_stopped_and_goes_back_when_the_stack_is_at_rest() -> None:
    with sam_by_pipeline() as it:
        it.sim.stacks.stack("app").monitoring_minutes = 20
        it.sim.push("sam", "3" * 40, 3)
        it.sim.advance(17 * 60)
        assert (it.is_live(3), state(it)) == (True, "UPDATE_IN_PROGRESS")
        it.alarm_fires()
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(4)) == ("ROLLED_BACK", True), head["explanation"]
        assert len(it.calls("StopPipelineExecution")) == len(it.calls("RollbackStage")) == 1


def test_a_second_alarm_of_the_same_release_watches_what_the_stage_puts_back() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.alarm_fires()
        it.alarm_fires(alarm="shop-prod-latency")
        head = it.run_to_end()
        assert (head["outcome"], head["adopted"], it.is_live(4)) == ("ROLLED_BACK", True, True), head["explanation"]
        assert len(it.calls("RollbackStage")) == 1


@pytest.mark.parametrize(
    ("settings", "outcome", "reason"),
    [
        ({"LASTGOOD_ALLOWED_GROUPS": "shop/*"}, "BLOCKED", "MANAGED_BY_CLOUDFORMATION"),
        ({"LASTGOOD_MODE": "observe"}, "DRY_RUN", "OBSERVE_MODE"),
        ({"LASTGOOD_KILL_SWITCH": "true"}, "SKIPPED", "KILL_SWITCH"),
    ],
)
def test_the_stage_is_left_alone_where_it_may_not_be_touched(
    settings: dict[str, str], outcome: str, reason: str
) -> None:
    with sam_by_pipeline(settings) as it:
        released(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
        assert not head.get("passed_on_to")
        assert not it.calls("RollbackStage") and it.is_live(3)


def test_in_approve_mode_somebody_approves_before_it_is_passed_on_and_before_the_stage_is_touched() -> None:
    with sam_by_pipeline({"LASTGOOD_MODE": "approve"}) as it:
        released(it)
        it.alarm_fires()
        assert it.head["phase"] == "AWAITING_APPROVAL"
        assert STAGE in it.head["explanation"]
        it.local.handle({"action": "approve", "rollback_id": it.rollback_id, "requested_by": "ann"})
        it.rollback_id = it.head["passed_on_id"]
        assert it.head["phase"] == "AWAITING_APPROVAL"
        it.local.handle({"action": "approve", "rollback_id": it.rollback_id, "requested_by": "ann"})
        head = it.run_to_end()
        it.sim.settle()
        assert (head["outcome"], it.is_live(4)) == ("ROLLED_BACK", True), head["explanation"]


def test_a_dry_run_says_that_the_stage_would_go_back() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.deliver(event("manual-dry-run"))
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("DRY_RUN", "RELEASED_BY_PIPELINE")
        assert STAGE in head["explanation"] and it.is_live(3)


def test_passing_on_that_dies_half_way_is_done_once_by_the_sweep() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.sim.fail_call("GetPipelineState", "InternalFailure", status=500, count=50)
        with pytest.raises(RetryableError):
            it.alarm_fires()
        it.sim.faults.clear()
        it.rollback_id = next(i["rollback_id"] for i in it.local.items() if i.get("passed_on_to") == STAGE)
        it.sim.advance(60)
        it.sweep()
        head = of_the_stage(it)
        assert (head["outcome"], it.is_live(4)) == ("ROLLED_BACK", True), head["explanation"]
        assert len(it.calls("RollbackStage")) == 1


# --- an update that still runs ---


class Dies(BaseException):
    """The invocation ends here, as when Lambda kills it."""


@contextmanager
def dying_at(operation: str, *, after_effect: bool) -> Iterator[None]:
    """The first call of an operation is the last thing that an invocation does."""

    def calls_and_dies(client: Any, named: str, **parameters: Any) -> dict[str, Any]:
        if named != operation or met:
            return call(client, named, **parameters)
        met.append(named)
        if after_effect:
            call(client, named, **parameters)
        raise Dies

    met: list[str] = []
    with patch("lastgood.stacks.call", calls_and_dies):
        yield


CANCELS = {**ASKS, "LASTGOOD_CANCEL_STACK_UPDATES": "app*"}


def monitored(it: Scene, minutes: float = 15) -> int:
    """The stack's release is done, and its monitoring time still runs. Returns how many moves there were."""
    it.sim.update_stack("app", 3)
    it.sim.advance(60 * minutes)
    assert (it.is_live(3), state(it)) == (True, "UPDATE_IN_PROGRESS")
    return moves(it)


def test_an_update_in_its_monitoring_time_is_cancelled_and_the_stack_puts_back_what_was_there() -> None:
    with sam(CANCELS, monitoring_minutes=60) as it:
        before = monitored(it)
        it.alarm_fires()
        (cancelled,) = it.calls("CancelUpdateStack")
        assert cancelled == {"StackName": it.sim.stacks.stack("app").id, "ClientRequestToken": it.rollback_id}
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert (it.is_live(2), moves(it)) == (True, before)
        it.sim.settle()
        assert state(it) == "UPDATE_ROLLBACK_COMPLETE"
        assert it.sim.update_stack("app", 4, settle=True) and it.is_live(4), "the stack and the alias agree"


def test_a_canary_that_codedeploy_cannot_put_back_is_cancelled_with_its_stack_and_not_stopped() -> None:
    with sam({**CANCELS, "LASTGOOD_NATIVE_ROLLBACK": "false"}) as it:
        it.sim.update_stack("app", 3)
        it.sim.advance(60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert len(it.calls("CancelUpdateStack")) == 1 and not it.calls("StopDeployment")


def test_a_service_whose_stack_is_cancelled_runs_the_earlier_definition_again() -> None:
    with service_scene(settings=CANCELS) as it:
        it.sim.stack("app", "main", "web", monitoring_minutes=60)
        it.sim.update_stack("app", "web:2", settle=True)
        it.sim.advance(7200)
        it.sim.update_stack("app", "web:3")
        it.sim.advance(900)
        before = moves(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2), moves(it)) == ("ROLLED_BACK", True, before), head["explanation"]


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"LASTGOOD_CANCEL_STACK_UPDATES": "other-*"}, "BLOCKED"),
        ({"LASTGOOD_MODE": "observe"}, "DRY_RUN"),
        ({"LASTGOOD_KILL_SWITCH": "true"}, "SKIPPED"),
    ],
)
def test_an_update_that_may_not_be_cancelled_goes_on(settings: dict[str, str], outcome: str) -> None:
    with sam({**CANCELS, **settings}, monitoring_minutes=60) as it:
        monitored(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], state(it)) == (outcome, "UPDATE_IN_PROGRESS"), head["explanation"]
        assert not it.calls("CancelUpdateStack") and it.is_live(3)


def test_in_approve_mode_the_update_is_cancelled_once_somebody_approves() -> None:
    with sam({**CANCELS, "LASTGOOD_MODE": "approve"}, monitoring_minutes=60) as it:
        monitored(it)
        it.alarm_fires()
        assert it.head["phase"] == "AWAITING_APPROVAL" and "cancelled" in it.head["explanation"]
        it.local.handle({"action": "approve", "rollback_id": it.rollback_id, "requested_by": "ann"})
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]


def test_what_the_stack_would_go_back_to_must_be_what_goes_back() -> None:
    with sam(CANCELS, monitoring_minutes=60) as it:
        it.local.handle(
            {
                "action": "mark_bad",
                "application": "shop",
                "deployment_group": "prod",
                "deployment_id": it.sim.deployments("shop", "prod")[-1]["deploymentId"],
                "requested_by": "ann",
                "reason": "it loses orders",
            }
        )
        monitored(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "BLOCKED" and not it.calls("CancelUpdateStack"), head["explanation"]


@pytest.mark.parametrize("after_effect", [False, True], ids=["before the call", "after the call"])
def test_an_invocation_that_dies_at_the_cancellation_is_finished_by_the_next(after_effect: bool) -> None:
    with sam(CANCELS, monitoring_minutes=60) as it:
        before = monitored(it)
        with dying_at("cancel_update_stack", after_effect=after_effect), pytest.raises(Dies):
            it.alarm_fires()
        it.rollback_id = it.lock()
        assert it.head["stack_cancel_requested_at"]
        it.sim.advance(120)
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2), moves(it)) == ("ROLLED_BACK", True, before), head["explanation"]
        tokens = {call["ClientRequestToken"] for call in it.calls("CancelUpdateStack")}
        assert tokens == {it.rollback_id}


def test_a_cancellation_that_comes_too_late_is_said_with_what_is_left_to_do() -> None:
    with sam(CANCELS, monitoring_minutes=16) as it:
        monitored(it)
        it.sim.meanwhile("CancelUpdateStack", lambda: setattr(it.sim.stacks.stack("app"), "status", "UPDATE_COMPLETE"))
        before = moves(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert "UPDATE_COMPLETE" in head["explanation"]


def test_a_cancelled_stack_whose_rollback_fails_is_told_with_its_command() -> None:
    with sam(CANCELS, monitoring_minutes=60, rollback_fails=True) as it:
        before = monitored(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert "continue-update-rollback" in head["explanation"]


def test_a_nested_stack_is_cancelled_by_the_outermost_one_in_its_state() -> None:
    with sam(CANCELS, monitoring_minutes=60) as it:
        outer = it.sim.stacks.add("app-all", "us-east-1", ACCOUNT, ("", ""), resources=(), believes="")
        outer.status = it.sim.stacks.stack("app").status
        it.sim.stacks.stack("app").root_id = outer.id
        monitored(it)
        outer.status = "UPDATE_COMPLETE"
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["stack_status"]) == ("BLOCKED", "UPDATE_COMPLETE"), head["explanation"]
        assert not it.calls("CancelUpdateStack")


# --- who owns what would be moved ---


def test_in_a_stack_of_more_than_a_hundred_resources_the_alias_is_found() -> None:
    with sam() as it:
        stack = it.sim.stacks.stack("app")
        topics = tuple(Resource(f"Topic{n}", f"arn:aws:sns:::t{n}", "AWS::SNS::Topic") for n in range(250))
        stack.resources = (*topics, *stack.resources)
        before = updated(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert (head["origin"], head["suspect_stack"]) == ("stack", stack.id)


@pytest.mark.parametrize(("name", "status"), [("", "CREATE_IN_PROGRESS"), ("old", "DELETE_COMPLETE")])
def test_a_group_that_its_stack_does_not_have_yet_or_any_more_is_no_part_of_the_release(name: str, status: str) -> None:
    with sam() as it:
        stack = it.sim.stacks.stack("app")
        stack.resources = (*stack.resources, Resource("Other", name, "AWS::CodeDeploy::DeploymentGroup", status))
        updated(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["origin"], head.get("release_groups", [])) == ("stack", [])


@pytest.mark.parametrize("gone", ["stack", "resource"])
def test_what_a_stack_has_let_go_of_is_nobodys_and_is_rolled_back(gone: str) -> None:
    with sam() as it:
        updated(it)
        stack = it.sim.stacks.stack("app")
        if gone == "stack":
            stack.status = "DELETE_COMPLETE"
        else:
            stack.resources = tuple(replace(each, status="DELETE_SKIPPED") for each in stack.resources)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["origin"], it.is_live(2)) == ("ROLLED_BACK", "none", True), head["explanation"]


def test_what_somebody_deployed_by_hand_through_the_pipelines_stack_is_not_the_stages() -> None:
    with sam_by_pipeline() as it:
        it.sim.update_stack("app", 3, settle=True)
        it.sim.advance(300)
        before = moves(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert "deploy --stack-name app" in head["stack_command"]
        assert not it.calls("RollbackStage") and it.is_live(3)


@pytest.mark.parametrize(
    "status", ["UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "DELETE_FAILED", "REVIEW_IN_PROGRESS", "UPDATE_FAILED"]
)
def test_a_stack_that_failed_is_not_deployed_to_again_by_its_stage(status: str) -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.sim.stacks.stack("app").status = status
        before = moves(it)
        it.alarm_fires()
        assert status in assert_left(it, before)["explanation"]
        assert not it.calls("RollbackStage")
