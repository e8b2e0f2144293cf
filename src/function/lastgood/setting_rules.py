"""How the text of each kind of setting is read. Every rule raises ValueError that says what the text must be.

Durations are written `90s`, `15m`, `2h`, `30d`; routes and pipelines are JSON lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, cast

from lastgood.model import (
    AfterRollback,
    Capabilities,
    Controller,
    DeploymentGroup,
    controller_of,
    controllers,
    parse_place,
    prefix_of,
)
from lastgood.placeholders import parse_pattern, placeholders, split_names, stand_in

_DURATION = re.compile(r"(\d{1,6})([smhd])")
LONGEST = timedelta(days=3650)
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PIPELINE_OPTIONS = {"after_rollback", "hold", "stage"}
# CodePipeline's own rule for the names of pipelines and stages.
_PIPELINE_NAME = re.compile(r"[A-Za-z0-9.@_-]{1,100}")


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `30d` → timedelta. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be a duration such as 90s, 15m, 2h or 30d")
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if span > LONGEST:
        raise ValueError("must be at most 3650d")
    return span


def at_least(least: str) -> Callable[[str], timedelta]:
    """The rule for a duration that would make no sense, or do harm, below `least`."""
    floor = parse_duration(least)

    def parse(text: str) -> timedelta:
        span = parse_duration(text)
        if span < floor:
            raise ValueError(f"must be at least {least}")
        return span

    return parse


def _globs(can: Capabilities, names: list[str]) -> str:
    """Both names of what a pipeline releases to, as globs with a slash between."""
    place = "/".join(names)
    if place.count("/") == 1:
        return place
    rule = f"must be {can.written}" if len(names) == 1 else "must have no slash in them"
    raise ValueError(f"{_quoted(*can.address)} of a pipeline {rule}")


class FileExists(StrEnum):
    """CodeDeploy's `fileExistsBehavior`."""

    DISALLOW = "DISALLOW"
    OVERWRITE = "OVERWRITE"
    RETAIN = "RETAIN"


@dataclass(frozen=True, slots=True)
class Route:
    """An alarm's name or ARN, as a glob, and the deployment group that the alarm is for.

    Both may have placeholders: those in the alarm's glob are filled from its name, others from the attributes of the
    time series that fired.
    """

    alarm: str
    application: str
    deployment_group: str
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def target(self) -> DeploymentGroup:
        """Where the route leads; with its placeholders, where it has any."""
        return DeploymentGroup(self.application, self.deployment_group, self.controller)

    @property
    def group(self) -> DeploymentGroup | None:
        """Where the route leads; None where that depends on the alarm."""
        return None if "<" in self.application + self.deployment_group else self.target


@dataclass(frozen=True, slots=True)
class PipelineRule:
    """The pipeline that releases to some deployment groups, and what is done with it after a rollback.

    `groups`: a glob over `application/deployment_group`, or over `ecs:cluster/service` for services that ECS itself
    deploys. `after_rollback`: tell people how to re-run it for the good commit, re-run it, or neither. `hold`: the
    stage whose inbound transition is disabled then; empty for none. `stage`: the stage that is rolled back instead of
    the group, where a stack holds what the group deploys.
    """

    groups: str
    pipeline: str
    after_rollback: AfterRollback = AfterRollback.TELL
    hold: str = ""
    stage: str = ""

    def covers(self, group: DeploymentGroup) -> bool:
        """Whether the rule is for this group. A glob of deployment groups, however wide, covers no service or stage."""
        return prefix_of(self.groups) == prefix_of(group.key) and fnmatchcase(group.key, self.groups)


def parse_text(value: str) -> str:
    return value.strip()


def parse_flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value == "true"


def parse_count(value: str) -> int:
    if not re.fullmatch(r"\d{1,4}", value):
        raise ValueError("must be a whole number from 0 to 9999")
    return int(value)


def parse_globs(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def parse_regions(value: str) -> tuple[str, ...]:
    regions = parse_globs(value)
    if not all(_REGION.fullmatch(region) for region in regions):
        raise ValueError("must be names of regions, such as us-east-1, separated by commas")
    return tuple(dict.fromkeys(regions))


# A text or a list that is set to nothing is empty; any other setting that is set to nothing counts as not set.
EMPTY_MEANS_NONE = (parse_text, parse_globs)


def one_of[Choice: StrEnum](kind: type[Choice]) -> Callable[[str], Choice]:
    def parse(value: str) -> Choice:
        try:
            return kind(value)
        except ValueError:
            raise ValueError("must be one of " + ", ".join(kind)) from None

    return parse


def parse_routes(value: str) -> tuple[Route, ...]:
    return tuple(_route(row) for row in _rows(value))


def _rows(value: str) -> list[object]:
    try:
        rows = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON list") from None
    if not isinstance(rows, list):
        raise ValueError("must be a JSON list")
    return rows


def parse_pipelines(value: str) -> tuple[PipelineRule, ...]:
    return tuple(_pipeline(row) for row in _rows(value))


def _pipeline(row: object) -> PipelineRule:
    released = [can for can in controllers().values() if not can.deployments_are_runs]
    named = set(row) - _PIPELINE_OPTIONS if isinstance(row, dict) else set()
    can = next((can for can in released if named == {*can.address, "pipeline"}), None)
    if can is None:
        either = " or ".join(_quoted(*group.address) for group in released)
        raise ValueError(
            f'each pipeline must have "pipeline" and either {either}, may have "after_rollback", "hold" and "stage", '
            "and nothing else"
        )
    values: dict[str, Any] = {**_texts(row, "a pipeline", lambda _: 255)}
    groups = can.key_prefix + _globs(can, [values.pop(name) for name in can.address])
    try:
        after = one_of(AfterRollback)(values.pop("after_rollback", AfterRollback.TELL))
    except ValueError as error:
        raise ValueError(f'"after_rollback" {error}') from None
    rule = PipelineRule(groups, after_rollback=after, **values)
    if not all(_PIPELINE_NAME.fullmatch(name) for name in filter(None, (rule.pipeline, rule.hold, rule.stage))):
        raise ValueError('"pipeline", "hold" and "stage" must be the names of a pipeline and of stages, not patterns')
    if rule.hold and rule.after_rollback is AfterRollback.RERUN:
        raise ValueError('"hold" and "after_rollback": "rerun" exclude each other: the held stage stops the re-run')
    return rule


def _route(row: object) -> Route:
    ways = {frozenset({"alarm", *can.address}): controller for controller, can in controllers().items()}
    if not isinstance(row, dict) or frozenset(row) not in ways:
        forms = (_quoted("alarm", *can.address) for can in controllers().values())
        raise ValueError(f"each route must have exactly {', or '.join(forms)}")
    values, controller = _texts(row, "a route", _longest), ways[frozenset(row)]
    if prefix := prefix_of(values.get("application", "")):
        instead = controllers()[controller_of(prefix)]
        told = f"name the {instead.called} with {_quoted(*instead.address)} instead"
        raise ValueError(f'an "application" of a route begins with {prefix}; {told}')
    _check_placeholders(values)
    names = _names(controller, tuple(values[key] for key in controllers()[controller].address))
    return Route(values["alarm"], *names, controller)


def _texts(row: object, of: str, longest: Callable[[str], int]) -> dict[str, str]:
    """The texts of a row, without the blanks around them."""
    values = cast(dict[str, Any], row)
    if not all(isinstance(value, str) and 0 < len(value.strip()) <= longest(key) for key, value in values.items()):
        raise ValueError(f"each value of {of} must be a text of 1 to 255 characters")
    return {key: value.strip() for key, value in values.items()}


def _longest(key: str) -> int:
    """A value that holds both names may be as long as two, with the slash between."""
    return 511 if (key,) in {can.address for can in controllers().values()} else 255


def _names(controller: Controller, values: tuple[str, ...]) -> tuple[str, str]:
    """Both names of what a route leads to; what is not a placeholder in them has to be valid in a name."""
    can = controllers()[controller]
    if not can.key_prefix:
        return values[0], values[1]
    try:
        parse_place(controller, stand_in("/".join(values)))
        return (values[0], values[1]) if len(values) > 1 else split_names(values[0])
    except ValueError as error:
        first, second = can.written.split("/")
        why = str(error) if len(values) == 1 else f"must be the names of a {first} and of a {second}"
        raise ValueError(f"a route's {_quoted(*can.address)} {why}") from None


def _quoted(*names: str) -> str:
    *most, last = (f'"{name}"' for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def _check_placeholders(values: dict[str, str]) -> None:
    """A placeholder that the alarm's name fills has to be used: where it is not, another one is misspelt."""
    alarm = values["alarm"]
    used: set[str] = set()
    for key, text in values.items():
        try:
            filled = placeholders(text) if key != "alarm" else ()
        except ValueError as error:
            raise ValueError(f'a route\'s "{key}" {error}') from None
        used |= set(filled)
    try:
        named = parse_pattern(alarm).placeholders
    except ValueError as error:
        raise ValueError(f'a route\'s "alarm" {error}: {alarm!r}') from None
    if unused := next((name for name in named if name not in used), ""):
        raise ValueError(
            f'a route\'s "alarm" {alarm!r} has <{unused}>, which names no part of the group; write * for what does not '
            "matter"
        )
