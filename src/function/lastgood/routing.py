"""Which deployment groups an alarm speaks for: its tags, else the routes, else the default. Never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from lastgood.model import DeploymentGroup, Rollback, parse_ecs_service, parse_stage
from lastgood.settings import Settings
from lastgood.signals import AlarmSignal, name_problem
from lastgood.text import clean

APPLICATION_TAG = "lastgood:application"
DEPLOYMENT_GROUP_TAG = "lastgood:deployment-group"
ECS_SERVICE_TAG = "lastgood:ecs-service"
PIPELINE_TAG = "lastgood:pipeline"

_BOTH_NAMES: Mapping[str, Callable[[str], DeploymentGroup]] = {
    ECS_SERVICE_TAG: parse_ecs_service,
    PIPELINE_TAG: parse_stage,
}
"""The tags that hold both names of what they lead to, and how each is read."""

BY_MESSAGE = "message tags"
"""How a record says that it was led by its message's tags alone: a hint, until CloudWatch has the same."""


class Speaker(Protocol):
    """What speaks for deployment groups: a signal, or the trigger of the rollback that it opened."""

    @property
    def alarm_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an alarm leads. `source`: by what; `problem`: why nowhere."""

    groups: tuple[DeploymentGroup, ...] = ()
    source: str = ""
    problem: str = ""


def needs_tags(signal: AlarmSignal, settings: Settings) -> bool:
    """True where the alarm's tags must be read from CloudWatch first.

    CloudWatch can be told which tags to leave out of messages, so what a message lacks proves nothing.
    """
    tags = signal.tags or {}
    return not _BOTH_NAMES.keys() & tags.keys() and not (APPLICATION_TAG in tags and DEPLOYMENT_GROUP_TAG in tags)


def route(speaker: Speaker, tags: Mapping[str, str] | None, settings: Settings) -> Routing:
    """The deployment groups of an alarm. `tags` are the alarm's, from the message or from CloudWatch."""
    found = speaks_for(speaker.alarm_name, tags or {}, settings)
    return found if found.source or found.problem else _by_default(speaker, settings)


def contradiction(rollback: Rollback, tags: Mapping[str, str] | None, settings: Settings) -> str:
    """Why CloudWatch does not lead the alarm to the group that its message named; empty where it does.

    `tags` are the alarm's in CloudWatch; None where they may not be read, and then only a route by its name counts.
    """
    named, alarm = rollback.group.key, clean(rollback.trigger.alarm_name, 255)
    if tags is None:
        if rollback.group in speaks_for(rollback.trigger.alarm_name, {}, settings).groups:
            return ""
        return f"The message's tags name {named}, but the tags of the alarm {alarm} may not be read in CloudWatch."
    found = route(rollback.trigger, tags, settings)
    if rollback.group in found.groups:
        return ""
    elsewhere = " and ".join(group.key for group in found.groups)
    why = f"there it leads to {elsewhere}." if elsewhere else found.problem
    return f"The message's tags name {named}, but the alarm {alarm} does not have them in CloudWatch: {why}"


def speaks_for(alarm_name: str, tags: Mapping[str, str], settings: Settings) -> Routing:
    """Where an alarm leads by its tags or the routes, the default left out: what somebody meant for it."""
    return _by_tags(tags) or _by_routes(alarm_name, settings) or Routing()


def named_groups(settings: Settings) -> list[DeploymentGroup]:
    """The groups that the settings name, by a route or as the default; tags on alarms lead to others too."""
    groups = [found.group for found in settings.routes]
    if settings.default_application:
        groups.append(DeploymentGroup(settings.default_application, settings.default_deployment_group))
    return list(dict.fromkeys(groups))


def is_allowed(group: DeploymentGroup, settings: Settings) -> bool:
    """True where a glob of the allow-list covers the group's key."""
    return any(fnmatchcase(group.key, pattern) for pattern in settings.allowed_groups)


def _by_tags(tags: Mapping[str, str]) -> Routing | None:
    """Tags that are wrong stop the routing: whoever set them meant something, and no route knows what."""
    named = {key: tags[key] for key in (APPLICATION_TAG, DEPLOYMENT_GROUP_TAG) if key in tags}
    others = {key: tags[key] for key in _BOTH_NAMES if key in tags}
    if not named and not others:
        return None
    problem = _group_problem(named) or next(filter(None, (_other_problem(*each) for each in others.items())), "")
    if problem:
        return Routing(problem=problem)
    groups = (DeploymentGroup(named[APPLICATION_TAG].strip(), named[DEPLOYMENT_GROUP_TAG].strip()),) if named else ()
    return Routing((*groups, *(_BOTH_NAMES[key](value) for key, value in others.items())), "alarm tags")


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
        _BOTH_NAMES[key](value)
    except ValueError as error:
        return f"The alarm's tag {key} {error}; it is {clean(value, 100)!r}."
    return ""


def _by_routes(alarm_name: str, settings: Settings) -> Routing | None:
    """Every route that fits counts, in the order in which they are written, each group once."""
    fitting = (found for found in settings.routes if fnmatchcase(alarm_name, found.alarm))
    groups = dict.fromkeys(found.group for found in fitting)
    return Routing(tuple(groups), "LASTGOOD_ROUTES") if groups else None


def _by_default(speaker: Speaker, settings: Settings) -> Routing:
    if settings.default_application and settings.default_deployment_group:
        group = DeploymentGroup(settings.default_application, settings.default_deployment_group)
        return Routing((group,), "default")
    return Routing(
        problem=f"Nothing says which deployment group the alarm {clean(speaker.alarm_name, 255)} speaks for. "
        f"Tag the alarm with {APPLICATION_TAG} and {DEPLOYMENT_GROUP_TAG} (or {ECS_SERVICE_TAG}, or {PIPELINE_TAG}), "
        "or add it to LASTGOOD_ROUTES."
    )
