"""A record acts only as long as AWS and the group's lock say what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, ROLLBACK_ID, at, by_operator, observation, release
from judging import BAD, GOOD, refused, stopping
from lastgood.judgement.case import Case
from lastgood.judgement.recheck import changed_since, choice_again, suspects_in, without_the_lock
from lastgood.judgement.steps import Decision
from lastgood.model import (
    AlarmHistory,
    Controls,
    Firing,
    Image,
    Observation,
    Outcome,
    Policy,
    Reason,
    Revision,
    Rollback,
)

OLDEST = release("d-0", "v0", -900)


def again(*history: Any, record: Rollback | None = None, good: Any = GOOD, **seen: Any) -> Decision | None:
    """What is said when the choice of the record (d-1 goes back, d-2 is blamed) is looked at once more."""
    asked = record or stopping(suspect_created_at=BAD.created_at)
    facts = {"alarm_history": AlarmHistory(known_since=at(-2000)), **seen}
    return choice_again(Case(asked, observation(*history, good=good, **facts), Policy(), NOW))


def contradiction(decision: Decision | None) -> str:
    """Why the record is not believed; it has to be for that."""
    return refused(decision, Reason.RECORD_CONTRADICTED, Outcome.BLOCKED).explanation


# --- the lock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", [None, ROLLBACK_ID])
def test_a_record_acts_under_its_own_lock_and_where_nobody_read_it(holder: str | None) -> None:
    assert without_the_lock(stopping(), Observation(locked_by=holder)) is None


@pytest.mark.parametrize(("holder", "named"), [("", "no rollback"), ("rb-other", "rb-other")])
def test_a_record_without_the_lock_of_its_group_does_nothing(holder: str, named: str) -> None:
    said = contradiction(without_the_lock(stopping(), Observation(locked_by=holder)))
    assert f"The lock of shop/prod names {named}, not {ROLLBACK_ID}" in said


# --- what goes back ---------------------------------------------------------------------------------------------------


def images(digest: str, container: str = "web") -> tuple[Image, ...]:
    return (Image(container, f"shop/{container}:latest", digest),)


def test_the_revision_that_was_chosen_is_as_it_was() -> None:
    assert changed_since(stopping(), Revision("AppSpecContent", "v1")) == ""


def test_a_name_that_means_something_else_by_now_is_told_with_its_cause() -> None:
    assert changed_since(stopping(), Revision("AppSpecContent", "v9")) == "it is v9 by now"
    assert changed_since(stopping(), Revision("AppSpecContent", "", moves="main moved")) == "main moved"


@pytest.mark.parametrize(
    ("recorded", "now", "lost"),
    [
        (("web=sha256:1",), images("sha256:1"), False),
        (("web=sha256:1",), images("sha256:2"), True),
        (("web=sha256:1",), images(""), True),
        (("web=sha256:1=2",), images("sha256:1=3"), True),
        # Nobody knew it when the choice was made, or no digest was wanted: nothing is lost.
        (("web=",), images("sha256:2"), False),
        ((), images("sha256:2"), False),
        (("web=sha256:1", "log=sha256:3"), (*images("sha256:1"), *images("sha256:4", "log")), True),
    ],
)
def test_an_image_whose_digest_is_no_longer_that_of_the_choice_is_named(
    recorded: tuple[str, ...], now: tuple[Image, ...], lost: bool
) -> None:
    said = changed_since(stopping(good_digests=recorded), Revision("AppSpecContent", "v1", images=now))
    assert bool(said) is lost
    assert not lost or f"which image {now[-1].reference} was" in said


def test_a_digest_with_an_equals_sign_in_it_is_read_whole() -> None:
    record = stopping(good_digests=("web=sha256:1=2",))
    assert changed_since(record, Revision("AppSpecContent", "v1", images=images("sha256:1=2"))) == ""


def test_a_choice_that_would_be_made_again_stands() -> None:
    assert again(BAD, GOOD) is None
    assert again(BAD, GOOD, OLDEST) is None


def test_a_choice_that_was_not_read_again_stands() -> None:
    assert again(BAD, GOOD, good=None) is None


def test_a_record_that_blames_nobody_puts_nothing_back() -> None:
    said = contradiction(again(BAD, GOOD, record=stopping(suspect_deployment_id="")))
    assert "d-1, which the record says goes back, is not what would be chosen: the record blames no deployment" in said
    assert said.endswith("Nothing is deployed.")


def test_what_an_operator_forces_by_name_is_not_judged_again() -> None:
    asked = {"suspect_deployment_id": "", "good_deployment_id": "d-1", "good_revision": "v1"}
    assert again(record=by_operator(force=True, to_deployment_id="d-1", **asked)) is None
    for other in ({"force": False, "to_deployment_id": "d-1"}, {"force": True, "to_deployment_id": "d-0"}):
        assert "blames no deployment" in contradiction(again(record=by_operator(**asked, **other)))


@pytest.mark.parametrize(("created", "ok"), [(-11, True), (-10, False), (-9, False)])
def test_what_goes_back_is_older_than_the_oldest_suspect(created: float, ok: bool) -> None:
    record = stopping(suspect_created_at=at(-10))
    other = release("d-1", "v1", created)
    newest = release("d-2", "v2", -5)
    found = again(newest, other, record=record, good=other)
    assert found is None if ok else "not older than the suspect d-2." in contradiction(found)


def test_what_goes_back_is_in_the_history_of_the_group() -> None:
    assert "shop/prod has no such deployment." in contradiction(again(BAD, OLDEST))


def test_without_a_history_the_one_that_goes_back_is_judged_alone() -> None:
    assert again() is None
    assert "It is Failed." in contradiction(again(good=replace(GOOD, status="Failed")))


def test_what_would_be_rejected_now_is_not_deployed_and_the_cause_is_told() -> None:
    known_bad = Controls(known_bad={"v1": "rb-7 rolled it back"})
    for older in ((), (OLDEST,)):
        assert "Known bad: rb-7 rolled it back." in contradiction(again(BAD, GOOD, *older, controls=known_bad))
    same = replace(GOOD, revision=BAD.revision)
    assert "It deployed the same revision as the suspect." in contradiction(again(BAD, same, good=same))


def test_a_chosen_revision_that_cannot_be_deployed_is_no_contradiction_here() -> None:
    assert again(BAD, GOOD, unusable={"d-1": "gone"}) is None


BETTER = release("d-15", "v15", -400)


def test_a_newer_one_that_has_nothing_against_it_is_what_should_have_gone_back() -> None:
    assert "d-15 is newer, and nothing is held against it." in contradiction(again(BAD, BETTER, GOOD))


def test_so_it_is_though_an_unproven_one_is_newer_still() -> None:
    brief = release("d-16", "v16", -20)
    assert "d-15 is newer, and nothing is held against it." in contradiction(again(BAD, brief, BETTER, GOOD))


def test_where_none_is_proven_the_choice_stays_as_it_is() -> None:
    newer, chosen = release("d-15", "v15", -20), replace(GOOD, created_at=at(-35), completed_at=at(-33))
    assert again(BAD, newer, chosen, good=chosen) is None


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"unusable": {"d-15": "gone"}}, id="it cannot be deployed"),
        pytest.param({"controls": Controls(known_bad={"v15": "rb-7 rolled it back"})}, id="it is known bad"),
        pytest.param({"alarm_history": AlarmHistory()}, id="nobody knows how quietly it served"),
        pytest.param(
            {"alarm_history": AlarmHistory((Firing("shop-errors", at(-300), at(-299)),), at(-2000))},
            id="an alarm fired while it served",
        ),
    ],
)
def test_a_newer_one_in_doubt_leaves_the_choice_as_it_is(more: dict[str, Any]) -> None:
    assert again(BAD, BETTER, GOOD, **more) is None


def test_a_newer_one_is_no_objection_where_the_operator_named_another() -> None:
    asked = by_operator(
        to_deployment_id="d-1",
        suspect_deployment_id="d-2",
        suspect_revision="v2",
        good_deployment_id="d-1",
        good_revision="v1",
    )
    assert again(BAD, BETTER, GOOD, record=asked) is None


def test_of_an_operators_rollback_nobody_asks_how_quietly_a_newer_one_served() -> None:
    asked = by_operator(
        suspect_deployment_id="d-2", suspect_revision="v2", good_deployment_id="d-1", good_revision="v1"
    )
    said = contradiction(again(BAD, BETTER, GOOD, record=asked, alarm_history=AlarmHistory()))
    assert "d-15 is newer" in said


def test_what_aws_undid_after_the_suspect_says_nothing_against_the_choice() -> None:
    undone = release("d-3", "v1", -5, status="Stopped", rollback_deployment_id="d-4")
    assert again(undone, BAD, GOOD) is None
    before = release("d-15", "v1", -300, status="Stopped", rollback_deployment_id="d-16")
    assert "AWS itself rolled the same revision back later (d-15)" in contradiction(again(BAD, before, GOOD))


# --- whom the record blames -------------------------------------------------------------------------------------------


def test_the_suspects_of_a_record_are_the_newest_and_what_it_was_released_with() -> None:
    newest, other, unlike = release("d-4", "v4", -2), release("d-3", "v3", -5), release("d-x", "vx", -4)
    older = release("d-2", "v3", -20)
    record = stopping(
        suspect_deployment_id="d-4", suspect_revisions=("v4", "v3", ""), suspect_created_at=other.created_at
    )
    unnamed = release("d-y", "", -3)
    assert suspects_in(record, (newest, unnamed, unlike, other, older)) == [newest, other]


def test_a_record_without_a_time_blames_the_newest_alone() -> None:
    record = stopping(suspect_revisions=("v2", "v1"))
    assert suspects_in(record, (BAD, GOOD)) == [BAD]


def test_a_suspect_that_is_not_in_the_history_is_nobody() -> None:
    assert suspects_in(stopping(), (GOOD,)) == []


def test_what_came_after_the_suspect_is_none_of_them() -> None:
    later = release("d-9", "v2", -1)
    assert suspects_in(stopping(suspect_created_at=BAD.created_at), (later, BAD, GOOD)) == [BAD]
