"""Readers that every kind of event needs: names, times, ARNs; and how an event is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Never

from lastgood.model import AlarmPlace, controller_of, controllers, prefix_of
from lastgood.signals.types import Delivery, Home, Refusal, Results
from lastgood.text import clean, is_plain, read_time

MAX_NAME = 100
MAX_REASON = 1000
CLOCK_SKEW = timedelta(minutes=5)
FIRST_ALARM = datetime(2009, 1, 1, tzinfo=UTC)
"""CloudWatch has existed since that year; what is reckoned back from a much earlier time leaves the calendar."""

ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2}[a-z0-9-]{3,30}")
# Names of CodeDeploy consist of letters, digits and . _ + = , @ - (user guide, "Limits"). These would end a JSON text,
# such as that of a chat channel's button, or begin a variable, a link or a command in it.
_QUOTING = frozenset("\"'\\`$<>|{}")
_PARTITION = re.compile(r"aws[a-z-]{0,20}")

ACCEPTED_SHAPES = (
    "Accepted are: an SNS event with a CloudWatch alarm (events/alarm-in-alarm.json), the same through SQS "
    "(events/alarm-sqs-wrapped.json), a CloudWatch alarm's Lambda action (events/alarm-to-lambda.json), an "
    "EventBridge event of CloudWatch, CodeDeploy, ECS, CodePipeline or a schedule (events/alarm-eventbridge.json, "
    "events/codedeploy-state-change.json, events/ecs-deployment-state-change.json, "
    "events/codepipeline-stage-state-change.json, events/scheduled-sweep.json), an OnFailure record with a "
    "requestPayload (also over SNS), a list of these from EventBridge Pipes, and an operator's request "
    "(events/manual-dry-run.json)."
)
ONLY_ALARMS = (
    "Only CloudWatch's alarms belong here: send other messages to another topic. What another monitor finds starts a "
    "rollback through a CloudWatch alarm on a metric that it writes, or by an operator's request."
)


class RefusedSignalError(Exception):
    """Carries a Refusal from inside a reader up to the event or record that it is about."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def reject(code: str, message: str, hint: str = "") -> Never:
    raise RefusedSignalError(Refusal(code, message, hint, rejected=True))


def ignore(code: str, message: str, hint: str = "") -> Never:
    raise RefusedSignalError(Refusal(code, message, hint, rejected=False))


def guarded(reader: Callable[[Any, Delivery], Results], value: object, delivery: Delivery) -> Results:
    """Read a record so that a bad one does not keep the others from being read."""
    try:
        return reader(value, delivery)
    except RefusedSignalError as refused:
        return (replace(refused.refusal, message_id=delivery.message_id),)


@dataclass(frozen=True, slots=True)
class Arn:
    """`arn:<partition>:<service>:<region>:<account>:<resource>`; a resource may contain colons."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"


def parse_arn(value: object, service: str) -> Arn | None:
    parts = value.split(":", 5) if isinstance(value, str) else []
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != service or not parts[5]:
        return None
    shaped = _PARTITION.fullmatch(parts[1]) and REGION.fullmatch(parts[3]) and ACCOUNT.fullmatch(parts[4])
    return Arn(*parts[1:]) if shaped else None


def check_home(arn: Arn, home: Home) -> None:
    if home.account_id and arn.account_id != home.account_id:
        reject("wrong_account", f"It is from account {arn.account_id}; this function serves {home.account_id}.")
    if home.region and arn.region != home.region:
        reject("wrong_region", f"It is from region {arn.region}; this function serves {home.region}.")


def check_alarm_place(arn: Arn, home: Home) -> None:
    """Refuse alarms of other regions, except those that a setting names."""
    places = home.alarm_places
    here = (home.account_id and arn.account_id, home.region and arn.region)
    if AlarmPlace(*here) in places:
        return
    if arn.account_id == home.account_id or not home.account_id:
        reject(
            "wrong_region",
            f"The alarm is in region {arn.region}; this function is in {home.region}.",
            f"If alarms of {arn.region} may command it, name that region in LASTGOOD_ALARM_REGIONS (the stack's "
            "parameter AlarmRegions).",
        )
    check_home(arn, home)


def time_of(value: object, name: str, now: datetime) -> datetime:
    if not isinstance(value, str):
        reject("bad_time", f"{name} is {kind_of(value)}, not a time.")
    try:
        moment = read_time(value)
    except ValueError:
        reject("bad_time", f"{name} is no ISO-8601 time with an offset: {clean(value, 60)!r}.")
    if moment > now + CLOCK_SKEW:
        reject("bad_time", f"{name} is in the future: {clean(value, 60)}.")
    if moment < FIRST_ALARM:
        reject("bad_time", f"{name} is before there were alarms: {clean(value, 60)}.")
    return moment


type Refuse = Callable[[str, str], Never]


def group_name(value: object, name: str, refuse: Refuse) -> str:
    """An application's or deployment group's name, as CodeDeploy allows it."""
    problem = name_problem(value)
    if problem:
        refuse("bad_field", f"{name} {problem}.")
    return str(value).strip()


def name_problem(value: object) -> str:
    """What is wrong with an application's or deployment group's name; empty where nothing is."""
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= MAX_NAME:
        return f"must be a text of 1 to {MAX_NAME} characters"
    if prefix := prefix_of(value.strip()):
        can = controllers()[controller_of(prefix)]
        instead = f"a {can.called} is named with {' and '.join(can.tags)}, or with {' and '.join(can.address)}"
        return f"is CodeDeploy's, and begins with {prefix}; {instead}"
    if not is_plain(value):
        return "contains control or invisible characters"
    return f"contains one of {' '.join(sorted(_QUOTING))}, which no name has" if _QUOTING & set(value) else ""


def optional_text(holder: dict[str, Any], name: str, limit: int) -> str:
    value = holder.get(name)
    return clean(value, limit) if isinstance(value, str) else ""


def kind_of(value: object) -> str:
    """A value's type, in the words of JSON."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    kinds = {str: "a text", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")
