"""What is done next for the pipeline, and for the other groups of a release."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from builders import at, rollback
from lastgood.model import FollowUp, Outcome, Phase, follow_up_due, notices_due

RULE: dict[str, Any] = {"looks_for_commits": True, "pipeline": "shop", "suspect_deployment_id": "d-BAD"}
MOVED = {"rollback_deployment_id": "d-NEW"}


def due(phase: Phase = Phase.CLOSED, **more: Any) -> FollowUp | None:
    return follow_up_due(rollback(phase, **{**RULE, **more}))


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.AWAITING_APPROVAL, Phase.STOPPING, Phase.REDEPLOYING])
def test_nothing_is_due_for_the_pipeline_before_the_redeployment_runs(phase: Phase) -> None:
    assert due(phase, hold_stage="Deploy", after_rollback="rerun", rerun_request="{}") is None


def test_the_order_is_hold_then_commits_and_after_the_proof_the_rerun() -> None:
    every = {**MOVED, "hold_stage": "Deploy", "after_rollback": "rerun", "rerun_request": "{}"}
    assert due(Phase.VERIFYING, **every) is FollowUp.HOLD
    assert due(Phase.VERIFYING, **every, followed_up=("HOLD",)) is FollowUp.FIND_COMMITS
    both = ("HOLD", "FIND_COMMITS")
    assert due(Phase.VERIFYING, **every, followed_up=both) is None
    assert due(outcome=Outcome.ROLLED_BACK, **every, followed_up=both) is FollowUp.RERUN
    assert due(outcome=Outcome.FAILED, **every, followed_up=both) is None


@pytest.mark.parametrize("outcome", list(Outcome))
def test_commits_are_looked_for_whatever_became_of_it_but_not_where_nothing_was_wrong(outcome: Outcome) -> None:
    assert due(outcome=outcome) is (None if outcome is Outcome.SKIPPED else FollowUp.FIND_COMMITS)


@pytest.mark.parametrize("outcome", [Outcome.BLOCKED, Outcome.SKIPPED, Outcome.DRY_RUN])
def test_a_rollback_that_put_nothing_back_holds_and_reruns_nothing(outcome: Outcome) -> None:
    rest = {"hold_stage": "Deploy", "after_rollback": "rerun", "rerun_request": "{}", "followed_up": ("FIND_COMMITS",)}
    assert due(outcome=outcome, dry_run=outcome is Outcome.DRY_RUN, **rest) is None


def test_nothing_is_due_where_no_rule_was_pinned_or_no_suspect_is_known() -> None:
    assert follow_up_due(rollback(Phase.CLOSED, outcome=Outcome.ROLLED_BACK, suspect_deployment_id="d-BAD")) is None
    assert due(outcome=Outcome.BLOCKED, suspect_deployment_id="") is None


@pytest.mark.parametrize("rule", [{"held_at": datetime(2026, 3, 2, tzinfo=UTC)}, {"rerun_execution_id": "run-2"}])
def test_the_closing_notice_waits_for_what_is_prompt_and_not_for_what_takes_days(rule: dict[str, Any]) -> None:
    ended = rollback(Phase.CLOSED, outcome=Outcome.ROLLED_BACK, **RULE)
    assert "closed" not in notices_due(ended)
    told = rollback(Phase.CLOSED, outcome=Outcome.ROLLED_BACK, **RULE, **rule, followed_up=("FIND_COMMITS",))
    assert follow_up_due(told) in {FollowUp.WATCH_RERUN, FollowUp.RELEASE}
    assert "closed" in notices_due(told)


def test_whatever_is_settled_is_never_due_again() -> None:
    for phase, outcome in product(Phase, [None, *Outcome]):
        settled = rollback(
            phase,
            outcome=outcome,
            **RULE,
            **MOVED,
            hold_stage="Deploy",
            after_rollback="rerun",
            rerun_request="{}",
            rerun_execution_id="run-2",
            held_at=at(0) + timedelta(minutes=1),
            followed_up=tuple(FollowUp),
        )
        assert follow_up_due(settled) is None


def test_a_redeployment_that_failed_holds_the_stage_and_one_that_never_began_does_not() -> None:
    stuck = {"hold_stage": "Deploy", "outcome": Outcome.FAILED, "followed_up": ("FIND_COMMITS",)}
    assert due(**MOVED, **stuck) is FollowUp.HOLD
    assert due(**stuck) is None
    assert due(Phase.VERIFYING, hold_stage="Deploy") is None, "somebody else's rollback is watched"


def test_a_stage_that_no_rule_names_is_not_held() -> None:
    assert due(Phase.VERIFYING, **MOVED, followed_up=("FIND_COMMITS",)) is None


def test_a_dry_run_holds_nothing_though_it_began_to_move() -> None:
    dry = {"hold_stage": "Deploy", "dry_run": True, "followed_up": ("FIND_COMMITS",)}
    assert due(Phase.VERIFYING, **MOVED, **dry) is None


def test_the_rerun_needs_the_rule_and_a_run_to_repeat() -> None:
    proven = {**MOVED, "outcome": Outcome.ROLLED_BACK, "followed_up": ("FIND_COMMITS",)}
    assert due(**proven, after_rollback="rerun", rerun_request="{}") is FollowUp.RERUN
    assert due(**proven, after_rollback="tell", rerun_request="{}") is None
    assert due(**proven, after_rollback="rerun") is None


@pytest.mark.parametrize(
    ("known", "found"),
    [
        pytest.param({"pipeline": "shop"}, True, id="by the pipeline"),
        pytest.param({"suspect_revisions": ("s3://bucket/shop.zip?versionId=2",)}, True, id="by the bundle"),
        pytest.param({"suspect_revisions": ("lambda:shop:2",)}, False, id="by nothing"),
        pytest.param({"pipeline": "shop", "looks_for_commits": False}, False, id="nobody wants to know"),
        pytest.param({"pipeline": "shop", "suspect_deployment_id": ""}, False, id="of nobody"),
    ],
)
def test_commits_are_looked_for_where_something_leads_to_them(known: dict[str, Any], found: bool) -> None:
    rule = {"looks_for_commits": True, "suspect_deployment_id": "d-BAD", "outcome": Outcome.BLOCKED, **known}
    assert (follow_up_due(rollback(Phase.CLOSED, **rule)) is FollowUp.FIND_COMMITS) is found


@pytest.mark.parametrize(
    ("release", "follow"),
    [
        pytest.param({}, True, id="another group was released with this one"),
        pytest.param({"others_of_release": "tell"}, False, id="people are told"),
        pytest.param({"release_deployments": {"shop/prod": "d-BAD"}}, False, id="this group alone"),
        pytest.param({"release_deployments": {}}, False, id="nothing is known"),
        pytest.param({"outcome": Outcome.FAILED}, False, id="nothing was put back here"),
    ],
)
def test_the_other_groups_of_a_release_follow_one_that_was_put_back(release: dict[str, Any], follow: bool) -> None:
    both = {"release_deployments": {"shop/prod": "d-BAD", "shop/eu": "d-EU"}, "others_of_release": "follow"}
    ended = rollback(Phase.CLOSED, **{"outcome": Outcome.ROLLED_BACK, **both, **release})
    assert (follow_up_due(ended) is FollowUp.BRING_OTHERS) is follow
