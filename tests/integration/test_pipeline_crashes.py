"""The function is killed at every call of what follows a rollback: the pipeline still runs once, or is held as ours.

The calls are taken from an undisturbed play, not from a list. A killed invocation leaves its lease; AWS delivers the
alarm again, and the sweep comes every minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest

from lastgood import clients
from lastgood.follow_ups import FollowUps
from lastgood.rollback import Rollbacks
from scene import Scene, scene

GOOD, BAD = "a1" * 20, "b2" * 20
MODULES = ("ledger", "pipelines", "notices")


CHANGES = {
    "update_item",
    "transact_write_items",
    "start_pipeline_execution",
    "disable_stage_transition",
    "publish",
    "put_events",
}


class Killed(BaseException):
    """The process is gone: nothing that catches errors may catch this."""


@dataclass
class Calls:
    """Counts the calls of the follow-ups; kills before, or after, the one whose number is `at`."""

    at: int = 0
    after: bool = False
    made: list[str] = field(default_factory=list)
    counting: bool = False

    def __call__(self, client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
        if not self.counting:
            return clients.call(client, operation, **parameters)
        self.made.append(operation)
        dies = len(self.made) == self.at
        if dies and not self.after:
            raise Killed(operation)
        answer = clients.call(client, operation, **parameters)
        if dies:
            raise Killed(operation)
        return answer

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this is open, calls are counted from the moment at which follow-ups begin in an invocation."""
        follow_up = Rollbacks._follow_up

        def counted(rollbacks: Rollbacks, rollback: Any) -> Any:
            self.counting = True
            try:
                return follow_up(rollbacks, rollback)
            finally:
                self.counting = False

        with patch.object(Rollbacks, "_follow_up", counted):
            patches = [patch(f"lastgood.{module}.call", self) for module in MODULES]
            for each in patches:
                each.start()
            try:
                yield
            finally:
                for each in patches:
                    each.stop()


def play(it: Scene) -> None:
    """The alarm, Lambda's retry, and sweeps until all is told."""
    it.local.alarm("shop-prod-error-rate")
    message = it.alarm_message()
    deliver(it, message)
    for _ in range(40):
        it.sim.advance(60)
        deliver(it, {"action": "sweep"})
        if it.rollback_id and "closed" in it.head["notified"] and it.head["follow_up_attempts"] == 0:
            break
    deliver(it, message)


def deliver(it: Scene, event: dict[str, Any]) -> None:
    try:
        it.deliver(event)
    except Killed:
        # AWS knows no more of it; the record is found by the next event.
        heads = [i for i in it.local.items() if i["sk"] == "META"]
        it.rollback_id = heads[0]["rollback_id"]


@contextmanager
def world(rule: dict[str, str]) -> Iterator[Scene]:
    rules = json.dumps([{"application": "shop", "deployment_group": "prod", "pipeline": "shop", **rule}])
    with scene("Server", settings={"LASTGOOD_PIPELINES": rules}) as it:
        it.sim.pipeline("shop", "shop", "prod")
        for commit, number in ((GOOD, 2), (BAD, 3)):
            it.sim.push("shop", commit, it.revision(number), settle=True)
            it.sim.advance(7200 if commit == GOOD else 600)
        yield it


RULES = {"rerun": {"after_rollback": "rerun"}, "hold": {"hold": "Deploy"}}


def calls_of(rule: str) -> list[str]:
    """The calls of an undisturbed play."""
    calls = Calls()
    with world(RULES[rule]) as it, calls.watched():
        play(it)
    return calls.made


def wrong(it: Scene, rule: str) -> list[str]:
    """What must hold after every crash, and does not."""
    head, runs = it.head, it.sim.pipelines.pipeline("shop").runs
    held = it.sim.pipelines.transition("shop", "Deploy")
    intents = {s["step_name"] for s in it.steps if s["kind"] == "intent"}
    truths = {
        # The re-run builds the good commit anew.
        "rolled back": head.get("outcome") == "ROLLED_BACK" and it.live.startswith("v2.zip"),
        "one redeployment": len(it.calls("CreateDeployment")) == 1,
        "no lock": it.lock() == "",
        "told": "closed" in head["notified"],
        "commits": (head["suspect_commit"], head["good_commit"]) == (BAD, GOOD),
        "no problem": not head["pipeline_problem"],
        "one rerun": len(runs) == (3 if rule == "rerun" else 2),
        "rerun on record": head["rerun_execution_id"] == (runs[-1].id if rule == "rerun" else ""),
        "held as ours": (it.rollback_id in held.reason and bool(head.get("held_at"))) or rule == "rerun",
        "intent first": ("RERUN" if rule == "rerun" else "HOLD") in intents,
    }
    return [name for name, holds in truths.items() if not holds]


@pytest.mark.parametrize("rule", RULES)
def test_killed_at_any_call_the_pipeline_runs_again_once_or_is_held_as_ours(rule: str) -> None:
    made = calls_of(rule)
    effect = {"rerun": "start_pipeline_execution", "hold": "disable_stage_transition"}[rule]
    assert effect in made and "transact_write_items" in made
    failures = []
    for number in range(1, len(made) + 1):
        # Killed before or after a read is the same: nothing has changed.
        for after in (False, True) if made[number - 1] in CHANGES else (False,):
            calls = Calls(at=number, after=after)
            with world(RULES[rule]) as it, calls.watched():
                play(it)
                found = wrong(it, rule)
            assert len(calls.made) >= number, "the call was never reached"
            if found:
                failures.append(f"{'after' if after else 'before'} call {number}, {made[number - 1]}: {found}")
    assert not failures, "\n".join(failures)


def test_a_mistake_in_the_follow_ups_fails_neither_the_rollback_nor_its_notice() -> None:
    with world(RULES["rerun"]) as it, patch.object(FollowUps, "_held_back", side_effect=ZeroDivisionError):
        play(it)
        assert it.head["outcome"] == "ROLLED_BACK"
        assert "closed" in it.head["notified"]
        assert "3 attempts" in it.head["pipeline_problem"]
