"""The past, replayed through `decide`: what lastgood would have done about every alarm. Pure.

The past is put together from what AWS still knows of it. For each time that an alarm went into ALARM, only the
deployments that had been created by then are looked at, with the status that their times say they had. What was live,
what operators had set, and what a rollback would have changed about later alarms cannot be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Any

from lastgood.judgement import decide
from lastgood.judgement.steps import Adopt, AskApproval, Close, Decision, Stop, Wait
from lastgood.judgement.wording import ago, clock
from lastgood.model import (
    AlarmFacts,
    AlarmState,
    Controls,
    Deployment,
    DeploymentGroup,
    GroupFacts,
    Observation,
    Outcome,
    PastRollback,
    Policy,
    Reason,
    Rollback,
    Trigger,
    TriggerKind,
)
from lastgood_cli.transitions import Transition

DELIVERY = timedelta(seconds=2)
"""How long after the alarm's change its message is taken to have come."""

TYPICAL_ROLLBACK = timedelta(minutes=5)

LIMITS = (
    "CloudWatch keeps an alarm's history for 30 days; older alarms are not seen.",
    "Routes, tags and settings are today's; pauses, modes, floors and marks of operators are not replayed.",
    "What was live cannot be read for the past, nor whether a revision could still be deployed then: the history "
    "stands for both.",
    "A rollback that would have happened changes nothing about the alarms that really came after it.",
)
"""What a backtest cannot know; printed with every one."""


class Verdict(StrEnum):
    """What lastgood would have done about one alarm and one deployment group."""

    ROLLS_BACK = "rolls back"
    ADOPTS = "adopts"
    STOPS = "stops, calls people"
    ASKS = "asks"
    REFUSES = "refuses"
    JOINS = "joins"
    DONE_BEFORE = "done before"
    UNROUTED = "leads nowhere"


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """A deployment group as it is now, and its deployments, newest first."""

    facts: GroupFacts | None
    deployments: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What would have come of one transition for one deployment group."""

    at: datetime
    alarm_name: str
    deployment_group_key: str
    verdict: Verdict
    reason: str
    explanation: str
    suspect_deployment_id: str = ""
    suspect: str = ""
    good_deployment_id: str = ""
    good: str = ""
    recovered_after_seconds: int | None = None
    afterwards: str = ""
    alarm_attributes: Mapping[str, str] = field(default_factory=dict, hash=False)


# --- pure: the past, as far as it can be put together --------------------------------------------------------------


def as_of(deployments: Sequence[Deployment], at: datetime) -> tuple[Deployment, ...]:
    """The history as it stood at a time, newest first: created by then, with the status of then."""
    known = {d.deployment_id for d in deployments if d.created_at <= at}
    then = [_as_of(d, at, known) for d in deployments if d.deployment_id in known]
    return tuple(sorted(then, key=lambda d: d.created_at, reverse=True))


def _as_of(d: Deployment, at: datetime, known: set[str]) -> Deployment:
    undone_by = d.rollback_deployment_id if d.rollback_deployment_id in known else ""
    if d.completed_at is None or d.completed_at <= at:
        return replace(d, rollback_deployment_id=undone_by)
    return replace(
        d, status="InProgress", completed_at=None, rollback_deployment_id=undone_by, error_code="", error_message=""
    )


def without_answers(deployments: Iterable[Deployment], alarm_at: datetime) -> list[Deployment]:
    """The deployments without those that lastgood itself made since: they answered this alarm or a later one.

    With them a backtest would count what it did then as a rollback of CodeDeploy's own.
    """
    return [d for d in deployments if not (d.made_by and d.created_at >= alarm_at)]


def facts_as_of(facts: GroupFacts | None, then: Sequence[Deployment]) -> GroupFacts | None:
    """The deployment group as it stood with that history."""
    if facts is None:
        return None
    last = then[0] if then else None
    good = next((d for d in then if d.status == "Succeeded"), None)
    return replace(
        facts,
        last_attempted_id=last.deployment_id if last else "",
        last_attempted_status=last.status if last else "",
        last_successful_id=good.deployment_id if good else "",
    )


def afterwards(deployments: Sequence[Deployment], at: datetime, suspect: Deployment, good: Deployment) -> str:
    """What people (or CodeDeploy) really did after the alarm."""
    later = sorted(
        (d for d in deployments if d.created_at > at and d.status == "Succeeded"), key=lambda d: d.created_at
    )
    for d in later:
        if d.revision.identity == good.revision.identity:
            return f"The same revision really came back {ago(d.created_at, at)} later ({d.deployment_id})."
        if d.is_release and d.revision.identity != suspect.revision.identity:
            return f"{_label(d)} was released {ago(d.created_at, at)} later ({d.deployment_id})."
    return "Nothing else was deployed since."


def _label(d: Deployment) -> str:
    return d.revision.label or d.revision.identity or "an unreadable revision"


@dataclass
class _Memory:
    """What the rollbacks of the replay would have left for one deployment group."""

    open_until: datetime | None = None
    past: list[PastRollback] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    rolled_back: dict[str, datetime] = field(default_factory=dict)


def replay(
    transitions: Iterable[Transition], histories: Mapping[DeploymentGroup, GroupHistory], policy: Policy
) -> tuple[Finding, ...]:
    """What would have come of each transition, oldest first, under one policy. Earlier rollbacks are remembered."""
    memory: dict[DeploymentGroup, _Memory] = {}
    alarmed: list[tuple[datetime, str]] = []
    findings: list[Finding] = []
    for transition in sorted(transitions, key=lambda t: t.at):
        if not transition.groups:
            findings.append(_finding(transition, "", Verdict.UNROUTED, Reason.UNROUTED_ALARM, transition.problem))
        alarmed += [(transition.at, group.key) for group in transition.groups]
        storm = frozenset(key for at, key in alarmed if transition.at - at <= policy.storm_window)
        for group in transition.groups:
            history = histories.get(group, GroupHistory(None))
            findings.append(_replayed(transition, group, history, policy, memory.setdefault(group, _Memory()), storm))
    return tuple(findings)


def _replayed(
    transition: Transition,
    group: DeploymentGroup,
    history: GroupHistory,
    policy: Policy,
    memory: _Memory,
    storm: frozenset[str],
) -> Finding:
    now = transition.at + DELIVERY
    if memory.open_until and now < memory.open_until:
        why = "A rollback of the group would have been under way; the message would have been noted there."
        return _finding(transition, group.key, Verdict.JOINS, Reason.ALREADY_OPEN, why)
    then = as_of(without_answers(history.deployments, transition.at), now)
    seen = Observation(
        group=facts_as_of(history.facts, then),
        alarm=AlarmFacts(transition.alarm_name, AlarmState.ALARM, transition.at),
        alarm_read=True,
        history=then,
        controls=Controls(known_bad=memory.bad, past=tuple(memory.past), groups_in_alarm=storm),
    )
    decision = decide(_opened(transition, group, now), seen, policy, now)
    return _told(transition, group, history, memory, decision, now)


def _opened(transition: Transition, group: DeploymentGroup, now: datetime) -> Rollback:
    trigger = Trigger(
        TriggerKind.SNS,
        transition.at,
        alarm_name=transition.alarm_name,
        alarm_changed_at=transition.at,
        evaluation_seconds=transition.evaluation_seconds,
    )
    return Rollback.opened(f"rb-backtest-{transition.at:%Y%m%dT%H%M%SZ}", group, trigger, now)


def _told(
    transition: Transition,
    group: DeploymentGroup,
    history: GroupHistory,
    memory: _Memory,
    decision: Decision,
    now: datetime,
) -> Finding:
    verdict = verdict_of(decision)
    before = [memory.rolled_back[s.deployment_id] for s in decision.suspects if s.deployment_id in memory.rolled_back]
    if before:
        why = (
            f"{decision.suspects[0].deployment_id} would have been rolled back at {clock(min(before))} already; "
            "whether this alarm would then have come cannot be known."
        )
        return _finding(transition, group.key, Verdict.DONE_BEFORE, decision.reason, why, decision)
    found = _finding(transition, group.key, verdict, decision.reason, decision.explanation, decision)
    if not decision.suspects or decision.good is None or verdict not in {Verdict.ROLLS_BACK, Verdict.ADOPTS}:
        return found
    _remember(memory, decision, now)
    happened = afterwards(history.deployments, now, decision.suspects[0], decision.good)
    return replace(found, afterwards=happened)


def _remember(memory: _Memory, decision: Decision, now: datetime) -> None:
    """The brakes and the known-bad memory hold for what the replay itself would have done."""
    took = TYPICAL_ROLLBACK
    if decision.good and decision.good.completed_at:
        took = decision.good.completed_at - decision.good.created_at
    memory.open_until = now + took
    memory.past.append(PastRollback(f"the rollback of {clock(now)}", now + took, Outcome.ROLLED_BACK))
    for suspect in decision.suspects:
        memory.rolled_back[suspect.deployment_id] = now
        if suspect.revision.identity:
            memory.bad[suspect.revision.identity] = f"it would have been rolled away from at {clock(now)}"


def verdict_of(decision: Decision) -> Verdict:
    """A decision's action in the words of a backtest."""
    match decision:
        case Stop(then=Outcome()):
            return Verdict.STOPS
        case Adopt():
            return Verdict.ADOPTS
        case AskApproval():
            return Verdict.ASKS
        case Close() | Wait():
            return Verdict.REFUSES
        case _:
            return Verdict.ROLLS_BACK


def _finding(
    transition: Transition, key: str, verdict: Verdict, reason: str, why: str, decision: Decision | None = None
) -> Finding:
    suspect = decision.suspects[0] if decision and decision.suspects else None
    good = decision.good if decision else None
    recovered = transition.recovered_at
    return Finding(
        transition.at,
        transition.alarm_name,
        key,
        verdict,
        str(reason),
        why,
        suspect.deployment_id if suspect else "",
        _label(suspect) if suspect else "",
        good.deployment_id if good else "",
        _label(good) if good else "",
        int((recovered - transition.at).total_seconds()) if recovered else None,
        alarm_attributes=transition.attributes,
    )


def summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """Counts by verdict and reason, and how long the alarms really lasted where a rollback would have come."""
    would = [f for f in findings if f.verdict in {Verdict.ROLLS_BACK, Verdict.ADOPTS}]
    lasted = [f.recovered_after_seconds for f in would if f.recovered_after_seconds is not None]
    refused = [f for f in findings if f.verdict in {Verdict.REFUSES, Verdict.STOPS, Verdict.ASKS}]
    return {
        "alarms": len({(f.alarm_name, f.at) for f in findings}),
        "rollbacks": len(would),
        "verdicts": _counted(str(f.verdict) for f in findings),
        "refusals": _counted(f.reason for f in refused),
        "alarm_lasted_median_seconds": int(median(lasted)) if lasted else None,
        "alarm_lasted_longest_seconds": max(lasted, default=None),
        "came_back_anyway": sum(f.afterwards.startswith("The same revision") for f in would),
    }


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
