"""Whatever doctor finds broken, the command that it prints mends: each is broken, mended by it, and found well.

The printed line is played as it stands there, in the simulated AWS. Of `make deploy` another test shows that it hands
what it is given to SAM; here CloudFormation takes it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from answering import Answer, answering
from aws_cli import call_aws
from iam import Request, applies, listed
from integration.test_cli_judgement import ALARM, configuration, two_releases, unknown_to_moto
from lastgood import __version__
from lastgood.model import Reason
from lastgood.times import iso
from lastgood_cli import by_hand, fixes
from lastgood_cli.connect import written
from lastgood_cli.doctor.function import RULES
from lastgood_cli.fix import Fix
from stage.local import group_tags
from terminal import Terminal, terminal


@pytest.fixture(scope="module")
def shop() -> Iterator[Terminal]:
    """A whole stack with one alarm that leads to a group with two releases."""
    with terminal() as it:
        two_releases(it)
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


def apply(it: Terminal, line: str, **filled_in: str) -> None:
    """Run a fix as it is printed, with what people fill in."""
    for name, given in filled_in.items():
        line = line.replace(name, given)
    words = shlex.split(line)
    if words[0] == "lastgood":
        ran = it.call(*words[1:], *(["--yes"] if "connect" in words else []))
        assert ran.code == 0, ran.err
    elif words[0] == "make":
        target, *given = words[1:]
        assert target == "deploy"
        overrides = " ".join(each.removeprefix("OVERRIDES=") for each in given).split()
        it.deploy(**dict(each.split("=", 1) for each in overrides))
    else:
        call_aws(line, it.aws.client)


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
TOPICS = "arn:aws:sns:us-east-1:123456789012"
MOVED, SWEEP, DRILL = "RollbackFunctionDeploymentMoved", "RollbackFunctionSweep", "RollbackFunctionDrill"


def deploy(**parameters: str) -> Callable[[Terminal], None]:
    """The stack is deployed with other parameters."""
    return lambda it: it.deploy(**parameters)


def deploy_older(it: Terminal) -> None:
    """The function is of an older version than the command."""
    formation = it.aws.client("cloudformation")
    body = json.dumps(formation.get_template(StackName="lastgood")["TemplateBody"])
    formation.update_stack(StackName="lastgood", TemplateBody=body.replace(__version__, "0.0.9"))


def shut_key(it: Terminal) -> None:
    """The topic is encrypted with a key that CloudWatch may not use."""
    mine = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**mine, "Resource": "*"}]})
    encrypt(it.aws.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])(it)


def encrypt(key: str) -> Callable[[Terminal], None]:
    """The topic is encrypted with this key."""

    def break_it(it: Terminal) -> None:
        named = {"TopicArn": it.outputs["AlarmTopicArn"], "AttributeName": "KmsMasterKeyId"}
        it.aws.client("sns").set_topic_attributes(**named, AttributeValue=key)

    return break_it


def let_wait(it: Terminal) -> None:
    """A rollback of another group is open that the sweep should have visited long ago."""
    it.sim.server_group("pay", "prod")
    for name in ("c.zip", "d.zip"):
        it.sim.release("pay", "prod", name, settle=True)
        it.sim.advance(3600)
    group = {"application": "pay", "deployment_group": "prod"}
    it.handle({"action": "rollback", **group, "reason": "orders get lost", "requested_by": "ann"})
    it.sim.advance(3600)


def drill_long_ago(it: Terminal) -> None:
    """The daily drill has not been for days."""
    names = {"TableName": it.table, "Key": {"pk": {"S": "CONTROL"}, "sk": {"S": "DRILL"}}}
    it.aws.client("dynamodb").update_item(
        **names,
        UpdateExpression="SET occurred_at = :then",
        ExpressionAttributeValues={":then": {"S": iso(it.sim.clock.now() - timedelta(days=5))}},
    )


def call_directly(it: Terminal) -> None:
    """The alarm calls the function itself, past the topic, and may not."""
    it.aws.client("cloudwatch").put_metric_alarm(**alarm_of(it, AlarmActions=[arn(it)]))
    client = it.aws.client("lambda")
    for each in json.loads(client.get_policy(FunctionName=it.function)["Policy"])["Statement"]:
        if "lambda.alarms" in str(each["Principal"]):
            client.remove_permission(FunctionName=it.function, StatementId=each["Sid"])


def alarm_of(it: Terminal, **changed: Any) -> dict[str, Any]:
    """The parameters that make the alarm, with some changed."""
    client = it.aws.client("cloudwatch")
    (told,) = client.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    return written({**told, **changed}, client)[1]


@pytest.fixture
def made_by(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Each fix that is made, with the functions of `fixes` that made it."""
    made: dict[str, set[str]] = defaultdict(set)

    def noting(name: str, function: Callable[..., Fix]) -> Callable[..., Fix]:
        def call(*given: Any, **more: Any) -> Fix:
            fix = function(*given, **more)
            made[fix].add(name)
            return fix

        return call

    for name in KINDS:
        monkeypatch.setattr(fixes, name, noting(name, getattr(fixes, name)))
    return made


KINDS = {
    name
    for name, each in inspect.getmembers(fixes, inspect.isfunction)
    if each.__module__ == fixes.__name__ and not name.startswith("_")
}
"""Every kind of command that doctor may print."""
CASES: list[tuple[str, Callable[[Terminal], None], str]] = [
    ("enable_alarm_actions", silence, "its actions are enabled"),
    ("add_permission", call_directly, "it may invoke the function"),
    ("enable_rule", disable(SWEEP), "the sweep's schedule is enabled"),
    ("enable_rule", disable(MOVED), "CodeDeploy's events reach it"),
    ("remove_variable", setting(LASTGOOD_MOOD="auto"), "LASTGOOD_MOOD is known"),
    ("create_event_bus", setting(LASTGOOD_EVENT_BUS="gone"), "it exists"),
    ("subscribe_function", lambda it: unsubscribe(it, "AlarmTopicArn"), "the function is subscribed"),
    ("topic_policy", shut_topic, "CloudWatch may publish to it"),
    ("set_topic_key", encrypt("alias/aws/sns"), "CloudWatch may use its encryption key"),
    ("key_policy", shut_key, "CloudWatch may use its encryption key"),
    ("clear_filter", filter_topic, "no filter keeps alarms back"),
    ("add_permission", forbid("sns"), "the topic may invoke the function"),
    ("add_permission", forbid("events", SWEEP), "the sweep may invoke it"),
    ("add_permission", forbid("events", MOVED), "CodeDeploy's events may invoke it"),
    ("add_permission", forbid("events", DRILL), "the drill may invoke it"),
    ("put_target", untarget(SWEEP), "the sweep's schedule is enabled"),
    ("put_target", untarget(MOVED), "CodeDeploy's events reach it"),
    ("free_concurrency", throttle, "it may run"),
    ("protect_table", table(update_table={"DeletionProtectionEnabled": False}), "it is protected from deletion"),
    ("restore_index", drop_index("by_day"), "its indexes are active"),
    ("restore_index", drop_index("by_deployment_group"), "its indexes are active"),
    ("back_table_up", table(update_continuous_backups=RECOVERY_OFF), "it can be restored to a point in time"),
    ("expire_records", table(update_time_to_live=EXPIRY_OFF), "old records expire"),
    ("subscribe_people", lambda it: unsubscribe(it, "NotificationTopicArn"), "somebody hears its notices"),
    ("set_variables", setting(LASTGOOD_TABLE="another"), "it is the stack's"),
    ("set_variables", setting(LASTGOOD_NOTIFICATION_TOPIC_ARN=""), "it is the stack's"),
    ("set_variables", setting(LASTGOOD_NOTIFICATION_TOPIC_ARN=f"{TOPICS}:gone"), "it is the stack's"),
    ("set_right", deploy(KillSwitch="true"), "it is switched on"),
    ("set_right", deploy(Mode="off"), "it is switched on"),
    ("set_right", deploy(ReleaseSet="follow"), "the rest of a release is dealt with"),
    (
        "set_right",
        deploy(ReleaseInAlarm="rollback", ReleaseInAlarmGrace="2m"),
        "a release in a firing alarm is dealt with",
    ),
    ("deploy", deploy_older, "it is this command's version"),
    ("drill", drill_long_ago, "the daily drill finds nothing wrong"),
    ("sweep", let_wait, "no open rollback is left alone"),
]
"""A kind of fix, how it comes to be needed, and the check that then prints it."""
FOLLOWS = {"it is switched on": {"nothing is paused", "its mode lets lastgood act"}}
"""What else is wrong for the same reason, in each deployment group."""


@pytest.mark.parametrize(
    ("kind", "break_it", "check"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_broken_is_found_and_the_printed_command_mends_it(
    shop: Terminal,
    made_by: dict[str, set[str]],
    kind: str,
    break_it: Callable[[Terminal], None],
    check: str,
) -> None:
    assert wrong(shop) == {}
    break_it(shop)
    found = wrong(shop)
    assert {check} <= set(found) <= {check} | FOLLOWS.get(check, set()), found
    assert kind in made_by[found[check]]
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
    assert fix.startswith("By hand: ask those who denied it.")


@pytest.mark.parametrize("detail", ["PermissionsBoundaryDecisionDetail", "OrganizationsDecisionDetail"])
def test_what_a_boundary_keeps_away_is_not_granted_and_what_it_lets_through_is(shop: Terminal, detail: str) -> None:
    allowed = "AllowedByOrganizations" if detail.startswith("O") else "AllowedByPermissionsBoundary"
    for lets, begins in ((False, "By hand: "), (True, "aws ")):
        result = {"EvalActionName": "dynamodb:Query", "EvalDecision": "implicitDeny", detail: {allowed: lets}}
        fix = wrong(shop, SimulatePrincipalPolicy={"EvaluationResults": [result]})["it may dynamodb:Query"]
        assert fix.startswith(begins)


def test_a_mute_rule_is_deleted_by_the_command_that_is_printed(shop: Terminal) -> None:
    rules = ["night", "weekend"]
    muted = {
        "ListAlarmMuteRules": lambda _: {
            "AlarmMuteRuleSummaries": [
                {"AlarmMuteRuleArn": f"arn:aws:cloudwatch:us-east-1:123456789012:alarm-mute-rule:{name}"}
                for name in rules
            ]
        },
        "DeleteAlarmMuteRule": lambda asked: rules.remove(asked["AlarmMuteRuleName"]) or {},
    }
    while found := wrong(shop, **muted):
        assert set(found) == {"it is not muted"}
        with answering(muted):
            apply(shop, found["it is not muted"])
    assert rules == []


def test_the_queue_for_what_fails_is_given_back_by_the_command_that_is_printed(shop: Terminal) -> None:
    told = {**configuration(shop), "DeadLetterConfig": {}}
    known = {
        "GetFunctionConfiguration": lambda _: told,
        "UpdateFunctionConfiguration": lambda asked: told.update(DeadLetterConfig=asked["DeadLetterConfig"]) or told,
    }
    fix = wrong(shop, **known)["its dead-letter queue is empty"]
    with answering(known):
        apply(shop, fix)
    assert told["DeadLetterConfig"] == configuration(shop)["DeadLetterConfig"]
    assert wrong(shop, **known) == {}


def test_dead_letters_are_read_and_then_emptied_by_the_commands_that_are_printed(shop: Terminal) -> None:
    shop.aws.client("sqs").send_message(QueueUrl=shop.outputs["DeadLetterQueueUrl"], MessageBody="{}")
    fix = wrong(shop)["its dead-letter queue is empty"]
    read, empty = re.findall(r"aws --region .+?(?=;|$)", fix)
    apply(shop, read)
    apply(shop, empty)
    assert wrong(shop) == {}


def recreate(it: Terminal, group: str, **changed: Any) -> None:
    """The alarm is made again, with the tags of a group; of none where the group's name is empty."""
    client = it.aws.client("cloudwatch")
    client.put_metric_alarm(**alarm_of(it, **changed))
    (made,) = client.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    client.untag_resource(ResourceARN=made["AlarmArn"], TagKeys=list(group_tags("shop", "prod")))
    client.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="fine")
    if group:
        it.tag_alarm(ALARM, group_tags(*group.split("/")))


UNFILLED = {"ALARM": ALARM, "APPLICATION/GROUP": "shop/prod"}


@pytest.mark.parametrize(
    ("group", "actions", "asked", "check", "printed"),
    [
        ("shop/prod", False, (), "an alarm leads here", "connect ALARM --group APPLICATION/GROUP"),
        ("shop/prod", False, (ALARM,), "going into ALARM reaches lastgood", f"connect {ALARM} --group shop/prod"),
        ("", True, (), "it leads to a deployment group", f"connect {ALARM} --group APPLICATION/GROUP"),
        ("shop/prd", True, (), "it exists", f"connect {ALARM} --group shop/prod"),
    ],
)
def test_an_alarm_that_does_not_lead_here_is_connected_by_the_command_that_is_printed(
    shop: Terminal, group: str, actions: bool, asked: tuple[str, ...], check: str, printed: str
) -> None:
    recreate(shop, group, AlarmActions=[shop.outputs["AlarmTopicArn"]] if actions else [])
    with answering(unknown_to_moto(shop)):
        rows = shop.call("doctor", *asked, "-o", "json").json
    (fix,) = [row["fix"] for row in rows if row["ok"] is False]
    assert fix == f"lastgood --region us-east-1 {printed}"
    (found,) = [row for row in rows if row["ok"] is False]
    assert found["check"] == check
    apply(shop, fix, **UNFILLED)
    assert wrong(shop) == {}


def test_a_deleted_alarm_topic_comes_back_command_by_command(shop: Terminal) -> None:
    shop.aws.client("sns").delete_topic(TopicArn=shop.outputs["AlarmTopicArn"])
    (fix,) = wrong(shop).values()
    assert " sns create-topic " in fix
    for _ in range(4):
        for fix in wrong(shop).values():
            apply(shop, fix)
    assert wrong(shop) == {}


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


# --- the law ---

TRIED_ALONE: dict[str, Callable[..., None]] = {
    "connect": test_an_alarm_that_does_not_lead_here_is_connected_by_the_command_that_is_printed,
    "create_topic": test_a_deleted_alarm_topic_comes_back_command_by_command,
    "grant": test_each_permission_that_was_taken_away_is_given_back_by_the_command_that_is_printed,
    "queue_for_failures": test_the_queue_for_what_fails_is_given_back_by_the_command_that_is_printed,
    "unmute": test_a_mute_rule_is_deleted_by_the_command_that_is_printed,
}
"""Kinds of fixes that need a world of their own to be tried in."""


def test_every_kind_of_fix_is_tried() -> None:
    assert {kind for kind, *_ in CASES} | TRIED_ALONE.keys() == KINDS


def test_a_fix_is_made_nowhere_else() -> None:
    sources = Path(fixes.__file__).parent.rglob("*.py")
    made = {path.stem for path in sources if re.search(r"\b(Fix|ByHand)\(", path.read_text())}
    assert made == {"fix", "fixes", "by_hand"}


def test_what_no_command_mends_says_so() -> None:
    made = [each for _, each in inspect.getmembers(by_hand, inspect.isfunction) if each.__module__ == by_hand.__name__]
    told = [each for each in made if inspect.signature(each).return_annotation == "Fix"]
    given = {"reason": Reason.NO_GOOD_REVISION, "group": None, "result": {}}
    said = [each(*(given.get(name, "a:b") for name in inspect.signature(each).parameters)) for each in told]
    assert len(said) > 20
    assert [each for each in said if not each.startswith("By hand: ")] == []
