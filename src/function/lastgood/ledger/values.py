"""Values of DynamoDB's items, as boto3 reads and writes them; its own serializer would bring all of boto3 along.

All of DynamoDB's types, in both directions: what somebody else wrote into an item is written again as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal
from typing import Any

Typed = dict[str, Any]
"""A value under the name of its type, as DynamoDB sends it: {"S": "text"}."""


def encode(value: Any) -> Typed:
    """A value for DynamoDB. Raises TypeError for what it has no type for, numbers with a floating point among them."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case _:
            return _encode_many(value)


def _encode_many(values: Any) -> Typed:
    match values:
        case Mapping():
            return {"M": {name: encode(each) for name, each in values.items()}}
        case list() | tuple():
            return {"L": [encode(each) for each in values]}
        case Set():
            return _encode_set(values)
        case _:
            raise TypeError(f"DynamoDB has no type for {type(values).__name__}")


def _encode_set(values: Set[Any]) -> Typed:
    """A set of texts, of numbers or of bytes."""
    encoded = [encode(each) for each in values]
    kinds = {kind for each in encoded for kind in each}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise TypeError("DynamoDB's sets hold texts, numbers or bytes")
    kind = kinds.pop()
    return {f"{kind}S": [each[kind] for each in encoded]}


def decode(typed: Typed) -> Any:
    """A value from DynamoDB; numbers are decimal. Raises TypeError for a type that is not known."""
    ((kind, value),) = typed.items()
    match kind:
        case "NULL":
            return None
        case "S" | "BOOL" | "B":
            return value
        case "N":
            return Decimal(value)
        case "M":
            return {name: decode(each) for name, each in value.items()}
        case "L":
            return [decode(each) for each in value]
        case "SS" | "BS":
            return set(value)
        case "NS":
            return {Decimal(each) for each in value}
        case _:
            raise TypeError(f"DynamoDB's type {kind} is not known")
