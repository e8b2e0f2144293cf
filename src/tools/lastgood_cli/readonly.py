"""AWS clients that cannot write, whatever the code that holds them tries: what `plan`, `doctor` and `backtest` use."""

from __future__ import annotations

from typing import Any

READS = ("BatchGet", "Describe", "DetectStackResourceDrift", "Get", "Head", "List", "Query", "Simulate")
"""How the operations begin that change nothing."""


class WriteRefusedError(RuntimeError):
    """A tool that only looks tried to change something. It is a mistake in lastgood; nothing was sent to AWS."""


class ReadOnlySession:
    """A boto3 session whose clients refuse every operation that is no reading one, before anything is sent."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def client(self, name: str, **options: Any) -> Any:
        """A client of the service `name`. Its writing operations raise WriteRefusedError."""
        client = self._session.client(name, **options)
        client.meta.events.register_first("before-call", _refuse_writes)
        return client


def _refuse_writes(model: Any, **_: Any) -> None:
    if not model.name.startswith(READS):
        raise WriteRefusedError(f"{model.name} would change something; only looking is allowed here.")
