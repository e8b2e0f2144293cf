"""Rollbacks of others: what they go back to, and whether they put anything back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import at, native_rollback, newest_first, our_rollback, release, rollback, running, seconds
from lastgood.judgement.theirs import (
    attempts_to_compare,
    beside,
    brings_back,
    deployed_before,
    goes_back,
    met_the_alarm,
    perhaps_nothing_new,
    put_back_already,
    reason_to_watch,
    standing,
    to_compare,
    whose,
    why_it_failed,
    without_attempts,
)
from lastgood.model import Deployment, Reach, Reason, Revision

BREACH = at(0)
FIRST = release("d-1", "v1", -600)


def named(deployment_id: str, identity: str, created: float, moves: str = "main moves", **more: Any) -> Deployment:
    """A release by a name that may mean something else by now."""
    made = release(deployment_id, identity, created, **more)
    return replace(made, revision=Revision("AppSpecContent", identity, moves=moves))


# --- goes back ------------------------------------------------------------------------------------------------------


def test_a_release_of_what_was_live_before_is_somebodys_rollback() -> None:
    assert goes_back(release("d-3", "v1", -5), newest_first(release("d-3", "v1", -5), release("d-2"), FIRST))


@pytest.mark.parametrize(
    "older",
    [
        pytest.param((), id="nothing was before it"),
        pytest.param((release("d-2"),), id="nothing else was live before"),
        pytest.param((release("d-2", "v1"), FIRST), id="it replaces the same"),
        pytest.param((native_rollback("d-2", "v2"), FIRST), id="it replaces a rollback"),
        pytest.param((release("d-2"), release("d-1", "v1", -600, status="Failed")), id="what it names never served"),
    ],
)
def test_a_release_of_what_was_not_live_before_is_no_rollback(older: tuple[Deployment, ...]) -> None:
    newest = release("d-3", "v1", -1)
    assert not goes_back(newest, newest_first(newest, *older))


def test_to_release_again_what_somebody_rolled_back_is_no_rollback() -> None:
    back, again = release("d-3", "v1", -5), release("d-4", "v2", -1)
    assert not goes_back(again, newest_first(again, back, release("d-2"), FIRST))


def test_a_stacks_rollback_is_one_while_it_runs() -> None:
    stack = running("d-3", "v9", creator="CloudFormationRollback")
    assert goes_back(stack, (stack,))
    assert not goes_back(replace(stack, status="Succeeded"), (stack,))


def test_what_it_replaces_may_have_failed() -> None:
    back, failed = running("d-3", "v1"), release("d-2", "v2", -10, status="Failed")
    assert goes_back(back, newest_first(back, failed, FIRST))
    done = replace(back, status="Succeeded")
    assert goes_back(done, newest_first(done, failed, FIRST))
    assert not goes_back(done, newest_first(done, replace(failed, reach=Reach()), FIRST))


# --- what has to be compared ----------------------------------------------------------------------------------------


def test_only_the_content_tells_whether_a_name_that_moves_goes_back() -> None:
    newest, between, before = named("d-3", "main", -1), named("d-2", "fix", -10), named("d-1", "main", -600)
    assert to_compare((newest, between, before)) == (newest, before)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((), id="no event"),
        pytest.param((native_rollback("d-3"), release("d-2"), FIRST), id="a rollback on top"),
        pytest.param((release("d-3", "v1", -1), release("d-2"), FIRST), id="a name that tells"),
        pytest.param(
            (named("d-3", "main", -1), named("d-2", "main", -10), named("d-1", "main", -600)),
            id="the same name just before",
        ),
        pytest.param((named("d-3", "main", -1), named("d-2", "fix", -10)), id="another name"),
        pytest.param(
            (named("d-3", "main", -1), named("d-2", "fix", -9), named("d-1", "main", -600, status="Failed")),
            id="that one never served",
        ),
    ],
)
def test_else_nothing_has_to_be_compared(events: tuple[Deployment, ...]) -> None:
    assert to_compare(events) == ()


def to(target: str, made: Deployment) -> Deployment:
    return replace(made, revision=replace(made.revision, target=target))


def test_the_newest_release_may_be_one_of_the_two_that_were_live_before_under_another_name() -> None:
    newest, last, before = release("d-4", "v4", -1), release("d-3", "v3", -5), release("d-2")
    failed, other = release("d-35", "v9", -3, status="Failed"), to("shop:live", release("d-34", "v8", -4))
    assert perhaps_nothing_new((newest, failed, other, last, before, FIRST)) == (newest, last, before)
    assert perhaps_nothing_new((newest, last)) == (newest, last)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((), id="no event"),
        pytest.param((native_rollback("d-3"), release("d-2"), FIRST), id="a rollback on top"),
        pytest.param((release("d-2"),), id="nothing was live before"),
    ],
)
def test_else_there_is_nothing_that_it_may_have_released_again(events: tuple[Deployment, ...]) -> None:
    assert perhaps_nothing_new(events) == ()


def test_what_was_deployed_before_is_the_newest_success_to_the_same_target() -> None:
    mine, theirs = to("shop:live", release("d-5", "v5", -5)), to("stock:live", release("d-4", "v4", -6))
    failed, same_time = release("d-3", "v3", -7, status="Failed"), release("d-51", "v6", -5)
    made_up, unread, older = release("d-5/before", "v2", -8), release("d-2", "", -9), to("shop:live", FIRST)
    history = (release("d-6", "v6", -1), same_time, mine, theirs, failed, made_up)
    assert deployed_before(mine, (*history, unread, older)) == unread
    assert deployed_before(mine, (*history, older)) == older
    assert deployed_before(mine, history) is None


# --- rollbacks that failed ------------------------------------------------------------------------------------------


def test_a_rollback_on_top_that_failed_leaves_the_release_in_question() -> None:
    bad = release("d-2")
    later, sooner = (native_rollback(f"d-{n}", "v1", -n / 10, status="Failed") for n in (3, 4))
    assert standing((later, sooner, bad, FIRST)) == ((bad, FIRST), later)


@pytest.mark.parametrize(
    "top",
    [
        pytest.param(native_rollback("d-3"), id="it succeeded"),
        pytest.param(our_rollback("d-3", status="Failed"), id="it was lastgood's own"),
        pytest.param(release("d-3", "v3", -1, status="Failed"), id="it was a release"),
    ],
)
def test_whatever_else_is_on_top_stays(top: Deployment) -> None:
    events = (top, release("d-2"), FIRST)
    assert standing(events) == (events, None)


def test_somebodys_own_rollback_that_failed_put_nothing_back_either() -> None:
    failed, bad = release("d-3", "v1", -1, status="Failed"), release("d-2")
    assert standing((failed, bad, FIRST)) == ((bad, FIRST), failed)


# --- attempts -------------------------------------------------------------------------------------------------------

FAILED = release("d-2", "v2", -20, took=2, status="Failed")
UNDONE = native_rollback("d-3", "v1", -17, of="d-2", took=1)


def test_an_attempt_that_failed_by_itself_and_was_undone_before_the_breach_is_no_event() -> None:
    assert without_attempts((UNDONE, FAILED, FIRST), BREACH) == [FIRST]


def test_so_it_is_where_what_was_live_before_was_not_read() -> None:
    assert without_attempts((UNDONE, FAILED), BREACH) == []


@pytest.mark.parametrize(
    ("undone", "failed"),
    [
        pytest.param(replace(UNDONE, status="Failed"), FAILED, id="the rollback failed"),
        pytest.param(replace(UNDONE, completed_at=BREACH), FAILED, id="it ended with the breach"),
        pytest.param(replace(UNDONE, completed_at=None, created_at=BREACH), FAILED, id="it began with the breach"),
        pytest.param(replace(UNDONE, creator="user", made_by="rb-1"), FAILED, id="it was not AWS's"),
        pytest.param(UNDONE, replace(FAILED, status="Stopped"), id="somebody stopped it"),
        pytest.param(replace(UNDONE, rolls_back_deployment_id="d-9"), FAILED, id="it undid another one"),
        pytest.param(replace(UNDONE, revision=Revision("AppSpecContent", "v0")), FAILED, id="it put another one back"),
    ],
)
def test_any_other_attempt_is_one(undone: Deployment, failed: Deployment) -> None:
    assert without_attempts((undone, failed, FIRST), BREACH) == [undone, failed, FIRST]


def test_a_rollback_without_an_end_ended_when_it_began() -> None:
    early = replace(UNDONE, completed_at=None)
    assert without_attempts((early, FAILED, FIRST), BREACH) == [FIRST]


def test_an_attempt_that_reached_nobody_is_no_event() -> None:
    nobody = release("d-4", "v4", -10, status="Failed", reach=Reach())
    assert without_attempts((nobody, FIRST), BREACH) == [FIRST]
    assert without_attempts((nobody, UNDONE, FAILED, FIRST), BREACH) == [FIRST]


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(FAILED, id="nobody knows whom it reached"),
        pytest.param(replace(FAILED, reach=Reach(at(-19))), id="users met it"),
        pytest.param(replace(FAILED, reach=Reach(), rollback_deployment_id="d-9"), id="AWS undid it"),
        pytest.param(replace(FAILED, reach=Reach(), status="Succeeded"), id="it succeeded"),
    ],
)
def test_any_other_one_alone_is_one(attempt: Deployment) -> None:
    assert without_attempts((attempt, FIRST), BREACH) == [attempt, FIRST]


def test_where_names_do_not_tell_what_was_put_back_both_are_compared() -> None:
    before = named("d-1", "main", -600)
    undone = replace(UNDONE, revision=Revision("AppSpecContent", "main", moves="main moves"))
    assert attempts_to_compare((undone, FAILED, before), BREACH) == [undone, before]
    assert without_attempts((undone, FAILED, before), BREACH) == [undone, FAILED, before]
    assert attempts_to_compare((undone, FAILED, FIRST), BREACH) == [undone, FIRST]
    assert attempts_to_compare((UNDONE, FAILED, FIRST), BREACH) == []
    assert attempts_to_compare((undone, FAILED), BREACH) == []


def test_what_was_live_before_an_attempt_is_the_newest_that_succeeded_before_it() -> None:
    between = named("d-15", "next", -100, status="Failed")
    undone = replace(UNDONE, revision=Revision("AppSpecContent", "main", moves="main moves"))
    newer, older = named("d-1", "main", -600), named("d-0", "main", -900)
    after = named("d-4", "later", -3)
    assert attempts_to_compare((after, undone, FAILED, between, newer, older), BREACH) == [undone, newer]


@pytest.mark.parametrize(
    ("took", "code", "met"), [(9, "ALARM_ACTIVE", True), (10, "ALARM_ACTIVE", False), (1, "", False)]
)
def test_what_a_firing_alarm_stops_at_once_met_the_alarm(took: float, code: str, met: bool) -> None:
    created = at(-5)
    stopped = release("d-2", "v2", -5, status="Stopped", error_code=code, completed_at=created + seconds(took))
    assert met_the_alarm(stopped) is met
    assert met_the_alarm(replace(stopped, completed_at=None)) is bool(code)


# --- put back already -----------------------------------------------------------------------------------------------


def test_what_was_live_before_the_suspects_is_back_by_somebody() -> None:
    back, bad = release("d-3", "v1", -5), release("d-2")
    assert put_back_already((back, bad, FIRST), (bad,)) == back


@pytest.mark.parametrize(
    ("latest", "suspects"),
    [
        pytest.param(release("d-3", "v1", -5), (), id="nobody is blamed"),
        pytest.param(release("d-3", "v3", -5), (release("d-2"),), id="it is another one"),
        pytest.param(release("d-3", "v1", -5, status="Failed"), (release("d-2"),), id="it failed"),
        pytest.param(release("d-2"), (release("d-2"),), id="it is the suspect"),
    ],
)
def test_where_the_newest_release_is_no_way_back_nobody_has_put_it_back(
    latest: Deployment, suspects: tuple[Deployment, ...]
) -> None:
    history = newest_first(*{d.deployment_id: d for d in (latest, release("d-2"), FIRST)}.values())
    assert put_back_already(history, suspects) is None


def test_a_restart_on_top_does_not_hide_a_rollback_under_it() -> None:
    restart, back, bad = release("d-4", "v1", -4, restart=True), release("d-3", "v1", -5), release("d-2")
    assert put_back_already((restart, back, bad, FIRST), (bad,)) == back


def test_where_nothing_succeeded_before_nothing_can_be_back() -> None:
    back, bad = release("d-3", "v1", -5), release("d-2")
    assert put_back_already((back, bad), (bad,)) is None


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (our_rollback("d-3"), "the rollback rb-before"),
        (native_rollback("d-3"), "ECS's own rollback"),
        (release("d-3", creator="CloudFormation", external_id="shop-stack"), "the rollback of shop-stack"),
        (release("d-3"), "somebody's rollback"),
    ],
)
def test_people_are_told_whose_rollback_it_is(made: Deployment, told: str) -> None:
    assert whose(made, "ECS") == told


@pytest.mark.parametrize(
    ("made", "suspect", "reason"),
    [
        (release("d-3", creator="CloudFormation"), None, Reason.STACK_ROLLING_BACK),
        (native_rollback("d-3"), release("d-2", creator="CloudFormation"), Reason.STACK_ROLLING_BACK),
        (native_rollback("d-3"), release("d-2"), Reason.NATIVE_ROLLBACK),
        (native_rollback("d-3"), None, Reason.NATIVE_ROLLBACK),
        (release("d-3"), release("d-2"), Reason.ALREADY_ROLLING_BACK),
    ],
)
def test_the_reason_to_watch_it_says_who_began(made: Deployment, suspect: Deployment | None, reason: Reason) -> None:
    assert reason_to_watch(made, suspect) is reason


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("", "", "CodeDeploy's own rollback d-3 is Failed"),
        (
            "HEALTH_CONSTRAINTS",
            "too few instances.",
            "CodeDeploy's own rollback d-3 is Failed (HEALTH_CONSTRAINTS): too few instances",
        ),
        ("", "No. Never in EU-X.", "CodeDeploy's own rollback d-3 is Failed: No. Never in EU-X"),
    ],
)
def test_why_a_rollback_failed_is_told_in_awss_words(code: str, message: str, told: str) -> None:
    failed = native_rollback("d-3", status="Failed", error_code=code, error_message=message)
    assert why_it_failed(failed, "CodeDeploy") == told


def test_what_others_did_is_told_at_the_end() -> None:
    assert beside(rollback()) == ""
    assert beside(rollback(failed_rollback="ECS's own rollback d-3 is Failed")) == " ECS's own rollback d-3 is Failed."
    for status, told in (
        ("UPDATE_ROLLBACK_IN_PROGRESS", " Its stack rolls back too: shop-stack."),
        ("UPDATE_COMPLETE", " The stack shop-stack holds it and is UPDATE_COMPLETE."),
    ):
        assert beside(rollback(suspect_stack="shop-stack", stack_status=status)) == told


@pytest.mark.parametrize(
    ("deployed", "back"), [("v1", True), ("v1-again", True), ("v2", False), ("v3", False), ("", False)]
)
def test_a_release_brings_back_what_a_rollback_put_back_under_either_name(deployed: str, back: bool) -> None:
    record = rollback(good_revision="v1", redeployed_revision="v1-again", suspect_revisions=("v2",))
    assert brings_back(release("d-9", deployed), record) is back
    assert not brings_back(release("d-9", "v2"), rollback(good_revision="v2", suspect_revisions=("v2",)))


def test_a_release_without_a_name_brings_back_nothing_that_has_none_either() -> None:
    nameless = replace(release("d-9"), revision=Revision("AppSpecContent", "", digest="sha256:1"))
    assert not brings_back(nameless, rollback(good_revision="v1"))
