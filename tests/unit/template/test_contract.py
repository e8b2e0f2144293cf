"""What others rely on: logical ids, outputs, and resource types that local emulators take."""

from __future__ import annotations

import json
import re

import pytest

from template_stack import EVERYTHING_ON, PSEUDO, Stack

# --- the contract ---


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RollbackFunction", "AWS::Lambda::Function"),
        ("AlarmTopic", "AWS::SNS::Topic"),
        ("NotificationTopic", "AWS::SNS::Topic"),
        ("AuditTable", "AWS::DynamoDB::Table"),
        ("DeadLetterQueue", "AWS::SQS::Queue"),
    ],
)
def test_the_logical_ids_that_others_rely_on_are_there(stack: Stack, name: str, kind: str) -> None:
    assert stack.resources[name]["Type"] == kind


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AlarmTopicArn", "<AlarmTopic>"),
        ("RollbackFunctionName", "<RollbackFunction>"),
        ("RollbackFunctionArn", "<RollbackFunction.Arn>"),
        ("AuditTableName", "<AuditTable>"),
        ("NotificationTopicArn", "<NotificationTopic>"),
        ("DeadLetterQueueUrl", "<DeadLetterQueue>"),
    ],
)
def test_the_outputs_lead_to_the_resources(stack: Stack, name: str, value: str) -> None:
    assert stack.outputs[name]["Value"] == value


def test_the_dashboards_address_is_an_output_whether_there_is_a_dashboard_or_not() -> None:
    with_it, without = Stack(EnableDashboard="true"), Stack()
    assert "Dashboard" in with_it.resources
    assert "Dashboard" not in without.resources
    name = with_it.properties("Dashboard")["DashboardName"]
    assert with_it.outputs["DashboardUrl"]["Value"].endswith(f"#dashboards:name={name}")
    assert without.outputs["DashboardUrl"]["Value"].endswith("#dashboards:")


PARTITIONS = {
    "aws": ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
    "aws-cn": ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    "aws-eusc": ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    "aws-iso": ("us-iso-east-1", "us-iso-east-1.console.c2shome.ic.gov"),
    "aws-iso-b": ("us-isob-east-1", "us-isob-east-1.console.sc2shome.sgov.gov"),
    "aws-iso-e": ("eu-isoe-west-1", "eu-isoe-west-1.console.csphome.adc-e.uk"),
    "aws-iso-f": ("us-isof-south-1", "us-isof-south-1.console.csphome.hci.ic.gov"),
}


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_arn_and_every_address_is_of_the_stacks_own_partition(partition: str) -> None:
    region, host = PARTITIONS[partition]
    place = PSEUDO | {"AWS::Partition": partition, "AWS::Region": region}
    place["RollbackFunctionRole.Arn"] = place["RollbackFunctionRole.Arn"].replace("arn:aws:", f"arn:{partition}:")
    asked = {k: v.replace("arn:aws:", f"arn:{partition}:") for k, v in EVERYTHING_ON.items()}
    stack = Stack(place, **asked)
    made = json.dumps([stack.resources, stack.outputs])
    assert set(re.findall(r"arn:(aws[a-z-]*):", made)) == {partition}
    assert f"https://{host}/cloudwatch/home?region={region}" in stack.outputs["DashboardUrl"]["Value"]


def test_every_output_says_what_it_is_for(stack: Stack) -> None:
    assert all(output["Description"] for output in stack.outputs.values())


# --- what local emulators take ---


def test_nothing_in_the_stack_is_of_a_type_that_local_emulators_refuse(stack: Stack) -> None:
    kinds = {resource["Type"] for resource in stack.resources.values()}
    refused = {"AWS::CloudWatch::CompositeAlarm", "AWS::Events::Archive", "AWS::Logs::QueryDefinition"}
    assert not kinds & refused
    assert not [kind for kind in kinds if kind.startswith("AWS::CodeDeploy::")]
