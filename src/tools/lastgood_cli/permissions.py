"""`lastgood permissions`: the exact IAM policies, for the function and for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from lastgood_cli.context import Session
from lastgood_cli.deployer import deployer_policy
from lastgood_cli.options import Family
from lastgood_cli.output import as_json, write
from lastgood_cli.problems import Exit, Problem

if TYPE_CHECKING:
    from lastgood_cli.stack_template import StackTemplate

UNKNOWN_ACCOUNT = "123456789012"


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
    region, account, table_arn, _, _ = _names(session)
    partition = table_arn.split(":")[1]
    here = f"{region}:{account}"
    known = {
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::AccountId": account,
        "AWS::StackName": session.stack,
        "AuditTable": table_arn.rpartition("/")[2],
        "AuditTable.Arn": table_arn,
        "NotificationTopic": f"arn:{partition}:sns:{here}:{session.stack}-NotificationTopic-*",
        "FunctionLogs.Arn": f"arn:{partition}:logs:{here}:log-group:{session.stack}-FunctionLogs-*:*",
        "DeadLetterQueue.Arn": f"arn:{partition}:sqs:{here}:{session.stack}-DeadLetterQueue-*",
    }
    known |= _outputs(session)
    write(session.out, as_json(function_policy(_template(session, parameters, known))))


@permissions.command()
@PARAMETER
@click.pass_obj
def deployer(session: Session, parameters: tuple[str, ...]) -> None:
    """Print what a role needs that deploys this stack with `sam deploy`: names of this stack only.

    \b
    lastgood permissions deployer -p EnableDashboard=true
    """
    region, account, table_arn, _, _ = _names(session)
    kinds = {made["Type"] for made in _template(session, parameters, {}).resources().values()}
    write(session.out, as_json(deployer_policy(kinds, session.stack, region, account, table_arn.split(":")[1])))


@permissions.command()
@click.option("--acting", is_flag=True, help="Also what rollback, approve, pause and the like need.")
@click.pass_obj
def operator(session: Session, acting: bool) -> None:
    """Print what a person needs: to read, and with --acting to act through the function."""
    region, _, table_arn, function_arn, stack_arn = _names(session)
    write(session.out, as_json(operator_policy(table_arn, function_arn, stack_arn, region, acting=acting)))


def _template(session: Session, parameters: tuple[str, ...], known: Mapping[str, str]) -> StackTemplate:
    """The template for the parameters that are given, and otherwise for the deployed stack's."""
    from lastgood_cli.stack_template import StackTemplate

    given = {**_deployed_parameters(session), **dict(_pair(each) for each in parameters)}
    try:
        return StackTemplate(given, known)
    except ValueError as error:
        raise Problem(str(error), "lastgood permissions function --help", Exit.USAGE) from error


def _deployed_parameters(session: Session) -> dict[str, str]:
    """The stack's parameters, where there is one; of another version's only those that the template still has."""
    from lastgood_cli.stack_template import defaults

    try:
        return {name: value for name, value in session.parameters.items() if name in defaults()}
    except (BotoCoreError, ClientError, Problem):
        return {}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Problem(f"{text!r} is no NAME=VALUE", "lastgood permissions function --help", Exit.USAGE)
    return name, value


def _names(session: Session) -> tuple[str, str, str, str, str]:
    """Region, account, and the ARNs of table, function and stack; patterns where they cannot be looked up."""
    region = session.region
    caller = _try(lambda: session.caller_arn, f"arn:aws:iam::{UNKNOWN_ACCOUNT}:root")
    partition, account = caller.split(":")[1], caller.split(":")[4]
    table = _try(lambda: session.table, f"{session.stack}-AuditTable-*")
    function = _try(lambda: session.function, f"{session.stack}-RollbackFunction-*")
    here = f"{region}:{account}"
    function_arn = function if function.startswith("arn:") else f"arn:{partition}:lambda:{here}:function:{function}"
    stack_arn = f"arn:{partition}:cloudformation:{here}:stack/{session.stack}/*"
    return region, account, f"arn:{partition}:dynamodb:{here}:table/{table}", function_arn, stack_arn


def _outputs(session: Session) -> dict[str, str]:
    topic = _try(lambda: session.stack_output("NotificationTopicArn"), "")
    return {"NotificationTopic": topic} if topic else {}


def _try(look: Any, otherwise: str) -> str:
    try:
        return str(look())
    except (BotoCoreError, ClientError, Problem):
        return otherwise
