"""An alarm that leads to a stage which updates stacks: in which of their states it goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from integration.test_stacks import moves, released, sam_by_pipeline
from scene import ALARM, Scene

TAGS = {"lastgood:pipeline": "sam/Deploy"}


@contextmanager
def stage(settings: dict[str, str] | None = None, **pipeline: Any) -> Iterator[Scene]:
    """The stage updates the stack `app`; its newest execution released the bad version 3, after 4 was good."""
    with sam_by_pipeline(settings, **pipeline) as it:
        released(it)
        it.local.tags[ALARM] = TAGS
        yield it


def fires(it: Scene) -> dict[str, Any]:
    """The alarm that leads to the stage fires; the head of its rollback once that has ended."""
    it.alarm_fires(tags=TAGS)
    head = it.run_to_end()
    it.sim.settle()
    assert head["deployment_group_key"] == "pipeline:sam/Deploy"
    return head


def stays(it: Scene, head: dict[str, Any], *said: str) -> None:
    """Nothing was touched, and people are told why in these words."""
    assert head["outcome"] == "BLOCKED" and head["needs_human"], head["explanation"]
    assert not it.calls("RollbackStage") and it.is_live(3)
    for each in said:
        assert each in head["explanation"], head["explanation"]


def rolled_back(it: Scene, head: dict[str, Any], version: int = 4) -> None:
    assert head["outcome"] == "ROLLED_BACK", head["explanation"]
    assert it.is_live(version) and it.sim.stacks.stack("app").believes == str(version)
    assert len(it.calls("RollbackStage")) == 1


def test_a_stack_at_rest_goes_back_with_its_stage() -> None:
    with stage() as it:
        before = moves(it)
        rolled_back(it, fires(it))
        assert moves(it) == before


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name"),
        ("UPDATE_FAILED", "rollback-stack --stack-name"),
        ("ROLLBACK_COMPLETE", "nothing that puts the earlier release back"),
    ],
)
def test_a_stack_that_failed_is_not_deployed_to_by_its_stage_and_people_get_its_command(
    status: str, command: str
) -> None:
    with stage() as it:
        it.sim.stacks.stack("app").status = status
        stays(it, fires(it), "The stack app, which the stage updates, has failed", status, command)


def test_what_fails_after_the_choice_and_before_the_act_is_seen_too() -> None:
    with stage() as it:
        stack = it.sim.stacks.stack("app")
        failing = partial(setattr, stack, "status", "UPDATE_ROLLBACK_FAILED")
        it.sim.meanwhile("DescribeStacks", failing, after_effect=True)
        head = fires(it)
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "REDEPLOY_REFUSED"), head["explanation"]
        assert "continue-update-rollback" in head["explanation"] and not it.calls("RollbackStage")


def test_a_stack_that_moves_is_waited_for_and_people_hear_what_it_waits_for() -> None:
    with stage() as it:
        stack = it.sim.stacks.stack("app")
        stack.status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        it.alarm_fires(tags=TAGS)
        for _ in range(5):
            it.sim.advance(60)
            it.sweep()
        assert not it.head.get("outcome") and not it.calls("RollbackStage")
        told = [n for n in it.local.notices() if n["metadata"]["eventType"] == "lastgood.held_up"]
        assert told and "has to come to rest first" in json.dumps(told)
        stack.status = "UPDATE_COMPLETE"
        head = it.run_to_end()
        it.sim.settle()
        rolled_back(it, head)


def test_what_somebody_brought_to_the_stack_since_is_not_undone_by_the_stage() -> None:
    """A fix, or an urgent change that no pipeline knows: the stage's earlier template would take it away."""
    with stage() as it:
        it.sim.update_stack("app", 5, settle=True)
        it.sim.advance(120)
        it.alarm_fires(tags=TAGS)
        head = it.run_to_end()
        it.sim.settle()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "LIVE_DIFFERS"), head["explanation"]
        assert "what the update of the stack app brought" in head["explanation"]
        assert it.is_live(5) and not it.calls("RollbackStage")


def test_an_update_that_another_pipeline_makes_at_this_moment_may_be_the_fix() -> None:
    with stage() as it:
        it.sim.advance(300)
        it.sim.pipeline("hotfix", "shop", "prod", deploys_with="CloudFormation", stack="app")
        it.sim.push("hotfix", "5" * 40, 5, settle=True)
        it.alarm_fires(tags=TAGS)
        head = it.run_to_end()
        it.sim.settle()
        assert head["outcome"] == "BLOCKED" and it.is_live(5), head["explanation"]


@pytest.mark.parametrize("where", ["another region", "another account", "a name from an earlier action"])
def test_a_stack_elsewhere_is_not_asked_about_and_one_of_the_same_name_here_says_nothing(where: str) -> None:
    with stage() as it:
        it.sim.pipelines.pipeline("sam").elsewhere = where
        it.sim.stacks.stack("app").status = "UPDATE_COMPLETE"
        before = len(it.calls("DescribeStacks"))
        rolled_back(it, fires(it))
        assert len(it.calls("DescribeStacks")) == before


@pytest.mark.parametrize("settings", [{"LASTGOOD_FIND_STACKS": "false"}, {}], ids=["not asked", "denied"])
def test_where_cloudformation_is_not_asked_or_does_not_say_the_stage_goes_back(settings: dict[str, str]) -> None:
    with stage(settings) as it:
        it.sim.fail_call("DescribeStacks", "AccessDenied", "not authorized", count=50, status=403)
        rolled_back(it, fires(it))
        assert bool(it.calls("DescribeStacks")) is not bool(settings)


def test_a_throttled_answer_about_the_stack_is_asked_for_again_before_the_act() -> None:
    with stage() as it:
        it.sim.throttle("DescribeStacks", 3)
        rolled_back(it, fires(it))


# --- change sets ---


def test_a_change_set_that_the_stage_makes_and_executes_brings_the_earlier_template_back() -> None:
    with stage(change_sets="here") as it:
        rolled_back(it, fires(it))


def test_a_stage_that_only_executes_a_change_set_brings_nothing_back_so_people_are_called() -> None:
    with stage(change_sets="elsewhere") as it:
        stays(it, fires(it), "The action Deploy executes a change set that no action of Deploy has made")


def test_what_a_stack_holds_is_not_passed_on_in_vain_to_a_stage_that_only_executes() -> None:
    with sam_by_pipeline(change_sets="elsewhere") as it:
        released(it)
        it.alarm_fires()
        it.rollback_id = it.head["passed_on_id"]
        stays(it, it.run_to_end(), "Make the change set in the same stage")
        assert " deploy --stack-name app " in json.dumps(it.local.notices())
