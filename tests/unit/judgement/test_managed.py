"""What CloudFormation holds is moved by its stack, by its pipeline, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, group, observation, rollback, seconds
from judging import BAD, BAD_RUNNING, GOOD, refused
from lastgood.judgement.case import Case
from lastgood.judgement.managed import not_cloudformation
from lastgood.judgement.stacks import advice
from lastgood.judgement.steps import AskApproval, Close, Decision, Wait
from lastgood.model import BEFORE, ComputePlatform, Mode, Origin, Outcome, Policy, Reason, Rollback, TriggerKind

STACK = "shop-stack"
HELD = replace(BAD, held_by=STACK)
MADE = replace(BAD, creator="CloudFormation", external_id=STACK)
BY_STAGE = Origin(STACK, "UPDATE_COMPLETE", stage="pipeline:shop/Deploy", stage_run="e-1")


def case(*history: Any, policy: Policy | None = None, record: Rollback | None = None, **more: Any) -> Case:
    approved = more.pop("approved", False)
    return Case(
        record or rollback(),
        observation(*(history or (HELD, GOOD)), **more),
        policy or Policy(),
        NOW,
        approved=approved,
    )


def asked(*history: Any, **more: Any) -> Decision | None:
    """What the guard says; the suspect is held by a stack unless a history is given."""
    return not_cloudformation(case(*history, **more))


def test_what_no_stack_holds_is_ours_to_move() -> None:
    assert asked(BAD, GOOD) is None
    assert asked(BAD, GOOD, origin=Origin()) is None


@pytest.mark.parametrize(
    ("suspect", "told"),
    [
        (HELD, "The stack shop-stack holds what d-2 moved. A redeployment behind its back"),
        (MADE, "The stack shop-stack made d-2. A redeployment behind its back"),
    ],
)
def test_what_a_stack_holds_or_made_is_left_to_it(suspect: Any, told: str) -> None:
    assert told in refused(asked(suspect, GOOD), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED).explanation


def test_where_nobody_could_tell_whether_a_stack_holds_it_nothing_is_moved() -> None:
    said = refused(
        asked(BAD, GOOD, origin=Origin(problem="AccessDenied")), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED
    )
    assert "Whether a stack holds what would be moved could not be told: AccessDenied." in said.explanation


def test_what_is_known_to_be_a_stacks_is_so_whatever_could_not_be_told() -> None:
    said = refused(asked(origin=Origin(problem="AccessDenied")), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)
    assert "could not be told" not in said.explanation


def test_an_operator_who_forces_it_goes_behind_the_stacks_back() -> None:
    forced = rollback(trigger_kind=TriggerKind.MANUAL, alarm_changed_at=None, force=True)
    assert asked(record=forced) is None
    assert asked(record=rollback(force=True)) is not None


def test_a_stack_that_rolls_back_by_itself_is_watched() -> None:
    going = Origin(STACK, "UPDATE_ROLLBACK_IN_PROGRESS", stage="pipeline:shop/Deploy")
    found = asked(origin=going)
    assert isinstance(found, Wait)
    assert found.reason is Reason.STACK_ROLLING_BACK
    assert "and rolls back by itself (UPDATE_ROLLBACK_IN_PROGRESS): it is watched." in found.explanation


@pytest.mark.parametrize(
    "more",
    [
        {"record": rollback(opened_at=NOW - Policy().deadline - seconds(1))},
        {"record": rollback(dry_run=True)},
        {"policy": Policy(mode=Mode.OBSERVE)},
    ],
    ids=["after the deadline", "in a dry run", "in observe mode"],
)
def test_where_there_is_no_time_it_is_decided_now(more: dict[str, Any]) -> None:
    assert isinstance(asked(origin=Origin(STACK, "UPDATE_ROLLBACK_IN_PROGRESS"), **more), Close)
    assert not case(**more).has_time
    assert case().has_time


# --- its pipeline -----------------------------------------------------------------------------------------------------

PLAN = "It goes back with the stage pipeline:shop/Deploy, which released it: that is rolled back instead."


def test_the_stage_that_released_it_is_rolled_back_instead() -> None:
    found = refused(asked(origin=BY_STAGE), Reason.RELEASED_BY_PIPELINE)
    assert (found.passes_on, found.passes_to) == ("pipeline:shop/Deploy", "e-1")
    assert f"The stack shop-stack holds what d-2 moved. {PLAN}" in found.explanation
    assert found.suspects == (HELD,)


@pytest.mark.parametrize(
    ("more", "reason", "why"),
    [
        ({"record": rollback(dry_run=True)}, Reason.RELEASED_BY_PIPELINE, "Dry run"),
        ({"policy": Policy(mode=Mode.OBSERVE)}, Reason.OBSERVE_MODE, "Observe mode"),
        (
            {"record": rollback(dry_run=True), "policy": Policy(mode=Mode.OBSERVE)},
            Reason.RELEASED_BY_PIPELINE,
            "Dry run",
        ),
    ],
)
def test_where_nothing_may_be_done_it_is_told_what_would_be(more: dict[str, Any], reason: Reason, why: str) -> None:
    found = refused(asked(origin=BY_STAGE, **more), reason, Outcome.DRY_RUN)
    assert found.explanation.startswith(f"{why}: nothing was done. It would have been this: The stack shop-stack holds")
    assert PLAN in found.explanation
    assert (found.passes_on, found.suspects) == ("", (HELD,))


def test_in_approve_mode_people_are_asked_first() -> None:
    found = asked(origin=BY_STAGE, policy=Policy(mode=Mode.APPROVE))
    assert isinstance(found, AskApproval)
    assert found.reason is Reason.NEEDS_APPROVAL
    assert found.explanation.startswith("This deployment group is in approve mode. The plan: The stack shop-stack")
    assert found.suspects == (HELD,)
    approved = asked(origin=BY_STAGE, policy=Policy(mode=Mode.APPROVE), approved=True)
    assert refused(approved, Reason.RELEASED_BY_PIPELINE).passes_on


def test_a_stack_whose_update_failed_is_not_updated_by_the_stage() -> None:
    failed = replace(BY_STAGE, status="UPDATE_FAILED")
    assert refused(asked(origin=failed), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ((HELD, GOOD), "is not known to have released v1 (from d-1)"),
        ((HELD,), "released it, and no good revision is known"),
    ],
)
def test_a_stage_that_did_not_release_what_goes_back_is_left_alone(history: tuple[Any, ...], said: str) -> None:
    unknown = replace(BY_STAGE, stage_run="")
    found = refused(asked(*history, origin=unknown), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)
    assert said in found.explanation
    assert found.passes_on == ""


def test_what_was_live_before_the_first_deployment_goes_back_with_the_stage_that_knows_it() -> None:
    before = replace(GOOD, deployment_id=HELD.deployment_id + BEFORE)
    found = refused(asked(HELD, before, origin=replace(BY_STAGE, stage_run="")), Reason.RELEASED_BY_PIPELINE)
    assert (found.passes_on, found.passes_to) == ("pipeline:shop/Deploy", "")


# --- while it runs ----------------------------------------------------------------------------------------------------

HELD_RUNNING = replace(BAD_RUNNING, held_by=STACK)


def test_a_stacks_release_that_runs_is_stopped_where_codedeploy_then_puts_back_the_same() -> None:
    assert asked(HELD_RUNNING, GOOD) is None
    assert asked(HELD_RUNNING, GOOD, policy=Policy(native_rollback=False)) is not None


def test_codedeploys_hook_lets_nobody_stop_what_a_stack_deploys_to_ecs() -> None:
    running = replace(BAD_RUNNING, creator="CloudFormation", external_id=STACK)
    for platform, stopped in ((ComputePlatform.ECS, False), (ComputePlatform.LAMBDA, True)):
        facts = group(platform, last_successful_id="d-1")
        assert (asked(running, GOOD, group=facts) is None) is stopped
        assert asked(HELD_RUNNING, GOOD, group=facts) is None


@pytest.mark.parametrize(
    "origin",
    [Origin(STACK, "UPDATE_COMPLETE"), Origin(STACK, "UPDATE_FAILED", stage="pipeline:shop/Prod")],
    ids=["no stage released it", "its stack failed"],
)
def test_people_are_told_of_no_stage_where_none_could_go_back(origin: Origin) -> None:
    told = refused(asked(HELD, GOOD, origin=origin), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED).explanation
    assert told.endswith(f"would leave the stack believing in another version. {advice(STACK, origin)}")
