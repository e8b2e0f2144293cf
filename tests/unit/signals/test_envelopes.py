"""The envelopes that a signal comes in, and what each of them adds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lastgood.model import TriggerKind
from lastgood.signals import AlarmSignal, DeploymentSignal, Home, Refusal, parse
from reading import HOME, NOW, alarm, asked, in_queue, load, refusal, sole


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

    def test_a_pipe_hands_over_a_list_of_a_queues_records(self) -> None:
        records = load("alarm-sqs-wrapped")["Records"]
        assert parse(records, HOME, NOW) == parse({"Records": records}, HOME, NOW)

    @pytest.mark.parametrize("name", ["alarm-eventbridge", "alarm-to-lambda", "alarm-in-alarm"])
    def test_a_pipe_may_hand_over_what_a_queues_body_holds(self, name: str) -> None:
        assert alarm([load(name)]) == alarm(load(name))
        envelope = load("alarm-in-alarm")["Records"][0]["Sns"]
        assert alarm([envelope]).key == alarm(load("alarm-in-alarm")).key

    def test_one_bad_element_of_a_list_keeps_none_of_the_others_from_being_read(self) -> None:
        found = parse([7, load("alarm-in-alarm"), [load("alarm-in-alarm")], {}], HOME, NOW)
        assert [type(each) for each in found] == [Refusal, AlarmSignal, Refusal, Refusal]

    @pytest.mark.parametrize("name", ["alarm-eventbridge", "alarm-to-lambda", "alarm-in-alarm"])
    def test_what_a_pipes_template_leaves_of_a_queues_body_is_read_as_a_text_or_as_an_object(self, name: str) -> None:
        wanted = alarm(in_queue(load(name)))
        (record,) = in_queue(load(name))["Records"]
        assert alarm([record["body"]]).key == wanted.key
        assert alarm([record | {"body": json.loads(record["body"])}]) == wanted
        assert refusal(["Hello"]).code == "not_json" and refusal(["[1]"]).code == "not_object"

    def test_a_bare_alarm_message_in_a_list_is_read_where_any_topic_is_accepted_and_else_refused(self) -> None:
        """Nothing says which topic brought it."""
        message = json.loads(load("alarm-in-alarm")["Records"][0]["Sns"]["Message"])
        assert alarm([message], Home("123456789012", "us-east-1")).key == alarm(load("alarm-in-alarm")).key
        told = refusal([message], Home("123456789012", "us-east-1", ("arn:aws:sns:us-east-1:123456789012:alarms",)))
        assert (told.code, told.rejected) == ("untrusted_topic", True) and "an unknown topic" in told.message

    @pytest.mark.parametrize("name", ["alarm-eventbridge", "codedeploy-state-change", "ecs-deployment-state-change"])
    def test_an_eventbridge_rule_may_have_a_topic_between(self, name: str) -> None:
        direct, over = sole(load(name)), sole(over_sns(load(name)))
        assert type(over) is type(direct) and not isinstance(over, Refusal)
        assert getattr(over, "key", "") == getattr(direct, "key", "")
        home = Home("123456789012", "us-east-1", ("arn:aws:sns:us-east-1:123456789012:alarms-only",))
        assert refusal(over_sns(load(name)), home).code == "untrusted_topic"

    def test_a_failed_invocation_that_lambda_put_on_a_bus_is_unwrapped_and_holds_no_request(self) -> None:
        def failed(payload: object) -> dict[str, Any]:
            kind = {"source": "lambda", "detail-type": "Lambda Function Invocation Result - Failure"}
            return {**kind, "account": "123456789012", "detail": {"version": "1.0", "requestPayload": payload}}

        assert alarm(failed(load("alarm-in-alarm"))).key == alarm(load("alarm-in-alarm")).key
        assert refusal(failed(load("manual-rollback"))).code == "queued_request"
        assert refusal(failed(failed(load("manual-rollback")))).code == "too_deep"
        assert refusal(over_sns(load("scheduled-sweep"))).code == "queued_request"

    def test_a_failure_destinations_record_may_come_over_sns(self) -> None:
        record = {"version": "1.0", "requestPayload": load("alarm-in-alarm"), "responsePayload": None}
        assert alarm(over_sns(record)).key == alarm(load("alarm-in-alarm")).key
        assert isinstance(sole(over_sns({"requestPayload": load("codedeploy-state-change")})), DeploymentSignal)

    @pytest.mark.parametrize("name", ["manual-rollback", "manual-dry-run", "scheduled-sweep"])
    def test_no_request_is_taken_from_a_topic_or_a_list(self, name: str) -> None:
        request = load(name)
        for event in (
            over_sns({"requestPayload": request}),
            [request],
            [json.dumps(request)],
            [{"requestPayload": request}],
        ):
            assert refusal(event).code == "queued_request"

    def test_a_failure_record_comes_from_an_accepted_topic_only(self) -> None:
        home = Home("123456789012", "us-east-1", ("arn:aws:sns:us-east-1:123456789012:alarms-only",))
        assert refusal(over_sns({"requestPayload": load("alarm-to-lambda")}), home).code == "untrusted_topic"


def over_sns(message: object) -> Any:
    """An SNS event with this message."""
    event = load("alarm-in-alarm")
    event["Records"][0]["Sns"]["Message"] = json.dumps(message)
    return event
