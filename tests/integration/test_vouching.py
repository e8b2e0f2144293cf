"""A description is anybody's text: that lastgood made a deployment is believed only if the ledger knows of it."""

from __future__ import annotations

import pytest

from scene import ALARM, PLATFORMS, Scene, scene

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)


def released_as(it: Scene, description: str) -> str:
    """A bad release whose description claims something."""
    it.good_history(1, 2)
    return it.release(3, settle=True, rest=300, description=description)


@EVERYWHERE
@pytest.mark.parametrize("claim", ["lastgood rb-manual-0 puts back d-XXXXXXXXX", "lastgood ", "lastgood rb"])
def test_a_release_that_claims_to_be_a_rollback_is_rolled_back(platform: str, claim: str) -> None:
    with scene(platform) as it:
        bad = released_as(it, claim)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.is_live(2)


def test_the_name_of_a_rollback_that_made_another_deployment_is_not_believed() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        real = it.run_to_end()
        it.alarm_recovers()
        it.sim.advance(86_400)
        bad = it.release(4, settle=True, rest=300, description=f"lastgood {real['rollback_id']} puts back d-1")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.is_live(2)


@EVERYWHERE
def test_a_rollback_that_the_ledger_knows_is_never_rolled_back(platform: str) -> None:
    with scene(platform, settings={"LASTGOOD_COOLDOWN": "0s"}) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        it.run_to_end()
        it.alarm_recovers()
        it.sim.advance(120)
        it.alarm_fires()
        assert it.run_to_end()["reason_code"] == "SUSPECT_IS_ROLLBACK"
        assert it.is_live(2)


def given_up(it: Scene) -> str:
    """A rollback that ended without knowing whether its CreateDeployment took effect. Returns its id."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)
    it.sim.timeout_without_effect("CreateDeployment", 400)
    it.alarm_fires()
    it.sim.advance(3 * 3600)
    head = it.run_to_end()
    it.sim.faults.clear()
    assert (head["outcome"], head["rollback_deployment_id"], "create_attempted_at" in head) == ("FAILED", "", True)
    return it.rollback_id


def test_the_name_of_a_rollback_that_ended_without_a_deployment_is_not_believed() -> None:
    with scene("Server") as it:
        unanswered = given_up(it)
        it.local.alarm(ALARM, "OK")
        it.sim.advance(86_400)
        it.release(2, settle=True)
        bad = it.release(4, settle=True, rest=300, description=f"lastgood {unanswered} puts back d-1")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.is_live(2)


def test_a_release_of_something_else_under_the_name_of_a_rollback_that_just_ended_is_not_believed() -> None:
    with scene("Server", settings={"LASTGOOD_COOLDOWN": "0s"}) as it:
        unanswered = given_up(it)
        it.local.alarm(ALARM, "OK")
        bad = it.release(4, settle=True, rest=60, description=f"lastgood {unanswered} puts back d-1")
        it.alarm_fires()
        assert it.head["reason_code"] != "SUSPECT_IS_ROLLBACK", it.head["explanation"]
        assert it.head["suspect_deployment_id"] == bad
