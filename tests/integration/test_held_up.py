"""What holds a rollback up: refusals that pass by themselves, final ones, and a stop that hangs."""

from __future__ import annotations

from typing import Any

import pytest

from scene import Scene, scene

REGISTERING = "Too many concurrent attempts to create a new revision of the specified family."
UPDATING = "The operation cannot be performed at this time. An update is in progress for resource shop."


def kind_of(notice: dict[str, Any]) -> str:
    return str(notice["metadata"]["eventType"]).removeprefix("lastgood.")


def kinds(it: Scene) -> list[str]:
    """The kinds of notices since the last look."""
    return [kind_of(notice) for notice in it.local.notices()]


def notices(it: Scene, kind: str) -> list[dict[str, Any]]:
    """The notices of a kind since the last look."""
    return [notice for notice in it.local.notices() if kind_of(notice) == kind]


def attempts(it: Scene, operation: str) -> list[str]:
    """The steps of the story that name an act: intents and results."""
    return [s["explanation"] for s in it.steps if s.get("step_name") == operation]


def split_alias(it: Scene) -> None:
    """A release was stopped half way: the alias sends traffic to two versions."""
    it.good_history(1, 2)
    bad = it.release(3)
    it.sim.advance(60)
    it.sim.engine.stop_deployment(it.sim.engine.deployment(bad), False)
    it.sim.settle()


def inactive_definition(it: Scene) -> None:
    """What has to go back was deregistered."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=60)
    it.sim.engine.ecs_world.task_definition("web:2").status = "INACTIVE"


# --- refusals that pass -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 3, 9])
def test_an_alias_that_is_being_updated_is_tried_again_until_the_update_is_over(times: int) -> None:
    with scene("Lambda", versions=4, current=4) as it:
        split_alias(it)
        it.sim.fail_call("UpdateAlias", "ResourceConflictException", UPDATING, count=times, status=409)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.sim.live("shop", "prod").shares == {"2": 1.0}
        assert len(it.calls("UpdateAlias")) == times + 1
        assert len(attempts(it, "CLEAR_ALIAS")) == 3  # the intent, the refusal, the end


@pytest.mark.parametrize("times", [1, 9])
def test_a_definition_that_others_register_too_is_registered_when_they_are_done(times: int) -> None:
    with scene("ECS") as it:
        inactive_definition(it)
        it.sim.fail_call("RegisterTaskDefinition", "ClientException", REGISTERING, count=times)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK"
        assert it.live == head["redeployed_revision"]


def test_the_same_code_with_another_message_is_final() -> None:
    with scene("ECS") as it:
        inactive_definition(it)
        it.sim.fail_call("RegisterTaskDefinition", "ClientException", "TaskDefinition is inactive")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "REDEPLOY_REFUSED")
        assert "TaskDefinition is inactive" in head["explanation"]
        assert len(it.calls("RegisterTaskDefinition")) == 1


def test_a_refusal_that_lasts_is_told_once_and_its_end_too() -> None:
    with scene("ECS") as it:
        inactive_definition(it)
        it.sim.fail_call("RegisterTaskDefinition", "ClientException", REGISTERING, count=40)
        it.alarm_fires()
        for _ in range(2):
            it.sim.advance(60)
            it.sweep()
        assert not notices(it, "held_up")
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        told = it.local.notices()
        assert [kind_of(n) for n in told] == ["held_up", "goes_on", "closed"]
        assert REGISTERING in told[0]["content"]["description"]


def test_a_refusal_that_never_ends_runs_into_the_deadline_and_is_named_there() -> None:
    with scene("Lambda", versions=4, current=4, settings={"LASTGOOD_DEADLINE": "20m"}) as it:
        split_alias(it)
        it.sim.fail_call("UpdateAlias", "ResourceConflictException", UPDATING, count=500, status=409)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "DEADLINE_PASSED")
        assert "An update is in progress" in head["explanation"]
        assert len(notices(it, "held_up")) == 1
        assert len(it.steps) < 10


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS"])
def test_a_group_that_codedeploy_calls_busy_is_tried_again(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=60)
        it.sim.fail_call("CreateDeployment", "DeploymentLimitExceededException", "d-1 is active already", count=6)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)


# --- a stop that hangs ------------------------------------------------------------------------------------------------


def test_a_stop_that_waits_for_a_dead_agent_is_asked_for_once_and_told_with_the_instance() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        silent = it.sim.silent_instance("shop", "prod", 1, minutes=65)
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        for _ in range(8):
            it.sim.advance(60)
            it.sweep()
        assert not notices(it, "held_up")
        for _ in range(3):
            it.sim.advance(60)
            it.sweep()
        (told,) = notices(it, "held_up")
        assert silent in told["content"]["description"]
        others = set(it.sim.engine.group("shop", "prod").instances) - {silent}
        assert not [each for each in others if each in told["content"]["description"]]
        for _ in range(20):
            it.sim.advance(60)
            it.sweep()
        assert not it.local.notices()
        it.sim.answering_instance("shop", "prod", silent)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert len(it.calls("StopDeployment")) == 1
        assert kinds(it) == ["goes_on", "closed"]


def test_a_rollback_goes_on_as_soon_as_the_instance_is_gone() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        silent = it.sim.silent_instance("shop", "prod", 0)
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        for _ in range(12):
            it.sim.advance(60)
            it.sweep()
        it.sim.terminate_instance("shop", "prod", silent)
        assert it.run_to_end(minutes=10)["outcome"] == "ROLLED_BACK"
        assert len(it.calls("StopDeployment")) == 1


def test_a_hanging_stop_is_told_though_the_instances_may_not_be_read() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        silent = it.sim.silent_instance("shop", "prod", 0)
        it.release(3)
        it.sim.advance(60)
        it.sim.fail_call("ListDeploymentTargets", "AccessDeniedException", "no", count=99)
        it.alarm_fires()
        for _ in range(12):
            it.sim.advance(60)
            it.sweep()
        (told,) = notices(it, "held_up")
        it.sim.answering_instance("shop", "prod", silent)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert "hangs" in told["content"]["description"]


def test_a_stop_that_hangs_until_the_deadline_fails_with_what_is_in_the_way() -> None:
    with scene("Server", settings={"LASTGOOD_DEADLINE": "30m"}) as it:
        it.good_history(1, 2)
        silent = it.sim.silent_instance("shop", "prod", 0)
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "DEADLINE_PASSED")
        assert silent in head["explanation"]
        (stop,) = it.sim.calls("StopDeployment")
        assert f"CodeDeploy took it at {stop.at:%H:%M:%S}Z and it is still InProgress" in head["explanation"]
