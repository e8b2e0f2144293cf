"""The same content released again, under its old or another name: by a retry, a revert, a hotfix, a second group.

The judge is what really serves in the simulated AWS.
"""

from __future__ import annotations

from typing import Any

import pytest

from scene import ALARM, PLATFORMS, Scene, scene


def four(platform: str) -> dict[str, Any]:
    return {"Lambda": {"versions": 4}, "ECS": {"task_definitions": 4}}.get(platform, {})


def third_is_bad(it: Scene) -> None:
    it.good_history(2)
    it.sim.declare_bad(it.release(3, settle=True, rest=120))


def ends_well(it: Scene) -> dict[str, Any]:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
    assert it.sim.bad_share(it.application, it.group) == 0
    return head


@pytest.mark.parametrize("between", [(), (2,)], ids=["a retry", "after somebody had rolled back"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_bad_release_that_somebody_makes_again_goes_back(platform: str, between: tuple[int, ...]) -> None:
    with scene(platform, **four(platform)) as it:
        it.good_history(2)
        first = it.release(3, settle=True, rest=600)
        for number in between:
            it.release(number, settle=True, rest=1200)
        again = it.release(3, settle=True, rest=120)
        it.sim.declare_bad(again)
        it.alarm_fires()
        # A retry changed nothing: it is the first of them that did.
        assert ends_well(it)["suspect_deployment_id"] == (again if between else first)
        assert it.is_live(2)


@pytest.mark.parametrize(("code", "live"), [("shop 2", "4"), ("shop 3", "2")], ids=["a revert", "no fix at all"])
def test_a_hotfix_that_comes_before_the_message_is_judged_by_its_content(code: str, live: str) -> None:
    """A new version with the good one's code is somebody's rollback; one with the bad one's code heals nothing."""
    with scene("Lambda", versions=3) as it:
        third_is_bad(it)
        it.local.alarm(ALARM)
        fired = it.now()
        it.sim.advance(20)
        it.release(int(it.sim.publish_version("shop", code=code)), settle=True, rest=5)
        it.deliver(it.alarm_message(at=fired))
        ends_well(it)
        assert it.live == live


def test_a_revert_under_a_new_version_is_as_good_as_what_it_reverts_to() -> None:
    with scene("Lambda", versions=3) as it:
        third_is_bad(it)
        it.alarm_fires()
        ends_well(it)
        it.alarm_recovers()
        it.sim.advance(7200)
        reverted = it.release(int(it.sim.publish_version("shop", code="shop 2")), settle=True)
        it.sim.declare_bad(it.release(int(it.sim.publish_version("shop")), settle=True, rest=120))
        it.alarm_fires()
        assert ends_well(it)["good_deployment_id"] == reverted


def test_what_another_deployment_group_of_the_same_alias_has_put_back_is_left_alone() -> None:
    with scene("Lambda", versions=3) as it:
        third_is_bad(it)
        it.sim.engine.create_group("shop", "other", {"serviceRoleArn": "x"}, 0).alias = ("shop", "live")
        it.sim.release("shop", "other", 2, settle=True)
        it.sim.advance(10)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "ALREADY_LIVE"), head["explanation"]
        assert it.is_live(2) and it.sim.bad_share("shop", "prod") == 0


@pytest.mark.parametrize("weights", [("3", {"2": 0.5}), ("2", {"3": 0.1})], ids=["half back", "nearly back"])
def test_weights_that_somebody_set_by_hand_are_cleared_with_the_suspects_share(
    weights: tuple[str, dict[str, float]],
) -> None:
    with scene("Lambda", versions=3) as it:
        third_is_bad(it)
        it.sim.engine.lambda_world.point("shop", "live", *weights)
        it.alarm_fires()
        ends_well(it)
        assert it.sim.live("shop", "prod").shares == {"2": 1.0}
