"""What people do about a fault that no command fixes: each says so, and which command shows more. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from lastgood.model import DeploymentGroup, Reason, what_to_do
from lastgood_cli.fix import NOTHING, ByHand, Fix, aws

HOW_TO_PIN = "Release by a full commit id, an S3 version or ETag, a published version, or an image's digest"


def for_reason(reason: str, group: DeploymentGroup | None) -> Fix:
    """What to do about a rollback's reason, with the group's name in the command; nothing for what is no reason."""
    said = what_to_do(Reason(reason), group).replace("`", "") if reason in set(Reason) else ""
    return ByHand(said) if said else NOTHING


# --- alarms ---


def similar_alarms(arn: str, name: str) -> str:
    """The command that lists the alarms whose names begin like one that does not exist. `arn`: of anything there."""
    return aws(arn, "cloudwatch", "describe-alarms", "--alarm-name-prefix", name[:3])


def no_such_alarm(function: str, name: str, meant: str) -> Fix:
    """Which alarm was meant, people know; `meant` is the likeliest one."""
    if meant:
        return ByHand(f"name an alarm that exists: {shlex.join(['lastgood', 'doctor', meant])}")
    return ByHand(f"name another one; these begin alike: {similar_alarms(function, name)}")


def add_actions(topics: str) -> Fix:
    """An alarm that leads to several groups at once: to connect it to one would take the others from it."""
    return ByHand(f"add {topics} to the alarm's ALARM actions, and to its OK actions.")


def suppressed(alarm: str, suppressor: str) -> Fix:
    """A composite alarm keeps silent on purpose; `alarm` is its ARN."""
    looked = aws(alarm, "cloudwatch", "describe-alarms", "--alarm-names", suppressor or "SUPPRESSOR")
    return ByHand(f"it ends with the suppressor's alarm: {looked}")


def sort_out_routes() -> Fix:
    """A deployment group was read from the alarm's tags or from the routes, and AWS does not have it."""
    return ByHand("correct the alarm's tags, or LASTGOOD_ROUTES; which group each alarm leads to: lastgood alarms")


def name_another_group(meant: str) -> Fix:
    """A name that was typed; `meant` is the likeliest one."""
    command = f"lastgood doctor --group {meant}" if meant else "lastgood alarms"
    return ByHand(f"name a group that exists: {command}")


# --- the function ---


def not_ready(function: str) -> Fix:
    """The function is being made, or could not be made or run."""
    shown = aws(function, "lambda", "get-function-configuration", "--function-name", function)
    return ByHand(f"wait while it is Pending or InProgress; otherwise mend what it says, and deploy: {shown}")


def update_command(version: str) -> Fix:
    """The function is newer than the command."""
    return ByHand(f"in a checkout of {version}: pipx install --force .")


def allow_again(result: Mapping[str, Any], role: str) -> Fix:
    """Somebody keeps an action away on purpose; no grant overrules that. `result` is as IAM's simulation answers."""
    name = role.rpartition("/")[2]
    listed = shlex.join(["aws", "iam", "list-role-policies", "--role-name", name])
    denying = [str(each["SourcePolicyId"]) for each in result.get("MatchedStatements", []) if "SourcePolicyId" in each]
    where = f" It is in {', '.join(denying)}." if denying else ""
    return ByHand(f"ask those who denied it.{where} The role's own policies: {listed}; there are SCPs too.")


def read_dead_letters(function: str, url: str) -> Fix:
    """Events that failed three times are kept to be read; nothing brings them back to a function."""
    read = aws(function, "sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10")
    empty = aws(function, "sqs", "purge-queue", "--queue-url", url)
    return ByHand(f"read them and mend the cause: {read}; open rollbacks go on by themselves. Then: {empty}")


def name_a_queue() -> Fix:
    """The stack's queue is not known here."""
    return ByHand("give the function the stack's DeadLetterQueue for what fails.")


def read_logs(function: str) -> Fix:
    """Why it failed, its logs say."""
    group = f"/aws/lambda/{function.rpartition(':')[2]}"
    return ByHand(f"read its logs: {aws(function, 'logs', 'tail', group, '--since', '1h')}; and: lastgood health")


def choose_a_target() -> Fix:
    """A rule invokes nothing, and which one is the stack's is not known here."""
    return ByHand("give the stack's rule the function as its target: aws events put-targets --rule …")


def after_a_drill() -> Fix:
    """What a drill found wrong has no one cause."""
    return ByHand("mend what it names, then: lastgood drill")


# --- the table and the topics ---


def wait_for_table(function: str, table: str) -> Fix:
    """The table is being changed, or AWS has taken it away."""
    shown = aws(function, "dynamodb", "describe-table", "--table-name", table)
    return ByHand(f"wait while it is UPDATING; otherwise ask AWS: {shown}")


def wait_for_index() -> Fix:
    """An index is being made."""
    return ByHand("wait: an index that is being made may take hours.")


def restore(what: str) -> Fix:
    """A resource of the stack was deleted: CloudFormation makes it again only where its template changes."""
    return ByHand(
        f"restore the stack's {what}: delete the stack but keep its table, and deploy it again; docs/deploy.md"
    )


def read_key_policy(key: str) -> Fix:
    """Nothing is known of a key that may not be looked at."""
    return ByHand(f"let yourself call kms:GetKeyPolicy on {key}.")


def no_topic() -> Fix:
    """Nobody is told, and the stack's own topic is not known here."""
    return ByHand("deploy the stack's own NotificationTopic: make deploy")


# --- groups and pipelines ---


def pin_releases() -> Fix:
    """What a release contains must be in the release itself."""
    return ByHand(f"{HOW_TO_PIN}.")


def change_rule(what: str) -> Fix:
    """A rule of LASTGOOD_PIPELINES asks what the pipeline cannot do; people choose what they want instead."""
    return ByHand(f"{what} in LASTGOOD_PIPELINES (the stack's parameter Pipelines).")


def no_such_pipeline() -> Fix:
    """A rule names a pipeline that AWS does not have."""
    return ByHand("correct LASTGOOD_PIPELINES (the stack's parameter Pipelines); aws codepipeline list-pipelines")


def agree_with_stack(stack: str, acted_on: str) -> Fix:
    """How a stack and what is live come to agree: the template of what is to stay is deployed over what is live."""
    asked = ("--stack-name", acted_on, "--change-set-name", "as-it-is-live", "--deployment-mode", "REVERT_DRIFT")
    made = aws(stack, "cloudformation", "create-change-set", *asked, "--template-body", "file://THE-LAST-GOOD-TEMPLATE")
    return ByHand(f"{made}; look at what it would change, then execute it.")


# --- what could not be looked at ---


def ask_for_permission() -> Fix:
    """The person at the terminal may not look."""
    return ByHand("what you need: lastgood permissions operator")


def again() -> Fix:
    """Something did not answer this time."""
    return ByHand("try again in a moment.")


def look_at_network() -> Fix:
    """Something that is not AWS answered."""
    return ByHand("look at proxies, and at --endpoint-url.")


def look_in_console() -> Fix:
    """This AWS, or this version of its library, does not know the call."""
    return ByHand("look at it in the console.")


def look_at_function() -> Fix:
    """Why the function cannot find it out, the checks of the function say."""
    return ByHand("what the function needs: lastgood doctor")
