"""When the breach began of which an alarm tells."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import ALARM_AT, at, by_operator, minutes, release, rollback, seconds
from lastgood.judgement.onset import came_too_late, evaluation_of, latest_cause, onset_attributes, onset_of
from lastgood.model import AlarmFacts, AlarmState, Onset, Reach

MEASURED = Onset(at(-3), minutes(1), measured=True)


def alarm(**more: Any) -> AlarmFacts:
    """An alarm that fires after 2 of its minutes, in ALARM since the message."""
    facts = {"state": AlarmState.ALARM, "changed_at": ALARM_AT, "period": minutes(1), "datapoints": 2}
    return AlarmFacts("shop-errors", **{**facts, **more})


def test_what_cloudwatch_says_counts_before_the_message() -> None:
    told = rollback(**onset_attributes(Onset(at(-9), minutes(1), measured=True)))
    assert onset_of(told, alarm(onset=MEASURED)) == MEASURED
    assert onset_of(told, alarm()) == Onset(at(-9), minutes(1), measured=True)


def test_an_alarm_that_recovered_and_fired_again_says_nothing_of_this_breach() -> None:
    found = onset_of(rollback(), alarm(onset=MEASURED, changed_at=at(5)))
    assert found is not None
    assert not found.measured


@pytest.mark.parametrize("state", [AlarmState.OK, AlarmState.INSUFFICIENT_DATA])
def test_an_alarm_that_does_not_fire_any_more_says_nothing_of_this_breach(state: AlarmState) -> None:
    found = onset_of(rollback(), alarm(onset=MEASURED, state=state))
    assert found is not None
    assert not found.measured


@pytest.mark.parametrize("minute", [1, -60 * 24 * 9])
def test_an_onset_after_the_alarm_or_longer_ago_than_any_alarm_looks_back_is_not_believed(minute: float) -> None:
    found = onset_of(rollback(), alarm(onset=Onset(at(minute), minutes(1), measured=True)))
    assert found == Onset.estimated(ALARM_AT, minutes(1), 2)


def test_without_datapoints_the_onset_is_counted_back_from_the_alarm() -> None:
    found = onset_of(rollback(), alarm(period=minutes(5), datapoints=3))
    assert found is not None
    assert (found.at, found.measured) == (at(-15), False)


def test_where_the_alarm_tells_no_period_the_message_tells_how_far_it_looks_back() -> None:
    blurred = onset_of(rollback(evaluation_seconds=900), None)
    assert blurred == Onset(at(-15), minutes(15))
    assert latest_cause(blurred, ALARM_AT) == ALARM_AT


@pytest.mark.parametrize(
    ("state", "changed", "began"),
    [
        (AlarmState.ALARM, at(-30), -32),
        (AlarmState.ALARM, None, -2),
        (AlarmState.ALARM, at(0.01), -2),
        (AlarmState.OK, at(-30), -2),
    ],
)
def test_of_an_alarm_that_was_held_back_cloudwatchs_own_date_is_counted_from(
    state: AlarmState, changed: Any, began: float
) -> None:
    found = onset_of(rollback(), alarm(state=state, changed_at=changed))
    assert found is not None and found.at == at(began)


def test_without_anything_the_breach_began_when_the_alarm_fired() -> None:
    assert onset_of(rollback(), None) == Onset(ALARM_AT)


def test_nothing_breaches_where_an_operator_asks() -> None:
    assert onset_of(by_operator(), None) is None


@pytest.mark.parametrize(
    ("period", "datapoints", "cleared_after"),
    [(seconds(10), 3, 0), (minutes(1), 1, 0), (minutes(1), 3, 0), (minutes(5), 2, 0), (minutes(5), 4, -10)],
)
def test_an_estimate_clears_only_what_cannot_have_filled_its_first_datapoints(
    period: timedelta, datapoints: int, cleared_after: float
) -> None:
    assert latest_cause(Onset.estimated(ALARM_AT, period, datapoints), ALARM_AT) == at(cleared_after)


def test_measured_datapoints_clear_what_came_after_the_first_of_them() -> None:
    assert latest_cause(MEASURED, ALARM_AT) == at(-2)


# --- at the edges -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "believed"),
    [(at(0), True), (at(0.01), False), (at(-8 * 24 * 60), True), (at(-8 * 24 * 60 - 1), False)],
    ids=["when it fired", "after it fired", "as long ago as can be", "longer ago"],
)
def test_an_onset_is_believed_up_to_when_the_alarm_fired_and_eight_days_back(told: Any, believed: bool) -> None:
    found = onset_of(rollback(), alarm(onset=Onset(told, minutes(1), measured=True)))
    assert found is not None and found.measured is believed


@pytest.mark.parametrize(("later", "same"), [(1, True), (1.1, False)])
def test_a_time_that_was_rounded_differently_is_of_the_same_change(later: float, same: bool) -> None:
    found = onset_of(rollback(), alarm(onset=MEASURED, changed_at=ALARM_AT + seconds(later)))
    assert found is not None and found.measured is same


@pytest.mark.parametrize(
    ("created", "reach", "told"),
    [
        (-2, None, ""),
        (-1.99, None, "d-2 was created at 09:58:00Z, and the breach began before, at 09:57:00Z"),
        (-9, Reach(at(-2)), ""),
        (-9, Reach(at(-1.5)), "d-2 was created at 09:51:00Z and began to reach users at 09:58:30Z; the breach began"),
        (-9, Reach(), "d-2 was created at 09:51:00Z and has reached no users; the breach began before"),
        (0.1, None, "d-2 was created at 10:00:06Z, after the alarm changed at 10:00:00Z."),
    ],
)
def test_what_came_or_reached_users_after_the_first_period_is_not_the_cause(
    created: float, reach: Reach | None, told: str
) -> None:
    found = came_too_late(release("d-2", "v2", created, reach=reach), MEASURED, ALARM_AT)
    assert found.startswith(told) if told else found == ""
    assert came_too_late(release("d-2", "v2", 0, reach=Reach()), None, ALARM_AT) == ""


@pytest.mark.parametrize(
    ("said", "known", "counts"),
    [(600, minutes(5), 300), (120, minutes(5), 120), (600, None, 600), (600, minutes(0), 0), (0, minutes(5), 0)],
)
def test_an_alarm_looks_back_as_far_as_its_message_says_and_no_further_than_cloudwatch_says(
    said: int, known: timedelta | None, counts: int
) -> None:
    asked = rollback(evaluation_seconds=said)
    assert evaluation_of(asked, alarm(looks_back=known)) == seconds(counts)
    assert evaluation_of(asked, None) == seconds(said)
