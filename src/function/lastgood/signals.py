"""Any Lambda event → typed signals. What cannot be used comes back as a Refusal that says why.

A signal carries no authority. It says where to look: the alarm's state and the deployment history are read
from AWS, never from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Never

from lastgood.model import AlarmState, Controller, DeploymentGroup, Mode, TriggerKind
from lastgood.settings import parse_duration, parse_ecs_service
from lastgood.text import UnreadableError, clean, is_plain, read_json, read_time, without_surrogates

MAX_NAME = 100
MAX_ALARM_NAME = 255
MAX_REASON = 1000
MAX_REQUESTED_BY = 200
# The senders' quotas, in bytes. No text has more characters than bytes, so no genuine one is refused.
MAX_SNS_CHARACTERS = 262_144
MAX_SQS_CHARACTERS = 1_048_576
# CloudWatch allows no alarm to look back further than a week.
MAX_EVALUATION_SECONDS = 604_800
CLOCK_SKEW = timedelta(minutes=5)
FURTHEST_UNTIL = timedelta(days=3660)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEPLOYMENT_ID = re.compile(r"d-[A-Z0-9]{9}")
# No document gives the shape of a service deployment's id; the examples have 20 to 22 of these characters.
_SERVICE_DEPLOYMENT_ID = re.compile(r"[A-Za-z0-9_-]{8,64}(?:/rollback|/revision)?")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}[a-z0-9-]{3,30}")
_PARTITION = re.compile(r"aws[a-z-]{0,20}")
# Services from before 2018 have ARNs without their cluster's name.
_ECS_SERVICE = re.compile(r"service/(?:[A-Za-z0-9_-]{1,255}/)?[A-Za-z0-9_-]{1,255}")
_DEPLOYMENT_STATES = frozenset({"START", "READY", "STOP", "FAILURE", "SUCCESS"})
_SERVICE_DEPLOYMENT_EVENTS = frozenset(
    {"SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"}
)

ACCEPTED_SHAPES = (
    "Accepted are: an SNS event with a CloudWatch alarm (events/alarm-in-alarm.json), the same through SQS "
    "(events/alarm-sqs-wrapped.json), a CloudWatch alarm's Lambda action (events/alarm-to-lambda.json), an "
    "EventBridge event of CloudWatch, CodeDeploy, ECS or a schedule (events/alarm-eventbridge.json, "
    "events/codedeploy-state-change.json, events/ecs-deployment-state-change.json, "
    "events/scheduled-sweep.json), an OnFailure record with a requestPayload, and an operator's request "
    "(events/manual-dry-run.json)."
)


@dataclass(frozen=True, slots=True)
class AlarmSignal:
    """An alarm changed its state, or so the message says."""

    alarm_name: str
    alarm_arn: str
    account_id: str
    region: str
    state: AlarmState
    changed_at: datetime
    state_reason: str = ""
    trigger_kind: TriggerKind = TriggerKind.SNS
    # None: the message carried no tags, so nothing is known about them. Empty: the alarm has none.
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    evaluation_seconds: int = 0
    suppressed_by: str = ""
    message_id: str = ""

    @property
    def key(self) -> str:
        """The transition's identity: the same for every delivery of it, over whichever way it came."""
        return f"{self.alarm_arn}@{(self.changed_at - _EPOCH) // timedelta(milliseconds=1)}"


@dataclass(frozen=True, slots=True)
class DeploymentSignal:
    """A CodeDeploy deployment changed its state: START, READY, STOP, FAILURE or SUCCESS."""

    application: str
    deployment_group: str
    deployment_id: str
    state: str
    occurred_at: datetime
    region: str
    account_id: str


@dataclass(frozen=True, slots=True)
class ServiceDeploymentSignal:
    """An ECS service's own deployment changed its state (`SERVICE_DEPLOYMENT_COMPLETED` …)."""

    service_arn: str
    event_name: str
    deployment_id: str
    occurred_at: datetime
    reason: str = ""

    @property
    def state(self) -> str:
        """The same in CodeDeploy's words: START, SUCCESS or FAILURE."""
        states = {"SERVICE_DEPLOYMENT_IN_PROGRESS": "START", "SERVICE_DEPLOYMENT_COMPLETED": "SUCCESS"}
        return states.get(self.event_name, "FAILURE")

    @property
    def group(self) -> DeploymentGroup | None:
        """The service; None where its ARN is of the old kind, which does not name the cluster."""
        cluster, _, service = self.service_arn.partition(":service/")[2].rpartition("/")
        return DeploymentGroup(cluster, service, Controller.ECS) if cluster else None


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """A person asks. Which fields are filled depends on the action: see `ACTIONS`."""

    action: str
    application: str = ""
    deployment_group: str = ""
    rollback_id: str = ""
    deployment_id: str = ""
    to_deployment_id: str = ""
    reason: str = ""
    requested_by: str = ""
    dry_run: bool = False
    force: bool = False
    mode: Mode | None = None
    until: datetime | None = None
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def group(self) -> DeploymentGroup | None:
        """What it is about; None for everything."""
        if not self.application:
            return None
        return DeploymentGroup(self.application, self.deployment_group, self.controller)


@dataclass(frozen=True, slots=True)
class SweepSignal:
    """Time to visit every open rollback."""

    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class DrillSignal:
    """Time to try what a rollback would need, without one."""


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """Is the function set up well?"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that leads to nothing.

    `rejected`: the input is bad, and somebody should know. Otherwise it was understood and rightly ignored.
    """

    code: str
    message: str
    hint: str
    rejected: bool
    message_id: str = ""


Signal = (
    AlarmSignal
    | DeploymentSignal
    | ServiceDeploymentSignal
    | OperatorRequest
    | SweepSignal
    | DrillSignal
    | HealthRequest
)


@dataclass(frozen=True, slots=True)
class Home:
    """Where the function runs. A blank account or region is not checked; no topics means any topic."""

    account_id: str = ""
    region: str = ""
    alarm_topic_arns: tuple[str, ...] = ()


def parse(event: object, home: Home, now: datetime) -> tuple[Signal | Refusal, ...]:
    """Read one Lambda event: one result for each record in it, and at least one in all. Never raises."""
    return _read(event, _Delivery(home, now))


# --- envelopes: what the signal came in -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What is known about an event from its envelopes."""

    home: Home
    now: datetime
    message_id: str = ""
    # The SNS topic; for a message that SQS got raw, the queue, as nothing names the topic.
    source_arn: str = ""
    queued: bool = False
    replayed: bool = False

    def kind(self, direct: TriggerKind) -> TriggerKind:
        """How the signal reached the function; `direct` holds when no queue lay between."""
        return TriggerKind.SQS if self.queued else direct


type _Results = tuple[Signal | Refusal, ...]


class _Refused(Exception):
    """Carries a Refusal from the depth of a reader up to the event or record that it is about."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def _reject(code: str, message: str, hint: str = "") -> Never:
    raise _Refused(Refusal(code, message, hint, rejected=True))


def _ignore(code: str, message: str, hint: str = "") -> Never:
    raise _Refused(Refusal(code, message, hint, rejected=False))


def _read(event: object, delivery: _Delivery) -> _Results:
    return _guarded(_event, event, delivery)


def _guarded(reader: Callable[[Any, _Delivery], _Results], value: object, delivery: _Delivery) -> _Results:
    """One bad record must not keep the records beside it from being read."""
    try:
        return reader(value, delivery)
    except _Refused as refused:
        return (replace(refused.refusal, message_id=delivery.message_id),)


def _event(event: object, delivery: _Delivery) -> _Results:
    if not isinstance(event, dict) or not event:
        _reject(
            "unknown_event_shape",
            f"The event is {_kind_of(event)}; nothing can be read from it.",
            ACCEPTED_SHAPES,
        )
    for mark, reader in _SHAPES.items():
        if mark in event:
            return reader(event, delivery)
    _reject("unknown_event_shape", "The event has none of the shapes that lastgood knows.", ACCEPTED_SHAPES)


def _operator_event(event: dict[str, Any], delivery: _Delivery) -> _Results:
    """A queue keeps messages for days. An operator asks now, and must be allowed to invoke the function."""
    if delivery.queued:
        _reject("queued_request", "An operator's request came through a queue.", "Invoke the function with it.")
    return (_operator(event, delivery.now),)


def _records(event: dict[str, Any], delivery: _Delivery) -> _Results:
    records = event["Records"]
    if not isinstance(records, list) or not records:
        _reject("unknown_event_shape", "Records must be a list with at least one record.", ACCEPTED_SHAPES)
    return tuple(result for record in records for result in _guarded(_record, record, delivery))


def _record(record: object, delivery: _Delivery) -> _Results:
    if not isinstance(record, dict):
        _reject("unknown_event_shape", f"A record is {_kind_of(record)}, not an object.", ACCEPTED_SHAPES)
    if isinstance(record.get("Sns"), dict):
        return _guarded(_sns, record["Sns"], _sns_delivery(record["Sns"], delivery))
    source = record.get("eventSource", record.get("EventSource"))
    if source != "aws:sqs":
        told = clean(source, 80) if isinstance(source, str) else "unknown"
        _reject("wrong_source", f"A record comes from {told}; only SNS and SQS are read.", ACCEPTED_SHAPES)
    if delivery.queued:
        _reject("too_deep", "A queue's message holds another queue's message.", ACCEPTED_SHAPES)
    queued = replace(
        delivery,
        queued=True,
        message_id=_optional_text(record, "messageId", 100),
        source_arn=_optional_text(record, "eventSourceARN", 300),
    )
    return _guarded(_sqs, record, queued)


def _sqs(record: dict[str, Any], delivery: _Delivery) -> _Results:
    """A queue holds SNS envelopes, raw alarm messages, or whole events: EventBridge's, or a dead letter's."""
    body = _json_object(record.get("body"), "The record's body", MAX_SQS_CHARACTERS)
    if "TopicArn" in body and "Type" in body:
        return _guarded(_sns, body, _sns_delivery(body, delivery))
    if _SHAPES.keys() & body.keys():
        return _read(body, delivery)
    return (_sns_alarm(body, delivery),)


def _on_failure(event: dict[str, Any], delivery: _Delivery) -> _Results:
    """Lambda's OnFailure record, sent again. What is in it may be old: that is judged later."""
    if delivery.replayed:
        _reject("too_deep", "A requestPayload holds another requestPayload.", "Send the innermost one.")
    return _read(event["requestPayload"], replace(delivery, replayed=True))


def _sns_delivery(message: dict[str, Any], delivery: _Delivery) -> _Delivery:
    # SQS reports failures by the queue's own message id, so that one is kept.
    message_id = delivery.message_id if delivery.queued else _optional_text(message, "MessageId", 100)
    return replace(delivery, message_id=message_id, source_arn=_optional_text(message, "TopicArn", 300))


def _sns(message: dict[str, Any], delivery: _Delivery) -> _Results:
    if message.get("Type", "Notification") != "Notification":
        kind = _optional_text(message, "Type", 80) or "of another kind"
        # Whoever can publish can put any address in here: no URL of a message is ever opened.
        _ignore("not_a_notification", f"The SNS message is {kind}, not a Notification.")
    body = _json_object(message.get("Message"), "The SNS message", MAX_SNS_CHARACTERS)
    return (_sns_alarm(body, delivery),)


def _json_object(value: object, what: str, limit: int) -> dict[str, Any]:
    if not isinstance(value, str):
        _reject("not_json", f"{what} is {_kind_of(value)}, not a text that holds JSON.")
    try:
        body = read_json(value, limit)
    except UnreadableError as error:
        _reject(error.code, f"{what} cannot be read: {error}.")
    if not isinstance(body, dict):
        _reject("not_object", f"{what} is JSON, but {_kind_of(body)} and not an object.")
    return body


# --- alarms ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Arn:
    """`arn:<partition>:<service>:<region>:<account>:<resource>`; a resource may contain colons."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"


def _arn(value: object, service: str) -> _Arn | None:
    parts = value.split(":", 5) if isinstance(value, str) else []
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != service or not parts[5]:
        return None
    shaped = _PARTITION.fullmatch(parts[1]) and _REGION.fullmatch(parts[3]) and _ACCOUNT.fullmatch(parts[4])
    return _Arn(*parts[1:]) if shaped else None


def _sns_alarm(body: dict[str, Any], delivery: _Delivery) -> AlarmSignal:
    """CloudWatch's message as SNS delivers it: metric, metric-math and composite alarms."""
    _check_is_alarm(body)
    _check_topic(delivery)
    name = _alarm_name(body["AlarmName"])
    topic = _arn(delivery.source_arn, "sns") or _arn(delivery.source_arn, "sqs")
    arn = _alarm_arn(body.get("AlarmArn"), name, body.get("AWSAccountId"), topic, delivery.home)
    _check_home(arn, delivery.home)
    return AlarmSignal(
        alarm_name=name,
        alarm_arn=str(arn),
        account_id=arn.account_id,
        region=arn.region,
        state=_alarm_state(body["NewStateValue"]),
        changed_at=_time(body.get("StateChangeTime"), "StateChangeTime", delivery.now),
        state_reason=_optional_text(body, "NewStateReason", MAX_REASON),
        trigger_kind=delivery.kind(TriggerKind.SNS),
        tags=_tags(body, "AlarmTags"),
        evaluation_seconds=_evaluation_seconds(body.get("Trigger")),
        message_id=delivery.message_id,
    )


def _check_is_alarm(body: dict[str, Any]) -> None:
    if "AlarmName" in body and "NewStateValue" in body:
        return
    if "deploymentId" in body and "deploymentGroupName" in body:
        _ignore(
            "codedeploy_trigger",
            "The message is a CodeDeploy trigger's.",
            "lastgood hears of deployments from EventBridge; point the trigger at another topic.",
        )
    _ignore("not_an_alarm", "The message lacks AlarmName or NewStateValue.", "Only CloudWatch alarms belong here.")


def _check_topic(delivery: _Delivery) -> None:
    if delivery.home.alarm_topic_arns and delivery.source_arn not in delivery.home.alarm_topic_arns:
        sender = delivery.source_arn or "an unknown topic"
        _reject(
            "untrusted_topic",
            f"The message comes from {sender}, which is not accepted.",
            "Add the topic's ARN to LASTGOOD_ALARM_TOPIC_ARNS.",
        )


def _alarm_name(value: object) -> str:
    """The name is the alarm's identity and is kept as it is; one that could deceive a reader is refused."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ALARM_NAME:
        _reject("bad_field", f"The alarm's name must be a text of 1 to {MAX_ALARM_NAME} characters.")
    if not is_plain(value):
        _reject("bad_field", f"The alarm's name contains control characters: {clean(value, 255)}")
    return value


def _alarm_arn(given: object, name: str, account: object, sender: _Arn | None, home: Home) -> _Arn:
    """The alarm's ARN. Old messages have none, and a display name as `Region`: then the sender's tells."""
    if given is None:
        return _built_arn(name, account, sender, home)
    arn = _arn(given, "cloudwatch")
    if arn is None or arn.resource != f"alarm:{name}":
        _reject("bad_field", "AlarmArn is not the ARN of the alarm that the message names.")
    if isinstance(account, str) and account != arn.account_id:
        _reject("wrong_account", "The message's account and its AlarmArn differ.")
    return arn


def _built_arn(name: str, account: object, sender: _Arn | None, home: Home) -> _Arn:
    partition = sender.partition if sender else "aws"
    region = sender.region if sender else home.region
    owner = account if isinstance(account, str) else sender.account_id if sender else home.account_id
    arn = _arn(f"arn:{partition}:cloudwatch:{region}:{owner}:alarm:{name}", "cloudwatch")
    if arn is None:
        _reject("missing_field", "The message has no AlarmArn, and nothing else tells its account and region.")
    return arn


def _check_home(arn: _Arn, home: Home) -> None:
    if home.account_id and arn.account_id != home.account_id:
        _reject("wrong_account", f"It is from account {arn.account_id}; this function serves {home.account_id}.")
    if home.region and arn.region != home.region:
        _reject("wrong_region", f"It is from region {arn.region}; this function serves {home.region}.")


def _alarm_state(value: object) -> AlarmState:
    if not isinstance(value, str) or value not in AlarmState.__members__:
        told = repr(clean(value, 40)) if isinstance(value, str) else _kind_of(value)
        _reject("bad_state", f"The alarm's state is {told}; it must be one of {', '.join(AlarmState)}.")
    return AlarmState(value)


def _time(value: object, name: str, now: datetime) -> datetime:
    if not isinstance(value, str):
        _reject("bad_time", f"{name} is {_kind_of(value)}, not a time.")
    try:
        moment = read_time(value)
    except ValueError:
        _reject("bad_time", f"{name} is no ISO-8601 time with an offset: {clean(value, 60)!r}.")
    if moment > now + CLOCK_SKEW:
        _reject("bad_time", f"{name} lies in the future: {clean(value, 60)}.")
    return moment


def _tags(holder: dict[str, Any], name: str) -> dict[str, str] | None:
    """A name → value map, or a list of Key/Value pairs. Malformed or incomplete tags count as not sent.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-tags-in-notifications.html
    """
    value, status = holder.get(name), holder.get(name + "Status")
    if status is not None and status != "SUCCESS":
        return None
    pairs = list(value.items()) if isinstance(value, dict) else _tag_pairs(value)
    if pairs is None or not all(isinstance(key, str) and isinstance(text, str) for key, text in pairs):
        return None
    tags = {without_surrogates(key): without_surrogates(text) for key, text in pairs}
    return tags if len(tags) == len(pairs) else None


def _tag_pairs(value: object) -> list[tuple[Any, Any]] | None:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return None
    entries = [{str(key).lower(): text for key, text in entry.items()} for entry in value]
    return [(entry.get("key"), entry.get("value")) for entry in entries]


def _evaluation_seconds(trigger: object) -> int:
    """How far back the alarm looks: Period times EvaluationPeriods. Metric math counts its longest period."""
    if not isinstance(trigger, dict):
        return 0
    metrics = trigger.get("Metrics")
    queries = [query for query in metrics if isinstance(query, dict)] if isinstance(metrics, list) else []
    stats = [stat for query in queries if isinstance(stat := query.get("MetricStat"), dict)]
    period = max(_count(holder.get("Period")) for holder in (trigger, *queries, *stats))
    return min(period * _count(trigger.get("EvaluationPeriods")), MAX_EVALUATION_SECONDS)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _alarm_action(event: dict[str, Any], delivery: _Delivery) -> _Results:
    """A CloudWatch alarm whose action is this function, without SNS between."""
    if event.get("source") != "aws.cloudwatch" or not isinstance(event["alarmData"], dict):
        _reject("unknown_event_shape", "The event has alarmData but is not CloudWatch's.", ACCEPTED_SHAPES)
    body = event["alarmData"]
    tags = _first_tags(event, body)
    kind = delivery.kind(TriggerKind.ALARM_ACTION)
    return (_stated_alarm(body, event.get("alarmArn"), event.get("accountId"), tags, kind, delivery),)


def _first_tags(*holders: object) -> dict[str, str] | None:
    found = (_tags(holder, "alarmTags") for holder in holders if isinstance(holder, dict))
    return next((tags for tags in found if tags is not None), None)


def _stated_alarm(
    body: dict[str, Any],
    given_arn: object,
    account: object,
    tags: dict[str, str] | None,
    kind: TriggerKind,
    delivery: _Delivery,
) -> AlarmSignal:
    """The alarm as its Lambda action and EventBridge describe it. Neither tells its evaluation periods."""
    name = _alarm_name(body.get("alarmName"))
    arn = _alarm_arn(given_arn, name, account, None, delivery.home)
    _check_home(arn, delivery.home)
    stated = body.get("state")
    if not isinstance(stated, dict):
        _reject("bad_state", f"The alarm's state is {_kind_of(stated)}, not an object.")
    state, suppressed_by = _alarm_state(stated.get("value")), _suppressed_by(stated, body)
    if state is AlarmState.ALARM and suppressed_by:
        _ignore("suppressed", f"The actions of alarm {name} are suppressed by {suppressed_by}.")
    return AlarmSignal(
        alarm_name=name,
        alarm_arn=str(arn),
        account_id=arn.account_id,
        region=arn.region,
        state=state,
        changed_at=_time(stated.get("timestamp"), "state.timestamp", delivery.now),
        state_reason=_optional_text(stated, "reason", MAX_REASON),
        trigger_kind=kind,
        tags=tags,
        suppressed_by=suppressed_by,
        message_id=delivery.message_id,
    )


def _suppressed_by(stated: dict[str, Any], body: dict[str, Any]) -> str:
    """EventBridge tells of every change, also where the alarm's actions are suppressed or muted."""
    mute = body.get("muteDetail")
    if mute:
        rule = _optional_text(mute, "mutedByArn", 300) if isinstance(mute, dict) else ""
        return rule or "a mute rule"
    suppressor = stated.get("actionsSuppressedBy")
    return clean(suppressor, 300) if isinstance(suppressor, str) else ""


# --- EventBridge ----------------------------------------------------------------------------------


def _eventbridge(event: dict[str, Any], delivery: _Delivery) -> _Results:
    source, detail_type = event.get("source"), event["detail-type"]
    named = isinstance(source, str) and isinstance(detail_type, str)
    reader = _EVENTBRIDGE.get((source, detail_type)) if named else None
    if reader is None:
        told = clean(detail_type, 100) if isinstance(detail_type, str) else _kind_of(detail_type)
        _ignore("other_event", f"EventBridge events of this kind are not read: {told}.", ACCEPTED_SHAPES)
    if not delivery.queued:
        delivery = replace(delivery, message_id=_optional_text(event, "id", 100))
    return _guarded(reader, event, delivery)


def _eventbridge_alarm(event: dict[str, Any], delivery: _Delivery) -> _Results:
    detail = _detail(event)
    kind = delivery.kind(TriggerKind.EVENTBRIDGE)
    tags = _first_tags(detail, event)
    return (_stated_alarm(detail, _first_resource(event), event.get("account"), tags, kind, delivery),)


def _eventbridge_contributor(event: dict[str, Any], delivery: _Delivery) -> _Results:
    """One time series of an alarm over many. One that recovers says nothing about the others."""
    (signal,) = _eventbridge_alarm(event, delivery)
    if isinstance(signal, AlarmSignal) and signal.state is not AlarmState.ALARM:
        _ignore("contributor_recovered", f"One contributor of alarm {signal.alarm_name} is {signal.state}.")
    return (signal,)


def _codedeploy(event: dict[str, Any], delivery: _Delivery) -> _Results:
    detail = _detail(event)
    account, region = _place(event, delivery.home)
    deployment_id, state = detail.get("deploymentId"), detail.get("state")
    if not isinstance(deployment_id, str) or not _DEPLOYMENT_ID.fullmatch(deployment_id):
        _ignore("bad_field", "The event names no deployment (d- and nine letters or digits).")
    if not isinstance(state, str) or state not in _DEPLOYMENT_STATES:
        _ignore("bad_state", "The event's deployment state is unknown.")
    return (
        DeploymentSignal(
            application=_group_name(detail.get("application"), "application", _ignore),
            deployment_group=_group_name(detail.get("deploymentGroup"), "deploymentGroup", _ignore),
            deployment_id=deployment_id,
            state=state,
            occurred_at=_time(event.get("time"), "time", delivery.now),
            region=region,
            account_id=account,
        ),
    )


def _ecs(event: dict[str, Any], delivery: _Delivery) -> _Results:
    detail = _detail(event)
    arn = _arn(_first_resource(event), "ecs")
    if arn is None or not _ECS_SERVICE.fullmatch(arn.resource):
        _ignore("bad_field", "The event's first resource is not the ARN of an ECS service.")
    _check_home(arn, delivery.home)
    event_name = detail.get("eventName")
    if not isinstance(event_name, str) or event_name not in _SERVICE_DEPLOYMENT_EVENTS:
        _ignore("bad_state", "The event's name is not one of a service deployment.")
    return (
        ServiceDeploymentSignal(
            service_arn=str(arn),
            event_name=event_name,
            deployment_id=_optional_text(detail, "deploymentId", 200),
            occurred_at=_time(event.get("time"), "time", delivery.now),
            reason=_optional_text(detail, "reason", MAX_REASON),
        ),
    )


def _schedule(event: dict[str, Any], delivery: _Delivery) -> _Results:
    return (SweepSignal(_time(event.get("time"), "time", delivery.now)),)


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    detail = event.get("detail")
    if not isinstance(detail, dict):
        _reject("bad_field", f"The event's detail is {_kind_of(detail)}, not an object.")
    return detail


def _first_resource(event: dict[str, Any]) -> object:
    resources = event.get("resources")
    return resources[0] if isinstance(resources, list) and resources else None


def _place(event: dict[str, Any], home: Home) -> tuple[str, str]:
    account, region = _optional_text(event, "account", 40), _optional_text(event, "region", 40)
    if not (_ACCOUNT.fullmatch(account) and _REGION.fullmatch(region)):
        _reject("bad_field", "The event's account and region are not those of AWS.")
    _check_home(_Arn("aws", "", region, account, ""), home)
    return account, region


_EVENTBRIDGE: dict[tuple[object, object], Callable[[dict[str, Any], _Delivery], _Results]] = {
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): _eventbridge_alarm,
    ("aws.cloudwatch", "CloudWatch Alarm Contributor State Change"): _eventbridge_contributor,
    ("aws.codedeploy", "CodeDeploy Deployment State-change Notification"): _codedeploy,
    ("aws.ecs", "ECS Deployment State Change"): _ecs,
    ("aws.events", "Scheduled Event"): _schedule,
    ("aws.scheduler", "Scheduled Event"): _schedule,
}


def _hello_world(event: dict[str, Any], delivery: _Delivery) -> _Results:
    _reject(
        "hello_world_event",
        "This is the hello-world event of Lambda's console; it asks for nothing.",
        f"Use events/manual-dry-run.json instead: {json.dumps(EXAMPLES['rollback'])}",
    )


# --- operators ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Action:
    """The fields of an operator's action beside `action` itself."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Every field, as a refusal lists them. An ECS service may stand for a deployment group."""
        fields = ("action", *self.required, *self.optional)
        return (*fields, ECS_SERVICE) if set(_GROUP) <= set(fields) else fields


ECS_SERVICE = "ecs_service"
_GROUP = ("application", "deployment_group")
_WHO_AND_WHY = ("reason", "requested_by")
_DEPLOYMENT = Action((*_GROUP, "deployment_id", *_WHO_AND_WHY))

ACTIONS: Mapping[str, Action] = {
    "rollback": Action((*_GROUP, *_WHO_AND_WHY), ("dry_run", "to_deployment_id", "force")),
    "approve": Action(("rollback_id", "requested_by"), ("reason",)),
    "reject": Action(("rollback_id", *_WHO_AND_WHY)),
    "status": Action(("rollback_id",), _WHO_AND_WHY),
    "pause": Action(_WHO_AND_WHY, (*_GROUP, "until")),
    "resume": Action(_WHO_AND_WHY, _GROUP),
    "set_mode": Action((*_GROUP, "mode", *_WHO_AND_WHY), ("until",)),
    "set_floor": _DEPLOYMENT,
    "clear_floor": _DEPLOYMENT,
    "release": Action((*_GROUP, *_WHO_AND_WHY)),
    "mark_good": _DEPLOYMENT,
    "mark_bad": _DEPLOYMENT,
    "sweep": Action(),
    "drill": Action(),
    "health": Action(),
}

_EXAMPLE_VALUES: Mapping[str, str | bool] = {
    "application": "shop",
    "deployment_group": "prod",
    "rollback_id": "<rollback_id>",
    "deployment_id": "d-A1B2C3D4E",
    "mode": "observe",
    "reason": "error rate after release",
    "requested_by": "me",
}


def _example(action: str) -> dict[str, str | bool]:
    example: dict[str, str | bool] = {"action": action}
    example |= {name: _EXAMPLE_VALUES[name] for name in ACTIONS[action].required}
    if action == "rollback":
        example["dry_run"] = True
    if action in {"pause", "set_mode"}:
        example["until"] = "2h"
    return example


# A correct event for each action, to copy into the console. The rollback among them is a dry run.
EXAMPLES: Mapping[str, Mapping[str, str | bool]] = {action: _example(action) for action in ACTIONS}


def _operator(event: dict[str, Any], now: datetime) -> Signal:
    name = event["action"]
    if not isinstance(name, str) or name not in ACTIONS:
        told = repr(clean(name, 40)) if isinstance(name, str) else _kind_of(name)
        hint = f"{_did_you_mean(name, ACTIONS)}Actions are: {', '.join(ACTIONS)}. {_copy('rollback')}"
        _reject("unknown_action", f"The action is {told}.", hint)
    _check_fields(event, name)
    if name == "sweep":
        return SweepSignal(now)
    if name == "drill":
        return DrillSignal()
    if name == "health":
        return HealthRequest()
    return _request(event, name, now)


def _check_fields(event: dict[str, Any], name: str) -> None:
    """Unknown fields are refused: a typo in `dry_run` must not become a real rollback."""
    action = ACTIONS[name]
    unknown = [field for field in event if field not in action.known]
    if unknown:
        hint = f"{_did_you_mean(unknown[0], action.known)}Fields of {name} are: {', '.join(action.known)}. "
        told = ", ".join(clean(str(field), 40) for field in unknown[:5])
        _reject("unknown_field", f"Unknown to {name}: {told}.", hint + _copy(name))
    if ECS_SERVICE in event and any(name in event for name in _GROUP):
        _reject("two_groups", f"{name} takes ecs_service, or application and deployment_group, not both.", _copy(name))
    given = _GROUP if event.get(ECS_SERVICE) is not None else ()
    missing = [field for field in action.required if event.get(field) is None and field not in given]
    if missing:
        _reject("missing_field", f"{name} needs {' and '.join(missing)}.", _copy(name))


def _request(event: dict[str, Any], name: str, now: datetime) -> OperatorRequest:
    def refuse(code: str, message: str) -> Never:
        _reject(code, message, _copy(name))

    given = {field: value for field, value in event.items() if field != "action"}
    fields = _SERVICE_FIELDS if ECS_SERVICE in given else _FIELDS
    values = {field: fields[field](value, field, now, refuse) for field, value in given.items()}
    service: DeploymentGroup | None = values.pop(ECS_SERVICE, None)
    if service:
        values |= {name: getattr(service, name) for name in (*_GROUP, "controller")}
    request = OperatorRequest(action=name, **values)
    if bool(request.application) != bool(request.deployment_group):
        refuse("missing_field", f"{name} takes application and deployment_group together, or neither.")
    return request


type _Refuse = Callable[[str, str], Never]


def _name_field(value: object, name: str, now: datetime, refuse: _Refuse) -> str:
    return _group_name(value, name, refuse)


def _group_name(value: object, name: str, refuse: _Refuse) -> str:
    """An application's or deployment group's name, as CodeDeploy allows it."""
    problem = name_problem(value)
    if problem:
        refuse("bad_field", f"{name} {problem}.")
    return str(value).strip()


def name_problem(value: object) -> str:
    """What is wrong with an application's or deployment group's name; empty where nothing is."""
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= MAX_NAME:
        return f"must be a text of 1 to {MAX_NAME} characters"
    if value.strip().startswith("ecs:"):
        return "is CodeDeploy's, and begins with ecs:; an ECS service is named with lastgood:ecs-service or ecs_service"
    return "" if is_plain(value) else "contains control or invisible characters"


def _text_field(limit: int) -> Callable[[object, str, datetime, _Refuse], str]:
    def read(value: object, name: str, now: datetime, refuse: _Refuse) -> str:
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= limit:
            refuse("bad_field", f"{name} must be a text of 1 to {limit} characters.")
        return clean(without_surrogates(value.strip()), limit)

    return read


def _rollback_id_field(value: object, name: str, now: datetime, refuse: _Refuse) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= MAX_REQUESTED_BY or not is_plain(value):
        refuse("bad_field", f"{name} must be the id that lastgood gave the rollback.")
    return value.strip()


def _deployment_id_field(value: object, name: str, now: datetime, refuse: _Refuse) -> str:
    if not isinstance(value, str) or not _DEPLOYMENT_ID.fullmatch(value.strip()):
        refuse("bad_field", f"{name} must be a deployment's id: d- and nine capital letters or digits.")
    return value.strip()


def _service_field(value: object, name: str, now: datetime, refuse: _Refuse) -> DeploymentGroup:
    try:
        return parse_ecs_service(value if isinstance(value, str) else "")
    except ValueError as error:
        refuse("bad_field", f"{name} {error}.")


def _service_deployment_id_field(value: object, name: str, now: datetime, refuse: _Refuse) -> str:
    """The id alone, or the ARN of a service deployment, which ends with it."""
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith("arn:") and ":service-deployment/" in text:
        text = text.rpartition("/")[2]
    if not _SERVICE_DEPLOYMENT_ID.fullmatch(text):
        refuse("bad_field", f"{name} must be the id or the ARN of a service deployment.")
    return text


def _flag_field(value: object, name: str, now: datetime, refuse: _Refuse) -> bool:
    if not isinstance(value, bool):
        refuse("bad_field", f"{name} must be true or false, without quotes.")
    return value


def _mode_field(value: object, name: str, now: datetime, refuse: _Refuse) -> Mode:
    if not isinstance(value, str) or value not in set(Mode):
        refuse("bad_field", f"{name} must be one of {', '.join(Mode)}.")
    return Mode(value)


def _until_field(value: object, name: str, now: datetime, refuse: _Refuse) -> datetime:
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


_FIELDS: Mapping[str, Callable[[object, str, datetime, _Refuse], Any]] = {
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


def _copy(action: str) -> str:
    return f"A correct event: {json.dumps(EXAMPLES[action])}"


def _did_you_mean(word: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    from difflib import get_close_matches  # needed for a typo only, and slow to import in a cold start

    close = get_close_matches(clean(word, 40), known, 1) if isinstance(word, str) else []
    return f"Did you mean {close[0]}? " if close else ""


# --- small readers --------------------------------------------------------------------------------


def _optional_text(holder: dict[str, Any], name: str, limit: int) -> str:
    value = holder.get(name)
    return clean(value, limit) if isinstance(value, str) else ""


def _kind_of(value: object) -> str:
    """What a value is, in the words of JSON."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    kinds = {str: "a text", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")


# The first mark in an event decides what it is. `action` is the first: a request is strict about the rest.
_SHAPES: Mapping[str, Callable[[dict[str, Any], _Delivery], _Results]] = {
    "action": _operator_event,
    "Records": _records,
    "requestPayload": _on_failure,
    "alarmData": _alarm_action,
    "detail-type": _eventbridge,
    "key1": _hello_world,
}
