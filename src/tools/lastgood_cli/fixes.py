"""The exact command that fixes each thing that `doctor` finds broken. Pure.

To deploy the stack again changes nothing where the world has changed and the template has not: CloudFormation compares
templates. What no command can fix has its words in `by_hand`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lastgood_cli.fix import Fix, aws, in_region


def _account(arn: str) -> str:
    return arn.split(":")[4]


def subscribe_function(topic: str, function: str) -> Fix:
    """Subscribe the function to the alarm topic again."""
    endpoint = ("--protocol", "lambda", "--notification-endpoint", function)
    return aws(topic, "sns", "subscribe", "--topic-arn", topic, *endpoint)


def subscribe_people(topic: str) -> Fix:
    """Subscribe somebody to the notices; people fill in the address, and confirm it."""
    endpoint = ("--protocol", "email", "--notification-endpoint", "you@example.com")
    return aws(topic, "sns", "subscribe", "--topic-arn", topic, *endpoint)


def create_topic(topic: str) -> Fix:
    """Create a deleted topic again, with the same ARN; its subscribers do not come back."""
    return aws(topic, "sns", "create-topic", "--name", topic.rpartition(":")[2])


def topic_policy(topic: str, statements: Sequence[Mapping[str, Any]]) -> Fix:
    """Let CloudWatch publish to the topic; the other `statements` of its policy stay."""
    alarms = topic.replace(":sns:", ":cloudwatch:").rpartition(":")[0] + ":alarm:*"
    allowed = {
        "Sid": "AlarmsMaySpeak",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:SourceAccount": _account(topic)}, "ArnLike": {"aws:SourceArn": alarms}},
    }
    kept = [dict(each) for each in statements if each.get("Sid") != allowed["Sid"]]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [*kept, allowed]})
    value = ("--attribute-name", "Policy", "--attribute-value", policy)
    return aws(topic, "sns", "set-topic-attributes", "--topic-arn", topic, *value)


def clear_filter(function: str, subscription: str) -> Fix:
    """Let every message of the topic reach the function."""
    value = ("--attribute-name", "FilterPolicy", "--attribute-value", "{}")
    return aws(function, "sns", "set-subscription-attributes", "--subscription-arn", subscription, *value)


def add_permission(function: str, principal: str, source: str) -> Fix:
    """Let a service invoke the function for one source."""
    name = "".join(each if each.isalnum() else "-" for each in source.rpartition(":")[2])[-60:].strip("-*")
    words = ("--statement-id", f"restored-{name}", "--action", "lambda:InvokeFunction", "--principal", principal)
    return aws(function, "lambda", "add-permission", "--function-name", function, *words, "--source-arn", source)


def put_target(function: str, rule: str, payload: str = "") -> Fix:
    """Make a rule invoke the function again; with `payload`, as a schedule does."""
    target = {"Id": "RollbackFunction", "Arn": function, **({"Input": payload} if payload else {})}
    return aws(function, "events", "put-targets", "--rule", rule, "--targets", json.dumps([target]))


def enable_rule(rule: Mapping[str, Any]) -> Fix:
    """Switch a rule on again; `rule` is as `DescribeRule` answers."""
    return aws(str(rule.get("Arn", "")), "events", "enable-rule", "--name", str(rule.get("Name", "…")))


def enable_alarm_actions(alarm: str, name: str) -> Fix:
    """Switch an alarm's actions on again; `alarm` is its ARN."""
    return aws(alarm, "cloudwatch", "enable-alarm-actions", "--alarm-names", name)


def create_event_bus(function: str, name: str) -> Fix:
    """Create a deleted bus again, under the same name; its rules do not come back."""
    return aws(function, "events", "create-event-bus", "--name", name)


def free_concurrency(function: str) -> Fix:
    """Let the function run again."""
    return aws(function, "lambda", "delete-function-concurrency", "--function-name", function)


def set_variables(function: str, environ: Mapping[str, str], **changed: str) -> Fix:
    """The function's variables with some changed; Lambda takes them only all together."""
    return _set_all(function, {**environ, **changed})


def remove_variable(function: str, environ: Mapping[str, str], name: str) -> Fix:
    """The function's variables without one."""
    return _set_all(function, {each: value for each, value in environ.items() if each != name})


def _set_all(function: str, environ: Mapping[str, str]) -> Fix:
    # Lambda sets this one itself and refuses it.
    own = {name: value for name, value in environ.items() if name != "AWS_REGION"}
    named = ("--function-name", function, "--environment", json.dumps({"Variables": own}, sort_keys=True))
    return aws(function, "lambda", "update-function-configuration", *named)


def set_right(
    function: str, environ: Mapping[str, str], parameters: Mapping[str, str], variable: str, wanted: str = "VALUE"
) -> Fix:
    """A setting is what it should be: where somebody changed it past the stack, what the stack's parameter says.

    To deploy the same parameter again would change nothing then. `parameters` are the stack's; `wanted` is the value to
    deploy where the stack itself is wrong.
    """
    parameter = "".join(word.capitalize() for word in variable.removeprefix("LASTGOOD_").split("_"))
    stacks = parameters.get(parameter)
    if stacks is not None and stacks != environ.get(variable, ""):
        return set_variables(function, environ, **{variable: stacks})
    return deploy(**{parameter: wanted})


def deploy(**parameters: str) -> Fix:
    """Deploy the stack, from a checkout, with some parameters changed; the others keep their values."""
    given = " ".join(f"{name}={value}" for name, value in parameters.items())
    return Fix(f"make deploy OVERRIDES={shlex.quote(given)}" if given else "make deploy")


def protect_table(function: str, table: str) -> Fix:
    """The table cannot be deleted by mistake."""
    return aws(function, "dynamodb", "update-table", "--table-name", table, "--deletion-protection-enabled")


def restore_index(function: str, table: str, name: str, keys: tuple[str, str]) -> Fix:
    """An index that was deleted is made again from the table's items."""
    made = {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
    types = json.dumps([{"AttributeName": key, "AttributeType": "S"} for key in keys])
    wanted = ("--attribute-definitions", types, "--global-secondary-index-updates", json.dumps([{"Create": made}]))
    return aws(function, "dynamodb", "update-table", "--table-name", table, *wanted)


def grant(function: str, role: str, action: str, resource: str) -> Fix:
    """The function's role may do one thing again. IAM is the same in every region."""
    allowed = {"Effect": "Allow", "Action": action, "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    # A policy for each: one of the same name would be replaced.
    name = re.sub(r"[^\w+=,.@-]+", "-", f"restored-{action}-{resource.rpartition(':')[2]}")[:128]
    named = ("--role-name", role.rpartition("/")[2], "--policy-name", name)
    return aws(function, "iam", "put-role-policy", *named, "--policy-document", policy)


def back_table_up(function: str, table: str) -> Fix:
    """The table can be restored to any second of the last weeks."""
    wanted = ("--point-in-time-recovery-specification", "PointInTimeRecoveryEnabled=true")
    return aws(function, "dynamodb", "update-continuous-backups", "--table-name", table, *wanted)


def expire_records(function: str, table: str) -> Fix:
    """Old records go by themselves."""
    wanted = ("--time-to-live-specification", "Enabled=true,AttributeName=expires_at")
    return aws(function, "dynamodb", "update-time-to-live", "--table-name", table, *wanted)


def queue_for_failures(function: str, queue: str) -> Fix:
    """Events that fail three times are kept."""
    wanted = ("--dead-letter-config", f"TargetArn={queue}")
    return aws(function, "lambda", "update-function-configuration", "--function-name", function, *wanted)


def connect(function: str, alarm: str, group: str = "") -> Fix:
    """The alarm reaches lastgood and leads to the group, given by its key; everything else about it stays."""
    prefix, _, place = (group or "APPLICATION/GROUP").rpartition(":")
    option = {"ecs": "--ecs-service", "pipeline": "--pipeline"}.get(prefix, "--group")
    return in_region("lastgood", function, "connect", alarm, option, place)


def unmute(alarm: str, rule: str) -> Fix:
    """Delete a mute rule; `alarm` is the ARN of one that it mutes."""
    return aws(alarm, "cloudwatch", "delete-alarm-mute-rule", "--alarm-mute-rule-name", rule)


def set_topic_key(topic: str, key: str) -> Fix:
    """Encrypt the topic with another key, or with none."""
    value = ("--attribute-name", "KmsMasterKeyId", "--attribute-value", key)
    return aws(topic, "sns", "set-topic-attributes", "--topic-arn", topic, *value)


def key_policy(topic: str, key: str, policy: str) -> Fix:
    """CloudWatch may encrypt what it publishes to the topic; the other statements of the key's policy stay."""
    allowed = {
        "Sid": "AlarmsMayEncrypt",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": _account(topic)}},
    }
    told = json.loads(policy)
    kept = [each for each in told.get("Statement", []) if each.get("Sid") != allowed["Sid"]]
    made = json.dumps({**told, "Statement": [*kept, allowed]})
    return aws(topic, "kms", "put-key-policy", "--key-id", key, "--policy-name", "default", "--policy", made)


def sweep(function: str) -> Fix:
    """Let the function visit every open rollback now."""
    payload = ("--cli-binary-format", "raw-in-base64-out", "--payload", '{"action": "sweep"}')
    return aws(function, "lambda", "invoke", "--function-name", function, *payload, "/dev/stdout")


def drill() -> Fix:
    """Let the function try everything that a rollback would need."""
    return Fix("lastgood drill")
