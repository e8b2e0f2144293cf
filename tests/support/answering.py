"""Answers that a test gives for AWS, where the simulated one does not know an operation or should refuse it.

with answering({"ListAlarmMuteRules": {"AlarmMuteRuleSummaries": []}, "GetPolicy": denied()}) as asked:
    ran = terminal.call("doctor")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3

from lastgood_cli.context import Aws
from stage.local import REGION

Answer = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""What an operation answers, or a function from its parameters to that."""


def denied(code: str = "AccessDenied", message: str = "You are not authorized.") -> dict[str, Any]:
    """The answer of a service that refuses."""
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 403}}


@contextmanager
def answering(answers: Mapping[str, Answer]) -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    """Every client of the command gives these answers, by operation. Yields what was asked: (operation, parameters)."""
    asked: list[tuple[str, Mapping[str, Any]]] = []
    plain = Aws.client

    def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        asked.append((model.name, dict(params)))

    def answer(model: Any, **_: Any) -> tuple[Any, Mapping[str, Any]] | None:
        given = answers.get(model.name)
        if given is None:
            return None
        told = given(next(p for name, p in reversed(asked) if name == model.name)) if callable(given) else given
        return SimpleNamespace(status_code=403 if "Error" in told else 200), told

    def client(self: Aws, name: str, **options: Any) -> Any:
        made = plain(self, name, **options)
        made.meta.events.register_first("provide-client-params", note)
        made.meta.events.register_first("before-call", answer)
        return made

    with patch.object(Aws, "client", client), patch.object(Aws, "session", _session()):
        yield asked


@cache
def _session() -> Any:
    """One session for all: it reads botocore's service models once."""
    return boto3.Session(region_name=REGION)
