"""Whether the audit table is complete, and every open rollback in it is being advanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lastgood.times import parse_iso
from lastgood_cli import by_hand, fixes
from lastgood_cli.checks.check import Check
from lastgood_cli.fix import NOTHING, Fix

OVERDUE = timedelta(minutes=10)
INDEXES: Mapping[str, tuple[str, str]] = {
    "by_deployment_group": ("deployment_group_key", "opened_at"),
    "by_day": ("day", "opened_at"),
    "open": ("open_key", "next_check_at"),
}
"""The table's indexes, each with its partition key and its sort key."""


def table_state(table: Mapping[str, Any], function_arn: str) -> tuple[Check, ...]:
    """The audit table with its indexes, as `DescribeTable` answers."""
    status = table.get("TableStatus", "")
    indexes = {
        index["IndexName"]: index.get("IndexStatus", "ACTIVE") for index in table.get("GlobalSecondaryIndexes", [])
    }
    missing = [name for name in INDEXES if indexes.get(name) != "ACTIVE"]
    protected = bool(table.get("DeletionProtectionEnabled"))
    name = str(table.get("TableName", "TABLE"))
    return (
        Check(
            "it is active",
            status == "ACTIVE",
            "" if status == "ACTIVE" else f"It is {status}.",
            NOTHING if status == "ACTIVE" else by_hand.wait_for_table(function_arn, name),
        ),
        Check(
            "its indexes are active",
            not missing,
            f"Not active: {', '.join(missing)}." if missing else "",
            _index_fix(missing, indexes, function_arn, name),
        ),
        Check(
            "it is protected from deletion",
            protected,
            "" if protected else "A mistake could delete the record.",
            NOTHING if protected else fixes.protect_table(function_arn, name),
        ),
    )


def _index_fix(missing: Sequence[str], indexes: Mapping[str, str], function_arn: str, table: str) -> Fix:
    """The next index that is missing altogether: DynamoDB creates one index at a time."""
    gone = next((name for name in missing if name not in indexes), "")
    if gone:
        return fixes.restore_index(function_arn, table, gone, INDEXES[gone])
    return by_hand.wait_for_index() if missing else NOTHING


def table_backups(answer: Mapping[str, Any], table: str, function_arn: str) -> Check:
    """Point-in-time recovery."""
    description = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    ok = description.get("PointInTimeRecoveryStatus") == "ENABLED"
    fix = NOTHING if ok else fixes.back_table_up(function_arn, table)
    return Check("it can be restored to a point in time", ok, "" if ok else "Recovery is not enabled.", fix)


def table_expiry(answer: Mapping[str, Any], table: str, function_arn: str) -> Check:
    """Time to live."""
    description = answer.get("TimeToLiveDescription", {})
    ok = description.get("TimeToLiveStatus") == "ENABLED" and description.get("AttributeName") == "expires_at"
    fix = NOTHING if ok else fixes.expire_records(function_arn, table)
    return Check("old records expire", ok, "" if ok else "Its time to live does not use expires_at.", fix)


def nothing_overdue(rows: Sequence[Mapping[str, Any]], now: datetime, function_arn: str) -> Check:
    """Whether every open rollback is being looked after; `rows` are items of the index `open`."""
    late = [row for row in rows if now - parse_iso(str(row["next_check_at"])) > OVERDUE]
    said = (
        f"{', '.join(str(row['rollback_id']) for row in late[:3])} should have been visited long ago." if late else ""
    )
    fix = fixes.sweep(function_arn) if late else NOTHING
    return Check("no open rollback is left alone", not late, said or f"{len(rows)} open.", fix)
