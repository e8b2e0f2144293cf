"""Whether the alarm of a rollback has recovered: by CloudWatch's own word, and by what that word rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lastgood.alarms import Alarms
from lastgood.judgement.wording import EDITED, GONE, WITHOUT_DATA
from lastgood.model import AlarmState, Rollback


@dataclass(frozen=True, slots=True)
class Recovery:
    """`at`: since when the alarm is OK; None: it did not recover, and `state` is a key of `NOT_OK`.

    `alarm`: the name of another alarm which is in that state; empty: the rollback's own.
    """

    at: datetime | None
    state: str = ""
    alarm: str = ""


def recovery_of_all(alarms: Alarms, rollback: Rollback, joined: Iterable[Rollback], now: datetime) -> Recovery:
    """The same for a rollback that other alarms joined: as long as one of these fires, its group is still ill."""
    own = recovery(alarms, rollback, now)
    if own.at is None:
        return own
    # One alarm may have joined many times; it is asked about once.
    others = {_alarm_of(one): one for one in joined if _alarm_of(one) != _alarm_of(rollback)}
    fires = (one for one in others.values() if recovery(alarms, one, now).state == AlarmState.ALARM)
    still = next(fires, None)
    return Recovery(None, str(AlarmState.ALARM), still.trigger.alarm_name) if still else own


def _alarm_of(rollback: Rollback) -> tuple[str, str]:
    return rollback.trigger.alarm, rollback.trigger.alarm_contributor


def recovery(alarms: Alarms, rollback: Rollback, now: datetime) -> Recovery:
    """Look at the alarm of a rollback.

    An alarm that was edited since is not the alarm that fired, unless the edit left alone what its states mean. One
    that had data before it fired, and is OK now because missing data count as good, may only have lost its traffic; for
    one that counts errors, no data is its rest.
    """
    trigger = rollback.trigger
    alarm = alarms.read(trigger.alarm, contributor=trigger.alarm_contributor)
    if alarm is None:
        return Recovery(None, GONE)
    if alarm.state is not AlarmState.OK:
        return Recovery(None, str(alarm.state))
    edited, opened = alarm.edited_at, rollback.opened_at
    if edited and edited > opened and not alarms.still_means_the_same(trigger.alarm, opened, edited, now):
        return Recovery(None, EDITED)
    fired = trigger.alarm_changed_at or rollback.opened_at
    if alarm.without_data and not alarms.rested_without_data(trigger.alarm, fired, now, trigger.alarm_contributor):
        return Recovery(None, WITHOUT_DATA)
    return Recovery(alarm.changed_at or now)
