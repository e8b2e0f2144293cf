"""Situations of stacks and pipelines as they come in practice: judged by what serves and by what the stack believes."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from integration.test_release_sets import FOLLOW, every, heads
from integration.test_stacks import (
    ASKS,
    CANCELS,
    monitored,
    moves,
    of_the_stage,
    released,
    sam,
    sam_by_pipeline,
    state,
)
from scene import Scene, scene, service_scene, stage_scene
from simulated_aws.cloudformation.stacks import Resource

GROUP = {"application": "shop", "deployment_group": "prod"}
BY = {"requested_by": "ann", "reason": "a launch"}


def agrees(it: Scene, version: int) -> None:
    """This version is live, and the stack believes in it."""
    it.sim.settle()
    assert it.is_live(version) and it.sim.stacks.stack("app").believes == str(version)


def ends(it: Scene, outcome: str, reason: str) -> dict[str, Any]:
    head = it.run_to_end()
    it.sim.settle()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    return head


# --- stacks ---


def test_a_stack_whose_rollback_is_switched_off_keeps_what_codedeploy_put_back() -> None:
    with sam(disable_rollback=True) as it:
        it.sim.update_stack("app", 3)
        it.sim.advance(60)
        it.alarm_fires()
        head = it.run_to_end()
        it.sim.settle()
        assert (head["outcome"], it.is_live(2), state(it)) == ("ROLLED_BACK", True, "UPDATE_FAILED")


def test_the_stacks_own_rollback_triggers_were_quicker_than_the_cancellation() -> None:
    """Its alarm in the monitoring time rolls it back in the moment in which it is asked for."""
    with sam(CANCELS, monitoring_minutes=60) as it:
        monitored(it)
        stacks = it.sim.stacks
        it.sim.meanwhile("CancelUpdateStack", lambda: stacks._roll_back(stacks.stack("app"), "an alarm"))
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        agrees(it, 2)


def test_what_a_failed_update_has_put_back_by_itself_is_not_touched_again() -> None:
    with sam() as it:
        it.sim.fail_next()
        it.sim.update_stack("app", 3, settle=True)
        assert state(it).startswith("UPDATE_ROLLBACK_COMPLETE"), state(it)
        it.sim.advance(120)
        before = moves(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], moves(it)) == ("SKIPPED", before), head["explanation"]
        agrees(it, 2)


@pytest.mark.parametrize("by_hand", [2, 5], ids=["the good one", "another one"])
def test_an_alias_that_somebody_moved_in_the_emergency_is_not_run_over_by_the_stage(by_hand: int) -> None:
    """The stage's update would fail, for the alias is not where its stack believes it is."""
    with sam_by_pipeline() as it:
        it.sim.push("sam", "2" * 40, 2, settle=True)
        it.sim.settle()
        it.sim.advance(7200)
        released(it)
        boto3.client("lambda").update_alias(FunctionName="shop", Name="live", FunctionVersion=str(by_hand))
        it.alarm_fires()
        ends(it, *(("SKIPPED", "ALREADY_LIVE") if by_hand == 2 else ("BLOCKED", "LIVE_DIFFERS")))
        assert it.is_live(by_hand) and not it.calls("RollbackStage")


def test_what_somebody_deployed_past_the_stack_goes_back_to_where_the_stack_believes_it_is() -> None:
    with sam() as it:
        it.sim.release("shop", "prod", 3, settle=True)
        it.sim.advance(300)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        agrees(it, 2)


def test_a_stack_that_only_made_the_service_has_no_say_in_what_others_release_to_it() -> None:
    with service_scene(settings=ASKS) as it:
        it.sim.stack("app", "main", "web")
        for number, rest in ((2, 7200), (3, 300)):
            it.release(number, settle=True, rest=rest)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert head["origin"] and head["stack_debt"]


def test_a_stack_of_two_applications_names_no_group_that_there_is_not() -> None:
    with sam_by_pipeline() as it:
        it.sim.lambda_group("cart", "live", function="cart")
        stack = it.sim.stacks.stack("app")
        stack.resources += (
            Resource("CartApplication", "cart", "AWS::CodeDeploy::Application"),
            Resource("CartGroup", "live", "AWS::CodeDeploy::DeploymentGroup"),
        )
        released(it)
        it.alarm_fires()
        assert it.run_to_end()["release_groups"] == ["cart/live", "shop/prod"]


def test_a_paused_group_keeps_its_stage_from_being_touched_and_a_paused_stage_itself() -> None:
    for where in (GROUP, {"pipeline": "sam", "stage": "Deploy"}):
        with sam_by_pipeline() as it:
            released(it)
            it.local.handle({"action": "pause", **where, **BY})
            it.alarm_fires()
            for _ in range(5):
                it.sim.advance(60)
                it.sweep()
            assert it.is_live(3) and not it.calls("RollbackStage")


# --- pipelines ---


@pytest.mark.parametrize("mode", ["QUEUED", "PARALLEL"])
def test_in_every_mode_of_the_pipeline_the_stack_goes_back_with_the_stage(mode: str) -> None:
    with sam_by_pipeline(mode=mode) as it:
        released(it)
        it.alarm_fires()
        assert of_the_stage(it)["outcome"] == "ROLLED_BACK"
        agrees(it, 4)


@pytest.mark.parametrize("settings", [{}, {"LASTGOOD_RERUN_OUTDATED_STAGES": "true"}])
def test_a_pipeline_that_changed_itself_with_the_release_runs_again_or_people_are_called(
    settings: dict[str, str],
) -> None:
    """A pipeline of CDK mutates itself: RollbackStage refuses what ran under its earlier structure."""
    with sam_by_pipeline(settings) as it:
        it.sim.pipelines.pipeline("sam").version += 1
        released(it)
        it.alarm_fires()
        head = of_the_stage(it)
        if settings:
            assert head["outcome"] == "ROLLED_BACK", head["explanation"]
            agrees(it, 4)
            assert it.calls("StartPipelineExecution")[0]["sourceRevisions"][0]["revisionValue"] == "4" * 40
        else:
            assert head["outcome"] == "BLOCKED" and it.is_live(3), head["explanation"]
            assert " deploy --stack-name app " in json.dumps(it.local.notices())


def test_a_stage_whose_good_artifact_is_gone_fails_and_people_hear_what_codepipeline_says() -> None:
    with stage_scene() as it:
        good = it.release(2, settle=True)
        it.release(3, settle=True, rest=300)
        it.pipeline.lost.add(good)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "FAILED" and head["needs_human"], head["explanation"]
        assert "does not exist in the bucket" in head["explanation"] and it.is_live(3)


def test_a_stage_that_was_tried_again_hours_later_released_then() -> None:
    with stage_scene() as it:
        it.release(2, settle=True)
        it.pipeline.fails.add(it.revision(3))
        it.pipeline.on_failure = ""
        bad = it.release(3, settle=True, rest=5 * 3600)
        it.pipeline.fails.clear()
        it.sim.pipelines.stages.retry("shop", "Deploy", bad)
        it.sim.settle()
        it.sim.advance(300)
        assert it.execution(bad).status == "Succeeded" and it.is_live(3)
        it.alarm_fires()
        ends(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(2)


def test_what_a_condition_called_failed_is_live_all_the_same_and_goes_back() -> None:
    with stage_scene() as it:
        it.release(2, settle=True)
        it.pipeline.on_success = {"alarm": "another", "minutes": 2, "result": "FAIL"}
        it.local.alarm("another", "ALARM")
        bad = it.release(3, settle=True, rest=300)
        assert it.execution(bad).status == "Failed" and it.is_live(3)
        it.alarm_fires()
        ends(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(2)


def test_somebody_who_runs_the_pipeline_again_for_the_good_commit_is_watched() -> None:
    with stage_scene() as it:
        it.release(2, settle=True)
        it.release(3, settle=True, rest=300)
        sources = [{"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": it.revision(2)}]
        boto3.client("codepipeline").start_pipeline_execution(name="shop", sourceRevisions=sources)
        it.sim.advance(300)
        assert it.is_live(2)
        it.alarm_fires()
        head = it.run_to_end()
        assert not it.calls("RollbackStage") and it.is_live(2), head["explanation"]


def test_of_two_pipelines_that_release_to_a_group_the_one_that_ran_names_the_commits_and_the_rest() -> None:
    rules = [{**GROUP, "pipeline": "shop"}, {"application": "*", "deployment_group": "*", "pipeline": "hotfix"}]
    with scene("Server", settings={"LASTGOOD_PIPELINES": json.dumps(rules), **FOLLOW}) as it:
        it.sim.server_group("shop", "jobs")
        it.sim.pipeline("shop", "shop", "prod", beside=(("shop", "jobs"),))
        it.sim.pipeline("hotfix", "shop", "prod", beside=(("shop", "jobs"),))
        for pipeline, commit, number, rest in (("shop", "a1" * 20, 1, 7200), ("hotfix", "b2" * 20, 2, 600)):
            it.sim.push(pipeline, commit, f"v{number}.zip", settle=True)
            it.sim.settle()
            it.sim.advance(rest)
        it.alarm_fires()
        every(it)
        head = heads(it)["prod"]
        assert (head["suspect_commit"], head["good_commit"]) == ("b2" * 20, "a1" * 20), head["pipeline_problem"]
        assert head["pipeline"] == "hotfix"
        live = [it.sim.live("shop", group).target.split("|")[1] for group in ("prod", "jobs")]
        assert live == ["v1.zip", "v1.zip"]
