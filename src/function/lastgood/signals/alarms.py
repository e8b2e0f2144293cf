"""CloudWatch's alarms: as SNS delivers them, as an alarm's own Lambda action, and as EventBridge reports them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lastgood.model import AlarmState, Onset, TriggerKind
from lastgood.reason_data import breach_began, is_of_change, parse_reason_data
from lastgood.signals.fields import (
    ACCEPTED_SHAPES,
    MAX_REASON,
    ONLY_ALARMS,
    Arn,
    check_alarm_place,
    ignore,
    kind_of,
    optional_text,
    parse_arn,
    reject,
    time_of,
)
from lastgood.signals.types import AlarmSignal, Delivery, Home, Results
from lastgood.text import clean, is_name, is_plain, without_surrogates

MAX_ALARM_NAME = 255
MAX_CONTRIBUTOR = 255
MAX_ATTRIBUTES = 30
# CloudWatch allows no alarm to look back further than a week.
MAX_EVALUATION_SECONDS = 604_800

# How SNS names the one time series that a message is about, and how EventBridge does.
_CONTRIBUTOR = ("AlarmContributorId", "AlarmContributorAttributes", "alarmContributor")


def read_sns_alarm(body: dict[str, Any], delivery: Delivery) -> AlarmSignal:
    """CloudWatch's message as SNS delivers it: metric, metric-math and composite alarms."""
    _check_is_alarm(body)
    check_topic(delivery)
    name = _alarm_name(body["AlarmName"])
    arn = _alarm_arn(body.get("AlarmArn"), name, body.get("AWSAccountId"), delivery)
    check_alarm_place(arn, delivery.home)
    state = _alarm_state(body["NewStateValue"])
    _check_contributor(body, name, state)
    return AlarmSignal(
        alarm_name=name,
        alarm_arn=str(arn),
        state=state,
        changed_at=time_of(body.get("StateChangeTime"), "StateChangeTime", delivery.now),
        state_reason=optional_text(body, "NewStateReason", MAX_REASON),
        trigger_kind=delivery.kind(TriggerKind.SNS),
        tags=_tags(body, "AlarmTags"),
        evaluation_seconds=_evaluation_seconds(body.get("Trigger")),
        message_id=delivery.message_id,
        contributor=optional_text(body, "AlarmContributorId", MAX_CONTRIBUTOR),
        attributes=_attributes(body.get("AlarmContributorAttributes")),
    )


def _check_contributor(body: dict[str, Any], name: str, state: AlarmState) -> None:
    """Ignore the recovery of one time series of an alarm over many: it says nothing about the others."""
    if state is not AlarmState.ALARM and any(body.get(name) is not None for name in _CONTRIBUTOR):
        ignore(
            "contributor_recovered", f"One contributor of alarm {clean(name, 255)} is {state}: that is not the alarm."
        )


def _attributes(value: object) -> dict[str, str]:
    """The attributes of the time series, such as `FunctionName`. Values that could deceive a reader are left out."""
    if not isinstance(value, dict):
        return {}
    pairs = [(name, text) for name, text in value.items() if isinstance(text, str) and len(text) <= MAX_ALARM_NAME]
    return {name: text for name, text in pairs[:MAX_ATTRIBUTES] if name and is_plain(name) and is_plain(text)}


def _check_is_alarm(body: dict[str, Any]) -> None:
    if "AlarmName" in body and "NewStateValue" in body:
        return
    if ("deploymentId" in body and "deploymentGroupName" in body) or "notificationRuleArn" in body:
        ignore(
            "codedeploy_trigger",
            "The message is one of a CodeDeploy trigger, or of a notification rule of the developer tools.",
            "lastgood gets deployments from EventBridge; point the trigger or the rule at another topic.",
        )
    ignore("not_an_alarm", "The message lacks AlarmName or NewStateValue.", ONLY_ALARMS)


def check_topic(delivery: Delivery) -> None:
    if not delivery.home.takes_from(delivery.source_arn):
        sender = delivery.source_arn or "an unknown topic"
        reject(
            "untrusted_topic",
            f"The message comes from {sender}, which is not accepted.",
            "Add the ARN of the topic, or of a queue with raw delivery, to LASTGOOD_ALARM_TOPIC_ARNS.",
        )


def _alarm_name(value: object) -> str:
    """The name is the alarm's identity and is kept as it is; one that could deceive a reader is refused."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ALARM_NAME:
        reject("bad_field", f"The alarm's name must be a text of 1 to {MAX_ALARM_NAME} characters.")
    if not is_name(value):
        reject(
            "bad_field",
            f"The alarm's name contains control characters, or what would deceive its readers: {clean(value, 255)}",
        )
    return value


def _alarm_arn(given: object, name: str, account: object, delivery: Delivery) -> Arn:
    """The alarm's ARN. Old messages have none, and a display name as `Region`: then the topic's ARN is used."""
    if given is None:
        sender = parse_arn(delivery.source_arn, "sns") or parse_arn(delivery.source_arn, "sqs")
        return _built_arn(name, account, sender, delivery.home)
    arn = parse_arn(given, "cloudwatch")
    if arn is None or arn.resource != f"alarm:{name}":
        reject("bad_field", "AlarmArn is not the ARN of the alarm that the message names.")
    if isinstance(account, str) and account != arn.account_id:
        reject("wrong_account", "The message's account and its AlarmArn differ.")
    return arn


def _built_arn(name: str, account: object, sender: Arn | None, home: Home) -> Arn:
    partition = sender.partition if sender else "aws"
    region = sender.region if sender else home.region
    owner = account if isinstance(account, str) else sender.account_id if sender else home.account_id
    arn = parse_arn(f"arn:{partition}:cloudwatch:{region}:{owner}:alarm:{name}", "cloudwatch")
    if arn is None:
        reject("missing_field", "The message has no AlarmArn, and nothing else gives its account and region.")
    return arn


def _alarm_state(value: object) -> AlarmState:
    if not isinstance(value, str) or value not in AlarmState.__members__:
        told = repr(clean(value, 40)) if isinstance(value, str) else kind_of(value)
        reject("bad_state", f"The alarm's state is {told}; it must be one of {', '.join(AlarmState)}.")
    return AlarmState(value)


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


def read_alarm_action(event: dict[str, Any], delivery: Delivery) -> Results:
    """A CloudWatch alarm whose action is this function, without SNS in between."""
    if event.get("source") != "aws.cloudwatch" or not isinstance(event["alarmData"], dict):
        reject("unknown_event_shape", "The event has alarmData but is not CloudWatch's.", ACCEPTED_SHAPES)
    body = event["alarmData"]
    tags = first_tags(event, body)
    kind = delivery.kind(TriggerKind.ALARM_ACTION)
    return (stated_alarm(body, event.get("alarmArn"), event.get("accountId"), tags, kind, delivery),)


def read_alarm_detail(body: dict[str, Any], delivery: Delivery) -> Results:
    """EventBridge's description of an alarm without the event around it, which a rule's input path `$.detail` leaves.

    It names no account and no region: those of the topic, the queue or the function are meant.
    """
    kind = delivery.kind(TriggerKind.EVENTBRIDGE)
    return (stated_alarm(body, None, None, first_tags(body), kind, delivery),)


def first_tags(*holders: object) -> dict[str, str] | None:
    tag_maps = (_tags(holder, "alarmTags") for holder in holders if isinstance(holder, dict))
    return next((tags for tags in tag_maps if tags is not None), None)


def stated_alarm(
    body: dict[str, Any],
    given_arn: object,
    account: object,
    tags: dict[str, str] | None,
    kind: TriggerKind,
    delivery: Delivery,
) -> AlarmSignal:
    """The alarm as its Lambda action and EventBridge describe it. Neither contains its evaluation periods."""
    name = _alarm_name(body.get("alarmName"))
    arn = _alarm_arn(given_arn, name, account, delivery)
    check_alarm_place(arn, delivery.home)
    stated = body.get("state")
    if not isinstance(stated, dict):
        reject("bad_state", f"The alarm's state is {kind_of(stated)}, not an object.")
    state, suppressed_by = _alarm_state(stated.get("value")), _suppressed_by(stated, body)
    _check_contributor(body, name, state)
    if state is AlarmState.ALARM and suppressed_by:
        ignore("suppressed", f"The actions of alarm {clean(name, 255)} are suppressed by {suppressed_by}.")
    changed_at = time_of(stated.get("timestamp"), "state.timestamp", delivery.now)
    one = body["alarmContributor"] if isinstance(body.get("alarmContributor"), dict) else {}
    return AlarmSignal(
        alarm_name=name,
        alarm_arn=str(arn),
        state=state,
        changed_at=changed_at,
        state_reason=optional_text(stated, "reason", MAX_REASON),
        trigger_kind=kind,
        tags=tags,
        onset=_onset(stated, changed_at, delivery),
        message_id=delivery.message_id,
        contributor=optional_text(one, "id", MAX_CONTRIBUTOR),
        attributes=_attributes(one.get("attributes")),
    )


def _onset(stated: dict[str, Any], changed_at: datetime, delivery: Delivery) -> Onset | None:
    """When the breach began; SNS messages do not contain that.

    It could clear a release, so it is not taken from a topic or a queue, into which others may write.
    """
    data = parse_reason_data(stated.get("reasonData"))
    if delivery.published or delivery.queued or not is_of_change(data, changed_at):
        return None
    return breach_began(data, optional_text(stated, "reason", MAX_REASON))


def _suppressed_by(stated: dict[str, Any], body: dict[str, Any]) -> str:
    """What suppresses the alarm's actions: EventBridge reports changes even while they are suppressed or muted."""
    mute = body.get("muteDetail")
    if mute:
        rule = optional_text(mute, "mutedByArn", 300) if isinstance(mute, dict) else ""
        return rule or "a mute rule"
    suppressor = stated.get("actionsSuppressedBy")
    return clean(suppressor, 300) if isinstance(suppressor, str) else ""
