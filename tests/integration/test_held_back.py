"""An alarm whose actions were held back, by a mute rule or a suppressor, is answered when they are taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from scene import ALARM, Scene, scene

MUTED = 7200.0
"""Seconds for which the alarm's actions are held back."""


def muted(it: Scene, *, breached: bool = False) -> datetime:
    """A bad release, whose alarm goes off while its actions are held back, and goes on firing. Returns when it did."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)
    fired = it.now()
    minutes = [fired.replace(second=0, microsecond=0) - timedelta(minutes=n) for n in (2, 1)]
    it.local.alarm(ALARM, breached=minutes if breached else (), tags=it.tags)
    it.sim.advance(MUTED)
    return fired


def told(it: Scene, at: datetime) -> dict[str, Any]:
    """The message comes; it may be dated when the alarm went off, or when the window ended."""
    return it.deliver(it.alarm_message(at=at))


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS"])
@pytest.mark.parametrize("dated", ["as the breach", "as the message"])
@pytest.mark.parametrize("breached", [True, False], ids=["with its datapoints", "without datapoints"])
def test_an_alarm_that_still_fires_when_its_mute_window_ends_is_answered(
    platform: str, dated: str, breached: bool
) -> None:
    with scene(platform) as it:
        fired = muted(it, breached=breached)
        it.local.acts(ALARM)
        told(it, fired if dated == "as the breach" else it.now())
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]


@pytest.mark.parametrize("dated", ["as the breach", "as the message"])
@pytest.mark.parametrize("breached", [True, False], ids=["with its datapoints", "without datapoints"])
def test_what_was_released_while_its_actions_were_held_back_is_not_blamed(dated: str, breached: bool) -> None:
    with scene("Server") as it:
        fired = muted(it, breached=breached)
        it.release(4, settle=True, rest=300)
        it.local.acts(ALARM)
        told(it, fired if dated == "as the breach" else it.now())
        assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", "NEWER_DEPLOYMENT"), it.head["explanation"]
        assert it.head["needs_human"] and it.is_live(4)


@pytest.mark.parametrize(
    ("dated", "reason"), [("as the breach", "STALE_SIGNAL"), ("as the message", "ALARM_NOT_CONFIRMED")]
)
@pytest.mark.parametrize("acted", ["never", "long ago", "Failed", "Muted"])
def test_an_old_message_that_somebody_sends_again_is_none(dated: str, reason: str, acted: str) -> None:
    with scene("Server") as it:
        if acted == "long ago":
            it.local.acts(ALARM)
        fired = muted(it)
        if acted in {"Failed", "Muted"}:
            it.local.acts(ALARM, acted)
        told(it, fired if dated == "as the breach" else it.now())
        assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", reason)
        assert it.head["needs_human"] and it.is_live(3)


def test_a_composite_alarm_whose_suppressor_let_go_after_minutes_is_answered() -> None:
    """Its message is dated when it was let go; CloudWatch dates the change before that."""
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.local.alarm(ALARM, tags=it.tags)
        it.sim.advance(120)
        it.local.acts(ALARM)
        told(it, it.now())
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_the_history_of_actions_is_asked_only_where_the_times_differ() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        kinds: list[str] = []
        events = it.local.application._parts.alarms._client.meta.events
        events.register(
            "provide-client-params.cloudwatch.DescribeAlarmHistory",
            lambda params, **_: kinds.append(params["HistoryItemType"]),
        )
        it.alarm_fires()
        assert kinds and set(kinds) == {"StateUpdate"}
