"""How an alarm reaches the function: the message that it sends, and the topics that messages come in by. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lastgood.settings import Settings
from lastgood.signals import Home


def alarm_message(alarm: Mapping[str, Any], at: datetime, topic_arn: str) -> dict[str, Any]:
    """The Lambda event that CloudWatch would cause through SNS, from an alarm as `DescribeAlarms` describes it."""
    body = {
        "AlarmName": alarm["AlarmName"],
        "AlarmArn": alarm["AlarmArn"],
        "AWSAccountId": alarm["AlarmArn"].split(":")[4],
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "NewStateReason": alarm.get("StateReason", ""),
        "StateChangeTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
        "Trigger": {key: alarm[key] for key in ("Period", "EvaluationPeriods", "Metrics") if key in alarm},
    }
    sns = {"Type": "Notification", "MessageId": "plan", "TopicArn": topic_arn, "Message": json.dumps(body)}
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]}


def points_here(alarm: Mapping[str, Any], settings: Settings, function_arn: str = "") -> bool:
    """True where going into ALARM reaches the function: by its topic, or by the function itself."""
    home = Home(alarm_topic_arns=settings.alarm_topic_arns or ("none",))
    return any(home.takes_from(action) or action == function_arn for action in alarm.get("AlarmActions") or [])


def alarm_topics(settings: Settings) -> tuple[str, ...]:
    """The topics that alarms come in by: the stack's own, and the satellite's in each other region."""
    named = (each.split(":") for each in settings.alarm_topic_arns)
    regions = ((arn, settings.alarm_regions if arn[3:4] == ["*"] else arn[3:4]) for arn in named)
    return tuple(":".join([*arn[:3], region, *arn[4:]]) for arn, found in regions for region in found)


def at_home(arn: str, function_arn: str) -> bool:
    """Whether something is in the function's own region."""
    return arn.split(":")[3:4] == function_arn.split(":")[3:4]
