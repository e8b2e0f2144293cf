"""Whether an alarm comes through the alarm topic, and whether a notice would reach anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood_cli import by_hand, fixes
from lastgood_cli.checks.check import Check
from lastgood_cli.checks.policies import allows, without_what_shuts_cloudwatch_out
from lastgood_cli.fix import NOTHING


def topic_policy(policy: str, topic_arn: str) -> Check:
    """Whether CloudWatch may publish to the topic."""
    alarms = topic_arn.replace(":sns:", ":cloudwatch:").rpartition(":")[0] + ":alarm:any"
    ok = allows(policy, "sns:Publish", "cloudwatch.amazonaws.com", alarms)
    return Check(
        "CloudWatch may publish to it",
        ok,
        "" if ok else "Its policy lets cloudwatch.amazonaws.com publish nothing from this account's alarms.",
        NOTHING if ok else fixes.topic_policy(topic_arn, without_what_shuts_cloudwatch_out(policy)),
    )


def topic_key(key_id: str, policy: str | None, topic_arn: str, stacks: str = "") -> Check:
    """Whether CloudWatch may use the key that encrypts the topic; `policy` is None where it could not be read.

    `stacks` is the key that the stack was deployed with.
    """
    name = "CloudWatch may use its encryption key"
    if not key_id:
        return Check(name, True, "The topic is not encrypted.")
    if key_id.endswith("alias/aws/sns"):
        said = "alias/aws/sns belongs to AWS: CloudWatch may not use it, and alarms are lost."
        ours = "" if stacks.endswith("alias/aws/sns") else stacks
        return Check(name, False, said, fixes.set_topic_key(topic_arn, ours))
    if policy is None:
        return Check(name, None, f"The policy of {key_id} cannot be read.", by_hand.read_key_policy(key_id))
    needed = ("kms:Decrypt", "kms:GenerateDataKey")
    missing = [action for action in needed if not allows(policy, action, "cloudwatch.amazonaws.com")]
    if not missing:
        return Check(name, True)
    return Check(name, False, f"Not allowed: {', '.join(missing)}.", fixes.key_policy(topic_arn, key_id, policy))


def subscription(subscriptions: Sequence[Mapping[str, Any]], function_arn: str, topic_arn: str) -> Check:
    """Whether the function is subscribed, and the subscription confirmed."""
    name, fix = "the function is subscribed", fixes.subscribe_function(topic_arn, function_arn)
    mine = [s for s in subscriptions if s.get("Endpoint") == function_arn]
    if not mine:
        return Check(name, False, f"{function_arn} is not among its subscriptions.", fix)
    if all(s.get("SubscriptionArn") in {"PendingConfirmation", "Deleted"} for s in mine):
        return Check(name, False, "The subscription is not confirmed.", fix)
    return Check(name, True)


def unfiltered(attributes: Mapping[str, str], function_arn: str) -> Check:
    """Whether all that the topic says reaches the function; `attributes` are its subscription's."""
    policy = attributes.get("FilterPolicy", "") or "{}"
    whole = policy.strip() in {"{}", ""}
    fix = NOTHING if whole else fixes.clear_filter(function_arn, attributes.get("SubscriptionArn", ""))
    return Check("no filter keeps alarms back", whole, "" if whole else f"Only {policy} comes through.", fix)


def people_listen(topic_arn: str, subscriptions: Sequence[Mapping[str, Any]]) -> Check:
    """Whether a notice would reach anybody."""
    name = "somebody hears its notices"
    if any(str(each.get("SubscriptionArn", "")).startswith("arn:") for each in subscriptions):
        return Check(name, True)
    pending = f" {len(subscriptions)} have not confirmed yet." if subscriptions else ""
    return Check(name, False, f"Nobody has subscribed to {topic_arn}.{pending}", fixes.subscribe_people(topic_arn))
