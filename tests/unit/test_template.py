"""The template, as CloudFormation gets it after SAM's transform: what it grants, keeps and forbids."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from lastgood.settings import Settings, variable
from lastgood_cli.local import ROOT

SOURCE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
# `lastgood` wires these to resources of the stack, not to parameters.
WIRED = {"table", "notification_topic_arn", "account_id", "alarm_topic_arns"}
# Actions that know no resource, so that IAM takes nothing but '*' for them.
NEEDS_STAR = {
    "codedeploy:StopDeployment",
    "cloudwatch:DescribeAlarms",
    "ecs:DescribeTaskDefinition",
}


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """The translated resources. SAM resolves parameters to their defaults in its own properties only."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    template["Resources"]["RollbackFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    translated = Translator({}, Parser()).translate(template, {})
    found: dict[str, Any] = json.loads(json.dumps(translated))["Resources"]
    return found


def environment(resources: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resources["RollbackFunction"]["Properties"]["Environment"]["Variables"]
    return found


def statements(resources: dict[str, Any]) -> list[dict[str, Any]]:
    """Every statement of the function's role, conditional ones too."""
    found = []
    for policy in resources["RollbackFunctionRole"]["Properties"]["Policies"]:
        for branch in policy.get("Fn::If", [None, policy])[1:]:
            document = branch.get("PolicyDocument", branch)
            found += document.get("Statement", []) if "Ref" not in branch else []
    return found


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def test_the_contracts_resources_and_outputs_are_there(resources: dict[str, Any]) -> None:
    assert {"RollbackFunction", "AlarmTopic", "NotificationTopic", "AuditTable", "DeadLetterQueue"} <= set(resources)
    assert set(SOURCE["Outputs"]) == {
        "AlarmTopicArn",
        "RollbackFunctionName",
        "AuditTableName",
        "NotificationTopicArn",
        "DeadLetterQueueUrl",
        "DashboardUrl",
    }


def test_every_setting_is_a_parameter_with_the_codes_default() -> None:
    for spec in fields(Settings):
        if spec.name in WIRED:
            continue
        name = "".join(part.title() for part in spec.name.split("_"))
        assert SOURCE["Parameters"][name]["Default"] == spec.metadata["default"], name
        assert " ".join(SOURCE["Parameters"][name]["Description"].split()) == spec.metadata["about"]


def test_the_function_gets_every_setting_and_no_unknown_one(resources: dict[str, Any]) -> None:
    given = {name for name in environment(resources) if name.startswith("LASTGOOD_")}
    assert given == {variable(spec.name) for spec in fields(Settings)}


def test_every_parameter_is_described_and_stands_in_a_group_of_the_console() -> None:
    grouped = [
        name
        for group in SOURCE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(SOURCE["Parameters"])
    assert all(parameter["Description"] for parameter in SOURCE["Parameters"].values())


def test_a_free_parameter_is_held_by_a_pattern_or_a_list_where_the_code_has_a_rule() -> None:
    for spec in fields(Settings):
        rule = spec.metadata["parse"].__name__
        if spec.name in WIRED or rule in {"_text", "_globs", "_routes"}:
            continue
        parameter = SOURCE["Parameters"]["".join(part.title() for part in spec.name.split("_"))]
        assert "AllowedPattern" in parameter or "AllowedValues" in parameter, spec.name


def test_the_handler_that_is_named_exists(resources: dict[str, Any]) -> None:
    module, name = resources["RollbackFunction"]["Properties"]["Handler"].rsplit(".", 1)
    source = ROOT / "src" / "function" / (module.replace(".", "/") + ".py")
    assert f"def {name}(" in source.read_text()


def test_only_this_accounts_alarms_may_publish_to_the_alarm_topic(resources: dict[str, Any]) -> None:
    document = resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]
    allowed = [s for s in document["Statement"] if s["Effect"] == "Allow"]
    assert len(allowed) == 1
    assert allowed[0]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert allowed[0]["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"].endswith(":alarm:*")


def test_the_dead_letter_queue_takes_from_exactly_the_topic_and_the_rule(resources: dict[str, Any]) -> None:
    document = resources["DeadLetterQueuePolicy"]["Properties"]["PolicyDocument"]
    found = {
        s["Principal"]["Service"]: s["Condition"]["ArnEquals"]["aws:SourceArn"]
        for s in document["Statement"]
        if s["Effect"] == "Allow"
    }
    rule = next(
        name for name, r in resources.items() if r["Type"] == "AWS::Events::Rule" and "EventPattern" in r["Properties"]
    )
    assert found == {"sns.amazonaws.com": {"Ref": "AlarmTopic"}, "events.amazonaws.com": {"Fn::GetAtt": [rule, "Arn"]}}


def test_nothing_that_cannot_be_delivered_is_lost(resources: dict[str, Any]) -> None:
    queue = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert resources["RollbackFunction"]["Properties"]["DeadLetterConfig"]["TargetArn"] == queue
    subscription = next(r for r in resources.values() if r["Type"] == "AWS::SNS::Subscription")
    assert subscription["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == queue
    rule = next(r for r in resources.values() if r["Type"] == "AWS::Events::Rule" and "EventPattern" in r["Properties"])
    assert rule["Properties"]["Targets"][0]["DeadLetterConfig"]["Arn"] == queue


def test_the_sweep_runs_every_minute_with_the_event_that_the_function_knows(resources: dict[str, Any]) -> None:
    rule = next(r for r in resources.values() if "ScheduleExpression" in r["Properties"])
    assert rule["Properties"]["ScheduleExpression"] == "rate(1 minute)"
    assert json.loads(rule["Properties"]["Targets"][0]["Input"]) == {"action": "sweep"}


def test_the_audit_table_survives_the_stack_and_mistakes(resources: dict[str, Any]) -> None:
    table = resources["AuditTable"]
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    settings = table["Properties"]
    assert settings["BillingMode"] == "PAY_PER_REQUEST"
    assert settings["DeletionProtectionEnabled"] is True
    assert settings["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert settings["SSESpecification"]["SSEEnabled"] is True
    assert settings["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_audit_table_has_the_contracts_indexes(resources: dict[str, Any]) -> None:
    found = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in resources["AuditTable"]["Properties"]["GlobalSecondaryIndexes"]
    }
    assert found["by_deployment_group"] == ["deployment_group_key", "opened_at"]
    assert found["by_day"] == ["day", "opened_at"]
    assert "open" in found


def test_only_actions_that_know_no_resource_are_granted_on_everything(resources: dict[str, Any]) -> None:
    on_everything = {a for s in statements(resources) if s["Resource"] == "*" for a in actions(s)}
    assert on_everything == NEEDS_STAR


def test_the_role_may_neither_erase_records_nor_pass_any_role(resources: dict[str, Any]) -> None:
    denied = {a for s in statements(resources) if s["Effect"] == "Deny" for a in actions(s)}
    assert {"dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:BatchWriteItem"} <= denied
    passing = [s for s in statements(resources) if "iam:PassRole" in actions(s)]
    assert [s["Resource"] for s in passing] == [{"Ref": "TaskRoleArns"}]
    assert passing[0]["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert not [a for s in statements(resources) for a in actions(s) if a.endswith("*")]


def test_the_powerful_grant_for_overriding_alarms_is_there_only_if_it_is_switched_on(resources: dict[str, Any]) -> None:
    conditional = [
        policy["Fn::If"][0]
        for policy in resources["RollbackFunctionRole"]["Properties"]["Policies"]
        if "UpdateDeploymentGroup" in json.dumps(policy)
    ]
    assert conditional == ["OverridesAlarms"]


def test_alarms_of_other_accounts_may_not_invoke_the_function(resources: dict[str, Any]) -> None:
    permission = resources["AlarmsMayInvoke"]["Properties"]
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert permission["SourceArn"]["Fn::Sub"].endswith(":alarm:*")


def test_every_alarm_of_the_stack_calls_people_and_silence_of_the_sweep_is_alarming(resources: dict[str, Any]) -> None:
    alarms = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(alarms) == {"DeadLettersAlarm", "ErrorsAlarm", "ThrottlesAlarm", "SweepAlarm"}
    assert all(alarm["AlarmActions"] == [{"Ref": "NotificationTopic"}] for alarm in alarms.values())
    assert alarms["SweepAlarm"]["TreatMissingData"] == "breaching"


def test_the_trigger_and_the_notices_use_different_topics(resources: dict[str, Any]) -> None:
    subscription = next(r for r in resources.values() if r["Type"] == "AWS::SNS::Subscription")
    assert subscription["Properties"]["TopicArn"] == {"Ref": "AlarmTopic"}
    assert environment(resources)["LASTGOOD_NOTIFICATION_TOPIC_ARN"] == {"Ref": "NotificationTopic"}


def test_logs_do_not_stay_for_ever(resources: dict[str, Any]) -> None:
    assert resources["FunctionLogs"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert resources["RollbackFunction"]["Properties"]["LoggingConfig"]["LogGroup"] == {"Ref": "FunctionLogs"}
