"""Whole incidents: the kept table is what is played, the pages are what the table says, and the judge judges."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.recovery import page
from benchmarks.recovery.__main__ import PAGE, played
from benchmarks.recovery.incident import incident
from benchmarks.recovery.judge import worlds
from benchmarks.recovery.places import PLACES, Place
from benchmarks.recovery.scenarios import BACK, MIX, SCENARIOS
from benchmarks.recovery.table import OURS, figures, of_actor, quantile, versus_native, weight
from lastgood.model import Controller, DeploymentGroup
from lastgood_cli.expecting import Expecting
from lastgood_cli.readonly import ReadOnlySession
from scene import ALARM

KEPT = page.kept()
CODEDEPLOY = ("servers in place", "servers blue/green", "Lambda", "ECS blue/green")
AFTER, CANARY = "fails 20 minutes after it finished", "canary, fails from the first request"
OUTAGE, THRICE = "an outage, the last release three days old", "the message comes three times"
GRADUAL = "gradual, fails from the first request"
PLAYED = (
    *((AFTER, place, "lastgood") for place in (*CODEDEPLOY, "ECS rolling")),
    (AFTER, "Lambda", "native"),
    (AFTER, "Lambda", "sample"),
    (AFTER, "ECS blue/green", "sample+native"),
    (AFTER, "servers in place", "person"),
    (AFTER, "ECS rolling", "sample"),
    (CANARY, "Lambda", "native"),
    (CANARY, "Lambda", "lastgood"),
    (CANARY, "ECS blue/green", "lastgood+native"),
    (GRADUAL, "servers in place", "lastgood+native"),
    (GRADUAL, "ECS rolling", "ecs"),
    (GRADUAL, "ECS rolling", "lastgood"),
    (OUTAGE, "servers in place", "sample"),
    (OUTAGE, "Lambda", "lastgood"),
    (THRICE, "servers in place", "sample"),
    (THRICE, "ECS blue/green", "lastgood"),
    ("a crash between stop and redeployment", "servers in place", "lastgood"),
    ("the redeployment's answer is lost", "servers in place", "lastgood"),
    ("below the floor: the database cannot go back", "servers in place", "lastgood"),
    ("below the floor: the database cannot go back", "servers in place", "sample"),
    ("a forged message", "Lambda", "sample"),
    ("a forged message", "Lambda", "lastgood"),
    ("a storm: eight groups in alarm at once", "Lambda", "lastgood"),
    ("the fix is released after the onset", "servers blue/green", "lastgood"),
    ("two bad ones in a row", "ECS blue/green", "lastgood"),
    ("three failed attempts on top", "servers in place", "lastgood+native"),
    ("somebody is already rolling back", "ECS blue/green", "lastgood+native"),
    ("first deployment of what is already live", "ECS blue/green", "lastgood"),
)
"""A few of each actor, at each place, of each kind: in them the figures must not move unseen."""


@pytest.mark.parametrize("world", PLAYED, ids=" / ".join)
def test_an_incident_goes_as_the_kept_table_says(world: tuple[str, str, str]) -> None:
    """Where this fails because something became better, `make bench-recovery` writes the table anew."""
    (told,) = [row for row in KEPT if (row["scenario"], row["place"], row["actor"]) == world]
    assert {**played(world), "said": []} == {**told, "said": []}


def test_the_table_has_every_world_and_the_page_is_what_the_table_says() -> None:
    assert [(row["scenario"], row["place"], row["actor"]) for row in KEPT] == list(worlds())
    assert PAGE.read_text() == page.render(KEPT)


def test_there_are_scenarios_of_every_kind_and_their_weights_are_the_mix() -> None:
    assert len(SCENARIOS) >= 20 and sum(MIX.values()) == 100
    weights = dict.fromkeys(MIX, 0.0)
    for row in of_actor(KEPT, "lastgood"):
        weights[next(each.mix for each in SCENARIOS if each.name == row["scenario"])] += weight(row)
    assert weights == pytest.approx(MIX)


def test_lastgood_is_as_quick_as_awss_own_rollback_where_that_can_act() -> None:
    assert len(versus_native(KEPT)) >= 10
    for own, ours in versus_native(KEPT):
        assert ours <= own


def test_lastgood_ends_right_in_every_world_and_does_nothing_wrong_in_any() -> None:
    mine = [row for key in OURS for row in of_actor(KEPT, key)]
    assert [row for row in mine if not row["right"]] == []
    assert [row for row in mine if len(row["wrong"]) > row["wrong_by_aws"]] == []


def test_nobody_else_ends_right_more_often() -> None:
    shares = {key: figures(of_actor(KEPT, key)).right for key in {row["actor"] for row in KEPT}}
    ours = {shares.pop("lastgood"), shares.pop("lastgood+native")}
    assert min(ours) > max(shares.values())


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_the_minutes_that_plan_and_doctor_expect_are_those_that_are_played(place: Place) -> None:
    scenario = next(each for each in SCENARIOS if each.name == AFTER)
    with incident(scenario, place, native=False) as made:
        it = made.it
        alarms = it.local.cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
        controller = Controller.ECS if place.is_service else Controller.CODE_DEPLOY
        group = DeploymentGroup(it.application, it.group, controller)
        found = Expecting(ReadOnlySession(it.local.session), timedelta(hours=1)).of(group, alarms)
    (row,) = [each for each in of_actor(KEPT, "lastgood") if (each["scenario"], each["place"]) == (AFTER, place.name)]
    assert found.least <= 60 * row["minutes"] <= found.most, found.sentence


def test_never_is_counted_and_is_longer_than_any_time() -> None:
    def row(minutes: float | None) -> dict[str, Any]:
        return {"scenario": AFTER, "place": "Lambda", "minutes": minutes}

    assert next(each for each in SCENARIOS if each.name == AFTER).right == BACK
    rows = [row(2.0), row(3.0), row(4.0), row(None)]
    assert quantile(rows, 0.5, lambda _: 1.0) == 3.0
    assert math.isinf(quantile(rows, 0.9, lambda _: 1.0))
    assert quantile(rows, 0.5, lambda row: 10.0 if row["minutes"] == 4.0 else 1.0) == 4.0
