"""The alarms that CodeDeploy's deployment groups list: they route an alarm where nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError
from lastgood.model import AlarmPlace, DeploymentGroup
from lastgood.routing import Speaker, is_allowed
from lastgood.settings import Settings

LASTS = timedelta(minutes=5)
"""The lists are remembered for this long: reading them takes calls for each application, and CodeDeploy allows few."""

MOST_AT_ONCE = 100
"""BatchGetDeploymentGroups takes this many names in one call."""


class GroupAlarms:
    """The lists as they were last read. This object lives as long as the execution environment."""

    def __init__(
        self, clients: Clients, settings: Settings, pool: ThreadPoolExecutor, clock: Callable[[], datetime]
    ) -> None:
        self._codedeploy = clients.codedeploy
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._known: Mapping[str, tuple[DeploymentGroup, ...]] = {}
        self._read_at: datetime | None = None

    def __call__(self, speaker: Speaker) -> tuple[DeploymentGroup, ...]:
        """The groups that list this alarm and that the settings allow; none if the setting is off.

        CodeDeploy knows alarms of its own region only. Raises RefusedError where applications may not be listed.
        """
        here = AlarmPlace.of(speaker.alarm_arn).region in {"", self._codedeploy.meta.region_name}
        if not (here and self._settings.group_alarms):
            return ()
        now = self._clock()
        if self._read_at is None or now - self._read_at > LASTS:
            self._known, self._read_at = self._read(), now
        return self._known.get(speaker.alarm_name, ())

    def _read(self) -> dict[str, tuple[DeploymentGroup, ...]]:
        applications = _pages(self._applications, "applications")
        by_alarm: dict[str, tuple[DeploymentGroup, ...]] = {}
        for listed in self._pool.map(self._of_application, list(applications)):
            for group, alarms in listed:
                by_alarm |= {name: (*by_alarm.get(name, ()), group) for name in alarms}
        return by_alarm

    def _of_application(self, application: str) -> list[tuple[DeploymentGroup, frozenset[str]]]:
        """Each allowed group of an application, with its list; the list is empty where it may not be read."""
        try:
            names = list(_pages(partial(self._groups, application), "deploymentGroups"))
        except RefusedError:
            return []
        allowed = [name for name in names if is_allowed(DeploymentGroup(application, name), self._settings)]
        batches = (allowed[at : at + MOST_AT_ONCE] for at in range(0, len(allowed), MOST_AT_ONCE))
        described = (info for some in batches for info in self._described(application, some))
        return [(DeploymentGroup(application, info["deploymentGroupName"]), _alarms(info)) for info in described]

    def _described(self, application: str, names: list[str]) -> list[dict[str, Any]]:
        """The groups' descriptions. One group that may not be read fails the whole call, so it is split in halves."""
        try:
            answer = call(
                self._codedeploy,
                "batch_get_deployment_groups",
                applicationName=application,
                deploymentGroupNames=names,
            )
        except RefusedError as error:
            half = len(names) // 2
            if not (half and error.permission_denied):
                return []
            return self._described(application, names[:half]) + self._described(application, names[half:])
        infos: list[dict[str, Any]] = answer.get("deploymentGroupsInfo", [])
        return infos

    def _applications(self, **page: Any) -> dict[str, Any]:
        return call(self._codedeploy, "list_applications", **page)

    def _groups(self, application: str, **page: Any) -> dict[str, Any]:
        return call(self._codedeploy, "list_deployment_groups", applicationName=application, **page)


def _pages(ask: Callable[..., dict[str, Any]], listed: str) -> Iterator[str]:
    answer = ask()
    yield from answer.get(listed, [])
    while token := answer.get("nextToken"):
        answer = ask(nextToken=token)
        yield from answer.get(listed, [])


def _alarms(info: Mapping[str, Any]) -> frozenset[str]:
    """The alarms that a group lists; none if the list is switched off, as CodeDeploy ignores it then."""
    watching = info.get("alarmConfiguration") or {}
    names = (alarm.get("name", "") for alarm in watching.get("alarms") or [])
    return frozenset(names) - {""} if watching.get("enabled") else frozenset()
