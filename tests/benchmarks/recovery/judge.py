"""What an incident came to, by what the simulator knows: what served when, and what each deployment carried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from benchmarks.recovery.actors import ACTORS, Actor, Nobody
from benchmarks.recovery.incident import UNKNOWN, Incident, incident
from benchmarks.recovery.places import PLACES
from benchmarks.recovery.scenarios import BACK, CALL, EITHER, SCENARIOS, Scenario

OTHER_GROUP = -2


@dataclass(frozen=True)
class Act:
    """A deployment that was stopped, or one that put something into service. `by_aws`: its own rollback did it."""

    what: str
    number: int
    deployment_id: str
    by_aws: bool = False


@dataclass(frozen=True)
class Verdict:
    """One world of one actor.

    `minutes` from the first failing request until only what is good served, None for never; `wrong` names each wrong
    act, `alarms` says how often an alarm fired; `right`: it ended as it should; `honest` is 1, or a half if it ended
    wrongly and people were called; `said` is what the actor itself says.
    """

    scenario: str
    place: str
    actor: str
    minutes: float | None
    wrong: tuple[str, ...]
    wrong_by_aws: int
    alarms: int
    right: bool
    honest: float
    said: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self) | {"wrong": list(self.wrong), "said": list(self.said)}


def worlds(actors: tuple[str, ...] = tuple(ACTORS)) -> Iterator[tuple[str, str, str]]:
    """Every scenario at every place for every actor that there is for it, by their names."""
    for scenario in SCENARIOS:
        for place in scenario.places:
            for key in actors:
                actor = ACTORS[key]
                fits = not actor.codedeploy_only if place.is_service else not actor.services_only
                if fits:
                    yield scenario.name, place.name, key


def play(scenario_name: str, place_name: str, actor_key: str) -> Verdict:
    """Play one world and judge it."""
    scenario = next(each for each in SCENARIOS if each.name == scenario_name)
    place = next(each for each in PLACES if each.name == place_name)
    actor: Actor = ACTORS[actor_key]
    with incident(scenario, place, actor.native) as made:
        answering = actor.make(made)
        made.play(answering)
        return judged(made, actor_key, answering)


def judged(made: Incident, actor: str, answering: Nobody) -> Verdict:
    """The verdict on an incident that is over."""
    scenario, called = made.scenario, answering.called_people()
    wrong = [act for act in acts(made) if is_wrong(act, scenario)]
    only_good = set(made.moments[-1].shares) <= scenario.good
    touched = needlessly_touched(made, own_acts(acts(made), ACTORS[actor]))
    right = {
        BACK: only_good,
        CALL: only_good and not touched and called,
        EITHER: only_good or (not touched and called),
    }.get(scenario.right, only_good and not touched)
    return Verdict(
        scenario=scenario.name,
        place=made.place.name,
        actor=actor,
        minutes=minutes_to_good(made) if scenario.right == BACK else None,
        wrong=tuple(_told(act) for act in wrong),
        wrong_by_aws=sum(act.by_aws for act in wrong),
        alarms=made.alarms,
        right=right,
        honest=1.0 if right else 0.5 if called else 0.0,
        said=answering.said(),
    )


def minutes_to_good(made: Incident) -> float | None:
    """From the first failing request until only good revisions served, for ever."""
    good = made.scenario.good
    failing = [made.failing_since(number) for number in made.scenario.bad]
    begun = min((each for each in failing if each), default=None)
    if begun is None or set(made.moments[-1].shares) - good:
        return None
    since = made.moments[-1].at
    for moment in reversed(made.moments):
        if set(moment.shares) - good:
            break
        since = moment.at
    return round(max(0.0, (since - begun).total_seconds() / 60), 2)


def _told(act: Act) -> str:
    if act.number == OTHER_GROUP:
        return f"{act.what} in another group"
    return f"{act.what} what nobody released" if act.number == UNKNOWN else f"{act.what} revision {act.number}"


def own_acts(everything: list[Act], actor: Actor) -> list[Act]:
    """What the actor itself did. What AWS does beside somebody is not that one's doing, but counts in the end."""
    return everything if actor.is_aws else [act for act in everything if not act.by_aws]


def needlessly_touched(made: Incident, own: list[Act]) -> bool:
    """Whether somebody acted wrongly, or deployed anything although AWS had put nothing bad into service itself."""
    by_aws = [act for act in acts(made) if act not in own and act.what == "deploys"]
    to_mend = any(is_wrong(act, made.scenario) for act in by_aws)
    return any(is_wrong(act, made.scenario) or (act.what == "deploys" and not to_mend) for act in own)


def is_wrong(act: Act, scenario: Scenario) -> bool:
    """Stopping what is good, or putting what is not good into service."""
    return (act.number in scenario.good) == (act.what == "stops")


# --- what was done ----------------------------------------------------------------------------------------------------


def acts(made: Incident) -> list[Act]:
    """Every stop, and each deployment that was not the scenario's and came to its end or changed what serves."""
    found = list(_service_acts(made) if made.place.is_service else _codedeploy_acts(made))
    return found + _acts_on_others(made)


def _codedeploy_acts(made: Incident) -> Iterator[Act]:
    engine = made.it.sim.engine
    group = engine.group(made.it.application, made.it.group)
    for each in group.deployments:
        number = _number(made, each)
        by_alarm = (each.error or ("",))[0] == "ALARM_ACTIVE"
        if each.status == "Stopped":
            yield Act("stops", number, each.id, by_alarm)
        cause = engine.deployments.get(each.rollback_info.get("rollbackTriggeringDeploymentId", ""))
        by_aws = cause is not None and (cause.error or ("",))[0] != "MANUAL_STOP"
        ours = each.id not in made.released and made.begun_at and each.created_at >= made.begun_at
        succeeded = each.status == "Succeeded"
        if ours and (succeeded or _took_effect(made, number, each.created_at, each.completed_at)):
            yield Act("deploys", number, each.id, by_aws)


def _number(made: Incident, deployment: Any) -> int:
    """The revision that a deployment of CodeDeploy carried, or would have brought had it got so far."""
    if deployment.id in made.released:
        return made.released[deployment.id]
    place = made.it.application, made.it.group
    return made.number(deployment.content or made.it.sim.content(*place, deployment.revision))


def _service_acts(made: Incident) -> Iterator[Act]:
    owner = made.it.owner  # type: ignore[attr-defined]
    for each in owner.deployments:
        if made.begun_at is None or each.created_at < made.begun_at:
            continue
        number = made.released.get(each.id, made.number(each.target.content))
        by_aws = bool(each.triggered_alarms) or each.breaker_triggered
        if each.status.startswith(("STOPPED", "ROLLBACK")):
            yield Act("stops", number, each.id, by_aws)
        if each.rollback and each.source:
            back = made.number(each.source.content)
            ended = each.status == "ROLLBACK_SUCCESSFUL"
            if ended or _took_effect(made, back, each.rollback["startedAt"], each.finished_at):
                yield Act("deploys", back, each.id, by_aws)
        effect = each.status == "SUCCESSFUL" or _took_effect(made, number, each.created_at, each.finished_at)
        if each.id not in made.released and effect:
            yield Act("deploys", number, each.id, by_aws)


def _took_effect(made: Incident, number: int, begun: datetime, ended: datetime | None) -> bool:
    """Whether a revision's share grew while it was being deployed."""
    before = next((m.shares.get(number, 0.0) for m in reversed(made.moments) if m.at <= begun), 0.0)
    during = [m.shares.get(number, 0.0) for m in made.moments if begun <= m.at and (ended is None or m.at <= ended)]
    after = next((m.shares.get(number, 0.0) for m in made.moments if ended and m.at >= ended), 0.0)
    return max([*during, after], default=0.0) > before


def _acts_on_others(made: Incident) -> list[Act]:
    """Whatever is deployed to the other groups of a storm is wrong: their releases are good."""
    told = [each for other in made.others for each in made.it.sim.deployments("fleet", other)]
    begun = made.begun_at
    return [Act("deploys", OTHER_GROUP, each["deploymentId"]) for each in told if begun and each["createTime"] > begun]
