"""Values of items: they are written as boto3 writes them, and read back as what they were."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.ledger.values import decode, encode

SINGLE = st.text(max_size=5) | st.integers(-(10**37), 10**37) | st.binary(max_size=5)
SETS = (
    st.frozensets(st.text(max_size=5), min_size=1, max_size=3)
    | st.frozensets(st.integers(0, 99), min_size=1, max_size=3)
    | st.frozensets(st.binary(max_size=5), min_size=1, max_size=3)
)
VALUES = st.recursive(
    SINGLE | SETS | st.none() | st.booleans() | st.decimals(-1000, 1000, places=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(VALUES)
def test_a_value_is_written_as_boto3_writes_it_and_read_as_it_was(value: Any) -> None:
    typed = encode(value)
    assert typed == TypeSerializer().serialize(value)
    assert decode(typed) == TypeDeserializer().deserialize(typed) == value


def test_numbers_are_read_as_decimals_and_bytes_as_bytes() -> None:
    assert [type(decode({"N": "5"})), type(decode({"B": b"x"}))] == [Decimal, bytes]
    assert Binary(b"x") == decode({"B": b"x"})


def test_a_number_of_any_size_is_read() -> None:
    assert decode({"N": "1E+125"}) == Decimal("1E+125")


@pytest.mark.parametrize("value", [1.5, object(), set(), {1, "x"}, {None}])
def test_what_dynamodb_has_no_type_for_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_a_type_that_is_not_known_is_not_guessed() -> None:
    with pytest.raises(TypeError, match="XX"):
        decode({"XX": "x"})
