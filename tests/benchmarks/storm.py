"""A storm: a thousand messages on fifty deployment groups, many environments at once, a CodeDeploy that throttles.

Each environment is a real `Application` in a thread of its own. What fails is delivered again as Lambda does it, one
minute and two minutes later, and the sweep visits every minute.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, PriorityQueue
from typing import Any
from unittest.mock import patch

import boto3
from aws_lambda_powertools import Logger, Metrics

from benchmarks.laboratory import TOPIC, Laboratory, message
from lastgood.app import Application
from lastgood.clients import Clients
from lastgood.model import Rollback
from lastgood.rollbacks import Rollbacks

RETRY_AFTER = (60.0, 120.0)
"""Lambda's waits before the second and the third attempt at an asynchronous event."""

SWEEP_EVERY = 60.0
LONGEST = 600.0


@dataclass(frozen=True)
class Storm:
    """How large, and how CodeDeploy throttles: `rate` calls a second, `burst` at once."""

    messages: int
    groups: int
    environments: int
    rate: float
    burst: float


@dataclass(frozen=True)
class Outcome:
    """`created`: seconds from the first message to each CreateDeployment, in order. Calls are CodeDeploy's."""

    created: tuple[float, ...]
    served: int
    throttled: int


class ReadsFirst(Rollbacks):
    """What lastgood would be if it looked before it claimed."""

    def open(self, rollback: Rollback, key: str) -> Rollback:
        """Survey, then claim."""
        parts = self._parts
        parts.observer.look(rollback, parts.settings.policy(), parts.clock(), None)
        return super().open(rollback, key)


def weather(lab: Laboratory, storm: Storm, seed: int, *, reads_first: bool) -> Outcome:
    """Let a storm pass over lastgood, or over the variant that reads first, until each group has its rollback."""
    lab.reset(
        groups=storm.groups,
        length=1000,
        latency={"default": 0.025, "dynamodb": 0.008},
        rate=storm.rate,
        burst=storm.burst,
    )
    rollbacks = ReadsFirst if reads_first else Rollbacks
    with patch.dict("os.environ", _environment(lab)), patch("lastgood.app.Rollbacks", rollbacks):
        applications = [_application() for _ in range(storm.environments)]
        begun = time.monotonic()
        _Delivery(lab, storm, seed, applications, drains=not reads_first).run()
    for application in applications:
        application.close()
    calls = [a for a in lab.arrivals() if a["service"] == "codedeploy"]
    served = [a for a in calls if not a["throttled"]]
    created = sorted(a["at"] - begun for a in served if a["operation"] == "CreateDeployment")
    if len(created) != storm.groups:
        raise RuntimeError(f"{len(created)} rollbacks of {storm.groups} groups")
    return Outcome(tuple(created), len(served), len(calls) - len(served))


class _Delivery:
    """Hands messages to environments, each to the next that is free, and delivers again what failed."""

    def __init__(
        self, lab: Laboratory, storm: Storm, seed: int, applications: list[Application], *, drains: bool
    ) -> None:
        self._lab = lab
        self._storm = storm
        self._applications = applications
        self._drains = drains
        self._queue: PriorityQueue[tuple[float, int, int, Any]] = PriorityQueue()
        numbers = [n % storm.groups for n in range(storm.messages)]
        random.Random(seed).shuffle(numbers)
        now = time.monotonic()
        for order, number in enumerate(numbers):
            self._queue.put((now, order, 0, message(number, f"-{order}")))
        self._open = storm.messages
        self._lock = threading.Lock()

    def run(self) -> None:
        over = threading.Event()
        workers = [threading.Thread(target=self._work, args=(each, over)) for each in self._applications]
        for worker in workers:
            worker.start()
        begun = swept = time.monotonic()
        while not self._done() and time.monotonic() - begun < LONGEST:
            if time.monotonic() - swept > SWEEP_EVERY:
                swept = time.monotonic()
                self._queue.put((swept, -1, len(RETRY_AFTER), {"action": "sweep"}))
                with self._lock:
                    self._open += 1
            over.wait(0.25)
        over.set()
        for worker in workers:
            worker.join()

    def _done(self) -> bool:
        created = sum(
            a["operation"] == "CreateDeployment" and not a["throttled"] for a in self._lab.arrivals(brief=True)
        )
        return created >= self._storm.groups and not (self._drains and self._open)

    def _work(self, application: Application, over: threading.Event) -> None:
        while not over.is_set():
            try:
                due, order, attempt, event = self._queue.get(timeout=0.1)
            except Empty:
                continue
            if due > time.monotonic():
                self._queue.put((due, order, attempt, event))
                over.wait(0.1)
                continue
            self._deliver(application, order, attempt, event)

    def _deliver(self, application: Application, order: int, attempt: int, event: Any) -> None:
        try:
            application.handle(event, f"message-{order}", timedelta(seconds=60))
        except Exception:
            # Lambda does not ask what went wrong either: it delivers again, until it has tried three times.
            if attempt < len(RETRY_AFTER):
                self._queue.put((time.monotonic() + RETRY_AFTER[attempt], order, attempt + 1, event))
                return
        with self._lock:
            self._open -= 1


class _NoMetrics(Metrics):
    """Only an invocation's end writes metrics, and here no invocation ends."""

    def add_metric(self, *_: object, **__: object) -> None:
        """Nothing."""


def _environment(lab: Laboratory) -> Mapping[str, str]:
    return {
        "AWS_ENDPOINT_URL": lab.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def _application() -> Application:
    # A session each: environments share nothing.
    settings = {
        "LASTGOOD_TABLE": "AuditTable",
        "LASTGOOD_NOTIFICATION_TOPIC_ARN": TOPIC,
        "LASTGOOD_STORM_GROUPS": "0",
    }
    logger = Logger(service="lastgood", level="CRITICAL")
    return Application.make(settings, logger, _NoMetrics(), clients=Clients.make(boto3.Session()))
