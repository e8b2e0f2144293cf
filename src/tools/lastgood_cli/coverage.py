"""Which alarms lead to which deployment groups: what is covered, what is not, and what leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lastgood.alarms import listed, types
from lastgood.model import AlarmPlace, DeploymentGroup
from lastgood.placeholders import parse_pattern
from lastgood.routing import (
    APPLICATION_TAG,
    BY_GROUPS,
    DEPLOYMENT_GROUP_TAG,
    Routing,
    is_allowed,
    route,
)
from lastgood.settings import Settings
from lastgood.signals import AlarmSignal
from lastgood_cli.alarm_paths import at_home, points_here
from lastgood_cli.controllers.codedeploy import applications, groups
from lastgood_cli.lookout import Lookout

_GROUP_BY = re.compile(r"\bGROUP\s+BY\s+(.+?)(?:\s+ORDER\s+BY\b|\s+LIMIT\b|$)", re.IGNORECASE | re.DOTALL)
TAGS = ("lastgood:application", "lastgood:deployment-group", "lastgood:ecs-service", "lastgood:pipeline")


class Covers(StrEnum):
    """How far an alarm gets."""

    YES = "yes"
    UNCONFIRMED = "without data"
    SILENT = "its actions are off"
    UNHEARD = "it does not tell lastgood"
    NOT_ALLOWED = "the group is not allowed"
    SERIES = "each of its series"
    NOWHERE = "it leads nowhere"


_COVERING = frozenset({Covers.YES, Covers.UNCONFIRMED, Covers.SERIES})


@dataclass(frozen=True, slots=True)
class Way:
    """One alarm, where it leads, by what, and how far it gets.

    Of an alarm over a fleet: where a time series of it may lead. Which series it has, CloudWatch does not list.
    """

    alarm: str
    state: str
    groups: tuple[DeploymentGroup, ...]
    by: str
    covers: Covers


@dataclass(frozen=True, slots=True)
class Coverage:
    """All of an account's region.

    `unconnected`: how many other alarms there are, without those that watch lastgood. `uncovered`: deployment groups of
    CodeDeploy that no alarm leads to.
    """

    ways: tuple[Way, ...]
    unconnected: int
    uncovered: tuple[DeploymentGroup, ...]

    @property
    def groups(self) -> tuple[DeploymentGroup, ...]:
        """Every deployment group that an alarm leads to."""
        return tuple(sorted({group for way in self.ways for group in way.groups}))


def all_alarms(cloudwatch: Any) -> list[dict[str, Any]]:
    """Every alarm, as `DescribeAlarms` describes it: one call for each hundred."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=types(cloudwatch))
    return [alarm for page in pages for alarm in listed(page)]


def every_alarm(eyes: Lookout) -> list[dict[str, Any]]:
    """Every alarm that lastgood accepts: those of this region, and of the other regions that are named."""
    places = (AlarmPlace(), *(AlarmPlace(region=each) for each in eyes.settings.alarm_regions))
    return [alarm for place in places for alarm in all_alarms(eyes.clients.cloudwatch_at(place))]


def grouped_by(alarm: Mapping[str, Any]) -> frozenset[str]:
    """The attributes by which an alarm's query makes time series of their own."""
    queries = [str(each.get("Expression", "")) for each in alarm.get("Metrics") or []]
    found = (match[1] for query in queries for match in _GROUP_BY.finditer(query))
    return frozenset(name.strip().strip('"') for names in found for name in names.split(","))


def all_tags(tagging: Any) -> dict[str, dict[str, str]]:
    """The tags of every tagged alarm by its ARN: one call for each hundred, not one for each alarm."""
    pages = tagging.get_paginator("get_resources").paginate(ResourceTypeFilters=["cloudwatch:alarm"])
    found = (each for page in pages for each in page["ResourceTagMappingList"])
    return {each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found}


def every_group(codedeploy: Any) -> Iterator[DeploymentGroup]:
    """Every deployment group of CodeDeploy here."""
    for application in applications(codedeploy):
        yield from (DeploymentGroup(application, name) for name in groups(codedeploy, application))


def look(eyes: Lookout, tagging: Any, function_arn: str) -> Coverage:
    """The coverage as it is now."""
    tags = all_tags(tagging)
    for region in eyes.settings.alarm_regions:
        tags |= all_tags(eyes.clients.session.client("resourcegroupstaggingapi", region_name=region))
    alarms = every_alarm(eyes)
    known = sorted({group for group in every_group(eyes.clients.codedeploy) if is_allowed(group, eyes.settings)})
    found = (_way(eyes, alarm, tags.get(alarm["AlarmArn"], {}), function_arn, known) for alarm in alarms)
    ways = tuple(way for way in found if way)
    covered = {group for way in ways if way.covers in _COVERING for group in way.groups}
    others = [
        alarm for alarm in alarms if eyes.settings.notification_topic_arn not in (alarm.get("AlarmActions") or ())
    ]
    return Coverage(ways, max(0, len(others) - len(ways)), tuple(group for group in known if group not in covered))


def _way(
    eyes: Lookout,
    alarm: Mapping[str, Any],
    tags: Mapping[str, str],
    function_arn: str,
    known: Sequence[DeploymentGroup],
) -> Way | None:
    """Where an alarm leads; None where it has nothing to do with lastgood."""
    signal = eyes.signal_of(alarm["AlarmName"], alarm)
    routing = route(signal, tags, eyes.settings, eyes.observer.group_alarms)
    heard = points_here(alarm, eyes.settings, function_arn)
    if heard and not routing.groups:
        # The index of tags may be late, or know nothing of alarms: ask about this one, as the function does.
        routing = eyes.routing(signal)
    if not heard and not (set(tags) & set(TAGS) or routing.source in {"LASTGOOD_ROUTES", BY_GROUPS}):
        return None
    covers = _covers(alarm, routing, heard, eyes.settings)
    name = alarm["AlarmName"] if at_home(alarm["AlarmArn"], function_arn) else alarm["AlarmArn"]
    if covers is not Covers.SERIES:
        return Way(name, alarm["StateValue"], routing.groups, routing.source, covers)
    reached = tuple(group for group in known if _reaches(alarm, signal, tags, eyes.settings, group))
    return Way(name, alarm["StateValue"], reached, f"the series' {routing.lacks}", covers)


def _reaches(
    alarm: Mapping[str, Any], signal: AlarmSignal, tags: Mapping[str, str], settings: Settings, group: DeploymentGroup
) -> bool:
    """Whether a time series of the alarm would lead to the group, if it had the attributes that the group's names ask.

    The function's own routing judges; here it is only guessed which attributes to show it.
    """
    named = [(each.application, each.deployment_group) for each in settings.routes]
    if {APPLICATION_TAG, DEPLOYMENT_GROUP_TAG} <= tags.keys():
        named.append((tags[APPLICATION_TAG], tags[DEPLOYMENT_GROUP_TAG]))
    by = grouped_by(alarm)
    for application, deployment_group in named:
        ways = product(_bindings(application, group.application), _bindings(deployment_group, group.deployment_group))
        for one, other in ways:
            attributes = {name: value for name, value in (one | other).items() if name in by}
            if group in route(replace(signal, attributes=attributes), tags, settings).groups:
                return True
    return False


def _bindings(text: str, name: str) -> list[dict[str, str]]:
    """The values that the placeholders of a text have where it says this name; none where several would do."""
    try:
        return list(parse_pattern(text).bindings(name))
    except ValueError:
        return []


def _covers(alarm: Mapping[str, Any], routing: Routing, heard: bool, settings: Settings) -> Covers:
    groups = routing.groups
    if routing.lacks in grouped_by(alarm) and heard and alarm.get("ActionsEnabled", True):
        return Covers.SERIES
    if not groups:
        return Covers.NOWHERE
    if not heard:
        return Covers.UNHEARD
    if not alarm.get("ActionsEnabled", True):
        return Covers.SILENT
    if not any(is_allowed(group, settings) for group in groups):
        return Covers.NOT_ALLOWED
    return Covers.UNCONFIRMED if alarm["StateValue"] == "INSUFFICIENT_DATA" else Covers.YES


def known_groups(codedeploy: Any) -> list[DeploymentGroup]:
    """The same as `every_group`; empty where they may not be listed."""
    try:
        return list(every_group(codedeploy))
    except (BotoCoreError, ClientError):
        return []
