"""What an operator asks for: the fields of each action are checked against the table, and each is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Never

from lastgood.model import DeploymentGroup, Mode, parse_ecs_service, parse_stage
from lastgood.setting_rules import parse_duration
from lastgood.signals.actions import ACTIONS, ECS_SERVICE, EXAMPLES, GROUP, STAGE
from lastgood.signals.fields import (
    DEPLOYMENT_ID,
    EXECUTION_ID,
    MAX_REASON,
    Refuse,
    group_name,
    kind_of,
    reject,
)
from lastgood.signals.types import Delivery, DrillSignal, HealthRequest, OperatorRequest, Results, Signal, SweepSignal
from lastgood.text import clean, is_plain, read_time, without_surrogates

MAX_REQUESTED_BY = 200
FURTHEST_UNTIL = timedelta(days=3660)

# No document gives the shape of a service deployment's id; the examples have 20 to 22 of these characters.
SERVICE_DEPLOYMENT_ID = re.compile(r"[A-Za-z0-9_-]{8,64}(?:/rollback|/revision)?")


def read_operator_event(event: dict[str, Any], delivery: Delivery) -> Results:
    """A queue keeps messages for days. An operator asks now, and must be allowed to invoke the function."""
    if delivery.queued:
        reject("queued_request", "An operator's request came through a queue.", "Invoke the function with it.")
    return (read_operator(event, delivery.now),)


def read_operator(event: dict[str, Any], now: datetime) -> Signal:
    name = event["action"]
    if not isinstance(name, str) or name not in ACTIONS:
        told = repr(clean(name, 40)) if isinstance(name, str) else kind_of(name)
        hint = f"{_did_you_mean(name, ACTIONS)}Actions are: {', '.join(ACTIONS)}. {_copy('rollback')}"
        reject("unknown_action", f"The action is {told}.", hint)
    _check_fields(event, name)
    does = ACTIONS[name].does
    return does if isinstance(does, SweepSignal | DrillSignal | HealthRequest) else _request(event, name, now)


def _check_fields(event: dict[str, Any], name: str) -> None:
    """Unknown fields are refused: a typo in `dry_run` must not become a real rollback."""
    action = ACTIONS[name]
    unknown = [field for field in event if field not in action.known]
    if unknown:
        hint = f"{_did_you_mean(unknown[0], action.known)}Fields of {name} are: {', '.join(action.known)}. "
        told = ", ".join(clean(str(field), 40) for field in unknown[:5])
        reject("unknown_field", f"Unknown to {name}: {told}.", hint + _copy(name))
    ways = [way for way in ((ECS_SERVICE,), STAGE, GROUP) if any(field in event for field in way)]
    if len(ways) > 1:
        told = "application and deployment_group, or ecs_service, or pipeline and stage: one of them"
        reject("two_groups", f"{name} takes {told}.", _copy(name))
    instead = ways[0] if ways and ways[0] != GROUP else ()
    missing = [field for field in instead if field not in event]
    missing += [field for field in action.required if event.get(field) is None and not (instead and field in GROUP)]
    if missing:
        reject("missing_field", f"{name} needs {' and '.join(missing)}.", _copy(name))


def _request(event: dict[str, Any], name: str, now: datetime) -> OperatorRequest:
    def refuse(code: str, message: str) -> Never:
        reject(code, message, _copy(name))

    given = {field: value for field, value in event.items() if field != "action"}
    fields = _SERVICE_FIELDS if ECS_SERVICE in given else _STAGE_FIELDS if STAGE[0] in given else _FIELDS
    values = {field: fields[field](value, field, now, refuse) for field, value in given.items()}
    group: DeploymentGroup | None = values.pop(ECS_SERVICE, None)
    if STAGE[0] in values:
        group = _stage(values.pop(STAGE[0]), values.pop(STAGE[1]), refuse)
    if group:
        values |= {name: getattr(group, name) for name in (*GROUP, "controller")}
    request = OperatorRequest(action=name, **values)
    if bool(request.application) != bool(request.deployment_group):
        refuse("missing_field", f"{name} takes application and deployment_group together, or neither.")
    return request


def _name_field(value: object, name: str, now: datetime, refuse: Refuse) -> str:
    return group_name(value, name, refuse)


def _text_field(limit: int) -> Callable[[object, str, datetime, Refuse], str]:
    def read(value: object, name: str, now: datetime, refuse: Refuse) -> str:
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= limit:
            refuse("bad_field", f"{name} must be a text of 1 to {limit} characters.")
        return clean(without_surrogates(value.strip()), limit)

    return read


def _rollback_id_field(value: object, name: str, now: datetime, refuse: Refuse) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= MAX_REQUESTED_BY or not is_plain(value):
        refuse("bad_field", f"{name} must be the id that lastgood gave the rollback.")
    return value.strip()


def _deployment_id_field(value: object, name: str, now: datetime, refuse: Refuse) -> str:
    if not isinstance(value, str) or not DEPLOYMENT_ID.fullmatch(value.strip()):
        refuse("bad_field", f"{name} must be a deployment's id: d- and nine capital letters or digits.")
    return value.strip()


def _service_field(value: object, name: str, now: datetime, refuse: Refuse) -> DeploymentGroup:
    try:
        return parse_ecs_service(value if isinstance(value, str) else "")
    except ValueError as error:
        refuse("bad_field", f"{name} {error}.")


def _stage(pipeline: str, stage: str, refuse: Refuse) -> DeploymentGroup:
    try:
        return parse_stage(f"{pipeline}/{stage}")
    except ValueError:
        refuse("bad_field", "pipeline and stage must be the names of a pipeline and of a stage of it.")


def _execution_id_field(value: object, name: str, now: datetime, refuse: Refuse) -> str:
    if not isinstance(value, str) or not EXECUTION_ID.fullmatch(value.strip()):
        refuse("bad_field", f"{name} must be the id of an execution of the pipeline.")
    return value.strip()


def _service_deployment_id_field(value: object, name: str, now: datetime, refuse: Refuse) -> str:
    """The id alone, or the ARN of a service deployment, which ends with it."""
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith("arn:") and ":service-deployment/" in text:
        text = text.rpartition("/")[2]
    if not SERVICE_DEPLOYMENT_ID.fullmatch(text):
        refuse("bad_field", f"{name} must be the id or the ARN of a service deployment.")
    return text


def _flag_field(value: object, name: str, now: datetime, refuse: Refuse) -> bool:
    if not isinstance(value, bool):
        refuse("bad_field", f"{name} must be true or false, without quotes.")
    return value


def _mode_field(value: object, name: str, now: datetime, refuse: Refuse) -> Mode:
    if not isinstance(value, str) or value not in set(Mode):
        refuse("bad_field", f"{name} must be one of {', '.join(Mode)}.")
    return Mode(value)


def _until_field(value: object, name: str, now: datetime, refuse: Refuse) -> datetime:
    rule = f"{name} must be a duration such as 2h, or an ISO-8601 time with an offset"
    moment = _until(value, now) if isinstance(value, str) else None
    if moment is None:
        refuse("bad_time", f"{rule}.")
    if not now < moment <= now + FURTHEST_UNTIL:
        refuse("bad_time", f"{rule}; it must lie in the future, and within ten years.")
    return moment


def _until(text: str, now: datetime) -> datetime | None:
    try:
        return now + min(parse_duration(text), FURTHEST_UNTIL * 2)
    except ValueError:
        pass
    try:
        return read_time(text)
    except ValueError:
        return None


_FIELDS: Mapping[str, Callable[[object, str, datetime, Refuse], Any]] = {
    "application": _name_field,
    "deployment_group": _name_field,
    "rollback_id": _rollback_id_field,
    "deployment_id": _deployment_id_field,
    "to_deployment_id": _deployment_id_field,
    "reason": _text_field(MAX_REASON),
    "requested_by": _text_field(MAX_REQUESTED_BY),
    "dry_run": _flag_field,
    "force": _flag_field,
    "mode": _mode_field,
    "until": _until_field,
}
_SERVICE_FIELDS = {
    **_FIELDS,
    ECS_SERVICE: _service_field,
    "deployment_id": _service_deployment_id_field,
    "to_deployment_id": _service_deployment_id_field,
}
_STAGE_FIELDS = {
    **_FIELDS,
    "pipeline": _name_field,
    "stage": _name_field,
    "deployment_id": _execution_id_field,
    "to_deployment_id": _execution_id_field,
}


def _copy(action: str) -> str:
    return f"A correct event: {json.dumps(EXAMPLES[action])}"


def _did_you_mean(word: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    from difflib import get_close_matches  # needed for a typo only, and slow to import in a cold start

    close = get_close_matches(clean(word, 40), known, 1) if isinstance(word, str) else []
    return f"Did you mean {close[0]}? " if close else ""
