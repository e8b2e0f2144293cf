"""Which alarms lead to which deployment groups: what is covered, what is not, and what leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lastgood.alarms import listed, types
from lastgood.model import AlarmPlace, DeploymentGroup
from lastgood.routing import Routing, is_allowed, route
from lastgood.settings import Settings
from lastgood_cli.alarm_paths import at_home, points_here
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


@dataclass(frozen=True, slots=True)
class Way:
    """One alarm, where it leads, by what, and how far it gets."""

    alarm: str
    state: str
    groups: tuple[DeploymentGroup, ...]
    by: str
    covers: Covers


@dataclass(frozen=True, slots=True)
class Coverage:
    """All of an account's region. `uncovered`: deployment groups of CodeDeploy that no alarm leads to."""

    ways: tuple[Way, ...]
    unconnected: int
    uncovered: tuple[DeploymentGroup, ...]

    @property
    def groups(self) -> tuple[DeploymentGroup, ...]:
        """Every deployment group that an alarm leads to."""
        return tuple(sorted({group for way in self.ways for group in way.groups}))


def all_alarms(cloudwatch: Any) -> list[dict[str, Any]]:
    """Every alarm, as `DescribeAlarms` tells it: one call for each hundred."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=types(cloudwatch))
    return [alarm for page in pages for alarm in listed(page)]


def every_alarm(eyes: Lookout) -> list[dict[str, Any]]:
    """Every alarm that may command: of this region, and of the others that are named."""
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
    for page in codedeploy.get_paginator("list_applications").paginate():
        for application in page["applications"]:
            groups = codedeploy.get_paginator("list_deployment_groups").paginate(applicationName=application)
            yield from (DeploymentGroup(application, name) for each in groups for name in each["deploymentGroups"])


def look(eyes: Lookout, tagging: Any, function_arn: str) -> Coverage:
    """The coverage as it is now."""
    tags = all_tags(tagging)
    for region in eyes.settings.alarm_regions:
        tags |= all_tags(eyes.clients.session.client("resourcegroupstaggingapi", region_name=region))
    alarms = every_alarm(eyes)
    ways = tuple(way for alarm in alarms if (way := _way(eyes, alarm, tags.get(alarm["AlarmArn"], {}), function_arn)))
    covered = {group for way in ways if way.covers in {Covers.YES, Covers.UNCONFIRMED} for group in way.groups}
    known = (group for group in every_group(eyes.clients.codedeploy) if is_allowed(group, eyes.settings))
    return Coverage(ways, len(alarms) - len(ways), tuple(sorted(set(known) - covered)))


def _way(eyes: Lookout, alarm: Mapping[str, Any], tags: Mapping[str, str], function_arn: str) -> Way | None:
    """Where an alarm leads; None where it has nothing to do with lastgood."""
    signal = eyes.signal_of(alarm["AlarmName"], alarm)
    routing = route(signal, tags, eyes.settings)
    heard = points_here(alarm, eyes.settings, function_arn)
    if heard and not routing.groups:
        # The index of tags may be late, or know nothing of alarms: ask about this one, as the function does.
        routing = eyes.routing(signal)
    if not heard and not (set(tags) & set(TAGS) or routing.source.startswith("LASTGOOD_ROUTES")):
        return None
    covers = _covers(alarm, routing, heard, eyes.settings)
    name = alarm["AlarmName"] if at_home(alarm["AlarmArn"], function_arn) else alarm["AlarmArn"]
    return Way(name, alarm["StateValue"], routing.groups, routing.source, covers)


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


def nearest(group: DeploymentGroup, known: Iterable[DeploymentGroup]) -> list[str]:
    """The names that a misspelt one may have meant, the likeliest first."""
    from difflib import get_close_matches

    return get_close_matches(group.key, [each.key for each in known], n=3, cutoff=0.5)


def known_groups(codedeploy: Any) -> list[DeploymentGroup]:
    """The same as `every_group`; empty where they may not be listed."""
    try:
        return list(every_group(codedeploy))
    except (BotoCoreError, ClientError):
        return []
