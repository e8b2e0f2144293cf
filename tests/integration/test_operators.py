"""What operators ask for by hand: the example events, adapted to what there is, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lastgood.pipelines.runs import hold_reason
from scene import PLATFORMS, Scene, scene
from stage.local import EVENTS, event

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
MORE: dict[str, dict[str, Any]] = {
    "Server": {},
    "Lambda": {"versions": 4, "current": 4},
    "ECS": {"task_definitions": 4, "current": 4},
}
EXAMPLES = sorted(path.stem for path in Path(EVENTS).glob("manual-*.json"))
GROUP = {"application": "shop", "deployment_group": "prod"}
NOT_THERE = "d-ZZZZZZZZZ"


def bad_release(it: Scene, *, rest: float = 600) -> list[str]:
    """Two good releases, then one that succeeded and is bad: their ids."""
    return [*it.good_history(1, 2), it.release(3, settle=True, rest=rest)]


def request(name: str, **changes: Any) -> dict[str, Any]:
    """An example request, about what there is here."""
    return {**event(name), **changes}


def assert_closed(it: Scene, outcome: str, reason: str) -> None:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert it.lock() == ""


def controls(it: Scene, name: str) -> list[dict[str, Any]]:
    """What operators left in the table under this name."""
    return [item for item in it.local.items() if item["sk"].startswith(name)]


# --- the example events -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_taken_once_its_ids_are_filled_in(name: str) -> None:
    rule = {"application": "shop", "deployment_group": "prod", "pipeline": "shop", "hold": "Deploy"}
    with scene("Server", settings={"LASTGOOD_MODE": "approve", "LASTGOOD_PIPELINES": json.dumps([rule])}) as it:
        ids = bad_release(it)
        it.sim.rolling_service("production", "shop", "shop")
        it.sim.pipeline("shop", "shop", "prod")
        rollback_id = it.alarm_fires()["rollback_id"]
        it.sim.pipelines.set_transition("shop", "Deploy", enabled=False, by="us", reason=hold_reason(rollback_id))
        given = event(name)
        given |= {"rollback_id": rollback_id} if "rollback_id" in given else {}
        given |= {"deployment_id": ids[1]} if "deployment_id" in given else {}
        (answer,) = it.local.handle(given)
        assert "refused" not in answer, answer


@EVERYWHERE
def test_a_request_rolls_back_without_any_alarm_and_long_after_the_release(platform: str) -> None:
    with scene(platform) as it:
        _, good, bad = bad_release(it, rest=86400)
        it.deliver(event("manual-rollback"))
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(2)
        head = it.head
        assert (head["trigger_kind"], head["requested_by"]) == ("manual", "me")
        assert head["request_reason"] == "error rate after release"
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good)


@EVERYWHERE
def test_a_request_may_name_the_deployment_to_go_back_to(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        older, _, _ = bad_release(it)
        it.deliver(request("manual-rollback", to_deployment_id=older))
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(1)
        assert it.head["good_deployment_id"] == older


@EVERYWHERE
def test_a_request_that_names_a_deployment_stops_a_running_release_without_codedeploys_rollback(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        older, _ = it.good_history(1, 2)
        it.release(3)
        it.sim.advance(15)
        it.deliver(request("manual-rollback", to_deployment_id=older))
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        assert it.calls("StopDeployment")[0]["autoRollbackEnabled"] is False
        assert it.is_live(1)


def test_status_tells_the_rollback_and_its_steps() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        (answer,) = it.local.handle(request("manual-status", rollback_id=it.rollback_id))
        assert (answer["outcome"], answer["rollback_id"]) == ("ROLLED_BACK", it.rollback_id)
        assert [step["step_name"] for step in answer["steps"]] == [step["step_name"] for step in it.steps]
        assert all(step["explanation"] for step in answer["steps"])


def test_what_operators_set_is_kept_with_who_and_why() -> None:
    with scene("Server") as it:
        _, good, _ = bad_release(it)
        for name, item in (("pause", "PAUSE"), ("set-mode", "MODE"), ("set-floor", "FLOOR"), ("mark-bad", "BAD#")):
            given = event(f"manual-{name}")
            given |= {"deployment_id": good} if "deployment_id" in given else {}
            it.local.handle(given)
            (kept,) = controls(it, item)
            assert kept["pk"] == "GROUP#shop/prod"
            assert (kept["requested_by"], kept["explanation"]) == ("me", given["reason"])


def test_health_says_that_all_is_well() -> None:
    with scene("Server", settings={"LASTGOOD_COOLDWON": "1h"}) as it:
        (answer,) = it.local.handle(event("manual-health"))
        assert (answer["healthy"], answer["unknown_settings"]) == (True, ["LASTGOOD_COOLDWON"])


def test_the_sweep_by_hand_does_what_the_scheduled_one_does() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(60)
        assert it.local.handle(event("manual-sweep")) == [{"swept": 1, "failed": 0}]
        assert it.head["outcome"] == "ROLLED_BACK"
        assert it.local.handle(event("scheduled-sweep"))[0]["failed"] == 0


# --- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["manual-approve", "manual-reject", "manual-status"])
def test_a_rollback_that_is_not_there_is_refused(name: str) -> None:
    with scene("Server") as it:
        wanted = "rb-20261123T100412345Z-0123456789ab"
        (answer,) = it.local.handle(request(name, rollback_id=wanted))
        assert answer["refused"] == "unknown_rollback"
        assert wanted in answer["explanation"]


@pytest.mark.parametrize("name", ["manual-approve", "manual-reject"])
def test_a_rollback_that_does_not_wait_can_be_neither_approved_nor_rejected(name: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        (early,) = it.local.handle(request(name, rollback_id=it.rollback_id))
        assert early["refused"] == "not_waiting"
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        steps = it.steps
        (late,) = it.local.handle(request(name, rollback_id=it.rollback_id))
        assert late["refused"] == "not_waiting"
        assert it.steps == steps


@pytest.mark.parametrize("name", ["manual-set-floor", "manual-mark-bad", "manual-mark-good"])
def test_a_deployment_that_is_not_there_is_refused(name: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        (answer,) = it.local.handle(request(name, deployment_id=NOT_THERE))
        assert answer["refused"] == "unknown_deployment"
        assert controls(it, "FLOOR") + controls(it, "BAD#") == []


@pytest.mark.parametrize("name", ["manual-set-floor", "manual-mark-bad", "manual-mark-good"])
def test_a_deployment_of_another_group_is_refused(name: str) -> None:
    with scene("Server") as it:
        it.sim.server_group("shop", "staging")
        foreign = it.sim.release("shop", "staging", "v9.zip", settle=True)
        (answer,) = it.local.handle(request(name, deployment_id=foreign))
        assert answer["refused"] == "unknown_deployment"
        assert controls(it, "FLOOR") + controls(it, "BAD#") == []


@pytest.mark.parametrize("whose", ["nobody's", "another group's"])
@pytest.mark.parametrize("force", [False, True])
def test_going_back_to_a_deployment_that_is_not_this_groups_does_nothing(whose: str, force: bool) -> None:
    with scene("Server") as it:
        it.sim.server_group("shop", "staging")
        foreign = it.sim.release("shop", "staging", "v9.zip", settle=True)
        bad_release(it)
        wanted = foreign if whose == "another group's" else NOT_THERE
        it.deliver(request("manual-rollback", to_deployment_id=wanted, force=force))
        assert_closed(it, "BLOCKED", "NO_GOOD_REVISION")
        assert it.calls("CreateDeployment") == []
        assert it.is_live(3)


def test_a_typing_mistake_is_no_failed_rollback() -> None:
    with scene("Server") as it:
        (answer,) = it.local.handle(request("manual-rollback", deployment_group="misspelt"))
        assert (answer["refused"], it.local.items()) == ("unknown_group", [])
        assert "There is no shop/misspelt here" in answer["explanation"]


@pytest.mark.parametrize("named", [("shop", "prd"), ("*", "*"), ("shop", "pro*")])
@pytest.mark.parametrize("action", ["pause", "set_mode", "rollback"])
def test_the_function_affirms_nothing_about_a_group_that_does_not_exist(action: str, named: tuple[str, str]) -> None:
    asked = {"action": action, "application": named[0], "deployment_group": named[1], "reason": "x"}
    with scene("Server") as it:
        bad_release(it)
        more = {"mode": "off"} if action == "set_mode" else {}
        (answer,) = it.local.handle({**asked, "requested_by": "ann", **more})
        assert answer["refused"] in {"unknown_group", "malformed"}, answer
        it.alarm_fires()
        it.run_to_end()
        assert it.is_live(2)


def test_a_name_that_can_be_no_groups_is_affirmed_by_nothing() -> None:
    """CodeDeploy answers otherwise where a name breaks its rules: nobody may take such a group for paused."""
    with scene("Server") as it:
        it.sim.fail_call("GetDeploymentGroup", "InvalidApplicationNameException", "in an invalid format", count=9)
        (answer,) = it.local.handle(request("manual-pause", application="shop/prod"))
        assert answer["refused"] == "unknown_group", answer
        assert [item for item in it.local.items() if item["sk"] == "PAUSE"] == []


def test_a_stop_sign_does_not_wait_for_codedeploy() -> None:
    with scene("Server") as it:
        it.sim.fail_call("GetDeploymentGroup", "AccessDeniedException", "not authorized", count=20)
        (answer,) = it.local.handle(request("manual-pause"))
        assert answer["action"] == "pause"


@pytest.mark.parametrize("name", [name for name in EXAMPLES if "application" in event(name)])
def test_a_group_that_is_not_allowed_is_refused_whatever_is_asked(name: str) -> None:
    with scene("Server", settings={"LASTGOOD_ALLOWED_GROUPS": "other/*"}) as it:
        before = it.local.items()
        (answer,) = it.local.handle(event(name))
        assert answer["refused"] == "not_allowed"
        assert it.local.items() == before


def test_a_field_that_nobody_knows_is_refused() -> None:
    with scene("Server") as it:
        (answer,) = it.local.handle(request("manual-rollback", dryrun=True))
        assert "refused" in answer
        assert re.search("dryrun", str(answer))
        assert it.local.items() == []


# --- force ------------------------------------------------------------------------------------------------------------


def test_force_goes_past_a_pause_and_a_mode() -> None:
    for setting in ("pause", "set_mode"):
        with scene("Server") as it:
            bad_release(it)
            more = {"mode": "off"} if setting == "set_mode" else {}
            it.local.handle({"action": setting, **GROUP, **more, "requested_by": "me", "reason": "because"})
            it.deliver(event("manual-rollback"))
            assert it.head["outcome"] == "SKIPPED"
            it.deliver(request("manual-rollback", force=True))
            assert_closed(it, "ROLLED_BACK", "VERIFIED")


def test_force_with_a_named_deployment_goes_below_the_floor_and_back_to_a_known_bad_one() -> None:
    with scene("Server") as it:
        older, good, _ = bad_release(it)
        it.local.handle(request("manual-set-floor", deployment_id=good))
        it.local.handle(request("manual-mark-bad", deployment_id=older))
        it.deliver(request("manual-rollback", to_deployment_id=older))
        assert it.head["outcome"] == "BLOCKED"
        it.deliver(request("manual-rollback", to_deployment_id=older, force=True))
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(1)


def test_force_alone_does_not_go_below_the_floor() -> None:
    with scene("Server") as it:
        *_, bad = bad_release(it)
        it.local.handle(request("manual-set-floor", deployment_id=bad))
        it.deliver(request("manual-rollback", force=True))
        assert_closed(it, "BLOCKED", "BELOW_FLOOR")
        assert it.is_live(3)


def test_force_rolls_back_a_rollback_to_the_deployment_that_is_named() -> None:
    with scene("Server") as it:
        older, _, _ = bad_release(it)
        it.alarm_fires()
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        it.deliver(event("manual-rollback"))
        assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", "SUSPECT_IS_ROLLBACK")
        it.deliver(request("manual-rollback", to_deployment_id=older, force=True))
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(1)


def test_only_force_goes_past_cloudformation() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, creator="CloudFormation", external_id="stack", settle=True)
        it.deliver(request("manual-rollback"))
        assert_closed(it, "BLOCKED", "MANAGED_BY_CLOUDFORMATION")
        it.deliver(request("manual-rollback", force=True), "insisted")
        assert_closed(it, "ROLLED_BACK", "VERIFIED")
        assert it.is_live(2)
