"""What makes moto quicker in these tests changes none of its answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.auth import AUTH_TYPE_MAPS, SigV4Auth
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.parsers import BaseJSONParser
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.request import Request
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb import models
from moto.dynamodb.models.dynamo_type import LimitedSizeDict
from moto.dynamodb.parsing.executors import UpdateExpressionExecutor
from moto.dynamodb.parsing.validators import UpdateExpressionValidator

import quick_botocore
import quick_dynamodb
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
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "day", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_day",
                    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def test_every_type_of_attribute_is_answered_as_by_moto_itself(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table.put_item(TableName="t", Item=ITEM)
    quick = table.get_item(TableName="t", Key={"pk": ITEM["pk"]})["Item"]
    monkeypatch.setattr(BaseJSONSerializer, "_serialize_type_structure", quick_moto._as_a_structure)
    monkeypatch.setattr(BaseJSONSerializer, "_serialize_type_map", quick_moto._as_a_map)
    monkeypatch.setattr(BaseJSONParser, "_handle_structure", quick_botocore._parsed_structure)
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


VALUES: dict[str, Any] = {
    ":text": {"S": "new"},
    ":one": {"N": "1"},
    ":list": {"L": [{"S": "a"}, {"M": {"b": {"NULL": True}}}]},
    ":words": {"SS": ["c"]},
    ":empty": {"S": ""},
}
NAMES = {"#n": "number", "#y": "yes", "#l": "list", "#d": "day", "#k": "pk", "#s": "status"}


@pytest.mark.parametrize(
    "expression",
    [
        "SET #n = :one, fresh = :list REMOVE #y, nothing",
        "SET #s = :text",
        "REMOVE never_there, #y SET #n=:text",
        "set words = :words",
        "SET #d = :text",
        "SET #d = :one",
        "SET day = :text",
        "SET day = :one",
        "SET day = :empty",
        "SET #d = :empty",
        "SET #k = :text",
        "REMOVE pk",
        "SET #n = :one, number = :one",
        "SET #n = :one REMOVE #n",
        "SET fresh = :one SET #n = :one",
        "SET #n = #n + :one",
        "SET fresh = number",
        "SET fresh = if_not_exists(never_there, :text)",
        "SET deep.#l[0] = :text",
        "SET deep.never.there = :text",
        "SET empty = list_append(empty, :list)",
        "REMOVE deep.#l[1]",
        "ADD words :words, #n :one",
        "ADD fresh :one SET #y = :text",
        "DELETE words :words",
        "SET fresh = :unknown",
        "SET fresh == :text",
    ],
)
def test_an_update_does_what_it_does_in_moto_itself(
    expression: str, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = updated(table, expression)
    monkeypatch.setattr(models, "UpdateExpressionValidator", UpdateExpressionValidator)
    monkeypatch.setattr(models, "UpdateExpressionExecutor", UpdateExpressionExecutor)
    assert quick == updated(table, expression)


def updated(table: Any, expression: str) -> Any:
    """The item after an update and once more after the same one, or what DynamoDB says against it."""
    table.put_item(TableName="t", Item=ITEM)
    found = []
    for _ in range(2):
        try:
            answer = table.update_item(
                TableName="t",
                Key={"pk": ITEM["pk"]},
                UpdateExpression=expression,
                ConditionExpression="attribute_exists(pk)",
                ReturnValues="ALL_NEW",
                **used({"ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": VALUES}, expression),
            )
            found.append(answer["Attributes"])
        except ClientError as error:
            found.append(error.response["Error"])
    return found, table.scan(TableName="t")["Items"]


def used(tables: dict[str, dict[str, Any]], expression: str) -> dict[str, Any]:
    """What an expression mentions: DynamoDB refuses what it does not."""
    words = set(re.findall(r"[#:]\w+", expression))
    found = {kind: {word: entries[word] for word in words & set(entries)} for kind, entries in tables.items()}
    return {kind: entries for kind, entries in found.items() if entries}


def test_most_updates_take_the_short_way_and_none_that_needs_a_closer_look() -> None:
    short = quick_dynamodb._changes(models.UpdateExpressionParser.make("SET #n = :one, fresh = :list REMOVE #y"))
    assert [(change.attribute, change.value) for change in short] == [("#n", ":one"), ("fresh", ":list"), ("#y", None)]
    assert quick_dynamodb._changes(models.UpdateExpressionParser.make("SET #n = #n + :one")) is None


def test_an_item_that_grows_beyond_what_dynamodb_keeps_is_refused_as_by_moto_itself(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grown() -> list[str]:
        """How each of five attributes of 100 KB fares, the last of which does not fit."""
        table.put_item(TableName="t", Item={"pk": ITEM["pk"]})
        found = []
        for number in range(5):
            put = {
                "UpdateExpression": f"SET part{number} = :part",
                "ExpressionAttributeValues": {":part": {"S": "x" * 100_000}},
            }
            try:
                table.update_item(TableName="t", Key={"pk": ITEM["pk"]}, **put)
                found.append("")
            except ClientError as error:
                found.append(error.response["Error"]["Message"])
        return found

    quick = grown()
    assert [bool(said) for said in quick] == [False, False, False, False, True]
    monkeypatch.setattr(LimitedSizeDict, "__setitem__", quick_dynamodb._weighed)
    assert quick == grown()


def asked() -> list[Any]:
    """What services with all kinds of addresses answer, and what one refuses; without what is random in an answer."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("sts", "get_caller_identity", {}),
        ("sns", "list_topics", {}),
        ("sqs", "get_queue_url", {"QueueName": "none"}),
        ("cloudwatch", "describe_alarms", {}),
        ("s3", "list_buckets", {}),
        ("s3", "head_object", {"Bucket": "none", "Key": "a/b c?d"}),
        ("lambda", "get_function", {"FunctionName": "none"}),
        ("cloudformation", "list_stacks", {}),
        ("dynamodb", "list_tables", {}),
        ("ecs", "describe_clusters", {"clusters": ["nöne"]}),
    ]
    found = []
    for service, operation, given in calls:
        try:
            answer = getattr(boto3.client(service, region_name="eu-west-1"), operation)(**given)
        except ClientError as error:
            answer = dict(error.response)
        status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        found.append((service, status, answer))
    return found


def test_a_request_finds_what_answers_it_as_in_moto_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        quick = asked()
        monkeypatch.setattr(BotocoreStubber, "process_request", quick_moto._answer)
        monkeypatch.setattr(Request, "from_primitives", quick_moto._made_request)
        monkeypatch.setitem(AUTH_TYPE_MAPS, "v4", SigV4Auth)
        assert quick == asked()
    assert {status for _, status, _ in quick} == {200, 400, 404}


def test_a_request_is_put_together_as_by_moto_itself() -> None:
    headers = {"X-Amz-Target": b"DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0", "a_b": "c"}
    given = ("POST", "https://dynamodb.us-east-1.amazonaws.com/", headers, '{"é": 1}'.encode())
    quick, made = quick_moto._request(*given), quick_moto._made_request(*given)
    for of in (
        "url",
        "raw_url",
        "raw_path",
        "method",
        "data",
        "query_string",
        "content_type",
        "content_length",
        "form",
    ):
        assert getattr(quick, of) == getattr(made, of), of
    assert dict(quick.headers) == dict(made.headers)


def test_who_has_no_credentials_is_not_asked_for() -> None:
    with pytest.raises(NoCredentialsError):
        quick_botocore._Unsigned(None, "sns", "us-east-1").add_auth(None)


def test_a_handler_of_one_client_is_heard_by_that_client_alone() -> None:
    session, heard = boto3.Session(region_name="us-east-1"), []
    one, other = session.client("sns"), session.client("sns")

    def hear(**_: object) -> None:
        heard.append("one")

    with mock_aws():
        one.meta.events.register("before-call.sns.ListTopics", hear)
        one.list_topics()
        other.list_topics()
        session.client("sns").list_topics()
        assert heard == ["one"]
        one.meta.events.unregister("before-call.sns.ListTopics", hear)
        one.list_topics()
        assert heard == ["one"]
