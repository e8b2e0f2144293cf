"""The topics: where alarms come in, where people are told, and the bus for other systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from lastgood.settings import Settings
from lastgood_cli import by_hand, fixes
from lastgood_cli import checks as check
from lastgood_cli.alarm_paths import at_home
from lastgood_cli.checks import Check, Part
from lastgood_cli.doctor.looking import GONE, Found, attempted
from lastgood_cli.doctor.patient import Patient


def examine_topic(patient: Patient, arn: str) -> Part:
    """Whether alarms come through this topic to the function; in another region it is the satellite's."""
    region = {} if at_home(arn, patient.arn) else {"region_name": arn.split(":")[3]}
    sns = patient.aws.client("sns", **region)
    where = "".join(f" in {each}" for each in region.values())
    title = f"Topic {arn.rpartition(':')[2]}{where}"
    if _deleted(sns, arn):
        return Part(title, (_restored(arn),))

    def attributes() -> tuple[Check, ...]:
        told = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        key = told.get("KmsMasterKeyId", "")
        of_key = _key_policy(patient, key, **region)
        usable = check.topic_key(key, of_key, arn, patient.parameters.get("KmsKeyArn", ""))
        return check.topic_policy(told.get("Policy", ""), arn), usable

    def subscribed() -> Check:
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        return check.subscription([each for page in pages for each in page["Subscriptions"]], patient.arn, arn)

    def unfiltered() -> Found:
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        mine = [s["SubscriptionArn"] for page in pages for s in page["Subscriptions"] if s["Endpoint"] == patient.arn]
        told = [sns.get_subscription_attributes(SubscriptionArn=each)["Attributes"] for each in mine if ":" in each]
        return tuple(check.unfiltered({"SubscriptionArn": mine[0], **each}, patient.arn) for each in told)

    def invocable() -> Check:
        return check.may_be_invoked(patient.policy, arn, patient.arn)

    looks: Mapping[str, Callable[[], Found]] = {
        "CloudWatch may publish to it": attributes,
        "the function is subscribed": subscribed,
        "no filter keeps alarms back": unfiltered,
        "the topic may invoke the function": invocable,
    }
    checks = tuple(found for name, look in looks.items() for found in attempted(name, look))
    return Part(title, checks)


def _deleted(sns: Any, arn: str) -> bool:
    """Whether there is no such topic; False where that may not be asked."""
    try:
        sns.get_topic_attributes(TopicArn=arn)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code") in GONE
    return False


def _restored(arn: str) -> Check:
    return Check("it exists", False, "It was deleted, and its subscribers with it.", fixes.create_topic(arn))


def examine_notices(patient: Patient, settings: Settings) -> Iterator[Part]:
    """Where people are told, and other systems."""
    arn, own = settings.notification_topic_arn, patient.stack.get("NotificationTopic", "")
    named = check.of_the_stack(
        "it is the stack's", "LASTGOOD_NOTIFICATION_TOPIC_ARN", arn, own, patient.arn, patient.environ
    )
    if named.ok and arn:
        heard = attempted("somebody hears its notices", lambda: _listeners(patient, arn))
        yield Part(f"Notification topic {arn.rpartition(':')[2]}", (named, *heard))
    else:
        yield Part("Notification topic", (named if arn or not named.ok else _silent(),))
    if settings.event_bus:
        exists = attempted("it exists", lambda: _event_bus(patient, settings.event_bus))
        yield Part(f"Event bus {settings.event_bus}", exists)


def _listeners(patient: Patient, arn: str) -> Check:
    sns = patient.aws.client("sns")
    if _deleted(sns, arn):
        return _restored(arn)
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    return check.people_listen(arn, [each for page in pages for each in page["Subscriptions"]])


def _event_bus(patient: Patient, name: str) -> Check:
    try:
        found = patient.aws.client("events").describe_event_bus(Name=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in GONE:
            raise
        stacks = patient.parameters.get("EventBus", name)
        renamed = fixes.set_variables(patient.arn, patient.environ, LASTGOOD_EVENT_BUS=stacks)
        fix = fixes.create_event_bus(patient.arn, name) if stacks == name else renamed
        return Check("it exists", False, "No outcome event reaches anybody.", fix)
    return Check("it exists", True, str(found.get("Arn", "")))


def _key_policy(patient: Patient, key_id: str, **region: str) -> str | None:
    if not key_id or key_id.endswith("alias/aws/sns"):
        return None
    try:
        answer = patient.aws.client("kms", **region).get_key_policy(KeyId=key_id, PolicyName="default")
    except ClientError:
        return None
    return str(answer["Policy"])


def _silent() -> Check:
    said = "LASTGOOD_NOTIFICATION_TOPIC_ARN is empty: nobody is told of anything."
    return Check("people are told", False, said, by_hand.no_topic())
