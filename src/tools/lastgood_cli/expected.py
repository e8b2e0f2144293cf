"""How many minutes an incident would take, from the alarm to the good revision, and what would shorten it. Pure.

Only what AWS says of the alarm, the group and its past deployments goes in; nothing here measures anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from lastgood.judgement.wording import duration

EVALUATED_EVERY = 60.0
"""Seconds between two looks of CloudWatch at an alarm of a minute or more; one of less: each 10."""

QUICK_PERIODS = frozenset({10, 20, 30})
GOOD_DEREGISTRATION = 30.0
GOOD_HEALTH_CHECK = 10.0
MOST_ADVICE = 2
WORTH_SAYING = 30.0
"""Seconds that have to be saved for advice to be given."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the time, in seconds: at least, at most, and what it is."""

    what: str
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Advice:
    """What would save time, and how many seconds."""

    text: str
    saves: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What a rollback would take, part by part, with advice, the largest first."""

    parts: tuple[Part, ...]
    advice: tuple[Advice, ...] = ()

    @property
    def least(self) -> float:
        """Seconds, if every part is quick."""
        return sum(part.least for part in self.parts)

    @property
    def most(self) -> float:
        """Seconds, if every part is slow."""
        return sum(part.most for part in self.parts)

    @property
    def sentence(self) -> str:
        """The whole and its parts, for people."""
        whole = f"From the first failing request to the good revision: about {between(self.least, self.most)}"
        return f"{whole}: {', '.join(f'{part.what} {between(part.least, part.most)}' for part in self.parts)}."

    @property
    def told(self) -> str:
        """The sentence, and what would save most; empty where nothing is known."""
        advice = "".join(f" {each.text[0].upper()}{each.text[1:]}." for each in self.advice[:MOST_ADVICE])
        return self.sentence + advice if self.parts else ""


def between(least: float, most: float) -> str:
    """Two numbers of seconds as people say them, to half a minute; one number where they are alike."""
    low, high = _said(least), _said(most)
    return high if low == high else f"{low} to {high}"


def _said(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 75 else f"{round(seconds / 30) / 2:g} min"


# --- the alarm --------------------------------------------------------------------------------------------------------


def detection(alarm: Mapping[str, Any]) -> Part:
    """How long a fault lasts before a metric alarm, in AWS's shape, says ALARM.

    The datapoint in which the fault begins may breach or not; the alarm is evaluated each minute.
    """
    period, wanted = _period(alarm), _datapoints(alarm)
    rhythm = 10.0 if period in QUICK_PERIODS else EVALUATED_EVERY
    return Part("the alarm fires after", max(period * (wanted - 1), 1), period * wanted + rhythm)


def alarm_advice(alarm: Mapping[str, Any]) -> Iterable[Advice]:
    """What would make the alarm quicker."""
    period, wanted, whole = _period(alarm), _datapoints(alarm), int(alarm.get("EvaluationPeriods") or 1)
    if period > 60:
        saves = (period - 60) * wanted
        yield Advice(f"datapoints of 60 seconds instead of {period:.0f} would save {between(saves, saves)}", saves)
    elif wanted > 2:
        saves = period * (wanted - 2)
        better = f"2 of {whole} datapoints instead of {wanted} of {whole}"
        yield Advice(f"{better} would save {between(saves, saves)}", saves)


def _period(alarm: Mapping[str, Any]) -> float:
    """Seconds of a datapoint; of metric math, those of the metrics in it."""
    inside = [each.get("MetricStat", {}).get("Period") or each.get("Period") for each in alarm.get("Metrics") or []]
    return float(alarm.get("Period") or max((each for each in inside if each), default=60))


def _datapoints(alarm: Mapping[str, Any]) -> int:
    return int(alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods") or 1)


# --- the redeployment -------------------------------------------------------------------------------------------------


def redeployment(past: Sequence[float], back: Sequence[float] = ()) -> Part | None:
    """How long putting back takes, from the seconds of past deployments, better from those of past rollbacks."""
    known = sorted(back or past)
    if not known:
        return None
    what = "a rollback took" if back else "a deployment took"
    return Part(what, known[0] if len(known) < 3 else median(known[: len(known) // 2]), known[-1])


def seconds_of(deployments: Iterable[Mapping[str, Any]]) -> list[float]:
    """How long deployments that succeeded took, in AWS's shape.

    An ECS deployment is InProgress until its old task set is ended: that wait does not count.
    """
    found = []
    for each in deployments:
        if each.get("status") == "Succeeded" and each.get("createTime") and each.get("completeTime"):
            took = (each["completeTime"] - each["createTime"]).total_seconds()
            waits = termination_wait(each) if each.get("computePlatform") == "ECS" else 0.0
            found.append(max(0.0, took - waits))
    return found


# --- the target group and the way back --------------------------------------------------------------------------------


def target_group_advice(attributes: Mapping[str, str], group: Mapping[str, Any], batches: int = 1) -> Iterable[Advice]:
    """The settings of a target group that would shorten each batch. `attributes` as ELB returns them."""
    delay = float(attributes.get("deregistration_delay.timeout_seconds", 300))
    if (saves := (delay - GOOD_DEREGISTRATION) * batches) >= WORTH_SAYING:
        change = f"a deregistration delay of {GOOD_DEREGISTRATION:.0f} seconds instead of {delay:.0f}"
        yield Advice(f"{change} would save {between(saves, saves)}{_for_batches(batches)}", saves)
    interval, count = float(group.get("HealthCheckIntervalSeconds") or 30), int(group.get("HealthyThresholdCount") or 5)
    if (saves := (interval * count - GOOD_HEALTH_CHECK) * batches) >= WORTH_SAYING:
        change = f"health checks of 5 seconds, 2 in a row, instead of {interval:.0f} seconds, {count} in a row,"
        yield Advice(f"{change} would save {between(saves, saves)}{_for_batches(batches)}", saves)


def _for_batches(batches: int) -> str:
    return f" in {batches} batches" if batches > 1 else ""


def termination_wait(group: Mapping[str, Any]) -> float:
    """Seconds for which the old fleet or task set stays after a blue/green deployment; 0 if it is ended at once."""
    blue_green = group.get("blueGreenDeploymentConfiguration") or {}
    ending = blue_green.get("terminateBlueInstancesOnDeploymentSuccess") or {}
    return 60.0 * float(ending.get("terminationWaitTimeInMinutes") or 0)


def way_back_advice(group: Mapping[str, Any], attribution_window: timedelta, past: Sequence[float]) -> Iterable[Advice]:
    """What keeping the old fleet longer would save: a flip of seconds instead of a deployment."""
    wait, window = termination_wait(group), attribution_window.total_seconds()
    if not group.get("blueGreenDeploymentConfiguration") or wait >= window or not past:
        return
    saves = median(past)
    stays = f"after {between(wait, wait)}" if wait else "at once"
    yield Advice(
        f"the old one is ended {stays}: kept for {duration(attribution_window)}, the way back takes seconds and not "
        f"{between(saves, saves)}",
        saves,
    )


# --- together ---------------------------------------------------------------------------------------------------------


def expected(parts: Iterable[Part | None], advice: Iterable[Advice]) -> Expected:
    """The whole, with the advice that saves most first."""
    worth = sorted((each for each in advice if each.saves >= WORTH_SAYING), key=lambda each: -each.saves)
    return Expected(tuple(part for part in parts if part), tuple(worth))
