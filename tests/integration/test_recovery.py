"""An OK that proves nothing is no recovery: no data, an edited alarm, one that is gone. People are told which it is."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from lastgood.alarms import Alarms
from scene import ALARM, Scene, scene
from stage.local import ERRORS


def rolled_back(it: Scene) -> None:
    """Version 3 was bad, and version 2 is back; the alarm still fires."""
    it.good_history(2)
    it.sim.declare_bad(it.release(3, settle=True, rest=120))
    it.alarm_fires()
    assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
    assert it.sim.bad_share(it.application, it.group) == 0
    it.sim.advance(120)


def window_ends(it: Scene) -> None:
    it.sim.advance(16 * 60)
    it.sweep()


def not_recovered(it: Scene, state: str, words: str) -> dict[str, Any]:
    """Nobody says that the alarm recovered, and people are told why its OK does not count."""
    window_ends(it)
    assert "alarm_recovered_at" not in it.head
    assert it.head["not_recovered_state"] == state
    (told,) = [n for n in it.local.notices() if n["metadata"]["eventType"] == "lastgood.not_recovered"]
    assert words in told["content"]["title"]
    return told


def test_an_alarm_that_is_ok_because_no_data_come_any_more_has_not_recovered() -> None:
    """The traffic is gone, and with it the errors: missing datapoints count as good."""
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        it.local.alarm(ALARM, "OK", without_data=True)
        not_recovered(it, "without data", "is OK only because no data come any more")


def test_for_an_alarm_that_rests_without_data_no_data_is_its_recovery() -> None:
    """Its metric counts errors and has a datapoint only where there was one."""
    with scene("Lambda", versions=5) as it:
        it.local.alarm(ALARM, "INSUFFICIENT_DATA")
        it.local.alarm(ALARM, "OK", without_data=True)
        rolled_back(it)
        it.local.alarm(ALARM, "OK", without_data=True)
        window_ends(it)
        assert it.head["alarm_recovered_at"] and "not_recovered_at" not in it.head


def test_an_alarm_that_lost_its_data_before_it_fired_did_not_rest_so() -> None:
    with scene("Lambda", versions=5) as it:
        it.local.alarm(ALARM, "OK")
        it.local.alarm(ALARM, "INSUFFICIENT_DATA", without_data=True)
        rolled_back(it)
        it.local.alarm(ALARM, "OK", without_data=True)
        not_recovered(it, "without data", "no data come any more")


def test_where_the_alarms_history_cannot_be_read_nobody_knows_how_it_rested() -> None:
    with scene("Lambda", versions=5) as it:
        it.local.alarm(ALARM, "OK", without_data=True)
        rolled_back(it)
        it.local.alarm(ALARM, "OK", without_data=True)
        with patch.object(Alarms, "_history_items", return_value=None):
            not_recovered(it, "without data", "no data come any more")


def edit(it: Scene, **changes: Any) -> None:
    """Put the alarm once more, as the stage made it, with these changes."""
    it.local.cloudwatch.put_metric_alarm(**{"AlarmName": ALARM, "DatapointsToAlarm": 2, **ERRORS, **changes})


@pytest.mark.parametrize(
    "changes",
    [{"Threshold": 0.9}, {"EvaluationPeriods": 9}, {"TreatMissingData": "ignore"}, {"MetricName": "4XXError"}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_alarm_that_somebody_edited_since_is_not_the_alarm_that_fired(changes: dict[str, Any]) -> None:
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        edit(it, **changes)
        it.local.alarm(ALARM, "OK")
        not_recovered(it, "edited", "is OK only since somebody changed it")


def test_an_edit_of_an_alarms_actions_or_words_does_not_change_what_its_ok_means() -> None:
    """During an incident people silence an alarm or name its runbook; it measures what it measured before."""
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        edit(it, AlarmDescription="See the runbook", AlarmActions=["arn:aws:sns:us-east-1:123456789012:oncall"])
        it.sim.advance(60)
        edit(it, AlarmDescription="See the other runbook", ActionsEnabled=False)
        it.local.alarm(ALARM, "OK")
        window_ends(it)
        assert it.head["alarm_recovered_at"] and "not_recovered_at" not in it.head


def test_one_edit_of_the_threshold_among_edits_of_words_counts() -> None:
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        edit(it, Threshold=0.9)
        it.sim.advance(60)
        edit(it, Threshold=0.9, AlarmDescription="Raised for the night")
        it.local.alarm(ALARM, "OK")
        not_recovered(it, "edited", "is OK only since somebody changed it")


def test_an_alarm_that_was_deleted_and_made_again_is_another_alarm() -> None:
    """Its history begins with its creation, so nothing shows what the one before measured."""
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        it.local.cloudwatch.delete_alarms(AlarmNames=[ALARM])
        it.local.alarm(ALARM, "OK")
        not_recovered(it, "edited", "is OK only since somebody changed it")


def test_an_alarm_that_was_deleted_has_not_recovered() -> None:
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        it.local.cloudwatch.delete_alarms(AlarmNames=[ALARM])
        not_recovered(it, "gone", "no longer exists")


def test_a_late_ok_for_want_of_data_is_no_recovery_either_and_one_with_data_is() -> None:
    """The window is over, and people were told that it still fires."""
    with scene("Lambda", versions=5) as it:
        rolled_back(it)
        not_recovered(it, "ALARM", "is still firing")
        it.local.alarm(ALARM, "OK", without_data=True)
        assert "no data" in str(it.deliver(it.alarm_message(name="alarm-ok")))
        assert "alarm_recovered_at" not in it.head
        it.local.alarm(ALARM)
        it.alarm_recovers()
        assert it.head["alarm_recovered_at"]


# --- several alarms of one group ------------------------------------------------------------------------------------

LATENCY = "shop-prod-latency"


def rolled_back_for_two(it: Scene) -> None:
    """Version 3 was bad for two alarms: the first opened the rollback, and the second joined it."""
    it.good_history(2)
    it.release(3, settle=True, rest=120)
    it.local.alarm(LATENCY, tags=it.tags)
    it.alarm_fires()
    rollback = it.rollback_id
    assert it.deliver(it.alarm_message(alarm=LATENCY))["rollback_id"] == rollback
    assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
    it.sim.advance(120)


def test_as_long_as_an_alarm_that_joined_still_fires_the_group_has_not_recovered() -> None:
    with scene("Lambda", versions=5) as it:
        rolled_back_for_two(it)
        it.alarm_recovers()
        told = not_recovered(it, "ALARM", "another alarm is still firing")
        assert it.head["not_recovered_alarm"] == LATENCY and LATENCY in told["content"]["description"]


@pytest.mark.parametrize("other", ["OK", "INSUFFICIENT_DATA"], ids=["recovered too", "measures nothing any more"])
def test_an_alarm_that_joined_and_no_longer_fires_is_nothing_against_the_recovery_of_the_first(other: str) -> None:
    with scene("Lambda", versions=5) as it:
        rolled_back_for_two(it)
        it.local.alarm(LATENCY, other)
        it.alarm_recovers()
        window_ends(it)
        assert it.head["alarm_recovered_at"] and "not_recovered_at" not in it.head
