"""The envelopes of signals: SNS, SQS, EventBridge, an alarm's action, a failure record, or a person's request.

A rule's input path, a pipe's template or somebody's relay may leave less than a whole event, so what is inside an
envelope is read by its own shape, whatever it came in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from lastgood.signals.actions import ACTIONS
from lastgood.signals.alarms import check_topic, read_alarm_action, read_alarm_detail, read_sns_alarm
from lastgood.signals.eventbridge import read_eventbridge
from lastgood.signals.fields import ACCEPTED_SHAPES, ONLY_ALARMS, guarded, ignore, kind_of, optional_text, reject
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
    if isinstance(event, str) and event.lstrip().startswith("{"):
        event = [event]
    if isinstance(event, list) and event:
        return tuple(_no_request(result) for record in event for result in guarded(_piped, record, delivery))
    if not isinstance(event, dict) or not event:
        reject(
            "unknown_event_shape",
            f"The event is {kind_of(event)}; nothing can be read from it.",
            ACCEPTED_SHAPES,
        )
    reader = _reader_of(event)
    if reader is None:
        reject("unknown_event_shape", "The event has none of the shapes that lastgood knows.", ACCEPTED_SHAPES)
    return reader(event, delivery)


def _reader_of(content: dict[str, Any]) -> Callable[[dict[str, Any], Delivery], Results] | None:
    return next((reader for keys, reader in _SHAPES.items() if content.keys() >= keys), None)


def _piped(element: object, delivery: Delivery) -> Results:
    """One element of a list from EventBridge Pipes: a queue's record, the content of its body, or a whole event.

    The content of a body comes as an object or, depending on the pipe's template, still as text. A rule's template may
    make a text of the whole event as well.
    """
    if isinstance(element, str):
        element = _json_object(element, "The text", MAX_SQS_CHARACTERS, ACCEPTED_SHAPES)
    if not isinstance(element, dict):
        reject("unknown_event_shape", f"The list holds {kind_of(element)}, not an event.", ACCEPTED_SHAPES)
    if "eventSource" in element or "EventSource" in element:
        return _record(element, delivery)
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
    body = (
        given if isinstance(given, dict) else _json_object(given, "The record's body", MAX_SQS_CHARACTERS, ONLY_ALARMS)
    )
    return guarded(_reader_of(body) or _alarm_message, body, delivery)


def _on_failure(event: dict[str, Any], delivery: Delivery) -> Results:
    """Lambda's OnFailure record, sent again. Its content may be old: that is judged later."""
    if delivery.replayed:
        reject("too_deep", "A requestPayload holds another requestPayload.", "Send the innermost one.")
    return _read(event["requestPayload"], replace(delivery, replayed=True))


def _sns_delivery(message: dict[str, Any], delivery: Delivery) -> Delivery:
    # SQS reports failures by the queue's own message id, so that one is kept.
    message_id = delivery.message_id if delivery.queued else optional_text(message, "MessageId", 100)
    return replace(delivery, message_id=message_id, source_arn=optional_text(message, "TopicArn", 300), published=True)


def _envelope(message: dict[str, Any], delivery: Delivery) -> Results:
    """A message as SNS puts it into a queue; or one topic's within another topic's, which then answers for it."""
    return guarded(_sns, message, delivery if delivery.published else _sns_delivery(message, delivery))


def _alarm_message(body: dict[str, Any], delivery: Delivery) -> Results:
    return (read_sns_alarm(body, delivery),)


def _sns(message: dict[str, Any], delivery: Delivery) -> Results:
    if message.get("Type", "Notification") != "Notification":
        kind = optional_text(message, "Type", 80) or "of another kind"
        # Anyone who can publish can put any address in here, so no URL from a message is ever opened.
        ignore("not_a_notification", f"The SNS message is {kind}, not a Notification.")
    body = _json_object(message.get("Message"), "The SNS message", MAX_SNS_CHARACTERS, ONLY_ALARMS)
    reader = _reader_of(body)
    if reader is None or reader in _NEVER_PUBLISHED:
        return _alarm_message(body, delivery)
    check_topic(delivery)
    return tuple(_no_request(result) for result in reader(body, delivery))


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
    told = "Requests and sweeps come from no topic, from no bus's record of a failure, and from no list or text."
    return Refusal("queued_request", told, "Invoke the function with it alone.", rejected=True)


def _json_object(value: object, what: str, limit: int, hint: str) -> dict[str, Any]:
    if not isinstance(value, str):
        reject("not_json", f"{what} is {kind_of(value)}, not a text that holds JSON.", hint)
    try:
        body = read_json(value, limit)
    except UnreadableError as error:
        reject(error.code, f"{what} cannot be read: {error}.", hint)
    if not isinstance(body, dict):
        reject("not_object", f"{what} is JSON, but {kind_of(body)} and not an object.", hint)
    return body


def _hello_world(event: dict[str, Any], delivery: Delivery) -> Results:
    reject(
        "hello_world_event",
        "This is the hello-world event of Lambda's console; it asks for nothing.",
        f"Use events/manual-dry-run.json instead: {json.dumps(ACTIONS['rollback'].event)}",
    )


# The first keys that are all there decide what a content is. `action` is the first: a request is strict about the rest.
_SHAPES: Mapping[frozenset[str], Callable[[dict[str, Any], Delivery], Results]] = {
    frozenset({"action"}): read_operator_event,
    frozenset({"Records"}): _records,
    frozenset({"requestPayload"}): _on_failure,
    frozenset({"alarmData"}): read_alarm_action,
    frozenset({"detail-type"}): _eventbridge,
    frozenset({"TopicArn", "Type"}): _envelope,
    frozenset({"AlarmName", "NewStateValue"}): _alarm_message,
    frozenset({"alarmName", "state"}): read_alarm_detail,
    frozenset({"key1"}): _hello_world,
}
# An event of several records is Lambda's own form; the others are a person's.
_NEVER_PUBLISHED = (_records, read_operator_event, _hello_world)
