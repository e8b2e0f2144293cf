"""Whether events, the sweep and the daily drill reach the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lastgood.judgement.wording import ago
from lastgood.times import parse_iso
from lastgood_cli import by_hand, fixes
from lastgood_cli.checks.check import Check
from lastgood_cli.fix import NOTHING, Fix

DRILL_SCHEDULE = "rate(1 day)"
DRILL_SILENCE = timedelta(hours=49)
SWEEP_SILENCE = timedelta(minutes=5)


def events_heard(rules: Sequence[Mapping[str, Any]], source: str, who: str, target: Fix = NOTHING) -> Check:
    """Whether a rule brings the events of `source` to the function; `rules` are as `DescribeRule` answers.

    `target` is the command that makes the stack's rule bring them again.
    """
    name = f"{who}'s events reach it"
    hearing = [rule for rule in rules if f'"{source}"' in str(rule.get("EventPattern", ""))]
    if any(enabled(rule) for rule in hearing):
        return Check(name, True)
    if hearing:
        return Check(name, False, "The rule is disabled.", fixes.enable_rule(hearing[0]))
    return Check(name, False, "No rule brings them: rollbacks wait for the sweep.", target or by_hand.choose_a_target())


def sweep_scheduled(rules: Sequence[Mapping[str, Any]], target: Fix = NOTHING) -> Check:
    """Whether the sweep comes by itself. `target` is the command that makes the stack's rule invoke the function."""
    name = "the sweep's schedule is enabled"
    sweeps = [rule for rule in rules if rule.get("ScheduleExpression") not in {None, "", DRILL_SCHEDULE}]
    on = next((rule for rule in sweeps if enabled(rule)), None)
    if on is not None:
        return Check(name, True, f"{on['ScheduleExpression']}.")
    if sweeps:
        return Check(name, False, "It is disabled.", fixes.enable_rule(sweeps[0]))
    return Check(name, False, "No schedule invokes the function.", target or by_hand.choose_a_target())


def enabled(rule: Mapping[str, Any]) -> bool:
    """True for an EventBridge rule that is on."""
    return str(rule.get("State", "ENABLED")).startswith("ENABLED")


def drill(last: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], now: datetime) -> Check:
    """When the daily drill was last, and what it found; `last` is its item in the audit table, or empty."""
    name, again = "the daily drill finds nothing wrong", fixes.drill()
    scheduled = any(rule.get("ScheduleExpression") == DRILL_SCHEDULE and enabled(rule) for rule in rules)
    if not last:
        if not scheduled:
            return Check(name, True, "It is switched off (DailyDrill), and there was none.")
        return Check(name, None, "There was none yet.", again)
    at = parse_iso(str(last["occurred_at"]))
    problems = [str(each) for each in last.get("problems") or ()]
    if problems:
        return Check(name, False, f"{ago(now, at)} ago: {' '.join(problems)}", by_hand.after_a_drill())
    if scheduled and now - at > DRILL_SILENCE:
        return Check(name, False, f"It was last {ago(now, at)} ago.", again)
    return Check(name, True, f"It was last {ago(now, at)} ago.")


def sweep_ran(datapoints: Sequence[Mapping[str, Any]], now: datetime, function_arn: str) -> Check:
    """Whether the sweep has run in the last minutes, by its own metric."""
    last = max((d["Timestamp"] for d in datapoints if d.get("Sum", 0) > 0), default=None)
    if last is None:
        said = "It has not run in the last 15 minutes."
        return Check("the sweep is running", False, said, by_hand.read_logs(function_arn))
    ok = now - last <= SWEEP_SILENCE + timedelta(minutes=1)
    said = f"It ran last {ago(now, last)} ago."
    return Check("the sweep is running", ok, said, NOTHING if ok else by_hand.read_logs(function_arn))
