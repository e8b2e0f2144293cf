"""Which revision goes back: the traps between "last successful" and "last good"."""

from __future__ import annotations

from typing import Any

import pytest

from builders import (
    at,
    our_rollback,
    release,
)
from judging import choose, chosen
from lastgood.judgement.choice import MAX_CANDIDATES_RECORDED, Selection, effective_floor, floor_source
from lastgood.model import Candidate, Controls, Deployment, Floor, Reach, Rejection


def rejection_of(deployment_id: str, *history: Deployment, **more: Any) -> Rejection | None:
    selection = choose(*history, **more)
    (found,) = [c for c in selection.candidates if c.deployment_id == deployment_id]
    return found.rejection


# --- what goes back ---------------------------------------------------------------------------------------------------


def test_the_newest_different_revision_before_the_suspect_goes_back():
    history = (release("d-3", "v3"), release("d-2", "v2", -100), release("d-1", "v1", -600))
    assert chosen(*history, suspects=("d-3",)) == "d-2"


def test_the_last_successful_deployment_is_not_the_good_one_when_it_is_the_suspect():
    assert rejection_of("d-2", release("d-2", "v2"), release("d-1", "v1", -100), suspects=("d-2",)) is Rejection.SUSPECT


def test_the_same_revision_deployed_twice_is_not_a_way_back():
    history = (release("d-3", "v2"), release("d-2", "v2", -100), release("d-1", "v1", -600))
    assert rejection_of("d-2", *history, suspects=("d-3",)) is Rejection.SAME_REVISION
    assert chosen(*history, suspects=("d-3",)) == "d-1"


def test_two_appspecs_of_the_same_code_are_the_same_revision_whatever_their_hashes():
    bad = release("d-3", "task:7")
    older = release("d-2", "task:7", -100)
    assert bad.revision == older.revision
    assert chosen(bad, older, release("d-1", "task:6", -600), suspects=("d-3",)) == "d-1"


def test_a_number_minus_one_that_never_ran_here_is_not_invented():
    history = (release("d-2", "task:9"), release("d-1", "task:4", -600))
    assert chosen(*history, suspects=("d-2",)) == "d-1"


def test_a_deployment_newer_than_the_oldest_suspect_is_not_before_it():
    history = (release("d-4", "v4"), release("d-3", "v3", -12), release("d-2", "v2", -14), release("d-1", "v1", -60))
    assert rejection_of("d-3", *history, suspects=("d-4", "d-2")) is Rejection.NOT_BEFORE_SUSPECT


def test_a_deployment_of_the_same_moment_as_the_suspect_is_not_before_it():
    history = (release("d-2", "v2", -10), release("d-1", "v1", -10))
    assert rejection_of("d-1", *history, suspects=("d-2",)) is Rejection.NOT_BEFORE_SUSPECT


@pytest.mark.parametrize("status", ["Failed", "Stopped", "InProgress", "Created", "Ready", "SomethingNew"])
def test_only_a_revision_whose_deployment_succeeded_is_good(status):
    history = (release("d-3", "v3"), release("d-2", "v2", -100, status=status), release("d-1", "v1", -600))
    assert rejection_of("d-2", *history, suspects=("d-3",)) is Rejection.NOT_SUCCEEDED
    assert chosen(*history, suspects=("d-3",)) == "d-1"


@pytest.mark.parametrize(
    ("kind", "rejection"),
    [
        ({"creator": "autoscaling"}, Rejection.SCALE_OUT),
        ({"creator": "autoscalingTermination"}, Rejection.SCALE_OUT),
        ({"creator": "CodeDeployAutoUpdate"}, Rejection.SCALE_OUT),
        ({"outdated_instances_only": True}, Rejection.OUTDATED_INSTANCES_ONLY),
        ({"restart": True}, Rejection.RESTART),
    ],
)
def test_a_deployment_that_released_nothing_is_no_candidate(kind, rejection):
    history = (release("d-3", "v3"), release("d-2", "v2", -100, **kind), release("d-1", "v1", -600))
    assert rejection_of("d-2", *history, suspects=("d-3",)) is rejection
    assert chosen(*history, suspects=("d-3",)) == "d-1"


def test_a_revision_that_cannot_be_read_is_never_chosen():
    history = (release("d-3", "v3"), release("d-2", "", -100), release("d-1", "v1", -600))
    assert rejection_of("d-2", *history, suspects=("d-3",)) is Rejection.UNREADABLE_REVISION


def test_a_suspect_whose_revision_cannot_be_read_does_not_make_the_readable_ones_equal_to_it():
    assert chosen(release("d-2", ""), release("d-1", "v1", -600), suspects=("d-2",)) == "d-1"


def test_a_revision_that_was_rolled_away_from_is_never_chosen_again():
    history = (
        release("d-4", "v4"),
        our_rollback("d-3", "v1", -50),
        release("d-2", "v2", -60),
        release("d-1", "v1", -90),
    )
    controls = Controls(known_bad={"v2": "rolled away from by rb-before"})
    assert chosen(*history, suspects=("d-4",), controls=controls) == "d-3"
    bad = release("d-5", "v2", -40)
    assert rejection_of("d-5", *history, bad, suspects=("d-4",), controls=controls) is Rejection.KNOWN_BAD


def test_the_explanation_of_a_known_bad_revision_says_why_it_is_bad():
    history = (release("d-3", "v3"), release("d-2", "v2", -100))
    selection = choose(*history, suspects=("d-3",), controls=Controls(known_bad={"v2": "leaks memory"}))
    candidate = selection.rejected_for(Rejection.KNOWN_BAD)
    assert candidate is not None
    assert "leaks memory" in candidate.explanation


def test_a_revision_that_codedeploy_rolled_back_later_is_not_good_although_it_succeeded_once():
    history = (
        release("d-4", "v4"),
        release("d-3", "v2", -50, status="Stopped", rollback_deployment_id="d-x"),
        release("d-2", "v2", -100),
        release("d-1", "v1", -600),
    )
    assert rejection_of("d-2", *history, suspects=("d-4",)) is Rejection.ROLLED_BACK_BY_CODEDEPLOY
    assert chosen(*history, suspects=("d-4",)) == "d-1"


@pytest.mark.parametrize(
    "attempt", [{"error_code": "ALARM_ACTIVE", "took": 0.1}, {"reach": Reach()}], ids=["alarm", "reached nobody"]
)
def test_an_attempt_that_said_nothing_of_what_it_contained_speaks_against_no_success(attempt):
    stopped = release("d-3", "v2", -50, status="Stopped", rollback_deployment_id="d-x", **attempt)
    assert chosen(release("d-4", "v4"), stopped, release("d-2", "v2", -100), suspects=("d-4",)) == "d-2"


def test_a_revision_that_succeeded_after_codedeploy_had_rolled_it_back_is_good():
    history = (
        release("d-4", "v4"),
        release("d-3", "v2", -50),
        release("d-2", "v2", -100, status="Stopped", rollback_deployment_id="d-x"),
        release("d-1", "v1", -600),
    )
    assert chosen(*history, suspects=("d-4",)) == "d-3"


def test_only_what_came_later_speaks_against_a_success():
    history = (release("d-3", "v3"), release("d-2", "v2", -100, rollback_deployment_id="d-x"))
    assert chosen(*history, suspects=("d-3",)) == "d-2"


def test_a_revision_that_an_operator_marked_good_is_good_although_codedeploy_rolled_it_back():
    history = (
        release("d-4", "v4"),
        release("d-3", "v2", -50, status="Stopped", rollback_deployment_id="d-x"),
        release("d-2", "v2", -100),
    )
    assert chosen(*history, suspects=("d-4",)) == ""
    assert chosen(*history, suspects=("d-4",), controls=Controls(marked_good=frozenset({"v2"}))) == "d-2"


def test_a_revision_that_can_no_longer_be_deployed_is_skipped_with_the_reason():
    history = (release("d-3", "v3"), release("d-2", "v2", -100), release("d-1", "v1", -600))
    selection = choose(*history, suspects=("d-3",), unusable={"d-2": "its bundle is gone from S3"})
    rejected = selection.rejected_for(Rejection.NOT_DEPLOYABLE)
    assert rejected is not None
    assert rejected.explanation == "its bundle is gone from S3"
    assert selection.good is not None
    assert selection.good.deployment_id == "d-1"


def test_the_first_deployment_has_nothing_to_go_back_to():
    assert chosen(release("d-1", "v1"), suspects=("d-1",)) == ""


def test_a_rollback_deployment_may_be_good_because_its_revision_was_live():
    history = (
        release("d-4", "v4"),
        our_rollback("d-3", "v1", -50),
        release("d-2", "v2", -60),
        release("d-1", "v1", -90),
    )
    assert chosen(*history, suspects=("d-4",)) == "d-3"


# --- the floor --------------------------------------------------------------------------------------------------------


def test_nothing_older_than_a_floor_that_a_release_brought_along_is_chosen():
    history = (
        release("d-3", "v3"),
        release("d-2", "v2", -100, floor=True, status="Failed"),
        release("d-1", "v1", -600),
    )
    assert rejection_of("d-1", *history, suspects=("d-3",)) is Rejection.BELOW_FLOOR


def test_the_floor_itself_may_be_chosen():
    history = (release("d-3", "v3"), release("d-2", "v2", -100, floor=True), release("d-1", "v1", -600))
    assert chosen(*history, suspects=("d-3",)) == "d-2"


def test_a_suspect_that_is_itself_the_floor_leaves_nothing_to_go_back_to():
    history = (release("d-3", "v3", floor=True), release("d-2", "v2", -100))
    assert rejection_of("d-2", *history, suspects=("d-3",)) is Rejection.BELOW_FLOOR


def test_nothing_older_than_an_operators_floor_is_chosen():
    history = (release("d-3", "v3"), release("d-2", "v2", -100), release("d-1", "v1", -600))
    floor = Controls(floor=Floor("d-2", at(-100)))
    assert chosen(*history, suspects=("d-3",), controls=floor) == "d-2"
    blocked = Controls(floor=Floor("d-2", at(-100)), known_bad={"v2": "bad"})
    assert rejection_of("d-1", *history, suspects=("d-3",), controls=blocked) is Rejection.BELOW_FLOOR


def test_a_cleared_floor_no_longer_holds():
    history = (release("d-3", "v3", floor=True), release("d-2", "v2", -100))
    assert chosen(*history, suspects=("d-3",), controls=Controls(cleared_floors=frozenset({"d-3"}))) == "d-2"


def test_clearing_one_floor_leaves_the_other():
    history = (release("d-3", "v3", floor=True), release("d-2", "v2", -100, floor=True), release("d-1", "v1", -600))
    floor = effective_floor(history, Controls(cleared_floors=frozenset({"d-3"})))
    assert floor is not None
    assert floor.deployment_id == "d-2"
    assert "description of d-2" in floor.reason


@pytest.mark.parametrize(("on_revision", "where"), [(True, "a mark on the revision"), (False, "the description")])
def test_people_are_told_where_a_release_says_that_it_is_a_floor(on_revision, where):
    assert floor_source(release("d-2", floor=True, floor_on_revision=on_revision)) == f"{where} of d-2"


def test_of_several_floors_the_newest_counts():
    history = (release("d-3", "v3"), release("d-2", "v2", -100, floor=True), release("d-1", "v1", -600, floor=True))
    older, newer = effective_floor(history, Controls()), Controls(floor=Floor("d-x", at(-50)))
    assert older is not None
    assert older.deployment_id == "d-2"
    assert effective_floor(history, newer) == newer.floor


def test_without_markers_and_operators_there_is_no_floor():
    assert effective_floor((release("d-1", "v1"),), Controls()) is None


# --- an operator's choice ---------------------------------------------------------------------------------------------


def test_an_operator_may_choose_an_older_deployment():
    history = (release("d-3", "v3"), release("d-2", "v2", -100), release("d-1", "v1", -600))
    assert chosen(*history, suspects=("d-3",), to_deployment_id="d-1") == "d-1"
    assert rejection_of("d-2", *history, suspects=("d-3",), to_deployment_id="d-1") is Rejection.NOT_REQUESTED


def test_an_operators_choice_does_not_pass_the_floor_or_the_memory_without_force():
    history = (release("d-3", "v3"), release("d-2", "v2", -100, floor=True), release("d-1", "v1", -600))
    bad = Controls(known_bad={"v1": "bad"})
    pinned: dict[str, Any] = {"suspects": ("d-3",), "to_deployment_id": "d-1"}
    assert rejection_of("d-1", *history, **pinned) is Rejection.BELOW_FLOOR
    assert chosen(*history, **pinned, force=True) == "d-1"
    assert chosen(*history, **pinned, force=True, controls=bad) == "d-1"


def test_force_without_a_choice_passes_nothing():
    history = (release("d-3", "v3", floor=True), release("d-1", "v1", -600))
    assert chosen(*history, suspects=("d-3",), force=True) == ""


@pytest.mark.parametrize(
    ("target", "rejection"),
    [
        ({"status": "Failed"}, Rejection.NOT_SUCCEEDED),
        ({"identity": "v3"}, Rejection.SAME_REVISION),
        ({"identity": ""}, Rejection.UNREADABLE_REVISION),
        ({"restart": True}, Rejection.RESTART),
        ({"at": -1}, Rejection.NOT_BEFORE_SUSPECT),
    ],
)
def test_force_does_not_make_the_impossible_possible(target, rejection):
    wanted = release("d-1", **{"identity": "v1", "at": -600, **target})
    history = (release("d-3", "v3"), wanted)
    assert rejection_of("d-1", *history, suspects=("d-3",), to_deployment_id="d-1", force=True) is rejection


def test_force_does_not_deploy_what_is_gone():
    history = (release("d-3", "v3"), release("d-1", "v1", -600))
    pinned: dict[str, Any] = {"suspects": ("d-3",), "to_deployment_id": "d-1", "force": True}
    assert rejection_of("d-1", *history, **pinned, unusable={"d-1": "gone"}) is Rejection.NOT_DEPLOYABLE


def test_a_deployment_that_does_not_exist_selects_nothing():
    history = (release("d-3", "v3"), release("d-1", "v1", -600))
    assert chosen(*history, suspects=("d-3",), to_deployment_id="d-other") == ""


# --- the record -------------------------------------------------------------------------------------------------------


def test_every_candidate_that_was_looked_at_is_recorded_with_its_reason():
    history = (release("d-4", "v4"), release("d-3", "v4", -90), release("d-2", "v2", -100), release("d-1", "v1", -600))
    candidates = choose(*history, suspects=("d-4",)).candidates
    assert [(c.deployment_id, c.rejection) for c in candidates] == [
        ("d-4", Rejection.SUSPECT),
        ("d-3", Rejection.SAME_REVISION),
        ("d-2", None),
    ]
    assert [(c.revision, c.created_at) for c in candidates] == [("v4", at(-10)), ("v4", at(-90)), ("v2", at(-100))]
    assert all(c.explanation for c in candidates)
    assert {(c.content_known, c.content_known_by) for c in candidates} == {(True, "its task definition")}


def test_the_record_is_capped_and_keeps_the_chosen_one():
    pile = [release(f"d-{i}", "v9", -20 - i, status="Failed") for i in range(60)]
    selection = choose(release("d-bad", "v9"), *pile, release("d-good", "v1", -600), suspects=("d-bad",))
    recorded = [c.deployment_id for c in selection.recorded]
    assert recorded == ["d-bad", *(f"d-{i}" for i in range(MAX_CANDIDATES_RECORDED - 2)), "d-good"]
    assert selection.recorded[-1].rejection is None


@pytest.mark.parametrize("place", [0, 23, 24, 25, 38, 39])
def test_the_record_keeps_the_chosen_one_and_the_last_wherever_they_are(place):
    looked_at = [Candidate(f"d-{n}", "v1", at(-n), None if n == place else Rejection.UNPROVEN) for n in range(40)]
    recorded = Selection(None, tuple(looked_at)).recorded
    assert len(recorded) == MAX_CANDIDATES_RECORDED
    assert looked_at[place] in recorded
    assert recorded[-1] == looked_at[-1]
    assert list(recorded) == sorted(recorded, key=looked_at.index)


def test_a_record_that_is_just_full_is_kept_whole():
    pile = [release(f"d-{i}", "v9", -20 - i, status="Failed") for i in range(MAX_CANDIDATES_RECORDED - 1)]
    selection = choose(release("d-bad", "v9"), *pile, suspects=("d-bad",))
    assert selection.recorded == selection.candidates
    assert len(selection.recorded) == MAX_CANDIDATES_RECORDED


def test_what_is_beyond_the_record_is_known_all_the_same():
    pile = [release(f"d-{i}", "v9", -20 - i, status="Failed") for i in range(30)]
    history = (release("d-bad", "v9"), *pile, release("d-below", "v1", -600), release("d-failed", "v0", -700))
    selection = choose(*history, suspects=("d-bad",), controls=Controls(floor=Floor("d-bad", at(-10))))
    below = selection.rejected_for(Rejection.BELOW_FLOOR)
    assert below is not None
    assert below.deployment_id == "d-below"
    assert below not in selection.recorded
