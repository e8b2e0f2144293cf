"""The stack that `template.yaml` makes: translated by SAM, resolved as CloudFormation would, and read as sentences."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from lastgood.model import TIMES, Outcome
from lastgood.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
SHIPPED = ROOT / TEMPLATE["Resources"]["RollbackFunction"]["Properties"]["CodeUri"]
ALARMS_OF_THIS_ACCOUNT = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "lastgood",
}
NOTHING = object()
EVERYTHING_ON = {
    "TaskRoleArns": "arn:aws:iam::123456789012:role/task,arn:aws:iam::123456789012:role/execution",
    "ArtifactBucketArns": "arn:aws:s3:::bundles,arn:aws:s3:::more-bundles",
    "EcsServices": "*/*",
    "PipelinePattern": "shop-*",
    "EnablePipelineRerun": "true",
    "EnablePipelineHold": "true",
}


# --- the stack as CloudFormation would see it ---


@cache
def translated() -> dict[str, Any]:
    """The template after SAM's transformation; no network, no account."""
    template = copy.deepcopy(TEMPLATE)
    template["Resources"]["RollbackFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    made: dict[str, Any] = Translator({}, Parser()).translate(template, {})
    return made


class Stack:
    """The stack for some parameters. `<Name>` is what `!Ref Name` gives, `<Name.Arn>` what `!GetAtt Name.Arn` gives."""

    def __init__(self, **parameters: str) -> None:
        template = translated()
        unknown = parameters.keys() - template["Parameters"].keys()
        assert not unknown, f"no such parameters: {unknown}"
        self.values: dict[str, Any] = dict(PSEUDO)
        for name, spec in template["Parameters"].items():
            text = str(parameters.get(name, spec["Default"]))
            self.values[name] = text.split(",") if spec["Type"] == "CommaDelimitedList" else text
        self.conditions = template["Conditions"]
        self.resources = {
            name: self.resolve(resource)
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        self.outputs = self.resolve(template["Outputs"])
        # What CloudFormation says instead of deploying the stack.
        self.objections = [
            assertion["AssertDescription"]
            for rule in template["Rules"].values()
            if self.resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.resolve(assertion["Assert"])
        ]

    def holds(self, condition: str) -> bool:
        return bool(self.resolve(self.conditions[condition]))

    def resolve(self, node: Any) -> Any:
        """The value of an expression of the template."""
        if isinstance(node, list):
            return [value for item in node if (value := self.resolve(item)) is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function.removeprefix("Fn::"), argument)
        return {key: value for key, item in node.items() if (value := self.resolve(item)) is not NOTHING}

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", str(name):
                return NOTHING if name == "AWS::NoValue" else self.values.get(name, f"<{name}>")
            case "GetAtt", [*path]:
                return f"<{'.'.join(path)}>"
            case "GetAtt", str(path):
                return f"<{path}>"
            case "Sub", str(text):
                return re.sub(r"\$\{([\w:.]+)\}", lambda m: str(self.values.get(m[1], f"<{m[1]}>")), text)
            case "If", [condition, then, otherwise]:
                return self.resolve(then if self.holds(condition) else otherwise)
            case "Equals", [left, right]:
                return str(self.resolve(left)) == str(self.resolve(right))
            case "Not", [condition]:
                return not self.resolve(condition)
            case "And", [*conditions]:
                return all(self.resolve(conditions))
            case "Or", [*conditions]:
                return any(self.resolve(conditions))
            case "EachMemberEquals", [values, value]:
                return all(member == value for member in self.resolve(values))
            case "Join", [glue, parts]:
                return glue.join(self.resolve(parts))
            case "Split", [glue, text]:
                return self.resolve(text).split(glue)
        raise AssertionError(f"the test does not know Fn::{function} {argument!r}")

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: r["Properties"] for name, r in self.resources.items() if r["Type"] == kind}

    @property
    def environment(self) -> dict[str, str]:
        found: dict[str, str] = self.properties("RollbackFunction")["Environment"]["Variables"]
        return found

    def statements(self) -> Iterator[Statement]:
        """Every statement of the function's role."""
        for policy in self.properties("RollbackFunctionRole")["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield Statement(
                    statement.get("Sid", policy["PolicyName"]),
                    statement["Effect"],
                    _list(statement["Action"]),
                    _list(statement["Resource"]),
                    statement.get("Condition", {}),
                )

    def allowed(self) -> dict[str, Statement]:
        """The statement that grants each action."""
        return {action: s for s in self.statements() if s.effect == "Allow" for action in s.actions}

    def topic_policy(self, topic: str) -> list[dict[str, Any]]:
        policies = [p for p in self.of_type("AWS::SNS::TopicPolicy").values() if p["Topics"] == [f"<{topic}>"]]
        assert len(policies) == 1, f"{topic} has {len(policies)} policies"
        found: list[dict[str, Any]] = policies[0]["PolicyDocument"]["Statement"]
        return found


@dataclass(frozen=True)
class Statement:
    """A statement of the function's role."""

    sid: str
    effect: str
    actions: list[str]
    resources: list[str]
    condition: dict[str, Any]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def stack() -> Stack:
    """As deployed with every parameter left alone."""
    return Stack()


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
        ("AuditTableName", "<AuditTable>"),
        ("NotificationTopicArn", "<NotificationTopic>"),
        ("DeadLetterQueueUrl", "<DeadLetterQueue>"),
    ],
)
def test_the_outputs_lead_to_the_resources(stack: Stack, name: str, value: str) -> None:
    assert stack.outputs[name]["Value"] == value


def test_the_dashboards_address_is_an_output_whether_there_is_a_dashboard_or_not() -> None:
    with_it, without = Stack(), Stack(EnableDashboard="false")
    assert "Dashboard" in with_it.resources
    assert "Dashboard" not in without.resources
    name = with_it.properties("Dashboard")["DashboardName"]
    assert with_it.outputs["DashboardUrl"]["Value"].endswith(f"#dashboards:name={name}")
    assert without.outputs["DashboardUrl"]["Value"].endswith("#dashboards:")


def test_every_output_says_what_it_is_for(stack: Stack) -> None:
    assert all(output["Description"] for output in stack.outputs.values())


# --- parameters and settings ---

# Settings that the stack itself knows, so that nobody is asked for them.
KNOWN_TO_THE_STACK = {
    "table": "<AuditTable>",
    "notification_topic_arn": "<NotificationTopic>",
    "account_id": "123456789012",
    "alarm_topic_arns": "<AlarmTopic>",
}
SETTINGS = {spec.name: spec.metadata for spec in fields(Settings)}
ASKED_FOR = sorted(SETTINGS.keys() - KNOWN_TO_THE_STACK.keys())


def parameter_of(setting: str) -> tuple[str, dict[str, Any]]:
    """The parameter that the setting's variable refers to."""
    variables = TEMPLATE["Resources"]["RollbackFunction"]["Properties"]["Environment"]["Variables"]
    name = variables[variable(setting)]["Ref"]
    return name, TEMPLATE["Parameters"][name]


def accepted(spec: dict[str, Any], text: str) -> bool:
    """Whether CloudFormation takes the text as the parameter's value: a pattern must match all of it."""
    if "AllowedValues" in spec:
        return text in [str(value) for value in spec["AllowedValues"]]
    return len(text) <= spec.get("MaxLength", 4096) and bool(re.fullmatch(spec["AllowedPattern"], text))


def test_the_function_gets_every_setting_that_the_code_reads_and_no_other(stack: Stack) -> None:
    given = {name for name in stack.environment if name.startswith("LASTGOOD_")}
    assert given == {variable(name) for name in SETTINGS}


@pytest.mark.parametrize("setting", KNOWN_TO_THE_STACK)
def test_what_the_stack_knows_is_wired_to_its_resources(stack: Stack, setting: str) -> None:
    assert stack.environment[variable(setting)] == KNOWN_TO_THE_STACK[setting]


def test_each_setting_has_a_parameter_of_its_own_that_carries_its_name() -> None:
    for setting in ASKED_FOR:
        assert parameter_of(setting)[0] == named_after(setting)


@pytest.mark.parametrize("setting", ASKED_FOR)
def test_a_setting_has_the_same_default_in_the_stack_and_in_the_code(setting: str) -> None:
    assert parameter_of(setting)[1]["Default"] == SETTINGS[setting]["default"]


@pytest.mark.parametrize("setting", ASKED_FOR)
def test_the_template_says_of_a_setting_what_the_code_says(setting: str) -> None:
    assert parameter_of(setting)[1]["Description"].split() == SETTINGS[setting]["about"].split()


@pytest.mark.parametrize("setting", ASKED_FOR)
def test_the_default_of_a_setting_is_taken_by_the_stack(setting: str) -> None:
    spec = parameter_of(setting)[1]
    assert accepted(spec, spec["Default"])


def named_after(setting: str) -> str:
    """The name that a setting's parameter should have."""
    return setting.title().replace("_", "")


CHOICES = [s for s in ASKED_FOR if "AllowedValues" in TEMPLATE["Parameters"].get(named_after(s), {})]


@pytest.mark.parametrize("setting", CHOICES)
def test_the_code_takes_every_value_that_the_stack_offers(setting: str) -> None:
    for value in parameter_of(setting)[1]["AllowedValues"]:
        SETTINGS[setting]["parse"](value)


@pytest.mark.parametrize("setting", CHOICES)
def test_the_stack_offers_every_value_that_the_code_takes(setting: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        SETTINGS[setting]["parse"]("something else")
    offered = {str(value) for value in parameter_of(setting)[1]["AllowedValues"]}
    words = str(refused.value).removeprefix("must be ").removeprefix("one of ")
    assert set(re.split(r", | or ", words)) == offered


WRONG = ["", " ", "1", "h", "5 m", "-5m", "5w", "1.5h", "1234567s", "yes", "{", "12345", "x"]


@pytest.mark.parametrize("setting", [s for s in ASKED_FOR if s not in CHOICES])
def test_the_stack_takes_nothing_that_the_code_refuses(setting: str) -> None:
    """What the function would refuse at its start is refused while the stack is deployed."""
    spec = parameter_of(setting)[1]
    for text in ["30m", "7", '[{"alarm": "*", "application": "shop", "deployment_group": "prod"}]', "shop/*", *WRONG]:
        if accepted(spec, text):
            SETTINGS[setting]["parse"](text)


@pytest.mark.parametrize(
    ("setting", "text", "taken"),
    [
        ("cooldown", "90s", True),
        ("cooldown", "90", False),
        ("max_rollbacks", "0", True),
        ("max_rollbacks", "-1", False),
        ("routes", '[\n{"alarm": "*", "application": "shop", "deployment_group": "prod"}\n]', True),
        ("routes", '{"alarm": "*"}', False),
        ("pipelines", '[{"application": "shop", "deployment_group": "prod", "pipeline": "shop"}]', True),
        ("pipelines", '{"pipeline": "shop"}', False),
        ("default_application", "shop", True),
        ("default_application", "shop floor", False),
        ("event_bus", "", True),
        ("event_bus", "arn:aws:events:us-east-1:123456789012:event-bus/default", False),
        ("allowed_groups", "shop/*,pay/prod", True),
        ("mode", "automatic", False),
    ],
)
def test_the_stack_takes_right_values_and_refuses_wrong_ones(setting: str, text: str, taken: bool) -> None:
    assert accepted(parameter_of(setting)[1], text) is taken


@pytest.mark.parametrize(
    ("parameter", "text", "taken"),
    [
        ("ApplicationPattern", "shop-*", True),
        ("ApplicationPattern", "shop/prod", False),
        ("LambdaFunctionPattern", "shop-*", True),
        ("LambdaFunctionPattern", "arn:aws:lambda:us-east-1:123456789012:function:shop", False),
        ("EcsServices", "", True),
        ("EcsServices", "main/*", True),
        ("EcsServices", "*", False),
        ("TaskRoleArns", "", True),
        ("TaskRoleArns", "*", False),
        ("ArtifactBucketArns", "arn:aws:s3:::bundles", True),
        ("ArtifactBucketArns", "arn:aws:s3:::bundles/*", False),
        ("PipelinePattern", "", True),
        ("PipelinePattern", "shop-*", True),
        ("PipelinePattern", "shop/Deploy", False),
        ("AlarmTopicKmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/0a", True),
        ("AlarmTopicKmsKeyArn", "alias/aws/sns", False),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/edge", True),
        ("PermissionsBoundaryArn", "edge", False),
        ("SimulatorEndpointUrl", "http://127.0.0.1:4578", True),
        ("SimulatorEndpointUrl", "http://localhost:5001/", True),
        ("SimulatorEndpointUrl", "127.0.0.1", False),
        ("SimulatorEndpointUrl", "https://codedeploy.example.com", False),
        ("SimulatorEndpointUrl", "http://127.0.0.1.example.com", False),
        ("SimulatorEndpointUrl", "http://127.0.0.1:5001@example.com", False),
    ],
)
def test_the_other_parameters_are_checked_too(parameter: str, text: str, taken: bool) -> None:
    assert accepted(TEMPLATE["Parameters"][parameter], text) is taken


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_every_parameter_has_a_description_a_default_and_a_rule(name: str) -> None:
    spec = TEMPLATE["Parameters"][name]
    assert spec["Description"].endswith(".")
    assert "Default" in spec
    assert spec.keys() & {"AllowedValues", "AllowedPattern", "MaxValue"}
    assert "AllowedPattern" not in spec or spec["ConstraintDescription"].endswith(".")


BUCKET = "arn:aws:s3:::bundles"
ONE_PIPELINE = '[{"application": "shop", "deployment_group": "prod", "pipeline": "shop"}]'
PIPELINES_NEED_PATTERN = "Pipelines, EnablePipelineRerun and EnablePipelineHold need PipelinePattern."


@pytest.mark.parametrize(
    ("parameters", "objections"),
    [
        ({}, []),
        ({"DefaultApplication": "shop", "DefaultDeploymentGroup": "prod"}, []),
        ({"DefaultApplication": "shop"}, ["DefaultApplication and DefaultDeploymentGroup go together."]),
        ({"DefaultDeploymentGroup": "prod"}, ["DefaultApplication and DefaultDeploymentGroup go together."]),
        ({"CheckBundles": "true", "ArtifactBucketArns": BUCKET}, []),
        ({"CheckBundles": "true"}, ["CheckBundles needs ArtifactBucketArns."]),
        ({"Pipelines": ONE_PIPELINE, "PipelinePattern": "shop"}, []),
        ({"Pipelines": ONE_PIPELINE}, [PIPELINES_NEED_PATTERN]),
        ({"EnablePipelineRerun": "true"}, [PIPELINES_NEED_PATTERN]),
        ({"EnablePipelineHold": "true"}, [PIPELINES_NEED_PATTERN]),
    ],
)
def test_parameters_that_contradict_each_other_are_refused_before_anything_is_made(
    parameters: dict[str, str], objections: list[str]
) -> None:
    assert Stack(**parameters).objections == objections


def test_every_parameter_stands_in_one_group_of_the_console() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(TEMPLATE["Parameters"])


def test_every_parameter_is_used() -> None:
    everything = json.dumps({key: TEMPLATE[key] for key in ("Conditions", "Resources")})
    for name in TEMPLATE["Parameters"]:
        assert f'"Ref": "{name}"' in everything or f"${{{name}}}" in everything, name


def test_every_condition_is_used() -> None:
    everything = json.dumps(TEMPLATE["Resources"]) + json.dumps(TEMPLATE["Outputs"])
    assert all(f'"{name}"' in everything for name in TEMPLATE["Conditions"])


def test_a_simulator_answers_for_codedeploy_codepipeline_lambda_and_ecs_only_where_one_is_named() -> None:
    def endpoints(stack: Stack) -> dict[str, str]:
        return {name: url for name, url in stack.environment.items() if name.startswith("AWS_")}

    url = "http://127.0.0.1:4578"
    assert endpoints(Stack()) == {}
    assert endpoints(Stack(SimulatorEndpointUrl=url)) == {
        f"AWS_ENDPOINT_URL_{service}": url for service in ("CODEDEPLOY", "CODEPIPELINE", "LAMBDA", "ECS")
    }


# --- the function ---


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
    assert rule["EventPattern"] == {"source": ["aws.ecs"], "detail-type": ["ECS Deployment State Change"]}
    (target,) = rule["Targets"]
    assert target["Arn"] == "<RollbackFunction.Arn>"
    assert target["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    callers = {(p["Principal"], p["SourceArn"]) for p in on.of_type("AWS::Lambda::Permission").values()}
    assert ("events.amazonaws.com", "<ServiceDeploymentMoved.Arn>") in callers and len(callers) == 6
    (policy,) = on.of_type("AWS::SQS::QueuePolicy").values()
    senders = {s["Condition"]["ArnEquals"]["aws:SourceArn"] for s in policy["PolicyDocument"]["Statement"]}
    assert "<ServiceDeploymentMoved.Arn>" in senders and len(senders) == 3
    example = json.loads((ROOT / "events" / "ecs-deployment-state-change.json").read_text())
    assert (example["source"], example["detail-type"]) == ("aws.ecs", rule["EventPattern"]["detail-type"][0])


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


# --- the topics ---


@pytest.mark.parametrize("topic", ["AlarmTopic", "NotificationTopic"])
def test_a_topics_policy_lets_only_alarms_of_this_account_and_region_publish(stack: Stack, topic: str) -> None:
    (allow,) = [s for s in stack.topic_policy(topic) if s["Effect"] == "Allow"]
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (allow["Action"], allow["Resource"]) == ("sns:Publish", f"<{topic}>")
    assert allow["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": ALARMS_OF_THIS_ACCOUNT},
    }


@pytest.mark.parametrize("topic", ["AlarmTopic", "NotificationTopic"])
def test_a_topic_refuses_what_comes_without_tls(stack: Stack, topic: str) -> None:
    (deny,) = [s for s in stack.topic_policy(topic) if s["Effect"] == "Deny"]
    assert (deny["Principal"], deny["Action"]) == ("*", "sns:Publish")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_alarm_topic_is_encrypted_only_with_a_customers_key() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/0a"
    assert "KmsMasterKeyId" not in Stack().properties("AlarmTopic")
    assert Stack(AlarmTopicKmsKeyArn=key).properties("AlarmTopic")["KmsMasterKeyId"] == key


def test_notices_never_come_back_as_alarms(stack: Stack) -> None:
    assert stack.allowed()["sns:Publish"].resources == ["<NotificationTopic>"]
    assert {s["TopicArn"] for s in stack.of_type("AWS::SNS::Subscription").values()} == {"<AlarmTopic>"}


# --- nothing gets lost ---


def test_what_cannot_be_delivered_or_handled_goes_to_the_dead_letter_queue(stack: Stack) -> None:
    queue = "<DeadLetterQueue.Arn>"
    (subscription,) = stack.of_type("AWS::SNS::Subscription").values()
    (target,) = stack.properties("RollbackFunctionDeploymentMoved")["Targets"]
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": queue}
    assert target["DeadLetterConfig"] == {"Arn": queue}
    assert stack.properties("RollbackFunction")["DeadLetterConfig"] == {"TargetArn": queue}
    assert stack.allowed()["sqs:SendMessage"].resources == [queue]


def test_an_event_is_tried_three_times_within_six_hours(stack: Stack) -> None:
    config = stack.properties("RollbackFunctionEventInvokeConfig")
    assert config["FunctionName"] == "<RollbackFunction>"
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (2, 21_600)


def test_the_dead_letter_queue_is_encrypted_and_keeps_messages_for_two_weeks(stack: Stack) -> None:
    queue = stack.properties("DeadLetterQueue")
    assert queue == {"MessageRetentionPeriod": 14 * 86_400, "SqsManagedSseEnabled": True}


def test_only_the_alarm_topic_and_the_rule_may_send_to_the_dead_letter_queue(stack: Stack) -> None:
    (policy,) = stack.of_type("AWS::SQS::QueuePolicy").values()
    assert policy["Queues"] == ["<DeadLetterQueue>"]
    statements = policy["PolicyDocument"]["Statement"]
    assert {(s["Principal"]["Service"], s["Condition"]["ArnEquals"]["aws:SourceArn"]) for s in statements} == {
        ("sns.amazonaws.com", "<AlarmTopic>"),
        ("events.amazonaws.com", "<RollbackFunctionDeploymentMoved.Arn>"),
    }
    for statement in statements:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sqs:SendMessage")
        assert statement["Resource"] == "<DeadLetterQueue.Arn>"
        assert list(statement["Condition"]) == ["ArnEquals"]


# --- the audit table ---


def test_the_audit_table_outlives_the_stack(stack: Stack) -> None:
    resource = stack.resources["AuditTable"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert resource["Properties"]["DeletionProtectionEnabled"] is True


def test_the_audit_table_is_encrypted_restorable_and_paid_by_use(stack: Stack) -> None:
    table = stack.properties("AuditTable")
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_audit_table_has_the_keys_and_indexes_of_the_contract(stack: Stack) -> None:
    def keys(holder: dict[str, Any]) -> list[tuple[str, str]]:
        return [(key["AttributeName"], key["KeyType"]) for key in holder["KeySchema"]]

    table = stack.properties("AuditTable")
    assert keys(table) == [("pk", "HASH"), ("sk", "RANGE")]
    assert {index["IndexName"]: keys(index) for index in table["GlobalSecondaryIndexes"]} == {
        "by_deployment_group": [("deployment_group_key", "HASH"), ("opened_at", "RANGE")],
        "by_day": [("day", "HASH"), ("opened_at", "RANGE")],
        "open": [("open_key", "HASH"), ("next_check_at", "RANGE")],
    }
    assert all(i["Projection"] == {"ProjectionType": "ALL"} for i in table["GlobalSecondaryIndexes"])
    assert {a["AttributeType"] for a in table["AttributeDefinitions"]} == {"S"}


def test_the_audit_table_has_a_stream_only_on_request() -> None:
    assert "StreamSpecification" not in Stack().properties("AuditTable")
    stream = Stack(EnableStream="true").properties("AuditTable")["StreamSpecification"]
    assert stream == {"StreamViewType": "NEW_IMAGE"}


# --- permissions ---

# For these IAM knows no resource, or none for every form of the call.
WITHOUT_A_RESOURCE = {
    "codedeploy:StopDeployment": "IAM knows no resource for it",
    "cloudwatch:DescribeAlarms": "composite alarms are described with the resource * only",
    "ecs:DescribeTaskDefinition": "IAM knows no resource for it",
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
    "head_object": {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"},
}
# Given by SAM, for the function's own dead letters.
BY_SAM = {"sqs:SendMessage"}


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
    granted = Stack(**EVERYTHING_ON).allowed().keys() - BY_SAM
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
    role = {s.sid for s in Stack(**EVERYTHING_ON).statements()} - {"DeadLetterQueuePolicy"}
    for number, line in enumerate(lines):
        found = re.fullmatch(r"\s+- Sid: (\w+)", line)
        if found and found[1] in role:
            role.remove(found[1])
            assert lines[number - 1].strip().startswith("# "), found[1]
    assert not role


def test_no_action_is_granted_on_everything_but_the_three_that_must() -> None:
    for statement in Stack(**EVERYTHING_ON).statements():
        if statement.effect == "Allow" and "*" in statement.resources:
            assert set(statement.actions) <= WITHOUT_A_RESOURCE.keys(), statement


@pytest.mark.parametrize("action", ["codedeploy:StopDeployment", "ecs:DescribeTaskDefinition"])
def test_what_knows_no_resource_stays_in_the_stacks_region(stack: Stack, action: str) -> None:
    assert stack.allowed()[action].condition == {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}


def test_every_resource_is_of_a_kind_that_iam_knows_for_the_action() -> None:
    """Against AWS's service authorization reference, as cfn-lint carries it."""
    reference = json.loads((Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json").read_text())
    for action, statement in Stack(**EVERYTHING_ON).allowed().items():
        service, name = action.split(":")
        entry = {k.lower(): v for k, v in reference[service]["Actions"].items()}[name.lower()]
        kinds = entry.get("Resources", [])
        assert kinds or statement.resources == ["*"], f"{action} knows no resource"
        for resource in statement.resources:
            if not resource.startswith("arn:"):
                continue
            formats = [f for kind in kinds for f in reference[service]["Resources"][kind]["ARNFormats"]]
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
    off, on = Stack().allowed(), Stack(EcsServices="main/web-*", EnableEcs="false").allowed()
    assert not {"ecs:UpdateService", "ecs:StopServiceDeployment", "ecs:ListServiceDeployments"} & off.keys()
    for name in ("DescribeServices", "ListServiceDeployments", "UpdateService"):
        assert on[f"ecs:{name}"].resources == [f"{base}:service/main/web-*"]
    for name in ("DescribeServiceDeployments", "StopServiceDeployment"):
        assert on[f"ecs:{name}"].resources == [f"{base}:service-deployment/main/web-*/*"]
    assert on["ecs:DescribeServiceRevisions"].resources == [f"{base}:service-revision/main/web-*/*"]


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
    assert granted(prefix)
    assert not granted(prefix, **switch)


def test_roles_are_passed_only_to_ecs_tasks_and_only_those_that_are_named() -> None:
    assert not granted("iam:")
    roles = EVERYTHING_ON["TaskRoleArns"]
    statement = Stack(TaskRoleArns=roles).allowed()["iam:PassRole"]
    assert statement.resources == roles.split(",")
    assert statement.condition == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def test_tags_are_written_only_while_a_task_definition_is_registered(stack: Stack) -> None:
    statement = stack.allowed()["ecs:TagResource"]
    assert statement.condition == {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}


def test_bundles_are_read_only_from_the_buckets_that_are_named() -> None:
    assert not granted("s3:")
    allowed = Stack(**EVERYTHING_ON).allowed()
    assert allowed["s3:GetObject"].resources == ["arn:aws:s3:::bundles/*", "arn:aws:s3:::more-bundles/*"]
    assert allowed["s3:ListBucket"].resources == ["arn:aws:s3:::bundles", "arn:aws:s3:::more-bundles"]


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
    (deny,) = [s for s in stack.statements() if s.effect == "Deny"]
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


# --- the watchman is watched ---

WATCHED = {
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "notBreaching"),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", "notBreaching"),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", "notBreaching"),
    # Silence is what this one is about.
    "SweepAlarm": ("lastgood", "SweepRan", "breaching"),
    "DrillAlarm": ("lastgood", "DrillFailed", "notBreaching"),
}


def test_lastgood_itself_is_watched(stack: Stack) -> None:
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert {
        name: (alarm["Namespace"], alarm["MetricName"], alarm["TreatMissingData"]) for name, alarm in alarms.items()
    } == WATCHED


@pytest.mark.parametrize("name", WATCHED)
def test_each_alarm_tells_people_and_never_triggers_a_rollback(stack: Stack, name: str) -> None:
    alarm = stack.properties(name)
    assert alarm["AlarmActions"] == ["<NotificationTopic>"]
    assert alarm["AlarmDescription"].endswith(".")
    assert "ActionsEnabled" not in alarm
    assert "Metrics" not in alarm, "metric math is not understood by local emulators"


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("DeadLettersAlarm", {"Name": "QueueName", "Value": "<DeadLetterQueue.QueueName>"}),
        ("ErrorsAlarm", {"Name": "FunctionName", "Value": "<RollbackFunction>"}),
        ("ThrottlesAlarm", {"Name": "FunctionName", "Value": "<RollbackFunction>"}),
    ],
)
def test_each_alarm_on_aws_metrics_looks_at_this_stack(stack: Stack, name: str, dimension: dict[str, str]) -> None:
    assert stack.properties(name)["Dimensions"] == [dimension]


def test_five_minutes_without_a_sweep_are_an_alarm(stack: Stack) -> None:
    alarm = stack.properties("SweepAlarm")
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 300
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


def metrics_sent() -> set[str]:
    """The names of the metrics that the code can send."""
    sent = {"Rollback" + outcome.title().replace("_", "") for outcome in Outcome}
    sent |= {f"SecondsTo{name.title()}" for name in TIMES}
    for name in ("telemetry.py", "handler.py"):
        for node in ast.walk(ast.parse((SHIPPED / "lastgood" / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                sent.add(node.value)
    return sent


def test_the_code_sends_every_metric_of_its_own_that_is_watched_or_shown(stack: Stack) -> None:
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    rows = [row for widget in body["widgets"] for row in widget["properties"].get("metrics", [])]
    shown = {row[1] for row in rows if row[0] == "lastgood"}
    watched = {
        a["MetricName"] for a in stack.of_type("AWS::CloudWatch::Alarm").values() if a["Namespace"] == "lastgood"
    }
    assert shown and watched
    assert shown | watched <= metrics_sent()
    assert {row[3] for row in rows if row[0] == "lastgood"} == {stack.environment["POWERTOOLS_SERVICE_NAME"]}
    assert stack.environment["POWERTOOLS_METRICS_NAMESPACE"] == "lastgood"


def test_the_dashboard_shows_the_decisions_from_the_functions_logs(stack: Stack) -> None:
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    (logs,) = [widget["properties"] for widget in body["widgets"] if widget["type"] == "log"]
    assert logs["query"].startswith("SOURCE '<FunctionLogs>'")
    event = re.search(r"message = '(\w+)'", logs["query"])
    assert event and event[1] in metrics_sent(), "telemetry.py logs no such event"


# --- what local emulators take ---


def test_nothing_in_the_stack_is_of_a_type_that_local_emulators_refuse(stack: Stack) -> None:
    kinds = {resource["Type"] for resource in stack.resources.values()}
    refused = {"AWS::CloudWatch::CompositeAlarm", "AWS::Events::Archive", "AWS::Logs::QueryDefinition"}
    assert not kinds & refused
    assert not [kind for kind in kinds if kind.startswith("AWS::CodeDeploy::")]
