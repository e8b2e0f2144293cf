"""Short builders, so that a test reads in a few lines. Times are minutes around the alarm; nothing reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.model import (
    AlarmFacts,
    AlarmState,
    ComputePlatform,
    Deployment,
    GroupFacts,
    Observation,
    PastRollback,
    Phase,
    Revision,
    Rollback,
    TriggerKind,
)
from lastgood.model import Outcome as Ended

ALARM_AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NOW = ALARM_AT + timedelta(minutes=1)
ROLLBACK_ID = "rb-20260302T100000000Z-0123456789ab"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def at(minutes_after_alarm: float) -> datetime:
    """Minus ten: ten minutes before the alarm changed."""
    return ALARM_AT + minutes(minutes_after_alarm)


def release(
    deployment_id: str,
    identity: str = "v2",
    at: float = -10,
    *,
    took: float = 2,
    status: str = "Succeeded",
    **more: Any,
) -> Deployment:
    """Somebody deployed `identity`; created `at` minutes from the alarm, ended `took` minutes later."""
    created = ALARM_AT + minutes(at)
    ended = created + minutes(took) if status in {"Succeeded", "Failed", "Stopped"} else None
    return Deployment(
        deployment_id, status, created, Revision("AppSpecContent", identity), **{"completed_at": ended, **more}
    )


def running(deployment_id: str, identity: str = "v2", at: float = -1, **more: Any) -> Deployment:
    """A release that is still InProgress."""
    return release(deployment_id, identity, at, status="InProgress", **more)


def native_rollback(deployment_id: str, to: str = "v1", at: float = -2, *, of: str = "", **more: Any) -> Deployment:
    """CodeDeploy's own rollback of the deployment `of`."""
    return release(deployment_id, to, at, creator="codeDeployRollback", rolls_back_deployment_id=of, **more)


def our_rollback(
    deployment_id: str, to: str = "v1", at: float = -2, *, rollback_id: str = "rb-before", **more: Any
) -> Deployment:
    """A deployment that an earlier rollback of lastgood created."""
    return release(deployment_id, to, at, made_by=rollback_id, **more)


def group(platform: ComputePlatform = ComputePlatform.LAMBDA, **more: Any) -> GroupFacts:
    return GroupFacts(platform, **more)


def alarm(state: AlarmState = AlarmState.ALARM, changed: float = 0, suppressed_by: str = "") -> AlarmFacts:
    return AlarmFacts("shop-errors", state, at(changed), suppressed_by)


def newest_first(*deployments: Deployment) -> tuple[Deployment, ...]:
    return tuple(sorted(deployments, key=lambda d: d.created_at, reverse=True))


def observation(*history: Deployment, **more: Any) -> Observation:
    """The group's history in any order, the alarm in ALARM, and what else `more` says."""
    ordered = newest_first(*history)
    last = next((d.deployment_id for d in ordered if d.status == "Succeeded"), "")
    facts: dict[str, Any] = {
        "group": group(last_successful_id=last),
        "alarm": alarm(),
        "alarm_read": True,
        "history": ordered,
    }
    return Observation(**{**facts, **more})


def rollback(phase: Phase = Phase.CLAIMED, **more: Any) -> Rollback:
    """A rollback that an alarm opened, with other values for any fields of its groups, given side by side."""
    facts: dict[str, Any] = {
        "rollback_id": ROLLBACK_ID,
        "application": "shop",
        "deployment_group": "prod",
        "trigger_kind": TriggerKind.SNS,
        "opened_at": NOW,
        "signal_at": ALARM_AT,
        "alarm_name": "shop-errors",
        "alarm_changed_at": ALARM_AT,
    }
    if "suspect_revision" in more:
        more.setdefault("suspect_revisions", (more.pop("suspect_revision"),))
    return Rollback.of({"phase": phase, **facts, **more})


def by_operator(phase: Phase = Phase.CLAIMED, **more: Any) -> Rollback:
    """A rollback that a person asked for."""
    asked = {
        "trigger_kind": TriggerKind.MANUAL,
        "alarm_name": "",
        "alarm_changed_at": None,
        "requested_by": "ann",
        "request_reason": "errors after the release",
    }
    return rollback(phase, **{**asked, **more})


def past(minutes_after_alarm: float, outcome: Ended = Ended.ROLLED_BACK) -> PastRollback:
    """An earlier rollback of the same group that acted and closed then."""
    return PastRollback(f"rb-past{minutes_after_alarm:g}", at(minutes_after_alarm), outcome)
