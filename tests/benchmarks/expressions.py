"""The part of DynamoDB's expression language that conditions and updates are written in, over typed items.

Small on purpose: the endpoint must answer within a fraction of the latency that it pretends to have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Item = dict[str, dict[str, Any]]
Names = Mapping[str, str]
Values = Mapping[str, dict[str, Any]]
Condition = Callable[[Item, Names, Values], bool]
Operand = Callable[[Item, Names, Values], Any]

_TOKEN = re.compile(r"<=|>=|<>|[()=<>,]|[#:]?\w+")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<>": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def holds(condition: str | None, item: Item, names: Names, values: Values) -> bool:
    """Whether an item meets a condition; no condition is always met."""
    return condition is None or _condition(condition)(item, names, values)


def updated(change: str, item: Item, names: Names, values: Values) -> Item:
    """An item after an update expression with SET, REMOVE and ADD (numbers)."""
    after = dict(item)
    for verb, clause in re.findall(r"(SET|REMOVE|ADD)\s+(.*?)(?=\s+(?:SET|REMOVE|ADD)\s|$)", change):
        for part in clause.split(","):
            words = part.replace("=", " ").split()
            name = names.get(words[0], words[0])
            if verb == "REMOVE":
                after.pop(name, None)
            elif verb == "SET":
                after[name] = values[words[1]]
            else:
                before = int(after.get(name, {"N": "0"})["N"])
                after[name] = {"N": str(before + int(values[words[1]]["N"]))}
    return after


@cache
def _condition(text: str) -> Condition:
    tokens = _TOKEN.findall(text)
    parsed = _any_of(tokens)
    if tokens:
        raise ValueError(f"cannot read the rest of {text!r}: {tokens}")
    return parsed


def _any_of(tokens: list[str]) -> Condition:
    parts = [_all_of(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        parts.append(_all_of(tokens))
    return lambda item, names, values: any(part(item, names, values) for part in parts)


def _all_of(tokens: list[str]) -> Condition:
    parts = [_single(tokens)]
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        parts.append(_single(tokens))
    return lambda item, names, values: all(part(item, names, values) for part in parts)


def _single(tokens: list[str]) -> Condition:
    head = tokens.pop(0)
    if head == "(":
        inside = _any_of(tokens)
        tokens.pop(0)
        return inside
    if head in {"attribute_exists", "attribute_not_exists"}:
        _, name, _ = tokens.pop(0), tokens.pop(0), tokens.pop(0)
        wanted = head == "attribute_exists"
        return lambda item, names, values: (names.get(name, name) in item) is wanted
    left, verb = _operand(head), tokens.pop(0)
    if verb == "BETWEEN":
        low, _, high = _operand(tokens.pop(0)), tokens.pop(0), _operand(tokens.pop(0))
        return lambda item, names, values: _between(left, low, high, item, names, values)
    compare, right = _COMPARE[verb], _operand(tokens.pop(0))

    def meets(item: Item, names: Names, values: Values) -> bool:
        a, b = left(item, names, values), right(item, names, values)
        # A comparison with an attribute that is absent is never true.
        return a is not None and b is not None and compare(a, b)

    return meets


def _between(value: Operand, low: Operand, high: Operand, item: Item, names: Names, values: Values) -> bool:
    found = value(item, names, values)
    return found is not None and bool(low(item, names, values) <= found <= high(item, names, values))


def _operand(token: str) -> Operand:
    if token.startswith(":"):
        return lambda item, names, values: _plain(values[token])
    return lambda item, names, values: _plain(item.get(names.get(token, token)))


def _plain(typed: dict[str, Any] | None) -> Any:
    if typed is None:
        return None
    ((kind, value),) = typed.items()
    return float(value) if kind == "N" else value
