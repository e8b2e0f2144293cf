"""Messages that come long after their alarm went off, because CloudWatch held the alarm's actions back. Pure.

A mute rule, or a composite alarm's suppressor, keeps actions from being taken; if the alarm is still in ALARM when that
ends, they are taken then. Nothing in such a message distinguishes it from an old message that somebody sends again, so
CloudWatch is asked when it last took the alarm's actions.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-mute-rules.html
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lastgood.model import AlarmFacts, AlarmState, Rollback

CLOCKS_DIFFER_BY = timedelta(seconds=60)
"""CloudWatch's time of a change and the time in its message differ by less than this."""


def is_late(rollback: Rollback, max_age: timedelta) -> bool:
    """The alarm went off too long before its message came.

    What counts is the signal's age when it came: a rollback that was opened in time and then waited for a retry is not
    late.
    """
    said = rollback.trigger.alarm_changed_at
    return said is not None and rollback.opened_at - said > max_age


def fired_before(rollback: Rollback, alarm: AlarmFacts) -> bool:
    """CloudWatch dates the change well before the message does: the message is not about this change.

    A release into a firing alarm is an exception: the alarm is expected to have changed before it.
    """
    said, dated = rollback.trigger.alarm_changed_at, alarm.changed_at
    if said is None or dated is None or rollback.trigger.released_in_alarm:
        return False
    return dated < said - CLOCKS_DIFFER_BY


def may_be_held_back(rollback: Rollback, alarm: AlarmFacts | None, max_age: timedelta) -> bool:
    """Whether it is worth asking when CloudWatch took the alarm's actions."""
    if alarm is None or alarm.state is not AlarmState.ALARM:
        return False
    return is_late(rollback, max_age) or fired_before(rollback, alarm)


def was_held_back(rollback: Rollback, acted_at: datetime | None, max_age: timedelta) -> bool:
    """CloudWatch took the alarm's actions when the message came, however long ago the alarm went off."""
    return acted_at is not None and rollback.opened_at - acted_at <= max_age
