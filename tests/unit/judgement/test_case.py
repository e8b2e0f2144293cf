"""What a decision looks at: doubts about who met what when, and what is kept of a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, at, by_operator, group, minutes, native_rollback, observation, release, rollback, running
from judging import BAD, GOOD
from lastgood.judgement.case import Case
from lastgood.judgement.choice import SERVICE_REVISION
from lastgood.judgement.steps import block, fail, outcome_of, wait
from lastgood.model import (
    AlarmFacts,
    AlarmHistory,
    AlarmState,
    ComputePlatform,
    Controls,
    Deployment,
    Floor,
    Image,
    Onset,
    Outcome,
    PastRollback,
    Policy,
    Reason,
    Rejection,
    ReleaseSet,
    Revision,
    Rollback,
)

MEASURED = Onset(at(-6), minutes(1), True)


def case(*history: Deployment, record: Rollback | None = None, onset: Onset = MEASURED, **seen: Any) -> Case:
    """A case whose alarm fires since minute 0, of a breach that is measured to have begun at minute -6."""
    alarm = AlarmFacts("shop-errors", AlarmState.ALARM, at(0), "", onset=onset)
    return Case(record or rollback(), observation(*history, **{"alarm": alarm, **seen}), Policy(), NOW)


# --- whom users met when ----------------------------------------------------------------------------------------------

OLDER = release("d-1", "v1", -50)
FIRST = release("d-0", "v0", -600)
UNDER_WAY = release("d-2", "v2", -9, took=5)
"""It ended after the breach had begun."""


def test_a_suspect_that_was_under_way_when_the_breach_began_is_doubtful_where_traffic_moves_at_the_end() -> None:
    assert case(UNDER_WAY, OLDER, FIRST).doubtful == (UNDER_WAY,)
    assert case(running("d-2", "v2", -9), OLDER, FIRST).doubtful == (running("d-2", "v2", -9),)


@pytest.mark.parametrize(
    ("platform", "blue_green", "doubtful"),
    [
        (ComputePlatform.SERVER, False, False),
        (ComputePlatform.SERVER, True, True),
        (ComputePlatform.ECS, False, True),
    ],
)
def test_what_is_deployed_in_place_meets_users_at_once(
    platform: ComputePlatform, blue_green: bool, doubtful: bool
) -> None:
    found = case(UNDER_WAY, OLDER, FIRST, group=group(platform, blue_green=blue_green))
    assert bool(found.doubtful) is doubtful


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(case(release("d-2", "v2", -9, took=3), OLDER, FIRST), id="it had ended when the breach began"),
        pytest.param(case(UNDER_WAY, FIRST), id="nothing older would be blamed"),
        pytest.param(case(UNDER_WAY), id="nothing is older"),
        pytest.param(case(UNDER_WAY, OLDER, FIRST, onset=replace(MEASURED, measured=False)), id="an estimate"),
        pytest.param(case(UNDER_WAY, OLDER, FIRST, group=None), id="the group is gone"),
        pytest.param(case(UNDER_WAY, OLDER, FIRST, record=by_operator()), id="an operator asked"),
        pytest.param(case(), id="nobody is blamed"),
    ],
)
def test_nothing_is_doubtful_where_no_older_release_could_be_meant(found: Case) -> None:
    assert found.doubtful == ()


def test_of_attempts_on_top_that_failed_each_release_is_doubtful() -> None:
    second, first = (release(f"d-{n}", f"v{n}", when, status="Failed") for n, when in ((4, -7), (3, -8)))
    undone = native_rollback("d-5", "v1", -6.5, of="d-9", status="Failed")
    assert case(undone, second, first, OLDER, FIRST).doubtful == (second, first)


# --- who is asked about -----------------------------------------------------------------------------------------------


def test_a_message_cannot_have_more_releases_blamed_than_the_alarm_looks_back_over() -> None:
    record = rollback(evaluation_seconds=3600)
    believed = case(BAD, OLDER, FIRST, record=record, onset=Onset(at(-5)))
    assert [d.deployment_id for d in believed.attribution.suspects] == ["d-2", "d-1"]
    clamped = AlarmFacts("shop-errors", AlarmState.ALARM, at(0), looks_back=minutes(9), onset=Onset(at(-5)))
    assert case(BAD, OLDER, FIRST, record=record, alarm=clamped).attribution.suspects == (BAD,)


def test_an_operator_means_what_had_been_released_when_they_asked() -> None:
    since = release("d-3", "v3", 2)
    assert case(since, BAD, GOOD, record=by_operator(signal_at=at(1))).attribution.reason is Reason.NEWER_DEPLOYMENT
    assert case(since, BAD, GOOD, record=by_operator(signal_at=at(3))).attribution.suspects == (since,)
    forced = by_operator(signal_at=at(1), force=True)
    assert case(since, BAD, GOOD, record=forced).attribution.suspects == (since,)


def test_what_follows_another_group_blames_that_release_alone() -> None:
    since = release("d-3", "v3", 2)
    follower = by_operator(signal_at=at(5), follows="rb-1", only_deployment_id="d-2")
    assert case(since, BAD, GOOD, record=follower).attribution.reason is Reason.NEWER_DEPLOYMENT
    assert case(BAD, GOOD, record=follower).attribution.suspects == (BAD,)


def test_a_release_into_a_firing_alarm_is_blamed_though_it_came_after_the_breach() -> None:
    into = release("d-3", "v3", 1)
    blamed = case(into, GOOD, record=rollback(released_in_alarm="d-3", signal_at=at(2)))
    assert blamed.attribution.suspects == (into,)
    assert case(into, GOOD).attribution.suspects == ()


def test_releases_of_other_groups_come_after_the_one_of_this_group() -> None:
    others = ReleaseSet(frozenset({"a/x", "a/y"}), "the run run-2 of a")
    own = ReleaseSet(frozenset({"shop/prod", "shop/jobs"}), "the run run-1 of shop")
    assert case(BAD, GOOD, releases=(others, own)).releases == (own, others)
    assert case(BAD, GOOD, releases=(others,)).releases == (ReleaseSet(frozenset({"shop/prod"}), ""), others)


# --- what is known of the past ----------------------------------------------------------------------------------------


def answered(began: float, closed: float) -> PastRollback:
    """An earlier rollback for the same alarm, which fired at `began`."""
    return PastRollback("rb-7", at(closed), Outcome.ROLLED_BACK, "", "shop-errors", at(began))


def test_firings_that_only_the_ledger_remembers_make_an_alarm_noisy() -> None:
    past = Controls(past=(answered(-50, -45), answered(-40, -35)))
    assert "fired 2 times" in case(BAD, GOOD, controls=past).noise
    assert case(BAD, GOOD, controls=Controls(past=past.past[:1])).noise == ""
    assert case(BAD, GOOD, controls=past, record=by_operator()).noise == "", "an operator asked about no alarm"


def test_an_alarm_that_the_ledger_saw_end_before_a_release_is_not_held_against_it() -> None:
    controls = Controls(past=(answered(-700, -650),))
    history = AlarmHistory(known_since=at(-9000))
    assert case(BAD, GOOD, controls=controls, alarm_history=history).selection.candidates[-1].alarms_meanwhile == 0
    during = Controls(past=(answered(-500, -450),))
    assert case(BAD, GOOD, controls=during, alarm_history=history).selection.candidates[-1].alarms_meanwhile == 1


def test_what_aws_rolled_back_after_the_breach_had_begun_is_not_known_bad_for_that() -> None:
    fix = release("d-3", "v1", -4, status="Stopped", rollback_deployment_id="d-4")
    undone = native_rollback("d-4", "v2", -3, of="d-3")
    found = case(undone, fix, BAD, GOOD)
    assert (found.attribution.suspects, found.selection.good) == ((BAD,), GOOD)
    without_alarm = case(undone, fix, BAD, GOOD, record=by_operator(force=True))
    assert without_alarm.selection.rejected_for(Rejection.ROLLED_BACK_BY_CODEDEPLOY) is not None


def test_unknown_content_counts_once_it_was_looked_for() -> None:
    moving = Revision("S3", "s3://bucket/shop.zip", moves="The key has no version")
    unknown = replace(release("d-15", "", -100), revision=moving)
    seen = case(BAD, unknown, GOOD)
    assert replace(seen, searching=True).selection.good == unknown, "its content may be found yet"
    looked = replace(seen.seen, examined=frozenset({"d-15"}))
    for found in (seen, replace(seen, searching=True, seen=looked)):
        assert found.selection.rejected_for(Rejection.CONTENT_UNKNOWN).deployment_id == "d-15"


@pytest.mark.parametrize(("native", "back"), [(True, "d-1"), (False, None)])
def test_a_services_own_settings_go_back_with_aws_own_rollback_if_the_policy_asks_for_it(
    native: bool, back: str | None
) -> None:
    web = (Image("web", "shop/web:7"),)
    one, two = (Revision(SERVICE_REVISION, "task:1", other_parts=each, images=web) for each in ("one net", "two nets"))
    bad, good = replace(running("d-2", "task:1", -8), revision=one), replace(release("d-1", at=-600), revision=two)
    found = replace(case(bad, good), policy=Policy(native_rollback=native)).selection.good
    assert (found and found.deployment_id) == back


def test_what_only_the_notebook_knows_is_told_of_what_goes_back() -> None:
    noted = replace(GOOD, revision=replace(GOOD.revision, noted=True))
    told = "What v1 (from d-1) contained is known from the notebook of releases alone."
    assert case(BAD, noted).caution == told
    assert (case(BAD, noted).chosen.remark, case(BAD, noted).chosen.calls_people) == (told, True)


# --- what is kept of a refusal ----------------------------------------------------------------------------------------


def test_a_refusal_keeps_whom_it_blames_and_what_was_looked_at() -> None:
    refusal = case(BAD, GOOD).refuse(Reason.COOLDOWN, "A moment ago there was one.")
    assert (refusal.outcome, refusal.suspects) == (Outcome.SKIPPED, (BAD,))
    assert [c.deployment_id for c in refusal.candidates] == ["d-2", "d-1"]
    assert refusal.chosen.floor == ""
    assert refusal.good is None
    assert case(GOOD).refuse(Reason.NOT_ATTRIBUTABLE, "Long ago.").candidates == ()


def test_a_refusal_keeps_whose_rollback_failed_before() -> None:
    failed = native_rollback("d-3", "v1", -1, of="d-2", status="Failed")
    assert case(failed, BAD, GOOD).refuse(Reason.COOLDOWN, "A moment ago there was one.").chosen.failed == failed


@pytest.mark.parametrize(("reason", "floor"), [(Reason.BELOW_FLOOR, "d-2"), (Reason.COOLDOWN, "")])
def test_a_refusal_below_the_floor_names_the_floor(reason: Reason, floor: str) -> None:
    controls = Controls(floor=Floor("d-2", BAD.created_at, "ann"))
    assert case(BAD, GOOD, controls=controls).refuse(reason, "No.").chosen.floor == floor
    assert case(BAD, GOOD, controls=controls).chosen.floor == "d-2"


def test_a_floor_that_kept_nothing_from_going_back_is_not_named_as_the_reason() -> None:
    controls = Controls(floor=Floor("d-1", GOOD.created_at, "ann"))
    below = case(BAD, GOOD, release("d-0", "v0", -900), controls=controls)
    assert (below.selection.good, below.chosen.floor) == (GOOD, "")
    none = case(BAD, release("d-1", "v1", -600, status="Failed"), controls=controls)
    assert (none.selection.good, none.chosen.floor) == (None, "")


@pytest.mark.parametrize(("called", "needs"), [(None, True), (True, True), (False, False)])
def test_people_are_called_as_catalogued_or_as_is_said(called: bool | None, needs: bool) -> None:
    found = case(BAD, GOOD)
    assert found.refuse(Reason.UNROUTED_ALARM, "Gone.", calls_people=called).needs_human is needs
    unfounded = found.unfounded(Reason.UNROUTED_ALARM, "Gone.", calls_people=called)
    assert (unfounded.needs_human, unfounded.unfounded, unfounded.outcome) == (needs, True, Outcome.SKIPPED)


def test_what_was_passed_over_though_it_was_released_again_is_told() -> None:
    bad_again = release("d-15", "v15", -100)
    controls = Controls(known_bad={"v15": "rb-7"}, known_bad_since={"v15": at(-2000)})
    history = AlarmHistory(known_since=at(-9000))
    told = "v15 (from d-15) was passed over. Known bad: rb-7."
    assert told in case(BAD, bad_again, GOOD, controls=controls, alarm_history=history).caution
    assert told in case(BAD, bad_again, GOOD, controls=controls, alarm_history=history).chosen.remark
    older = release("d-05", "v15", -1900)
    assert "passed over" not in case(BAD, GOOD, older, controls=controls, alarm_history=history).caution
    plain = Controls(known_bad={"v15": "rb-7"})
    assert "passed over" not in case(BAD, bad_again, GOOD, controls=plain, alarm_history=history).caution


@pytest.mark.parametrize(("unreadable", "why"), [("the bundle is gone", " (the bundle is gone)"), ("", "")])
def test_that_only_the_suspect_says_what_was_live_before_is_told_of_what_goes_back(unreadable: str, why: str) -> None:
    before = release("d-2/before", "v0", -20, took=0)
    unread = release("d-1", "", -50)
    unread = replace(unread, revision=replace(unread.revision, unreadable=unreadable))
    found = case(BAD, before, unread)
    assert found.selection.good == before
    assert found.caution == f"What d-1 deployed could not be read{why}; d-2 names what was live before it."
    assert case(BAD, before).caution == ""


def test_the_suspect_itself_is_not_passed_over_though_it_is_known_bad_and_was_released_again() -> None:
    known = Controls(known_bad={"v2": "rb-7"}, known_bad_since={"v2": at(-2000)})
    assert case(BAD, GOOD, controls=known, alarm_history=AlarmHistory(known_since=at(-9000))).caution == ""


# --- steps ------------------------------------------------------------------------------------------------------------


def test_the_short_ways_to_say_a_decision() -> None:
    assert wait("Later.", told_after=minutes(3)).told_after == minutes(3)
    assert wait("Later.").told_after is None
    assert block(Reason.BELOW_FLOOR, "No.", "d-7").chosen.floor == "d-7"
    assert block(Reason.BELOW_FLOOR, "No.").chosen.floor == ""
    ends = [outcome_of(said) for said in (block(Reason.COOLDOWN, "No."), fail(Reason.COOLDOWN, "No."), wait("Later."))]
    assert ends == [Outcome.BLOCKED, Outcome.FAILED, None]


FLOOR = Controls(floor=Floor("d-05", at(-700), "ann"))


def test_that_somebody_released_a_revision_again_that_is_older_than_the_floor_is_told() -> None:
    older, again = release("d-03", "v1", -900), release("d-1", "v1", -600)
    found = case(BAD, again, release("d-05", "v5", -700), older, controls=FLOOR)
    assert found.selection.good == again
    assert found.caution == (
        "v1 (from d-1) is older than the floor d-05, and was released again since: see whether the database still fits."
    )


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(case(BAD, GOOD, release("d-03", "v1", -900)), id="there is no floor"),
        pytest.param(case(BAD, GOOD, release("d-03", "v0", -900), controls=FLOOR), id="another one is older"),
        pytest.param(case(BAD, GOOD, release("d-03", "v1", -700), controls=FLOOR), id="it was the floor"),
        pytest.param(
            case(BAD, release("d-05", "v1", -700), release("d-03", "v1", -900), controls=FLOOR), id="it is the floor"
        ),
        pytest.param(case(BAD, GOOD, release("d-03", "v1", -650), controls=FLOOR), id="it was released since alone"),
    ],
)
def test_nothing_is_told_of_the_floor_where_what_goes_back_was_not_below_it(found: Case) -> None:
    assert "floor" not in found.caution
