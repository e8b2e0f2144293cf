"""The envelopes that a signal comes in, and what each of them adds."""

from __future__ import annotations

import json

import pytest

from lastgood.model import TriggerKind
from lastgood.signals import (
    DeploymentSignal,
)
from reading import alarm, asked, in_queue, load, refusal, sole


class TestEnvelopes:
    def test_a_queue_gives_the_whole_sns_envelope(self) -> None:
        signal = alarm(load("alarm-sqs-wrapped"))
        assert signal.trigger_kind is TriggerKind.SQS
        assert signal.message_id == "059f36b4-87a3-44ab-83d2-661975830a7d", "the queue's own id, to report failures by"

    def test_a_queue_with_raw_delivery_gives_the_message_alone(self) -> None:
        message = json.loads(load("alarm-in-alarm")["Records"][0]["Sns"]["Message"])
        signal = alarm(in_queue(message))
        assert signal.trigger_kind is TriggerKind.SQS
        assert signal.key == alarm(load("alarm-in-alarm")).key

    def test_a_raw_message_without_an_arn_takes_its_place_from_the_queue(self) -> None:
        message = json.loads(load("alarm-in-alarm")["Records"][0]["Sns"]["Message"])
        del message["AlarmArn"]
        assert alarm(in_queue(message)).key == alarm(load("alarm-in-alarm")).key

    @pytest.mark.parametrize("name", ["alarm-eventbridge", "alarm-to-lambda", "alarm-in-alarm"])
    def test_a_queue_may_hold_a_whole_event(self, name: str) -> None:
        signal = alarm(in_queue(load(name)))
        assert (signal.trigger_kind, signal.key) == (TriggerKind.SQS, alarm(load(name)).key)

    def test_a_deployment_event_may_come_through_a_queue(self) -> None:
        assert isinstance(sole(in_queue(load("codedeploy-state-change"))), DeploymentSignal)

    def test_a_failure_record_is_unwrapped_once(self) -> None:
        record = {"version": "1.0", "requestPayload": load("alarm-in-alarm"), "responsePayload": None}
        assert alarm(record) == alarm(load("alarm-in-alarm"))
        assert alarm(in_queue(record)).trigger_kind is TriggerKind.SQS
        assert refusal({"requestPayload": record}).code == "too_deep"

    def test_a_failed_request_of_a_person_may_be_sent_again_by_a_person_only(self) -> None:
        record = {"requestPayload": load("manual-rollback")}
        assert asked(record).action == "rollback"
        assert refusal(in_queue(record)).code == "queued_request"
        assert refusal(in_queue(load("manual-rollback"))).code == "queued_request"

    def test_messages_from_a_queue_within_a_queue_are_refused(self) -> None:
        assert refusal(in_queue(load("alarm-sqs-wrapped"))).code == "too_deep"

    def test_a_refused_record_keeps_its_message_id(self) -> None:
        event = load("alarm-sqs-wrapped")
        event["Records"][0]["body"] = "Hello"
        assert refusal(event).message_id == "059f36b4-87a3-44ab-83d2-661975830a7d"
