"""The same and different alarms at the same moment: threads, processes and a storm, against one audit table.

The server is moto over HTTP with the simulated CodeDeploy, so each `Application` has its own clients and connections,
as separate execution environments have. Nothing here looks at the clock but for the figures.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from docs_from_code import fault_figures
from faults.environments import REMAINING, at_endpoint, at_once, close_all, deliver, message, one_process
from faults.tables import one_table_call_at_a_time
from simulated_aws import Server, WallClock, serve
from stage.local import ERRORS, TABLE, alarm_arn, audit_table, group_tags, tag_pairs

SOAK = os.environ.get("LASTGOOD_SOAK") == "1"
STORM_GROUPS = int(os.environ.get("LASTGOOD_STORM_TEST_GROUPS", "200" if SOAK else "10"))
STORM_ALARMS = 5
_decode = TypeDeserializer().deserialize


class Shop:
    """A server with groups that each have a good and a bad release behind them, and alarms that fire."""

    def __init__(self, server: Server, applications: int = 1) -> None:
        self.server = server
        self.names = [f"shop-{number}" for number in range(applications)]
        audit_table(server.client("dynamodb"))
        self.cloudwatch = server.client("cloudwatch")
        for name in self.names:
            server.simulator.server_group(name, "prod", config="CodeDeployDefault.AllAtOnce")
            server.simulator.seed_history(name, "prod", 2, every_seconds=900)
        self.at = datetime.now(UTC)
        self.fired: tuple[str, ...] = ()

    def fire(self, *alarms: str) -> None:
        """Alarms go into ALARM."""
        for alarm in alarms:
            self.cloudwatch.put_metric_alarm(
                AlarmName=alarm,
                **ERRORS,
            )
            application = alarm.partition("-alarm")[0] if alarm.startswith("shop-") else "shop-0"
            self.cloudwatch.tag_resource(ResourceARN=alarm_arn(alarm), Tags=tag_pairs(group_tags(application, "prod")))
            self.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="simulated")
        self.fired = alarms
        self.at = datetime.now(UTC)

    def items(self) -> list[dict[str, Any]]:
        """The whole audit table."""
        pages = self.server.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
        rows = [item for page in pages for item in page["Items"]]
        return [{name: _decode(value) for name, value in row.items()} for row in rows]

    def created(self, name: str) -> list[str]:
        """The rollbacks whose deployments a group has, one for each deployment."""
        described = (d.get("description", "") for d in self.server.simulator.deployments(name, "prod"))
        return [text.split()[1] for text in described if text.startswith("lastgood ")]

    def finish(self) -> None:
        """The alarms recover, deployments run to their end, and sweeps go on until nothing is open."""
        for alarm in self.fired:
            self.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="simulated")
        application = at_endpoint(self.server.url, self.server.simulator.clock.now)
        for _ in range(40):
            self.server.simulator.settle()
            if not [i for i in self.items() if i.get("open_key")]:
                return
            self.server.simulator.advance(30)
            application.handle({"action": "sweep"}, "sweep", REMAINING)
        raise AssertionError([i for i in self.items() if i.get("open_key")])


@contextmanager
def shop(applications: int = 1) -> Iterator[Shop]:
    """A server and its groups."""
    with serve(clock=WallClock()) as server, one_table_call_at_a_time():
        try:
            yield Shop(server, applications)
        finally:
            close_all()


def heads(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rollback."""
    return [i for i in items if i["sk"] == "META"]


def acted(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that put something back."""
    return [h for h in heads(items) if h.get("rollback_deployment_id")]


def test_one_message_delivered_sixteen_times_at_once() -> None:
    with shop() as it:
        it.fire("errors")
        event = message("errors", it.at, "shop-0", "message")
        environments = [at_endpoint(it.server.url) for _ in range(16)]
        answers = at_once(
            [lambda a=a, n=n: deliver(a, event, f"request-{n}") for n, a in enumerate(environments)]  # type: ignore[misc]
        )
        it.finish()
        items = it.items()
        (head,) = heads(items)
        assert {result["rollback_id"] for (result,) in answers} == {head["rollback_id"]}
        assert it.created("shop-0") == [head["rollback_id"]]
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert not [i for i in items if i.get("open_rollback_id")]


def test_eight_alarms_of_one_group_at_once() -> None:
    """One opens the rollback; each other is noted with it, or has a record of its own that did nothing."""
    with shop() as it:
        alarms = [f"alarm-{number}" for number in range(8)]
        it.fire(*alarms)
        environments = [at_endpoint(it.server.url) for _ in alarms]
        at_once(
            [
                lambda a=a, name=name: deliver(a, message(name, it.at, "shop-0", f"m-{name}"), f"request-{name}")  # type: ignore[misc]
                for a, name in zip(environments, alarms, strict=True)
            ]
        )
        it.finish()
        items = it.items()
        (winner,) = acted(items)
        assert it.created("shop-0") == [winner["rollback_id"]]
        assert winner["outcome"] == "ROLLED_BACK", winner["explanation"]
        assert accounted(items) == Counter(dict.fromkeys(alarms, 1))
        assert {h["outcome"] for h in heads(items) if h is not winner} <= {"SKIPPED"}


def accounted(items: list[dict[str, Any]]) -> Counter[str]:
    """How often each alarm stands in the table: as a rollback of its own, or noted with another."""
    signals = [i for i in items if i["sk"].startswith("SIGNAL#")]
    return Counter(str(i["alarm_name"]) for i in (*heads(items), *signals))


def test_four_processes_with_four_threads_each() -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([one_process.__module__])
    with shop() as it:
        it.fire("errors")
        start, answers = context.Barrier(4), context.Queue()
        processes = [
            context.Process(target=one_process, args=(it.server.url, number, 4, it.at, start, answers))
            for number in range(4)
        ]
        for process in processes:
            process.start()
        named = {each for _ in processes for each in answers.get(timeout=60)}
        for process in processes:
            process.join(30)
        it.finish()
        (head,) = heads(it.items())
        assert named == {head["rollback_id"]}
        assert it.created("shop-0") == [head["rollback_id"]]
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]


def test_a_storm_of_alarms_over_many_groups() -> None:
    """Five alarms on each of many groups, all at once, with the storm brake off: none is lost, none acts twice."""
    with shop(STORM_GROUPS) as it:
        pairs = [(name, f"{name}-alarm-{number}") for number in range(STORM_ALARMS) for name in it.names]
        it.fire(*[alarm for _, alarm in pairs])
        environments = [at_endpoint(it.server.url) for _ in range(16)]
        free = list(environments)

        def one(pair: tuple[str, str]) -> int:
            name, alarm = pair
            application = free.pop()
            try:
                return len(deliver(application, message(alarm, it.at, name, alarm), f"request-{alarm}"))
            finally:
                free.append(application)

        began = time.monotonic()
        with ThreadPoolExecutor(len(environments)) as pool:
            answered = sum(pool.map(one, pairs))
        delivered = time.monotonic() - began
        it.finish()
        items = it.items()
        outcomes = Counter(h["outcome"] for h in heads(items))
        joined = sum(i["sk"].startswith("SIGNAL#") for i in items)
        told = {"messages": len(pairs), "groups": len(it.names), "seconds": round(delivered)}
        lost = len(pairs) - sum(accounted(items).values())
        fault_figures.append("storm", **told, rolled_back=outcomes["ROLLED_BACK"], joined=joined, lost=lost)
        assert answered == len(pairs)
        assert accounted(items) == Counter({alarm: 1 for _, alarm in pairs})
        winners = Counter(h["application"] for h in acted(items))
        assert winners == Counter(dict.fromkeys(it.names, 1))
        for name in it.names:
            assert len(it.created(name)) == 1
        assert not [i for i in items if i.get("open_rollback_id")]
