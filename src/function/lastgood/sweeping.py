"""The sweep, each minute: it finishes what events did not. Events make a rollback fast, the sweep makes it certain."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.ledger import Watch
from lastgood.notekeeping import Notekeeping
from lastgood.parts import Parts
from lastgood.recovery import recovery_of_all
from lastgood.releases import Releases
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.joining import joined_alarms
from lastgood.rollbacks.notes import Notes

RESERVE = timedelta(seconds=15)

AFTER_A_FAILURE = timedelta(seconds=50)
"""How long what failed waits for its next visit: till the next sweep, where it comes after those due before."""


class Sweep:
    """One sweep within one invocation."""

    def __init__(self, parts: Parts, rollbacks: Rollbacks, notes: Notes, releases: Releases) -> None:
        self._parts = parts
        self._rollbacks = rollbacks
        self._notes = notes
        self._releases = releases

    def run(self) -> dict[str, Any]:
        """Finish what events did not: advance open rollbacks, send unsent notices, watch alarms, note releases.

        Meanwhile the services that a rollback reads first are asked whether they answer. What it would have to make is
        made last.
        """
        visited = failed = 0
        asked = self._parts.readiness.begin()
        now, ledger = self._parts.clock(), self._parts.ledger
        work: list[tuple[Callable[[], object], str]] = []
        work += [(partial(self._visit, rollback_id), rollback_id) for rollback_id in ledger.due(now)]
        work += [(partial(self._watch, watch), watch.rollback_id) for watch in ledger.watched(now)]
        for step, rollback_id in work:
            if self._rollbacks.deadline - self._parts.clock() < RESERVE:
                break
            failed += not self._attempt(step, rollback_id)
            visited += 1
        if self._rollbacks.deadline - self._parts.clock() >= RESERVE:
            Notekeeping(self._parts).catch_up()
        self._parts.telemetry.unanswered(self._parts.readiness.problems(asked))
        self._parts.telemetry.swept(visited, failed)
        self._parts.readiness.prepare()
        return {"swept": visited, "failed": failed}

    def _attempt(self, work: Callable[[], object], rollback_id: str) -> bool:
        try:
            work()
        except Exception as error:
            # A failure of one rollback must not keep the others from their turn.
            self._parts.telemetry.failed("sweep", error, rollback_id=rollback_id)
            return False
        return True

    def _visit(self, rollback_id: str) -> None:
        """Advance a rollback. One that cannot be is visited again after those that are due meanwhile."""
        try:
            done = self._rollbacks.resume(rollback_id)
        except Exception:
            self._put_off(rollback_id)
            raise
        if done is None:
            self._put_off(rollback_id)

    def _put_off(self, rollback_id: str) -> None:
        with suppress(LastgoodError):
            self._parts.ledger.put_off(rollback_id, self._parts.clock() + AFTER_A_FAILURE)

    def _watch(self, watch: Watch) -> None:
        """Check whether the alarm recovered: it must be OK at the end of its window; otherwise people are told."""
        if watch.deployment_id:
            self._releases.after_grace(watch)
            return
        now, ledger = self._parts.clock(), self._parts.ledger
        if now < watch.until:
            return
        rollback = ledger.load(watch.rollback_id)
        if rollback is not None and rollback.progress.alarm_recovered_at is None:
            joined = [one for _, one in joined_alarms(ledger, rollback)]
            seen = recovery_of_all(self._parts.alarms, rollback, joined, now)
            if seen.at is not None:
                self._notes.alarm_recovered(watch.rollback_id, seen.at)
            else:
                self._notes.not_recovered(rollback, seen.state, seen.alarm)
        ledger.settle(watch, now)
