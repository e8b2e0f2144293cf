"""The audit table: whether it is whole, and no open rollback in it is left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lastgood.ledger import OPEN_KEY
from lastgood_cli import checks as check
from lastgood_cli.checks import Part
from lastgood_cli.doctor.looking import Found, attempted
from lastgood_cli.doctor.patient import Patient
from lastgood_cli.lookout import Lookout


def examine_table(patient: Patient, eyes: Lookout) -> Part:
    """The audit table that the function writes to."""
    dynamodb, table = eyes.clients.dynamodb, eyes.settings.table
    named = patient.own_table(eyes.settings)
    if not named.ok:
        return Part(f"Table {table}", (named,))
    looks: Mapping[str, Callable[[], Found]] = {
        "it is active": lambda: check.table_state(dynamodb.describe_table(TableName=table)["Table"], patient.arn),
        "it can be restored to a point in time": lambda: check.table_backups(
            dynamodb.describe_continuous_backups(TableName=table), table, patient.arn
        ),
        "old records expire": lambda: check.table_expiry(
            dynamodb.describe_time_to_live(TableName=table), table, patient.arn
        ),
        "no open rollback is left alone": lambda: check.nothing_overdue(
            _open_rows(dynamodb, table), patient.now, patient.arn
        ),
    }
    found = (c for name, look in looks.items() for c in attempted(name, look))
    return Part(f"Table {table}", (named, *found))


def _open_rows(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    answer = dynamodb.query(
        TableName=table,
        IndexName="open",
        KeyConditionExpression="open_key = :key",
        ExpressionAttributeValues={":key": {"S": OPEN_KEY}},
    )
    return [{name: next(iter(value.values())) for name, value in item.items()} for item in answer.get("Items", [])]
