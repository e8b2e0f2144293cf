"""What an alarm's change of state leads to: ALARM opens rollbacks, OK is checked as their recovery."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lastgood.errors import RefusedError
from lastgood.judgement.onset import onset_attributes
from lastgood.judgement.wording import NOT_OK
from lastgood.model import AlarmState, DeploymentGroup, Outcome, Reason, Rollback, Trigger
from lastgood.parts import Parts
from lastgood.recovery import recovery
from lastgood.results import ignored, result_of
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.notes import Notes
from lastgood.rollbacks.opening import rollback_id
from lastgood.routing import BY_MESSAGE, Routing, is_allowed, needs_tags, route, speaks_for
from lastgood.signals import AlarmSignal
from lastgood.text import clean


class AlarmChanges:
    """Alarm signals, for one invocation."""

    def __init__(self, parts: Parts, rollbacks: Rollbacks, notes: Notes) -> None:
        self._parts = parts
        self._rollbacks = rollbacks
        self._notes = notes

    def handle(self, signal: AlarmSignal) -> list[dict[str, Any]]:
        """ALARM opens rollbacks. OK may be a recovery; neither it nor INSUFFICIENT_DATA ever starts a rollback."""
        match signal.state:
            case AlarmState.ALARM:
                return self._fires(signal)
            case AlarmState.OK:
                return self._is_ok(signal)
            case _:
                return [
                    ignored(
                        f"{clean(signal.alarm_name, 255)} is {signal.state}: that starts no rollback and ends none."
                    )
                ]

    def _fires(self, signal: AlarmSignal) -> list[dict[str, Any]]:
        routing = self._route(signal)
        if routing.lacks and not signal.attributes and (series := self._series(signal)):
            return [result for fired in series for result in self._fires(fired)]
        if not routing.groups:
            unrouted = self._rollback(signal, DeploymentGroup("", ""))
            return [result_of(self._rollbacks.record(unrouted, Reason.UNROUTED_ALARM, routing.problem))]
        return [self._open(signal, group, routing.source) for group in routing.groups]

    def _series(self, signal: AlarmSignal) -> list[AlarmSignal]:
        """One signal for each time series that fires, where only the series say which group is meant.

        Each equals what the series' own message would have brought, so both ways lead to the same rollback.
        """
        firing = self._parts.alarms.contributors(signal.alarm_arn) or []
        return [
            replace(signal, contributor=one.contributor, attributes=one.attributes, changed_at=one.changed_at)
            for one in firing
            if one.attributes and signal.contributor in {"", one.contributor}
        ]

    def _open(self, signal: AlarmSignal, group: DeploymentGroup, routed_by: str) -> dict[str, Any]:
        rollback = self._rollback(signal, group).changed(routed_by=routed_by)
        if not is_allowed(group, self._parts.settings):
            why = f"{group.key} is not in LASTGOOD_ALLOWED_GROUPS, so nothing is done to it."
            return result_of(self._rollbacks.record(rollback, Reason.NOT_ALLOWED, why))
        opened = self._rollbacks.open(rollback, signal.key)
        return result_of(opened, joined=opened.rollback_id != rollback.rollback_id)

    def _route(self, signal: AlarmSignal) -> Routing:
        """Where the alarm leads, by its tags in CloudWatch or in the message; the latter are checked later."""
        settings = self._parts.settings
        if not needs_tags(signal, settings):
            return replace(route(signal, signal.tags, settings), source=BY_MESSAGE)
        try:
            tags = self._parts.alarms.tags(signal.alarm_arn)
        except RefusedError as error:
            # Its tags could contradict the default, so only a route that names the alarm is believed.
            by_name = speaks_for(signal, {}, settings)
            return by_name if by_name.source else Routing(problem=f"The alarm's tags may not be read: {error}")
        return route(signal, tags, settings, self._parts.group_alarms)

    def _rollback(self, signal: AlarmSignal, group: DeploymentGroup) -> Rollback:
        trigger = Trigger(
            signal.trigger_kind,
            signal.changed_at,
            alarm_name=signal.alarm_name,
            alarm_arn=signal.alarm_arn,
            alarm_changed_at=signal.changed_at,
            evaluation_seconds=signal.evaluation_seconds,
            alarm_contributor=signal.contributor,
            alarm_attributes=signal.attributes,
            **onset_attributes(signal.onset),
        )
        opened_as = rollback_id(signal.key, group, signal.changed_at)
        return Rollback.opened(opened_as, group, trigger, self._parts.clock())

    def _is_ok(self, signal: AlarmSignal) -> list[dict[str, Any]]:
        results = [self._recovered(signal, group) for group in self._route(signal).groups]
        return results or [ignored(f"{clean(signal.alarm_name, 255)} is OK; it leads to no deployment group.")]

    def _recovered(self, signal: AlarmSignal, group: DeploymentGroup) -> dict[str, Any]:
        lock = self._parts.ledger.lock(group)
        rollback = self._parts.ledger.load(lock.open_rollback_id or lock.last_rollback_id)
        ours = rollback is not None and _same_alarm(rollback, signal) and rollback.opened_at <= signal.changed_at
        if rollback is None or not ours:
            return ignored(f"{clean(signal.alarm_name, 255)} is OK; no rollback of {group.key} waits for that.")
        if rollback.open or self._is_watched(rollback):
            # One OK is not yet a recovery: the sweep reads the alarm when the recovery window ends.
            return result_of(rollback)
        seen = recovery(self._parts.alarms, rollback, self._parts.clock())
        if seen.at is None:
            return ignored(f"{clean(signal.alarm_name, 255)} is said to be OK, but it {NOT_OK[seen.state]}.")
        return result_of(self._notes.alarm_recovered(rollback.rollback_id, seen.at) or rollback)

    def _is_watched(self, rollback: Rollback) -> bool:
        """Its recovery window has not ended."""
        window, closed = self._parts.settings.recovery_window, rollback.closed_at
        return rollback.outcome is Outcome.ROLLED_BACK and closed is not None and self._parts.clock() < closed + window


def _same_alarm(rollback: Rollback, signal: AlarmSignal) -> bool:
    """Whether both are about the same alarm. An old record without an ARN is about an alarm of this region."""
    return rollback.trigger.alarm in {signal.alarm_arn, signal.alarm_name}
