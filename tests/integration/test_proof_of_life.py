"""A revision is good because it served quietly, not because it is older and succeeded."""

from __future__ import annotations

from typing import Any

import pytest

from lastgood.errors import RetryableError
from scene import ALARM, PLATFORMS, Scene, scene

DAY = 86_400


def goes_off_for(it: Scene, seconds: float, alarm: str = ALARM) -> None:
    """The alarm fires and recovers, and no message of it reaches the function."""
    it.local.alarm(alarm)
    it.sim.advance(seconds)
    it.local.alarm(alarm, "OK")


def candidate(it: Scene, deployment_id: str) -> dict[str, Any]:
    return next(c for c in it.head["candidates"] if c["deployment_id"] == deployment_id)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_revision_that_served_for_minutes_is_passed_over_for_one_that_is_proven(platform: str) -> None:
    more = {"ECS": {"task_definitions": 5}, "Lambda": {"versions": 5}}.get(platform, {})
    with scene(platform, **more) as it:
        it.good_history(2)
        hasty = it.release(3, settle=True, rest=300)
        it.release(4, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert it.is_live(2)
        assert candidate(it, hasty)["rejection"] == "UNPROVEN"
        assert not head["needs_human"]


def test_a_revision_under_which_the_alarm_fired_is_passed_over() -> None:
    with scene("Server") as it:
        (proven,) = it.good_history(1)
        ill = it.release(2, settle=True, rest=3600)
        goes_off_for(it, 300)
        it.sim.advance(7200)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", proven), head["explanation"]
        assert it.is_live(1)
        assert (candidate(it, ill)["rejection"], candidate(it, ill)["alarms_meanwhile"]) == ("UNPROVEN", 1)


ROUTE = '[{"alarm": "latency", "application": "shop", "deployment_group": "prod"}]'


@pytest.mark.parametrize("known", ["by a route", "to the deployment group", "by nothing"])
def test_the_other_alarms_of_the_group_count_too_where_they_are_known(known: str) -> None:
    """Which alarm fires for the next bad release says nothing of whether the last one was quiet."""
    settings = {"LASTGOOD_ROUTES": ROUTE} if known == "by a route" else {}
    options = {"alarms": ["latency"]} if known == "to the deployment group" else {}
    with scene("Lambda", versions=5, settings=settings, **options) as it:
        it.good_history(2)
        ill = it.release(3, settle=True, rest=3600)
        goes_off_for(it, 300, "latency")
        it.sim.advance(7200)
        it.release(4, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert it.is_live(3 if known == "by nothing" else 2)
        assert candidate(it, ill).get("rejection", "") == ("" if known == "by nothing" else "UNPROVEN")


def test_an_alarm_that_led_to_an_earlier_rollback_of_the_group_counts_too() -> None:
    with scene("Lambda", versions=6, settings={"LASTGOOD_COOLDOWN": "1s"}) as it:
        it.good_history(2)
        it.release(3, settle=True, rest=120)
        it.alarm_fires(alarm="latency")
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        it.local.alarm("latency", "OK")
        it.sim.advance(DAY)
        ill = it.release(4, settle=True, rest=3600)
        goes_off_for(it, 300, "latency")
        it.sim.advance(7200)
        it.release(5, settle=True, rest=120)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
        assert it.is_live(2)
        assert candidate(it, ill)["rejection"] == "UNPROVEN"


@pytest.mark.parametrize("later", [False, True], ids=["at once", "at a later visit"])
def test_a_quiet_revision_that_is_gone_is_passed_over_though_the_alarm_is_known_to_have_been_quiet(later: bool) -> None:
    """It fired before both, so its history shows that the newer one served quietly; its version is gone."""
    with scene("Lambda", versions=5) as it:
        goes_off_for(it, 60)
        it.sim.advance(DAY)
        it.good_history(2, 3)
        it.release(4, settle=True, rest=120)
        it.sim.engine.lambda_world.function("shop").versions.pop("3")
        if later:
            it.sim.throttle("CreateDeployment", 20)
            with pytest.raises(RetryableError):
                it.alarm_fires()
            it.sim.faults.clear()
            it.rollback_id = it.lock()
        else:
            it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
        assert it.is_live(2)


def test_where_nothing_is_proven_the_newest_goes_back_and_people_are_told() -> None:
    with scene("Server") as it:
        first = it.release(1, settle=True, rest=300)
        it.release(2, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", first)
        assert it.is_live(1)
        assert head["needs_human"] is True
        assert "is not proven, but no older revision is" in head["explanation"]
        assert any("is not proven" in str(notice) for notice in it.local.notices())


def test_how_long_a_revision_must_serve_is_a_setting() -> None:
    with scene("Server", settings={"LASTGOOD_PROVEN_AFTER": "4m"}) as it:
        it.good_history(1)
        it.release(2, settle=True, rest=300)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)


def rolled_back_once(it: Scene) -> None:
    """v2 is blamed and rolled away from; a day later it is released again."""
    it.good_history(1)
    it.release(2, settle=True, rest=120)
    it.alarm_fires()
    it.run_to_end()
    it.alarm_recovers()
    it.sim.advance(DAY)


def test_a_known_bad_revision_that_served_a_quiet_fortnight_after_all_goes_back() -> None:
    with scene("ECS", task_definitions=5) as it:
        rolled_back_once(it)
        again = it.release(2, settle=True, rest=14 * DAY)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", again), head["explanation"]
        assert it.is_live(2)
        assert candidate(it, again)["served_seconds"] >= 14 * DAY


def test_a_healed_revision_is_proven_again_by_a_later_visit_before_it_is_deployed() -> None:
    with scene("Lambda", versions=5) as it:
        rolled_back_once(it)
        again = it.release(2, settle=True, rest=14 * DAY)
        it.release(3, settle=True, rest=120)
        it.sim.throttle("CreateDeployment", 12)
        with pytest.raises(RetryableError):
            it.alarm_fires()
        it.deliver(it.alarm_message())
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", again), head["explanation"]
        assert it.is_live(2)


def test_until_it_has_healed_it_is_passed_over_and_people_are_told_so() -> None:
    with scene("ECS", task_definitions=5) as it:
        rolled_back_once(it)
        it.release(2, settle=True, rest=3 * DAY)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert it.is_live(1)
        assert "was passed over. Known bad" in head["explanation"]
        assert head["needs_human"] is True


def test_an_alarm_that_fired_before_the_release_too_is_told() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        for _ in range(3):
            goes_off_for(it, 120)
            it.sim.advance(600)
        bad = it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["suspect_deployment_id"] == bad
        assert "This alarm fired 3 times in the" in head["explanation"]
        assert any("fired 3 times" in str(notice) for notice in it.local.notices())


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_an_alarm_history_that_cannot_be_read_is_unknown_and_stops_nothing(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene("Server") as it:
        (good,) = it.good_history(1)
        it.release(2, settle=True, rest=120)
        it.local.application._parts.alarms._client.meta.events.register(
            "before-call.cloudwatch.DescribeAlarmHistory", lambda **_: refused(code)
        )
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        assert "alarms_meanwhile" not in candidate(it, good)


def refused(code: str) -> tuple[Any, dict[str, Any]]:
    """An answer that is no success."""
    answer = type("Answer", (), {"status_code": 400})()
    return answer, {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
