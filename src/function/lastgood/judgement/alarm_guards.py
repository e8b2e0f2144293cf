"""The guards that ask about the alarm itself: is its message fresh, does CloudWatch confirm it, does it lead here?"""

from __future__ import annotations

from datetime import timedelta

from lastgood.judgement.case import Case
from lastgood.judgement.held_back import fired_before, is_late, may_be_held_back, was_held_back
from lastgood.judgement.steps import Decision, Wait
from lastgood.judgement.wording import ago, clock, duration
from lastgood.model import AlarmFacts, AlarmState, Reason

CATCHES_UP = timedelta(seconds=3)
"""So long after a message came, CloudWatch's answers may still be older than the message. AWS promises no order."""

NEW = timedelta(minutes=1)
"""A message that was on its way for longer than this came after CloudWatch's answers had caught up."""


def fresh(case: Case) -> Decision | None:
    changed = case.rollback.trigger.alarm_changed_at
    if not case.by_alarm or changed is None or case.approved or case.rollback.trigger.released_in_alarm:
        return None
    if not is_late(case.rollback, case.policy.max_signal_age) or _held_back(case):
        return None
    if _just_came(case) and may_be_held_back(case.rollback, case.seen.alarm, case.policy.max_signal_age):
        return _asked_again(Reason.STALE_SIGNAL, "It may not know yet that it took the alarm's action just now.")
    return case.unfounded(
        Reason.STALE_SIGNAL,
        f"The alarm changed at {changed:%Y-%m-%d} {clock(changed)}, {ago(case.rollback.opened_at, changed)} before its "
        f"message came; at most {duration(case.policy.max_signal_age)} is allowed. What is live now may be healthy.",
    )


def _held_back(case: Case) -> bool:
    return was_held_back(case.rollback, case.seen.acted_at, case.policy.max_signal_age)


def confirmed(case: Case) -> Decision | None:
    if not case.by_alarm or not case.seen.alarm_read:
        return None
    alarm = case.seen.alarm
    if alarm is None:
        return case.unfounded(
            Reason.ALARM_NOT_CONFIRMED,
            f"CloudWatch knows no alarm named {case.rollback.trigger.alarm_name!r} here. If it is real, it was deleted "
            "or renamed since its message, or is of a type that this boto3 does not know, as an old one does log "
            "alarms.",
        )
    if alarm.suppressed_by:
        return case.refuse(Reason.ALARM_SUPPRESSED, f"The alarm's actions are suppressed by {alarm.suppressed_by}.")
    if alarm.state is AlarmState.ALARM and fired_before(case.rollback, alarm) and not _held_back(case):
        return _of_another_time(case, alarm)
    if alarm.state is AlarmState.ALARM or (alarm.state is not AlarmState.OK and not case.policy.require_still_in_alarm):
        return _evident(case, alarm)
    return _fires_no_more(case, alarm)


def _fires_no_more(case: Case, alarm: AlarmFacts) -> Decision | None:
    """The alarm is not in ALARM now. If it was not in ALARM before either, the message is wrong."""
    said = case.rollback.trigger.alarm_changed_at
    if alarm.changed_at and said and alarm.changed_at < said - timedelta(seconds=1):
        since = f"CloudWatch says that the alarm is {alarm.state} since {clock(alarm.changed_at)}, before this message"
        if _is_new(case):
            return _asked_again(Reason.ALARM_NOT_CONFIRMED, f"{since}; it may not know of the change yet.")
        why = f"{since}: it was not in ALARM then."
        return case.unfounded(Reason.ALARM_NOT_CONFIRMED, why, calls_people=False)
    if not case.policy.require_still_in_alarm:
        return None
    if alarm.state is not AlarmState.OK:
        return case.refuse(
            Reason.ALARM_NOT_CONFIRMED,
            f"The alarm is {alarm.state} now: it measures nothing any more, which may be the release's doing.",
        )
    return case.refuse(
        Reason.ALARM_RECOVERED,
        "The alarm is OK again; nothing has to be rolled back.",
        calls_people=bool(case.rollback.choice.failed_rollback_id),
    )


def _evident(case: Case, alarm: AlarmFacts) -> Decision | None:
    """Asked only where a setting wants it: a person who may set an alarm's state cannot make its metric breach."""
    if not case.policy.require_evidence or not alarm.doubt:
        return None
    told = f"LASTGOOD_REQUIRE_EVIDENCE asks for the alarm's metric, which does not confirm it. {alarm.doubt}"
    if _is_new(case):
        return _asked_again(Reason.ALARM_NOT_CONFIRMED, told)
    return case.unfounded(Reason.ALARM_NOT_CONFIRMED, told)


def _is_new(case: Case) -> bool:
    """Whether CloudWatch's answers may not know of the alarm's change yet, for it happened a moment ago."""
    said = case.rollback.trigger.alarm_changed_at
    return said is not None and case.rollback.opened_at - said < NEW and _just_came(case)


def _just_came(case: Case) -> bool:
    return case.now - case.rollback.opened_at < CATCHES_UP and case.has_time


def _asked_again(reason: Reason, why: str) -> Wait:
    return Wait(reason, f"{why} CloudWatch is asked again.", a_moment=True)


def _of_another_time(case: Case, alarm: AlarmFacts) -> Decision:
    said, dated = case.rollback.trigger.alarm_changed_at, alarm.changed_at
    if _is_new(case):
        why = f"It has the alarm in ALARM since {dated:%H:%M:%SZ}; it may not know of the newest change yet."
        return _asked_again(Reason.ALARM_NOT_CONFIRMED, why)
    return case.unfounded(
        Reason.ALARM_NOT_CONFIRMED,
        f"The message says that the alarm went into ALARM at {said:%Y-%m-%d %H:%M:%SZ}; CloudWatch has it in ALARM "
        f"since {dated:%Y-%m-%d %H:%M:%SZ}, and took none of its actions lately, so the message is not CloudWatch's "
        "word about it. Look who sent it, and whether a release is the cause.",
    )


def led_here(case: Case) -> Decision | None:
    if not case.seen.contradiction:
        return None
    return case.unfounded(Reason.UNROUTED_ALARM, case.seen.contradiction)
