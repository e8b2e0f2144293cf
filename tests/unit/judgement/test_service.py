"""How long a deployment served, how quietly, and what that proves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from builders import (
    ALARM_AT,
    NOW,
    at,
    minutes,
    newest_first,
    observation,
    our_rollback,
    past,
    release,
    rollback,
    running,
    seconds,
)
from lastgood.judgement import decide
from lastgood.judgement.choice import MAX_UNPROVEN, Selection, select
from lastgood.judgement.service import Lives, Served, noise, with_ledger, with_others
from lastgood.model import AlarmHistory, Controls, Deployment, Firing, Floor, PastRollback, Policy, Reason, Rejection

DAY = 24 * 60


def fired(*spells: tuple[float, float | None], known_since: float | None = -90 * DAY) -> AlarmHistory:
    """The alarm was in ALARM in these minutes; its history is known for three months, or as said."""
    firings = (Firing("shop-errors", at(began), None if ended is None else at(ended)) for began, ended in spells)
    return AlarmHistory(tuple(firings), None if known_since is None else at(known_since))


def lives(*history: Deployment, alarms: AlarmHistory | None = None, bad: dict[str, datetime] | None = None) -> Lives:
    return Lives(newest_first(*history), alarms or fired(), NOW, minutes(15), minutes(7 * DAY), bad or {})


def chosen(*history: Deployment, alarms: AlarmHistory | None = None, **more: Any) -> Selection:
    """The newest of the history is the suspect."""
    ordered = newest_first(*history)
    memory = more.pop("controls", Controls())
    life = lives(*history, alarms=alarms, bad=dict(memory.known_bad_since))
    return select(ordered, ordered[:1], controls=memory, unusable=more.pop("unusable", {}), lives=life, **more)


def good(found: Selection) -> str:
    return found.good.deployment_id if found.good else ""


SUSPECT = release("d-9", "v9", -5)
LONG = release("d-1", "v1", -600)
SHORT = release("d-2", "v2", -20)

# --- how long, how quietly --------------------------------------------------------------------------------------------


def test_a_deployment_served_from_its_end_to_the_beginning_of_the_next_change() -> None:
    assert lives(LONG, SHORT, SUSPECT).served(LONG) == Served(minutes(578), 0, minutes(578))
    assert lives(LONG).served(LONG) == Served(NOW - at(-598), 0, NOW - at(-598))


def test_the_same_revision_again_does_not_end_its_service() -> None:
    again = release("d-2", "v1", -300)
    assert lives(LONG, again, SUSPECT).served(LONG) == Served(minutes(593), 0, minutes(593))


def test_a_restart_does_not_end_a_service() -> None:
    assert lives(LONG, release("d-2", "v1", -300, restart=True), SUSPECT).served(LONG).span == minutes(593)


@pytest.mark.parametrize("made", [running("d-1"), release("d-1", status="Failed"), release("d-1", completed_at=None)])
def test_what_did_not_succeed_or_has_no_end_has_no_known_service(made: Deployment) -> None:
    assert lives(made).served(made) is None


def test_alarms_are_counted_while_it_served_and_quiet_counts_from_the_last() -> None:
    found = lives(LONG, SUSPECT, alarms=fired((-700, -650), (-500, -490), (-300, -290), (0, None))).served(LONG)
    assert found == Served(minutes(593), 2, minutes(285))


def test_an_alarm_that_another_release_left_firing_only_shortens_the_quiet() -> None:
    found = lives(LONG, SUSPECT, alarms=fired((-610, -500))).served(LONG)
    assert found == Served(minutes(593), 0, minutes(495))


@pytest.mark.parametrize(("ended", "firings"), [(None, 1), (-20, 1), (-20.1, 0)])
def test_an_alarm_that_fired_before_and_over_all_of_its_service_counts_against_it(
    ended: float | None, firings: int
) -> None:
    life = lives(LONG, SHORT, alarms=fired((-610, ended))).served(LONG)
    assert life is not None and life.firings == firings


def test_people_are_told_how_little_of_a_service_was_quiet() -> None:
    assert lives(LONG, SUSPECT, alarms=fired((-610, -10))).doubt(LONG) == (
        "It served 9 h, and only the last 5 min quietly; good is what served 15 min quietly."
    )


def test_an_alarm_that_fires_still_leaves_no_quiet() -> None:
    assert lives(LONG, SUSPECT, alarms=fired((-500, None))).served(LONG) == Served(minutes(593), 1, minutes(0))


@pytest.mark.parametrize("known_since", [None, -300])
def test_before_the_oldest_item_of_its_history_an_alarm_is_not_quiet_but_unknown(known_since: float | None) -> None:
    assert lives(LONG, SUSPECT, alarms=fired(known_since=known_since)).served(LONG).firings is None


# --- what that proves -------------------------------------------------------------------------------------------------


def test_a_revision_that_served_long_enough_is_the_last_good_one() -> None:
    found = chosen(LONG, SUSPECT)
    assert (good(found), found.doubt, found.settled) == ("d-1", "", True)
    (_, candidate) = found.candidates
    assert (candidate.served_seconds, candidate.alarms_meanwhile, candidate.content_known) == (593 * 60, 0, True)


def test_a_revision_that_served_only_briefly_is_passed_over_for_a_proven_one() -> None:
    found = chosen(LONG, SHORT, SUSPECT)
    assert good(found) == "d-1"
    assert found.candidates[1].rejection is Rejection.UNPROVEN
    assert "It served only 13 min; good is what served 15 min quietly." in found.candidates[1].explanation


def test_a_revision_under_which_the_alarm_fired_is_passed_over_for_a_proven_one() -> None:
    noisy = release("d-2", "v2", -200)
    found = chosen(LONG, noisy, SUSPECT, alarms=fired((-150, -140)))
    assert good(found) == "d-1"
    assert "An alarm of the group fired while it served 3 h." in found.candidates[1].explanation


def test_a_week_of_quiet_after_an_alarm_is_proof_again() -> None:
    old = release("d-2", "v2", -10 * DAY)
    assert good(chosen(release("d-1", "v1", -20 * DAY), old, SUSPECT, alarms=fired((-9 * DAY, -9 * DAY + 10)))) == "d-2"


def test_where_quiet_is_not_known_time_alone_is_the_proof() -> None:
    assert good(chosen(LONG, SUSPECT, alarms=AlarmHistory())) == "d-1"


def test_a_revision_that_was_proven_under_an_earlier_deployment_needs_no_proof_again() -> None:
    back = our_rollback("d-3", "v1", -20)
    assert good(chosen(LONG, release("d-2", "v2", -30), back, SUSPECT)) == "d-3"


@pytest.mark.parametrize(
    "against",
    [
        {"controls": Controls(floor=Floor("d-2", at(-20)))},
        {"unusable": {"d-1": "its bundle is gone"}},
        {"controls": Controls(known_bad={"v1": "it was bad"})},
    ],
    ids=["below the floor", "unreachable", "known bad"],
)
def test_if_no_proven_one_can_go_back_the_newest_unproven_one_does_and_is_marked(against: dict[str, Any]) -> None:
    found = chosen(LONG, SHORT, SUSPECT, **against)
    assert good(found) == "d-2"
    assert "served only 13 min" in found.doubt
    assert found.settled is False
    marked = next(c for c in found.candidates if c.deployment_id == "d-2")
    assert marked.rejection is None
    assert marked.explanation.startswith("Not proven, but no older revision is.")


def test_of_unproven_ones_a_quiet_one_goes_before_a_newer_one_under_which_the_alarm_fired() -> None:
    noisy = release("d-3", "v3", -15)
    assert good(chosen(release("d-2", "v2", -25), noisy, SUSPECT, alarms=fired((-10, -9)))) == "d-2"
    assert good(chosen(noisy, SUSPECT, alarms=fired((-10, -9)))) == "d-3"


def test_where_everything_is_released_quickly_the_search_for_proof_ends() -> None:
    quick = [release(f"d-{n}", f"v{n}", -400 + 10 * n, took=1) for n in range(10, 30)]
    found = chosen(LONG, *quick, release("d-99", "v99", -100))
    assert good(found) == "d-29"
    assert found.settled
    assert sum(c.rejection is Rejection.UNPROVEN for c in found.candidates) == MAX_UNPROVEN - 1


def test_what_an_operator_asks_for_needs_no_proof() -> None:
    assert good(chosen(LONG, SHORT, SUSPECT, to_deployment_id="d-2")) == "d-2"


# --- known bad heals --------------------------------------------------------------------------------------------------


def healing(days: float, alarms: AlarmHistory | None = None, since: float = -30 * DAY) -> Selection:
    """v2 was found bad a month ago and released again; it served for so many days until the suspect."""
    memory = Controls(known_bad={"v2": "rolled away from"}, known_bad_since={"v2": at(since)})
    history = (
        release("d-1", "v1", -40 * DAY),
        release("d-2", "v2", -31 * DAY),
        our_rollback("d-3", "v1", -30 * DAY - 5),
        release("d-4", "v2", -5 - days * DAY),
    )
    return chosen(*history, SUSPECT, alarms=alarms, controls=memory)


def test_a_known_bad_revision_that_served_a_quiet_week_after_all_is_good_again() -> None:
    assert good(healing(8)) == "d-4"


@pytest.mark.parametrize(
    ("days", "alarms", "said"),
    [
        (3, None, "served 2 days quietly; it counts as good again after 7 days"),
        (8, fired((-4 * DAY, -4 * DAY + 5)), "served 3 days quietly"),
        (8, AlarmHistory(), "whether quietly is not known"),
    ],
    ids=["too short", "not quiet", "quiet unknown"],
)
def test_until_then_it_is_passed_over_and_that_is_said(days: float, alarms: AlarmHistory | None, said: str) -> None:
    found = healing(days, alarms)
    assert good(found) == "d-3"
    rejected = found.rejected_for(Rejection.KNOWN_BAD)
    assert rejected is not None
    assert said in rejected.explanation


def test_the_service_before_it_was_found_bad_heals_nothing() -> None:
    assert good(healing(8, since=-1 * DAY)) == "d-3"


# --- what is decided and told -----------------------------------------------------------------------------------------

ACTS = Policy()


def test_an_unproven_revision_goes_back_and_people_are_called() -> None:
    decision = decide(rollback(), observation(SHORT, SUSPECT), ACTS, NOW)
    assert decision.good is not None
    assert decision.chosen.calls_people
    assert "v2 (from d-2) is not proven, but no older revision is: It served only 13 min" in decision.explanation


def test_a_known_bad_revision_that_was_released_again_is_named_when_an_older_one_goes_back() -> None:
    memory = Controls(known_bad={"v2": "rolled away from"}, known_bad_since={"v2": at(-300)})
    again = release("d-2", "v2", -200)
    decision = decide(rollback(), observation(LONG, again, SUSPECT, controls=memory), ACTS, NOW)
    assert decision.good == LONG
    assert decision.chosen.calls_people
    assert "v2 (from d-2) was passed over. Known bad: rolled away from." in decision.explanation


def test_a_proven_revision_needs_no_remark() -> None:
    decision = decide(rollback(), observation(LONG, SUSPECT), ACTS, NOW)
    assert (decision.chosen.remark, decision.chosen.calls_people) == ("", False)


def test_an_alarm_that_fired_before_the_release_too_is_said_to_be_noisy() -> None:
    seen = observation(LONG, SUSPECT, alarm_history=fired((-50, -48), (-40, -39), (-20, -18), (0, None)))
    decision = decide(rollback(), seen, ACTS, NOW)
    assert "This alarm fired 3 times in the 45 min before the release" in decision.explanation


def test_a_refusal_counts_how_often_the_alarm_fired_before() -> None:
    seen = observation(SUSPECT, alarm_history=fired((-50, -48), (-40, -39), (-20, -18), (0, None)))
    decision = decide(rollback(), seen, ACTS, NOW)
    assert decision.reason is Reason.NO_GOOD_REVISION
    assert "fired 3 times" in decision.explanation


@pytest.mark.parametrize("spells", [[], [(-50, -48)], [(-3000, -2999), (-2000, -1999)], [(-4, -3), (-2, -1)]])
def test_one_firing_or_an_old_one_or_one_after_the_release_is_no_noise(spells: list[tuple[float, float]]) -> None:
    assert noise(fired(*spells), "shop-errors", at(-5)) == ""


def test_other_alarms_are_no_noise_of_this_one() -> None:
    assert noise(fired((-50, -48), (-40, -39)), "latency", at(-5)) == ""


def test_what_the_ledger_knows_counts_where_cloudwatch_tells_no_more() -> None:
    earlier = PastRollback("rb-1", at(-290), past(0).outcome, alarm_name="shop-errors", alarm_changed_at=at(-300))
    seen = observation(LONG, SUSPECT, controls=Controls(past=(earlier,)), alarm_history=fired(known_since=-60))
    decision = decide(rollback(), seen, ACTS, NOW)
    assert next(c for c in decision.candidates if c.deployment_id == "d-1").alarms_meanwhile == 1


def test_the_alarm_of_now_counts_against_nobody_but_its_suspect() -> None:
    seen = observation(LONG, SUSPECT, alarm_history=AlarmHistory((Firing("shop-errors", ALARM_AT),), ALARM_AT))
    decision = decide(rollback(), seen, ACTS, NOW)
    assert next(c for c in decision.candidates if c.deployment_id == "d-1").alarms_meanwhile is None


# --- at the edges of a life -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("began", "counted"),
    [(-598.1, 0), (-598, 1), (-20.1, 1), (-20, 0)],
    ids=["before it ended", "when it ended", "just before the next", "with the next"],
)
def test_an_alarm_counts_from_the_end_of_a_deployment_to_the_next_one(began: float, counted: int) -> None:
    life = lives(LONG, SHORT, alarms=fired((began, began + 0.01))).served(LONG)
    assert life is not None and life.firings == counted


@pytest.mark.parametrize(("known_since", "firings"), [(-598, 0), (-597.9, None)])
def test_silence_is_known_where_the_history_reaches_back_to_the_end_of_the_deployment(
    known_since: float, firings: int | None
) -> None:
    life = lives(LONG, SHORT, alarms=fired(known_since=known_since)).served(LONG)
    assert life is not None and life.firings == firings


def test_an_alarm_that_began_with_the_next_deployment_leaves_the_life_before_quiet() -> None:
    life = lives(LONG, SHORT, alarms=fired((-20, None))).served(LONG)
    assert life == Served(minutes(578), 0, minutes(578))


def test_two_of_the_same_moment_do_not_end_each_other() -> None:
    twin = release("d-2", "v2", -600)
    life = lives(LONG, twin, SUSPECT).served(LONG)
    assert life is not None and life.span == minutes(593)


def test_exactly_the_wanted_time_is_proof() -> None:
    just, short = (release("d-2", "v2", -5 - 2 - wanted) for wanted in (15, 14.9))
    assert lives(just, SUSPECT).doubt(just) == ""
    assert lives(short, SUSPECT).doubt(short) != ""


def test_a_doubt_is_told_of_its_own_life_and_else_of_the_newest_of_its_content() -> None:
    first, again = release("d-1", "v1", -30), release("d-3", "v1", -8)
    assert lives(first, SHORT, again, SUSPECT).doubt(again) == (
        "It served only 1 min; good is what served 15 min quietly."
    )
    going = running("d-3", "v1", -8)
    shortly = release("d-1", "v1", -30)
    assert lives(shortly, SHORT, going).doubt(going) == "It served only 8 min; good is what served 15 min quietly."


# --- known bad, released again ----------------------------------------------------------------------------------------


def test_of_several_lives_since_it_was_found_bad_the_quietest_counts() -> None:
    since = {"v1": at(-20 * DAY)}
    longer, between = release("d-2", "v1", -15 * DAY), release("d-3", "v2", -7 * DAY)
    shorter = release("d-4", "v1", -3 * DAY)
    found = lives(longer, between, shorter, SUSPECT, bad=since)
    assert found.since_known_bad(longer) == found.served(longer)
    assert found.healed(shorter)


@pytest.mark.parametrize(("when", "counts"), [(-20 * DAY, False), (-20 * DAY + 1, True)])
def test_only_what_was_released_after_it_was_found_bad_counts(when: float, counts: bool) -> None:
    again = release("d-2", "v1", when)
    assert bool(lives(again, SUSPECT, bad={"v1": at(-20 * DAY)}).since_known_bad(again)) is counts


@pytest.mark.parametrize(("served", "healed"), [(7 * DAY, True), (7 * DAY - 1, False)])
def test_it_is_good_again_after_exactly_the_wanted_time(served: float, healed: bool) -> None:
    again = release("d-2", "v1", -5 - 2 - served)
    assert lives(again, SUSPECT, bad={"v1": at(-20 * DAY)}).healed(again) is healed


def test_a_life_of_which_nobody_knows_how_quiet_it_was_heals_nothing() -> None:
    again = release("d-2", "v1", -10 * DAY)
    assert not lives(again, SUSPECT, bad={"v1": at(-20 * DAY)}, alarms=fired(known_since=None)).healed(again)


# --- alarms of several sources ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("began", "noisy"), [(-DAY - 5, True), (-DAY - 5.1, False), (-5.1, True), (-5, False)])
def test_noise_is_what_fired_in_the_day_before_the_release(began: float, noisy: bool) -> None:
    alarms = fired((-60, -59), (began, began + 0.01))
    assert bool(noise(alarms, "shop-errors", at(-5))) is noisy


def test_what_the_ledger_remembers_is_added_to_what_cloudwatch_tells() -> None:
    told = fired((-60, -59))
    later = Firing("shop-errors", at(-60) + seconds(1.1))
    known = [Firing("shop-errors", at(-60) + seconds(1)), later, Firing("other", at(-60))]
    found = with_ledger(told, known)
    assert found.firings == (*known[1:], *told.firings)
    assert found.known_since == told.known_since


def test_the_firings_of_the_groups_other_alarms_are_added_and_tell_nothing_of_since_when() -> None:
    own, other = fired((-60, -59), known_since=-100), fired((-30, -29), known_since=-900)
    found = with_others(own, [other, fired()])
    assert found.firings == (*own.firings, *other.firings)
    assert found.known_since == at(-100)


@pytest.mark.parametrize(
    ("one", "other", "ends"), [("a", "b", False), ("a", "a", True), ("a", "", True), ("", "b", True)]
)
def test_another_function_of_the_group_ends_no_life(one: str, other: str, ends: bool) -> None:
    mine = replace(LONG, revision=replace(LONG.revision, target=one))
    theirs = replace(SHORT, revision=replace(SHORT.revision, target=other))
    life = lives(mine, theirs).served(mine)
    assert life is not None and (life.span == minutes(578)) is ends


@pytest.mark.parametrize(
    ("spells", "told"),
    [
        (((-15, -14),), "An alarm of the group fired while it served 13 min."),
        (((-15, -14), (-12, -11)), "An alarm of the group fired 2 times while it served 13 min."),
    ],
)
def test_people_are_told_how_often_an_alarm_fired(spells: tuple[tuple[float, float], ...], told: str) -> None:
    assert lives(SHORT, SUSPECT, alarms=fired(*spells)).doubt(SHORT) == told
