"""The stack that `template.yaml` makes for some parameters, as tests read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

from iam import Request, listed
from lastgood_cli.stack_template import StackTemplate

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
SHIPPED = ROOT / TEMPLATE["Resources"]["RollbackFunction"]["Properties"]["CodeUri"]
ACCOUNT, REGION = "123456789012", "us-east-1"
ALARMS_OF_THIS_ACCOUNT = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:shop-prod-error-rate"
# As CloudFormation names what it makes: stack, logical id, something random.
FUNCTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/lastgood-RollbackFunctionRole-1A2B3C4D5E6F"
SOMEBODY = f"arn:aws:iam::{ACCOUNT}:role/ci"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "lastgood",
    "RollbackFunctionRole.Arn": FUNCTION_ROLE,
}
EVERYTHING_ON = {
    "EnableEcs": "true",
    "Doors": "true",
    "RequireEvidence": "true",
    "EnableDashboard": "true",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/0a",
    "SubnetIds": "subnet-0a1b2c3d",
    "SecurityGroupIds": "sg-0a1b2c3d",
    "TaskRoleArns": "arn:aws:iam::123456789012:role/task,arn:aws:iam::123456789012:role/execution",
    "ImageRepositoryArns": "arn:aws:ecr:us-east-1:123456789012:repository/shop",
    "ArtifactBucketArns": "arn:aws:s3:::bundles,arn:aws:s3:::more-bundles",
    "EcsServices": "*/*",
    "PipelineStages": "shop-*/Deploy",
    "FindStacks": "true",
    "CancelStackUpdates": "shop-*",
    "GroupAlarms": "true",
    "RollbackPauses": "continue",
    "ChatButtons": "true",
    "SlackWorkspaceId": "T0123456789",
    "SlackChannelId": "C0123456789",
    "AlarmRegions": "eu-west-3,ap-south-1,sa-east-1",
    "PipelinePattern": "shop-*",
    "EnablePipelineRerun": "true",
    "EnablePipelineHold": "true",
}


class Placeholders(dict[str, str]):
    """What is known of the stack; of anything else, `<Name>` for `!Ref Name` and `<Name.Arn>` for its attribute."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


@dataclass(frozen=True)
class Statement:
    """A statement of the function's role."""

    sid: str
    effect: str
    actions: list[str]
    resources: list[str]
    condition: dict[str, Any]


class Stack:
    """The stack for some parameters. Whatever the resolver leaves unresolved is an error here."""

    def __init__(self, pseudo: dict[str, str] = PSEUDO, **parameters: str) -> None:
        template = StackTemplate(parameters, Placeholders(pseudo))
        self.resources = template.resources()
        self.outputs = template.outputs()
        self.objections = template.objections()
        assert '"Fn::' not in json.dumps([self.resources, self.outputs]), "the resolver does not know a function"

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: r["Properties"] for name, r in self.resources.items() if r["Type"] == kind}

    @property
    def environment(self) -> dict[str, str]:
        found: dict[str, str] = self.properties("RollbackFunction")["Environment"]["Variables"]
        return found

    def policies(self) -> list[dict[str, Any]]:
        """The policies of the function's role: those that SAM writes into it, and those attached to it."""
        attached = self.of_type("AWS::IAM::Policy").values()
        assert all(policy["Roles"] == ["<RollbackFunctionRole>"] for policy in attached)
        return [*self.properties("RollbackFunctionRole")["Policies"], *attached]

    def statements(self) -> Iterator[Statement]:
        """Every statement of the function's role."""
        for policy in self.policies():
            for statement in policy["PolicyDocument"]["Statement"]:
                yield Statement(
                    statement.get("Sid", policy["PolicyName"]),
                    statement["Effect"],
                    listed(statement["Action"]),
                    listed(statement["Resource"]),
                    statement.get("Condition", {}),
                )

    def allowed(self) -> dict[str, Statement]:
        """The statement that grants each action."""
        return {action: s for s in self.statements() if s.effect == "Allow" for action in s.actions}

    def identity_policy(self) -> list[dict[str, Any]]:
        """The function's role as an identity policy."""
        return [s for policy in self.policies() for s in policy["PolicyDocument"]["Statement"]]

    def topic_policy(self, topic: str) -> list[dict[str, Any]]:
        policies = [p for p in self.of_type("AWS::SNS::TopicPolicy").values() if p["Topics"] == [f"<{topic}>"]]
        assert len(policies) == 1, f"{topic} has {len(policies)} policies"
        found: list[dict[str, Any]] = policies[0]["PolicyDocument"]["Statement"]
        return found

    def queue_policy(self) -> list[dict[str, Any]]:
        (policy,) = self.of_type("AWS::SQS::QueuePolicy").values()
        assert policy["Queues"] == ["<DeadLetterQueue>"]
        found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
        return found


def everything(action: str) -> list[dict[str, Any]]:
    """An identity policy that allows an action on `*`, as many roles of an account have it."""
    return [{"Effect": "Allow", "Action": action, "Resource": "*"}]


def by_alarm(action: str, resource: str, alarm: str = ALARM) -> Request:
    """What CloudWatch asks in an alarm's name."""
    source = {"aws:SourceArn": alarm, "aws:SourceAccount": alarm.split(":")[4]}
    return Request(action, resource, "cloudwatch.amazonaws.com", source)
