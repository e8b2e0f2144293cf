"""CloudWatch's answers may be a moment older than its messages: a true alarm is not lost for that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from scene import ALARM, PLATFORMS, Scene, scene


def later(it: Scene, seconds: float, then: Callable[[], object]) -> None:
    """Something happens when so much time has passed while the function waits."""
    moment, advance = it.now().timestamp() + seconds, it.local.advance

    def wait(pause: float) -> None:
        before = it.now().timestamp()
        advance(pause)
        if before < moment <= it.now().timestamp():
            then()

    it.local.advance = wait
    it.local.restart()


def bad_release(it: Scene) -> None:
    it.local.alarm(ALARM, "OK", tags=it.tags)
    it.good_history(1)
    it.release(2, settle=True, rest=600)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("seconds", [0.4, 1.4, 3.4])
def test_an_alarm_that_cloudwatch_confirms_a_moment_after_its_message_is_answered(
    platform: str, seconds: float
) -> None:
    with scene(platform) as it:
        bad_release(it)
        later(it, seconds, lambda: it.local.alarm(ALARM))
        it.deliver(it.alarm_message())
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(1)


def test_so_is_one_that_fired_before_and_whose_newest_change_cloudwatch_does_not_know_yet() -> None:
    with scene() as it:
        it.local.alarm(ALARM, tags=it.tags)
        it.good_history(1)
        it.release(2, settle=True, rest=600)

        def fires_again() -> None:
            it.local.alarm(ALARM, "OK")
            it.local.alarm(ALARM)

        later(it, 1, fires_again)
        it.deliver(it.alarm_message())
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(1)


def test_one_that_cloudwatch_does_not_confirm_is_decided_in_the_same_visit() -> None:
    with scene() as it:
        bad_release(it)
        began = it.now()
        assert it.deliver(it.alarm_message())["reason"] == "ALARM_NOT_CONFIRMED"
        assert (it.now() - began).total_seconds() <= 4
        assert (it.lock(), it.is_live(2)) == ("", True)


def test_a_message_that_was_long_on_its_way_is_decided_at_once() -> None:
    with scene() as it:
        bad_release(it)
        fired = it.now()
        it.sim.advance(90)
        began = it.now()
        assert it.deliver(it.alarm_message(at=fired))["reason"] == "ALARM_NOT_CONFIRMED"
        assert it.now() == began


def test_an_action_that_its_history_shows_a_moment_after_the_message_is_believed() -> None:
    """A mute window has ended, and the alarm still fires."""
    with scene() as it:
        it.good_history(1)
        it.release(2, settle=True, rest=300)
        fired = it.now()
        it.local.alarm(ALARM, tags=it.tags)
        it.sim.advance(7200)
        later(it, 1, lambda: it.local.acts(ALARM))
        it.deliver(it.alarm_message(at=fired))
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(1)


def test_datapoints_that_come_a_moment_after_the_message_are_evidence() -> None:
    def breaches(it: Scene) -> None:
        points = [
            {"MetricName": "5XXError", "Value": 0.5, "Timestamp": it.now() - timedelta(minutes=n)} for n in (1, 2)
        ]
        it.local.cloudwatch.put_metric_data(Namespace="AWS/ApiGateway", MetricData=points)

    with scene(settings={"LASTGOOD_REQUIRE_EVIDENCE": "true"}) as it:
        bad_release(it)
        later(it, 1, lambda: breaches(it))
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(1)
