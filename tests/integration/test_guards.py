"""When lastgood must not act: what the record says, and that nothing was touched."""

from __future__ import annotations

from typing import Any

import pytest

from scene import ALARM, PLATFORMS, Scene, scene
from stage.local import event, group_tags

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
# Enough revisions for two incidents.
MORE: dict[str, dict[str, Any]] = {
    "Server": {},
    "Lambda": {"versions": 6, "current": 6},
    "ECS": {"task_definitions": 6, "current": 6},
}
GROUP = {"application": "shop", "deployment_group": "prod"}
WHO_AND_WHY = {"requested_by": "me", "reason": "because"}
EFFECTS = ("StopDeployment", "CreateDeployment", "UpdateAlias", "RegisterTaskDefinition")
MID_SHIFT = {"Server": 15, "Lambda": 60, "ECS": 60}


def bad_release(it: Scene, *, rest: float = 600) -> str:
    """Two good releases, then one that succeeded and is bad."""
    it.good_history(1, 2)
    return it.release(3, settle=True, rest=rest)


def assert_closed(it: Scene, outcome: str, reason: str) -> None:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert it.lock() == ""


def assert_untouched(it: Scene, outcome: str, reason: str, *, live: int = 3) -> None:
    """It is closed so, and not one call that changes something was made for it."""
    made = [len(it.calls(operation)) for operation in EFFECTS]
    assert_closed(it, outcome, reason)
    assert [len(it.calls(operation)) for operation in EFFECTS] == made
    assert it.is_live(live)


def assert_rolled_back(it: Scene, live: int) -> None:
    assert_closed(it, "ROLLED_BACK", "VERIFIED")
    assert it.is_live(live)


def ask(it: Scene, action: str, **more: Any) -> dict[str, Any]:
    """An operator asks; the answer."""
    return it.local.handle({"action": action, **more})[0]


# --- loops and storms -------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_an_alarm_after_a_rollback_never_steps_back_once_more(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        bad_release(it)
        it.alarm_fires()
        assert_rolled_back(it, 2)
        for minutes in (1, 10, 40):
            it.alarm_recovers()
            it.sim.advance(60 * minutes)
            it.alarm_fires()
            assert_untouched(it, "SKIPPED", "SUSPECT_IS_ROLLBACK", live=2)
            assert it.head["needs_human"] is True


@EVERYWHERE
def test_a_bad_fix_within_the_cooldown_is_left_to_people_and_after_it_rolled_back(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        bad_release(it)
        it.alarm_fires()
        assert_rolled_back(it, 2)
        it.release(4, settle=True, rest=60)
        it.alarm_fires()
        assert_untouched(it, "SKIPPED", "COOLDOWN", live=4)
        it.alarm_recovers()
        it.sim.advance(1860)
        it.alarm_fires()
        assert_rolled_back(it, 2)


def test_too_many_rollbacks_in_a_day_call_people() -> None:
    with scene("Server", settings={"LASTGOOD_MAX_ROLLBACKS": "2"}) as it:
        it.good_history(1, 2)
        for bad in (3, 4):
            it.release(bad, settle=True, rest=600)
            it.alarm_fires()
            assert_rolled_back(it, 2)
            it.sim.advance(7200)
        it.release(5, settle=True, rest=600)
        it.alarm_fires()
        assert_untouched(it, "BLOCKED", "TOO_MANY_ROLLBACKS", live=5)
        ask(it, "resume", **GROUP, **WHO_AND_WHY)
        it.sim.advance(86400)
        it.release(6, settle=True, rest=600)
        it.alarm_fires()
        assert_closed(it, "ROLLED_BACK", "VERIFIED")


def test_six_groups_in_alarm_at_once_are_a_storm_and_not_six_bad_releases() -> None:
    with scene("Server") as it:
        groups = [f"shard-{number}" for number in range(6)]
        for group in groups:
            it.sim.server_group("shop", group)
            it.sim.seed_history("shop", group, 3, every_seconds=1200)
        for group in groups[:5]:
            it.alarm_fires(alarm=group, tags=group_tags("shop", group))
            assert it.head["phase"] == "VERIFYING"
        result = it.alarm_fires(alarm=groups[5], tags=group_tags("shop", groups[5]))
        assert (result["outcome"], result["reason"]) == ("BLOCKED", "STORM")
        assert len(it.calls("CreateDeployment")) == 5
        assert it.head["needs_human"] is True


def test_the_same_group_in_alarm_six_times_is_no_storm() -> None:
    with scene("Server") as it:
        bad_release(it)
        for number in range(6):
            it.sim.advance(1)
            it.alarm_fires(alarm=f"shop-prod-{number}")
        assert_rolled_back(it, 2)


def test_a_storm_that_is_over_stops_nothing() -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "1"}) as it:
        for group in ("shard-0", "shard-1"):
            it.sim.server_group("shop", group)
            it.sim.seed_history("shop", group, 3, every_seconds=1200)
        it.alarm_fires(alarm="shard-0", tags=group_tags("shop", "shard-0"))
        it.run_to_end()
        it.sim.advance(700)
        it.alarm_fires(alarm="shard-1", tags=group_tags("shop", "shard-1"))
        assert_closed(it, "ROLLED_BACK", "VERIFIED")


# --- switched off -----------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_the_kill_switch_stops_every_rollback_even_a_forced_one(platform: str) -> None:
    with scene(platform, settings={"LASTGOOD_KILL_SWITCH": "true"}) as it:
        bad_release(it)
        it.alarm_fires()
        assert_untouched(it, "SKIPPED", "KILL_SWITCH")
        it.deliver({**event("manual-rollback"), "force": True})
        assert_untouched(it, "SKIPPED", "KILL_SWITCH")


@pytest.mark.parametrize("where", [GROUP, {}], ids=["this group", "everything"])
def test_a_pause_holds_until_it_is_resumed(where: dict[str, str]) -> None:
    with scene("Server") as it:
        bad_release(it)
        ask(it, "pause", **where, **WHO_AND_WHY)
        it.alarm_fires()
        assert_untouched(it, "SKIPPED", "PAUSED")
        assert "me paused" in it.head["explanation"]
        it.alarm_recovers()
        it.sim.advance(30)
        ask(it, "resume", **where, **WHO_AND_WHY)
        it.alarm_fires()
        assert_rolled_back(it, 2)


def test_a_pause_with_an_end_ends_by_itself() -> None:
    with scene("Server") as it:
        bad_release(it)
        ask(it, "pause", **GROUP, **WHO_AND_WHY, until="10m")
        it.alarm_fires()
        assert_untouched(it, "SKIPPED", "PAUSED")
        it.sim.advance(601)
        it.alarm_fires()
        assert_rolled_back(it, 2)


def test_a_pause_of_another_group_does_not_hold_here() -> None:
    with scene("Server") as it:
        bad_release(it)
        ask(it, "pause", application="shop", deployment_group="staging", **WHO_AND_WHY)
        it.alarm_fires()
        assert_rolled_back(it, 2)


@pytest.mark.parametrize(
    ("mode", "outcome", "reason"), [("off", "SKIPPED", "MODE_OFF"), ("observe", "DRY_RUN", "OBSERVE_MODE")]
)
@pytest.mark.parametrize("by", ["the setting", "an operator"])
def test_a_mode_that_does_not_act_touches_nothing(mode: str, outcome: str, reason: str, by: str) -> None:
    with scene("Server", settings={"LASTGOOD_MODE": mode} if by == "the setting" else {}) as it:
        bad_release(it)
        if by == "an operator":
            ask(it, "set_mode", **GROUP, **WHO_AND_WHY, mode=mode)
        it.alarm_fires()
        assert_untouched(it, outcome, reason)


def test_an_operators_mode_goes_before_the_setting_and_ends_when_it_is_meant_to() -> None:
    with scene("Server", settings={"LASTGOOD_MODE": "off"}) as it:
        bad_release(it)
        ask(it, "set_mode", **GROUP, **WHO_AND_WHY, mode="observe", until="5m")
        it.alarm_fires()
        assert_untouched(it, "DRY_RUN", "OBSERVE_MODE")
        it.sim.advance(301)
        it.alarm_fires()
        assert_untouched(it, "SKIPPED", "MODE_OFF")


@EVERYWHERE
def test_observe_mode_says_what_it_would_have_done_to_a_running_release(platform: str) -> None:
    with scene(platform, settings={"LASTGOOD_MODE": "observe"}) as it:
        _, good = it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert (it.head["outcome"], it.head["reason_code"]) == ("DRY_RUN", "OBSERVE_MODE")
        assert (it.head["suspect_deployment_id"], it.head["good_deployment_id"]) == (bad, good)
        assert it.sim.deployment(bad)["status"] == "InProgress"
        assert [it.calls(operation) for operation in EFFECTS] == [[], [], [], []]


@EVERYWHERE
@pytest.mark.parametrize("when", ["running", "succeeded"])
def test_a_dry_run_leaves_no_effect_and_no_memory(platform: str, when: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        if when == "running":
            it.release(3)
            it.sim.advance(MID_SHIFT[platform])
        else:
            it.release(3, settle=True, rest=600)
        before = it.sim.live("shop", "prod").shares
        it.deliver(event("manual-dry-run"))
        assert it.head["outcome"] == "DRY_RUN"
        assert it.head["good_revision"]
        assert [it.calls(operation) for operation in EFFECTS] == [[], [], [], []]
        assert it.sim.live("shop", "prod").shares == before
        assert not [i for i in it.local.items() if i["sk"].startswith(("PAST#", "BAD#"))]
        assert it.lock() == ""
        it.alarm_fires()
        assert_rolled_back(it, 2)


# --- the database floor -----------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_floor_in_a_description_may_itself_go_back_live(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        it.good_history(1)
        it.release(2, settle=True, description="drop orders.old_total lastgood:floor")
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 2)


@EVERYWHERE
def test_nothing_older_than_a_floor_in_a_description_is_redeployed(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600, description="drop orders.old_total lastgood:floor")
        it.alarm_fires()
        assert_untouched(it, "BLOCKED", "BELOW_FLOOR")
        assert it.head["needs_human"] is True


def test_a_floor_that_is_cleared_no_longer_holds() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        floor = it.release(3, settle=True, rest=600, description="lastgood:floor")
        it.alarm_fires()
        assert_untouched(it, "BLOCKED", "BELOW_FLOOR")
        ask(it, "clear_floor", **GROUP, **WHO_AND_WHY, deployment_id=floor)
        it.sim.advance(60)
        it.alarm_fires()
        assert_rolled_back(it, 2)


def test_a_floor_that_an_operator_set_holds_until_it_is_cleared() -> None:
    with scene("Server") as it:
        bad = bad_release(it)
        ask(it, "set_floor", **GROUP, **WHO_AND_WHY, deployment_id=bad)
        it.alarm_fires()
        assert_untouched(it, "BLOCKED", "BELOW_FLOOR")
        ask(it, "clear_floor", **GROUP, **WHO_AND_WHY, deployment_id=bad)
        it.sim.advance(60)
        it.alarm_fires()
        assert_rolled_back(it, 2)


def test_a_running_release_below_whose_floor_nothing_may_go_is_not_stopped_unless_that_is_set() -> None:
    for setting, stops in (("first-deployment", 0), ("always", 1)):
        with scene("Server", settings={"LASTGOOD_STOP_WITHOUT_TARGET": setting}) as it:
            it.good_history(1, 2)
            it.release(3, description="lastgood:floor")
            it.sim.advance(15)
            it.alarm_fires()
            assert_closed(it, "BLOCKED", "BELOW_FLOOR")
            assert len(it.calls("StopDeployment")) == stops


# --- memory -----------------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_revision_that_was_rolled_away_from_is_never_the_good_one_of_a_later_incident(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        it.release(1, settle=True)
        it.release(2, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 1)
        it.alarm_recovers()
        it.sim.advance(7200)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 1)


def test_a_known_bad_revision_that_somebody_released_again_is_passed_over() -> None:
    with scene("Server") as it:
        it.release(1, settle=True)
        it.release(2, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 1)
        it.alarm_recovers()
        it.sim.advance(7200)
        again = it.release(2, settle=True)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 1)
        passed_over = next(c for c in it.head["candidates"] if c["deployment_id"] == again)
        assert passed_over["rejection"] == "KNOWN_BAD"


def test_a_revision_that_is_marked_good_again_may_go_back_live() -> None:
    with scene("Server") as it:
        it.release(1, settle=True)
        bad = it.release(2, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 1)
        ask(it, "mark_good", **GROUP, **WHO_AND_WHY, deployment_id=bad)
        it.alarm_recovers()
        it.sim.advance(7200)
        it.release(2, settle=True)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, 2)


def test_only_known_bad_revisions_are_left() -> None:
    with scene("Server") as it:
        first = it.release(1, settle=True)
        ask(it, "mark_bad", **GROUP, **WHO_AND_WHY, deployment_id=first)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert_untouched(it, "BLOCKED", "KNOWN_BAD")


# --- not ours to move -------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_deployment_newer_than_the_alarm_may_be_the_fix_and_is_left_alone(platform: str) -> None:
    with scene(platform, **MORE[platform]) as it:
        bad_release(it)
        it.local.alarm(ALARM)
        fired = it.now()
        it.sim.advance(5)
        fix = it.release(4)
        it.sim.advance(5)
        it.deliver(it.alarm_message(at=fired))
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "NEWER_DEPLOYMENT")
        it.sim.settle(fix)
        assert it.is_live(4)
        assert [it.calls(operation) for operation in EFFECTS] == [[], [], [], []]


# A function's canary that runs is stopped: tests/integration/test_others_rollbacks.py.
@pytest.mark.parametrize(
    ("platform", "when"),
    [*((platform, "succeeded") for platform in PLATFORMS), ("Server", "running"), ("ECS", "running")],
)
def test_cloudformations_deployment_is_left_to_cloudformation(platform: str, when: str) -> None:
    stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/shop/1"
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, creator="CloudFormation", external_id=stack, settle=when == "succeeded", rest=600)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert_closed(it, "BLOCKED", "MANAGED_BY_CLOUDFORMATION")
        assert stack in it.head["explanation"]
        assert [it.calls(operation) for operation in EFFECTS] == [[], [], [], []]


# --- approval ---------------------------------------------------------------------------------------------------------

APPROVE = {"LASTGOOD_MODE": "approve"}


@EVERYWHERE
@pytest.mark.parametrize("when", ["running", "succeeded"])
def test_approve_mode_waits_and_an_approval_rolls_back(platform: str, when: str) -> None:
    with scene(platform, settings=APPROVE) as it:
        it.good_history(1, 2)
        it.release(3, settle=when == "succeeded", rest=600)
        it.sim.advance(MID_SHIFT[platform])
        result = it.alarm_fires()
        assert (result["phase"], result["reason"]) == ("AWAITING_APPROVAL", "NEEDS_APPROVAL")
        it.sim.advance(60)
        it.sweep()
        assert [it.calls(operation) for operation in EFFECTS] == [[], [], [], []]
        it.deliver({**event("manual-approve"), "rollback_id": it.rollback_id})
        assert_rolled_back(it, 2)
        assert it.head["approved_by"] == "me"


def test_a_rejected_plan_ends_with_nothing_touched() -> None:
    with scene("Server", settings=APPROVE) as it:
        bad_release(it)
        it.alarm_fires()
        it.deliver({**event("manual-reject"), "rollback_id": it.rollback_id})
        assert_untouched(it, "SKIPPED", "APPROVAL_REJECTED")


def test_a_plan_that_nobody_approves_expires() -> None:
    with scene("Server", settings=APPROVE) as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(1790)
        it.sweep()
        assert it.head["phase"] == "AWAITING_APPROVAL"
        it.sim.advance(30)
        assert_untouched(it, "SKIPPED", "APPROVAL_EXPIRED")


def test_an_approval_after_the_alarm_recovered_does_nothing() -> None:
    with scene("Server", settings=APPROVE) as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(60)
        it.alarm_recovers()
        it.deliver({**event("manual-approve"), "rollback_id": it.rollback_id})
        assert_untouched(it, "SKIPPED", "ALARM_RECOVERED")


def test_an_approval_after_a_fix_was_released_does_nothing() -> None:
    with scene("Server", settings=APPROVE) as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(60)
        it.release(4, settle=True, rest=0)
        it.deliver({**event("manual-approve"), "rollback_id": it.rollback_id})
        assert_untouched(it, "SKIPPED", "NEWER_DEPLOYMENT", live=4)


def test_an_approval_that_comes_after_twenty_minutes_is_not_stale() -> None:
    with scene("Server", settings=APPROVE) as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(1200)
        it.deliver({**event("manual-approve"), "rollback_id": it.rollback_id})
        assert_rolled_back(it, 2)


def test_a_release_that_asks_for_approval_gets_it_in_auto_mode_too() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600, description="lastgood:needs-approval")
        it.alarm_fires()
        assert it.head["phase"] == "AWAITING_APPROVAL"
        it.deliver({**event("manual-approve"), "rollback_id": it.rollback_id})
        assert_rolled_back(it, 2)
