"""Every setting is a parameter, and what the function would refuse is refused while the stack is deployed."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import pytest

from lastgood.settings import Settings, variable
from template_stack import PSEUDO, TEMPLATE, Stack

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
    given = TEMPLATE["Resources"]["RollbackFunction"]["Properties"]["Environment"]["Variables"][variable(setting)]
    name = given["Fn::If"][1]["Ref"] if "Fn::If" in given else given["Ref"]
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


# Whoever deploys has to say that it shall act, and what it may read; a function whose variable is missing goes on as it
# did before.
OWN_DEFAULTS = {"mode": "observe", "check_bundles": "present"}


@pytest.mark.parametrize("setting", ASKED_FOR)
def test_a_setting_has_the_same_default_in_the_stack_and_in_the_code(setting: str) -> None:
    assert parameter_of(setting)[1]["Default"] == OWN_DEFAULTS.get(setting, SETTINGS[setting]["default"])


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


# Below these a setting would switch lastgood off, or lose an open rollback's record, without anybody noticing.
FLOORS = [
    ("attribution_window", ["1m", "60s"], ["59s", "0m"]),
    ("max_signal_age", ["10s", "1m"], ["9s", "0s", "0m"]),
    ("rollback_window", ["5m", "300s", "1h"], ["299s", "4m", "0h"]),
    ("storm_window", ["1m", "60s"], ["59s", "0m"]),
    ("deadline", ["5m", "300s", "2h"], ["299s", "4m", "0h"]),
    ("approval_expiry", ["1m"], ["59s", "0m"]),
    ("recovery_window", ["1m"], ["59s", "0m"]),
    ("retention", ["30d", "99d", "100d", "3650d"], ["29d", "0s", "9d", "0d"]),
]


@pytest.mark.parametrize(("setting", "enough", "too_short"), FLOORS)
def test_a_duration_that_is_too_short_is_refused_by_the_stack_and_by_the_code(
    setting: str, enough: list[str], too_short: list[str]
) -> None:
    spec, parse = parameter_of(setting)[1], SETTINGS[setting]["parse"]
    for text in enough:
        assert accepted(spec, text), text
        parse(text)
    for text in too_short:
        assert not accepted(spec, text), text
        with pytest.raises(ValueError, match=f"must be at least {enough[0]}"):
            parse(text)
    assert f"at least {enough[0]}" in spec["ConstraintDescription"]


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
        ("account_name", "prod-eu", True),
        ("account_name", "shop: prod\n", False),
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
        ("PipelineStages", "", True),
        ("PipelineStages", "shop-*/Deploy", True),
        ("PipelineStages", "shop", False),
        ("PipelineStages", "shop/Deploy/Action", False),
        ("TaskRoleArns", "", True),
        ("TaskRoleArns", "*", False),
        ("TaskRoleArns", "arn:aws:iam::123456789012:role/*", False),
        ("TaskRoleArns", "arn:aws:iam::123456789012:role/tasks/*", True),
        ("ImageRepositoryArns", "arn:aws:ecr:us-east-1:123456789012:repository/team/*", True),
        ("ImageRepositoryArns", "arn:aws:ecr:us-east-1:123456789012:repository/*", False),
        ("ArtifactBucketArns", "arn:aws:s3:::bundles", True),
        ("ArtifactBucketArns", "arn:aws:s3:::bundles/*", False),
        ("PipelinePattern", "", True),
        ("PipelinePattern", "shop-*", True),
        ("PipelinePattern", "shop/Deploy", False),
        ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/0a", True),
        ("KmsKeyArn", "alias/aws/sns", False),
        (
            "CodeSigningConfigArn",
            "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdef0",
            True,
        ),
        ("CodeSigningConfigArn", "csc-0123456789abcdef0", False),
        ("SubnetIds", "subnet-0123456789abcdef0", True),
        ("SubnetIds", "vpc-0123456789abcdef0", False),
        ("SecurityGroupIds", "sg-0123456789abcdef0", True),
        ("SecurityGroupIds", "default", False),
        ("Architecture", "arm64", True),
        ("Architecture", "riscv", False),
        ("NotificationSubscribers", "", True),
        ("NotificationSubscribers", "arn:aws:iam::123456789012:role/operator-*", True),
        ("NotificationSubscribers", "*", False),
        ("TableWriters", "", True),
        ("TableWriters", "arn:aws:iam::123456789012:role/restore", True),
        ("TableWriters", "arn:aws:iam::*:role/restore", False),
        ("TableWriters", "*", False),
        ("TableWriters", "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:user/b", True),
        ("TableWriters", "arn:aws:iam::123456789012:role/a,*", False),
        ("NotificationSubscribers", "arn:aws:iam::123456789012:role/a,*", False),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/edge", True),
        ("PermissionsBoundaryArn", "edge", False),
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
PIPELINES_NEED_PATTERN = (
    "Pipelines, EnablePipelineRerun, EnablePipelineHold, RerunOutdatedStages and PipelineStages need PipelinePattern."
)


@pytest.mark.parametrize(
    ("parameters", "objections"),
    [
        ({}, []),
        ({"DefaultApplication": "shop", "DefaultDeploymentGroup": "prod"}, []),
        ({"DefaultApplication": "shop"}, ["DefaultApplication and DefaultDeploymentGroup go together."]),
        ({"DefaultDeploymentGroup": "prod"}, ["DefaultApplication and DefaultDeploymentGroup go together."]),
        ({"CheckBundles": "true", "ArtifactBucketArns": BUCKET}, []),
        ({"CheckBundles": "true"}, ["CheckBundles needs ArtifactBucketArns."]),
        ({"FindStacks": "true", "CancelStackUpdates": "shop-*"}, []),
        ({"CancelStackUpdates": "shop-*"}, ["CancelStackUpdates needs FindStacks."]),
        ({"Pipelines": ONE_PIPELINE, "PipelinePattern": "shop"}, []),
        ({"Pipelines": ONE_PIPELINE}, [PIPELINES_NEED_PATTERN]),
        ({"EnablePipelineRerun": "true"}, [PIPELINES_NEED_PATTERN]),
        ({"EnablePipelineHold": "true"}, [PIPELINES_NEED_PATTERN]),
        ({"SubnetIds": "subnet-0a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d"}, []),
        ({"SubnetIds": "subnet-0a1b2c3d"}, ["SubnetIds and SecurityGroupIds go together."]),
        ({"SecurityGroupIds": "sg-0a1b2c3d"}, ["SubnetIds and SecurityGroupIds go together."]),
    ],
)
def test_parameters_that_contradict_each_other_are_refused_before_anything_is_made(
    parameters: dict[str, str], objections: list[str]
) -> None:
    assert Stack(**parameters).objections == objections


SHOP_ONLY = {"AllowedGroups": "shop/*", "ApplicationPattern": "shop", "LambdaFunctionPattern": "shop-*"}


@pytest.mark.parametrize("mode", ["auto", "approve"])
@pytest.mark.parametrize(
    ("parameters", "taken"),
    [
        ({}, False),
        ({"ActOnEverything": "true"}, True),
        (SHOP_ONLY, True),
        (SHOP_ONLY | {"AllowedGroups": "*"}, False),
        (SHOP_ONLY | {"ApplicationPattern": "*"}, False),
        (SHOP_ONLY | {"LambdaFunctionPattern": "*"}, False),
        (SHOP_ONLY | {"LambdaFunctionPattern": "*", "EnableLambda": "false"}, True),
        (SHOP_ONLY | {"EcsServices": "*/*"}, False),
        (SHOP_ONLY | {"EcsServices": "main/*"}, True),
        (SHOP_ONLY | {"PipelineStages": "*/*", "PipelinePattern": "*"}, False),
        (SHOP_ONLY | {"PipelineStages": "shop/*", "PipelinePattern": "shop"}, True),
    ],
)
def test_a_stack_that_acts_says_on_what_or_that_it_is_everything(
    mode: str, parameters: dict[str, str], taken: bool
) -> None:
    objections = Stack(Mode=mode, **parameters).objections
    assert (objections == []) is taken
    assert all("ActOnEverything=true" in objection for objection in objections)


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_a_stack_that_does_not_act_may_look_at_everything(mode: str) -> None:
    assert Stack(Mode=mode).objections == []


# Lambda's limit for all variables together, names and values.
MOST_BYTES = 4096
AS_AWS_NAMES_THEM = PSEUDO | {
    "AuditTable": "lastgood-AuditTable-1A2B3C4D5E6F7",
    "NotificationTopic": "arn:aws:sns:ap-southeast-2:123456789012:lastgood-NotificationTopic-1A2B3C4D5E6F",
    "AlarmTopic": "arn:aws:sns:ap-southeast-2:123456789012:lastgood-AlarmTopic-1A2B3C4D5E6F",
}


def test_the_longest_routes_pipelines_and_groups_fit_into_lambdas_environment_together() -> None:
    bounded = ("Routes", "Pipelines", "AllowedGroups", "AlarmRegions")
    longest = {name: "x" * TEMPLATE["Parameters"][name]["MaxLength"] for name in bounded}
    environment = Stack(AS_AWS_NAMES_THEM, **longest).environment
    assert sum(len(name) + len(value) for name, value in environment.items()) <= MOST_BYTES


def test_every_parameter_stands_in_one_group_of_the_console() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(TEMPLATE["Parameters"])


def test_every_parameter_is_used() -> None:
    everything = json.dumps({key: TEMPLATE[key] for key in ("Rules", "Conditions", "Resources")})
    for name in TEMPLATE["Parameters"]:
        assert f'"Ref": "{name}"' in everything or f"${{{name}}}" in everything, name


def test_every_condition_is_used() -> None:
    everything = json.dumps(TEMPLATE["Resources"]) + json.dumps(TEMPLATE["Outputs"])
    assert all(f'"{name}"' in everything for name in TEMPLATE["Conditions"])


def test_nothing_that_only_tests_need_is_asked_of_people() -> None:
    assert not [name for name in TEMPLATE["Parameters"] if "Simulat" in name]
    assert not [name for name in Stack().environment if name.startswith("AWS_")]
