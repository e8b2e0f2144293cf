"""Stacks that pipelines release: what goes back by the stage, what is left to people, and who is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from integration.test_stacks import (
    ASKS,
    CANCELS,
    INSISTS,
    STAGE,
    assert_left,
    held_service,
    monitored,
    moves,
    of_the_stage,
    released,
    sam,
    sam_by_pipeline,
    state,
    updated,
)
from scene import ALARM, Scene, scene
from simulated_aws.cloudformation.stacks import Resource
from stage.local import ACCOUNT, group_tags

RULES = json.dumps(
    [{"application": "*", "deployment_group": "*", "pipeline": name, "stage": "Deploy"} for name in ("sam", "hotfix")]
)
ON_THE_GROUP = {"application": "shop", "deployment_group": "prod", "requested_by": "ann", "reason": "it loses orders"}


def deployed(it: Scene, back: int = 0) -> str:
    """The id of a deployment of the group, counted from the newest."""
    return str(it.sim.deployments("shop", "prod")[-1 - back]["deploymentId"])


def stays(it: Scene, before: int, *said: str) -> None:
    """Nothing was moved and no stage was touched; people are told why, in these words."""
    head = assert_left(it, before)
    for each in said:
        assert each in head["explanation"], head["explanation"]
    assert not it.calls("RollbackStage") and it.is_live(3)


# --- a cancellation that comes too late ---


def test_a_cancellation_that_comes_too_late_goes_back_by_the_stage_that_released_it() -> None:
    with sam_by_pipeline(CANCELS) as it:
        it.sim.stacks.stack("app").monitoring_minutes = 20
        it.sim.push("sam", "3" * 40, 3)
        it.sim.advance(15 * 60)
        assert (it.is_live(3), state(it)) == (True, "UPDATE_IN_PROGRESS")
        before = moves(it)
        it.sim.meanwhile("CancelUpdateStack", lambda: it.sim.advance(1800))
        it.alarm_fires()
        first = it.run_to_end()
        assert (first["outcome"], first["reason_code"]) == ("SKIPPED", "RELEASED_BY_PIPELINE"), first["explanation"]
        assert "complete before it could be cancelled" in first["explanation"]
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(4), moves(it)) == ("ROLLED_BACK", True, before), head["explanation"]
        assert it.sim.stacks.stack("app").believes == "4"
        told = [
            n["metadata"]["eventType"] for n in it.local.notices() if n["metadata"]["threadId"] == first["rollback_id"]
        ]
        assert told == ["lastgood.opened", "lastgood.closed"], "people heard that it began, so they hear how it ended"


def test_without_a_stage_people_get_the_command_once_the_update_has_cleaned_up() -> None:
    with sam(CANCELS, monitoring_minutes=16) as it:
        before = monitored(it)
        stack = it.sim.stacks.stack("app")
        it.sim.meanwhile("CancelUpdateStack", lambda: setattr(stack, "status", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"))
        it.alarm_fires()
        it.sim.advance(60)
        it.sweep()
        assert not it.head.get("outcome"), it.head["explanation"]
        stack.status = "UPDATE_COMPLETE"
        stays(it, before, "deploy --stack-name app --template-file")
        assert " deploy --stack-name app " in it.head["stack_command"], "not the one that was right before"


def test_an_update_that_began_meanwhile_may_be_the_fix_and_is_not_cancelled() -> None:
    """The request was never received; when it is repeated, its update is over and the fix is on its way."""
    with sam(CANCELS, monitoring_minutes=20) as it:
        before = monitored(it)
        it.sim.timeout_without_effect("CancelUpdateStack", 50)
        it.alarm_fires()
        it.sim.faults.clear()
        it.sim.advance(1800)
        assert state(it) == "UPDATE_COMPLETE"
        it.sim.update_stack("app", 4)
        it.sim.advance(60)
        asked = len(it.calls("CancelUpdateStack"))
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "OTHER_DEPLOYMENT"), head["explanation"]
        it.sim.settle()
        assert (it.is_live(4), moves(it), len(it.calls("CancelUpdateStack"))) == (True, before, asked)


def test_an_update_that_has_not_deployed_anything_yet_did_not_make_the_suspect() -> None:
    with sam(CANCELS) as it:
        before = updated(it)
        it.sim.advance(600)
        stack = it.sim.stacks.stack("app")
        stack.status, stack.updated_at = "UPDATE_IN_PROGRESS", it.now()
        it.alarm_fires()
        stays(it, before, "cancel-update-stack")
        assert not it.calls("CancelUpdateStack")


# --- what the stage would put back ---


def test_what_was_deployed_by_hand_between_two_runs_is_not_lost_by_rolling_the_stage_back() -> None:
    """The stage's last good execution is older than what was live: nobody wants that back."""
    with sam_by_pipeline() as it:
        it.sim.update_stack("app", 5, settle=True)
        it.sim.advance(7200)
        released(it)
        before = moves(it)
        it.alarm_fires()
        stays(it, before, "version 5", "might put back another one", "deploy --stack-name app")


def test_what_the_group_knows_to_be_bad_is_not_put_back_by_the_stage() -> None:
    with sam_by_pipeline() as it:
        it.sim.push("sam", "5" * 40, 5, settle=True)
        it.sim.settle()
        it.sim.advance(7200)
        it.local.handle({"action": "mark_bad", "deployment_id": deployed(it), **ON_THE_GROUP})
        released(it)
        before = moves(it)
        it.alarm_fires()
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(4), moves(it)) == ("ROLLED_BACK", True, before), head["explanation"]


def test_the_groups_floor_holds_for_its_stage() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.local.handle({"action": "set_floor", "deployment_id": deployed(it), **ON_THE_GROUP})
        before = moves(it)
        it.alarm_fires()
        stays(it, before, "no good revision is known")


@pytest.mark.parametrize("by_codepipeline", [False, True], ids=["by lastgood", "by CodePipeline"])
def test_what_a_rollback_of_the_stage_has_put_back_can_be_put_back_again(by_codepipeline: bool) -> None:
    with sam_by_pipeline() as it:
        pipeline = it.sim.pipelines.pipeline("sam")
        released(it)
        if by_codepipeline:
            it.sim.pipelines.stages.automatic(pipeline, pipeline.runs[-1])
        else:
            it.alarm_fires()
            of_the_stage(it)
        it.sim.settle()
        assert it.is_live(4)
        it.local.alarm(ALARM, "OK", tags=it.tags)
        it.sim.advance(7200)
        released(it, 5)
        before = moves(it)
        it.alarm_fires()
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(4), moves(it)) == ("ROLLED_BACK", True, before), head["explanation"]


def test_an_operator_may_name_the_deployment_that_the_stage_goes_back_to() -> None:
    with sam_by_pipeline() as it:
        wanted = deployed(it)
        for version in (5, 3):
            it.sim.push("sam", f"{version}" * 40, version, settle=True)
            it.sim.settle()
            it.sim.advance(7200)
        it.deliver({"action": "rollback", "to_deployment_id": wanted, **ON_THE_GROUP})
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(4)) == ("ROLLED_BACK", True), head["explanation"]


def test_the_second_release_of_all_goes_back_to_what_the_stack_was_created_with() -> None:
    """CodeDeploy has deployed only once: what was live before is known by that deployment alone."""
    with scene("Lambda", settings=ASKS | {"LASTGOOD_PIPELINES": RULES}) as it:
        it.sim.stack("app", "shop", "prod")
        it.sim.pipeline("sam", "shop", "prod", deploys_with="CloudFormation", stack="app")
        it.sim.push("sam", "1" * 40, 1, settle=True)
        it.sim.settle()
        it.sim.advance(7200)
        assert not it.sim.deployments("shop", "prod")
        released(it)
        before = moves(it)
        it.alarm_fires()
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(1), moves(it)) == ("ROLLED_BACK", True, before), head["explanation"]


@pytest.mark.parametrize("good", ["hotfix", "sam"])
def test_of_two_pipelines_that_deploy_a_stack_the_one_that_released_the_suspect_goes_back_or_none(good: str) -> None:
    with sam_by_pipeline({"LASTGOOD_PIPELINES": RULES}) as it:
        it.sim.pipeline("hotfix", "shop", "prod", deploys_with="CloudFormation", stack="app")
        for pipeline, version in ((good, 5), ("hotfix", 3)):
            it.sim.push(pipeline, f"{version}" * 40, version, settle=True)
            it.sim.settle()
            it.sim.advance(7200 if version == 5 else 300)
        before = moves(it)
        it.alarm_fires()
        if good == "sam":
            stays(it, before, "pipeline:hotfix/Deploy", "might put back another one")
            return
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["deployment_group_key"], it.is_live(5)) == ("pipeline:hotfix/Deploy", True), head["explanation"]


def test_an_approval_that_waits_in_the_stage_has_released_nothing() -> None:
    with sam_by_pipeline() as it:
        it.sim.pipelines.pipeline("sam").approval = True
        it.sim.push("sam", "5" * 40, 5)
        it.sim.advance(300)
        it.sim.update_stack("app", 3, settle=True)
        it.sim.advance(300)
        before = moves(it)
        it.alarm_fires()
        stays(it, before, "deploy --stack-name app")


@pytest.mark.parametrize("problem", ["deleted", "denied"])
def test_where_the_pipeline_cannot_be_asked_people_get_the_stacks_command(problem: str) -> None:
    with sam_by_pipeline() as it:
        released(it)
        if problem == "deleted":
            del it.sim.pipelines.pipelines["sam"]
        else:
            it.sim.fail_call("ListActionExecutions", "AccessDeniedException", "not authorized", count=50)
        before = moves(it)
        it.alarm_fires()
        stays(it, before, "deploy --stack-name app")


@pytest.mark.parametrize("settings", [{}, {"LASTGOOD_RERUN_OUTDATED_STAGES": "true"}])
def test_a_v1_pipeline_is_not_even_asked_to_roll_its_stage_back(settings: dict[str, str]) -> None:
    with sam_by_pipeline(settings, pipeline_type="V1") as it:
        released(it)
        it.alarm_fires()
        head = of_the_stage(it)
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "NO_GOOD_REVISION"), head["explanation"]
        assert "V1" in head["explanation"] and it.is_live(3)
        assert " deploy --stack-name app " in json.dumps(it.local.notices()), "what else can be done is told"
        assert not it.calls("RollbackStage") and not it.calls("StartPipelineExecution")


def test_what_the_pipeline_does_not_list_any_more_is_not_looked_for_in_its_newest_runs() -> None:
    """CodePipeline lists executions for a year."""
    with sam_by_pipeline() as it:
        it.sim.pipelines.pipeline("sam").runs.clear()
        released(it)
        before = moves(it)
        it.alarm_fires()
        stays(it, before, "might put back another one", "deploy --stack-name app")


def test_without_the_permission_for_the_stage_people_get_the_stacks_command_too() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.sim.fail_call("RollbackStage", "AccessDeniedException", "not authorized", count=5)
        it.alarm_fires()
        head = of_the_stage(it)
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "PERMISSION_DENIED"), head["explanation"]
        assert " deploy --stack-name app " in json.dumps(it.local.notices()) and it.is_live(3)


def test_two_stacks_of_one_stage_go_back_together_whichever_of_their_alarms_comes_first() -> None:
    with sam_by_pipeline() as it:
        it.sim.lambda_group("cart", "prod", function="cart", versions=5)
        it.sim.stack("cart", "cart", "prod")
        it.sim.pipelines.pipeline("sam").stacks = ("cart",)
        for version in (5, 3):
            it.sim.push("sam", f"{version}" * 40, version, settle=True)
            it.sim.settle()
            it.sim.advance(7200 if version == 5 else 300)
        before = moves(it)
        it.alarm_fires(alarm="cart", tags=group_tags("cart", "prod"))
        first = it.rollback_id
        it.alarm_fires()
        for _ in range(30):
            it.sim.advance(60)
            it.sweep()
        it.sim.settle()
        served = [it.sim.live(name, "prod").target for name in ("shop", "cart")]
        assert (served, moves(it), len(it.calls("RollbackStage"))) == (["5", "5"], before, 1)
        assert [it.sim.stacks.stack(name).believes for name in ("app", "cart")] == ["5", "5"]
        heads = [i for i in it.local.items() if i["sk"] == "META"]
        assert all(h.get("outcome") in {"ROLLED_BACK", "SKIPPED"} for h in heads), heads
        assert it.local.head(first)["reason_code"] == "RELEASED_BY_PIPELINE"


def test_a_nested_stack_goes_back_by_the_stage_that_updates_the_outermost_one() -> None:
    with sam_by_pipeline() as it:
        outer = it.sim.stacks.add("all", "us-east-1", ACCOUNT, ("", ""), resources=(), believes="")
        outer.status = "UPDATE_COMPLETE"
        it.sim.stacks.stack("app").root_id = outer.id
        released(it)
        it.alarm_fires()
        head = of_the_stage(it)
        it.sim.settle()
        assert (head["outcome"], it.is_live(4)) == ("ROLLED_BACK", True), head["explanation"]


# --- who holds what would be moved ---


def holds(it: Scene, **changes: Any) -> None:
    """What the stack says of its alias or service."""
    stack = it.sim.stacks.stack("app")
    moved = {"AWS::Lambda::Alias", "AWS::ECS::Service"}
    stack.resources = tuple(replace(r, **changes) if r.kind in moved else r for r in stack.resources)


def test_a_service_that_its_stack_knows_by_the_old_arn_without_the_cluster_is_held_all_the_same() -> None:
    with held_service() as it:
        holds(it, physical=f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/web")
        before = moves(it)
        it.alarm_fires()
        assert assert_left(it, before)["suspect_stack"] == it.sim.stacks.stack("app").id


def test_an_alias_that_was_imported_is_held_as_well() -> None:
    with sam() as it:
        before = updated(it)
        holds(it, status="IMPORT_COMPLETE")
        it.sim.stacks.stack("app").status = "IMPORT_COMPLETE"
        it.alarm_fires()
        stays(it, before, "IMPORT_COMPLETE", "deploy --stack-name app")


def test_of_two_stacks_the_one_that_holds_the_alias_counts_not_that_of_the_function() -> None:
    with sam() as it:
        function = Resource("Function", "shop", "AWS::Lambda::Function")
        it.sim.stacks.add("code", "us-east-1", ACCOUNT, ("", ""), resources=(function,), believes="")
        before = updated(it)
        it.alarm_fires()
        assert assert_left(it, before)["suspect_stack"] == it.sim.stacks.stack("app").id


def test_an_instance_of_a_stack_set_is_left_to_the_account_that_administers_it() -> None:
    with sam() as it:
        before = updated(it)
        stack = it.sim.stacks.stack("app")
        stack.id = stack.id.replace("/app/", "/StackSet-app-1/")
        it.alarm_fires()
        stays(it, before, "A stack set deploys it")


# --- states that a stack is in when the alarm comes ---


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait stack-update-complete"),
        ("UPDATE_FAILED", "rollback-stack --stack-name"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name"),
        ("IMPORT_ROLLBACK_COMPLETE", "deploy --stack-name app"),
        ("DELETE_IN_PROGRESS", "offers nothing"),
        ("REVIEW_IN_PROGRESS", "offers nothing"),
        ("A_STATE_OF_TOMORROW", "offers nothing"),
    ],
)
def test_each_state_has_its_command(status: str, words: str) -> None:
    with sam() as it:
        before = updated(it)
        it.sim.stacks.stack("app").status = status
        it.alarm_fires()
        stays(it, before, status, words)


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"])
def test_a_stack_that_rolls_back_is_waited_for_and_what_it_put_back_is_proven(status: str) -> None:
    with sam() as it:
        before = updated(it)
        stack = it.sim.stacks.stack("app")
        stack.status = status
        it.alarm_fires()
        it.sim.advance(60)
        it.sweep()
        assert not it.head.get("outcome"), it.head["explanation"]
        it.sim.release("shop", "prod", 2, settle=True)
        stack.status, stack.believes = "UPDATE_ROLLBACK_COMPLETE", "2"
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert moves(it) == before


def test_with_force_what_a_stage_released_is_moved_too_and_the_debt_is_said() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.deliver(INSISTS)
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(4)) == ("ROLLED_BACK", True), head["explanation"]
        assert "INVALID_LAMBDA_CONFIGURATION" in head["stack_debt"] and not head.get("passed_on_to")
        assert STAGE not in json.dumps([i for i in it.local.items() if i["sk"] == "META"], default=str)


# --- a service whose task definition only CodeDeploy can change ---


@contextmanager
def service_of_codedeploy(settings: dict[str, str] | None = None, **more: Any) -> Iterator[Scene]:
    """The stack `app` made the service, whose deployment controller is CODE_DEPLOY; a script releases the bad web:3."""
    with scene("ECS", settings=ASKS | (settings or {})) as it:
        it.sim.stack("app", "shop", "prod")
        it.good_history(2)
        it.release(3, settle=True, rest=300, **more)
        yield it


@pytest.mark.parametrize("mode", ["succeeded", "running", "denied"])
def test_what_a_stack_holds_and_cannot_release_goes_back_by_codedeploy(mode: str) -> None:
    with service_of_codedeploy() as it:
        stack, believed = it.sim.stacks.stack("app"), it.sim.stacks.stack("app").believes
        if mode == "running":
            it.release(2, settle=True)
            it.release(3)
            it.sim.advance(60)
        if mode == "denied":
            it.sim.fail_call("DescribeStackResources", "AccessDenied", "not authorized", count=20, status=403)
        it.alarm_fires()
        head = it.run_to_end()
        it.sim.settle()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert (stack.status, stack.believes) == ("CREATE_COMPLETE", believed)
        assert head["origin"] == ("unknown" if mode == "denied" else "bypassed")


def test_the_debt_of_such_a_service_is_kept_and_true() -> None:
    with service_of_codedeploy() as it:
        it.alarm_fires()
        head = it.run_to_end()
        assert "cannot change its task definition" in head["stack_debt"] and head["suspect_stack"]
        it.sim.update_stack("app", "web:3", settle=True)
        assert (state(it), it.is_live(2)) == ("UPDATE_ROLLBACK_COMPLETE", True)


def test_what_codedeploys_hook_released_for_the_stack_is_left_to_the_stack() -> None:
    """The hook's deployments say themselves that CloudFormation made them."""
    with service_of_codedeploy() as it:
        it.sim.deployments("shop", "prod")
        it.sim.engine.group("shop", "prod").deployments[-1].creator = "CloudFormation"
        before = moves(it)
        it.alarm_fires()
        head = assert_left(it, before)
        assert it.is_live(3), head["explanation"]
