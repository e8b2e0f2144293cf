"""The function and what reaches it."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from iam import Request, allowed
from template_stack import ALARMS_OF_THIS_ACCOUNT, FUNCTION_ROLE, ROOT, SHIPPED, TEMPLATE, Stack


def test_the_handler_is_a_function_of_what_ships(stack: Stack) -> None:
    module, name = stack.properties("RollbackFunction")["Handler"].rsplit(".", 1)
    tree = ast.parse((SHIPPED / (module.replace(".", "/") + ".py")).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_function_runs_on_arm_with_half_a_gigabyte_for_at_most_a_minute(stack: Stack) -> None:
    function = stack.properties("RollbackFunction")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert (function["MemorySize"], function["Timeout"]) == ("1024", 60)
    assert not function.keys() & {"VpcConfig", "TracingConfig", "Layers", "SnapStart"}
    assert function["RecursiveLoop"] == "Terminate"


@pytest.mark.parametrize(
    ("parameters", "properties"),
    [
        ({"Architecture": "x86_64"}, {"Architectures": ["x86_64"]}),
        (
            {"SubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d"},
            {
                "VpcConfig": {
                    "SubnetIds": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"],
                    "SecurityGroupIds": ["sg-0a1b2c3d"],
                }
            },
        ),
        ({"CodeSigningConfigArn": "arn:csc"}, {"CodeSigningConfigArn": "arn:csc"}),
        ({"KmsKeyArn": "arn:key"}, {"KmsKeyArn": "arn:key"}),
    ],
)
def test_what_an_organisation_may_require_is_an_option(
    stack: Stack, parameters: dict[str, str], properties: dict[str, Any]
) -> None:
    asked, default = Stack(**parameters).properties("RollbackFunction"), stack.properties("RollbackFunction")
    assert properties.items() <= asked.items()
    assert all(default.get(name) != value for name, value in properties.items())
    assert {k: v for k, v in asked.items() if k not in properties} == {
        k: v for k, v in default.items() if k not in properties
    }


def test_a_stack_without_access_to_s3_does_not_ask_it(stack: Stack) -> None:
    granted = Stack(ArtifactBucketArns="arn:aws:s3:::artifacts")
    asked = [each.environment["LASTGOOD_CHECK_BUNDLES"] for each in (stack, granted)]
    assert asked == ["false", "present"]


def test_fips_endpoints_are_called_only_on_request(stack: Stack) -> None:
    assert "AWS_USE_FIPS_ENDPOINT" not in stack.environment
    assert Stack(UseFipsEndpoints="true").environment["AWS_USE_FIPS_ENDPOINT"] == "true"


def test_the_function_may_make_network_interfaces_only_in_a_vpc_and_its_own_code_never() -> None:
    assert not [action for action in Stack().allowed() if action.startswith("ec2:")]
    stack = Stack(SubnetIds="subnet-0a1b2c3d", SecurityGroupIds="sg-0a1b2c3d")
    create = Request("ec2:CreateNetworkInterface", "arn:aws:ec2:us-east-1:123456789012:subnet/a", FUNCTION_ROLE)
    own = {"lambda:SourceFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:lastgood-RollbackFunction-1"}
    assert allowed(create, [], stack.identity_policy())
    assert not allowed(replace(create, context=own), [], stack.identity_policy())


def test_the_function_writes_only_into_its_own_log_group(stack: Stack) -> None:
    assert stack.allowed()["logs:PutLogEvents"].resources == ["<FunctionLogs.Arn>"]
    assert "ManagedPolicyArns" not in stack.properties("RollbackFunctionRole")


def test_concurrency_is_reserved_only_on_request() -> None:
    assert "ReservedConcurrentExecutions" not in Stack().properties("RollbackFunction")
    assert Stack(ReservedConcurrency="5").properties("RollbackFunction")["ReservedConcurrentExecutions"] == "5"


def test_the_functions_role_has_a_boundary_only_on_request() -> None:
    boundary = "arn:aws:iam::123456789012:policy/edge"
    assert "PermissionsBoundary" not in Stack().properties("RollbackFunctionRole")
    role = Stack(PermissionsBoundaryArn=boundary).properties("RollbackFunctionRole")
    assert role["PermissionsBoundary"] == boundary


def test_logs_are_json_in_a_group_of_their_own_that_forgets() -> None:
    stack = Stack(LogRetentionDays="30", LogLevel="DEBUG")
    logging = stack.properties("RollbackFunction")["LoggingConfig"]
    assert logging == {"LogFormat": "JSON", "LogGroup": "<FunctionLogs>"}
    assert stack.properties("FunctionLogs")["RetentionInDays"] == "30"
    assert stack.environment["POWERTOOLS_LOG_LEVEL"] == "DEBUG"


def test_sam_builds_the_artifact_with_the_functions_own_makefile() -> None:
    assert TEMPLATE["Resources"]["RollbackFunction"]["Metadata"]["BuildMethod"] == "makefile"
    recipe = (SHIPPED / "Makefile").read_text()
    assert re.search(r"^build-RollbackFunction:", recipe, flags=re.MULTILINE)
    assert "--require-hashes" in recipe
    assert "--invalidation-mode unchecked-hash" in recipe


# --- what reaches it ---


def test_exactly_five_callers_may_invoke_the_function_each_from_one_source(stack: Stack) -> None:
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    assert {(p["Principal"], p["SourceArn"]) for p in permissions} == {
        ("sns.amazonaws.com", "<AlarmTopic>"),
        ("events.amazonaws.com", "<RollbackFunctionDeploymentMoved.Arn>"),
        ("events.amazonaws.com", "<RollbackFunctionSweep.Arn>"),
        ("events.amazonaws.com", "<RollbackFunctionDrill.Arn>"),
        ("lambda.alarms.cloudwatch.amazonaws.com", ALARMS_OF_THIS_ACCOUNT),
    }
    assert all(p["Action"] == "lambda:InvokeFunction" for p in permissions)
    alarms = next(p for p in permissions if p["Principal"].startswith("lambda.alarms"))
    assert alarms["SourceAccount"] == "123456789012"


def test_the_alarm_topic_reaches_the_function_unfiltered(stack: Stack) -> None:
    (subscription,) = stack.of_type("AWS::SNS::Subscription").values()
    assert subscription["TopicArn"] == "<AlarmTopic>"
    assert subscription["Endpoint"] == "<RollbackFunction.Arn>"
    assert "FilterPolicy" not in subscription, "OK messages tell when an alarm recovered"


def test_codedeploys_state_changes_reach_the_function(stack: Stack) -> None:
    rule = stack.properties("RollbackFunctionDeploymentMoved")
    assert rule["EventPattern"] == {
        "source": ["aws.codedeploy"],
        "detail-type": ["CodeDeploy Deployment State-change Notification"],
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == "<RollbackFunction.Arn>"
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    example = json.loads((ROOT / "events" / "codedeploy-state-change.json").read_text())
    assert (example["source"], example["detail-type"]) == ("aws.codedeploy", rule["EventPattern"]["detail-type"][0])


def test_ecs_own_state_changes_reach_the_function_only_where_services_are_named(stack: Stack) -> None:
    assert "ServiceDeploymentMoved" not in stack.resources
    on = Stack(EcsServices="main/*")
    rule = on.properties("ServiceDeploymentMoved")
    kinds = ["ECS Deployment State Change", "ECS Hook State Change"]
    assert rule["EventPattern"] == {"source": ["aws.ecs"], "detail-type": kinds}
    (target,) = rule["Targets"]
    assert target["Arn"] == "<RollbackFunction.Arn>"
    assert target["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    callers = {(p["Principal"], p["SourceArn"]) for p in on.of_type("AWS::Lambda::Permission").values()}
    assert ("events.amazonaws.com", "<ServiceDeploymentMoved.Arn>") in callers and len(callers) == 6
    senders = {s["Condition"]["ArnEquals"]["aws:SourceArn"] for s in on.queue_policy() if s["Effect"] == "Allow"}
    assert "<ServiceDeploymentMoved.Arn>" in senders and len(senders) == 3
    example = json.loads((ROOT / "events" / "ecs-deployment-state-change.json").read_text())
    assert (example["source"], example["detail-type"]) == ("aws.ecs", rule["EventPattern"]["detail-type"][0])


def test_the_state_changes_of_stages_reach_the_function_only_where_stages_are_named(stack: Stack) -> None:
    assert "StageMoved" not in stack.resources
    on = Stack(PipelinePattern="shop-*", PipelineStages="shop-*/Deploy")
    rule = on.properties("StageMoved")
    assert rule["EventPattern"] == {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Stage Execution State Change"],
        "detail": {"pipeline": [{"wildcard": "shop-*"}], "stage": [{"wildcard": "Deploy"}]},
    }
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    callers = {(p["Principal"], p["SourceArn"]) for p in on.of_type("AWS::Lambda::Permission").values()}
    assert ("events.amazonaws.com", "<StageMoved.Arn>") in callers
    senders = {s["Condition"]["ArnEquals"]["aws:SourceArn"] for s in on.queue_policy() if s["Effect"] == "Allow"}
    assert "<StageMoved.Arn>" in senders
    example = json.loads((ROOT / "events" / "codepipeline-stage-state-change.json").read_text())
    assert (example["source"], example["detail-type"]) == ("aws.codepipeline", rule["EventPattern"]["detail-type"][0])


def test_the_sweep_runs_every_minute_with_the_event_of_the_examples(stack: Stack) -> None:
    rule = stack.properties("RollbackFunctionSweep")
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert rule.get("State", "ENABLED") == "ENABLED"
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == json.loads((ROOT / "events" / "manual-sweep.json").read_text())


def test_the_drill_runs_daily_with_the_event_of_the_examples_unless_it_is_switched_off(stack: Stack) -> None:
    rule = stack.properties("RollbackFunctionDrill")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 day)", "ENABLED")
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == json.loads((ROOT / "events" / "manual-drill.json").read_text())
    assert Stack(DailyDrill="false").properties("RollbackFunctionDrill")["State"] == "DISABLED"


def test_no_alarm_state_change_comes_from_eventbridge_as_well(stack: Stack) -> None:
    """The topic brings each already; a second copy of each would only be deduplicated."""
    sources = [rule.get("EventPattern", {}).get("source") for rule in stack.of_type("AWS::Events::Rule").values()]
    assert ["aws.cloudwatch"] not in sources
