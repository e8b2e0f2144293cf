"""A backtest's pure part: the past put together from times, and replayed through the function's own decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builders import at, group, minutes, native_rollback, release, running, seconds
from lastgood.model import AlarmState, Deployment, DeploymentGroup, Mode, Policy
from lastgood_cli.replay import (
    GroupHistory,
    Verdict,
    afterwards,
    as_of,
    facts_as_of,
    replay,
    summary,
    without_answers,
)
from lastgood_cli.transitions import Transition, firings, state_changes

SHOP = DeploymentGroup("shop", "prod")
ALARM = "shop-errors"


def item(state: str, when: float, name: str = ALARM, **more: Any) -> dict[str, Any]:
    """One item of an alarm's history."""
    told = {"HistoryData": json.dumps({"newState": {"stateValue": state}}), **more}
    return {"AlarmName": name, "Timestamp": at(when), "HistoryItemType": "StateUpdate", **told}


def fired(when: float = 0, *groups: DeploymentGroup, **more: Any) -> Transition:
    """An alarm of shop/prod fired, `when` minutes from the builders' alarm time."""
    return Transition(ALARM, at(when), groups=groups or (SHOP,), **more)


def history(*deployments: Deployment) -> dict[DeploymentGroup, GroupHistory]:
    """The history of shop/prod."""
    return {SHOP: GroupHistory(group(), tuple(sorted(deployments, key=lambda d: d.created_at, reverse=True)))}


# --- what CloudWatch tells ---


def test_a_firing_ends_with_the_next_ok_of_the_same_alarm() -> None:
    items = [item("OK", 9), item("ALARM", 0), item("OK", 4, name="another"), item("INSUFFICIENT_DATA", 5)]
    (found,) = firings(state_changes(items))
    assert (found.at, found.recovered_at) == (at(0), at(9))


def test_a_firing_that_never_ended_has_no_recovery() -> None:
    (found,) = firings(state_changes([item("ALARM", 0)]))
    assert found.recovered_at is None


def of(function: str, **changed: Any) -> dict[str, Any]:
    """What an item has beside that is about one time series of an alarm over many."""
    return {"AlarmContributorId": f"id-{function}", "AlarmContributorAttributes": {"FunctionName": function}, **changed}


def test_each_series_of_a_fleets_alarm_fires_and_recovers_by_itself_and_the_alarm_is_none_beside_them() -> None:
    items = [
        item("ALARM", 0),
        item("ALARM", 0, **of("cart")),
        item("ALARM", 1, **of("shop")),
        item("OK", 2, **of("shop")),
        item("OK", 7),
        item("OK", 7, **of("cart")),
        item("ALARM", 3, name="another"),
    ]
    cart, shop, other = firings(state_changes(items))
    assert (cart.attributes, cart.recovered_at) == ({"FunctionName": "cart"}, at(7))
    assert (shop.attributes, shop.recovered_at) == ({"FunctionName": "shop"}, at(2))
    assert (other.alarm_name, other.contributor) == ("another", "")


@pytest.mark.parametrize("data", ["", "no json", "[]", "{}", '{"newState": 3}', '{"newState": {"stateValue": "ON"}}'])
def test_history_data_that_cannot_be_read_leaves_the_summary_and_then_nothing(data: str) -> None:
    told = item("", 0, HistoryData=data, HistorySummary="Alarm updated from OK to ALARM")
    assert [state for _, state, _ in state_changes([told])] == [AlarmState.ALARM]
    assert state_changes([{**told, "HistorySummary": "Alarm updated"}]) == ()


# --- the past as it stood ---


def test_a_deployment_that_had_not_ended_yet_was_in_progress_then() -> None:
    (then,) = as_of([release("d-1", at=-3, took=10, status="Failed", error_code="ALARM_ACTIVE")], at(0))
    assert (then.status, then.completed_at, then.error_code) == ("InProgress", None, "")


def test_a_deployment_that_came_later_was_not_there_then() -> None:
    found = as_of([release("d-2", at=1), release("d-1", at=-5)], at(0))
    assert [d.deployment_id for d in found] == ["d-1"]


def test_a_rollback_that_came_later_had_not_been_named_then() -> None:
    stopped = release("d-1", at=-5, status="Stopped", rollback_deployment_id="d-2")
    later = native_rollback("d-2", at=3, of="d-1")
    assert as_of([later, stopped], at(0))[0].rollback_deployment_id == ""
    assert as_of([later, stopped], at(6))[1].rollback_deployment_id == "d-2"


def test_the_group_then_had_the_last_attempt_and_success_of_then() -> None:
    then = as_of([release("d-3", at=2), running("d-2", at=-1), release("d-1", at=-90)], at(0))
    facts = facts_as_of(group(last_successful_id="d-3"), then)
    assert facts is not None
    assert (facts.last_attempted_id, facts.last_attempted_status, facts.last_successful_id) == (
        "d-2",
        "InProgress",
        "d-1",
    )


# --- the replay ---


def test_a_bad_release_would_have_been_rolled_back_to_what_was_good_then() -> None:
    known = history(release("d-3", "v3", at=200), release("d-2", "v2", at=-10), release("d-1", "v1", at=-900))
    (found,) = replay([fired(recovered_at=at(50))], known, Policy())
    assert found.verdict is Verdict.ROLLS_BACK
    assert (found.suspect_deployment_id, found.good_deployment_id) == ("d-2", "d-1")
    assert found.recovered_after_seconds == 3000
    assert found.afterwards == "v3 was released 3 h later (d-3)."


def test_a_release_that_was_still_running_then_would_have_been_stopped_and_rolled_back() -> None:
    known = history(release("d-2", "v2", at=-1, took=30), release("d-1", "v1", at=-900))
    (found,) = replay([fired()], known, Policy())
    assert (found.verdict, found.reason) == (Verdict.ROLLS_BACK, "SUSPECT_ACTIVE")


def test_an_alarm_long_after_the_last_release_would_have_been_refused_with_its_reason() -> None:
    (found,) = replay([fired()], history(release("d-2", "v2", at=-500), release("d-1", "v1", at=-900)), Policy())
    assert (found.verdict, found.reason) == (Verdict.REFUSES, "NOT_ATTRIBUTABLE")


def test_the_rollback_that_lastgood_made_for_this_alarm_is_not_counted_as_codedeploys() -> None:
    """CodeDeploy names our deployment as the rollback of the one that we stopped."""
    bad = release("d-2", "v2", at=-2, took=1, status="Stopped", rollback_deployment_id="d-3")
    ours = release("d-3", "v1", at=0.02, made_by="rb-1")
    (found,) = replay([fired()], history(release("d-1", "v1", at=-600), bad, ours), Policy())
    assert (found.verdict, found.good_deployment_id) == (Verdict.ROLLS_BACK, "d-1")


def test_an_earlier_rollback_of_lastgoods_stays_in_the_history() -> None:
    ours = release("d-3", "v1", at=-60, made_by="rb-1")
    assert without_answers([ours], at(0)) == [ours]
    assert without_answers([ours], at(-61)) == []


def test_a_second_alarm_while_the_rollback_would_have_been_under_way_joins_it() -> None:
    known = history(release("d-2", "v2", at=-10), release("d-1", "v1", at=-900, took=4))
    found = replay([fired(0), fired(3)], known, Policy())
    assert [f.verdict for f in found] == [Verdict.ROLLS_BACK, Verdict.JOINS]


def test_a_later_alarm_of_a_release_that_would_be_gone_is_not_counted_as_another_rollback() -> None:
    known = history(release("d-2", "v2", at=-10), release("d-1", "v1", at=-900, took=2))
    found = replay([fired(0), fired(40)], known, Policy())
    assert [f.verdict for f in found] == [Verdict.ROLLS_BACK, Verdict.DONE_BEFORE]
    assert "cannot be known" in found[1].explanation


def test_the_cooldown_holds_for_what_the_replay_itself_would_have_done() -> None:
    known = history(release("d-3", "v3", at=15), release("d-2", "v2", at=-10), release("d-1", "v1", at=-900, took=2))
    found = replay([fired(0), fired(20)], known, Policy())
    assert (found[1].verdict, found[1].reason) == (Verdict.REFUSES, "COOLDOWN")


def test_a_revision_that_would_have_been_rolled_away_from_is_known_bad_later() -> None:
    known = history(
        release("d-4", "v4", at=300),
        release("d-3", "v2", at=200),
        release("d-2", "v2", at=-10),
        release("d-1", "v1", at=-900, took=2),
    )
    found = replay([fired(0), fired(310)], known, Policy())
    assert (found[1].verdict, found[1].good_deployment_id) == (Verdict.ROLLS_BACK, "d-1")


def test_many_groups_in_alarm_at_once_are_a_storm_and_no_releases_fault() -> None:
    groups = [DeploymentGroup("app", f"g{number}") for number in range(7)]
    known = {each: history(release("d-2", "v2", at=-10), release("d-1", "v1", at=-900))[SHOP] for each in groups}
    found = replay([fired(number / 60, each) for number, each in enumerate(groups)], known, Policy())
    assert [f.reason for f in found].count("STORM") == 2


def test_a_floor_in_a_description_holds_in_a_backtest_too() -> None:
    known = history(release("d-2", "v2", at=-10, floor=True), release("d-1", "v1", at=-900))
    (found,) = replay([fired()], known, Policy())
    assert (found.verdict, found.reason) == (Verdict.REFUSES, "BELOW_FLOOR")


def test_a_backtest_in_approve_mode_says_that_it_would_have_asked() -> None:
    known = history(release("d-2", "v2", at=-10), release("d-1", "v1", at=-900))
    (found,) = replay([fired()], known, Policy(mode=Mode.APPROVE))
    assert found.verdict is Verdict.ASKS


def test_what_would_only_have_been_recorded_leaves_no_memory_behind() -> None:
    known = history(release("d-2", "v2", at=-10), release("d-1", "v1", at=-900))
    found = replay([fired(0), fired(1)], known, Policy(mode=Mode.OBSERVE))
    assert [(f.verdict, f.reason) for f in found] == [(Verdict.REFUSES, "OBSERVE_MODE")] * 2


def test_a_group_that_is_gone_and_an_alarm_that_leads_nowhere_are_told() -> None:
    nowhere = Transition(ALARM, at(0), problem="No tag, no route.")
    found = replay([fired(), nowhere], {}, Policy())
    assert {(f.verdict, f.reason) for f in found} == {
        (Verdict.REFUSES, "GROUP_NOT_FOUND"),
        (Verdict.UNROUTED, "UNROUTED_ALARM"),
    }


def test_what_people_did_afterwards_is_found_in_the_history() -> None:
    bad, good = release("d-2", "v2", at=-10), release("d-1", "v1", at=-900)
    assert afterwards([bad, good], at(0), bad, good) == "Nothing else was deployed since."
    again = release("d-3", "v1", at=42)
    assert afterwards([again, bad, good], at(0), bad, good) == "The same revision really came back 42 min later (d-3)."
    assert afterwards([release("d-3", "v2", at=42), bad, good], at(0), bad, good) == "Nothing else was deployed since."


def test_the_summary_counts_alarms_verdicts_and_reasons_and_how_long_alarms_lasted() -> None:
    known = history(release("d-3", "v1", at=60), release("d-2", "v2", at=-10), release("d-1", "v1", at=-900, took=2))
    lasting = fired(0, recovered_at=at(61) + seconds(30))
    said = summary(replay([lasting, fired(-800), fired(0.5)], known, Policy()))
    assert said["alarms"] == 3
    assert said["verdicts"] == {"joins": 1, "refuses": 1, "rolls back": 1}
    assert said["refusals"] == {"NOT_ATTRIBUTABLE": 1}
    assert said["alarm_lasted_median_seconds"] == minutes(61.5).total_seconds()
    assert said["came_back_anyway"] == 1


def test_a_summary_of_nothing_is_all_zeros() -> None:
    assert summary([]) == {
        "alarms": 0,
        "rollbacks": 0,
        "verdicts": {},
        "refusals": {},
        "alarm_lasted_median_seconds": None,
        "alarm_lasted_longest_seconds": None,
        "came_back_anyway": 0,
    }
