"""Alarms that meet a group which another rollback holds: where that one does not act, they get their own answer."""

from __future__ import annotations

from typing import Any

import pytest

from lastgood.errors import RetryableError
from scene import ALARM, PLATFORMS, Scene, scene

PLAN = {
    "action": "rollback",
    "application": "shop",
    "deployment_group": "prod",
    "dry_run": True,
    "requested_by": "bob",
    "reason": "is there a way back?",
}


def bad_release(it: Scene) -> None:
    """Two good releases, and a bad one that has just ended."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)


def held_by(it: Scene, event: dict[str, Any]) -> str:
    """A rollback that could not be decided yet holds the group, for CodeDeploy throttled. Returns its id."""
    it.sim.throttle("ListDeployments", 50)
    with pytest.raises(RetryableError):
        it.deliver(event)
    it.sim.faults.clear()
    return it.lock()


def ends(it: Scene, minutes: int = 10) -> dict[str, str]:
    """After some minutes: how each rollback ended, by its id."""
    for _ in range(minutes):
        it.sim.advance(60)
        it.sweep()
    heads = [item for item in it.local.items() if item["sk"] == "META"]
    return {head["rollback_id"]: head["reason_code"] for head in heads}


def joins(it: Scene, holder: str) -> None:
    """The group's own alarm fires, and its signal is noted with the rollback that holds the group."""
    answer = it.alarm_fires()
    assert (answer["rollback_id"], answer["reason"]) == (holder, "ALREADY_OPEN")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_alarm_that_joined_one_which_nobody_confirms_is_answered_by_itself(platform: str) -> None:
    """A message about an alarm that does not exist takes the group first: it must not swallow the real one."""
    with scene(platform) as it:
        bad_release(it)
        ghost = held_by(it, it.alarm_message(alarm="ghost"))
        joins(it, ghost)
        found = ends(it)
        assert found.pop(ghost) == "ALARM_NOT_CONFIRMED"
        assert list(found.values()) == ["VERIFIED"]
        assert it.is_live(2)


def test_an_alarm_that_joined_one_which_recovered_is_answered_by_itself() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm("latency")
        first = held_by(it, it.alarm_message(alarm="latency"))
        it.local.alarm("latency", "OK")
        joins(it, first)
        found = ends(it)
        assert found.pop(first) == "ALARM_RECOVERED"
        assert it.is_live(2)
        (answered,) = found
        assert it.local.head(answered)["alarm_name"] == ALARM
        assert answered in str(it.local.steps(first)[-1]["explanation"])


def test_an_alarm_that_comes_while_somebody_plans_is_answered_after_the_plan() -> None:
    with scene("Server") as it:
        bad_release(it)
        plan = held_by(it, PLAN)
        joins(it, plan)
        found = ends(it)
        assert it.local.head(plan)["outcome"] == "DRY_RUN"
        assert found.pop(plan) and list(found.values()) == ["VERIFIED"]
        assert it.is_live(2)


def test_what_a_person_asked_for_while_the_group_was_held_is_not_done_later_behind_his_back() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm("latency")
        first = held_by(it, it.alarm_message(alarm="latency"))
        it.local.alarm("latency", "OK")
        answer = it.deliver({**PLAN, "dry_run": False})
        assert answer["reason"] == "ALREADY_OPEN"
        assert ends(it) == {first: "ALARM_RECOVERED"}
        assert it.is_live(3)


def test_an_alarm_that_joined_a_rollback_which_acted_is_answered_by_that() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires(alarm="latency")
        holder = it.rollback_id
        joins(it, holder)
        assert ends(it) == {holder: "VERIFIED"}
        assert len(it.calls("CreateDeployment")) == 1


def test_two_alarms_that_joined_lead_to_one_rollback() -> None:
    with scene("Server") as it:
        bad_release(it)
        ghost = held_by(it, it.alarm_message(alarm="ghost"))
        it.alarm_fires(alarm="latency")
        joins(it, ghost)
        found = ends(it)
        assert found.pop(ghost) == "ALARM_NOT_CONFIRMED"
        assert list(found.values()) == ["VERIFIED"]
        assert it.is_live(2)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_where_dynamodb_refuses_a_claim_without_naming_what_is_in_its_way_that_is_read(platform: str) -> None:
    """The same message again is known as such, and another alarm joins the rollback that holds the group."""

    def silent(parsed: dict[str, Any], **_: Any) -> None:
        for reason in parsed.get("CancellationReasons", []):
            reason.pop("Item", None)

    with scene(platform) as it:
        bad_release(it)
        events = it.local.application._parts.notices._clients.dynamodb.meta.events
        events.register("after-call.dynamodb.TransactWriteItems", silent)
        it.alarm_fires()
        message, holder = it.alarm_message(), it.lock()
        assert it.deliver(message)["rollback_id"] == holder
        it.local.alarm("shop-prod-latency", tags=it.tags)
        joined = it.deliver(it.alarm_message(alarm="shop-prod-latency"))
        assert (joined["rollback_id"], joined["reason"]) == (holder, "ALREADY_OPEN")
        it.rollback_id = holder
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
