"""The envelopes of signals: SNS, SQS, EventBridge, an alarm's action, a failure record, or a person's request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from lastgood.signals.actions import ACTIONS
from lastgood.signals.alarms import check_topic, read_alarm_action, read_sns_alarm
from lastgood.signals.eventbridge import read_eventbridge
from lastgood.signals.fields import ACCEPTED_SHAPES, guarded, ignore, kind_of, optional_text, reject
from lastgood.signals.requests import read_operator_event
from lastgood.signals.types import (
    AlarmSignal,
    Delivery,
    DeploymentSignal,
    Home,
    Refusal,
    Results,
    ServiceDeploymentSignal,
    Signal,
)
from lastgood.text import UnreadableError, clean, read_json

# The senders' quotas, in bytes. No text has more characters than bytes, so no genuine one is refused.
MAX_SNS_CHARACTERS = 262_144
MAX_SQS_CHARACTERS = 1_048_576
# Lambda developer guide, "Capturing records of Lambda asynchronous invocations": a bus as the destination.
_FAILED_INVOCATION = ("lambda", "Lambda Function Invocation Result - Failure")


def parse(event: object, home: Home, now: datetime) -> tuple[Signal | Refusal, ...]:
    """Read one Lambda event: one result for each record in it, and at least one in all. Never raises."""
    return _read(event, Delivery(home, now))


def _read(event: object, delivery: Delivery) -> Results:
    return guarded(_event, event, delivery)


def _event(event: object, delivery: Delivery) -> Results:
    if isinstance(event, list) and event:
        return tuple(_no_request(result) for each in event for result in guarded(_piped, each, delivery))
    if not isinstance(event, dict) or not event:
        reject(
            "unknown_event_shape",
            f"The event is {kind_of(event)}; nothing can be read from it.",
            ACCEPTED_SHAPES,
        )
    for key, reader in _SHAPES.items():
        if key in event:
            return reader(event, delivery)
    reject("unknown_event_shape", "The event has none of the shapes that lastgood knows.", ACCEPTED_SHAPES)


def _piped(element: object, delivery: Delivery) -> Results:
    """One element of a list from EventBridge Pipes: a queue's record, the content of its body, or a whole event.

    The content of a body comes as an object or, depending on the pipe's template, still as text.
    """
    if isinstance(element, str):
        element = _json_object(element, "An element of the list", MAX_SQS_CHARACTERS)
    if not isinstance(element, dict):
        reject("unknown_event_shape", f"The list holds {kind_of(element)}, not an event.", ACCEPTED_SHAPES)
    if "eventSource" in element or "EventSource" in element:
        return _record(element, delivery)
    if "TopicArn" in element and "Type" in element:
        return _sns(element, _sns_delivery(element, delivery))
    if "AlarmName" in element and "NewStateValue" in element:
        return (read_sns_alarm(element, delivery),)
    return _event(element, delivery)


def _records(event: dict[str, Any], delivery: Delivery) -> Results:
    records = event["Records"]
    if not isinstance(records, list) or not records:
        reject("unknown_event_shape", "Records must be a list with at least one record.", ACCEPTED_SHAPES)
    return tuple(result for record in records for result in guarded(_record, record, delivery))


def _record(record: object, delivery: Delivery) -> Results:
    if not isinstance(record, dict):
        reject("unknown_event_shape", f"A record is {kind_of(record)}, not an object.", ACCEPTED_SHAPES)
    if isinstance(record.get("Sns"), dict):
        return guarded(_sns, record["Sns"], _sns_delivery(record["Sns"], delivery))
    source = record.get("eventSource", record.get("EventSource"))
    if source != "aws:sqs":
        told = clean(source, 80) if isinstance(source, str) else "unknown"
        reject("wrong_source", f"A record comes from {told}; only SNS and SQS are read.", ACCEPTED_SHAPES)
    if delivery.queued:
        reject("too_deep", "A queue's message holds another queue's message.", ACCEPTED_SHAPES)
    queued = replace(
        delivery,
        queued=True,
        message_id=optional_text(record, "messageId", 100),
        source_arn=optional_text(record, "eventSourceARN", 300),
    )
    return guarded(_sqs, record, queued)


def _sqs(record: dict[str, Any], delivery: Delivery) -> Results:
    """A queue holds SNS envelopes, raw alarm messages, or whole events: EventBridge's, or a dead letter's.

    A pipe may have read the body's text already.
    """
    given = record.get("body")
    body = given if isinstance(given, dict) else _json_object(given, "The record's body", MAX_SQS_CHARACTERS)
    if "TopicArn" in body and "Type" in body:
        return guarded(_sns, body, _sns_delivery(body, delivery))
    if _SHAPES.keys() & body.keys():
        return _read(body, delivery)
    return (read_sns_alarm(body, delivery),)


def _on_failure(event: dict[str, Any], delivery: Delivery) -> Results:
    """Lambda's OnFailure record, sent again. Its content may be old: that is judged later."""
    if delivery.replayed:
        reject("too_deep", "A requestPayload holds another requestPayload.", "Send the innermost one.")
    return _read(event["requestPayload"], replace(delivery, replayed=True))


def _sns_delivery(message: dict[str, Any], delivery: Delivery) -> Delivery:
    # SQS reports failures by the queue's own message id, so that one is kept.
    message_id = delivery.message_id if delivery.queued else optional_text(message, "MessageId", 100)
    return replace(delivery, message_id=message_id, source_arn=optional_text(message, "TopicArn", 300))


def _sns(message: dict[str, Any], delivery: Delivery) -> Results:
    if message.get("Type", "Notification") != "Notification":
        kind = optional_text(message, "Type", 80) or "of another kind"
        # Anyone who can publish can put any address in here, so no URL from a message is ever opened.
        ignore("not_a_notification", f"The SNS message is {kind}, not a Notification.")
    body = _json_object(message.get("Message"), "The SNS message", MAX_SNS_CHARACTERS)
    reader = next((reader for key, reader in _OVER_SNS.items() if key in body), None)
    if reader is not None:
        check_topic(delivery)
        return tuple(_no_request(result) for result in reader(body, delivery))
    return (read_sns_alarm(body, delivery),)


def _eventbridge(event: dict[str, Any], delivery: Delivery) -> Results:
    """A rule's event; or the record of a failed invocation on a bus, put there by Lambda, or by anybody else."""
    detail = event.get("detail")
    failed = (event.get("source"), event["detail-type"]) == _FAILED_INVOCATION
    if failed and isinstance(detail, dict) and "requestPayload" in detail:
        return tuple(_no_request(result) for result in _on_failure(detail, delivery))
    return read_eventbridge(event, delivery)


def _no_request(result: Signal | Refusal) -> Signal | Refusal:
    """Refuse requests through topics, buses and pipes: a right to write into these makes nobody an operator."""
    if isinstance(result, AlarmSignal | DeploymentSignal | ServiceDeploymentSignal | Refusal):
        return result
    told = "Requests and sweeps are taken neither from a topic, nor from a bus's record of a failure, nor from a list."
    return Refusal("queued_request", told, "Invoke the function with it alone.", rejected=True)


def _json_object(value: object, what: str, limit: int) -> dict[str, Any]:
    if not isinstance(value, str):
        reject("not_json", f"{what} is {kind_of(value)}, not a text that holds JSON.")
    try:
        body = read_json(value, limit)
    except UnreadableError as error:
        reject(error.code, f"{what} cannot be read: {error}.")
    if not isinstance(body, dict):
        reject("not_object", f"{what} is JSON, but {kind_of(body)} and not an object.")
    return body


def _hello_world(event: dict[str, Any], delivery: Delivery) -> Results:
    reject(
        "hello_world_event",
        "This is the hello-world event of Lambda's console; it asks for nothing.",
        f"Use events/manual-dry-run.json instead: {json.dumps(ACTIONS['rollback'].event)}",
    )


# The first key found in an event decides what it is. `action` is the first: a request is strict about the rest.
_SHAPES: Mapping[str, Callable[[dict[str, Any], Delivery], Results]] = {
    "action": read_operator_event,
    "Records": _records,
    "requestPayload": _on_failure,
    "alarmData": read_alarm_action,
    "detail-type": _eventbridge,
    "key1": _hello_world,
}
# What a topic can bring besides alarms: it may be Lambda's failure destination, or the target of an EventBridge rule.
_OVER_SNS: Mapping[str, Callable[[dict[str, Any], Delivery], Results]] = {
    "requestPayload": _on_failure,
    "detail-type": _eventbridge,
}
