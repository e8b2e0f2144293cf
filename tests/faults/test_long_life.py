"""An execution environment that lives long keeps nothing of what it handled: no thread, no connection, no object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lastgood.parts import POOL_SIZE
from scene import ALARM
from simulated_aws import Server, VirtualClock, serve
from stage.local import ROOT, TABLE, alarm_arn, alarm_event, audit_table, group_tags, tag_pairs

ENVIRONMENT = """
import gc, json, os, sys, threading
from datetime import datetime
from types import SimpleNamespace
from lastgood import handler
from lastgood.app import Application
from lastgood.parts import POOL_SIZE

said = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where logs and metrics go
time = ""
handler.application = Application.make(
    os.environ, handler.logger, handler.metrics, clock=lambda: datetime.fromisoformat(time), wait=lambda seconds: None
)
# A pool makes a thread whenever none is idle: all of them are made before anything is counted.
parts = handler.application._parts
everybody = threading.Barrier(POOL_SIZE)
list(parts.pool.map(lambda _: everybody.wait(), range(POOL_SIZE)))
for number, line in enumerate(sys.stdin):
    event, time = json.loads(line)
    if event:
        context = SimpleNamespace(aws_request_id=f"request-{number}", get_remaining_time_in_millis=lambda: 60_000)
        handler.lambda_handler(event, context)
    else:
        gc.collect()
    held = [] if event else [len(gc.get_objects()), threading.active_count(), len(os.listdir("/dev/fd"))]
    print(json.dumps(held), file=said)
"""
"""The Lambda handler in a process of its own: an event and its time a line. Without event it says what it holds."""


@dataclass(frozen=True)
class Held:
    """What a process holds between two invocations, once the garbage is collected."""

    objects: int
    threads: int
    files: int


@dataclass
class Environment:
    """The process, and the AWS that it works in."""

    server: Server
    process: subprocess.Popen[str]
    invocations: int = 0

    def _tell(self, event: dict[str, Any] | None) -> list[int]:
        assert self.process.stdin and self.process.stdout
        print(json.dumps([event, self.server.simulator.clock.now().isoformat()]), file=self.process.stdin, flush=True)
        answer: list[int] = json.loads(self.process.stdout.readline())
        return answer

    def invoke(self, event: dict[str, Any]) -> None:
        """One invocation."""
        self.invocations += 1
        self._tell(event)

    def held(self) -> Held:
        """What it holds now."""
        return Held(*self._tell(None))

    def incident(self) -> None:
        """A bad release and its alarm, then the minutes' sweeps, until the good revision serves again."""
        sim, cloudwatch, number = self.server.simulator, self.server.client("cloudwatch"), self.invocations
        sim.release("shop", "prod", f"bad-{number}.zip")
        sim.advance(15)
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="simulated")
        tags = group_tags("shop", "prod")
        self.invoke(alarm_event(at=sim.clock.now(), alarm=ALARM, tags=tags, message_id=f"message-{number}"))
        sim.settle()
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="simulated")
        self.quiet(minutes=8)
        assert "v2.zip" in sim.live("shop", "prod").target
        sim.advance(3600)

    def quiet(self, minutes: int) -> None:
        """Minutes pass, each with its sweep."""
        for _ in range(minutes):
            self.server.simulator.advance(60)
            self.invoke({"action": "sweep"})


@contextmanager
def environment() -> Iterator[Environment]:
    """One execution environment, and a group on servers with two good releases."""
    with serve(clock=VirtualClock(datetime(2026, 3, 2, 12, tzinfo=UTC))) as server:
        audit_table(server.client("dynamodb"))
        server.simulator.server_group("shop", "prod", config="CodeDeployDefault.OneAtATime")
        for key in ("v1.zip", "v2.zip"):
            server.simulator.release("shop", "prod", key, settle=True)
            server.simulator.advance(7200)
        cloudwatch = server.client("cloudwatch")
        cloudwatch.put_metric_alarm(AlarmName=ALARM, EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold")
        cloudwatch.tag_resource(ResourceARN=alarm_arn(ALARM), Tags=tag_pairs(group_tags("shop", "prod")))
        variables = {
            "AWS_ENDPOINT_URL": server.url,
            "LASTGOOD_TABLE": TABLE,
            "LASTGOOD_MODE": "auto",
            "LASTGOOD_COOLDOWN": "1s",
            "LASTGOOD_MAX_ROLLBACKS": "1000",
            "POWERTOOLS_METRICS_DISABLED": "false",
            "PYTHONPATH": str(ROOT / "src/function"),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", ENVIRONMENT],
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Environment(server, process)
        finally:
            process.communicate(timeout=60)


def test_hundreds_of_invocations_leave_nothing_behind() -> None:
    with environment() as it:
        for _ in range(2):
            it.incident()
        it.quiet(minutes=10)
        before, first = it.held(), it.invocations
        for _ in range(4):
            it.incident()
        it.quiet(minutes=80)
        after, invocations = it.held(), it.invocations - first
    assert invocations > 100
    # Not quite none: Python and urllib3 keep the last addresses that they took apart, so many at most.
    assert after.objects - before.objects < invocations / 4, (before, after)
    assert after.threads <= before.threads + POOL_SIZE, (before, after)
    assert after.files <= before.files + POOL_SIZE, (before, after)
