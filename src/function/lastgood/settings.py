"""The function's settings: one frozen value, read once from the environment, all problems reported at once.

Durations are written `90s`, `15m`, `2h`, `30d`. `Settings` is the only list of the settings: the template, the
README's table and the tests are checked against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, cast

from lastgood.errors import SettingsError
from lastgood.model import Controller, DeploymentGroup, Mode, Policy

_DURATION = re.compile(r"(\d{1,6})([smhd])")
LONGEST = timedelta(days=3650)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ROUTE_KEYS = {"alarm", "application", "deployment_group"}
_SERVICE_ROUTE_KEYS = {"alarm", "ecs_service"}
_LONGEST = {"ecs_service": 511}
# The names that ECS allows for clusters and services.
_ECS_SERVICE = re.compile(r"([A-Za-z0-9_-]{1,255})/([A-Za-z0-9_-]{1,255})")


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `30d` → timedelta. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be a duration such as 90s, 15m, 2h or 30d")
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if span > LONGEST:
        raise ValueError("must be at most 3650d")
    return span


def parse_ecs_service(text: str) -> DeploymentGroup:
    """`cluster/service` → the service as ECS itself deploys it. Raises ValueError for anything else."""
    match = _ECS_SERVICE.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be cluster/service, the two names with a slash between")
    return DeploymentGroup(match[1], match[2], Controller.ECS)


@dataclass(frozen=True, slots=True)
class Route:
    """An alarm's name, as a glob, and the deployment group that it speaks for."""

    alarm: str
    application: str
    deployment_group: str
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def group(self) -> DeploymentGroup:
        """Where the route leads."""
        return DeploymentGroup(self.application, self.deployment_group, self.controller)


def _text(value: str) -> str:
    return value.strip()


def _flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value == "true"


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,4}", value):
        raise ValueError("must be a whole number from 0 to 9999")
    return int(value)


def _globs(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


# Set to nothing, a text or a list is empty; any other setting is then as if it were not set.
_EMPTY_MEANS_NONE = (_text, _globs)


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError("must be one of " + ", ".join(allowed))
        return value

    return parse


def _mode(value: str) -> Mode:
    return Mode(_choice(*Mode)(value))


def _routes(value: str) -> tuple[Route, ...]:
    try:
        rows = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON list") from None
    if not isinstance(rows, list):
        raise ValueError("must be a JSON list")
    return tuple(_route(row) for row in rows)


def _route(row: object) -> Route:
    if not isinstance(row, dict) or set(row) not in (_ROUTE_KEYS, _SERVICE_ROUTE_KEYS):
        raise ValueError(
            'each route must have exactly "alarm", "application" and "deployment_group", or "alarm" and "ecs_service"'
        )
    values = cast(dict[str, Any], row)
    if not all(
        isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST.get(key, 255) for key, value in row.items()
    ):
        raise ValueError("each value of a route must be a text of 1 to 255 characters")
    if values.get("application", "").strip().startswith("ecs:"):
        raise ValueError('an "application" of a route begins with ecs:; name the service with "ecs_service" instead')
    if "ecs_service" not in values:
        return Route(**{key: value.strip() for key, value in values.items()})
    try:
        group = parse_ecs_service(values["ecs_service"])
    except ValueError as error:
        raise ValueError(f'a route\'s "ecs_service" {error}') from None
    return Route(values["alarm"].strip(), group.application, group.deployment_group, group.controller)


def _setting(default: str | None, parse: Callable[[str], Any], about: str) -> Any:
    """A field of Settings: its default as it is written in the environment (None: required), and its rule."""
    return field(metadata={"default": default, "parse": parse, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; the variable of `attribution_window` is `LASTGOOD_ATTRIBUTION_WINDOW`."""

    table: str = _setting(None, _text, "The audit table's name.")
    notification_topic_arn: str = _setting("", _text, "Where notices go. Empty: no notices.")
    event_bus: str = _setting("default", _text, "The EventBridge bus for outcome events. Empty: none.")
    account_id: str = _setting(
        "", _text, "This account: alarms of another account or region are refused. Empty: not checked."
    )
    alarm_topic_arns: tuple[str, ...] = _setting(
        "", _globs, "Topics whose messages are accepted, separated by commas. Empty: any that may invoke the function."
    )
    mode: Mode = _setting("auto", _mode, "How far lastgood goes by itself: auto, approve, observe or off.")
    kill_switch: bool = _setting("false", _flag, "The break-glass: true stops every rollback, with no table needed.")
    routes: tuple[Route, ...] = _setting(
        "[]", _routes, "Alarm name globs and their deployment groups or ECS services, as JSON."
    )
    default_application: str = _setting("", _text, "The application of alarms that no tag and no route claims.")
    default_deployment_group: str = _setting("", _text, "The deployment group of such alarms.")
    allowed_groups: tuple[str, ...] = _setting(
        "*",
        _globs,
        "Globs of application/deployment-group, or ecs:cluster/service, that may be rolled back at all, separated by "
        "commas.",
    )
    attribution_window: timedelta = _setting("1h", parse_duration, "How long after a deployment an alarm may blame it.")
    evaluation_window: timedelta = _setting(
        "5m", parse_duration, "How far back an alarm looks, where its message does not say."
    )
    max_signal_age: timedelta = _setting("15m", parse_duration, "An alarm older than this starts nothing.")
    require_still_in_alarm: bool = _setting("true", _flag, "Whether an alarm that has recovered starts nothing.")
    cooldown: timedelta = _setting("30m", parse_duration, "The rest after a rollback of the same deployment group.")
    max_rollbacks: int = _setting("3", _count, "Rollbacks of one deployment group in the rollback window. 0: no limit.")
    rollback_window: timedelta = _setting("24h", parse_duration, "The window in which rollbacks are counted.")
    storm_groups: int = _setting(
        "5", _count, "More deployment groups than this in alarm within the storm window stop all rollbacks. 0: never."
    )
    storm_window: timedelta = _setting("10m", parse_duration, "The window in which alarmed groups are counted.")
    stop_without_target: str = _setting(
        "first-deployment",
        _choice("never", "first-deployment", "always"),
        "Whether a deployment is stopped when nothing can be put back: first-deployment stops it only where no earlier "
        "good revision exists, always also where only revisions below the floor or known bad ones do.",
    )
    native_rollback: bool = _setting("true", _flag, "Let CodeDeploy flip the traffic back itself where it can.")
    server_deployment_config: str = _setting(
        "CodeDeployDefault.AllAtOnce", _text, "Deployment configuration of rollbacks to servers. Empty: the group's."
    )
    lambda_deployment_config: str = _setting(
        "CodeDeployDefault.LambdaAllAtOnce", _text, "The same for Lambda. Empty: the group's."
    )
    ecs_deployment_config: str = _setting(
        "CodeDeployDefault.ECSAllAtOnce", _text, "The same for ECS. Empty: the group's."
    )
    file_exists_behavior: str = _setting(
        "OVERWRITE", _choice("DISALLOW", "OVERWRITE", "RETAIN"), "What a rollback does with files it finds on servers."
    )
    ignore_application_stop_failures: bool = _setting(
        "true", _flag, "Go on when the scripts of the revision that is replaced fail."
    )
    check_bundles: bool = _setting(
        "false",
        _flag,
        "Look whether a bundle is still in S3 and what its tags say, before anything is stopped; needs s3:GetObject "
        "and s3:GetObjectTagging on it.",
    )
    release_in_alarm: str = _setting(
        "tell",
        _choice("ignore", "tell", "rollback"),
        "What to do when a release comes while its alarm fires already, for then CloudWatch sends no message: tell "
        "people, or also roll it back when the alarm still fires some time after the release is done.",
    )
    release_in_alarm_grace: timedelta = _setting("10m", parse_duration, "How long that alarm may go on firing.")
    appspec_hooks: str = _setting(
        "keep", _choice("keep", "drop"), "Whether a rollback runs the validation functions of the old AppSpec."
    )
    override_alarms: bool = _setting(
        "true", _flag, "Switch the group's own alarms off for the rollback; without it a firing alarm stops it at once."
    )
    deadline: timedelta = _setting("2h", parse_duration, "After this an open rollback is closed as failed.")
    approval_expiry: timedelta = _setting("30m", parse_duration, "How long a plan waits for approval.")
    recovery_window: timedelta = _setting("15m", parse_duration, "How long the alarm is watched after a rollback.")
    retention: timedelta = _setting("400d", parse_duration, "How long audit records are kept.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting. Raises SettingsError with all problems, each by its variable's name."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for spec in fields(cls):
            name, default = variable(spec.name), spec.metadata["default"]
            parse = spec.metadata["parse"]
            text = environ.get(name, "").strip() or default
            if name in environ and default and parse in _EMPTY_MEANS_NONE:
                text = environ[name]
            if text is None:
                problems.append(f"{name} is missing: {spec.metadata['about']}")
                continue
            try:
                values[spec.name] = parse(text.strip())
            except ValueError as error:
                problems.append(f"{name}: {error}; it is {text[:80]!r}")
        if bool(values.get("default_application")) != bool(values.get("default_deployment_group")):
            problems.append("LASTGOOD_DEFAULT_APPLICATION and LASTGOOD_DEFAULT_DEPLOYMENT_GROUP go together")
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    def policy(self) -> Policy:
        """The settings that decisions need, before any operator's item is laid over them."""
        return Policy(**{spec.name: getattr(self, spec.name) for spec in fields(Policy) if hasattr(self, spec.name)})


def variable(field_name: str) -> str:
    """The environment variable of a setting."""
    return "LASTGOOD_" + field_name.upper()


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """`LASTGOOD_…` variables that are no settings: `health` reports them, for a misspelt one changes nothing."""
    known = {variable(spec.name) for spec in fields(Settings)}
    return sorted(name for name in environ if name.startswith("LASTGOOD_") and name not in known)
