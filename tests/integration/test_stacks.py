"""What a stack holds: SAM deploys as a `user` and does not say so; CloudFormation does, and nothing moves behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from lastgood.errors import RetryableError
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
