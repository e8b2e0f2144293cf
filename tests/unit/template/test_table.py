"""The audit table."""

from __future__ import annotations

from typing import Any

from template_stack import Stack

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
