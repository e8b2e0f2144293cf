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


class TestWhatIsLeftOfAnEvent:
    """A rule's input path, a template or somebody's relay leaves a part of an event, or puts it into another one."""

    detail = load("alarm-eventbridge")["detail"]
    wanted = alarm(load("alarm-eventbridge"))

    @pytest.mark.parametrize("way", ["alone", "in a list", "as a text", "over SNS", "queued", "queued over SNS"])
    def test_the_detail_of_an_alarms_event_is_read_however_it_comes(self, way: str) -> None:
        events = {
            "alone": self.detail,
            "in a list": [self.detail],
            "as a text": json.dumps(self.detail),
            "over SNS": over_sns(self.detail),
            "queued": in_queue(self.detail),
            "queued over SNS": in_queue(over_sns(self.detail)["Records"][0]["Sns"]),
        }
        assert alarm(events[way]).key == self.wanted.key

    def test_what_a_topic_or_a_queue_brings_does_not_say_when_the_breach_began(self) -> None:
        """That could clear the release to blame, and others may write there; CloudWatch is asked in any case."""
        assert alarm(self.detail).onset == self.wanted.onset is not None
        for event in (over_sns(self.detail), over_sns(load("alarm-eventbridge")), in_queue(load("alarm-eventbridge"))):
            assert alarm(event).onset is None

    def test_a_detail_alone_is_of_the_place_of_its_topic(self) -> None:
        event = over_sns(self.detail)
        event["Records"][0]["Sns"]["TopicArn"] = "arn:aws:sns:eu-west-1:123456789012:alarms"
        assert ":eu-west-1:123456789012:" in alarm(event, Home("123456789012", "eu-west-1")).alarm_arn
        assert refusal(event).code == "wrong_region"

    def test_a_detail_alone_without_any_place_is_refused(self) -> None:
        assert refusal(self.detail, Home()).code == "missing_field"

    def test_the_recovery_of_one_time_series_is_none_of_the_alarm_in_a_detail_alone_either(self) -> None:
        state = {**self.detail["state"], "value": "OK"}
        event = {**self.detail, "state": state, "alarmContributor": {"id": "1", "attributes": {}}}
        assert refusal(over_sns(event)).code == "contributor_recovered"

    @pytest.mark.parametrize("name", ["alarm-eventbridge", "alarm-to-lambda"])
    def test_a_whole_event_may_come_as_a_text(self, name: str) -> None:
        assert alarm(json.dumps(load(name))) == alarm(load(name))

    def test_an_alarms_action_that_somebody_publishes_is_read_like_the_action(self) -> None:
        assert alarm(over_sns(load("alarm-to-lambda"))).key == alarm(load("alarm-to-lambda")).key

    def test_a_message_of_one_topic_that_is_relayed_through_another_is_that_of_the_second(self) -> None:
        inner = load("alarm-in-alarm")["Records"][0]["Sns"]
        relayed = over_sns({**inner, "TopicArn": "arn:aws:sns:us-east-1:123456789012:elsewhere"})
        topic = relayed["Records"][0]["Sns"]["TopicArn"]
        assert alarm(relayed, Home("123456789012", "us-east-1", (topic,))).key == alarm(load("alarm-in-alarm")).key
        forged = over_sns({**inner, "TopicArn": topic})
        forged["Records"][0]["Sns"]["TopicArn"] = "arn:aws:sns:us-east-1:123456789012:elsewhere"
        assert refusal(forged, Home("123456789012", "us-east-1", (topic,))).code == "untrusted_topic"

    def test_an_envelope_or_a_message_alone_is_read(self) -> None:
        envelope = load("alarm-in-alarm")["Records"][0]["Sns"]
        assert alarm(envelope).key == alarm(load("alarm-in-alarm")).key
        assert alarm(json.loads(envelope["Message"])).key == alarm(load("alarm-in-alarm")).key
        assert refusal(json.loads(envelope["Message"]), Home("123456789012", "us-east-1", ("arn",))).rejected

    @pytest.mark.parametrize("name", ["manual-rollback", "scheduled-sweep", "manual-status"])
    def test_no_request_is_taken_from_a_text(self, name: str) -> None:
        """A rule's template can make a text of what strangers named."""
        assert refusal(json.dumps(load(name))).code == "queued_request"

    def test_envelopes_within_envelopes_come_to_an_end(self) -> None:
        event: Any = load("alarm-in-alarm")["Records"][0]["Sns"]
        while len(json.dumps(event)) < 100_000:
            event = {**load("alarm-in-alarm")["Records"][0]["Sns"], "Message": json.dumps(event)}
        assert alarm(event).key == alarm(load("alarm-in-alarm")).key


class TestStrangersOnTheTopic:
    """What else is sent to a topic of alarms: each is told apart from an alarm, with what to do about it."""

    @pytest.mark.parametrize(
        "text",
        [
            "AWS Budget Notification November 26, 2026\nAWS Account 123456789012",
            "StackId='arn:aws:cloudformation:us-east-1:123456789012:stack/shop/1'\nResourceStatus='UPDATE_COMPLETE'\n",
            '"shop-prod-error-rate is in ALARM"',
            "[]",
        ],
    )
    def test_a_text_is_rejected_with_what_to_do(self, text: str) -> None:
        event = load("alarm-in-alarm")
        event["Records"][0]["Sns"]["Message"] = text
        found = refusal(event)
        assert (found.rejected, "another topic" in found.hint) == (True, True)

    @pytest.mark.parametrize(
        "message",
        [
            {"Service": "AWS Auto Scaling", "Event": "autoscaling:TEST_NOTIFICATION", "AutoScalingGroupName": "shop"},
            {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "shop"},
            {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
            {"receiver": "ops", "status": "firing", "alerts": [{"status": "firing", "labels": {"alertname": "5xx"}}]},
            {"id": "1", "alert_type": "error", "title": "[Triggered] shop", "event_type": "query_alert_monitor"},
            {"version": "1.0", "source": "custom", "content": {"title": "shop/prod was rolled back"}},
            {"Event Source": "db-instance", "Event Message": "Backing up"},
        ],
        ids=["AutoScaling", "S3 test", "S3", "Grafana", "Datadog", "a notice", "RDS"],
    )
    def test_what_is_no_alarm_is_ignored_with_the_way_for_other_monitors(self, message: dict[str, Any]) -> None:
        found = refusal(over_sns(message))
        assert (found.code, found.rejected) == ("not_an_alarm", False)
        assert "a CloudWatch alarm on a metric" in found.hint

    def test_a_notification_rules_message_is_sent_to_another_topic(self) -> None:
        rule = {"notificationRuleArn": "arn", "detailType": "CodeDeploy Deployment State-change Notification"}
        assert refusal(over_sns({**rule, "detail": {"deploymentId": "d-A1B2C3D4E"}})).code == "codedeploy_trigger"

    def test_a_health_event_over_a_topic_is_ignored(self) -> None:
        assert refusal(over_sns({"source": "aws.health", "detail-type": "AWS Health Event"})).code == "other_event"


def over_sns(message: object) -> Any:
    """An SNS event with this message."""
    event = load("alarm-in-alarm")
    event["Records"][0]["Sns"]["Message"] = json.dumps(message)
    return event
