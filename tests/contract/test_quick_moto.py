"""What makes moto quicker in these tests changes none of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.serialize import BaseJSONSerializer

import quick_moto

ITEM: dict[str, Any] = {
    "pk": {"S": "GROUP#shop/prod"},
    "number": {"N": "42.5"},
    "bytes": {"B": b"\x00\xff"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "words": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "empty": {"L": []},
    "deep": {"M": {"list": {"L": [{"S": ""}, {"M": {"n": {"N": "0"}}}]}, "none": {"M": {}}}},
}


@pytest.fixture
def table() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def test_every_type_of_attribute_is_answered_as_by_moto_itself(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table.put_item(TableName="t", Item=ITEM)
    quick = table.get_item(TableName="t", Key={"pk": ITEM["pk"]})["Item"]
    monkeypatch.setattr(BaseJSONSerializer, "_serialize_type_structure", quick_moto._as_a_structure)
    assert quick == table.get_item(TableName="t", Key={"pk": ITEM["pk"]})["Item"] == ITEM


def test_a_transaction_that_fails_half_way_leaves_every_item_as_it_was(table: Any) -> None:
    table.put_item(TableName="t", Item=ITEM)
    change = {
        "TableName": "t",
        "Key": {"pk": ITEM["pk"]},
        "UpdateExpression": "SET deep.#l[0] = :new, #n = #n + :one ADD words :words REMOVE #y",
        "ExpressionAttributeNames": {"#l": "list", "#n": "number", "#y": "yes"},
        "ExpressionAttributeValues": {":new": {"S": "new"}, ":one": {"N": "1"}, ":words": {"SS": ["c"]}},
    }
    again = {"TableName": "t", "Item": {"pk": {"S": "other"}}, "ConditionExpression": "attribute_exists(pk)"}
    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.transact_write_items(TransactItems=[{"Update": change}, {"Put": again}])
    assert table.scan(TableName="t")["Items"] == [ITEM]
