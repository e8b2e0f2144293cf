"""`lastgood permissions`: the exact IAM policies, for the function and for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from lastgood_cli.context import Session
from lastgood_cli.deployed import Deployed, deployed
from lastgood_cli.deployer import deployer_policy
from lastgood_cli.options import Family
from lastgood_cli.output import as_json, text, write
from lastgood_cli.problems import Exit, Problem

if TYPE_CHECKING:
    from lastgood_cli.stack_template import StackTemplate


def function_policy(template: StackTemplate) -> dict[str, Any]:
    """The function's role as the stack makes it, as one policy. Managed policies are named by ARN."""
    resources = template.resources()
    role = resources["RollbackFunctionRole"]["Properties"]
    attached = [made["Properties"] for made in resources.values() if made["Type"] == "AWS::IAM::Policy"]
    statements = [s for policy in [*role["Policies"], *attached] for s in policy["PolicyDocument"]["Statement"]]
    return {
        "ManagedPolicyArns": role.get("ManagedPolicyArns", []),
        "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
    }


READS: dict[str, tuple[str, ...]] = {
    "AuditTable": ("dynamodb:Query", "dynamodb:GetItem", "dynamodb:DescribeTable"),
    "AuditTableSettings": ("dynamodb:DescribeTimeToLive", "dynamodb:DescribeContinuousBackups"),
    "Function": (
        "lambda:GetFunctionConfiguration",
        "lambda:GetFunction",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionEventInvokeConfig",
        "lambda:GetPolicy",
    ),
    "Stack": ("cloudformation:DescribeStacks", "cloudformation:DescribeStackResources"),
    # What plan, doctor and backtest look at: anything that the function itself may look at.
    "Everything": (
        "codedeploy:GetDeploymentGroup",
        "codedeploy:ListDeployments",
        "codedeploy:GetDeployment",
        "codedeploy:BatchGetDeployments",
        "codedeploy:BatchGetDeploymentGroups",
        "codedeploy:GetApplicationRevision",
        "codedeploy:ListApplications",
        "codedeploy:ListDeploymentGroups",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DescribeAlarmHistory",
        "cloudwatch:DescribeAlarmMuteRules",
        "cloudwatch:GetAlarmMuteRule",
        "cloudwatch:ListAlarmMuteRules",
        "cloudwatch:ListTagsForResource",
        "cloudwatch:GetMetricStatistics",
        "cloudwatch:GetMetricData",
        # Which stack holds an alias or a service, where FindStacks asks, and whether they still agree.
        "cloudformation:DescribeStackResources",
        "cloudformation:DescribeStacks",
        "cloudformation:DetectStackResourceDrift",
        "cloudformation:ListStackResources",
        "codepipeline:GetPipeline",
        "codepipeline:GetPipelineExecution",
        "codepipeline:GetPipelineState",
        "codepipeline:ListActionExecutions",
        "codepipeline:ListPipelineExecutions",
        # What a misspelt name may have meant.
        "codepipeline:ListPipelines",
        "ecs:ListClusters",
        "ecs:ListServices",
        "lambda:GetAlias",
        "lambda:GetFunctionConfiguration",
        # What a bundle's key holds, where a deployment recorded neither version nor ETag; only its head is asked for.
        "s3:GetObject",
        "ecs:DescribeServices",
        "ecs:ListServiceDeployments",
        "ecs:DescribeServiceDeployments",
        "ecs:DescribeServiceRevisions",
        "ecs:DescribeTaskDefinition",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        # Whether an image that served is still there, and since when its tag means it.
        "ecr:DescribeImages",
        "events:DescribeEventBus",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "events:DescribeRule",
        "events:ListRuleNamesByTarget",
        "events:ListTargetsByRule",
        "events:ListRules",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sns:GetSubscriptionAttributes",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "tag:GetResources",
    ),
    # IAM has no region.
    "Global": ("sts:GetCallerIdentity", "iam:SimulatePrincipalPolicy"),
}
TEST_EVENTS = (
    "schemas:CreateRegistry",
    "schemas:CreateSchema",
    "schemas:UpdateSchema",
    "schemas:DescribeSchema",
    "schemas:ListSchemaVersions",
    "schemas:DeleteSchemaVersion",
    "schemas:GetDiscoveredSchema",
)


def operator_policy(table_arn: str, function_arn: str, stack_arn: str, region: str, *, acting: bool) -> dict[str, Any]:
    """What a person needs for the command. Acting is nothing but invoking the function: its guards apply to people."""
    table = [table_arn, f"{table_arn}/index/*"]
    statements = [
        _allow("ReadTheAuditTable", READS["AuditTable"], table),
        _allow("ReadItsSettings", READS["AuditTableSettings"], [table_arn]),
        _allow("ReadTheFunction", READS["Function"], [function_arn]),
        _allow("FindTheStack", READS["Stack"], [stack_arn]),
        {
            **_allow("LookAtWhatTheFunctionLooksAt", READS["Everything"], ["*"]),
            "Condition": {"StringEquals": {"aws:RequestedRegion": region}},
        },
        _allow("SayWhoAsksAndWhatTheRoleMay", READS["Global"], ["*"]),
    ]
    if acting:
        statements.append(_allow("ActThroughTheFunction", ("lambda:InvokeFunction",), [function_arn]))
        statements.append(_allow("ShareTestEvents", TEST_EVENTS, ["*"]))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: Iterable[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}


# --- commands ---

PARAMETER = click.option(
    "--parameter", "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the stack."
)


@click.group(cls=Family)
def permissions() -> None:
    """The exact IAM policies, as JSON.

    Where the stack and the account can be read they are named; else the account is 123456789012.
    """


@permissions.command()
@PARAMETER
@click.pass_obj
def function(session: Session, parameters: tuple[str, ...]) -> None:
    """Print what the function may do: its role as template.yaml makes it, for the parameters of the stack.

    \b
    lastgood permissions function -p EnableEcs=false -p ApplicationPattern=shop
    """
    found = _looked_up(session)
    stack, here, partition = found.stack, found.here, found.partition
    topic = f"arn:{partition}:sns:{here}:{stack}-NotificationTopic-*"
    known = {
        "AWS::Partition": partition,
        "AWS::Region": found.region,
        "AWS::AccountId": found.account,
        "AWS::StackName": stack,
        "AuditTable": found.table,
        "AuditTable.Arn": found.table_arn,
        "NotificationTopic": found.outputs.get("NotificationTopicArn") or topic,
        "FunctionLogs.Arn": f"arn:{partition}:logs:{here}:log-group:{stack}-FunctionLogs-*:*",
        "DeadLetterQueue.Arn": f"arn:{partition}:sqs:{here}:{stack}-DeadLetterQueue-*",
    }
    write(session.out, as_json(function_policy(_template(found, parameters, known))))


@permissions.command()
@PARAMETER
@click.pass_obj
def deployer(session: Session, parameters: tuple[str, ...]) -> None:
    """Print what a role needs that deploys this stack with `sam deploy`: names of this stack only.

    \b
    lastgood permissions deployer -p EnableDashboard=true
    """
    found = _looked_up(session)
    kinds = {made["Type"] for made in _template(found, parameters, {}).resources().values()}
    policy = deployer_policy(kinds, found.stack, found.region, found.account, found.partition)
    write(session.out, as_json(policy))


@permissions.command()
@click.option("--acting", is_flag=True, help="Also what rollback, approve, pause and the like need.")
@click.pass_obj
def operator(session: Session, acting: bool) -> None:
    """Print what a person needs: to read, and with --acting to act through the function."""
    found = _looked_up(session)
    named = (found.table_arn, found.function_arn, found.stack_arn, found.region)
    write(session.out, as_json(operator_policy(*named, acting=acting)))


def _looked_up(session: Session) -> Deployed:
    found = deployed(session)
    if found.missing:
        session.err.print(text(found.missing, "dim"))
    return found


def _template(found: Deployed, parameters: tuple[str, ...], known: Mapping[str, str]) -> StackTemplate:
    """The template for the parameters that are given, and otherwise for the deployed stack's.

    Of another version's stack only those parameters are taken that the template still has.
    """
    from lastgood_cli.stack_template import StackTemplate, defaults

    kept = {name: value for name, value in found.parameters.items() if name in defaults()}
    given = kept | dict(_pair(each) for each in parameters)
    try:
        return StackTemplate(given, known)
    except ValueError as error:
        raise Problem(str(error), "lastgood permissions function --help", Exit.USAGE) from error


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise Problem(f"{given!r} is no NAME=VALUE", "lastgood permissions function --help", Exit.USAGE)
    return name, value
