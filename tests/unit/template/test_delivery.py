"""Topics and the dead-letter queue: who may send, and that nothing gets lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from iam import Request, allowed
from template_stack import (
    ACCOUNT,
    ALARM,
    ALARMS_OF_THIS_ACCOUNT,
    FUNCTION_ROLE,
    REGION,
    SOMEBODY,
    Stack,
    by_alarm,
    everything,
)

ELSEWHERE = ALARM.replace(ACCOUNT, "210987654321")
OTHER_REGION = ALARM.replace(REGION, "eu-west-1")
RULE = {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/anything"}


@pytest.mark.parametrize("topic", ["AlarmTopic", "NotificationTopic"])
def test_a_topics_policy_lets_only_alarms_of_this_account_and_region_publish(stack: Stack, topic: str) -> None:
    (allow,) = [s for s in stack.topic_policy(topic) if s["Effect"] == "Allow"]
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (allow["Action"], allow["Resource"]) == ("sns:Publish", f"<{topic}>")
    assert allow["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": ALARMS_OF_THIS_ACCOUNT},
    }


# Who publishes, and whether the alarm topic and the notification topic let him. `sns:Publish` on `*` is a common right.
PUBLISHERS = {
    "an alarm": (lambda topic: by_alarm("sns:Publish", topic), True, True),
    "an alarm of another account": (lambda topic: by_alarm("sns:Publish", topic, ELSEWHERE), False, False),
    "an alarm of another region": (lambda topic: by_alarm("sns:Publish", topic, OTHER_REGION), False, False),
    "another service": (lambda topic: Request("sns:Publish", topic, "events.amazonaws.com", RULE), False, False),
    "somebody who may publish on everything": (lambda topic: Request("sns:Publish", topic, SOMEBODY), False, False),
    "the function": (lambda topic: Request("sns:Publish", topic, FUNCTION_ROLE), False, True),
}


@pytest.mark.parametrize("who", PUBLISHERS)
def test_a_message_is_taken_only_from_alarms_and_a_notice_only_from_the_function_and_alarms(
    stack: Stack, who: str
) -> None:
    ask, *expected = PUBLISHERS[who]
    anything = everything("sns:Publish")
    answers = [
        allowed(ask(f"<{topic}>"), stack.topic_policy(topic), anything) for topic in ("AlarmTopic", "NotificationTopic")
    ]
    assert answers == expected


def test_the_functions_own_policy_lets_it_tell_people(stack: Stack) -> None:
    notice = Request("sns:Publish", "<NotificationTopic>", FUNCTION_ROLE)
    assert allowed(notice, stack.topic_policy("NotificationTopic"), stack.identity_policy())


@pytest.mark.parametrize("topic", ["AlarmTopic", "NotificationTopic"])
def test_a_topic_refuses_what_comes_without_tls(stack: Stack, topic: str) -> None:
    asked = by_alarm("sns:Publish", f"<{topic}>")
    plain = replace(asked, context={**asked.context, "aws:SecureTransport": "false"})
    assert allowed(asked, stack.topic_policy(topic))
    assert not allowed(plain, stack.topic_policy(topic))


def test_the_queue_refuses_whatever_comes_without_tls(stack: Stack) -> None:
    read = Request("sqs:ReceiveMessage", "<DeadLetterQueue.Arn>", SOMEBODY)
    assert allowed(read, stack.queue_policy(), everything("sqs:*"))
    plain = replace(read, context={"aws:SecureTransport": "false"})
    assert not allowed(plain, stack.queue_policy(), everything("sqs:*"))


def test_who_may_subscribe_to_notices_can_be_limited() -> None:
    def may_subscribe(who: str, **parameters: str) -> bool:
        policy = Stack(**parameters).topic_policy("NotificationTopic")
        return allowed(Request("sns:Subscribe", "<NotificationTopic>", who), policy, everything("sns:*"))

    operator = f"arn:aws:iam::{ACCOUNT}:role/operator-anna"
    limit = {"NotificationSubscribers": f"arn:aws:iam::{ACCOUNT}:role/operator-*,arn:aws:iam::{ACCOUNT}:role/chat"}
    assert may_subscribe(SOMEBODY) and may_subscribe(operator)
    assert may_subscribe(operator, **limit)
    assert not may_subscribe(SOMEBODY, **limit)


KEY = "arn:aws:kms:us-east-1:123456789012:key/0a"


def test_one_key_encrypts_topics_queue_table_logs_and_environment() -> None:
    stack = Stack(KmsKeyArn=KEY)
    table = stack.properties("AuditTable")["SSESpecification"]
    assert table == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
    assert stack.properties("AlarmTopic")["KmsMasterKeyId"] == KEY
    assert stack.properties("NotificationTopic")["KmsMasterKeyId"] == KEY
    assert stack.properties("FunctionLogs")["KmsKeyId"] == KEY
    assert stack.properties("RollbackFunction")["KmsKeyArn"] == KEY
    queue = stack.properties("DeadLetterQueue")
    assert queue["KmsMasterKeyId"] == KEY and "SqsManagedSseEnabled" not in queue
    assert stack.allowed()["kms:Decrypt"].resources == [KEY]


def test_without_a_key_of_ones_own_nothing_names_one(stack: Stack) -> None:
    """AWS's key for SNS would keep CloudWatch from publishing."""
    assert "KmsMasterKeyId" not in json.dumps(stack.resources)
    assert not [action for action in stack.allowed() if action.startswith("kms:")]


def test_notices_never_come_back_as_alarms(stack: Stack) -> None:
    assert stack.allowed()["sns:Publish"].resources == ["<NotificationTopic>"]
    assert {s["TopicArn"] for s in stack.of_type("AWS::SNS::Subscription").values()} == {"<AlarmTopic>"}


# --- nothing gets lost ---


def test_what_cannot_be_delivered_or_handled_goes_to_the_dead_letter_queue(stack: Stack) -> None:
    queue = "<DeadLetterQueue.Arn>"
    (subscription,) = stack.of_type("AWS::SNS::Subscription").values()
    (target,) = stack.properties("RollbackFunctionDeploymentMoved")["Targets"]
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": queue}
    assert target["DeadLetterConfig"] == {"Arn": queue}
    assert stack.properties("RollbackFunction")["DeadLetterConfig"] == {"TargetArn": queue}
    assert stack.allowed()["sqs:SendMessage"].resources == [queue]


@pytest.mark.parametrize("name", ["DeadLetterQueue", "FunctionLogs"])
def test_what_has_not_been_handled_and_what_was_logged_outlive_the_stack(stack: Stack, name: str) -> None:
    resource = stack.resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_an_event_is_tried_three_times_within_six_hours(stack: Stack) -> None:
    config = stack.properties("RollbackFunctionEventInvokeConfig")
    assert config["FunctionName"] == "<RollbackFunction>"
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (2, 21_600)


def test_the_dead_letter_queue_is_encrypted_and_keeps_messages_for_two_weeks(stack: Stack) -> None:
    queue = stack.properties("DeadLetterQueue")
    assert queue == {"MessageRetentionPeriod": 14 * 86_400, "SqsManagedSseEnabled": True}


def test_only_the_alarm_topic_and_the_rule_may_send_to_the_dead_letter_queue(stack: Stack) -> None:
    statements = [s for s in stack.queue_policy() if s["Effect"] == "Allow"]
    assert {(s["Principal"]["Service"], s["Condition"]["ArnEquals"]["aws:SourceArn"]) for s in statements} == {
        ("sns.amazonaws.com", "<AlarmTopic>"),
        ("events.amazonaws.com", "<RollbackFunctionDeploymentMoved.Arn>"),
    }
    for statement in statements:
        assert statement["Action"] == "sqs:SendMessage"
        assert statement["Resource"] == "<DeadLetterQueue.Arn>"
        assert list(statement["Condition"]) == ["ArnEquals"]


def test_an_e_mail_address_is_subscribed_to_the_notices_and_to_nothing_else() -> None:
    made = Stack(NotificationEmail="ops@example.com")
    email = [s for s in made.of_type("AWS::SNS::Subscription").values() if s["Protocol"] == "email"]
    assert email == [{"TopicArn": "<NotificationTopic>", "Protocol": "email", "Endpoint": "ops@example.com"}]
