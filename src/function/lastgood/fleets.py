"""Alarms over a fleet: the time series that fire speak for groups where the alarm as a whole does not."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.alarms import Alarms, FiringAlarm
from lastgood.model import DeploymentGroup
from lastgood.routing import Lists, speaks_for
from lastgood.settings import Settings


def speakers(
    alarm: FiringAlarm, tags: Mapping[str, str], alarms: Alarms, settings: Settings, lists: Lists
) -> list[tuple[FiringAlarm, tuple[DeploymentGroup, ...]]]:
    """The alarm, or its time series that fire where only those say which group is meant, each with its groups."""
    found = speaks_for(alarm, tags, settings, lists)
    if not found.lacks:
        return [(alarm, found.groups)]
    series = alarms.contributors(alarm.arn) or []
    return [(one, speaks_for(one, tags, settings).groups) for one in series]
