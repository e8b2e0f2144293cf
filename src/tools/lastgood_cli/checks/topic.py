"""Whether an alarm comes through the alarm topic, and whether a notice would reach anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood_cli import fixes
from lastgood_cli.checks.check import Check
from lastgood_cli.checks.policies import allows, without_what_shuts_cloudwatch_out


def topic_policy(policy: str, topic_arn: str) -> Check:
    """Whether CloudWatch may publish to the topic."""
    alarms = topic_arn.replace(":sns:", ":cloudwatch:").rpartition(":")[0] + ":alarm:any"
    ok = allows(policy, "sns:Publish", "cloudwatch.amazonaws.com", alarms)
    return Check(
        "CloudWatch may publish to it",
        ok,
        "" if ok else "Its policy lets cloudwatch.amazonaws.com publish nothing from this account's alarms.",
        "" if ok else fixes.topic_policy(topic_arn, without_what_shuts_cloudwatch_out(policy)),
    )


def topic_key(key_id: str, policy: str | None) -> Check:
    """Whether CloudWatch may use the key that encrypts the topic; `policy` is None where it could not be read."""
    name = "CloudWatch may use its encryption key"
    if not key_id:
        return Check(name, True, "The topic is not encrypted.")
    if key_id.endswith("alias/aws/sns"):
        fix = "Give the stack a key of your own (KmsKeyArn), or none."
        return Check(name, False, "alias/aws/sns belongs to AWS: CloudWatch may not use it, and alarms are lost.", fix)
    if policy is None:
        return Check(name, None, f"The policy of {key_id} cannot be read.", "Allow kms:GetKeyPolicy.")
    needed = ("kms:Decrypt", "kms:GenerateDataKey")
    missing = [action for action in needed if not allows(policy, action, "cloudwatch.amazonaws.com")]
    fix = f"Let cloudwatch.amazonaws.com use kms:Decrypt and kms:GenerateDataKey* in the policy of {key_id}."
    return Check(name, not missing, f"Not allowed: {', '.join(missing)}." if missing else "", fix if missing else "")


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
    fix = "" if whole else fixes.clear_filter(function_arn, attributes.get("SubscriptionArn", ""))
    return Check("no filter keeps alarms back", whole, "" if whole else f"Only {policy} comes through.", fix)


def people_listen(topic_arn: str, subscriptions: Sequence[Mapping[str, Any]]) -> Check:
    """Whether a notice would reach anybody."""
    name = "somebody hears its notices"
    if any(str(each.get("SubscriptionArn", "")).startswith("arn:") for each in subscriptions):
        return Check(name, True)
    pending = f" {len(subscriptions)} have not confirmed yet." if subscriptions else ""
    return Check(name, False, f"Nobody has subscribed to {topic_arn}.{pending}", fixes.subscribe_people(topic_arn))
