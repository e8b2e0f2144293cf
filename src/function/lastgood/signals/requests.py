"""Operators' requests: the fields of each action are checked against the table of actions, and read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Never

from lastgood.model import Controller, DeploymentGroup, Mode, controllers, parse_place
from lastgood.setting_rules import parse_duration
from lastgood.signals.actions import ACTIONS, GROUP
from lastgood.signals.fields import (
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


def read_operator_event(event: dict[str, Any], delivery: Delivery) -> Results:
    """An operator's request. Not through a queue, which keeps messages for days, and proves no right to invoke."""
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
    address = _address(event, name)
    required = action.required
    if address != GROUP:
        required = (*address, *(field for field in required if field not in GROUP))
    # A null is no value of a required field. In an address it is a wrong one, which is refused as that.
    missing = [field for field in required if field not in event or (field in action.required and event[field] is None)]
    if missing:
        reject("missing_field", f"{name} needs {' and '.join(missing)}.", _copy(name))


def _address(event: dict[str, Any], name: str) -> tuple[str, ...]:
    """The fields with which an event names its group; CodeDeploy's where it names none."""
    addresses = [can.address for can in controllers().values()]
    named = [address for address in addresses if not event.keys().isdisjoint(address)]
    if len(named) > 1:
        told = ", or ".join(" and ".join(address) for address in addresses)
        reject("two_groups", f"{name} takes {told}: one of them.", _copy(name))
    return named[0] if named else GROUP


def _request(event: dict[str, Any], name: str, now: datetime) -> OperatorRequest:
    def refuse(code: str, message: str) -> Never:
        reject(code, message, _copy(name))

    controller, place = _addressed(event)
    fields = {**_FIELDS, **dict.fromkeys(("deployment_id", "to_deployment_id"), _id_field(controller))}
    given = {field: value for field, value in event.items() if field != "action" and field not in place}
    values = {field: fields[field](value, field, now, refuse) for field, value in given.items()}
    if place:
        group = _group(controller, place, refuse)
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


def _id_field(controller: Controller) -> Callable[[object, str, datetime, Refuse], str]:
    """The reader of a deployment's id: each controller has ids of its own."""
    can = controllers()[controller]

    def read(value: object, name: str, now: datetime, refuse: Refuse) -> str:
        if can.deployment_ids is None:
            return _text_field(MAX_REQUESTED_BY)(value, name, now, refuse)
        match = can.deployment_ids.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            refuse("bad_field", f"{name} must be {can.deployment_id_is}.")
        return match[match.lastindex or 0]

    return read


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
        refuse("bad_time", f"{rule}; it must be in the future, and within ten years.")
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
    "reason": _text_field(MAX_REASON),
    "requested_by": _text_field(MAX_REQUESTED_BY),
    "dry_run": _flag_field,
    "force": _flag_field,
    "mode": _mode_field,
    "until": _until_field,
}


def _addressed(event: Mapping[str, Any]) -> tuple[Controller, dict[str, str]]:
    """Who deploys what the request names, and the fields that name it; none for one of CodeDeploy's groups."""
    for controller, can in controllers().items():
        if can.key_prefix and can.address[0] in event:
            named = ((field, event[field]) for field in can.address)
            return controller, {field: value.strip() if isinstance(value, str) else "" for field, value in named}
    return Controller.CODE_DEPLOY, {}


def _group(controller: Controller, place: Mapping[str, str], refuse: Refuse) -> DeploymentGroup:
    try:
        return parse_place(controller, "/".join(place.values()))
    except ValueError as error:
        first, second = controllers()[controller].written.split("/")
        why = str(error) if len(place) == 1 else f"must be the names of a {first} and of a {second} of it"
        refuse("bad_field", f"{' and '.join(place)} {why}.")


def _copy(action: str) -> str:
    return f"A correct event: {json.dumps(ACTIONS[action].event)}"


def _did_you_mean(word: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    from difflib import get_close_matches  # needed for a typo only, and slow to import in a cold start

    close = get_close_matches(clean(word, 40), known, 1) if isinstance(word, str) else []
    return f"Did you mean {close[0]}? " if close else ""
