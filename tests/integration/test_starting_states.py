"""A rollback starts from every state in which CodeDeploy can leave a release, and ends with the good revision live.

Each test reads: how the release stands when the alarm fires; what the record says afterwards; what is live; how many
deployments lastgood itself asked for; and that the deployment group is free again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest

from lastgood.times import parse_iso
from scene import ALARM, PLATFORMS, Scene, scene

# Where the native rollback only moves traffic, lastgood lets CodeDeploy do it; in place it deploys by itself.
OWN = {"Server": 1, "Lambda": 0, "ECS": 0}
BLUE_GREEN = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
WAITS_FOR_CONTINUE = {"deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60}}
STOPS_ON_ALARM = {"alarms": [ALARM], "rollback_events": ["DEPLOYMENT_STOP_ON_ALARM"]}
MID_SHIFT = {"Server": 15, "Lambda": 60, "ECS": 60}
# An alias that stands elsewhere before the first release, so that releasing version 1 is a release.
ELSEWHERE: dict[str, dict[str, Any]] = {"Lambda": {"versions": 4, "current": 4}}
EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)


def assert_rolled_back(it: Scene, *, creates: int, live: int = 2, reason: str = "VERIFIED") -> None:
    """It is closed as rolled back, revision `live` has all traffic, and the deployment group is free."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", reason), head["explanation"]
    assert it.is_live(live)
    assert len(it.calls("CreateDeployment")) == creates
    assert it.lock() == ""


def assert_ended(it: Scene, outcome: str, reason: str, *, creates: int = 0, stops: int = 0) -> None:
    """It is closed in another way, and touched no more than that."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert len(it.calls("CreateDeployment")) == creates
    assert len(it.calls("StopDeployment")) == stops
    assert it.lock() == ""


def status(it: Scene, deployment_id: str) -> str:
    """What CodeDeploy says of a deployment now."""
    return str(it.sim.deployment(deployment_id)["status"])


def alarm_then_message(it: Scene, seconds: float) -> datetime:
    """The alarm fires now, CodeDeploy sees it too, and its message reaches the function `seconds` later."""
    it.local.alarm(ALARM)
    fired = it.now()
    it.sim.advance(seconds)
    it.deliver(it.alarm_message(at=fired))
    return fired


# --- the suspect is active --------------------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize(("seconds", "expected"), [(0.1, "Created"), (0.5, "Queued"), (1.0, "InProgress")])
def test_a_suspect_that_has_not_begun_to_move_traffic_is_stopped_and_the_good_one_stays(
    platform: str, seconds: float, expected: str
) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(seconds)
        assert status(it, bad) == expected
        it.alarm_fires()
        assert_rolled_back(it, creates=OWN[platform])
        assert status(it, bad) == "Stopped"
        assert it.head["suspect_deployment_id"] == bad


@EVERYWHERE
def test_a_suspect_in_the_middle_of_its_shift_is_stopped_and_rolled_back(platform: str) -> None:
    with scene(platform) as it:
        _, good = it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        assert it.live == "", "the shift should be under way"
        it.alarm_fires()
        assert_rolled_back(it, creates=OWN[platform])
        assert it.head["adopted"] is (platform != "Server")
        assert it.head["good_deployment_id"] == good
        assert status(it, bad) == "Stopped"
        assert len(it.calls("StopDeployment")) == 1


@EVERYWHERE
def test_without_native_rollbacks_lastgood_redeploys_by_itself_everywhere(platform: str) -> None:
    with scene(platform, settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        # Lambda: the alias's own version is the good one, so clearing its weights puts everything right.
        assert_rolled_back(it, creates=0 if platform == "Lambda" else 1)
        assert it.calls("StopDeployment")[0]["autoRollbackEnabled"] is False


@pytest.mark.parametrize("platform", ["Server", "ECS"])
def test_a_blue_green_suspect_that_is_ready_is_stopped_before_anybody_sees_it(platform: str) -> None:
    with scene(platform, deploymentStyle=BLUE_GREEN, blueGreenDeploymentConfiguration=WAITS_FOR_CONTINUE) as it:
        it.sim.seed_history("shop", "prod", 2, every_seconds=7200, revisions=[it.revision(1), it.revision(2)])
        bad = it.release(3)
        it.sim.advance(30)
        assert status(it, bad) == "Ready"
        it.alarm_fires()
        assert_rolled_back(it, creates=0)
        assert status(it, bad) == "Stopped"


@EVERYWHERE
def test_a_suspect_that_is_baking_is_rolled_back(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", baking_seconds=1800)
        bad = it.release(3)
        it.sim.advance(1000)
        assert status(it, bad) == "Baking"
        it.alarm_fires()
        it.sim.timing("shop", "prod", baking_seconds=0)
        assert_rolled_back(it, creates=OWN[platform])


def test_an_ecs_suspect_that_waits_for_termination_is_flipped_back() -> None:
    with scene("ECS") as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", termination_wait_seconds=3600)
        bad = it.release(3)
        it.sim.advance(1200)
        assert status(it, bad) == "InProgress"
        assert it.is_live(3)
        it.alarm_fires()
        assert_rolled_back(it, creates=0)
        assert it.head["adopted"] is True


# --- the suspect has ended --------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_suspect_that_succeeded_within_the_window_is_redeployed_away(platform: str) -> None:
    with scene(platform) as it:
        _, good = it.good_history(1, 2)
        bad = it.release(3, settle=True, rest=1200)
        it.alarm_fires()
        assert_rolled_back(it, creates=1)
        assert (it.head["suspect_deployment_id"], it.head["good_deployment_id"]) == (bad, good)
        assert it.head["adopted"] is False
        assert it.calls("StopDeployment") == []


@EVERYWHERE
def test_a_suspect_that_succeeded_before_the_window_is_not_blamed(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=5400)
        it.alarm_fires()
        assert_ended(it, "SKIPPED", "NOT_ATTRIBUTABLE")
        assert it.is_live(3)


@EVERYWHERE
def test_a_suspect_that_failed_half_way_and_was_not_rolled_back_is_put_right(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.sim.fail_next("HEALTH_CONSTRAINTS", "Too many instances failed.", after_seconds=MID_SHIFT[platform])
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform] + 5)
        assert status(it, bad) == "Failed"
        assert it.live == "", "it should have reached a part"
        it.alarm_fires()
        assert_rolled_back(it, creates=0 if platform == "Lambda" else 1)


@EVERYWHERE
def test_a_suspect_that_somebody_stopped_half_way_is_put_right(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.sim.engine.stop_deployment(it.sim.engine.deployment(bad), None)
        assert (status(it, bad), it.live) == ("Stopped", "")
        it.sim.advance(20)
        it.alarm_fires()
        assert_rolled_back(it, creates=0 if platform == "Lambda" else 1)
        assert it.calls("StopDeployment") == []


@EVERYWHERE
def test_codedeploys_own_rollback_that_is_running_is_adopted(platform: str) -> None:
    with scene(platform, **STOPS_ON_ALARM) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        alarm_then_message(it, 6)
        native = it.sim.deployment(bad)["rollbackInfo"]["rollbackDeploymentId"]
        assert it.head["phase"] == "VERIFYING"
        assert_rolled_back(it, creates=0)
        assert (it.head["adopted"], it.head["rollback_deployment_id"]) == (True, native)
        assert it.calls("StopDeployment") == []


@EVERYWHERE
def test_codedeploys_own_rollback_that_has_finished_is_adopted(platform: str) -> None:
    with scene(platform, **STOPS_ON_ALARM) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        alarm_then_message(it, 90)
        native = it.sim.deployment(bad)["rollbackInfo"]["rollbackDeploymentId"]
        assert status(it, native) == "Succeeded"
        assert_rolled_back(it, creates=0)
        assert (it.head["adopted"], it.head["rollback_deployment_id"]) == (True, native)


@EVERYWHERE
def test_a_failed_deployment_that_codedeploy_rolled_back_is_adopted(platform: str) -> None:
    with scene(platform, rollback_events=["DEPLOYMENT_FAILURE"]) as it:
        it.good_history(1, 2)
        it.sim.fail_next(after_seconds=MID_SHIFT[platform])
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform] - 3)
        it.local.alarm(ALARM)
        fired = it.now()
        it.sim.advance(8)
        assert status(it, bad) == "Failed"
        it.deliver(it.alarm_message(at=fired))
        assert_rolled_back(it, creates=0)
        assert it.head["adopted"] is True


@EVERYWHERE
def test_codedeploys_rollback_to_a_known_bad_revision_is_waited_for_and_then_replaced(platform: str) -> None:
    with scene(platform, **STOPS_ON_ALARM, **ELSEWHERE.get(platform, {})) as it:
        good, also_bad = it.good_history(1, 2)
        named = {"application": "shop", "deployment_group": "prod", "deployment_id": also_bad}
        it.local.handle({"action": "mark_bad", **named, "reason": "loses orders", "requested_by": "me"})
        it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        alarm_then_message(it, 6)
        assert_rolled_back(it, creates=1, live=1)
        assert it.head["good_deployment_id"] == good
        assert it.calls("StopDeployment") == [], "a rollback is never stopped"


@EVERYWHERE
def test_an_active_suspect_is_not_rolled_back_natively_to_a_known_bad_revision(platform: str) -> None:
    with scene(platform, **ELSEWHERE.get(platform, {})) as it:
        _, also_bad = it.good_history(1, 2)
        named = {"application": "shop", "deployment_group": "prod", "deployment_id": also_bad}
        it.local.handle({"action": "mark_bad", **named, "reason": "loses orders", "requested_by": "me"})
        it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert_rolled_back(it, creates=1, live=1)
        assert it.calls("StopDeployment")[0]["autoRollbackEnabled"] is False


# --- nothing to go back to --------------------------------------------------------------------------------------------


def test_a_first_ever_deployment_to_servers_that_is_active_is_stopped_and_people_are_called() -> None:
    with scene("Server") as it:
        bad = it.release(1)
        it.sim.advance(MID_SHIFT["Server"])
        it.alarm_fires()
        assert_ended(it, "BLOCKED", "NO_GOOD_REVISION", stops=1)
        assert status(it, bad) == "Stopped"
        assert it.head["needs_human"] is True


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_what_was_live_before_a_first_ever_deployment_is_put_back(platform: str) -> None:
    """CodeDeploy never deployed it, and AWS still knows what it was: nothing is left half way."""
    with scene(platform) as it:
        bad = it.release(2)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
        assert status(it, bad) == "Stopped"
        assert it.is_live(1)


def test_the_version_before_a_first_ever_deployment_that_succeeded_is_put_back() -> None:
    with scene("Lambda") as it:
        it.release(2, settle=True, rest=600)
        it.alarm_fires()
        assert it.run_to_end()["reason_code"] == "VERIFIED", it.head["explanation"]
        assert it.is_live(1)


@pytest.mark.parametrize("platform", ["Server", "ECS"])
def test_a_first_ever_deployment_that_succeeded_is_left_alone_and_people_are_called(platform: str) -> None:
    """What was there before it is gone, or was never known."""
    with scene(platform) as it:
        it.release(2, settle=True, rest=600)
        it.alarm_fires()
        assert_ended(it, "BLOCKED", "NO_GOOD_REVISION")
        assert it.is_live(2)


@EVERYWHERE
def test_a_group_on_which_nothing_was_ever_deployed_is_not_attributable(platform: str) -> None:
    with scene(platform) as it:
        it.alarm_fires()
        assert_ended(it, "SKIPPED", "NOT_ATTRIBUTABLE")


# --- the stop -------------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_the_groups_own_alarm_that_is_still_firing_does_not_stop_the_redeployment(platform: str) -> None:
    with scene(platform, **STOPS_ON_ALARM) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert_rolled_back(it, creates=1)
        made = it.sim.deployment(it.head["rollback_deployment_id"])
        assert made["status"] == "Succeeded"
        assert it.calls("CreateDeployment")[0]["overrideAlarmConfiguration"]["alarms"] == []


@EVERYWHERE
def test_a_stop_that_stays_pending_for_minutes_is_waited_for(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", stop_pending_seconds=180)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert (it.head["phase"], it.head["explanation"] != "") == ("STOPPING", True)
        assert it.lock() == it.rollback_id
        assert_rolled_back(it, creates=OWN[platform])
        assert status(it, bad) == "Stopped"
        assert it.head["stopped_at"] > it.head["opened_at"]


@EVERYWHERE
def test_a_suspect_that_completes_at_the_moment_of_the_stop_is_redeployed_away(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance({"Server": 31, "Lambda": 611, "ECS": 911}[platform])
        assert status(it, bad) == "InProgress"
        stop = it.sim.engine.stop_deployment

        def too_late(deployment: object, flag: bool | None) -> str:
            it.sim.engine.advance(1)
            return stop(deployment, flag)  # type: ignore[arg-type]

        with patch.object(it.sim.engine, "stop_deployment", too_late):
            it.alarm_fires()
        assert it.sim.calls("StopDeployment")[0].error == "DeploymentAlreadyCompletedException"
        assert_rolled_back(it, creates=1)
        assert status(it, bad) == "Succeeded"


@EVERYWHERE
@pytest.mark.parametrize("suppressed", [True, False], ids=["the flag wins", "the group wins"])
def test_a_group_that_rolls_back_on_every_stop_gets_one_rollback_and_not_two(platform: str, suppressed: bool) -> None:
    with scene(platform, rollback_events=["DEPLOYMENT_STOP_ON_REQUEST"]) as it:
        it.sim.engine.flag_false_suppresses_group_rollback = suppressed
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert_rolled_back(it, creates=OWN[platform])
        if not suppressed:
            # CodeDeploy said that it had stopped the release, and not that it began a rollback: it refuses a second.
            assert {c.error for c in it.sim.calls("CreateDeployment")} <= {"DeploymentLimitExceededException"}
        after = [
            d for d in it.sim.deployments("shop", "prod") if d["createTime"] > it.sim.deployment(bad)["createTime"]
        ]
        assert len(after) == 1


@pytest.mark.parametrize("seconds", [1, 3])
def test_a_stop_that_is_not_over_though_codedeploy_says_so_is_waited_for_in_the_same_visit(seconds: int) -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", stop_pending_seconds=seconds)
        it.release(3)
        it.sim.advance(5)
        stop = it.sim.engine.stop_deployment

        def over(deployment: object, flag: bool | None) -> str:
            stop(deployment, flag)  # type: ignore[arg-type]
            return "Succeeded"

        with patch.object(it.sim.engine, "stop_deployment", over):
            assert it.alarm_fires()["phase"] == "VERIFYING"
        first, *_, last = it.sim.calls("CreateDeployment")
        assert (first.error, last.error) == ("DeploymentLimitExceededException", "")


def test_a_stop_is_dated_when_codedeploy_says_that_it_is_over() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(5)
        stop = it.sim.engine.stop_deployment

        def slow(deployment: object, flag: bool | None) -> str:
            it.sim.advance(2)
            return stop(deployment, flag)  # type: ignore[arg-type]

        with patch.object(it.sim.engine, "stop_deployment", slow):
            it.alarm_fires()
        taken = parse_iso(it.head["stopped_at"]) - parse_iso(it.head["stop_requested_at"])
        assert taken.total_seconds() == 2


@EVERYWHERE
def test_a_native_rollback_that_shows_up_late_is_still_adopted(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", native_rollback_delay_seconds=12)
        it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        it.sim.advance(15)
        assert_rolled_back(it, creates=OWN[platform])


@EVERYWHERE
def test_a_native_rollback_that_never_shows_up_is_done_by_lastgood(platform: str) -> None:
    with scene(platform) as it, patch.object(it.sim.engine.native_rollbacks, "roll_back", lambda deployment: None):
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.alarm_fires()
        assert_rolled_back(it, creates=0 if platform == "Lambda" else 1)
        assert it.head["adopted"] is False
