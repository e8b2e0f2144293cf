"""SECURITY.md says what is true: its threats name tests that are there, and its policies do what it says of them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from iam import Request, allowed
from template_stack import ACCOUNT, FUNCTION_ROLE, REGION, SOMEBODY, TEMPLATE, everything

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = re.compile(r"`(tests/[^`]+)`")
PIPELINE = f"arn:aws:iam::{ACCOUNT}:role/cicd/deploy"
STACKS = f"arn:aws:iam::{ACCOUNT}:role/stacksets-exec-1"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:shop"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:lastgood-RollbackFunction-1A2B3C4D5E6F"


def threats() -> list[list[str]]:
    section = PAGE.split("\n## Threats\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split(" | ")] for row in rows]


def block(name: str) -> dict[str, Any]:
    found = re.search(rf"<!-- {name} -->\n```json\n(.*?)```\n<!-- /{name} -->", PAGE, flags=re.DOTALL)
    assert found, name
    made: dict[str, Any] = json.loads(found[1].replace("REGION", REGION).replace("ACCOUNT", ACCOUNT))
    return made


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_threat_is_numbered_and_says_what_stops_it_and_which_test_shows_it_or_that_nothing_does() -> None:
    rows = threats()
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        number, at_stake, permission, wish, stopped, *shown = row
        assert at_stake and permission and wish and stopped.endswith("."), number
        assert stopped.startswith("Not stopped: ") is not bool(NAMED.search(" ".join(shown))), number


def test_each_test_that_a_threat_names_is_there() -> None:
    named = [name for row in threats() for name in NAMED.findall(row[-1])]
    for name in named:
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), name
        assert not test or test in functions_of(path), name


@pytest.mark.parametrize(
    "permission",
    [
        "cloudwatch:SetAlarmState",
        "cloudwatch:PutMetricAlarm",
        "sns:Publish",
        "dynamodb:PutItem",
        "lambda:InvokeFunction",
    ],
)
def test_every_permission_that_commands_a_rollback_is_named_to_those_who_grant_it(permission: str) -> None:
    section = PAGE.split("\n## Permissions that command rollbacks\n", 1)[1].split("\n## ", 1)[0]
    assert f"`{permission}`" in section


def test_every_parameter_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+)(?:=\w+)?`", PAGE))
    known = TEMPLATE["Parameters"].keys() | TEMPLATE["Resources"].keys()
    assert {name for name in named if name not in known} == {"SetAlarmState"}


# --- the guard rail ---


def may(who: str, action: str, resource: str, **context: Any) -> bool:
    """Whether somebody may whose own policy allows everything, in an account under the guard rail."""
    keys = {name.replace("__", ":"): value for name, value in context.items()}
    return allowed(Request(action, resource, who, keys), [], [*everything("*"), *block("guard-rail")["Statement"]])


TAGGED = {"aws__ResourceTag/lastgood:application": "shop"}
SERVICE = {"aws__ResourceTag/lastgood:ecs-service": "main/shop"}
STAGE = {"aws__ResourceTag/lastgood:pipeline": "shop/Deploy"}


@pytest.mark.parametrize("tags", [TAGGED, SERVICE, STAGE])
@pytest.mark.parametrize("action", ["SetAlarmState", "DeleteAlarms", "DisableAlarmActions", "PutMetricAlarm"])
def test_the_guard_rail_keeps_alarms_that_command_rollbacks_to_pipelines(action: str, tags: dict[str, str]) -> None:
    assert not may(SOMEBODY, f"cloudwatch:{action}", ALARM, **tags)
    assert may(PIPELINE, f"cloudwatch:{action}", ALARM, **tags)
    assert may(SOMEBODY, f"cloudwatch:{action}", ALARM)


@pytest.mark.parametrize("action", ["PutMetricAlarm", "TagResource", "UntagResource"])
def test_only_pipelines_may_give_an_alarm_lastgoods_tags(action: str) -> None:
    keys = {"aws__TagKeys": ["team", "lastgood:application"]}
    assert not may(SOMEBODY, f"cloudwatch:{action}", ALARM, **keys)
    assert may(PIPELINE, f"cloudwatch:{action}", ALARM, **keys)
    assert may(SOMEBODY, f"cloudwatch:{action}", ALARM, aws__TagKeys=["team"])


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("lambda:UpdateFunctionCode", FUNCTION),
        ("lambda:AddPermission", FUNCTION),
        ("dynamodb:DeleteResourcePolicy", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/lastgood-AuditTable-1"),
        ("sns:SetTopicAttributes", f"arn:aws:sns:{REGION}:{ACCOUNT}:lastgood-AlarmTopic-1"),
        ("events:DisableRule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/lastgood-Sweep-1"),
    ],
)
def test_only_who_deploys_lastgood_changes_it(action: str, resource: str) -> None:
    assert not may(SOMEBODY, action, resource)
    assert not may(FUNCTION_ROLE, action, resource)
    assert may(STACKS, action, resource)
    assert may(SOMEBODY, action, resource.replace("lastgood", "another"))


def test_operators_come_through_an_alias_and_aws_itself_comes_as_before() -> None:
    assert not may(SOMEBODY, "lambda:InvokeFunction", FUNCTION)
    assert may(SOMEBODY, "lambda:InvokeFunction", f"{FUNCTION}:operate")
    assert may("sns.amazonaws.com", "lambda:InvokeFunction", FUNCTION)


# --- the key ---


def test_the_keys_policy_lets_those_through_who_need_the_key_and_no_other_service() -> None:
    policy, key = block("key-policy")["Statement"], f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"

    def may_use(service: str, **context: str) -> bool:
        keys = {name.replace("__", ":"): value for name, value in context.items()}
        return allowed(Request("kms:GenerateDataKey", key, service, keys), policy)

    assert may_use("cloudwatch.amazonaws.com", aws__SourceArn=ALARM)
    assert not may_use("cloudwatch.amazonaws.com", aws__SourceArn=ALARM.replace(ACCOUNT, "210987654321"))
    assert may_use("sns.amazonaws.com", aws__SourceAccount=ACCOUNT)
    assert may_use("events.amazonaws.com", aws__SourceAccount=ACCOUNT)
    assert not may_use("s3.amazonaws.com", aws__SourceAccount=ACCOUNT)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:lastgood-FunctionLogs-1"
    assert may_use(f"logs.{REGION}.amazonaws.com", **{"kms__EncryptionContext:aws:logs:arn": group})
