"""What a name that AWS does not know may have meant: deployment groups of every controller, alarms, stacks.

AWS is asked for its names only once one was not found. Where it may not be asked, no name is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lastgood.model import Controller, DeploymentGroup, controller_of, name_of, parse_place, prefix_of
from lastgood_cli import by_hand
from lastgood_cli.controllers import KNOWN
from lastgood_cli.near import nearest, there_is
from lastgood_cli.problems import Exit, Problem

if TYPE_CHECKING:
    from lastgood_cli.context import Session

MOST = 3
"""So many names are offered, and looked into, at most."""
type Make = Callable[[str], Any]
"""Makes boto3's client of a service."""


def near_groups(make: Make, group: DeploymentGroup) -> list[str]:
    """The keys of the groups, services or stages that may have been meant.

    Looked for among those of the application, cluster or pipeline that is named, and of those with a like name. Where
    the first half is right and nothing in it is like the second, some of what is in it.
    """
    known = KNOWN[group.controller]
    client = make(known.service)
    applications = _listed(partial(known.applications, client))
    if group.application in applications:
        names = _listed(partial(known.groups, client, group.application))
        near = nearest(group.deployment_group, names, MOST) or names[:MOST]
        return [_key(group, group.application, name) for name in near]
    alike = nearest(group.application, applications, MOST)
    keys = [_key(group, each, name) for each in alike for name in _listed(partial(known.groups, client, each))]
    return nearest(group.key, keys, MOST)


def near_applications(make: Make, controller: Controller, application: str) -> list[str] | None:
    """The applications, clusters or pipelines that may have been meant; None where it exists, or none may be listed."""
    known = KNOWN[controller]
    client = make(known.service)
    names = _listed(partial(known.applications, client))
    return None if not names or application in names else nearest(application, names, MOST)


def near_alarms(cloudwatch: Any, name: str) -> list[str]:
    """The names of the alarms, of any type, that may have been meant."""
    from lastgood_cli.coverage import all_alarms

    return nearest(name, _listed(lambda: (str(alarm["AlarmName"]) for alarm in all_alarms(cloudwatch))), MOST, 0.6)


def no_such_group(session: Session, group: DeploymentGroup) -> Problem:
    """That there is no group of that name, with those that may have been meant."""
    meant = there_is(near_groups(session.client, group))
    return Problem(f"There is no {group.key} in {session.region}{meant}", "lastgood alarms", Exit.NOT_FOUND)


def no_such_alarm(cloudwatch: Any, alarm: str) -> Problem:
    """That CloudWatch knows no alarm of that name or ARN in the client's region."""
    name = name_of(alarm)
    told = f"CloudWatch knows no alarm {name} in {cloudwatch.meta.region_name}{there_is(near_alarms(cloudwatch, name))}"
    return Problem(told, by_hand.similar_alarms("", name), Exit.NOT_FOUND)


def unknown_names(session: Session, application: str, alarm: str) -> str:
    """A sentence that there is no such application or alarm, where one is asked for that is no glob; else empty."""
    if application and not _is_glob(application):
        name = application.removeprefix(prefix_of(application))
        near = near_applications(session.client, controller_of(application), name)
        if near is not None:
            return f" There is no {application} in {session.region}{there_is(near)}."
    if alarm and not _is_glob(alarm):
        near = near_alarms(session.client("cloudwatch"), alarm)
        if near and alarm not in near:
            return f" CloudWatch knows no alarm {alarm} in {session.region}{there_is(near)}."
    return ""


def _is_glob(name: str) -> bool:
    return bool(set(name) & set("*?["))


def _key(like: DeploymentGroup, application: str, name: str) -> str:
    return parse_place(like.controller, f"{application}/{name}").key


def _listed(names: Callable[[], Iterator[str]]) -> list[str]:
    try:
        return list(names())
    except (BotoCoreError, ClientError):
        return []
