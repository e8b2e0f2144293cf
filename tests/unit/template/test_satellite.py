"""The satellite stack: alarms of another region, and nothing else, reach the function."""

from __future__ import annotations

from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from iam import Request, allowed
from lastgood.signals import Home
from lastgood_cli.stack_template import StackTemplate
from template_stack import ACCOUNT, PSEUDO, REGION, ROOT, SOMEBODY, Placeholders, Stack, by_alarm, everything

EDGE = "eu-west-3"
TOPIC = f"arn:aws:sns:{EDGE}:{ACCOUNT}:lastgood-alarms"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:lastgood"
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "satellite.yaml").read_text())


def satellite(**parameters: str) -> dict[str, Any]:
    """Its resources, deployed in the region EDGE."""
    known = Placeholders(PSEUDO | {"AWS::Region": EDGE, "AlarmTopic": TOPIC})
    return StackTemplate({"FunctionArn": FUNCTION, **parameters}, known, TEMPLATE).resources()


def properties(name: str, **parameters: str) -> dict[str, Any]:
    found: dict[str, Any] = satellite(**parameters)[name]["Properties"]
    return found


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = properties(policy)["PolicyDocument"]["Statement"]
    return found


def alarm(region: str = EDGE, account: str = ACCOUNT) -> str:
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:cdn-5xx"


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (by_alarm("sns:Publish", TOPIC, alarm()), True),
        (by_alarm("sns:Publish", TOPIC, alarm(REGION)), False),
        (by_alarm("sns:Publish", TOPIC, alarm(account="999999999999")), False),
        (Request("sns:Publish", TOPIC, SOMEBODY), False),
    ],
    ids=["an alarm", "an alarm of another region", "an alarm of another account", "somebody"],
)
def test_only_alarms_of_its_region_and_account_may_publish(who: Request, may: bool) -> None:
    assert allowed(who, statements("AlarmTopicPolicy"), everything("sns:Publish")) is may


@pytest.mark.parametrize("home", ["lastgood", "lastgood-prod"])
def test_its_topic_is_the_one_that_the_functions_stack_lets_in(home: str) -> None:
    name = properties("AlarmTopic", HomeStack=home)["TopicName"]
    topic = f"arn:aws:sns:{EDGE}:{ACCOUNT}:{name}"
    stack = Stack({**PSEUDO, "AWS::StackName": home}, AlarmRegions=f"sa-east-1,{EDGE}")
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    assert topic in {p.get("SourceArn") for p in permissions if p["Principal"] == "sns.amazonaws.com"}
    accepted = tuple(stack.environment["LASTGOOD_ALARM_TOPIC_ARNS"].split(","))
    assert Home(ACCOUNT, REGION, accepted).takes_from(topic)


def test_what_cannot_be_delivered_is_kept_and_somebody_hears_of_it() -> None:
    subscription = properties("FunctionSubscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("lambda", FUNCTION)
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": "<DeadLetterQueue.Arn>"}
    send = Request("sqs:SendMessage", "<DeadLetterQueue.Arn>", "sns.amazonaws.com", {"aws:SourceArn": TOPIC})
    assert allowed(send, statements("DeadLetterQueuePolicy"), [])
    told = properties("DeadLettersAlarm", NotificationEmail="ops@example.com")["AlarmActions"]
    assert told == ["<NoticeTopic>"]


def test_a_stack_without_other_regions_grants_and_accepts_nothing_of_them(stack: Stack) -> None:
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    assert not [p for p in permissions if str(p.get("SourceArn", "")).startswith("arn:aws:sns:")]
    assert stack.environment["LASTGOOD_ALARM_TOPIC_ARNS"] == "<AlarmTopic>"
    assert stack.environment["LASTGOOD_ALARM_REGIONS"] == ""
