"""The function's own eyes and decisions, without its hands: what would happen to a deployment group, and why.

A plan goes the way of a real event: it is parsed, routed, looked into and decided by the code that the function runs,
with clients that cannot write. Where the alarm is not firing, the plan may suppose that it fires now, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from lastgood.alarms import Alarms, described
from lastgood.clients import Clients
from lastgood.errors import LastgoodError
from lastgood.judgement import decide
from lastgood.judgement.case import Case
from lastgood.judgement.choice import effective_floor
from lastgood.judgement.onset import onset_attributes
from lastgood.judgement.steps import Close, Decision, Proceed, Stop
from lastgood.judgement.wording import ago
from lastgood.model import (
    AlarmFacts,
    AlarmPlace,
    AlarmState,
    DeploymentGroup,
    Observation,
    Origin,
    Phase,
    Policy,
    Reason,
    Rollback,
    Trigger,
    TriggerKind,
    name_of,
    parse_prefixed,
)
from lastgood.observe import Observer
from lastgood.rollbacks.choosing import chosen_by
from lastgood.rollbacks.passing_on import of_the_stage
from lastgood.routing import BY_MESSAGE, Routing, is_allowed, needs_tags, route
from lastgood.settings import Settings
from lastgood.signals import AlarmSignal, Home, OperatorRequest, Refusal, Signal, parse
from lastgood_cli.alarm_paths import alarm_message
from lastgood_cli.carried import left_out, stands_before
from lastgood_cli.headlines import headline
from lastgood_cli.planned import Plan
from lastgood_cli.questions import ALLOWED, ALONE, ROUTED, Answer, Verdict, answers
from lastgood_cli.readonly import ReadOnlySession

POOL_SIZE = 8


class Suppose(StrEnum):
    """Whether a plan supposes that the alarm goes into ALARM at this moment."""

    WHERE_NEEDED = "where-needed"
    ALWAYS = "always"
    NEVER = "never"


def _since(alarm: AlarmFacts | None, now: datetime) -> str:
    if alarm is None or alarm.changed_at is None:
        return "CloudWatch knows no such alarm."
    since = ago(now, alarm.changed_at)
    return f"The alarm has been in {alarm.state} for {since}; its message is taken to come now."


class _Supposed(Alarms):
    """CloudWatch as it would be if the alarm fired now."""

    def __init__(self, facts: AlarmFacts, clients: Clients, settings: Settings) -> None:
        super().__init__(clients.cloudwatch, clients.cloudwatch_at, settings.alarm_regions)
        self._facts = facts

    def read(self, alarm: str, evidence_at: datetime | None = None, contributor: str = "") -> AlarmFacts | None:
        return self._facts


class Lookout:
    """Looks at AWS as the function does whose variables are `environ`, at the time `now`. It cannot change anything."""

    def __init__(self, session: Any, environ: Mapping[str, str], now: datetime, region: str = "") -> None:
        """`session` makes clients. Raises SettingsError with everything that is wrong in `environ`."""
        self.settings = Settings.from_env(environ)
        self.clients = Clients.make(ReadOnlySession(session))
        self.now = now
        self.pool = ThreadPoolExecutor(POOL_SIZE)
        self.observer: Observer = Observer.make(self.clients, self.settings, self.pool)
        home_region = region if self.settings.account_id else ""
        settings = self.settings
        self._home = Home(settings.account_id, home_region, settings.alarm_topic_arns, settings.alarm_regions)

    def __enter__(self) -> Lookout:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(wait=False)

    def described(self, alarm: str) -> dict[str, Any] | None:
        """An alarm, by its name or its ARN, with everything that CloudWatch says about it; None if there is none.

        A bare name is looked for here, and then in the other regions that may command.
        """
        own = AlarmPlace.of(alarm)
        regions = ("", *self.settings.alarm_regions) if own == AlarmPlace() else (own.region,)
        for region in regions:
            client = self.clients.cloudwatch_at(AlarmPlace(own.account_id, region))
            if found := described(client, [name_of(alarm)]):
                return found[0]
        return None

    def exists(self, group: DeploymentGroup) -> bool | None:
        """Whether AWS knows the group; None where it may not be asked."""
        try:
            return self.observer.deployer_for(group, None).facts() is not None
        except LastgoodError:
            return None

    def origin(self, group: DeploymentGroup) -> Origin | None:
        """Which stack holds what a rollback of the group would move; None where that is not asked, or nothing is."""
        deployer = self.observer.deployer_for(group, None)
        facts = deployer.facts()
        newest = deployer.newest(facts) if facts else None
        if facts is None or newest is None:
            return None
        return self.observer.stacks.origin(self._opened(group, Trigger(TriggerKind.MANUAL, self.now)), facts, newest)

    def signals(self, event: object) -> tuple[Signal | Refusal, ...]:
        """What the function would read in an event."""
        return parse(event, self._home, self.now)

    def routing(self, signal: AlarmSignal) -> Routing:
        """Where an alarm leads, found out as the function does."""
        if not needs_tags(signal, self.settings):
            return replace(route(signal, signal.tags, self.settings), source=BY_MESSAGE)
        tags = self.observer.alarms.tags(signal.alarm_arn) if signal.alarm_arn else signal.tags
        return route(signal, tags, self.settings, self.observer.group_alarms)

    # --- plans --------------------------------------------------------------------------------------------------------

    def signal_of(self, name: str, alarm: Mapping[str, Any] | None) -> AlarmSignal:
        """The signal that an alarm would send now. For one that is gone, a signal that only its name can route."""
        if alarm is not None:
            (signal,) = self.signals(self._message(alarm, self.now))
            if isinstance(signal, AlarmSignal):
                return signal
        return AlarmSignal(name, "", AlarmState.ALARM, self.now, tags={})

    def _message(self, alarm: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        topics = (each.replace("*", "any") for each in self.settings.alarm_topic_arns)
        topic = next(topics, "arn:aws:sns:::AlarmTopic")
        return alarm_message(alarm, at, topic)

    def for_alarm(self, alarm: Mapping[str, Any], suppose: Suppose = Suppose.WHERE_NEEDED) -> tuple[Plan, ...]:
        """What this alarm would lead to; it is an alarm as `described` returns it."""
        changed = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp") or self.now
        return self.for_event(self._message(alarm, min(changed.astimezone(UTC), self.now)), suppose)

    def for_event(self, event: object, suppose: Suppose = Suppose.NEVER) -> tuple[Plan, ...]:
        """What an event would lead to if it were delivered now: a plan for each deployment group that it is about."""
        return tuple(plan for signal in self.signals(event) for plan in self._for_signal(signal, suppose))

    def for_group(self, group: DeploymentGroup) -> Plan:
        """What would happen to a group if an alarm of its own fired now."""
        rollback = self._opened(group, Trigger(TriggerKind.SNS, self.now, alarm_changed_at=self.now))
        supposed = "Supposed: an alarm that leads here goes into ALARM now."
        return self.judged(f"Plan for an alarm of {group.key}", rollback, self.observer, (supposed,))

    def for_request(self, request: OperatorRequest) -> Plan:
        """What would happen if an operator asked for this rollback now."""
        group = DeploymentGroup(request.application, request.deployment_group, request.controller)
        trigger = Trigger(
            TriggerKind.MANUAL,
            self.now,
            requested_by=request.requested_by,
            request_reason=request.reason,
            force=request.force,
            to_deployment_id=request.to_deployment_id,
        )
        about = f"Plan for a rollback of {group.key} by hand"
        return self.judged(about, self._opened(group, trigger), self.observer)

    def _for_signal(self, signal: Signal | Refusal, suppose: Suppose) -> tuple[Plan, ...]:
        match signal:
            case AlarmSignal(state=AlarmState.ALARM):
                return self._for_alarm_signal(signal, suppose)
            case OperatorRequest(action="rollback"):
                return (self.for_request(signal),)
            case Refusal():
                headline = f"The event would be {'refused' if signal.rejected else 'ignored'} ({signal.code})"
                return (Plan("Plan for this event", headline, f"{signal.message} {signal.hint}".strip()),)
            case AlarmSignal():
                why = f"{signal.alarm_name} is {signal.state} in this event: that opens no rollback."
                return (Plan(f"Plan for the alarm {signal.alarm_name}", "It would open no rollback", why),)
            case _:
                why = "It opens no rollback; at most an open one is taken up again, or an operator's item is written."
                return (Plan(f"Plan for this event ({type(signal).__name__})", "It would open no rollback", why),)

    def _for_alarm_signal(self, signal: AlarmSignal, suppose: Suppose) -> tuple[Plan, ...]:
        about = f"Plan for the alarm {signal.alarm_name}"
        routing = self.routing(signal)
        if routing.lacks and not signal.attributes and (series := self._series(signal)):
            return tuple(plan for each in series for plan in self._for_alarm_signal(each, suppose))
        if not routing.groups:
            why = routing.problem
            objection = Answer(ROUTED, Verdict.NO, Reason.UNROUTED_ALARM, why)
            return (Plan(about, "It would be recorded and told, and lead nowhere (UNROUTED_ALARM)", why, (objection,)),)
        real = self.observer.alarms.read(signal.alarm_arn or signal.alarm_name, contributor=signal.contributor)
        firing = real is not None and real.state is AlarmState.ALARM
        supposed = suppose is Suppose.ALWAYS or (suppose is Suppose.WHERE_NEEDED and not firing)
        observer, said = self.observer, _since(real, self.now)
        if supposed:
            facts = AlarmFacts(signal.alarm_name, AlarmState.ALARM, self.now, real.suppressed_by if real else "")
            observer = replace(observer, alarms=_Supposed(facts, self.clients, self.settings))
            signal = replace(signal, changed_at=self.now)
            said = f"Supposed: the alarm goes into ALARM now (CloudWatch says {real.state if real else 'nothing'})."
        how = Answer(ROUTED, Verdict.YES, explanation=f"By {routing.source}.")
        return tuple(
            self.judged(about, self._rollback(signal, group, routing.source), observer, (said,), (how,))
            for group in routing.groups
        )

    def _series(self, signal: AlarmSignal) -> list[AlarmSignal]:
        """The time series that fire now, of an alarm over many."""
        firing = self.observer.alarms.contributors(signal.alarm_arn) or []
        return [
            replace(signal, contributor=one.contributor, attributes=one.attributes, changed_at=one.changed_at)
            for one in firing
        ]

    def _rollback(self, signal: AlarmSignal, group: DeploymentGroup, routed_by: str) -> Rollback:
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
            routed_by=routed_by,
        )
        return self._opened(group, trigger)

    def _opened(self, group: DeploymentGroup, trigger: Trigger) -> Rollback:
        return Rollback.opened("rb-plan", group, trigger, self.now)

    def judged(
        self,
        about: str,
        rollback: Rollback,
        observer: Observer,
        suppositions: tuple[str, ...] = (),
        before: tuple[Answer, ...] = (),
    ) -> Plan:
        """What would happen to a rollback that were opened now."""
        found = self._not_opened(rollback)
        if found is not None:
            no = f"It would open no rollback ({found.reason})"
            return Plan(about, no, found.explanation, (*before, found), rollback.group, suppositions=suppositions)
        seen, policy = observer.look(rollback, self.settings.policy(), self.now, None)
        decision, case = decide(rollback, seen, policy, self.now), Case(rollback, seen, policy, self.now)
        instead = self._instead(rollback, decision, seen, observer)
        return Plan(
            about,
            headline(decision) if instead is None or instead.acts else f"{headline(decision)}. {instead.headline}",
            decision.explanation,
            (*before, *(Answer(q, Verdict.YES) for q in (ALLOWED, ALONE)), *answers(case)),
            rollback.group,
            decision,
            decision.candidates or case.selection.recorded,
            f"{instead.explanation} {instead.then}".strip()
            if instead
            else self._then(rollback, decision, seen, policy),
            str(policy.mode),
            effective_floor(seen.history, seen.controls),
            suppositions,
            case=case,
            instead=instead,
        )

    def _instead(self, rollback: Rollback, decision: Decision, seen: Observation, observer: Observer) -> Plan | None:
        """The plan for the stage that is rolled back in the group's place; None where none is."""
        stage = parse_prefixed(decision.passes_on) if isinstance(decision, Close) else None
        if stage is None or not isinstance(decision, Close):
            return None
        chosen = chosen_by(decision, rollback.group.deployer, seen.origin)
        passed = rollback.changed(**chosen, passed_on_to=stage.key, passed_on_run=decision.passes_to)
        return self.judged(f"Plan for {stage.key}", of_the_stage(passed, stage, "plan"), observer)

    def _not_opened(self, rollback: Rollback) -> Answer | None:
        """Why no rollback would be opened for the group at all."""
        group = rollback.group
        if not is_allowed(group, self.settings):
            why = f"{group.key} is not in LASTGOOD_ALLOWED_GROUPS, so nothing is done to it."
            return Answer(ALLOWED, Verdict.NO, Reason.NOT_ALLOWED, why)
        open_id = self.observer.ledger.lock(group).open_rollback_id
        if not open_id:
            return None
        why = f"{open_id} is open for {group.key}: the signal would be noted there. See: lastgood audit show {open_id}"
        return Answer(ALONE, Verdict.NO, Reason.ALREADY_OPEN, why)

    def _then(self, rollback: Rollback, decision: Decision, seen: Observation, policy: Policy) -> str:
        """The step after the first, where that can be known without taking the first."""
        if isinstance(decision, Stop) and decision.good and not decision.native:
            return " ".join(left_out(stands_before(self.observer, rollback.group, decision.good, seen)))
        if not isinstance(decision, Proceed):
            return ""
        chosen = chosen_by(decision, rollback.group.deployer, seen.origin)
        later = rollback.changed(phase=Phase.STOPPING, **chosen)
        next_seen, _ = self.observer.look(later, policy, self.now, seen)
        explained = decide(later, next_seen, policy, self.now).explanation
        stands = next_seen.preparations or stands_before(self.observer, rollback.group, decision.good, seen)
        return " ".join([explained, *(each for each in left_out(stands) if each not in explained)])
