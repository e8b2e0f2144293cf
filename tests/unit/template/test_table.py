"""The audit table."""

from __future__ import annotations

from typing import Any

import pytest

from iam import Request, allowed
from lastgood_cli.checks.table import INDEXES
from template_stack import ACCOUNT, FUNCTION_ROLE, SOMEBODY, Stack, everything

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


WRITES = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"]


def may(action: str, who: str, stack: Stack) -> bool:
    """Whether somebody may do it whose own policy allows everything in DynamoDB."""
    policy = stack.properties("AuditTable")["ResourcePolicy"]["PolicyDocument"]["Statement"]
    return allowed(Request(f"dynamodb:{action}", "<AuditTable.Arn>", who), policy, everything("dynamodb:*"))


@pytest.mark.parametrize("action", WRITES)
def test_nobody_but_the_function_writes_to_the_table_whatever_his_own_policy_allows(stack: Stack, action: str) -> None:
    assert not may(action, SOMEBODY, stack)
    assert not may(action, f"arn:aws:iam::{ACCOUNT}:root", stack)
    assert may(action, FUNCTION_ROLE, stack)
    assert may(action, "dynamodb.amazonaws.com", stack), "AWS itself removes what has expired"


@pytest.mark.parametrize(
    "action", ["GetItem", "Query", "Scan", "PartiQLSelect", "DescribeTable", "DeleteResourcePolicy"]
)
def test_reading_the_table_is_left_to_everybodys_own_policy(stack: Stack, action: str) -> None:
    assert may(action, SOMEBODY, stack)


def test_whoever_restores_the_table_may_write_while_the_stack_says_so() -> None:
    restorer = f"arn:aws:iam::{ACCOUNT}:role/restore"
    stack = Stack(TableWriters=f"{restorer},arn:aws:iam::{ACCOUNT}:role/migration-*")
    assert may("PutItem", restorer, stack) and may("PutItem", f"arn:aws:iam::{ACCOUNT}:role/migration-1", stack)
    assert may("PutItem", FUNCTION_ROLE, stack)
    assert not may("PutItem", SOMEBODY, stack)


def test_the_function_can_write_what_it_needs_before_it_runs(stack: Stack) -> None:
    policy = stack.properties("AuditTable")["ResourcePolicy"]["PolicyDocument"]["Statement"]
    for action in ("PutItem", "UpdateItem", "ConditionCheckItem"):
        request = Request(f"dynamodb:{action}", "<AuditTable.Arn>", FUNCTION_ROLE)
        assert allowed(request, policy, stack.identity_policy())
    assert "AuditTablePolicy" in stack.resources["RollbackFunction"]["DependsOn"]


def test_an_index_that_is_made_again_is_the_one_of_the_template(stack: Stack) -> None:
    made = {each["IndexName"]: tuple(k["AttributeName"] for k in each["KeySchema"]) for each in indexes(stack)}
    assert made == INDEXES
    assert {each["Projection"]["ProjectionType"] for each in indexes(stack)} == {"ALL"}


def indexes(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.properties("AuditTable")["GlobalSecondaryIndexes"]
    return found
