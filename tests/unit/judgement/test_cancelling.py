"""A stack's update is cancelled while it runs, where that puts back what would go back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, at, by_operator, observation, release, rollback, seconds
from judging import BAD, BAD_RUNNING, GOOD, refused
from lastgood.judgement.cancelling import CANCELLED_AGAIN_AFTER, after_cancel, cancel_update, may_be_cancelled
from lastgood.judgement.case import Case
from lastgood.judgement.steps import CancelUpdate, Decision, Wait
from lastgood.judgement.wording import clock
from lastgood.model import BEFORE, Controls, Deployment, Image, Origin, Outcome, Phase, Policy, Reason, Rollback

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-prod/1"
RUNS = Origin(STACK, "UPDATE_IN_PROGRESS")
NAMED = Policy(cancel_stack_updates="shop-*")


def case(
    *history: Deployment, policy: Policy = NAMED, record: Rollback | None = None, later: float = 0, **seen: Any
) -> Case:
    facts = {"origin": RUNS, **seen}
    now = NOW + seconds(later)
    return Case(record or rollback(), observation(*(history or (BAD_RUNNING, GOOD)), **facts), policy, now)


# --- whether ----------------------------------------------------------------------------------------------------------


def test_an_update_that_runs_is_cancelled_where_the_settings_name_its_stack() -> None:
    assert may_be_cancelled(case())
    assert may_be_cancelled(case(BAD, GOOD))


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(case(origin=None), id="no stack was looked for"),
        pytest.param(case(origin=Origin(STACK, "UPDATE_COMPLETE")), id="its update is over"),
        pytest.param(
            case(origin=Origin("", "UPDATE_IN_PROGRESS"), policy=Policy(cancel_stack_updates="*")),
            id="no stack holds it",
        ),
        pytest.param(case(policy=Policy()), id="the settings name none"),
        pytest.param(case(policy=Policy(cancel_stack_updates="other-*")), id="they name another one"),
        pytest.param(case(GOOD), id="nobody is blamed"),
        pytest.param(case(BAD_RUNNING), id="nothing can go back"),
        pytest.param(case(record=by_operator(force=True)), id="an operator insists"),
        pytest.param(case(record=by_operator(to_deployment_id="d-1")), id="an operator names what goes back"),
        pytest.param(case(later=Policy().deadline.total_seconds() + 1), id="it is late"),
    ],
)
def test_an_update_is_left_to_run_unless_everything_speaks_for_cancelling_it(found: Case) -> None:
    assert not may_be_cancelled(found)


@pytest.mark.parametrize(
    ("began_minutes_ago", "undone"), [(10, True), (0.5, False), (None, False)], ids=["one", "two", "nobody knows"]
)
def test_of_two_blamed_releases_both_have_to_be_of_the_update_that_is_undone(
    began_minutes_ago: float | None, undone: bool
) -> None:
    history = (release("d-3", "v3", -0.4), release("d-2", "v2", -2), GOOD)
    began = NOW if began_minutes_ago is None else at(-began_minutes_ago)
    found = case(*history, origin=replace(RUNS, updated_at=began if began_minutes_ago else None))
    assert len(found.attribution.suspects) == 2
    assert may_be_cancelled(found) is undone


def test_an_update_that_began_after_the_suspect_is_not_its_own() -> None:
    assert not may_be_cancelled(case(BAD, GOOD, origin=replace(RUNS, updated_at=BAD.created_at + seconds(6))))
    assert may_be_cancelled(case(BAD, GOOD, origin=replace(RUNS, updated_at=BAD.created_at)))


def test_an_update_is_cancelled_only_if_that_puts_back_what_would_go_back() -> None:
    between = release("d-15", "v15", -100)
    known_bad = Controls(known_bad={"v15": "rb-7"})
    assert not may_be_cancelled(case(BAD_RUNNING, between, GOOD, controls=known_bad))
    again = release("d-16", "v1", -50)
    assert may_be_cancelled(case(BAD_RUNNING, again, between, GOOD, controls=known_bad))
    failed = replace(between, status="Failed")
    assert may_be_cancelled(case(BAD_RUNNING, failed, GOOD))
    moving = replace(GOOD, revision=replace(GOOD.revision, images=(Image("web", "shop/web:latest"),)))
    assert may_be_cancelled(case(BAD_RUNNING, moving)), "it is the very deployment"


def test_a_nested_stacks_name_is_that_of_the_outermost_one() -> None:
    nested = Origin(STACK.replace("shop-prod", "other-nested"), "UPDATE_IN_PROGRESS", root=STACK)
    assert may_be_cancelled(case(origin=nested))


def test_all_of_the_update_is_cancelled_and_people_are_told() -> None:
    found = cancel_update(case())
    assert isinstance(found, CancelUpdate)
    assert (found.reason, found.stack, found.suspects, found.good) == (
        Reason.STACK_ROLLING_BACK,
        STACK,
        (BAD_RUNNING,),
        GOOD,
    )
    assert found.explanation.startswith(
        f"d-2 (v2) is InProgress, and the update of the stack {STACK} that made it still runs"
    )


def test_an_update_that_began_before_what_goes_back_was_released_puts_something_older_back() -> None:
    assert may_be_cancelled(case(origin=replace(RUNS, updated_at=at(-599)))) is True
    assert may_be_cancelled(case(origin=replace(RUNS, updated_at=at(-700)))) is False


# --- and then ---------------------------------------------------------------------------------------------------------


def after(later: float = 5, **origin: Any) -> Decision | None:
    """What is decided so many seconds after the cancellation was asked for."""
    record = rollback(Phase.STOPPING, stack_cancel_requested_at=NOW)
    return after_cancel(case(record=record, later=later, origin=replace(RUNS, **origin)))


def test_before_it_was_asked_for_there_is_nothing_to_watch() -> None:
    assert after_cancel(case()) is None
    asked = rollback(Phase.STOPPING, stack_cancel_requested_at=NOW)
    assert after_cancel(case(record=asked, origin=None)) is None


def test_a_cancellation_without_effect_is_asked_for_again_after_a_moment() -> None:
    for status in ("UPDATE_IN_PROGRESS", ""):
        waits = after(29, status=status)
        assert isinstance(waits, Wait)
        assert waits.explanation == f"The update of {STACK} is being cancelled."
    assert seconds(30) == CANCELLED_AGAIN_AFTER
    again = after(30)
    assert isinstance(again, CancelUpdate)
    assert (again.reason, again.stack) == (Reason.STACK_ROLLING_BACK, STACK)
    assert again.explanation == f"The update of {STACK} still runs, so it is (again) asked to be cancelled."
    assert isinstance(after(30, status=""), Wait)


def test_while_it_goes_back_it_is_watched() -> None:
    waits = after(60, status="UPDATE_ROLLBACK_IN_PROGRESS")
    assert isinstance(waits, Wait)
    assert waits.reason is Reason.STACK_ROLLING_BACK
    assert (
        waits.explanation == f"The stack {STACK} is UPDATE_ROLLBACK_IN_PROGRESS, and puts back what was there before."
    )


def test_what_it_put_back_is_to_be_proven() -> None:
    assert after(60, status="UPDATE_ROLLBACK_COMPLETE") is None


@pytest.mark.parametrize(("began", "another"), [(5.1, True), (5, False), (-600, False), (None, False)])
def test_another_update_that_runs_by_now_may_be_the_fix(began: float | None, another: bool) -> None:
    """Seconds after the suspect was made: AWS's services may date one moment a few seconds apart."""
    record = rollback(Phase.STOPPING, stack_cancel_requested_at=NOW)
    runs = replace(RUNS, updated_at=None if began is None else at(-10) + seconds(began))
    found = after_cancel(case(record=record, later=40, origin=runs, suspect=release("d-2", "v2", -10)))
    if not another:
        assert isinstance(found, CancelUpdate)
        return
    told = refused(found, Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED).explanation
    since = clock(at(-10) + seconds(began or 0))
    assert told == (
        f"The update of {STACK} was to be cancelled and is over. Another one runs since {since}: it may be the fix, so "
        "it is left alone."
    )


def test_where_the_suspect_is_not_read_again_the_record_says_when_it_was_made() -> None:
    record = rollback(Phase.STOPPING, stack_cancel_requested_at=NOW, suspect_created_at=at(-10))
    runs = replace(RUNS, updated_at=at(-5))
    assert refused(after_cancel(case(record=record, origin=runs)), Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED)
    unknown = rollback(Phase.STOPPING, stack_cancel_requested_at=NOW)
    assert isinstance(after_cancel(case(record=unknown, origin=runs)), Wait)


def too_late(good: str = "d-1", **origin: Any) -> Decision | None:
    """What is decided where the update was complete before it could be cancelled."""
    record = rollback(Phase.STOPPING, stack_cancel_requested_at=NOW, good_deployment_id=good)
    facts = {"status": "UPDATE_COMPLETE", **origin}
    return after_cancel(case(record=record, later=60, origin=replace(RUNS, **facts)))


@pytest.mark.parametrize("good, run", [("d-1", "run-1"), (f"d-2{BEFORE}", "")])
def test_an_update_that_was_complete_before_goes_back_with_the_stage_that_released_it(good: str, run: str) -> None:
    found = refused(too_late(good, stage="pipeline:shop/Prod", stage_run=run), Reason.RELEASED_BY_PIPELINE)
    assert (found.passes_on, found.passes_to) == ("pipeline:shop/Prod", run)
    assert found.explanation == (
        f"The update of {STACK} was complete before it could be cancelled. It goes back with the stage "
        "pipeline:shop/Prod, which released it: that is rolled back instead."
    )


def test_while_a_complete_update_cleans_up_it_is_waited_for() -> None:
    found = too_late(status="UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    assert isinstance(found, Wait)
    assert found.explanation == (f"The update of {STACK} was complete before it could be cancelled; it cleans up.")


@pytest.mark.parametrize("origin", [{}, {"stage": "pipeline:shop/Prod"}, {"status": "UPDATE_ROLLBACK_FAILED"}])
def test_what_no_stage_can_put_back_is_left_to_people(origin: dict[str, str]) -> None:
    found = refused(too_late(**origin), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)
    assert found.explanation.startswith(f"The update of {STACK} was to be cancelled and did not go back. ")


def test_after_the_deadline_nothing_more_is_waited_for() -> None:
    assert after(Policy().deadline.total_seconds() + 1) is None


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "UPDATE_ROLLBACK_FAILED"])
def test_an_update_that_does_not_go_back_is_left_to_people(status: str) -> None:
    said = refused(after(60, status=status), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)
    assert said.explanation.startswith(
        f"The update of {STACK} was to be cancelled and did not go back. It is {status}."
    )
