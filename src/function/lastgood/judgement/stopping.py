"""A suspect that still runs though it was to be stopped: when that is asked for again, and when it hangs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.judgement.case import Case
from lastgood.judgement.steps import Decision, Stop, fail, wait
from lastgood.judgement.wording import at_a_gate, clock, duration, listed
from lastgood.model import Deployment, Reason, Rollback

HANGS_AFTER = timedelta(minutes=10)
"""A stop takes seconds; after this long something is not answering (70 minutes in acquia/moonshot#39)."""

# A stop that nobody confirmed is asked for again after this long: the first request may never have been sent.
STOP_AGAIN_AFTER = timedelta(seconds=30)
_TAKEN = {"Pending", "Accepted"}


def still_active(case: Case, suspect: Deployment) -> Decision:
    """The suspect still runs: its stop is waited for, or asked for (again)."""
    rollback = case.rollback
    if case.late:
        most = duration(case.policy.deadline)
        still = (
            f"{suspect.deployment_id} is still {suspect.status}, {most} after the rollback began.{held_up(rollback)}"
        )
        return fail(Reason.DEADLINE_PASSED, still)
    asked = rollback.progress.stop_requested_at
    paused = bool(suspect.gate and suspect.gate.hook_id) and asked is not None and case.now - asked >= STOP_AGAIN_AFTER
    if asked is not None and rollback.progress.stop_answer in _TAKEN and not paused:
        return _stopping(case, suspect, asked)
    if asked is not None and case.now - asked < STOP_AGAIN_AFTER:
        return wait(f"{suspect.deployment_id} is stopping.")
    again = Stop(
        Reason.SUSPECT_ACTIVE,
        f"{suspect.deployment_id} is {suspect.status}{at_a_gate(suspect)}, so it is (again) asked to stop.",
        suspect,
        rollback.progress.native_rollback_asked,
    )
    if rollback.choice.good_deployment_id:
        return again
    # The record keeps its reason, why nothing can go back, until it is closed.
    return replace(again, reason=rollback.reason_code or again.reason, explanation=rollback.explanation)


def _stopping(case: Case, suspect: Deployment, asked: datetime) -> Decision:
    """The stop was accepted, so asking again would not help. It may be waiting for an instance whose agent is dead."""
    if case.now - asked < HANGS_AFTER:
        return wait(f"{suspect.deployment_id} is stopping.")
    deployer, silent = case.rollback.group.deployer, listed(case.seen.silent)
    who = f"{silent} {'does' if len(case.seen.silent) == 1 else 'do'} not answer" if silent else "something in it waits"
    todo = "detach or terminate it, or restart its CodeDeploy agent" if silent else "see what in it is waiting"
    return wait(
        f"The stop of {suspect.deployment_id} hangs: {deployer} took it at {clock(asked)} and it is still "
        f"{suspect.status}, for {who}. To free it, {todo}; the rollback then goes on by itself.",
        told_after=timedelta(0),
    )


def held_up(rollback: Rollback) -> str:
    """What holds the rollback up now, as a sentence to add; empty where nothing does."""
    progress = rollback.progress
    return f" {progress.held_up_by}" if progress.held_up_by and progress.held_up_ended_at is None else ""
