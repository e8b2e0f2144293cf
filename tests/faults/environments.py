"""Execution environments of the function against a server, in this process or in another one."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics

from lastgood import clients
from lastgood.app import Application
from lastgood.errors import RetryableError
from lastgood.times import utc_now
from stage.local import TABLE, alarm_event, group_tags

REMAINING = timedelta(seconds=60)
SETTINGS = {"LASTGOOD_TABLE": TABLE, "LASTGOOD_STORM_GROUPS": "0", "LASTGOOD_EVENT_BUS": ""}
_made: list[Application] = []
_making = threading.Lock()


@functools.cache
def _session() -> Any:
    """One session for all clients: it parses botocore's service models only once."""
    return boto3.Session()


def _client(service: str, **options: Any) -> Any:
    """A client of the shared session, which makes them one at a time only."""
    with _making:
        return _session().client(service, **options)


def at_endpoint(url: str, clock: Callable[[], datetime] = utc_now) -> Application:
    """One execution environment of the function, whose AWS is the server at `url`."""
    # What is made on first use goes to the same server.
    made = clients.Clients.make(SimpleNamespace(client=functools.partial(_client, endpoint_url=url)))
    logger, metrics = (
        Logger(service="lastgood", level=logging.CRITICAL),
        Metrics(namespace="lastgood", service="lastgood"),
    )
    _made.append(Application.make(SETTINGS, logger, metrics, clients=made, clock=clock))
    return _made[-1]


def close_all() -> None:
    """Every environment ends, and its threads with it."""
    while _made:
        _made.pop().close()


def message(alarm: str, at: datetime, application: str, message_id: str) -> dict[str, Any]:
    """The message of an alarm that went into ALARM."""
    return alarm_event(at=at, alarm=alarm, tags=group_tags(application, "prod"), message_id=message_id)


def at_once(deliveries: Sequence[Callable[[], list[dict[str, Any]]]]) -> list[list[dict[str, Any]]]:
    """Start all deliveries at the same moment, each in a thread. Returns their results."""
    barrier = threading.Barrier(len(deliveries))

    def begin(deliver: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        barrier.wait()
        return deliver()

    with ThreadPoolExecutor(len(deliveries)) as pool:
        return list(pool.map(begin, deliveries))


def deliver(application: Application, event: object, request_id: str) -> list[dict[str, Any]]:
    """One asynchronous invocation: Lambda repeats it twice if it fails."""
    for _ in range(2):
        try:
            return list(application.handle(event, request_id, REMAINING)["results"])
        except RetryableError:
            time.sleep(0.2)
    return list(application.handle(event, request_id, REMAINING)["results"])


def one_process(url: str, number: int, threads: int, at: datetime, start: Any, answers: Any) -> None:
    """Deliver one message from several threads of this process, when all processes are ready."""
    environments = [at_endpoint(url) for _ in range(threads)]
    event = message("errors", at, "shop-0", "message")
    start.wait(60)
    results = at_once(
        [lambda a=a, n=n: deliver(a, event, f"request-{number}-{n}") for n, a in enumerate(environments)]  # type: ignore[misc]
    )
    answers.put([result["rollback_id"] for (result,) in results])
