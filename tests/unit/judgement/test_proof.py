"""When a rollback is called verified, and when it has failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import (
    NOW,
    at,
    group,
    minutes,
    observation,
    rollback,
)
from judging import (
    BACK,
    BAD_RUNNING,
    GOOD,
    decide,
    refused,
    stopping,
    verifying,
)
from lastgood.judgement.proof import LIVE_GRACE
from lastgood.judgement.steps import Action
from lastgood.model import (
    Live,
    Observation,
    Outcome,
    Phase,
    Policy,
    Reason,
)

# --- proof ------------------------------------------------------------------------------------------------------------


def test_a_success_whose_revision_is_live_is_proof():
    decision = verifying(live=Live("v1"))
    assert (decision.action, decision.outcome, decision.reason) == (Action.CLOSE, Outcome.ROLLED_BACK, Reason.VERIFIED)
    assert decision.explanation == "d-5 succeeded and v1 is live."
    assert not decision.needs_human


def test_a_success_on_a_part_of_the_instances_is_proof_with_a_call_for_people():
    for part in ({"instances_failed": 2}, {"instances_skipped": 2}, {"instances_failed": 1, "instances_skipped": 1}):
        decision = verifying(replace(BACK, **part), live=Live("v1"))
        assert decision.outcome is Outcome.ROLLED_BACK
        assert decision.needs_human
        assert "2 instances" in decision.explanation


def test_a_success_is_given_a_moment_to_show_in_what_is_live():
    assert verifying(live=Live("v2"), later=6.9).action is Action.WAIT
    decision = refused(verifying(live=Live("v2"), later=7), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert "live is v2 and not v1" in decision.explanation
    assert minutes(5) == LIVE_GRACE


@pytest.mark.parametrize("seen", [{"group": group(last_attempted_id="d-5")}, {"group": None}])
def test_where_nothing_is_known_to_have_followed_what_is_not_live_is_waited_for(seen):
    assert verifying(live=Live("v2"), **seen).action is Action.WAIT


def test_a_success_that_another_deployment_followed_is_a_success_without_a_proof():
    followed = group(last_attempted_id="d-6")
    decision = verifying(live=Live("v3"), group=followed)
    assert (decision.action, decision.outcome, decision.reason) == (
        Action.CLOSE,
        Outcome.ROLLED_BACK,
        Reason.OTHER_DEPLOYMENT,
    )
    assert "d-6" in decision.explanation
    assert verifying(live=Live("v1"), group=followed).reason is Reason.VERIFIED


def test_a_split_alias_is_no_proof_though_its_main_version_is_the_good_one():
    decision = refused(verifying(live=Live("v1", split=True), later=7), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert "two versions" in decision.explanation


def test_what_cannot_be_read_is_no_proof():
    refused(verifying(live=Live(), later=7), Reason.LIVE_DIFFERS, Outcome.FAILED)


def test_a_task_definition_that_was_registered_again_is_proof_under_its_new_name():
    record = stopping().changed(phase=Phase.VERIFYING, rollback_deployment_id="d-5", redeployed_revision="task:8")
    seen = Observation(group=group(), rollback=BACK, live=Live("task:8"))
    assert decide(record, seen, Policy(), at(3)).outcome is Outcome.ROLLED_BACK
    old = replace(seen, live=Live("v1"))
    assert decide(record, old, Policy(), at(8)).reason is Reason.LIVE_DIFFERS


def test_a_rollback_deployment_that_runs_is_watched():
    decision = verifying(replace(BACK, status="InProgress", completed_at=None))
    assert decision.action is Action.WAIT


def test_after_the_deadline_a_rollback_that_is_live_and_only_waits_to_end_is_proof():
    """ECS blue/green stays InProgress until the old task set is terminated, up to two days."""
    late = verifying(
        replace(BACK, status="InProgress", completed_at=None), later=122, live=Live("v1", deployment_id="d-5")
    )
    assert (late.action, late.outcome, late.reason) == (Action.CLOSE, Outcome.ROLLED_BACK, Reason.VERIFIED)


@pytest.mark.parametrize("live", [Live("v2"), Live("v2", deployment_id="d-5"), Live("v1", deployment_id="d-1")])
def test_after_the_deadline_a_rollback_that_is_not_live_has_failed(live):
    late = verifying(replace(BACK, status="InProgress", completed_at=None), later=122, live=live)
    refused(late, Reason.DEADLINE_PASSED, Outcome.FAILED)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ALARM_ACTIVE", "alarm"),
        ("INVALID_LAMBDA_CONFIGURATION", "alias"),
        ("REVISION_MISSING", "S3"),
        ("MANUAL_STOP", "somebody stopped it"),
        ("SOMETHING_NEW", "the message of CodeDeploy"),
        ("", "the message of CodeDeploy"),
    ],
)
def test_a_rollback_deployment_that_failed_is_explained_and_not_tried_again(code, advice):
    for status in ("Failed", "Stopped"):
        failed = replace(BACK, status=status, error_code=code, error_message="the message of CodeDeploy")
        decision = refused(verifying(failed), Reason.ROLLBACK_DEPLOYMENT_FAILED, Outcome.FAILED)
        assert advice in decision.explanation
        assert (f"d-5 is {status} ({code}): " if code else f"d-5 is {status}: ") in decision.explanation
        assert decision.needs_human


def test_a_rollback_deployment_that_vanished_is_a_failure():
    refused(verifying(None), Reason.ROLLBACK_DEPLOYMENT_FAILED, Outcome.FAILED)


def test_a_closed_rollback_stays_closed():
    for outcome, reason in ((Outcome.ROLLED_BACK, Reason.VERIFIED), (Outcome.SKIPPED, Reason.COOLDOWN)):
        closed = rollback(Phase.CLOSED, outcome=outcome, reason_code=reason)
        decision = decide(closed, observation(BAD_RUNNING, GOOD), Policy(), NOW)
        assert (decision.action, decision.reason) == (Action.WAIT, reason)
