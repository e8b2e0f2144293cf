"""The answers of the function, in the shape of the contract."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lastgood.model import Reason, Rollback
from lastgood.times import iso


def result_of(rollback: Rollback, *, joined: bool = False) -> dict[str, Any]:
    """A rollback as one result. `joined`: another signal opened the rollback, and this one joined it."""
    state = {"outcome": str(rollback.outcome)} if rollback.outcome else {"phase": str(rollback.phase)}
    reason, explanation = str(rollback.reason_code or Reason.IN_PROGRESS), rollback.explanation
    if joined:
        reason = str(Reason.ALREADY_OPEN)
        explanation = f"This belongs to {rollback.rollback_id}, which is open for the group. {explanation}".strip()
    return {
        "rollback_id": rollback.rollback_id,
        **state,
        "reason": reason,
        "explanation": explanation,
        "application": rollback.application,
        "deployment_group": rollback.deployment_group,
        "suspect_deployment_id": rollback.choice.suspect_deployment_id,
        "good_deployment_id": rollback.choice.good_deployment_id,
        "rollback_deployment_id": rollback.progress.rollback_deployment_id,
        "suspect_commit": rollback.trail.suspect_commit,
        "good_commit": rollback.trail.good_commit,
        **({"controller": str(rollback.controller)} if rollback.group.can().key_prefix else {}),
    }


def pipeline_of(rollback: Rollback) -> dict[str, Any]:
    """What followed for the pipeline, for status answers; empty if nothing did."""
    names = (
        "pipeline",
        "revert_command",
        "rerun_command",
        "rerun_execution_id",
        "rerun_status",
        "hold_stage",
        "held_at",
        "released_at",
        "pipeline_problem",
    )
    fields = {name: value for name in names if (value := getattr(rollback.trail, name))}
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in fields.items()}


def refusal(code: str, message: str, hint: str = "") -> dict[str, Any]:
    """An event or a request that was not taken; nothing was changed."""
    return {"refused": code, "explanation": message, **({"hint": hint} if hint else {})}


def ignored(why: str) -> dict[str, Any]:
    """A signal that was understood and needs nothing."""
    return {"ignored": why}


def answer(action: str, explanation: str) -> dict[str, Any]:
    """An operator's request that was carried out at once."""
    return {"action": action, "explanation": explanation}
