"""A message that CloudWatch held back is told from one that somebody sends again."""

from __future__ import annotations

import pytest

from builders import NOW, alarm, at, minutes, rollback, seconds
from lastgood.judgement.held_back import fired_before, is_late, may_be_held_back, was_held_back
from lastgood.model import AlarmState

AGE = minutes(15)


@pytest.mark.parametrize(
    ("changed", "late"), [(at(0), False), (NOW - AGE, False), (NOW - AGE - seconds(1), True), (None, False)]
)
def test_a_message_is_late_by_the_age_at_which_it_came(changed: object, late: bool) -> None:
    assert is_late(rollback(alarm_changed_at=changed), AGE) is late


@pytest.mark.parametrize(("dated", "before"), [(-1, False), (-1.01, True), (0, False), (5, False)])
def test_a_change_that_cloudwatch_dates_more_than_a_minute_before_is_another_one(dated: float, before: bool) -> None:
    assert fired_before(rollback(), alarm(changed=dated)) is before
    assert not fired_before(rollback(released_in_alarm="d-2"), alarm(changed=dated))
    assert not fired_before(rollback(alarm_changed_at=None), alarm(changed=dated))


def test_only_of_an_alarm_that_fires_and_whose_message_is_late_or_of_another_time_it_is_asked() -> None:
    old = rollback(alarm_changed_at=NOW - AGE - seconds(1))
    assert may_be_held_back(old, alarm(), AGE)
    assert may_be_held_back(rollback(), alarm(changed=-5), AGE)
    assert not may_be_held_back(rollback(), alarm(), AGE)
    assert not may_be_held_back(old, alarm(AlarmState.OK), AGE)
    assert not may_be_held_back(old, None, AGE)


@pytest.mark.parametrize(
    ("acted", "held"), [(NOW, True), (NOW - AGE, True), (NOW - AGE - seconds(1), False), (None, False)]
)
def test_it_was_held_back_if_cloudwatch_acted_when_the_message_came(acted: object, held: bool) -> None:
    assert was_held_back(rollback(), acted, AGE) is held
