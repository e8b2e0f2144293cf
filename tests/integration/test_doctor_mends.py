"""Whatever doctor finds broken, the command that it prints mends: each is broken, mended by it, and found well.

The printed line is read as the AWS CLI reads it, by the service's own model, and sent to the simulated AWS.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore import xform_name

from answering import Answer, answering
from iam import Request, applies, listed
from integration.test_cli_judgement import ALARM, configuration, mend, unknown_to_moto
from lastgood_cli.doctor.function import RULES
from stage.local import group_tags
from terminal import Terminal, terminal


@pytest.fixture(scope="module")
def shop() -> Iterator[Terminal]:
    """A whole stack with one alarm that leads to a group with two releases."""
    with terminal() as it:
        mend(it)
        it.sim.server_group("shop", "prod")
        for name in ("a.zip", "b.zip"):
            it.sim.release("shop", "prod", name, settle=True)
            it.sim.advance(3600)
        it.alarm(ALARM, "OK")
        it.tag_alarm(ALARM, group_tags("shop", "prod"))
        yield it


def doctor(it: Terminal, **more: Answer) -> list[dict[str, Any]]:
    """Every check, as a row."""
    with answering(unknown_to_moto(it, **more)):
        ran = it.call("doctor", "-o", "json")
    assert ran.out, ran.err
    found: list[dict[str, Any]] = ran.json
    return found


def wrong(it: Terminal, **more: Answer) -> dict[str, str]:
    """What is wrong, with its fix."""
    return {row["check"]: row["fix"] for row in doctor(it, **more) if row["ok"] is False}


def apply(it: Terminal, line: str) -> None:
    """Run a line of the AWS CLI: `aws --region R SERVICE OPERATION --option value`."""
    words = shlex.split(line)
    assert words[:2] == ["aws", "--region"], line
    service, operation, options = words[3], words[4], words[5:]
    client = it.aws.client(service)
    name = next(n for n in client.meta.service_model.operation_names if xform_name(n, "-") == operation)
    members = client.meta.service_model.operation_model(name).input_shape.members
    by_option = {f"--{xform_name(member, '-')}": member for member in members}
    # The CLI renames it, because --endpoint-url is its own.
    by_option |= {"--notification-endpoint": "Endpoint"} if "Endpoint" in members else {}
    parameters: dict[str, Any] = {}
    while options:
        member = by_option[options.pop(0)]
        if members[member].type_name == "boolean":
            parameters[member] = True
        else:
            parameters[member] = value(options.pop(0), members[member].type_name)
    getattr(client, xform_name(name))(**parameters)


def value(text: str, kind: str) -> Any:
    """A value as the CLI takes it: JSON, or the shorthand `A=true,B=c`."""
    if kind == "string":
        return text
    if text.startswith(("[", "{")):
        return json.loads(text)
    if kind == "list":
        return [text]
    pairs = (pair.split("=", 1) for pair in text.split(","))
    return {key: {"true": True}.get(given, given) for key, given in pairs}


def stack(it: Terminal, logical: str) -> str:
    """The physical id of one of the stack's resources."""
    found = it.aws.client("cloudformation").describe_stack_resources(StackName="lastgood")["StackResources"]
    physical = next(each["PhysicalResourceId"] for each in found if each.get("LogicalResourceId") == logical)
    return str(physical).rpartition("|")[2]


def arn(it: Terminal) -> str:
    """The function's."""
    return str(configuration(it)["FunctionArn"])


def subscriptions(it: Terminal, output: str) -> list[str]:
    """The subscriptions of one of the stack's topics."""
    found = it.aws.client("sns").list_subscriptions_by_topic(TopicArn=it.outputs[output])["Subscriptions"]
    return [each["SubscriptionArn"] for each in found]


def unsubscribe(it: Terminal, output: str) -> None:
    """Nobody hears a topic any more."""
    for each in subscriptions(it, output):
        it.aws.client("sns").unsubscribe(SubscriptionArn=each)


def shut_topic(it: Terminal) -> None:
    """The topic's policy allows CloudWatch nothing."""
    it.aws.client("sns").set_topic_attributes(
        TopicArn=it.outputs["AlarmTopicArn"], AttributeName="Policy", AttributeValue='{"Statement": []}'
    )


def filter_topic(it: Terminal) -> None:
    """Only some messages come through."""
    (mine,) = subscriptions(it, "AlarmTopicArn")
    it.aws.client("sns").set_subscription_attributes(
        SubscriptionArn=mine, AttributeName="FilterPolicy", AttributeValue='{"team": ["web"]}'
    )


def forbid(principal: str, logical: str = "") -> Callable[[Terminal], None]:
    """A permission to invoke the function is taken away."""

    def break_it(it: Terminal) -> None:
        client = it.aws.client("lambda")
        source = stack(it, logical) if logical else it.outputs["AlarmTopicArn"]
        statements = json.loads(client.get_policy(FunctionName=it.function)["Policy"])["Statement"]
        for each in statements:
            if principal in str(each["Principal"]) and source in str(each.get("Condition", "")):
                client.remove_permission(FunctionName=it.function, StatementId=each["Sid"])

    return break_it


def untarget(logical: str) -> Callable[[Terminal], None]:
    """A rule no longer invokes the function."""

    def break_it(it: Terminal) -> None:
        events, rule = it.aws.client("events"), stack(it, logical)
        ids = [each["Id"] for each in events.list_targets_by_rule(Rule=rule)["Targets"]]
        events.remove_targets(Rule=rule, Ids=ids)

    return break_it


def table(**changed: Any) -> Callable[[Terminal], None]:
    """A property of the table is switched off."""

    def break_it(it: Terminal) -> None:
        client = it.aws.client("dynamodb")
        ((operation, parameters),) = changed.items()
        getattr(client, operation)(TableName=it.table, **parameters)

    return break_it


def setting(**changed: str) -> Callable[[Terminal], None]:
    """A variable of the function is changed."""

    def break_it(it: Terminal) -> None:
        client = it.aws.client("lambda")
        variables = client.get_function_configuration(FunctionName=it.function)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=it.function, Environment={"Variables": {**variables, **changed}}
        )

    return break_it


def throttle(it: Terminal) -> None:
    """Somebody presses Throttle in the console."""
    it.aws.client("lambda").put_function_concurrency(FunctionName=it.function, ReservedConcurrentExecutions=0)


def disable(logical: str) -> Callable[[Terminal], None]:
    """Somebody switches one of the stack's rules off."""
    return lambda it: it.aws.client("events").disable_rule(Name=stack(it, logical))


def silence(it: Terminal) -> None:
    """Somebody switches the alarm's actions off."""
    it.aws.client("cloudwatch").disable_alarm_actions(AlarmNames=[ALARM])


def drop_index(name: str) -> Callable[[Terminal], None]:
    """Somebody deletes one of the table's indexes."""
    return table(update_table={"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]})


RECOVERY_OFF = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}}
EXPIRY_OFF = {"TimeToLiveSpecification": {"Enabled": False, "AttributeName": "expires_at"}}
MOVED, SWEEP, DRILL = "RollbackFunctionDeploymentMoved", "RollbackFunctionSweep", "RollbackFunctionDrill"


@pytest.mark.parametrize(
    ("break_it", "check"),
    [
        (silence, "its actions are enabled"),
        (disable(SWEEP), "the sweep's schedule is enabled"),
        (disable(MOVED), "CodeDeploy's events reach it"),
        (setting(LASTGOOD_MOOD="auto"), "LASTGOOD_MOOD is known"),
        (setting(LASTGOOD_EVENT_BUS="gone"), "it exists"),
        (lambda it: unsubscribe(it, "AlarmTopicArn"), "the function is subscribed"),
        (shut_topic, "CloudWatch may publish to it"),
        (filter_topic, "no filter keeps alarms back"),
        (forbid("sns"), "the topic may invoke the function"),
        (forbid("events", SWEEP), "the sweep may invoke it"),
        (forbid("events", MOVED), "CodeDeploy's events may invoke it"),
        (forbid("events", DRILL), "the drill may invoke it"),
        (untarget(SWEEP), "the sweep's schedule is enabled"),
        (untarget(MOVED), "CodeDeploy's events reach it"),
        (throttle, "it may run"),
        (table(update_table={"DeletionProtectionEnabled": False}), "it is protected from deletion"),
        (drop_index("by_day"), "its indexes are active"),
        (drop_index("by_deployment_group"), "its indexes are active"),
        (table(update_continuous_backups=RECOVERY_OFF), "it can be restored to a point in time"),
        (table(update_time_to_live=EXPIRY_OFF), "old records expire"),
        (lambda it: unsubscribe(it, "NotificationTopicArn"), "somebody hears its notices"),
        (setting(LASTGOOD_TABLE="another"), "it is the stack's"),
        (setting(LASTGOOD_NOTIFICATION_TOPIC_ARN=""), "it is the stack's"),
        (setting(LASTGOOD_NOTIFICATION_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:gone"), "it is the stack's"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_broken_is_found_and_the_printed_command_mends_it(
    shop: Terminal, break_it: Callable[[Terminal], None], check: str
) -> None:
    assert wrong(shop) == {}
    break_it(shop)
    found = wrong(shop)
    assert set(found) == {check}, found
    apply(shop, found[check])
    assert wrong(shop) == {}


@pytest.mark.parametrize(
    ("changed", "stacks", "check"),
    [
        ({"LASTGOOD_MODE": "atuo"}, {"Mode": "auto"}, "its settings are valid"),
        ({"LASTGOOD_ROUTES": "{"}, {"Routes": "[]"}, "its settings are valid"),
        ({"LASTGOOD_KILL_SWITCH": "true"}, {"KillSwitch": "false"}, "it is switched on"),
        ({"LASTGOOD_EVENT_BUS": "moved"}, {"EventBus": "default"}, "it exists"),
    ],
)
def test_a_setting_that_was_changed_past_the_stack_is_set_to_what_the_stack_says(
    shop: Terminal, changed: dict[str, str], stacks: dict[str, str], check: str
) -> None:
    (described,) = shop.aws.client("cloudformation").describe_stacks(StackName="lastgood")["Stacks"]
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in stacks.items()]
    known = {"DescribeStacks": {"Stacks": [{**described, "Parameters": given}]}}
    before = configuration(shop)["Environment"]["Variables"]
    setting(**changed)(shop)
    apply(shop, wrong(shop, **known)[check])
    right = dict(zip(changed, stacks.values(), strict=True))
    assert configuration(shop)["Environment"]["Variables"] == before | right
    assert wrong(shop, **known) == {}


def test_what_lambda_sets_itself_is_never_among_what_a_fix_sets(shop: Terminal) -> None:
    setting(LASTGOOD_TABLE="another")(shop)
    fix = wrong(shop)["it is the stack's"]
    assert "AWS_REGION" not in fix
    apply(shop, fix)


def test_a_pause_and_a_mode_are_taken_back_by_the_command_that_is_printed(shop: Terminal) -> None:
    group = {"application": "shop", "deployment_group": "prod", "reason": "look first", "requested_by": "ann"}
    for asked in ({"action": "pause"}, {"action": "set_mode", "mode": "off"}):
        shop.handle({**group, **asked})
        (fix,) = wrong(shop).values()
        line = re.search(r"lastgood (\S+ shop/prod(?: auto)?) --reason …", fix)
        assert line, fix
        assert shop.call(*line[1].split(), "--reason", "seen", "--yes").code == 0
        assert wrong(shop) == {}


def simulated_by_the_roles_own_policies(it: Terminal) -> Answer:
    """What IAM would say: moto keeps the policies of the function's role and works nothing out."""

    def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        iam, name = it.aws.client("iam"), asked["PolicySourceArn"].rpartition("/")[2]
        named = iam.list_role_policies(RoleName=name)["PolicyNames"]
        told = [iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in named]
        # What its CloudFormation put there, moto keeps as Python writes it.
        policies = [ast.literal_eval(policy) if isinstance(policy, str) else policy for policy in told]
        grants = [s for policy in policies for s in listed(policy["Statement"]) if s["Effect"] == "Allow"]
        (resource,) = asked["ResourceArns"]
        plain = [{k: v for k, v in each.items() if k != "Condition"} for each in grants]
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "allowed"
                    if any(applies(each, Request(action, resource, asked["PolicySourceArn"])) for each in plain)
                    else "implicitDeny",
                }
                for action in asked["ActionNames"]
            ]
        }

    return answer


def test_each_permission_that_was_taken_away_is_given_back_by_the_command_that_is_printed(shop: Terminal) -> None:
    simulated = {"SimulatePrincipalPolicy": simulated_by_the_roles_own_policies(shop)}
    assert wrong(shop, **simulated) == {}
    role = str(configuration(shop)["Role"]).rpartition("/")[2]
    shop.aws.client("iam").delete_role_policy(RoleName=role, PolicyName="AuditTable")
    found = [row for row in doctor(shop, **simulated) if row["ok"] is False]
    assert {"it may dynamodb:UpdateItem", "it may dynamodb:Query"} <= {row["check"] for row in found}
    for row in found:
        apply(shop, row["fix"])
    assert wrong(shop, **simulated) == {}


def test_what_is_denied_on_purpose_is_not_granted(shop: Terminal) -> None:
    denied = {"EvaluationResults": [{"EvalActionName": "dynamodb:Query", "EvalDecision": "explicitDeny"}]}
    fix = wrong(shop, SimulatePrincipalPolicy=denied)["it may dynamodb:Query"]
    assert fix.startswith("Look for the denial")


def test_a_deleted_notification_topic_comes_back_in_two_commands(shop: Terminal) -> None:
    shop.aws.client("sns").delete_topic(TopicArn=shop.outputs["NotificationTopicArn"])
    for _ in range(2):
        (fix,) = wrong(shop).values()
        apply(shop, fix)
    assert wrong(shop) == {}


def test_a_mute_or_a_denial_aside_two_hundred_alarms_are_all_looked_at_and_the_healthy_ones_are_one_line(
    shop: Terminal,
) -> None:
    client = shop.aws.client("cloudwatch")
    names = [f"service-{n:03}" for n in range(120)]
    for name in names:
        shop.alarm(name, "OK")
        shop.tag_alarm(name, group_tags("shop", "prod"))
    client.disable_alarm_actions(AlarmNames=[names[97]])
    try:
        rows = doctor(shop)
        bad = [row for row in rows if row["ok"] is False]
        assert [row["part"] for row in bad] == [f"Alarm {names[97]}"]
        (line,) = [row for row in rows if row["part"] == "Alarms"]
        assert line["check"] == "120 reach lastgood and lead to a deployment group"
        assert line["detail"] == "Of 121."
        assert len(rows) < 80
    finally:
        client.delete_alarms(AlarmNames=names)


def test_every_rule_of_the_stack_is_looked_at() -> None:
    from lastgood_cli.stack_template import StackTemplate

    resources = StackTemplate({"EcsServices": "*/*", "PipelineStages": "*/*"}).resources()
    assert {name for name, each in resources.items() if each["Type"] == "AWS::Events::Rule"} == set(RULES)
