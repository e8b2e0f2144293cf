"""A description is anybody's text: that lastgood made a deployment is believed only if the ledger knows of it."""

from __future__ import annotations

import pytest

from scene import PLATFORMS, Scene, scene

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
