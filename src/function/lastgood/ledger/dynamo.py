"""One DynamoDB table, through one client: items are plain dictionaries on this side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import batched
from typing import Any

from lastgood.clients import call
from lastgood.errors import RefusedError, RetryableError
from lastgood.ledger.values import decode, encode

ATTEMPTS = 3
"""How often a write is tried that meets a transaction on the same item. botocore does not repeat these by itself."""

MOST_WRITES = 100
"""`TransactWriteItems` takes at most so many (API reference)."""

_UNMET = "ConditionalCheckFailed"
_CONTENDED = "the audit table is contended: another transaction touches the same items"


class Table:
    """Reads and writes items by their keys `pk` and `sk`."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    # --- the writes of a transaction ---------------------------------------------------------------------------------

    def put(self, item: Mapping[str, Any], condition: str | None = None) -> dict[str, Any]:
        """A whole item."""
        put: dict[str, Any] = {"TableName": self._name, "Item": _marshal(item)}
        return {"Put": {**put, **_conditional(condition)}}

    def update(self, pk: str, sk: str, change: str, condition: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
        """A change of an item by an update expression."""
        update: dict[str, Any] = {
            "TableName": self._name,
            "Key": _marshal({"pk": pk, "sk": sk}),
            "UpdateExpression": change,
            "ExpressionAttributeValues": _marshal(values),
        }
        return {"Update": {**update, **_conditional(condition)}}

    def set(
        self, pk: str, sk: str, sets: Mapping[str, Any], removes: list[str], condition: str, expected: int
    ) -> dict[str, Any]:
        """A change that sets and removes attributes by name; the condition may use `:expected`."""
        # Placeholders throughout: no attribute name has to be checked against DynamoDB's reserved words.
        names = {f"#{i}": name for i, name in enumerate([*sets, *removes])}
        slots = {name: slot for slot, name in names.items()}
        change = "SET " + ", ".join(f"{slots[name]} = :v{slots[name][1:]}" for name in sets)
        if removes:
            change += " REMOVE " + ", ".join(slots[name] for name in removes)
        values = {f":v{slots[name][1:]}": value for name, value in sets.items()} | {":expected": expected}
        update = self.update(pk, sk, change, condition, values)
        update["Update"]["ExpressionAttributeNames"] = names
        return update

    def transact(self, writes: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """Do all writes or none. Returns None when they were done; else, for each, the item in its way ({} if none).

        botocore gives the transaction a request token, so its own retries cannot write twice.
        """
        for _ in range(ATTEMPTS):
            try:
                call(self._client, "transact_write_items", TransactItems=writes)
            except RefusedError as error:
                if error.code != "TransactionCanceledException":
                    raise
                reasons = error.response.get("CancellationReasons") or []
                if any(reason.get("Code") == _UNMET for reason in reasons):
                    return [self._in_the_way(*each) for each in zip(writes, reasons, strict=True)]
            else:
                return None
        raise RetryableError(_CONTENDED)

    def _in_the_way(self, write: dict[str, Any], reason: Mapping[str, Any]) -> dict[str, Any]:
        """The item that kept a write from being done; read where DynamoDB names the condition and not the item."""
        if reason.get("Code") != _UNMET or reason.get("Item"):
            return _unmarshal(reason.get("Item") or {})
        ((_, asked),) = write.items()
        key = _unmarshal(asked.get("Key") or {name: asked["Item"][name] for name in ("pk", "sk")})
        return self.get(key["pk"], key["sk"]) or {}

    def transact_many(self, writes: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The same for any number of writes: those beyond a transaction are done before it, and stand by themselves."""
        for more in batched(writes[MOST_WRITES:], MOST_WRITES, strict=False):
            self.transact(list(more))
        return self.transact(writes[:MOST_WRITES])

    # --- single items -------------------------------------------------------------------------------------------------

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        """An item as it is now; None if there is none."""
        key = _marshal({"pk": pk, "sk": sk})
        item = call(self._client, "get_item", TableName=self._name, Key=key, ConsistentRead=True).get("Item")
        return _unmarshal(item) if item else None

    def put_item(self, item: Mapping[str, Any]) -> None:
        """Write a whole item."""
        _once_settled(lambda: call(self._client, "put_item", TableName=self._name, Item=_marshal(item)))

    def change(
        self, pk: str, sk: str, change: str, condition: str | None, values: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Change an item by an update expression: the item as it is then, or None if the condition does not hold."""
        update = self.update(pk, sk, change, condition, values)["Update"]
        update.pop("ReturnValuesOnConditionCheckFailure", None)
        try:
            answer = _once_settled(lambda: call(self._client, "update_item", ReturnValues="ALL_NEW", **update))
        except RefusedError as error:
            if error.code == "ConditionalCheckFailedException":
                return None
            raise
        return _unmarshal(answer["Attributes"])

    # --- queries ------------------------------------------------------------------------------------------------------

    def query(self, pk: str, low: str = "", high: str = "") -> list[dict[str, Any]]:
        """A partition in the order of `sk`, consistently read: all of it, or from `low` to `high`."""
        keys, values = "pk = :pk", {":pk": pk}
        if low:
            keys, values = keys + " AND sk BETWEEN :low AND :high", values | {":low": low, ":high": high}
        rows: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            answer = call(
                self._client,
                "query",
                TableName=self._name,
                KeyConditionExpression=keys,
                ExpressionAttributeValues=_marshal(values),
                ConsistentRead=True,
                **start,
            )
            rows += [_unmarshal(item) for item in answer.get("Items", [])]
            if not answer.get("LastEvaluatedKey"):
                return rows
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def newest(self, pk: str, prefix: str, limit: int) -> list[dict[str, Any]]:
        """The last items of a partition whose `sk` begins with `prefix`, last first, consistently read."""
        answer = call(
            self._client,
            "query",
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=_marshal({":pk": pk, ":prefix": prefix}),
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_unmarshal(item) for item in answer.get("Items", [])]

    def query_index(self, index: str, condition: str, values: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
        """The first items of an index, eventually consistent."""
        answer = call(
            self._client,
            "query",
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=_marshal(values),
            Limit=limit,
        )
        return [_unmarshal(item) for item in answer.get("Items", [])]


def _once_settled(write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Write one item. DynamoDB refuses that while a transaction on the item is going on, which takes milliseconds.

    (API reference, UpdateItem, `TransactionConflictException`.)
    """
    for _ in range(ATTEMPTS):
        try:
            return write()
        except RefusedError as error:
            if error.code != "TransactionConflictException":
                raise
    raise RetryableError(_CONTENDED)


def _conditional(condition: str | None) -> dict[str, str]:
    if condition is None:
        return {}
    return {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _marshal(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode(value) for name, value in item.items()}


def _unmarshal(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decode(value) for name, value in item.items()}
