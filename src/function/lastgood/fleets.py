"""Alarms over a fleet: the time series that fire say which groups are meant, where the alarm as a whole does not."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.alarms import Alarms, FiringAlarm
from lastgood.model import DeploymentGroup
from lastgood.routing import Lists, speaks_for
from lastgood.settings import Settings


def speakers(
    alarm: FiringAlarm, tags: Mapping[str, str], alarms: Alarms, settings: Settings, lists: Lists
) -> list[tuple[FiringAlarm, tuple[DeploymentGroup, ...]]]:
    """The alarm with its groups; or each firing time series with its own, where only these say which group is meant."""
    routing = speaks_for(alarm, tags, settings, lists)
    if not routing.lacks:
        return [(alarm, routing.groups)]
    series = alarms.contributors(alarm.arn) or []
    return [(one, speaks_for(one, tags, settings).groups) for one in series]
