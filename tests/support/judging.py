"""What `decide` and single guards say about a few facts, for the tests of the judgement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import (
    ALARM_AT,
    NOW,
    ROLLBACK_ID,
    at,
    group,
    minutes,
    newest_first,
    observation,
    our_rollback,
    release,
    rollback,
    running,
    seconds,
)
from lastgood import judgement
from lastgood.judgement.blame import Attribution, Question, attribute
from lastgood.judgement.case import Case
from lastgood.judgement.choice import Selection, select
from lastgood.judgement.guards import GUARDS
from lastgood.judgement.steps import Action, Close, Decision
from lastgood.model import (
    Controls,
    Deployment,
    Live,
    Mode,
    Observation,
    Outcome,
    Phase,
    Policy,
    Reason,
    Rollback,
)

BAD = release("d-2", "v2", -10)
BAD_RUNNING = running("d-2", "v2", -1)
GOOD = release("d-1", "v1", -600)
ACTING = {Action.STOP, Action.CREATE, Action.CLEAR_ALIAS, Action.REGISTER_TASK_DEFINITION}


def decide(*facts: Any) -> Decision:
    """What is decided: always for a reason, and explained to people."""
    decision = judgement.decide(*facts)
    assert isinstance(decision.reason, Reason)
    assert decision.explanation
    assert "None" not in decision.explanation
    return decision


def first_step(
    *history: Deployment, policy: Policy | None = None, asked: Rollback | None = None, **seen: Any
) -> Decision:
    """What is decided when the rollback is opened."""
    return decide(asked or rollback(), observation(*history, **seen), policy or Policy(), NOW)


def objection(
    reason: Reason, *history: Deployment, policy: Policy | None = None, asked: Rollback | None = None, **seen: Any
) -> Decision | None:
    """What the guard that owns this reason says, and no other guard."""
    (guard,) = [g for g in GUARDS if reason in g.reasons and g.check.__name__ != "_live_as_expected"]
    return guard.check(Case(asked or rollback(), observation(*history, **seen), policy or Policy(), NOW))


def refused(decision: Decision | None, reason: Reason, outcome: Outcome = Outcome.SKIPPED) -> Close:
    """The decision closes the rollback for this reason and touches nothing."""
    assert isinstance(decision, Close)
    assert (decision.reason, decision.outcome) == (reason, outcome)
    assert decision.explanation
    return decision


def waiting(**more: Any) -> Rollback:
    return rollback(Phase.AWAITING_APPROVAL, **more)


APPROVE = Policy(mode=Mode.APPROVE)


def pinned_by_the_stop() -> dict[str, Any]:
    return {
        "suspect_deployment_id": "d-2",
        "suspect_revision": "v2",
        "suspect_revisions": ("v2",),
        "good_deployment_id": "d-1",
        "good_revision": "v1",
        "reason_code": Reason.SUSPECT_ACTIVE,
        "explanation": "d-2 (v2) is InProgress: it is stopped.",
        "stop_requested_at": NOW,
    }


def stopping(**more: Any) -> Rollback:
    return rollback(Phase.STOPPING, **{**pinned_by_the_stop(), **more})


STOPPED = release("d-2", "v2", -1, took=2, status="Stopped")


READY = Observation(group=group(), suspect=STOPPED, good=GOOD, live=Live("v2"))


DEADLINE = Policy().deadline.total_seconds()


def after_stop(record: Rollback | None = None, later: float = 5, policy: Policy | None = None, **seen: Any) -> Decision:
    """What is decided `later` seconds after the stop was asked for."""
    return decide(record or stopping(), replace(READY, **seen), policy or Policy(), NOW + seconds(later))


def redeploying(later: float = 5, *, record: Rollback | None = None, **seen: Any) -> Decision:
    """What is decided `later` seconds after CreateDeployment was attempted."""
    attempted = (record or stopping()).changed(phase=Phase.REDEPLOYING, create_attempted_at=NOW)
    return decide(attempted, replace(READY, **seen), Policy(), NOW + seconds(later))


BACK = our_rollback("d-5", "v1", 1, rollback_id=ROLLBACK_ID, took=1)


def verifying(running: Deployment | None = BACK, later: float = 3, **seen: Any) -> Decision:
    """What is decided `later` minutes after the alarm."""
    facts: dict[str, Any] = {"group": group(), "rollback": running, **seen}
    record = stopping().changed(
        phase=Phase.VERIFYING, rollback_deployment_id="d-5", redeployed_revision="v1", redeployed_at=at(1)
    )
    return decide(record, Observation(**facts), Policy(), at(later))


def choose(*history: Deployment, suspects: tuple[str, ...], controls: Controls | None = None, **more: Any) -> Selection:
    ordered = newest_first(*history)
    blamed = [d for d in ordered if d.deployment_id in suspects]
    return select(ordered, blamed, controls=controls or Controls(), **{"unusable": {}, **more})


def chosen(*history: Deployment, **more: Any) -> str:
    good = choose(*history, **more).good
    return good.deployment_id if good else ""


def blame(*history: Deployment, **more: Any) -> Attribution:
    """The alarm went off at minute 0; it looks back 5 minutes; a release of the last hour may be blamed."""
    facts: dict[str, Any] = {
        "alarm_at": ALARM_AT,
        "attribution_window": minutes(60),
        "evaluation_window": minutes(5),
        "now": NOW,
    }
    return attribute(newest_first(*history), Question(**{**facts, **more}))


def blamed(*history: Deployment, **more: Any) -> list[str]:
    return [d.deployment_id for d in blame(*history, **more).suspects]
