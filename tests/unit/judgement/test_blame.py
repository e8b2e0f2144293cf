"""Which deployments an alarm blames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    ALARM_AT,
    at,
    minutes,
    native_rollback,
    newest_first,
    our_rollback,
    release,
    rollback,
    running,
)
from judging import blame, blamed, chosen
from lastgood.judgement.blame import (
    Attribution,
    changes_of_live,
)
from lastgood.judgement.theirs import brings_back, put_back_already
from lastgood.model import Deployment, Onset, Reach, Reason

# --- whom the alarm blames --------------------------------------------------------------------------------------------


def test_the_release_that_succeeded_before_the_alarm_is_blamed():
    assert blamed(release("d-2", "v2", -10), release("d-1", "v1", -600)) == ["d-2"]


def test_the_release_that_is_still_running_is_blamed():
    assert blamed(running("d-2", "v2", -1), release("d-1", "v1", -600)) == ["d-2"]


@pytest.mark.parametrize("status", ["Created", "Queued", "Baking", "Ready", "SomethingNew"])
def test_a_release_in_any_status_that_is_not_an_end_counts_as_still_running(status):
    assert blamed(release("d-2", "v2", -500, status=status), release("d-1", "v1", -600)) == ["d-2"]


def test_an_incident_long_after_the_last_release_blames_nobody():
    result = blame(release("d-2", "v2", -600), release("d-1", "v1", -6000))
    assert (result.suspects, result.reason) == ((), Reason.NOT_ATTRIBUTABLE)
    assert "d-2" in result.explanation


def test_the_window_begins_when_the_deployment_ended_not_when_it_was_created():
    assert blamed(release("d-2", "v2", -120, took=100), release("d-1", "v1", -600)) == ["d-2"]


def test_a_release_exactly_one_window_before_the_alarm_is_still_blamed():
    assert blamed(release("d-2", "v2", -60, took=0)) == ["d-2"]
    assert blamed(release("d-2", "v2", -60.01, took=0)) == []


def test_several_releases_inside_one_evaluation_window_are_all_suspects():
    history = (release("d-3", "v3", -2, took=1), release("d-2", "v2", -5, took=2), release("d-1", "v1", -100))
    assert blamed(*history) == ["d-3", "d-2"]
    assert chosen(*history, suspects=("d-3", "d-2")) == "d-1"


def test_a_release_that_ended_when_the_evaluation_window_began_is_inside():
    last = release("d-3", "v3", -2, took=1)
    assert blamed(last, release("d-2", "v2", -6, took=1)) == ["d-3", "d-2"]
    assert blamed(last, release("d-2", "v2", -6.01, took=1)) == ["d-3"]


def test_a_release_that_ended_before_the_evaluation_window_is_cleared_by_a_newer_one():
    assert blamed(release("d-3", "v3", -2, took=1), release("d-2", "v2", -20)) == ["d-3"]


def test_a_deployment_newer_than_the_alarm_may_be_the_fix_and_is_left_alone():
    result = blame(running("d-3", "v3", 0.5), release("d-2", "v2", -10), release("d-1", "v1", -600))
    assert (result.suspects, result.reason) == ((), Reason.NEWER_DEPLOYMENT)
    assert "created at 10:00:30Z, after the alarm changed at 10:00:00Z" in result.explanation


def test_a_deployment_that_was_created_the_moment_the_alarm_changed_is_not_newer():
    assert blamed(running("d-2", "v2", 0), release("d-1", "v1", -600)) == ["d-2"]


def test_a_finished_deployment_newer_than_the_alarm_is_left_alone_too():
    assert blame(release("d-3", "v3", 0.1, took=0.2), release("d-2", "v2", -10)).reason is Reason.NEWER_DEPLOYMENT


def test_new_instances_after_the_alarm_do_not_hide_the_release():
    assert blamed(release("d-3", "v2", 0.5, creator="autoscaling"), release("d-2", "v2", -10)) == ["d-2"]


def test_deploying_the_same_revision_again_changes_nothing_and_is_not_blamed():
    again = release("d-3", "v2", -3)
    assert blame(again, release("d-2", "v2", -600), release("d-1", "v1", -6000)).reason is Reason.NOT_ATTRIBUTABLE
    assert blamed(again, release("d-2", "v2", -20), release("d-1", "v1", -600)) == ["d-2"]


@pytest.mark.parametrize(
    "kind",
    [
        {"creator": "autoscaling"},
        {"creator": "CodeDeployAutoUpdate"},
        {"restart": True},
        {"outdated_instances_only": True},
    ],
)
def test_a_deployment_that_releases_nothing_is_never_blamed(kind):
    assert blame(release("d-2", "v2", -3, **kind)).reason is Reason.NOT_ATTRIBUTABLE


def test_a_release_that_failed_and_that_nothing_rolled_back_may_be_half_live_and_is_blamed():
    for status in ("Failed", "Stopped"):
        assert blamed(release("d-2", "v2", -10, status=status), release("d-1", "v1", -600)) == ["d-2"]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_release_that_codedeploy_rolled_back_itself_is_not_blamed_with_the_next_one(status):
    undone = release("d-2", "v2", -4, took=1, status=status, rollback_deployment_id="d-3")
    back = native_rollback("d-3", "v1", -3, of="d-2", took=0.5)
    assert blamed(release("d-4", "v4", -2, took=1), back, undone, release("d-1", "v1", -600)) == ["d-4"]


def test_a_history_in_which_nothing_changed_what_is_live_blames_nobody():
    undone = release("d-2", "v2", -4, took=1, status="Stopped", rollback_deployment_id="d-3")
    result = blame(release("d-4", "v1", -2, took=1), native_rollback("d-3", "v1", -3, of="d-2", took=0.5), undone)
    assert (result.suspects, result.reason) == ((), Reason.NOT_ATTRIBUTABLE)
    assert "changed what is live" in result.explanation


def test_a_failed_release_does_not_count_as_live_so_its_repetition_is_a_change():
    history = (release("d-3", "v2", -3), release("d-2", "v2", -20, status="Failed"), release("d-1", "v1", -600))
    assert [d.deployment_id for d in changes_of_live(newest_first(*history))] == ["d-3", "d-2", "d-1"]


def test_a_revision_that_cannot_be_read_is_taken_for_a_change():
    assert blamed(release("d-3", "", -3), release("d-2", "", -40), release("d-1", "v1", -600)) == ["d-3"]


def test_a_group_without_deployments_blames_nobody():
    assert blame().reason is Reason.NOT_ATTRIBUTABLE


def test_an_operator_blames_the_newest_change_however_old_it_is():
    assert blamed(release("d-2", "v2", -6000), release("d-1", "v1", -9000), alarm_at=None) == ["d-2"]


def test_a_wider_evaluation_window_makes_more_releases_indistinguishable():
    history = (release("d-3", "v3", -3), release("d-2", "v2", -20), release("d-1", "v1", -600))
    assert blamed(*history, evaluation_window=minutes(30)) == ["d-3", "d-2"]


# --- a rollback on top ------------------------------------------------------------------------------------------------


def test_a_native_rollback_that_is_running_is_adopted():
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    result = blame(back, release("d-2", "v2", -5, status="Stopped", rollback_deployment_id="d-3"))
    assert result.adopt is back
    assert [d.deployment_id for d in result.suspects] == ["d-2"]


def test_a_native_rollback_that_began_after_the_alarm_is_adopted():
    back = native_rollback("d-3", "v1", 0.2, of="d-2", took=0.3)
    assert blame(back, release("d-2", "v2", -5, status="Stopped", rollback_deployment_id="d-3")).adopt is back


def test_a_native_rollback_that_has_just_ended_answers_the_same_errors_and_is_adopted():
    back = native_rollback("d-3", "v1", -4, of="d-2", took=1)
    assert blame(back, release("d-2", "v2", -8, status="Stopped", rollback_deployment_id="d-3")).adopt is back


def test_a_native_rollback_of_long_ago_is_never_rolled_back():
    back = native_rollback("d-3", "v1", -30, of="d-2")
    result = blame(back, release("d-2", "v2", -40, status="Stopped", rollback_deployment_id="d-3"))
    assert (result.adopt, result.reason) == (None, Reason.SUSPECT_IS_ROLLBACK)
    assert "is AWS's own rollback" in result.explanation


def test_a_native_rollback_that_ended_when_the_evaluation_window_began_answers_the_alarm():
    stopped = release("d-2", "v2", -8, took=1, status="Stopped", rollback_deployment_id="d-3")
    assert blame(native_rollback("d-3", "v1", -6, of="d-2", took=1), stopped).adopt is not None
    assert blame(native_rollback("d-3", "v1", -6.01, of="d-2", took=1), stopped).adopt is None


def test_a_rollback_is_of_the_deployment_that_it_names_or_of_nothing_that_is_listed():
    history = (release("d-3", "v3", -5, status="Stopped"), release("d-2", "v2", -30), release("d-1", "v1", -600))
    named = blame(native_rollback("d-4", "v1", -1, of="d-2", status="InProgress"), *history)
    assert [d.deployment_id for d in named.suspects] == ["d-2"]
    assert blame(native_rollback("d-4", "v1", -1, of="d-gone", status="InProgress"), *history).suspects == ()


def test_our_own_rollback_is_of_the_release_before_it_that_deployed_something_else():
    back = our_rollback("d-6", "v1", -1, status="InProgress")
    same, ours = release("d-5", "v1", -2), our_rollback("d-4", "v0", -3)
    result = blame(back, same, ours, release("d-3", "v3", -5), release("d-1", "v1", -600))
    assert [d.deployment_id for d in result.suspects] == ["d-3"]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_native_rollback_that_put_nothing_back_leaves_the_release_to_blame(status):
    back = native_rollback("d-3", "v1", -3, of="d-2", status=status, took=1)
    bad = release("d-2", "v2", -8, status="Stopped", rollback_deployment_id="d-3")
    result = blame(back, bad, release("d-1", "v1", -600))
    assert (result.adopt, result.reason, result.failed) == (None, None, back)
    assert result.suspects == (bad,)


def test_what_cannot_be_told_apart_from_what_aws_rolls_back_is_blamed_with_it():
    back = native_rollback("d-4", "v2", -0.5, of="d-3", status="InProgress")
    stopped = release("d-3", "v3", -2, took=1, status="Stopped", rollback_deployment_id="d-4")
    assert blamed(back, stopped, release("d-2", "v2", -4, took=1), release("d-1", "v1", -600)) == ["d-3", "d-2"]


def test_our_rollback_of_what_came_after_the_alarm_marks_that_not_as_bad():
    newer = release("d-3", "v3", 0.2, took=0.1)
    found = blame(
        our_rollback("d-4", "v2", 0.4, took=0.1), newer, release("d-2", "v2", -20), release("d-1", "v1", -600)
    )
    assert (found.suspects, found.reason) == ((), Reason.SUSPECT_IS_ROLLBACK)


def test_a_rollback_of_ours_that_failed_is_not_tried_a_second_time():
    result = blame(our_rollback("d-3", "v1", -3, status="Failed"), release("d-2", "v2", -8), release("d-1", "v1", -600))
    assert (result.failed, result.reason) == (None, Reason.SUSPECT_IS_ROLLBACK)


def test_a_native_rollback_of_what_came_after_the_alarm_marks_that_not_as_bad():
    fix = release("d-3", "v3", 0.2, status="Stopped", took=0.1, rollback_deployment_id="d-4")
    back = native_rollback("d-4", "v2", 0.4, of="d-3", status="InProgress")
    bad, good = release("d-2", "v2", -20), release("d-1", "v1", -600)
    result = blame(back, fix, bad, good)
    assert (result.suspects, result.adopt) == ((bad,), back)
    innocent = blame(back, fix, release("d-2", "v2", -600), release("d-1", "v1", -900))
    assert (innocent.suspects, innocent.adopt, innocent.reason) == ((), None, Reason.NEWER_DEPLOYMENT)
    assert "may have been the fix" in innocent.explanation


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Succeeded"])
def test_somebody_who_goes_back_at_this_moment_is_watched(status):
    back = running("d-3", "v1", -0.5)
    bad = release("d-2", "v2", -6, status=status)
    result = blame(back, bad, release("d-1", "v1", -600))
    assert (result.adopt, result.suspects, result.reason) == (back, (bad,), None)


def test_somebodys_way_back_that_failed_leaves_the_release_to_blame():
    back = release("d-3", "v1", 0.2, took=0.5, status="Failed")
    bad = release("d-2", "v2", -6)
    result = blame(back, bad, release("d-1", "v1", -600))
    assert (result.suspects, result.failed) == ((bad,), back)


def test_another_attempt_at_the_same_revision_is_no_way_back():
    again = running("d-3", "v2", -0.5)
    result = blame(again, release("d-2", "v2", -6, status="Failed"), release("d-1", "v1", -600))
    assert result.adopt is None
    assert result.suspects[0] == again


def test_a_rollback_that_a_stack_makes_is_a_way_back_whatever_it_deploys():
    back = running("d-3", "", -0.5, creator="CloudFormationRollback")
    assert blame(back, release("d-2", "v2", -6, status="Failed"), release("d-1", "v1", -600)).adopt == back


def test_an_alarm_after_our_own_rollback_never_steps_back_one_more_release():
    result = blame(our_rollback("d-4", "v2", -3), release("d-3", "v3", -10), release("d-2", "v2", -90))
    assert result.reason is Reason.SUSPECT_IS_ROLLBACK
    assert result.adopt is None
    assert "rb-before" in result.explanation
    assert [d.deployment_id for d in result.suspects] == ["d-3"]


def test_our_rollback_that_is_still_running_is_watched_and_never_stopped():
    back = our_rollback("d-4", "v2", -3, status="InProgress")
    assert blame(back, release("d-3", "v3", -10), release("d-2", "v2", -90)).adopt is back


def test_an_operator_may_roll_back_a_rollback_with_force_only():
    history = (our_rollback("d-4", "v2", -30), release("d-3", "v3", -40), release("d-2", "v2", -90))
    assert blame(*history, alarm_at=None).reason is Reason.SUSPECT_IS_ROLLBACK
    assert blamed(*history, alarm_at=None, force=True) == ["d-4"]


def test_even_force_does_not_stop_a_rollback_that_is_running():
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    assert blame(back, release("d-2", "v2", -5, status="Stopped"), alarm_at=None, force=True).adopt is back


def test_a_release_on_top_of_an_old_rollback_is_an_ordinary_suspect():
    history = (release("d-4", "v3", -10), native_rollback("d-3", "v1", -60, of="d-2"), release("d-1", "v1", -600))
    assert blamed(*history) == ["d-4"]
    assert chosen(*history, suspects=("d-4",)) == "d-3"


def test_a_stopped_release_whose_native_rollback_is_not_listed_yet_is_still_the_suspect():
    stopped = release("d-3", "v3", -2, status="Stopped", took=1, rollback_deployment_id="d-4")
    assert blamed(stopped, release("d-2", "v2", -30), release("d-1", "v1", -600)) == ["d-3"]


BEFORE_THE_ALARM = (release("d-2", "v2", -20), release("d-1", "v1", -600))


@pytest.mark.parametrize(("ended", "watched"), [(-9, True), (-10, True), (-10.1, False)])
def test_a_way_back_that_ended_in_the_breach_answers_the_alarm(ended: float, watched: bool):
    back = release("d-3", "v1", -12, took=12 + ended)
    found = blame(back, *BEFORE_THE_ALARM, onset=Onset(at(-10), minutes(1), measured=True))
    assert (found.adopt == back) is watched


@pytest.mark.parametrize(
    ("maker", "who"),
    [
        ({}, "somebody has rolled back by hand"),
        ({"creator": "CloudFormation", "external_id": "shop-stack"}, "shop-stack has rolled back"),
    ],
)
@pytest.mark.parametrize("onset", [None, Onset(at(-1), minutes(1), measured=True)])
def test_a_way_back_that_was_over_before_the_breach_is_never_rolled_back(maker, who, onset):
    found = blame(release("d-3", "v1", -12, **maker), *BEFORE_THE_ALARM, onset=onset)
    assert (found.suspects, found.adopt, found.reason) == ((), None, Reason.SUSPECT_IS_ROLLBACK)
    assert found.explanation == (
        f"d-3 goes back to v1, which was live before: {who}, {10 if onset is None else 9} min before the breach began. "
        "A rollback is never rolled back: if it did not help, the release was not the cause, or the revision before it "
        "is bad too."
    )


@pytest.mark.parametrize(("ended", "reason"), [(-60, Reason.SUSPECT_IS_ROLLBACK), (-61, Reason.NOT_ATTRIBUTABLE)])
def test_a_way_back_of_long_ago_is_judged_like_any_old_release(ended: float, reason: Reason):
    history = (release("d-3", "v1", ended - 2), release("d-2", "v2", -90), release("d-1", "v1", -600))
    found = blame(*history)
    assert found.reason is reason
    onset = Onset(at(-1), minutes(1), measured=True)
    early = blame(*history, onset=onset, attribution_window=minutes(59))
    assert early.reason is reason
    if reason is Reason.NOT_ATTRIBUTABLE:
        told = "The last deployment that changed what is live, d-3, ended 1 h before"
        assert found.explanation.startswith(f"{told} the alarm, longer ago")
        assert early.explanation.startswith(f"{told} the breach began (at 09:59:00Z, as its datapoints show), longer")


def test_what_is_released_again_after_the_alarm_is_no_fix_and_goes_back_with_what_it_repeats():
    again, bad, good = release("d-3", "v2", 0.2, took=0.3), release("d-2", "v2", -10), release("d-1", "v1", -600)
    assert blamed(again, bad, good) == ["d-3", "d-2"]
    failed = release("d-25", "v25", -5, status="Failed", rollback_deployment_id="d-26", reach=Reach())
    assert blamed(again, failed, bad, good)[0] == "d-3"
    old = release("d-2", "v2", -500)
    assert blame(again, old, release("d-1", "v1", -600)).reason is Reason.NEWER_DEPLOYMENT
    assert blame(again, replace(bad, status="Failed")).reason is Reason.NEWER_DEPLOYMENT


# --- somebody was faster ----------------------------------------------------------------------------------------------


def test_a_person_who_put_the_old_revision_back_is_noticed():
    history = newest_first(release("d-3", "v1", -1, took=0.5), release("d-2", "v2", -4), release("d-1", "v1", -600))
    assert put_back_already(history, history[:2]) is history[0]


def test_a_fix_on_top_is_not_taken_for_the_old_revision():
    history = newest_first(release("d-3", "v3", -1, took=0.5), release("d-2", "v2", -4), release("d-1", "v1", -600))
    assert put_back_already(history, history[:2]) is None


def test_the_old_revision_is_not_back_while_its_deployment_runs_or_if_it_failed():
    for status in ("InProgress", "Failed", "Stopped"):
        history = newest_first(
            release("d-3", "v1", -1, took=0.5, status=status), release("d-2", "v2", -4), release("d-1", "v1", -600)
        )
        assert put_back_already(history, history[1:2]) is None


def test_a_suspect_is_not_its_own_way_back():
    history = newest_first(release("d-2", "v1", -1, took=0.5), release("d-1", "v1", -600))
    assert put_back_already(history, history[:1]) is None


def test_where_nothing_is_blamed_nothing_counts_as_put_back():
    assert put_back_already(newest_first(release("d-2", "v1", -1), release("d-1", "v1", -600)), ()) is None


def test_new_instances_are_not_taken_for_the_old_revision():
    scaled = release("d-3", "v1", -1, took=0.5, creator="autoscaling")
    history = newest_first(scaled, release("d-2", "v2", -4), release("d-1", "v1", -600))
    assert put_back_already(history, history[1:2]) is None


def test_without_an_older_success_nothing_can_have_been_put_back():
    history = newest_first(release("d-2", "v1", -1, took=0.5), release("d-1", "v1", -4, status="Failed"))
    assert put_back_already(history, history[1:]) is None


# --- a release in an alarm that fires already -------------------------------------------------------------------------


def landed(*history: Deployment, **more: Any) -> Attribution:
    """What is blamed when `d-9` was released while the alarm fired already."""
    return blame(release("d-9", "v9", 5, took=1), *history, now=at(20), released_in_alarm="d-9", **more)


def test_a_release_into_a_firing_alarm_is_blamed_alone_where_the_alarm_blames_nothing_older():
    assert [s.deployment_id for s in landed(release("d-1", "v1", -900)).suspects] == ["d-9"]


def test_what_the_alarm_blames_by_itself_is_blamed_too():
    found = landed(release("d-2", "v2", -10), release("d-1", "v1", -900))
    assert [s.deployment_id for s in found.suspects] == ["d-9", "d-2"]


def test_everything_that_was_released_while_the_alarm_fired_is_blamed():
    found = landed(release("d-8", "v8", 2, took=1), release("d-1", "v1", -900))
    assert [s.deployment_id for s in found.suspects] == ["d-9", "d-8"]


def test_what_was_created_the_moment_the_alarm_changed_is_blamed_once():
    found = landed(release("d-8", "v8", 0, took=1), release("d-1", "v1", -900))
    assert [s.deployment_id for s in found.suspects] == ["d-9", "d-8"]


def test_what_has_not_ended_yet_is_blamed_with_the_release_that_landed():
    for history in (
        (running("d-9", "v9", 5), release("d-8", "v8", -1)),
        (release("d-9", "v9", 5), running("d-8", "v8")),
    ):
        found = blame(*history, release("d-1", "v1", -900), now=at(20), released_in_alarm="d-9")
        assert [s.deployment_id for s in found.suspects] == ["d-9", "d-8"]


def test_a_release_of_what_was_live_already_is_not_blamed_for_a_firing_alarm():
    found = blame(release("d-9", "v1", 5, took=1), release("d-1", "v1", -900), now=at(20), released_in_alarm="d-9")
    assert (found.suspects, found.reason) == ((), Reason.NOT_ATTRIBUTABLE)
    assert found.explanation == "d-9 released what was live already."


def test_a_release_that_only_brings_back_what_a_rollback_put_back_is_never_blamed_for_a_firing_alarm():
    history = (our_rollback("d-8", "v1", 1), release("d-2", "v2", -10), release("d-1", "v1", -900))
    found = landed(*history, brought_back={"d-9": "rb-before"})
    assert (found.suspects, found.reason) == ((), Reason.SUSPECT_IS_ROLLBACK)
    assert found.explanation == (
        "d-9 (v9) only brings back what rb-before had put back. A rollback is never rolled back: if it did not help, "
        "the release was not the cause, or the revision before it is bad too."
    )


def test_a_release_behind_what_was_brought_back_is_blamed_without_it():
    history = (release("d-8", "v8", 2, took=1), our_rollback("d-7", "v1", 1), release("d-1", "v1", -900))
    assert [s.deployment_id for s in landed(*history).suspects] == ["d-9", "d-8"]
    found = landed(*history, brought_back={"d-8": "rb-before"})
    assert [s.deployment_id for s in found.suspects] == ["d-9"]


@pytest.mark.parametrize(("identity", "same"), [("v1", True), ("v1-again", True), ("v2", False), ("", False)])
def test_a_deployment_brings_back_the_revision_that_was_put_back_under_its_old_or_its_new_name(identity, same):
    put_back = rollback(good_revision="v1", redeployed_revision="v1-again")
    assert brings_back(release("d-9", identity), put_back) is same
    assert brings_back(release("d-9", identity), rollback()) is False


def test_what_came_after_the_release_in_question_may_be_the_fix():
    found = blame(release("d-10", "v10", 7), release("d-9", "v9", 5), now=at(20), released_in_alarm="d-9")
    assert found.reason is Reason.NEWER_DEPLOYMENT


def test_a_person_who_asks_means_what_was_released_until_then():
    history = (release("d-2", "v2", 1, took=1), release("d-1", "v1", -900))
    assert blame(*history, alarm_at=None, requested_at=at(3)).suspect == history[0]
    too_new = blame(*history, alarm_at=None, requested_at=at(0))
    assert too_new.reason is Reason.NEWER_DEPLOYMENT
    assert "after the rollback was asked for at 10:00:00Z" in too_new.explanation
    assert blame(*history, alarm_at=None, requested_at=at(0), force=True).suspect == history[0]
    assert blame(*history, alarm_at=None, requested_at=at(1)).suspect == history[0]


def test_where_one_deployment_of_a_release_is_meant_nothing_newer_is_blamed_for_it():
    history = (release("d-3", "v3", -5), release("d-2", "v2", -10), release("d-1", "v1", -900))
    newer = blame(*history, alarm_at=None, only="d-2")
    assert (newer.suspects, newer.reason) == ((), Reason.NEWER_DEPLOYMENT)
    assert newer.explanation.startswith("d-3 came after d-2, which was of the release in question.")
    assert blame(*history[1:], alarm_at=None, only="d-2").suspect == history[1]


# --- when the breach began --------------------------------------------------------------------------------------------

MEASURED = Onset(at(-10), minutes(1), measured=True)


def test_a_release_that_came_after_the_breach_began_is_not_blamed_and_may_be_the_fix():
    found = blame(release("d-3", "v3", -5), release("d-2", "v2", -30), onset=MEASURED)
    assert (found.suspects, found.reason) == ((), Reason.NEWER_DEPLOYMENT)
    assert "the breach began before, at 09:50:00Z, as its datapoints show" in found.explanation
    assert "only fired at 10:00:00Z" in found.explanation


def test_a_release_that_still_runs_is_not_blamed_either_if_it_came_after_the_breach_began():
    assert blame(running("d-3", "v3", -5), release("d-2", "v2", -30), onset=MEASURED).reason is Reason.NEWER_DEPLOYMENT


def test_what_aws_rolled_back_only_when_the_breach_had_begun_answers_the_alarm():
    failed = release("d-2", "v2", -14, took=1, status="Failed")
    back = native_rollback("d-3", "v1", -12, of="d-2", took=9)
    found = blame(back, failed, release("d-1", "v1", -600), onset=MEASURED)
    assert (found.adopt, found.suspects) == (back, (failed,))


def test_a_release_in_the_first_period_of_the_breach_may_be_its_cause():
    assert blamed(release("d-2", "v2", -9.5), release("d-1", "v1", -600), onset=MEASURED) == ["d-2"]


def test_an_estimate_blames_a_release_that_users_met_shortly_before_a_quick_alarm_fired():
    guess = Onset.estimated(ALARM_AT, minutes(1), 3)
    assert blamed(running("d-2", "v2", -0.1), release("d-1", "v1", -600), onset=guess) == ["d-2"]


def test_an_estimate_clears_a_release_that_a_slow_alarm_cannot_have_meant():
    found = blame(release("d-2", "v2", -3), release("d-1", "v1", -60), onset=Onset.estimated(ALARM_AT, minutes(5), 5))
    assert found.reason is Reason.NEWER_DEPLOYMENT
    assert "by the alarm's periods" in found.explanation


def test_the_attribution_window_counts_from_the_onset():
    history = release("d-2", "v2", -66), release("d-1", "v1", -600)
    assert blamed(*history) == []
    assert blamed(*history, onset=MEASURED) == ["d-2"]


def test_a_release_long_before_the_breach_began_is_not_blamed_in_terms_of_the_onset():
    found = blame(release("d-2", "v2", -132), release("d-1", "v1", -600), onset=MEASURED)
    assert found.reason is Reason.NOT_ATTRIBUTABLE
    assert "ended 2 h before the breach began (at 09:50:00Z, as its datapoints show)" in found.explanation


def test_releases_that_ended_since_the_onset_cannot_be_told_apart_whatever_the_window():
    history = release("d-3", "v3", -10.5), release("d-2", "v2", -12), release("d-1", "v1", -600)
    assert blamed(*history, onset=MEASURED, evaluation_window=minutes(1)) == ["d-3", "d-2"]


def test_what_was_released_into_a_breach_is_blamed_with_what_came_before_it():
    history = release("d-3", "v3", -5), release("d-2", "v2", -30), release("d-1", "v1", -600)
    assert blamed(*history, onset=MEASURED, released_in_alarm="d-3") == ["d-3", "d-2"]


def drawing(deployment_id: str, identity: str, at: float, **more: Any) -> Deployment:
    """A release of what reads secrets when it starts."""
    made = release(deployment_id, identity, at, **more)
    return replace(made, revision=replace(made.revision, draws=True))


def test_what_was_deployed_again_and_reads_secrets_may_have_brought_others_so_people_look() -> None:
    found = blame(release("d-1", "v1", -600), drawing("d-2", "v1", -10))
    assert (found.reason, found.undecided, found.suspect) == (Reason.NOT_ATTRIBUTABLE, True, None)
    plain = blame(release("d-1", "v1", -600), release("d-2", "v1", -10))
    assert not plain.undecided
    assert found.explanation == (
        f"{plain.explanation} But d-2 deployed v1 again, whose containers read secrets or files when they start: what "
        "these held then is not known, and is not put back by a redeployment."
    )


@pytest.mark.parametrize(
    ("ended", "window", "asked", "undecided"),
    [
        (-60, 60, {}, True),
        (-60.1, 60, {}, False),
        (-65, 60, {"onset": Onset(at(-5), minutes(1), measured=True)}, True),
        (-66, 60, {"onset": Onset(at(-5), minutes(1), measured=True)}, False),
        (-10, 60, {"alarm_at": None}, False),
    ],
)
def test_they_look_only_where_it_ended_within_the_window_before_the_breach(
    ended: float, window: float, asked: dict[str, Any], undecided: bool
) -> None:
    history = release("d-1", "v1", -600), drawing("d-2", "v1", ended - 2)
    assert blame(*history, attribution_window=minutes(window), **asked).undecided is undecided


def test_a_rollback_that_reads_secrets_leaves_nothing_undecided() -> None:
    history = release("d-1", "v1", -600), drawing("d-2", "v1", -10, creator="codeDeployRollback")
    assert not blame(*history).undecided
