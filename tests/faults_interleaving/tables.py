"""moto's DynamoDB made fit for many transactions and for threads."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler


@contextmanager
def cheap_undo() -> Iterator[None]:
    """A transaction's copy of the table, for undoing it, costs microseconds per item instead of a deep copy of all."""
    with patch("moto.dynamodb.models.copy", SimpleNamespace(deepcopy=_copied)):
        yield


def _copied(value: Any) -> Any:
    if not isinstance(value, Table):
        return copy.deepcopy(value)
    clone = copy.copy(value)
    clone.items = defaultdict(dict)
    for key, rows in value.items.items():
        clone.items[key] = {sort: _item(row) for sort, row in rows.items()}
    return clone


def _item(row: Any) -> Any:
    clone = copy.copy(row)
    clone.attrs = dict(row.attrs)
    return clone


@contextmanager
def one_table_call_at_a_time() -> Iterator[None]:
    """DynamoDB's calls are atomic; moto's are not.

    moto undoes a refused transaction by putting back a copy of every table, with which whatever another thread wrote
    meanwhile is gone. Calls still come in any order; only each one is whole.
    """
    lock, answer = threading.RLock(), DynamoHandler.call_action

    def whole(handler: DynamoHandler) -> Any:
        with lock:
            return answer(handler)

    with patch.object(DynamoHandler, "call_action", whole):
        yield
