"""Services that ECS deploys in stages: lifecycle hooks that pause, bake time, early success, other ways to stop."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from lastgood.errors import RetryableError
from scene import ALARM, ServiceScene, service_scene

BEFORE, AFTER = "PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"
DENIED = ("AccessDeniedException", "not authorized to perform: ecs:ContinueServiceDeployment")


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


def pauses(stage: str, **timeout: Any) -> dict[str, Any]:
    """A blue/green service with a hook that pauses each deployment at a stage."""
    hook = {"targetType": "PAUSE", "lifecycleStages": [stage]} | ({"timeoutConfiguration": timeout} if timeout else {})
    return {"strategy": "BLUE_GREEN", "lifecycleHooks": [hook]}


def paused_release(it: ServiceScene, number: int = 2) -> str:
    """`web:2` is on its way, and waits at its hook since minutes. (The scene's service was created with `web:1`.)"""
    made = it.release(number)
    it.sim.advance(180)
    return made


def serves(it: ServiceScene, number: int) -> bool:
    """Whether all traffic goes to `web:n`, by the simulator's own account."""
    return it.live.endswith(f":{number}")


def answers(it: ServiceScene) -> list[str]:
    """What lifecycle hooks were answered, one by one."""
    return [call["action"] for call in it.calls("ContinueServiceDeployment")]


# --- a release that a hook pauses ---


@pytest.mark.parametrize("stage", [BEFORE, AFTER])
def test_a_release_that_a_hook_pauses_is_answered_with_rollback(stage: str) -> None:
    """Before the shift nobody meets it yet; after it everybody does. The default answer would release it."""
    with service_scene(**pauses(stage)) as it:
        suspect = paused_release(it)
        assert serves(it, 1) is (stage == BEFORE)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert (it.status(suspect), serves(it, 1)) == ("ROLLBACK_SUCCESSFUL", True)
        assert (answers(it), it.calls("StopServiceDeployment")) == (["ROLLBACK"], [])
        told = next(step["explanation"] for step in it.steps if step["kind"] == "intent")
        assert "paused at a lifecycle hook until" in told and "when ECS takes ROLLBACK" in told


def test_a_hook_whose_timeout_would_continue_is_answered_before_it_ends() -> None:
    with service_scene(**pauses(BEFORE, timeoutInMinutes=30, action="CONTINUE")) as it:
        paused_release(it)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        it.sim.advance(3600)
        assert serves(it, 1) and answers(it) == ["ROLLBACK"]


def test_a_hook_that_somebody_answers_a_moment_before_is_no_obstacle_to_the_stop() -> None:
    with service_scene(**pauses(BEFORE), bakeTimeInMinutes=60) as it:
        suspect = paused_release(it)

        def approved() -> None:
            deployment = it.owner.deployments[-1]
            it.sim.engine.service_deployments.stages.answer(deployment, deployment.hooks[-1].id, "CONTINUE")

        it.sim.meanwhile("ContinueServiceDeployment", approved)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert (it.status(suspect), serves(it, 1)) == ("ROLLBACK_SUCCESSFUL", True)
        assert len(it.calls("StopServiceDeployment")) == 1


def test_a_release_that_comes_to_its_hook_a_moment_before_the_stop_is_answered_there() -> None:
    """Seen as running, paused by the time of the stop: a stop that ECS refuses then leads to the hook."""
    with service_scene(**pauses(BEFORE)) as it:
        it.sim.engine.service_deployments.stop_refused_while_paused = True
        it.release(2)
        it.sim.advance(15)
        assert it.owner.deployments[-1].hooks == []
        it.sim.meanwhile("StopServiceDeployment", lambda: it.sim.advance(10))
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert serves(it, 1) and answers(it) == ["ROLLBACK"]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_lost_answer_to_the_hook_is_cleared_up_by_a_look(arrives: bool) -> None:
    with service_scene(**pauses(BEFORE)) as it:
        paused_release(it)
        lost = it.sim.effect_then_timeout if arrives else it.sim.timeout_without_effect
        lost("ContinueServiceDeployment", 5)
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        with suppress(RetryableError):
            it.deliver(message)
        it.sim.advance(60)
        it.deliver(message)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert serves(it, 1) and set(answers(it)) == {"ROLLBACK"}


@pytest.mark.parametrize("taken", [True, False])
def test_where_the_hook_may_not_be_answered_the_stop_is_tried(taken: bool) -> None:
    """A stack from before there were such hooks lacks the permission; ECS may take the stop all the same."""
    with service_scene(**pauses(BEFORE)) as it:
        it.sim.engine.service_deployments.stop_refused_while_paused = not taken
        paused_release(it)
        it.sim.fail_call("ContinueServiceDeployment", *DENIED, count=9)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == ("ROLLED_BACK" if taken else "FAILED")
        assert taken or (head["reason_code"] == "PERMISSION_DENIED" and "ContinueService" in head["explanation"])


def test_an_event_of_a_hook_takes_the_open_rollback_up() -> None:
    with service_scene(**pauses(BEFORE)) as it:
        events: list[dict[str, Any]] = []
        it.sim.listen(events.append)
        paused_release(it)
        it.alarm_fires()
        (hook,) = [each for each in events if each["detail-type"] == "ECS Hook State Change"]
        assert it.deliver(hook)["rollback_id"] == it.rollback_id
        it.connect_events()
        it.sim.advance(120)
        it.sweep()
        assert it.head["outcome"] == "ROLLED_BACK"


# --- bake time, early success, other stops ---


def test_a_release_in_its_bake_time_is_still_active_and_is_flipped_back() -> None:
    """All traffic is on it already, and the old tasks still stand: a stop with rollback takes seconds."""
    with service_scene(strategy="BLUE_GREEN", bakeTimeInMinutes=60) as it:
        suspect = it.release(2)
        it.sim.advance(600)
        assert serves(it, 2)
        it.alarm_fires()
        it.sim.advance(5)
        assert it.sim.bad_share("main", "web") == 0 or serves(it, 1)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert (it.status(suspect), serves(it, 1)) == ("ROLLBACK_SUCCESSFUL", True)
        assert it.calls("UpdateService") == []
