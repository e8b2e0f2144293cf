"""Services that ECS deploys in stages: lifecycle hooks that pause, bake time, early success, other ways to stop."""

from __future__ import annotations

import ast
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from lastgood.errors import RetryableError
from scene import ALARM, ServiceScene, scene, service_scene
from template_stack import SHIPPED

BEFORE, AFTER = "PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"
ANSWER = "continue_service_deployment"
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


def test_no_answer_to_a_hook_is_sent_without_its_action() -> None:
    """Without one ECS continues: whatever is written later, the one call says what it wants."""
    found = [
        {keyword.arg for keyword in node.keywords}
        for path in SHIPPED.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and any(isinstance(a, ast.Constant) and a.value == ANSWER for a in node.args)
    ]
    assert len(found) == 1 and "action" in found[0]


# --- bake time, early success, other stops ---


def test_a_release_in_its_bake_time_is_still_active_and_is_flipped_back() -> None:
    """All traffic is on it already, and the old tasks still stand: a stop with rollback takes seconds."""
    with service_scene(strategy="BLUE_GREEN", bakeTimeInMinutes=60) as it:
        suspect = it.release(2)
        it.sim.advance(600)
        assert serves(it, 2)
        it.alarm_fires()
        it.sim.advance(5)
        assert serves(it, 1)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert (it.status(suspect), serves(it, 1)) == ("ROLLBACK_SUCCESSFUL", True)
        assert it.calls("UpdateService") == []


# --- the rollback's own deployment waits ---


def released_past_its_hook(it: ServiceScene) -> None:
    """`web:2` waited at the hook, somebody let it go on, and it has succeeded: only an update puts `web:1` back."""
    paused_release(it)
    it.sim.engine.service_deployments.stages.answer(
        it.owner.deployments[-1], it.owner.deployments[-1].hooks[-1].id, "CONTINUE"
    )
    it.sim.advance(600)
    assert serves(it, 2)


def test_a_rollback_that_the_services_own_hook_pauses_is_told_at_once_with_the_command() -> None:
    with service_scene(**pauses(BEFORE)) as it:
        released_past_its_hook(it)
        it.alarm_fires()
        it.sim.advance(120)
        it.sweep()
        waiting = it.owner.deployments[-1]
        assert waiting.hooks[-1].status == "AWAITING_ACTION" and serves(it, 2)
        command = "aws ecs continue-service-deployment --action CONTINUE --hook-id " + waiting.hooks[-1].id
        (told,) = [notice for notice in it.local.notices() if command in str(notice)]
        assert "the good revision is not back yet" in str(told)
        assert answers(it) == []


def test_a_hook_may_wait_longer_than_a_rollback_may_take() -> None:
    """Ten hours later somebody lets it go on; a deadline of two hours is no reason to give it up."""
    with service_scene(**pauses(BEFORE)) as it:
        released_past_its_hook(it)
        it.alarm_fires()
        for _ in range(10):
            it.sim.advance(3600)
            it.sweep()
        assert it.head.get("outcome") is None
        waiting = it.owner.deployments[-1]
        it.sim.engine.service_deployments.stages.answer(waiting, waiting.hooks[-1].id, "CONTINUE")
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"], serves(it, 1)) == ("ROLLED_BACK", "VERIFIED", True)


def test_a_rollback_that_nobody_lets_go_on_fails_when_the_hook_is_over() -> None:
    with service_scene(**pauses(BEFORE, timeoutInMinutes=600)) as it:
        released_past_its_hook(it)
        it.alarm_fires()
        it.sim.advance(9.9 * 3600)
        it.sweep()
        assert it.head.get("outcome") is None
        head = it.run_to_end(minutes=20)
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "ROLLBACK_DEPLOYMENT_FAILED")
        assert head["needs_human"] is True and serves(it, 2)


def test_where_the_setting_says_so_a_rollback_is_told_to_go_on() -> None:
    with service_scene(settings={"LASTGOOD_ROLLBACK_PAUSES": "continue"}, **pauses(BEFORE)) as it:
        released_past_its_hook(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"], serves(it, 1)) == ("ROLLED_BACK", "VERIFIED", True)
        assert answers(it) == ["CONTINUE"]
        assert [s["kind"] for s in it.steps if s["step_name"] == "LET_GO_ON"] == ["intent", "result"]


def test_an_operators_pause_also_holds_back_the_answer_to_the_hook() -> None:
    with service_scene(settings={"LASTGOOD_ROLLBACK_PAUSES": "continue"}, **pauses(BEFORE)) as it:
        released_past_its_hook(it)
        it.alarm_fires()
        by = {"ecs_service": "main/web", "requested_by": "me", "reason": "wait"}
        it.local.handle({"action": "pause", **by})
        it.sim.advance(120)
        it.sweep()
        assert answers(it) == [] and serves(it, 2)
        it.local.handle({"action": "resume", **by})
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


def test_a_word_that_may_not_be_given_is_told() -> None:
    with service_scene(settings={"LASTGOOD_ROLLBACK_PAUSES": "continue"}, **pauses(BEFORE)) as it:
        released_past_its_hook(it)
        it.sim.fail_call("ContinueServiceDeployment", *DENIED, count=99)
        it.alarm_fires()
        for _ in range(8):
            it.sim.advance(60)
            it.sweep()
        assert any("not authorized to perform: ecs:ContinueServiceDeployment" in str(n) for n in it.local.notices())


READY = {
    "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
    "blueGreenDeploymentConfiguration": {
        "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60}
    },
}


@pytest.mark.parametrize("setting", ["tell", "continue"])
def test_a_rollback_that_codedeploy_holds_ready_is_told_or_let_go_on(setting: str) -> None:
    with scene("ECS", settings={"LASTGOOD_ROLLBACK_PAUSES": setting}, **READY) as it:
        for number in (2, 3):
            made = it.release(number)
            it.sim.advance(300)
            it.sim.engine.continue_deployment(it.sim.engine.deployment(made))
            it.sim.settle()
            it.sim.advance(1800)
        assert it.is_live(3)
        it.alarm_fires()
        it.sim.advance(120)
        it.sweep()
        command = "aws deploy continue-deployment --deployment-wait-type READY_WAIT --deployment-id "
        made = it.head["rollback_deployment_id"]
        assert any(command + made in str(notice) for notice in it.local.notices()) is (setting == "tell")
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == (
            ("ROLLED_BACK", True) if setting == "continue" else ("FAILED", False)
        )
        assert len(it.calls("ContinueDeployment")) == (setting == "continue")


# --- early success, other ways to end, Express Mode, what a service is made of ---


def test_early_success_is_no_proof_while_old_tasks_serve() -> None:
    """ECS calls a deployment successful with half of its tasks: the suspect's, and the rollback's too."""
    early = {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": "DEFERRED"}
    with service_scene(desired_count=6, earlySuccessCriteria=early) as it:
        it.release(2)
        it.sim.advance(70)
        assert it.owner.deployments[-1].status == "SUCCESSFUL" and len(it.owner.shares()) == 2
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"], serves(it, 1)) == ("ROLLED_BACK", "VERIFIED", True)


@pytest.mark.parametrize("rest", [0, 600])
def test_a_release_that_somebody_aborted_is_put_right(rest: float) -> None:
    """ABORT rolls nothing back: the tasks of both revisions stay as they were."""
    with service_scene(desired_count=4) as it:
        suspect = it.release(2)
        it.sim.advance(50)
        it.sim.engine.service_deployments.stop(it.owner.deployments[-1], "ABORT")
        assert it.status(suspect) == "STOPPED" and not serves(it, 1)
        it.sim.advance(rest)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK" and serves(it, 1)


def express(it: ServiceScene) -> None:
    """The service is one that ECS manages; of `web:4` and `web:5` the container has the name that ECS gives it."""
    it.owner.service.express = True
    for number in (4, 5):
        box = {"name": "Main", "image": f"repo/web:{number}"}
        it.sim.register_task_definition("web", containerDefinitions=[box])
    it.release(4, settle=True)


def test_an_express_mode_service_goes_back_by_its_own_operation() -> None:
    with service_scene() as it:
        express(it)
        it.release(5, settle=True, rest=600)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"], serves(it, 4)) == ("ROLLED_BACK", "VERIFIED", True)
        (asked,) = it.calls("UpdateExpressGatewayService")
        assert set(asked) == {"serviceArn", "taskDefinitionArn"} and it.calls("UpdateService") == []


def test_an_express_mode_service_that_is_being_deployed_is_stopped_like_others() -> None:
    with service_scene() as it:
        express(it)
        it.release(5)
        it.sim.advance(25)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK" and serves(it, 4)
        assert len(it.calls("StopServiceDeployment")) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"serviceConnectConfiguration": {"enabled": True, "namespace": "other"}},
        {"volumeConfigurations": [{"name": "data", "managedEBSVolume": {"roleArn": "arn:r", "sizeInGiB": 1}}]},
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-b"]}}},
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_release_of_another_part_of_the_service_is_a_release(changed: dict[str, Any]) -> None:
    """The task definition stays the same; ECS's own stop brings the whole service revision back."""
    with service_scene() as it:
        before = it.owner.serving()
        boto3.client("ecs").update_service(cluster="main", service="web", **changed)
        it.sim.advance(25)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.owner.serving() == before


def test_a_finished_release_of_the_services_settings_alone_is_not_answered_with_an_older_definition() -> None:
    """The older definition would run in the same wrong network, and be called verified."""
    with service_scene() as it:
        it.release(2, settle=True, rest=86_400)
        before = it.owner.serving()
        wrong = {"awsvpcConfiguration": {"subnets": ["subnet-b"]}}
        boto3.client("ecs").update_service(cluster="main", service="web", networkConfiguration=wrong)
        it.sim.settle()
        it.sim.advance(120)
        after = it.owner.serving()
        assert after != before
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "NO_GOOD_REVISION"), head["explanation"]
        assert "put them back by hand" in head["explanation"] and head["needs_human"] is True
        assert it.owner.serving() == after and it.calls("UpdateService")[1:] == []


def test_of_several_containers_each_ones_image_counts() -> None:
    """The sidecar's tag was moved and the definition deployed again: only its digest tells the two releases apart."""
    with service_scene() as it:
        boxes = [{"name": name, "image": f"repo/{name}:1"} for name in ("app", "sidecar")]
        it.sim.push_image("repo/sidecar:1", "good")
        made = it.sim.register_task_definition("web", containerDefinitions=boxes)
        it.sim.release_service("main", "web", made, settle=True)
        it.sim.advance(7200)
        before = it.owner.serving()
        it.sim.push_image("repo/sidecar:1", "bad")
        boto3.client("ecs").update_service(cluster="main", service="web", forceNewDeployment=True)
        it.sim.settle()
        it.sim.advance(600)
        assert it.owner.serving() != before
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        definition = it.sim.engine.ecs_world.task_definition(head["redeployed_revision"])
        running = {box["name"]: box["image"] for box in definition.content["containerDefinitions"]}
        assert "@sha256:" in running["sidecar"] and running["app"] == "repo/app:1"
