"""The search through the history: the same cost however long it is, right whatever order CodeDeploy lists it in."""

from __future__ import annotations

from collections import Counter

import pytest

from scene import PLATFORMS, Scene, scene


def calls_of_a_rollback(it: Scene, length: int, failed_on_top: int = 0) -> Counter[str]:
    """What a rollback of a bad release on top of so long a history asks CodeDeploy."""
    it.sim.seed_history("shop", "prod", length, every_seconds=600)
    if failed_on_top:
        it.sim.seed_history("shop", "prod", failed_on_top, every_seconds=60, status="Failed")
    number = length + failed_on_top + 100
    if it.platform == "Lambda":
        number = int(it.sim.publish_version("shop"))
    elif it.platform == "ECS":
        number = int(it.sim.register_task_definition("web").rsplit(":", 1)[1])
    it.release(number)
    it.sim.advance(1)
    before = len(it.sim.arrivals)
    result = it.alarm_fires()
    assert result.get("phase") in {"VERIFYING", "STOPPING"}, result
    return Counter(f"{arrival.service}.{arrival.operation}" for arrival in it.sim.arrivals[before:])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_ten_thousand_deployments_cost_the_same_calls_as_a_hundred(platform: str) -> None:
    with scene(platform) as it:
        short = calls_of_a_rollback(it, 100)
    with scene(platform) as it:
        long = calls_of_a_rollback(it, 10_000)
    assert short == long


def test_five_hundred_failures_on_top_cost_the_same_calls() -> None:
    with scene("Server") as it:
        quiet = calls_of_a_rollback(it, 100)
    with scene("Server") as it:
        stormy = calls_of_a_rollback(it, 10_000, failed_on_top=500)
    assert quiet == stormy


@pytest.mark.parametrize(("kind", "asked"), [("IN_PLACE", 0), ("BLUE_GREEN", 1)])
def test_a_group_of_servers_is_asked_for_itself_only_where_its_deployments_move_traffic(kind: str, asked: int) -> None:
    style = {"deploymentType": kind, "deploymentOption": "WITH_TRAFFIC_CONTROL"}
    with scene("Server", deploymentStyle=style) as it:
        assert calls_of_a_rollback(it, 20)["codedeploy.GetDeploymentGroup"] == asked
        assert it.calls("StopDeployment")[0]["autoRollbackEnabled"] is (kind == "BLUE_GREEN")


@pytest.mark.parametrize(("takes", "looked_at"), [(0, False), (1, True)])
def test_a_stop_that_is_over_at_once_is_not_asked_about_again(takes: int, looked_at: bool) -> None:
    with scene("Server") as it:
        it.sim.timing("shop", "prod", stop_pending_seconds=takes)
        assert bool(calls_of_a_rollback(it, 20)["codedeploy.GetDeployment"]) is looked_at
        assert len(it.calls("CreateDeployment")) == 1


@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "shuffled"])
@pytest.mark.parametrize("length", [3, 40, 300])
def test_the_last_good_revision_is_found_in_whatever_order_codedeploy_lists(order: str, length: int) -> None:
    with scene("Server") as it:
        it.sim.engine.list_order = order
        good = it.sim.seed_history("shop", "prod", length, every_seconds=3600)[-1]
        bad = it.release(9_999)
        it.sim.advance(1)
        result = it.alarm_fires()
        assert (result["suspect_deployment_id"], result["good_deployment_id"]) == (bad, good)


def test_a_last_good_revision_of_last_winter_is_found_too() -> None:
    with scene("Server") as it:
        good = it.release(1, settle=True, rest=200 * 86_400)
        it.release(2)
        it.sim.advance(1)
        assert it.alarm_fires()["good_deployment_id"] == good
