"""The widest look, before anything is decided: the group, its history, the alarm, and what operators set."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.errors import RefusedError
from lastgood.judgement.held_back import may_be_held_back
from lastgood.model import AlarmFacts, AlarmHistory, AlarmState, Observation, Policy, TriggerKind
from lastgood.observe.look import Look, all_in_time, in_time
from lastgood.observe.search import search
from lastgood.routing import BY_MESSAGE, contradiction, other_series
from lastgood.storm import Storm


def survey(look: Look) -> tuple[Observation, Policy]:
    """Everything that the guards ask about, and the policy with the mode that operators set."""
    eyes, policy, trigger = look.eyes, look.policy, look.rollback.trigger
    by_alarm = trigger.trigger_kind is not TriggerKind.MANUAL and bool(trigger.alarm_name)
    asked_at = look.now if policy.require_evidence else None
    reading_alarm = eyes.pool.submit(_alarm, look, asked_at) if by_alarm else None
    reading_past = look.reading_alarm_history() if by_alarm else None
    storm = Storm(eyes.alarms, eyes.pool, eyes.settings, eyes.group_alarms)
    reading_storm = storm.reading(look.now, policy) if by_alarm and policy.storm_groups else []
    reading_controls = eyes.pool.submit(look.controls)
    began = min(trigger.alarm_changed_at or look.now, look.now)
    facts, batches = look.deployer.survey(began - policy.attribution_window - timedelta(hours=1), look.now)
    alarm, against, acted_at = reading_alarm.result() if reading_alarm else (None, "", None)
    controls = storm.seen(look.rollback, reading_controls.result(), all_in_time(reading_storm), policy)
    seen = Observation(
        group=facts,
        alarm=alarm,
        alarm_read=by_alarm,
        contradiction=against,
        acted_at=acted_at,
        locked_by=look.holder(controls),
        controls=controls,
        alarm_history=in_time(reading_past) or AlarmHistory(),
    )
    look = replace(look, policy=replace(policy, mode=controls.mode or policy.mode))
    return search(look, seen, batches), look.policy


def _alarm(look: Look, evidence_at: datetime | None) -> tuple[AlarmFacts | None, str, datetime | None]:
    """The alarm as it is now, why CloudWatch's tags do not route it here, and when its actions were last taken.

    The second is asked only where the message alone routed it, the third only where the message came long after the
    alarm went off. All use one connection: CodeDeploy's answers, which are read beside them, take longer.
    """
    trigger = look.rollback.trigger
    alarm = look.eyes.alarms.read(trigger.alarm, evidence_at, trigger.alarm_contributor)
    late = may_be_held_back(look.rollback, alarm, look.policy.max_signal_age)
    since = look.rollback.opened_at - look.policy.max_signal_age
    asked = (trigger.alarm, since, look.now, trigger.alarm_contributor)
    return alarm, _against(look, alarm), look.eyes.alarms.acted_at(*asked) if late else None


def _against(look: Look, alarm: AlarmFacts | None) -> str:
    """Why CloudWatch's own tags do not route the alarm here, where only the tags in its message did."""
    alarms, settings, trigger = look.eyes.alarms, look.eyes.settings, look.rollback.trigger
    if alarm and alarm.state is AlarmState.ALARM and (other := other_series(trigger, alarm.attributes)):
        return other
    if alarm is None or trigger.routed_by not in {"", BY_MESSAGE}:
        return ""
    try:
        tags = alarms.tags(trigger.alarm_arn) if trigger.alarm_arn else {}
    except RefusedError:
        return contradiction(look.rollback, None, settings)
    return contradiction(look.rollback, tags, settings)
