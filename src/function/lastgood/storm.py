"""Which deployment groups are in alarm at once: CloudWatch shows a storm before all of its messages have come."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from lastgood.alarms import Alarms, FiringAlarm
from lastgood.errors import RetryableError
from lastgood.fleets import speakers
from lastgood.model import Controls, DeploymentGroup, Policy, Rollback
from lastgood.routing import Lists, Speaker, speaks_for
from lastgood.settings import Settings

LOOKED_AT = 3
"""The tags of this many alarms are read for each group of the limit: a service mostly has two or three alarms."""


@dataclass(frozen=True)
class Storm:
    """What CloudWatch knows of a storm. The table only counts the messages that have come so far."""

    alarms: Alarms
    pool: ThreadPoolExecutor
    settings: Settings
    lists: Lists

    def reading(self, now: datetime, policy: Policy) -> list[Future[list[FiringAlarm]]]:
        """Reads the alarms that began to fire within the storm window, whether or not their messages have come.

        The accepted regions are read in parallel, so that a slow one does not hide the others.
        """
        since = now - policy.storm_window
        return [self.pool.submit(self.alarms.fired_since, since, region) for region in self.alarms.regions]

    def seen(self, rollback: Rollback, controls: Controls, fired: Sequence[FiringAlarm], policy: Policy) -> Controls:
        """The controls with the groups of these alarms added, where they may be too many for one release.

        Tags cost a call each, so they are read only when the alarms could amount to a storm.
        """
        known = controls.groups_in_alarm | {rollback.group.key}
        counted = [alarm for alarm in fired if controls.resumed_at is None or alarm.changed_at > controls.resumed_at]
        most = len(known) + sum(self._at_most(alarm, policy) for alarm in counted)
        if len(known) > policy.storm_groups or most <= policy.storm_groups:
            return controls
        asked = counted[: LOOKED_AT * policy.storm_groups]
        tags = self.pool.map(self.alarms.known_tags, [alarm.arn for alarm in asked])
        groups = {
            group.key
            for alarm, tagged in zip(asked, tags, strict=True)
            for _, spoken_for in speakers(alarm, tagged, self.alarms, self.settings, self._listed)
            for group in spoken_for
        }
        return replace(controls, groups_in_alarm=controls.groups_in_alarm | (groups - controls.unfounded_groups))

    def _listed(self, speaker: Speaker) -> tuple[DeploymentGroup, ...]:
        """The groups that list an alarm; none if the lists cannot be read now: the rollback does not wait for them."""
        try:
            return self.lists(speaker)
        except RetryableError:
            return ()

    def _at_most(self, alarm: FiringAlarm, policy: Policy) -> int:
        """How many groups an alarm may be for; an alarm over a fleet counts as enough for its series to be read."""
        routing = speaks_for(alarm, {}, self.settings)
        return policy.storm_groups if routing.lacks else max(1, len(routing.groups))
