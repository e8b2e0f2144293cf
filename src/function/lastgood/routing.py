"""Which deployment groups an alarm speaks for: its tags, else the routes, else the default. Never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Protocol

from lastgood.errors import RefusedError
from lastgood.model import Controller, DeploymentGroup, Observation, Rollback, Trigger, controllers, parse_place
from lastgood.placeholders import MissingValueError, filled, parse_pattern, placeholders
from lastgood.settings import Route, Settings
from lastgood.signals import AlarmSignal, name_problem
from lastgood.text import clean

APPLICATION_TAG = "lastgood:application"
DEPLOYMENT_GROUP_TAG = "lastgood:deployment-group"

MOST_OTHER_ALARMS = 5
"""At most this many of a group's alarms, besides the one that fired, are checked for having been quiet."""

BY_MESSAGE = "message tags"
"""`routed_by` of a record that was routed by its message's tags alone: a hint, until CloudWatch confirms it."""

MOST_WAYS = 64
"""A pattern that fits a name in more ways than this is ambiguous, whatever the allow-list says."""

BY_GROUPS = "the deployment group's own alarms"
"""`routed_by` of a record that was routed by the group's own list of alarms alone."""

REST_OF_A_FLEET = "Other"
"""CloudWatch's name for all the time series that it does not list by themselves."""


def tags_of_both_names() -> dict[str, Controller]:
    """The tags that hold both names of a service or stage in one value, each with its controller."""
    alone = {controller: can.tags for controller, can in controllers().items() if len(can.tags) == 1}
    return {tag: controller for controller, (tag,) in alone.items()}


class Speaker(Protocol):
    """What is routed to deployment groups: an alarm, or one time series of an alarm over many, with its attributes."""

    @property
    def alarm_name(self) -> str: ...
    @property
    def alarm_arn(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...


type Lists = Callable[[Speaker], tuple[DeploymentGroup, ...]]
"""The deployment groups that list an alarm as their own. May raise RefusedError, where that may not be read."""


def no_lists(_: Speaker) -> tuple[DeploymentGroup, ...]:
    """For callers that do not ask for the groups' own lists."""
    return ()


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an alarm leads. `source`: by what; `problem`: why nowhere.

    `lacks` is the attribute of its time series that would say which group is meant, where the alarm alone does not.
    """

    groups: tuple[DeploymentGroup, ...] = ()
    source: str = ""
    problem: str = ""
    lacks: str = ""


class _NoName(Exception):
    """A placeholder's value cannot be part of a group's name."""


def needs_tags(signal: AlarmSignal, settings: Settings) -> bool:
    """True where the alarm's tags must be read from CloudWatch first.

    CloudWatch can be configured to leave tags out of messages, so a missing tag proves nothing.
    """
    tags = signal.tags or {}
    return not tags_of_both_names().keys() & tags.keys() and not (
        APPLICATION_TAG in tags and DEPLOYMENT_GROUP_TAG in tags
    )


def route(speaker: Speaker, tags: Mapping[str, str] | None, settings: Settings, lists: Lists = no_lists) -> Routing:
    """The deployment groups of an alarm. `tags` are the alarm's, from the message or from CloudWatch."""
    routing = speaks_for(speaker, tags or {}, settings, lists)
    return routing if routing.source or routing.problem else _by_default(speaker, settings)


def contradiction(rollback: Rollback, tags: Mapping[str, str] | None, settings: Settings) -> str:
    """Why CloudWatch's tags do not route the alarm to the group that its message named; empty where they do.

    `tags` are the alarm's in CloudWatch; None where they may not be read, and then only a route by its name counts.
    """
    named, speaker = rollback.group.key, rollback.trigger
    alarm = clean(speaker.alarm_name, 255)
    if tags is None:
        if rollback.group in speaks_for(speaker, {}, settings).groups:
            return ""
        return f"The message's tags name {named}, but the tags of the alarm {alarm} may not be read in CloudWatch."
    routing = route(speaker, tags, settings)
    if rollback.group in routing.groups:
        return ""
    elsewhere = " and ".join(group.key for group in routing.groups)
    why = f"there it leads to {elsewhere}." if elsewhere else routing.problem
    return f"The message's tags name {named}, but the alarm {alarm} does not have them in CloudWatch: {why}"


def other_series(trigger: Trigger, attributes: Mapping[str, str] | None) -> str:
    """Why the time series that fired is not the one in the message; empty where it is, or where that is unknown.

    `attributes` are those that CloudWatch lists for it; None where that was not asked, or may not be.
    """
    if attributes is None:
        return ""
    wrong = [name for name, said in trigger.alarm_attributes.items() if attributes.get(name) != said]
    if not wrong:
        return ""
    said, listed = (clean(series.get(wrong[0], "nothing"), 100) for series in (trigger.alarm_attributes, attributes))
    return f"The message says that the time series has {clean(wrong[0], 100)} {said}; CloudWatch says {listed}."


def speaks_for(speaker: Speaker, tags: Mapping[str, str], settings: Settings, lists: Lists = no_lists) -> Routing:
    """Where an alarm leads by its tags, the routes or a group's own list, leaving the default aside.

    The lists are asked only where nothing else claims the alarm.
    """
    meant = _by_tags(tags, speaker.attributes) or _by_routes(speaker, settings)
    return meant or _by_lists(speaker, lists) or Routing()


def named_groups(settings: Settings) -> list[DeploymentGroup]:
    """The groups that the settings name in full, by a route or as the default; tags and placeholders lead to others."""
    groups = [group for route in settings.routes if (group := route.group)]
    if settings.default_application:
        groups.append(DeploymentGroup(settings.default_application, settings.default_deployment_group))
    return list(dict.fromkeys(groups))


def other_alarms(rollback: Rollback, seen: Observation, settings: Settings) -> tuple[str, ...]:
    """The alarms that lead to a rollback's group besides the one that opened it, as far as they are known by name.

    The deployment group's own, those of earlier rollbacks, and those that a route names in full.
    """
    routed = [route.alarm for route in settings.routes if route.group == rollback.group]
    names = [
        *(seen.group.alarm_names if seen.group else ()),
        *(past.alarm_name for past in reversed(seen.controls.past)),
        *(name for name in routed if not set(name) & set("*?[")),
    ]
    others = dict.fromkeys(name for name in names if name and name != rollback.trigger.alarm_name)
    return tuple(others)[:MOST_OTHER_ALARMS]


def is_allowed(group: DeploymentGroup, settings: Settings) -> bool:
    """True where a glob of the allow-list covers the group's key."""
    return any(fnmatchcase(group.key, pattern) for pattern in settings.allowed_groups)


# --- tags -------------------------------------------------------------------------------------------------------------


def _by_tags(tags: Mapping[str, str], attributes: Mapping[str, str]) -> Routing | None:
    """Where the alarm's tags lead; None without tags. Wrong tags stop the routing: no route can know what was meant."""
    both_names = tags_of_both_names()
    given = {key: tags[key] for key in (APPLICATION_TAG, DEPLOYMENT_GROUP_TAG, *both_names) if key in tags}
    if not given:
        return None
    try:
        told = {key: _filled(value, attributes, attributes) for key, value in given.items()}
    except MissingValueError as missing:
        return _lacking(missing.name, attributes)
    except (_NoName, ValueError) as error:
        return Routing(problem=f"A tag of the alarm cannot be filled in: {error}")
    others = {key: value for key, value in told.items() if key in both_names}
    named = {key: value for key, value in told.items() if key not in others}
    problem = _group_problem(named) or next(filter(None, (_other_problem(*tag) for tag in others.items())), "")
    if problem:
        return Routing(problem=problem)
    groups = (DeploymentGroup(named[APPLICATION_TAG].strip(), named[DEPLOYMENT_GROUP_TAG].strip()),) if named else ()
    return Routing((*groups, *(parse_place(both_names[key], value) for key, value in others.items())), "alarm tags")


def _group_problem(named: Mapping[str, str]) -> str:
    if len(named) == 1:
        (given,) = named
        missing = DEPLOYMENT_GROUP_TAG if given == APPLICATION_TAG else APPLICATION_TAG
        return f"The alarm has the tag {given} but not {missing}; add it."
    for key, value in named.items():
        if problem := name_problem(value):
            return f"The alarm's tag {key} {problem}; it is {clean(value, 100)!r}."
    return ""


def _other_problem(key: str, value: str) -> str:
    try:
        parse_place(tags_of_both_names()[key], value)
    except ValueError as error:
        return f"The alarm's tag {key} {error}; it is {clean(value, 100)!r}."
    return ""


# --- routes -----------------------------------------------------------------------------------------------------------


def _by_routes(speaker: Speaker, settings: Settings) -> Routing | None:
    """Every route that fits counts, in the order in which they are written, each group once.

    A route that fits but does not say clearly which group is meant counts only where no other one does.
    """
    routings = [routing for route in settings.routes if (routing := _by_route(route, speaker, settings))]
    groups = dict.fromkeys(group for routing in routings for group in routing.groups)
    if groups:
        return Routing(tuple(groups), "LASTGOOD_ROUTES")
    return next(iter(routings), None)


def _by_route(route: Route, speaker: Speaker, settings: Settings) -> Routing | None:
    """Where one route leads; None where it is not about this alarm."""
    name = speaker.alarm_arn if route.alarm.startswith("arn:") else speaker.alarm_name
    if "<" not in route.alarm:
        return _one_of(route, [{}], speaker, settings) if fnmatchcase(name, route.alarm) else None
    ways = list(islice(parse_pattern(route.alarm).bindings(name), MOST_WAYS + 1))
    return _one_of(route, ways, speaker, settings) if ways else None


def _one_of(route: Route, ways: list[dict[str, str]], speaker: Speaker, settings: Settings) -> Routing:
    """The one group that the ways of reading the alarm's name lead to; of several, the one that is allowed."""
    named: dict[DeploymentGroup, None] = {}
    problems: list[str] = []
    for way in ways:
        try:
            named[_group_of(route, way, speaker.attributes)] = None
        except MissingValueError as missing:
            return _lacking(missing.name, speaker.attributes)
        except (_NoName, ValueError) as error:
            problems.append(str(error))
    if not named:
        return Routing(problem=f"The route {route.alarm!r} leads to no group: {problems[0]}")
    clear = len(named) == 1 and len(ways) <= MOST_WAYS
    meant = list(named) if clear else [group for group in named if is_allowed(group, settings)]
    if len(meant) == 1 and len(ways) <= MOST_WAYS:
        return Routing((meant[0],), "LASTGOOD_ROUTES")
    return Routing(problem=_ambiguous(route, speaker, list(named)))


def _ambiguous(route: Route, speaker: Speaker, named: list[DeploymentGroup]) -> str:
    keys = ", ".join(clean(group.key, 100) for group in named[:3])
    return (
        f"The route {route.alarm!r} fits {clean(speaker.alarm_name, 255)} in several ways: {keys}"
        f"{' and more' if len(named) > 3 else ''}. Write out a part of the pattern (<app>-prod-errors), leave out of "
        "LASTGOOD_ALLOWED_GROUPS what does not exist, or add a route for this alarm alone."
    )


def _group_of(route: Route, way: Mapping[str, str], attributes: Mapping[str, str]) -> DeploymentGroup:
    """Raises MissingValueError, _NoName, or ValueError for what can be no service or stage."""
    values = {**attributes, **way}
    application, group = (_filled(text, values, attributes) for text in (route.application, route.deployment_group))
    if controllers()[route.controller].key_prefix:
        return parse_place(route.controller, f"{application}/{group}")
    if problem := next(filter(None, map(name_problem, (application, group))), ""):
        raise _NoName(f"{clean(application, 100)!r} and {clean(group, 100)!r}: one {problem}.")
    return DeploymentGroup(application, group, route.controller)


def _filled(text: str, values: Mapping[str, str], attributes: Mapping[str, str]) -> str:
    """The text with its placeholders filled. Raises MissingValueError, _NoName or ValueError."""
    for name in placeholders(text):
        value = values.get(name, "x")
        if name in attributes and value == attributes[name] == REST_OF_A_FLEET:
            raise _NoName(f"{clean(name, 100)} is {value}, which means all series that CloudWatch does not name.")
        if set("/<>") & set(value) or not value.strip():
            raise _NoName(
                f"<{clean(name, 100)}> is {clean(value, 100)!r}, and no name may be empty or have / < > in it."
            )
    return filled(text, values)


def _lacking(name: str, attributes: Mapping[str, str]) -> Routing:
    """The problem that the group depends on the time series, and this one, or the whole alarm, does not name it."""
    has = f" This one has {', '.join(clean(key, 100) for key in attributes)}." if attributes else ""
    return Routing(
        problem=f"Which group is meant is said by the attribute {clean(name, 100)!r} of the time series that fires."
        f"{has or ' The message is about the alarm as a whole: GROUP BY that attribute in its query.'}",
        lacks=name,
    )


def _by_lists(speaker: Speaker, lists: Lists) -> Routing | None:
    """The one group that lists the alarm. If several do, nobody knows which one's release is to blame."""
    alarm = clean(speaker.alarm_name, 255)
    try:
        groups = lists(speaker)
    except RefusedError as error:
        return Routing(problem=f"Which deployment groups list the alarm {alarm} may not be read: {error}")
    if len(groups) > 1:
        keys = ", ".join(clean(group.key, 100) for group in groups[:3])
        return Routing(
            problem=f"Several deployment groups list the alarm {alarm} as their own: {keys}"
            f"{' and more' if len(groups) > 3 else ''}. Tag the alarm with {APPLICATION_TAG} and "
            f"{DEPLOYMENT_GROUP_TAG}, or add a route for each that it speaks for."
        )
    return Routing(groups, BY_GROUPS) if groups else None


def _by_default(speaker: Speaker, settings: Settings) -> Routing:
    if settings.default_application and settings.default_deployment_group:
        group = DeploymentGroup(settings.default_application, settings.default_deployment_group)
        return Routing((group,), "default")
    others = ", ".join(f"or {tag}" for tag in tags_of_both_names())
    return Routing(
        problem=f"Nothing says which deployment group the alarm {clean(speaker.alarm_name, 255)} speaks for. "
        f"Tag the alarm with {APPLICATION_TAG} and {DEPLOYMENT_GROUP_TAG} ({others}), or add it to LASTGOOD_ROUTES."
    )
