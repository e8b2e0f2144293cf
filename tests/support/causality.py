"""How many AWS calls wait for one another, told by cause and not by time: the same on every machine.

A call's depth is one more than the deepest call whose answer its thread had seen, its own or, through a future, another
thread's. The depth of the deepest is the number of dependent rounds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import botocore.client

_seen = threading.local()


@dataclass
class Calls:
    """Every call as `service Operation`, with its depth, in the order in which they were made."""

    made: list[tuple[str, int]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The calls in order of depth, those of one round in alphabetical order."""
        return [name for name, _ in sorted(self.made, key=lambda call: (call[1], call[0]))]

    @property
    def rounds(self) -> int:
        """Dependent rounds."""
        return max((depth for _, depth in self.made), default=0)


class CausalPool(ThreadPoolExecutor):
    """A pool whose threads know what was known when they were asked, and whose results tell what they learnt."""

    def submit[**P, Found](self, fn: Callable[P, Found], /, *args: P.args, **kwargs: P.kwargs) -> Future[Found]:
        """As the pool does it."""
        known, learnt = _depth(), []

        def work() -> Found:
            _seen.depth = known
            try:
                return fn(*args, **kwargs)
            finally:
                learnt.append(_depth())

        future = super().submit(work)
        result = future.result

        def joined(timeout: float | None = None) -> Found:
            try:
                return result(timeout)
            finally:
                _seen.depth = max(_depth(), *learnt)

        future.result = joined  # type: ignore[method-assign]
        return future


@contextmanager
def counted() -> Iterator[Calls]:
    """Count every call that boto3 makes meanwhile. The application's pool must be a `CausalPool`."""
    calls, real = Calls(), botocore.client.BaseClient._make_api_call
    _seen.depth = 0

    def call(client: Any, operation: str, parameters: Any) -> Any:
        depth = _depth() + 1
        calls.made.append((f"{client.meta.service_model.service_name} {operation}", depth))
        try:
            return real(client, operation, parameters)
        finally:
            _seen.depth = depth

    with patch.object(botocore.client.BaseClient, "_make_api_call", call):
        yield calls


def _depth() -> int:
    return getattr(_seen, "depth", 0)
