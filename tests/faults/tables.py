"""The audit table in moto's DynamoDB: calls made fit for threads, and whether anything in it is still to be done."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.dynamodb.responses import DynamoHandler


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


def is_watched(items: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the sweep is still to look at a release or an alarm again."""
    return any(item["pk"] == "WATCH" and item["deployment_id"] and "settled_at" not in item for item in items)
