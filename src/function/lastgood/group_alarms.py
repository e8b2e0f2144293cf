"""The alarms that CodeDeploy's deployment groups list themselves: whose alarm it is, where nothing else says so."""

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
"""So long the lists are remembered: CodeDeploy has to be asked for each application, and lets few calls through."""

MOST_AT_ONCE = 100
"""BatchGetDeploymentGroups takes so many names in one call."""


class GroupAlarms:
    """The lists as they were when they were last read. It lives as long as the execution environment."""

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
        """The groups that list this alarm and that the settings allow. None of them without the setting.

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
        found: dict[str, tuple[DeploymentGroup, ...]] = {}
        for each in self._pool.map(self._of_application, list(applications)):
            for group, alarms in each:
                found |= {name: (*found.get(name, ()), group) for name in alarms}
        return found

    def _of_application(self, application: str) -> list[tuple[DeploymentGroup, frozenset[str]]]:
        """Each allowed group of an application, with its list. One that this stack may not read has none."""
        try:
            names = list(_pages(partial(self._groups, application), "deploymentGroups"))
        except RefusedError:
            return []
        allowed = [name for name in names if is_allowed(DeploymentGroup(application, name), self._settings)]
        parts = (allowed[at : at + MOST_AT_ONCE] for at in range(0, len(allowed), MOST_AT_ONCE))
        described = (info for part in parts for info in self._described(application, part))
        return [(DeploymentGroup(application, info["deploymentGroupName"]), _alarms(info)) for info in described]

    def _described(self, application: str, names: list[str]) -> list[dict[str, Any]]:
        """One group that may not be read spoils a whole call: the halves are asked, down to that group."""
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
        found: list[dict[str, Any]] = answer.get("deploymentGroupsInfo", [])
        return found

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
    """What a group lists; a list that is switched off names nothing, for CodeDeploy itself ignores it then."""
    watching = info.get("alarmConfiguration") or {}
    names = (each.get("name", "") for each in watching.get("alarms") or [])
    return frozenset(names) - {""} if watching.get("enabled") else frozenset()
