"""Services that ECS itself deploys: the same story, the same record, the same guards, a second deployer."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from botocore import xform_name

from lastgood.deployers.ecs import EcsService
from lastgood.errors import RetryableError
from lastgood.model import Deployment, Rollback
from scene import ALARM, ServiceScene, service_scene

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
ALARMED = {"alarms": {"alarmNames": [ALARM], "enable": True, "rollback": True}}
GROUP = {"ecs_service": "main/web", "requested_by": "me", "reason": "a test"}
WRITES = ("StopServiceDeployment", "UpdateService", "RegisterTaskDefinition")


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits between its own attempts; nobody has to wait for that here."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


def arn(number: int) -> str:
    return f"arn:aws:ecs:us-east-1:123456789012:task-definition/web:{number}"


def bad_release(it: ServiceScene, *, rest: float = 600) -> list[str]:
    """`web:2` succeeded and was left in peace; `web:3` succeeded and is bad. Returns both ids."""
    good = it.release(2, settle=True)
    return [good, it.release(3, settle=True, rest=rest)]


def under_way(it: ServiceScene, seconds: float = 25) -> list[str]:
    """`web:2` succeeded; `web:3` is being deployed, so many seconds already. Returns both ids."""
    good = it.release(2, settle=True)
    suspect = it.release(3)
    it.sim.advance(seconds)
    return [good, suspect]


def ended(it: ServiceScene, outcome: str, reason: str, *, updates: int = 0, stops: int = 0) -> dict[str, Any]:
    """It is closed so, after so many calls, and the service is free."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert len(it.calls("UpdateService")) == updates
    assert len(it.calls("StopServiceDeployment")) == stops
    assert it.lock() == ""
    return head


def until_heard(it: ServiceScene, message: dict[str, Any]) -> None:
    """AWS delivers a message again, a minute later, while the invocation fails."""
    for _ in range(3):
        try:
            it.deliver(message)
            return
        except RetryableError:
            it.sim.advance(60)
    raise AssertionError("three deliveries failed")


# --- after it succeeded ---


def test_a_release_that_succeeded_is_answered_by_updating_the_service_to_the_last_good_task_definition() -> None:
    with service_scene() as it:
        good, suspect = bad_release(it)
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (suspect, good)
        assert (head["suspect_revision"], head["good_revision"]) == (arn(3), arn(2))
        assert (head["controller"], head["compute_platform"], head["adopted"]) == ("ECS", "ECS", False)
        assert head["deployment_group_key"] == "ecs:main/web"
        assert it.status(head["rollback_deployment_id"]) == "SUCCESSFUL"
        assert it.is_live(2)


def test_nothing_of_the_service_but_its_task_definition_is_changed() -> None:
    with service_scene() as it:
        bad_release(it)
        it.alarm_fires()
        assert it.calls("UpdateService") == [{"cluster": "main", "service": "web", "taskDefinition": arn(2)}]


def test_the_number_before_is_not_the_revision_before() -> None:
    """`web:2` was registered and never deployed here: `web:1` is what goes back."""
    with service_scene() as it:
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(1)


def test_a_new_service_revision_of_the_same_task_definition_is_no_release() -> None:
    with service_scene() as it:
        bad_release(it, rest=60)
        again = it.release(3, settle=True, rest=60)
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(2)
        rejections = {c["deployment_id"]: c.get("rejection") for c in head["candidates"]}
        assert rejections[again] == "NOT_BEFORE_SUSPECT"


def test_an_inactive_task_definition_is_registered_again_unchanged() -> None:
    with service_scene() as it:
        bad_release(it)
        it.sim.engine.ecs_world.deregister("web:2", it.now())
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert head["redeployed_revision"] == arn(4)
        assert it.is_live(4)
        definitions = it.sim.engine.ecs_world
        assert definitions.task_definition("web:4").content == definitions.task_definition("web:2").content


def test_a_deleted_task_definition_is_passed_over_for_the_one_before() -> None:
    with service_scene() as it:
        bad_release(it)
        it.sim.engine.ecs_world.delete_task_definition("web:2")
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(1)


def test_what_ran_before_the_listed_history_goes_back_too() -> None:
    """ECS lists 90 days. The one release in them still says which revision it replaced."""
    with service_scene() as it:
        it.release(3, settle=True, rest=600)
        del it.owner.deployments[0]
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert head["good_deployment_id"].endswith("/revision")
        assert it.is_live(1)


# --- in flight ---


def test_a_release_under_way_is_stopped_and_ecs_own_rollback_is_adopted() -> None:
    with service_scene() as it:
        _, suspect = under_way(it)
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", stops=1)
        assert (head["adopted"], head["rollback_deployment_id"]) == (True, f"{suspect}/rollback")
        (stop,) = it.calls("StopServiceDeployment")
        assert stop["stopType"] == "ROLLBACK" and stop["serviceDeploymentArn"].endswith(f"/main/web/{suspect}")
        assert it.status(suspect) == "ROLLBACK_SUCCESSFUL"
        assert it.is_live(2)


def test_a_release_that_has_not_started_yet_is_stopped_too() -> None:
    with service_scene() as it:
        _, suspect = under_way(it, seconds=0.5)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", stops=1)
        assert it.status(suspect) == "ROLLBACK_SUCCESSFUL"
        assert it.is_live(2)


def test_a_circuit_breaker_that_is_rolling_back_already_is_adopted() -> None:
    with service_scene(**BREAKER) as it:
        it.release(2, settle=True)
        it.owner.bad.add(arn(3))
        suspect = it.release(3)
        it.sim.advance(65)
        assert it.status(suspect) == "ROLLBACK_IN_PROGRESS"
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED")
        assert head["adopted"] is True
        assert it.is_live(2)


def test_an_alarms_rollback_that_has_finished_already_is_adopted() -> None:
    with service_scene(**ALARMED) as it:
        _, suspect = under_way(it)
        it.local.alarm(ALARM)
        message = it.alarm_message()
        it.sim.settle()
        assert it.status(suspect) == "ROLLBACK_SUCCESSFUL"
        it.deliver(message)
        ended(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(2)


def test_a_release_that_ecs_stopped_half_way_without_a_rollback_is_put_right() -> None:
    with service_scene(deploymentCircuitBreaker={"enable": True, "rollback": False}) as it:
        it.release(2, settle=True)
        it.owner.bad.add(arn(3))
        suspect = it.release(3)
        it.sim.advance(90)
        assert it.status(suspect) == "STOPPED"
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(2)


def test_a_known_bad_revision_before_the_suspect_does_not_come_back_even_for_a_moment() -> None:
    """ECS's only stop would put it back. So the suspect is not stopped, but replaced by the update."""
    with service_scene() as it:
        good, suspect = under_way(it)
        it.deliver({"action": "mark_bad", **GROUP, "deployment_id": good})
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.status(suspect) == "STOPPED"
        assert it.is_live(1)


@pytest.mark.parametrize("how", ["setting", "request"])
def test_where_ecs_own_rollback_is_not_wanted_a_release_under_way_is_replaced(how: str) -> None:
    with service_scene(settings={"LASTGOOD_NATIVE_ROLLBACK": str(how != "setting").lower()}) as it:
        good, suspect = under_way(it)
        asked = {"to_deployment_id": good} if how == "request" else {}
        it.deliver({"action": "rollback", **GROUP, **asked})
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.status(suspect) == "STOPPED"
        assert it.is_live(2)


def test_a_replacement_whose_answer_is_lost_is_found_at_the_next_visit() -> None:
    with service_scene(settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}) as it:
        under_way(it)
        it.sim.timeout_without_effect("UpdateService")
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=2)
        assert it.is_live(2)


def test_a_rollback_of_ecs_to_a_known_bad_revision_is_waited_for_and_then_replaced() -> None:
    with service_scene(**BREAKER) as it:
        good = it.release(2, settle=True)
        it.deliver({"action": "mark_bad", **GROUP, "deployment_id": good})
        it.owner.bad.add(arn(3))
        it.release(3)
        it.sim.advance(65)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(1)


@pytest.mark.parametrize("policy", ["first-deployment", "always"])
def test_a_release_under_way_is_never_stopped_into_a_revision_below_the_floor(policy: str) -> None:
    with service_scene(settings={"LASTGOOD_STOP_WITHOUT_TARGET": policy}) as it:
        _, suspect = under_way(it)
        it.deliver({"action": "set_floor", **GROUP, "deployment_id": suspect})
        it.alarm_fires()
        ended(it, "BLOCKED", "BELOW_FLOOR")
        assert it.status(suspect) == "IN_PROGRESS"


def test_a_release_that_ends_at_the_moment_of_the_stop_is_updated_away() -> None:
    with service_scene() as it:
        _, suspect = under_way(it, seconds=25)
        it.sim.fail_call("StopServiceDeployment", "ConflictException", "It is about to end.")
        it.local.alarm(ALARM)
        message = it.alarm_message()
        with pytest.raises(RetryableError):
            it.deliver(message)
        it.sim.settle()
        assert it.status(suspect) == "SUCCESSFUL"
        it.deliver(message)
        ended(it, "ROLLED_BACK", "VERIFIED", stops=1, updates=1)
        assert it.is_live(2)


# --- answers that got lost, and answers that say no ---


@pytest.mark.parametrize("arrives", [True, False])
def test_a_stop_without_an_answer_is_looked_at_before_it_is_asked_again(arrives: bool) -> None:
    with service_scene() as it:
        under_way(it)
        lose = it.sim.effect_then_timeout if arrives else it.sim.timeout_without_effect
        lose("StopServiceDeployment", 5)
        it.local.alarm(ALARM)
        until_heard(it, it.alarm_message())
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED")
        assert it.is_live(2)
        assert len(it.calls("UpdateService")) <= 1


@pytest.mark.parametrize("arrives", [True, False])
def test_an_update_without_an_answer_is_looked_for_before_it_is_made_again(arrives: bool) -> None:
    with service_scene() as it:
        bad_release(it)
        lose = it.sim.effect_then_timeout if arrives else it.sim.timeout_without_effect
        lose("UpdateService")
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", updates=1 if arrives else 2)
        made = [i for i, status in it.sim.service_deployments("main", "web").items() if status == "SUCCESSFUL"]
        assert head["rollback_deployment_id"] == made[-1] and len(made) == 4
        assert it.is_live(2)


def test_an_old_deployment_of_the_same_task_definition_is_not_taken_for_ours() -> None:
    """Both releases lie within minutes of the update whose answer was lost: ours must be newer than the suspect."""
    with service_scene(settings={"LASTGOOD_PROVEN_AFTER": "30s"}) as it:
        it.release(2, settle=True, rest=60)
        it.release(3, settle=True, rest=100)
        it.sim.timeout_without_effect("UpdateService")
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=2)
        assert it.is_live(2)


def test_an_update_that_was_made_is_not_made_again_because_the_look_at_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[datetime] = []
    look = EcsService.created_by

    def throttled_once(self: EcsService, rollback: Rollback, now: datetime) -> Deployment | None:
        looks.append(now)
        if len(looks) == 1:
            raise RetryableError("ListServiceDeployments was throttled")
        return look(self, rollback, now)

    monkeypatch.setattr(EcsService, "created_by", throttled_once)
    with service_scene() as it:
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(2)


def test_a_throttled_update_is_tried_again_at_once() -> None:
    with service_scene() as it:
        bad_release(it)
        it.sim.throttle("UpdateService", 2)
        assert it.alarm_fires()["phase"] == "VERIFYING"
        ended(it, "ROLLED_BACK", "VERIFIED", updates=3)


@pytest.mark.parametrize("operation", ["StopServiceDeployment", "UpdateService"])
def test_a_missing_permission_is_told_and_ends_it(operation: str) -> None:
    with service_scene() as it:
        under_way(it) if operation == "StopServiceDeployment" else bad_release(it)
        it.sim.fail_call(operation, "AccessDeniedException", "not authorized to perform it")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"], head["needs_human"]) == ("FAILED", "PERMISSION_DENIED", True)
        assert xform_name(operation) in head["explanation"]


def test_a_history_that_may_not_be_read_is_told_and_nothing_is_touched() -> None:
    with service_scene() as it:
        bad_release(it)
        it.sim.fail_call("ListServiceDeployments", "AccessDeniedException", "not authorized to perform it", 9)
        it.alarm_fires()
        ended(it, "FAILED", "PERMISSION_DENIED")


def test_a_stop_that_comes_just_too_late_takes_the_deployment_for_what_it_is() -> None:
    """No document says which error a deployment gives that has ended: it is looked at."""
    with service_scene() as it:
        under_way(it)
        stop = EcsService.stop

        def too_late(self: EcsService, deployment: Deployment, *, native: bool) -> str:
            it.sim.settle()
            return stop(self, deployment, native=native)

        with patch.object(EcsService, "stop", too_late):
            it.alarm_fires()
        assert any("AlreadyCompleted" in step["explanation"] for step in it.steps)
        ended(it, "ROLLED_BACK", "VERIFIED", stops=1, updates=1)
        assert it.is_live(2)


def test_an_update_that_ecs_refuses_ends_it_with_what_ecs_says() -> None:
    with service_scene() as it:
        bad_release(it)
        it.sim.fail_call("UpdateService", "InvalidParameterException", "no container instances")
        it.alarm_fires()
        head = ended(it, "FAILED", "REDEPLOY_REFUSED", updates=1)
        assert "no container instances" in head["explanation"]


def test_an_update_whose_tasks_do_not_start_fails_loudly_and_is_not_tried_again() -> None:
    """The circuit breaker goes back to the last completed deployment: the bad one. People must hear of it."""
    with service_scene(**BREAKER) as it:
        bad_release(it)
        it.owner.bad.add(arn(2))
        it.alarm_fires()
        head = ended(it, "FAILED", "ROLLBACK_DEPLOYMENT_FAILED", updates=1)
        assert head["needs_human"] is True
        assert "web:3 back" in head["explanation"]


def test_a_services_own_alarm_that_is_firing_already_does_not_stop_the_update() -> None:
    """ECS ignores an alarm that is in ALARM when a deployment begins; CodeDeploy would stop it at once."""
    with service_scene(**ALARMED) as it:
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(2)


# --- guards ---


def test_a_dry_run_writes_nothing() -> None:
    with service_scene() as it:
        good, suspect = under_way(it)
        result = it.deliver({"action": "rollback", **GROUP, "dry_run": True})
        assert result["outcome"] == "DRY_RUN"
        assert (result["suspect_deployment_id"], result["good_deployment_id"]) == (suspect, good)
        assert "it is stopped, ECS puts the revision before it back by itself" in result["explanation"]
        assert not [operation for operation in WRITES if it.calls(operation)]


@pytest.mark.parametrize("tagged", [2, 3])
def test_a_floor_may_be_a_tag_of_the_task_definition(tagged: int) -> None:
    """`web:3` brought the database change: `web:2` lies below. `web:2` brought it: it may go back, `web:1` may not."""
    with service_scene() as it:
        bad_release(it)
        it.sim.engine.ecs_world.task_definition(f"web:{tagged}").tags.append({"key": "lastgood:floor", "value": ""})
        it.alarm_fires()
        if tagged == 3:
            ended(it, "BLOCKED", "BELOW_FLOOR")
        else:
            ended(it, "ROLLED_BACK", "VERIFIED", updates=1)


def test_a_task_definition_may_ask_for_approval_by_its_tag() -> None:
    with service_scene() as it:
        bad_release(it)
        tag = {"key": "lastgood:needs-approval", "value": "yes"}
        it.sim.engine.ecs_world.task_definition("web:3").tags.append(tag)
        assert it.alarm_fires()["phase"] == "AWAITING_APPROVAL"


def test_a_floor_that_an_operator_sets_holds() -> None:
    with service_scene() as it:
        _, suspect = bad_release(it)
        it.deliver({"action": "set_floor", **GROUP, "deployment_id": suspect})
        it.alarm_fires()
        ended(it, "BLOCKED", "BELOW_FLOOR")


def test_approve_mode_waits_and_checks_again() -> None:
    with service_scene(settings={"LASTGOOD_MODE": "approve"}) as it:
        bad_release(it)
        assert it.alarm_fires()["phase"] == "AWAITING_APPROVAL"
        assert not it.calls("UpdateService")
        it.deliver({"action": "approve", "rollback_id": it.rollback_id, "requested_by": "me"})
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)


def test_a_deployment_newer_than_the_alarm_is_left_alone() -> None:
    with service_scene() as it:
        bad_release(it)
        it.local.alarm(ALARM)
        message = it.alarm_message()
        it.sim.advance(5)
        it.sim.release_service("main", "web", it.sim.register_task_definition("web"))
        it.deliver(message)
        ended(it, "SKIPPED", "NEWER_DEPLOYMENT")


def test_an_alarm_after_our_own_rollback_does_not_go_back_further() -> None:
    """ECS keeps no marker: that the newest deployment is lastgood's own stands in the ledger."""
    with service_scene(settings={"LASTGOOD_COOLDOWN": "1m"}) as it:
        bad_release(it)
        it.sim.engine.ecs_world.deregister("web:2", it.now())
        it.alarm_fires()
        first = ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        it.sim.advance(600)
        it.alarm_fires()
        head = ended(it, "SKIPPED", "SUSPECT_IS_ROLLBACK", updates=1)
        assert first["rollback_id"] in head["explanation"]


def test_a_second_alarm_within_the_cooldown_rolls_nothing_back() -> None:
    with service_scene() as it:
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        it.sim.advance(300)
        it.sim.release_service("main", "web", it.sim.register_task_definition("web"), settle=True)
        it.sim.advance(60)
        it.alarm_fires()
        ended(it, "SKIPPED", "COOLDOWN", updates=1)


def test_a_known_bad_revision_is_never_chosen() -> None:
    with service_scene() as it:
        good, _ = bad_release(it)
        it.deliver({"action": "mark_bad", **GROUP, "deployment_id": good})
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(1)


def test_a_revision_that_was_rolled_away_from_is_blamed_again_when_it_comes_back() -> None:
    with service_scene(settings={"LASTGOOD_COOLDOWN": "1m"}) as it:
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        it.sim.advance(7200)
        it.local.alarm(ALARM, "OK")
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=2)
        assert it.is_live(2)


def test_a_service_that_does_not_exist_is_told() -> None:
    with service_scene() as it:
        it.alarm_fires(tags={"lastgood:ecs-service": "main/gone"})
        head = ended(it, "FAILED", "GROUP_NOT_FOUND")
        assert "ECS has no service main/gone" in head["explanation"]


def test_a_cluster_that_does_not_exist_is_told() -> None:
    with service_scene() as it:
        it.alarm_fires(tags={"lastgood:ecs-service": "gone/web"})
        ended(it, "FAILED", "GROUP_NOT_FOUND")


def test_a_service_that_codedeploy_deploys_is_not_touched() -> None:
    with service_scene() as it:
        it.sim.ecs_group("shop", "prod", "main", "by-codedeploy", "other")
        it.alarm_fires(tags={"lastgood:ecs-service": "main/by-codedeploy"})
        ended(it, "FAILED", "GROUP_NOT_FOUND")


def test_a_service_outside_the_allow_list_is_not_touched() -> None:
    with service_scene(settings={"LASTGOOD_ALLOWED_GROUPS": "main/*"}) as it:
        bad_release(it)
        assert it.alarm_fires()["reason"] == "NOT_ALLOWED"
        assert not it.calls("UpdateService")


# --- ways in ---


def test_a_route_leads_to_a_service() -> None:
    with service_scene(settings={"LASTGOOD_ROUTES": '[{"alarm": "shop-*", "ecs_service": "main/web"}]'}) as it:
        bad_release(it)
        it.alarm_fires(tags={})
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)


def test_an_operator_may_name_the_service_and_the_deployment_to_go_back_to() -> None:
    with service_scene() as it:
        first = it.owner.deployments[0].id
        bad_release(it)
        wanted = f"arn:aws:ecs:us-east-1:123456789012:service-deployment/main/web/{first}"
        it.deliver({"action": "rollback", **GROUP, "to_deployment_id": wanted})
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(1)


def test_ecs_events_alone_carry_a_rollback_to_its_end() -> None:
    with service_scene() as it:
        under_way(it)
        it.connect_events()
        it.alarm_fires()
        it.sim.settle()
        assert it.head["outcome"] == "ROLLED_BACK"


def test_a_sweep_finishes_what_lost_events_did_not() -> None:
    with service_scene() as it:
        bad_release(it)
        it.connect_events()
        it.sim.lose_events(100)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)


def test_a_service_and_a_deployment_group_roll_back_side_by_side() -> None:
    with service_scene() as it:
        bad_release(it)
        it.sim.server_group("main", "web")
        for bundle in ("v1.zip", "v2.zip"):
            it.sim.release("main", "web", bundle, settle=True)
            it.sim.advance(600)
        tags = {**it.tags, "lastgood:application": "main", "lastgood:deployment-group": "web"}
        it.local.alarm(ALARM, tags=tags)
        results = it.local.handle(it.alarm_message(tags=tags))
        assert len({r["rollback_id"] for r in results}) == 2
        for result in results:
            it.rollback_id = result["rollback_id"]
            assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)
        assert it.sim.live("main", "web").target.split("|")[1] == "v1.zip"


@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "shuffled"])
@pytest.mark.parametrize("length", [5, 250])
def test_the_last_good_revision_is_found_in_whatever_order_ecs_lists(order: str, length: int) -> None:
    with service_scene() as it:
        it.sim.engine.list_order = order
        for number in range(length):
            definition = arn(1 + number % 2)
            it.sim.engine.service_deployments.seed(it.owner, definition, it.now())
            it.sim.advance(600)
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        assert it.is_live(2)


def test_a_pile_of_failures_and_a_long_history_cost_no_more_calls() -> None:
    def calls(length: int, failures: int) -> dict[str, int]:
        with service_scene() as it:
            machine = it.sim.engine.service_deployments
            for number in range(length):
                machine.seed(it.owner, arn(1 + number % 2), it.now())
                it.sim.advance(600)
            it.release(2, settle=True)
            for _ in range(failures):
                machine.seed(it.owner, arn(3), it.now(), "STOPPED")
                it.sim.advance(1)
            it.sim.advance(7200)
            it.release(3, settle=True, rest=300)
            before = len(it.sim.arrivals)
            it.deliver({"action": "rollback", **GROUP, "dry_run": True})
            made = [a.operation for a in it.sim.arrivals[before:]]
            assert it.head["outcome"] == "DRY_RUN"
            return {operation: made.count(operation) for operation in made}

    assert calls(1500, 0) == calls(100, 0)
    # One to see that the service is there at all, two of the survey.
    assert calls(100, 300)["ListServiceDeployments"] == 3


# --- what is noticed of a release ---


def records(it: ServiceScene, reason: str) -> list[dict[str, Any]]:
    """The records with this reason."""
    return [item for item in it.local.items() if item.get("reason_code") == reason and item["sk"] == "META"]


def alarm_fires_already(it: ServiceScene) -> None:
    """The service's alarm went off hours ago; its message is long forgotten."""
    it.local.alarm(ALARM)
    it.sim.advance(3 * 3600)


def test_people_are_told_at_once_when_a_known_bad_revision_is_released_again() -> None:
    with service_scene() as it:
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        it.connect_events()
        it.sim.advance(60)
        again = it.release(3)
        it.sim.advance(2)
        (head,) = records(it, "KNOWN_BAD_RELEASED")
        assert (head["suspect_deployment_id"], head["deployment_group_key"]) == (again, "ecs:main/web")


def test_a_release_that_meets_a_firing_alarm_is_told_and_rolled_back_after_the_grace_where_that_is_set() -> None:
    with service_scene(settings={"LASTGOOD_RELEASE_IN_ALARM": "rollback"}) as it:
        it.release(2, settle=True)
        alarm_fires_already(it)
        it.connect_events()
        released = it.release(3, settle=True, rest=60)
        (told,) = records(it, "RELEASED_IN_ALARM")
        assert told["suspect_deployment_id"] == released
        for _ in range(60):
            it.sim.advance(60)
            it.sweep()
        # The alarm began to fire under the second revision: the first one served quietly.
        assert it.is_live(1)
        assert len(it.calls("UpdateService")) == 1


def test_lastgoods_own_update_is_not_told_as_a_release_that_meets_a_firing_alarm() -> None:
    with service_scene() as it:
        bad_release(it)
        it.local.alarm(ALARM)
        alarm_fires_already(it)
        it.deliver({"action": "rollback", **GROUP})
        ended(it, "ROLLED_BACK", "VERIFIED", updates=1)
        for each in it.sim.read_events():
            it.local.handle(each)
        assert not records(it, "RELEASED_IN_ALARM")
