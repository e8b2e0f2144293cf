"""moto's DynamoDB, without what it works out again for each call or each attribute. What it answers stays the same.

An update expression was parsed three times and its tree walked by ten checks, a condition was cut into words six times,
and an item was weighed whole with each attribute that it got.
"""

from __future__ import annotations

import copy
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

from moto.dynamodb import models, responses
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models import table
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize
from moto.dynamodb.parsing import ast_nodes as nodes
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import Node
from moto.dynamodb.parsing.executors import UpdateExpressionExecutor
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

LIGHT = 100_000
"""An item of less than this many bytes need not be weighed to know that it is below 400 KB."""

_parsed = UpdateExpressionParser.make
_words = ConditionExpressionParser._lex_condition_expression
_weighed = LimitedSizeDict.__setitem__


def quicken() -> None:
    """From now on, in this process."""
    models.copy = responses.copy = table.copy = quick_copies
    UpdateExpressionParser.make = cache(_parsed)
    models.UpdateExpressionValidator, models.UpdateExpressionExecutor = _Validator, _Executor
    ConditionExpressionParser._lex_condition_expression = lambda parser: deque(_words_of(parser.condition_expression))
    LimitedSizeDict.__setitem__ = _set_attribute


@cache
def _words_of(condition: str) -> tuple[Any, ...]:
    return tuple(_words(ConditionExpressionParser(condition, {}, {})))


# --- updates that only set and remove whole attributes: nearly all ---


@dataclass(frozen=True)
class _Change:
    """`SET attribute = value`, or `REMOVE attribute` where there is no value. Both as the expression names them."""

    attribute: str
    value: str | None


@cache
def _changes(expression: Node) -> tuple[_Change, ...] | None:
    """What a parsed expression does, in its order; None if it does more than set and remove whole attributes."""
    clauses = [
        expression.find_clauses([kind])
        for kind in (nodes.UpdateExpressionSetClause, nodes.UpdateExpressionRemoveClause)
    ]
    changes = [_change(action) for action in expression.find_clauses(_ACTIONS)]
    if any(len(found) > 1 for found in clauses) or None in changes:
        return None
    return tuple(change for change in changes if change)


def _change(action: Node) -> _Change | None:
    attribute = _only_child(action.children[0], nodes.ExpressionAttribute, nodes.ExpressionAttributeName)
    if type(action) is nodes.UpdateExpressionRemoveAction:
        return _Change(attribute, None) if attribute else None
    value = _only_child(action.children[1], nodes.ExpressionAttributeValue)
    is_set = type(action) is nodes.UpdateExpressionSetAction
    return _Change(attribute, value) if is_set and attribute and value else None


def _only_child(node: Node, *kinds: type) -> str:
    """What its only child says, if that is of these kinds."""
    return str(node.children[0].children[0]) if len(node.children) == 1 and type(node.children[0]) in kinds else ""


_ACTIONS = [
    nodes.UpdateExpressionSetAction,
    nodes.UpdateExpressionRemoveAction,
    nodes.UpdateExpressionAddAction,
    nodes.UpdateExpressionDeleteAction,
]


class _Checked(list[tuple[str, Any]]):
    """Attributes by their own names, each with its new value, or None where it goes."""

    def normalize(self) -> None:
        """There is nothing to bring into order."""


def _checked(changes: tuple[_Change, ...], names: Any, values: Any, table: Any) -> _Checked | None:
    """None where moto would find fault, or would look closer."""
    keys, indexed = set(table.table_key_attrs), {attribute["AttributeName"] for attribute in table.attr}
    found = _Checked()
    for change in changes:
        name = names.get(change.attribute) if change.attribute.startswith("#") else change.attribute
        if name is None or name in keys or change.attribute in indexed or (change.value and change.value not in values):
            return None
        found.append((name, values[change.value] if change.value else None))
    return found if len({name for name, _ in found}) == len(found) else None


class _Validator(validators.UpdateExpressionValidator):
    def __init__(self, expression: Node, expression_attribute_names: Any, expression_attribute_values: Any, **at: Any):
        names, values = expression_attribute_names, expression_attribute_values
        changes = _changes(expression)
        self._checked = changes and _checked(changes, names or {}, values or {}, at["table"])
        if not self._checked:
            super().__init__(expression, expression_attribute_names=names, expression_attribute_values=values, **at)

    def validate(self) -> Any:
        return self._checked or super().validate()


class _Executor(UpdateExpressionExecutor):
    def execute(self, node: Node | None = None) -> None:
        if not isinstance(self.update_ast, _Checked):
            super().execute(node)
            return
        for name, value in self.update_ast:
            if value is None:
                self.item.attrs.pop(name, None)
            else:
                self.item.attrs[name] = DynamoType(value)


# --- items ---


def _set_attribute(attributes: LimitedSizeDict, name: str, value: Any) -> None:
    """`most` is what the attributes weigh at most: what was replaced or removed since still counts."""
    most = attributes.__dict__.get("most", LIGHT) + bytesize(name) + _size(value)
    if most < LIGHT:
        attributes.__dict__["most"] = most
        dict.__setitem__(attributes, name, value)
    else:
        _weighed(attributes, name, value)
        attributes.__dict__["most"] = sum(bytesize(name) + _size(value) for name, value in attributes.items())


def _size(value: Any) -> int:
    return value.size() if type(value) is DynamoType else bytesize(str(value))


def _shallow[Model](value: Model) -> Model:
    """A copy that moto does not know of: of each that it makes itself it keeps a list, for as long as the process."""
    made = object.__new__(type(value))
    made.__dict__.update(value.__dict__)
    return made


def _quick_copy(value: Any) -> Any:
    """A table's or an item's copy that shares what nothing changes in place: strings, numbers, truth."""
    if isinstance(value, table.Table):
        made = _shallow(value)
        made.items = defaultdict(dict, {key: _quick_copy(rows) for key, rows in value.items.items()})
        return made
    if isinstance(value, Item):
        item = _shallow(value)
        # Its own way of copying weighs the whole item again with each attribute.
        item.attrs = LimitedSizeDict.__new__(LimitedSizeDict)
        item.attrs.__dict__.update(value.attrs.__dict__)
        dict.update(item.attrs, {name: _quick_copy(attribute) for name, attribute in value.attrs.items()})
        return item
    if isinstance(value, DynamoType):
        return value if isinstance(value.value, _UNCHANGING) else copy.deepcopy(value)
    if isinstance(value, dict) and value and isinstance(next(iter(value.values())), Item):
        return {key: _quick_copy(row) for key, row in value.items()}
    if isinstance(value, list):
        return [_quick_copy(each) for each in value]
    return copy.deepcopy(value)


_UNCHANGING = (str, bool, int, float, bytes, type(None))
quick_copies = SimpleNamespace(deepcopy=_quick_copy, copy=copy.copy)
"""For moto, which copies the whole table before each transaction."""
