"""An audit table in moto, and the ledger that writes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lastgood.ledger import Ledger

TABLE = "audit"
KEYS = {
    "by_deployment_group": ("deployment_group_key", "opened_at"),
    "by_day": ("day", "opened_at"),
    "open": ("open_key", "next_check_at"),
}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        names = {"pk", "sk", *(name for pair in KEYS.values() for name in pair)}
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in sorted(names)],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": index,
                    "KeySchema": [
                        {"AttributeName": part, "KeyType": "HASH"},
                        {"AttributeName": sort, "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
                for index, (part, sort) in KEYS.items()
            ],
        )
        yield client


@pytest.fixture
def ledger(dynamodb: Any) -> Ledger:
    return Ledger(dynamodb, TABLE, timedelta(days=400))


@pytest.fixture
def table(dynamodb: Any) -> Any:
    """The table as any other reader sees it."""
    return boto3.resource("dynamodb", region_name="eu-west-1").Table(TABLE)
