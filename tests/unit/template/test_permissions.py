"""What the function may do: what it calls, and nothing else."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import cfnlint
import pytest

from lastgood.signals import Home
from lastgood_cli.deployer import BY_KIND, deployer_policy
from template_stack import ACCOUNT, EVERYTHING_ON, REGION, ROOT, SHIPPED, Stack

# --- permissions ---

# For these IAM knows no resource, or none for every form of the call.
WITHOUT_A_RESOURCE = {
    "codedeploy:StopDeployment": "IAM knows no resource for it",
    "codedeploy:ContinueDeployment": "IAM knows no resource for it",
    "codedeploy:ListDeploymentTargets": "IAM knows no resource for it",
    "codedeploy:BatchGetDeploymentTargets": "IAM knows no resource for it",
    "cloudwatch:GetMetricData": "IAM knows no resource for it",
    "cloudwatch:DescribeAlarms": "composite alarms are described with the resource * only",
    "cloudwatch:DescribeAlarmHistory": "composite alarms' history is read with the resource * only",
    "cloudwatch:DescribeAlarmContributors": "it is asked for beside DescribeAlarms",
    "ecs:DescribeTaskDefinition": "IAM knows no resource for it",
    "codedeploy:ListApplications": "all applications or none, IAM knows no resource for it",
    "ecs:ListTasks": "by what started them, IAM knows no resource for it",
    **{
        f"ec2:{name}": "Lambda asks for it on every resource"
        for name in (
            "AssignPrivateIpAddresses",
            "CreateNetworkInterface",
            "DeleteNetworkInterface",
            "DescribeNetworkInterfaces",
            "DescribeSubnets",
            "UnassignPrivateIpAddresses",
        )
    },
}
# What the code's calls need beside the action of the same name.
NEEDED_BY = {
    "transact_write_items": {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"},
    "create_deployment": {
        "codedeploy:CreateDeployment",
        "codedeploy:GetDeploymentConfig",
        "codedeploy:GetApplicationRevision",
        "codedeploy:UpdateDeploymentGroup",
    },
    "register_task_definition": {"ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole"},
    "get_object": {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"},
    "describe_task_definition": {"ecs:DescribeTaskDefinition", "ecs:ListTagsForResource"},
    "list_tags_for_resource": {"cloudwatch:ListTagsForResource"},
    "get_object_tagging": {"s3:GetObjectTagging", "s3:GetObjectVersionTagging"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "head_object": {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"},
}
# What Lambda and other services do with the function's role: logs, dead letters, the key, the VPC.
BY_SERVICES = ("logs:", "sqs:", "kms:", "ec2:")


def operations_called() -> set[str]:
    """The AWS operations that the code names: `call(client, "get_item", …)`."""
    found: set[str] = set()
    for path in SHIPPED.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="call"), args=[_, ast.Constant(value=str(operation)), *_]):
                    found.add(operation)
    return found


def pascal(operation: str) -> str:
    return operation.title().replace("_", "")


def test_the_role_allows_what_the_code_calls_and_nothing_else() -> None:
    granted = {action for action in Stack(**EVERYTHING_ON).allowed() if not action.startswith(BY_SERVICES)}
    by_name = {action.split(":")[1]: action for action in granted}
    operations = operations_called()
    assert {"stop_deployment", "create_deployment", "get_item", "publish"} <= operations
    needed: set[str] = set()
    for operation in operations:
        needed |= NEEDED_BY.get(operation) or {by_name.get(pascal(operation), f"NOT GRANTED: {operation}")}
    assert granted == needed


def test_every_statement_names_itself_and_no_action_is_granted_twice() -> None:
    stack = Stack(**EVERYTHING_ON)
    sids = [s.sid for s in stack.statements()]
    actions = [action for s in stack.statements() if s.effect == "Allow" for action in s.actions]
    assert len(sids) == len(set(sids))
    assert len(actions) == len(set(actions))
    assert not [action for action in actions if "*" in action]


def test_every_statement_has_its_reason_beside_it() -> None:
    lines = (ROOT / "template.yaml").read_text().splitlines()
    role = {s.sid for s in Stack(**EVERYTHING_ON).statements()}
    for number, line in enumerate(lines):
        found = re.fullmatch(r"\s+- Sid: (\w+)", line)
        if found and found[1] in role:
            role.remove(found[1])
            assert lines[number - 1].strip().startswith("# "), found[1]
    assert not role


def test_no_action_is_granted_on_everything_but_what_must() -> None:
    for statement in Stack(**EVERYTHING_ON).statements():
        if statement.effect == "Allow" and "*" in statement.resources:
            assert set(statement.actions) <= WITHOUT_A_RESOURCE.keys(), statement


@pytest.mark.parametrize(
    "action", ["codedeploy:StopDeployment", "ecs:DescribeTaskDefinition", "ecs:ListTasks", "cloudwatch:GetMetricData"]
)
def test_what_knows_no_resource_stays_in_the_stacks_region(action: str) -> None:
    stack = Stack(**EVERYTHING_ON | {"AlarmRegions": ""})
    assert stack.allowed()[action].condition == {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}


@pytest.mark.parametrize("regions", ["eu-west-3", "eu-west-3,ap-south-1", "eu-west-3,ap-south-1,sa-east-1"])
def test_of_other_regions_the_function_reads_alarms_and_hears_their_satellites_and_nothing_else(regions: str) -> None:
    stack, named = Stack(**EVERYTHING_ON | {"AlarmRegions": regions}), regions.split(",")
    alarms = [f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:*" for region in (REGION, *named)]
    assert stack.allowed()["cloudwatch:ListTagsForResource"].resources == alarms
    metrics = stack.allowed()["cloudwatch:GetMetricData"].condition
    assert metrics == {"StringEquals": {"aws:RequestedRegion": [REGION, *named]}}
    senders = {p.get("SourceArn") for p in stack.of_type("AWS::Lambda::Permission").values()}
    satellites = {f"arn:aws:sns:{region}:{ACCOUNT}:lastgood-alarms" for region in named}
    assert {each for each in senders if str(each).startswith("arn:aws:sns:")} == satellites
    accepted = stack.environment["LASTGOOD_ALARM_TOPIC_ARNS"].split(",")
    home = Home(ACCOUNT, REGION, tuple(accepted), tuple(named))
    assert all(home.takes_from(each) for each in satellites)
    elsewhere = {s.sid for s in stack.statements() if named[0] in json.dumps([s.resources, s.condition])}
    assert elsewhere == {"ReadAlarmTags", "ReadMetrics"}


# AWS's service authorization reference, as cfn-lint carries it.
REFERENCE = json.loads((Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json").read_text())


def kinds_of(action: str) -> list[str]:
    """The kinds of resources that IAM knows for an action. Raises KeyError for an action that IAM does not know."""
    service, name = action.split(":")
    entry = {k.lower(): v for k, v in REFERENCE[service]["Actions"].items()}[name.lower()]
    return list(entry.get("Resources", []))


# An action of CloudWatch's API that the reference does not have yet.
NOT_IN_THE_REFERENCE = {"cloudwatch:DescribeAlarmContributors"}


def test_every_resource_is_of_a_kind_that_iam_knows_for_the_action() -> None:
    for action, statement in Stack(**EVERYTHING_ON).allowed().items():
        if action in NOT_IN_THE_REFERENCE:
            assert statement.resources == ["*"]
            continue
        service, kinds = action.split(":")[0], kinds_of(action)
        assert kinds or statement.resources == ["*"], f"{action} knows no resource"
        if statement.resources == ["*"]:
            continue
        for resource in statement.resources:
            if not resource.startswith("arn:"):
                continue
            formats = [f for kind in kinds for f in REFERENCE[service]["Resources"][kind]["ARNFormats"]]
            patterns = [re.sub(r"\$\{\w+\}", "[^:]*", f) for f in formats]
            assert any(re.fullmatch(pattern, resource) for pattern in patterns), (action, resource, formats)


def test_codedeploy_may_be_touched_only_where_the_patterns_say() -> None:
    stack = Stack(ApplicationPattern="shop", DeploymentGroupPattern="prod-*")
    base = "arn:aws:codedeploy:us-east-1:123456789012"
    allowed = stack.allowed()
    for name in ("GetDeploymentGroup", "ListDeployments", "CreateDeployment", "UpdateDeploymentGroup"):
        assert allowed[f"codedeploy:{name}"].resources == [f"{base}:deploymentgroup:shop/prod-*"]
    assert allowed["codedeploy:GetApplicationRevision"].resources == [f"{base}:application:shop"]


def test_services_may_be_stopped_and_updated_only_where_the_pattern_says() -> None:
    base = "arn:aws:ecs:us-east-1:123456789012"
    off, on = Stack(EnableEcs="true").allowed(), Stack(EcsServices="main/web-*").allowed()
    assert not {"ecs:UpdateService", "ecs:StopServiceDeployment", "ecs:ListServiceDeployments"} & off.keys()
    for name in ("DescribeServices", "ListServiceDeployments", "UpdateExpressGatewayService", "UpdateService"):
        assert on[f"ecs:{name}"].resources == [f"{base}:service/main/web-*"]
    for name in ("ContinueServiceDeployment", "DescribeServiceDeployments", "StopServiceDeployment"):
        assert on[f"ecs:{name}"].resources == [f"{base}:service-deployment/main/web-*/*"]
    assert on["ecs:DescribeServiceRevisions"].resources == [f"{base}:service-revision/main/web-*/*"]


def test_stages_may_be_rolled_back_only_where_the_pattern_says() -> None:
    base = "arn:aws:codepipeline:us-east-1:123456789012"
    off = Stack(PipelinePattern="shop").allowed()
    assert not {"codepipeline:RollbackStage", "codepipeline:StopPipelineExecution"} & off.keys()
    on = Stack(PipelinePattern="shop", PipelineStages="shop/Deploy").allowed()
    assert on["codepipeline:RollbackStage"].resources == [f"{base}:shop/Deploy"]
    assert on["codepipeline:StopPipelineExecution"].resources == [f"{base}:shop"]
    assert "codepipeline:StartPipelineExecution" not in on
    reruns = Stack(PipelinePattern="shop", PipelineStages="shop/Deploy", RerunOutdatedStages="true").allowed()
    assert reruns["codepipeline:StartPipelineExecution"].resources == [f"{base}:shop"]


def test_updates_of_stacks_may_be_cancelled_only_where_the_pattern_says() -> None:
    assert "cloudformation:CancelUpdateStack" not in Stack(FindStacks="true").allowed()
    on = Stack(FindStacks="true", CancelStackUpdates="shop-*").allowed()
    named = ["arn:aws:cloudformation:us-east-1:123456789012:stack/shop-*/*"]
    assert on["cloudformation:CancelUpdateStack"].resources == named


def test_lambda_aliases_may_be_touched_only_where_the_pattern_says() -> None:
    function = "arn:aws:lambda:us-east-1:123456789012:function:shop"
    allowed = Stack(LambdaFunctionPattern="shop").allowed()
    for name in ("GetAlias", "UpdateAlias", "GetFunctionConfiguration"):
        assert allowed[f"lambda:{name}"].resources == [function, f"{function}:*"]


def granted(prefix: str, **parameters: str) -> set[str]:
    return {action for action in Stack(**parameters).allowed() if action.startswith(prefix)}


def test_changing_deployment_groups_is_granted_only_for_overriding_alarms() -> None:
    assert granted("codedeploy:Update") == {"codedeploy:UpdateDeploymentGroup"}
    assert not granted("codedeploy:Update", OverrideAlarms="false")


@pytest.mark.parametrize(
    ("prefix", "switch"),
    [("lambda:", {"EnableLambda": "false"}), ("ecs:", {"EnableEcs": "false"}), ("events:", {"EventBus": ""})],
)
def test_a_platform_that_is_switched_off_is_not_granted(prefix: str, switch: dict[str, str]) -> None:
    assert granted(prefix, EnableEcs="true")
    assert not granted(prefix, **switch)


def test_ecs_is_granted_only_to_those_who_use_it() -> None:
    assert not granted("ecs:")
    assert "ecs:RegisterTaskDefinition" in granted("ecs:", EnableEcs="true")


def test_roles_are_passed_only_to_ecs_tasks_and_only_those_that_are_named() -> None:
    assert not granted("iam:")
    roles = EVERYTHING_ON["TaskRoleArns"]
    statement = Stack(TaskRoleArns=roles).allowed()["iam:PassRole"]
    assert statement.resources == roles.split(",")
    assert statement.condition == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def test_tags_are_written_only_while_a_task_definition_is_registered() -> None:
    statement = Stack(EnableEcs="true").allowed()["ecs:TagResource"]
    assert statement.condition == {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}


def test_bundles_are_read_only_from_the_buckets_that_are_named() -> None:
    assert not granted("s3:")
    allowed = Stack(**EVERYTHING_ON).allowed()
    assert allowed["s3:GetObject"].resources == ["arn:aws:s3:::bundles/*", "arn:aws:s3:::more-bundles/*"]
    assert allowed["s3:ListBucket"].resources == ["arn:aws:s3:::bundles", "arn:aws:s3:::more-bundles"]


def test_images_are_looked_up_only_in_the_repositories_that_are_named() -> None:
    assert not granted("ecr:")
    allowed = Stack(**EVERYTHING_ON).allowed()
    assert allowed["ecr:DescribeImages"].resources == ["arn:aws:ecr:us-east-1:123456789012:repository/shop"]


READS_OF_PIPELINES = {
    f"codepipeline:{name}"
    for name in (
        "GetPipeline",
        "GetPipelineExecution",
        "GetPipelineState",
        "ListActionExecutions",
        "ListPipelineExecutions",
    )
}


@pytest.mark.parametrize(
    ("switches", "more"),
    [
        ({}, set[str]()),
        ({"EnablePipelineRerun": "true"}, {"codepipeline:StartPipelineExecution"}),
        (
            {"EnablePipelineHold": "true"},
            {"codepipeline:DisableStageTransition", "codepipeline:EnableStageTransition"},
        ),
    ],
)
def test_pipelines_are_read_started_and_held_only_where_each_is_switched_on(
    switches: dict[str, str], more: set[str]
) -> None:
    assert not granted("codepipeline:")
    assert granted("codepipeline:", PipelinePattern="shop", **switches) == READS_OF_PIPELINES | more


def test_only_the_pipelines_that_are_named_may_be_touched() -> None:
    base = "arn:aws:codepipeline:us-east-1:123456789012:shop-*"
    allowed = Stack(**EVERYTHING_ON).allowed()
    assert all(allowed[action].resources == [base] for action in READS_OF_PIPELINES)
    assert allowed["codepipeline:StartPipelineExecution"].resources == [base]
    assert allowed["codepipeline:DisableStageTransition"].resources == [f"{base}/*"]


def test_the_function_speaks_on_the_bus_only_as_lastgood() -> None:
    statement = Stack(EventBus="releases").allowed()["events:PutEvents"]
    assert statement.resources == ["arn:aws:events:us-east-1:123456789012:event-bus/releases"]
    assert statement.condition == {"StringEquals": {"events:source": "lastgood"}}


def test_the_function_may_never_erase_the_record(stack: Stack) -> None:
    (deny,) = [s for s in stack.statements() if s.effect == "Deny" and s.sid == "NeverErase"]
    assert deny.resources == ["<AuditTable.Arn>"]
    assert set(deny.actions) == {
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:DeleteTable",
        "dynamodb:PartiQLDelete",
        "dynamodb:UpdateTimeToLive",
    }
    assert not {"dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:Scan"} & stack.allowed().keys()


def test_the_audit_table_and_its_indexes_are_the_only_data_that_is_written(stack: Stack) -> None:
    for action, statement in stack.allowed().items():
        if action.startswith("dynamodb:"):
            assert statement.resources == ["<AuditTable.Arn>", "<AuditTable.Arn>/index/*"]


# --- who deploys ---


def test_a_deployer_is_told_what_every_resource_of_the_stack_needs() -> None:
    kinds = {resource["Type"] for resource in Stack(**EVERYTHING_ON).resources.values()}
    policy = deployer_policy(kinds, "lastgood", "us-east-1", "123456789012", "aws")
    assert kinds == BY_KIND.keys()
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            assert kinds_of(action) or statement["Resource"] == ["*"], action
    names = [arn for s in policy["Statement"] for arn in s["Resource"] if arn != "*"]
    assert all(":123456789012:" in arn or arn.startswith(("arn:aws:s3", "arn:aws:cloudformation")) for arn in names)


def test_a_deployer_may_pass_only_the_functions_role_and_only_to_lambda() -> None:
    policy = deployer_policy({"AWS::Lambda::Function"}, "lastgood", "us-east-1", "123456789012", "aws")
    (passing,) = [s for s in policy["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Action"] == ["iam:PassRole"]
    assert passing["Resource"] == ["arn:aws:iam::123456789012:role/lastgood-*"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
