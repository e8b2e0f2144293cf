"""What operators and past rollbacks left for a deployment group, written and read."""

from __future__ import annotations

from builders import NOW, at, minutes, rollback
from lastgood.model import (
    Controls,
    DeploymentGroup,
    Mode,
)
from lastgood.times import iso
from table_rows import SHOP, opened


def test_a_group_that_nobody_touched_has_no_controls(ledger):
    assert ledger.controls(SHOP, NOW) == Controls()


def test_a_pause_holds_until_it_is_resumed(ledger):
    ledger.set_control(SHOP, "PAUSE", {"requested_by": "ann", "explanation": "migration", "until": iso(at(60))})
    pause = ledger.controls(SHOP, NOW).pause_group
    assert pause is not None
    assert (pause.requested_by, pause.reason, pause.until) == ("ann", "migration", at(60))
    ledger.set_control(SHOP, "PAUSE", {"requested_by": "bob", "resumed_at": iso(NOW)})
    assert ledger.controls(SHOP, NOW).pause_group is None


def test_a_pause_of_everything_is_no_groups_pause(ledger):
    ledger.set_control(None, "PAUSE", {"requested_by": "ann", "explanation": "region is ill", "until": ""})
    everything = ledger.common(NOW, minutes(10)).pause_all
    assert everything is not None
    assert (everything.requested_by, everything.until) == ("ann", None)
    assert ledger.controls(SHOP, NOW).pause_group is None


def test_a_mode_ends_when_its_time_is_over(ledger):
    ledger.set_control(SHOP, "MODE", {"mode": "observe", "until": iso(at(60))})
    assert ledger.controls(SHOP, at(59.9)).mode is Mode.OBSERVE
    assert ledger.controls(SHOP, at(60)).mode is None
    ledger.set_control(SHOP, "MODE", {"mode": "off", "until": ""})
    assert ledger.controls(SHOP, at(9999)).mode is Mode.OFF


def test_a_floor_is_kept_until_it_is_cleared(ledger):
    ledger.set_control(SHOP, "FLOOR", {"deployment_id": "d-2", "created_at": iso(at(-9)), "explanation": "schema"})
    floor = ledger.controls(SHOP, NOW).floor
    assert floor is not None
    assert (floor.deployment_id, floor.created_at, floor.reason) == ("d-2", at(-9), "schema")
    ledger.set_control(SHOP, "FLOOR", {"cleared_at": iso(NOW)})
    ledger.set_control(SHOP, "FLOOR_CLEARED#d-7", {"cleared_at": iso(NOW)})
    controls = ledger.controls(SHOP, NOW)
    assert controls.floor is None
    assert controls.cleared_floors == frozenset({"d-7"})


def test_a_revision_that_is_marked_bad_is_bad_until_it_is_marked_good(ledger):
    ledger.mark_revision(SHOP, "s3://b/k?v=1", good=False, by="ann", why="leaks memory", now=NOW)
    assert ledger.controls(SHOP, NOW).known_bad == {"s3://b/k?v=1": "leaks memory"}
    ledger.mark_revision(SHOP, "s3://b/k?v=1", good=True, by="ann", why="it was not the code", now=NOW)
    controls = ledger.controls(SHOP, NOW)
    assert (controls.known_bad, controls.marked_good) == ({}, frozenset({"s3://b/k?v=1"}))
    ledger.mark_revision(SHOP, "s3://b/k?v=1", good=False, by="ann", why="it was", now=NOW)
    controls = ledger.controls(SHOP, NOW)
    assert (controls.known_bad, controls.marked_good) == ({"s3://b/k?v=1": "it was"}, frozenset())


def test_the_controls_of_one_group_say_nothing_about_another(ledger):
    ledger.mark_revision(SHOP, "v2", good=False, by="ann", why="x", now=NOW)
    ledger.set_control(SHOP, "MODE", {"mode": "off"})
    assert ledger.controls(DeploymentGroup("shop", "prod2"), NOW) == Controls()
    assert ledger.controls(DeploymentGroup("shop", "pro"), NOW) == Controls()


def test_more_memory_than_fits_on_one_page_is_read_whole(ledger):
    for number in range(30):
        why = "x" * 50_000
        ledger.mark_revision(SHOP, f"v{number}", good=False, by="ann", why=why, now=NOW)
    assert len(ledger.controls(SHOP, NOW).known_bad) == 30


def test_only_groups_that_an_alarm_opened_within_the_window_count_for_the_storm(ledger):
    def at_minute(number: float, name: str, storm: bool = True) -> None:
        record = rollback(rollback_id=f"rb-{name}", deployment_group=name, opened_at=at(number))
        opened(ledger, record, storm=storm)

    at_minute(-10.1, "long-ago")
    at_minute(-9.9, "one")
    at_minute(0, "two/with/slashes")
    at_minute(0, "by-hand", storm=False)
    found = ledger.common(at(0), minutes(10))
    assert (found.pause_all, found.groups_in_alarm) == (None, frozenset({"shop/one", "shop/two/with/slashes"}))


def test_a_past_rollback_with_an_outcome_of_a_newer_version_still_counts(ledger, table):
    sk = f"PAST#{iso(at(-5))}#rb-new"
    table.put_item(Item={"pk": "GROUP#shop/prod", "sk": sk, "rollback_id": "rb-new", "outcome": "HALF"})
    (found,) = ledger.controls(SHOP, NOW).past
    assert (found.rollback_id, found.closed_at) == ("rb-new", at(-5))


def test_a_mode_of_a_newer_version_is_never_read_as_acting_by_itself(ledger, table):
    table.put_item(Item={"pk": "GROUP#shop/prod", "sk": "MODE", "mode": "ask-twice"})
    assert ledger.controls(SHOP, NOW).mode in {Mode.OBSERVE, Mode.OFF}


def test_kinds_of_items_that_this_version_does_not_know_are_passed_over(ledger, table):
    table.put_item(Item={"pk": "GROUP#shop/prod", "sk": "BUDGET#2026", "spent": 3})
    assert ledger.controls(SHOP, NOW) == Controls()
