"""The daily drill: everything a rollback would need is tried before it is needed. It changes nothing, blames nothing.

For each deployment group that the settings name, a dry run is decided through the real observer, with the real reads of
history, table and alarms. The table is written once, with the drill's own result. For the topic, it checks whether
anybody has subscribed. What only a real rollback does (stop, create, publish) is not tried.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lastgood.errors import RefusedError
from lastgood.judgement import decide
from lastgood.judgement.steps import Decision
from lastgood.judgement.unpinned import unpinned
from lastgood.model import DeploymentGroup, Outcome, Phase, Reason, Rollback, Trigger, TriggerKind
from lastgood.notices import CLOSED
from lastgood.parts import Parts
from lastgood.routing import is_allowed, named_groups
from lastgood.times import iso

MOST_GROUPS = 20
"""How many deployment groups one drill covers; if there are more, the others follow on the next days."""

RESERVE = timedelta(seconds=20)
"""This much of the invocation's time is kept for notifying people."""

ALARM_THAT_IS_NOT_THERE = "lastgood-drill"
WHO = "the daily drill"


class Drill:
    """One drill within one invocation, which ends at `deadline`."""

    def __init__(self, parts: Parts, deadline: datetime) -> None:
        self._parts = parts
        self._deadline = deadline
        self._problems: list[str] = []
        self._drilled: set[str] = set()
        self._warnings: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        """Try everything. Returns one result; people are told of problems, and of nothing else."""
        groups = [drilled for group in self._turn() if (drilled := self._group(group))]
        self._attempt("CloudWatch's alarms", lambda: self._parts.alarms.read(ALARM_THAT_IS_NOT_THERE))
        for region in self._parts.settings.alarm_regions:
            absent = f"arn:aws:cloudwatch:{region}:{self._parts.settings.account_id}:alarm:{ALARM_THAT_IS_NOT_THERE}"
            self._attempt(f"CloudWatch's alarms in {region}", partial(self._parts.alarms.read, absent))
        self._attempt("The notification topic", self._topic)
        self._attempt("What the runtime brings", self._runtime)
        self._attempt("The audit table", self._note)
        self._parts.telemetry.drilled(self._problems)
        if self._problems:
            self._call_people()
        outcome, warnings = "failed" if self._problems else "passed", list(self._warnings.values())
        return {"drill": outcome, "problems": self._problems, "warnings": warnings, "groups": groups}

    def _turn(self) -> list[DeploymentGroup]:
        """Today's groups: those of the routes and the default, each once; in turns where there are many."""
        groups = named_groups(self._parts.settings)
        start = self._parts.clock().toordinal() * MOST_GROUPS % len(groups) if len(groups) > MOST_GROUPS else 0
        return (groups[start:] + groups[:start])[:MOST_GROUPS]

    def _group(self, group: DeploymentGroup) -> dict[str, Any] | None:
        if not is_allowed(group, self._parts.settings):
            self._problems.append(f"{group.key}: an alarm leads there, but LASTGOOD_ALLOWED_GROUPS leaves it out.")
            return None
        if self._deadline - self._parts.clock() < RESERVE:
            self._problems.append(f"{group.key}: the drill ran out of time before it.")
            return None
        decision = self._attempt(group.key, lambda: self._decide(group))
        if decision is None:
            return None
        if decision.reason is Reason.GROUP_NOT_FOUND:
            self._problems.append(f"{group.key}: {decision.explanation}")
        self._drilled.add(group.key)
        if doubt := unpinned(decision):
            self._warnings[group.key] = f"{group.key}: {doubt}"
        self._parts.telemetry.decided(_dry_run(group, self._parts.clock()), decision)
        return {
            "application": group.application,
            "deployment_group": group.deployment_group,
            "reason": str(decision.reason),
            "explanation": decision.explanation,
        }

    def _decide(self, group: DeploymentGroup) -> Decision:
        parts, now = self._parts, self._parts.clock()
        rollback = _dry_run(group, now)
        seen, policy = parts.observer.look(rollback, parts.settings.policy(), now, None)
        # The proof at the end of a rollback reads things that its beginning may not need.
        deployer = parts.deployer_for(group, None)
        if facts := deployer.facts():
            deployer.newest(facts)
        return decide(rollback, seen, policy, now)

    def _topic(self) -> None:
        if problem := self._parts.notices.unheard():
            self._problems.append(problem)

    def _runtime(self) -> None:
        """An operation that this botocore does not know would fail a rollback in the middle; the rest is a warning."""
        missing, key = self._parts.missing_models(), "what the runtime does not see"
        self._drilled.add(key)
        if unseen := self._parts.unseen_features():
            self._warnings[key] = " ".join(unseen)
        self._problems += missing
        self._parts.telemetry.runtime_lacks(missing)

    def _note(self) -> None:
        """Write when the drill was and what it found, which also proves that the table can be written.

        A warning is a problem on the day on which it is new; after that it is only a line of the result, so that a
        known one does not call people every morning.
        """
        known = self._parts.ledger.last_drill().get("warned") or {}
        self._problems += [warning for key, warning in self._warnings.items() if key not in known]
        warned = {key: said for key, said in known.items() if key not in self._drilled} | self._warnings
        said = {"occurred_at": iso(self._parts.clock()), "problems": list(self._problems), "warned": warned}
        self._parts.ledger.set_control(None, "DRILL", said)

    def _attempt[Found](self, what: str, trial: Callable[[], Found]) -> Found | None:
        try:
            return trial()
        except RefusedError as error:
            self._problems.append(f"{what}: {error}")
        except Exception as error:
            # A problem in one place must not keep the others from being tried.
            self._problems.append(f"{what}: {type(error).__name__}: {error}")
        return None

    def _call_people(self) -> None:
        """Send a notice that belongs to no rollback. It is not recorded, because the table may be what is wrong."""
        now = self._parts.clock()
        told = _opened(DeploymentGroup("", ""), Trigger(TriggerKind.MANUAL, now, requested_by=WHO), now).changed(
            phase=Phase.CLOSED,
            outcome=Outcome.FAILED,
            reason_code=Reason.DRILL_FAILED,
            explanation=" ".join(self._problems),
            closed_at=now,
        )
        problems = self._parts.notices.send(told, CLOSED)
        if problems:
            self._parts.telemetry.notice_failed(told, CLOSED, problems)


def _dry_run(group: DeploymentGroup, now: datetime) -> Rollback:
    """What an operator's dry run would open; it is never recorded."""
    why = "to know today that a rollback would work"
    return _opened(group, Trigger(TriggerKind.MANUAL, now, requested_by=WHO, request_reason=why, dry_run=True), now)


def _opened(group: DeploymentGroup, trigger: Trigger, now: datetime) -> Rollback:
    return Rollback.opened(f"drill-{now:%Y%m%d}", group, trigger, now)
