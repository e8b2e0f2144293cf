"""The minutes that an incident is expected to take, and what would shorten it, from what AWS says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lastgood_cli.expected import (
    Advice,
    Part,
    alarm_advice,
    between,
    detection,
    expected,
    redeployment,
    seconds_of,
    target_group_advice,
    termination_wait,
    way_back_advice,
)

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def alarm(period: int = 60, wanted: int = 3, whole: int = 3) -> dict[str, Any]:
    return {"Period": period, "DatapointsToAlarm": wanted, "EvaluationPeriods": whole}


def blue_green(minutes: int) -> dict[str, Any]:
    ending = {"action": "TERMINATE", "terminationWaitTimeInMinutes": minutes}
    return {"blueGreenDeploymentConfiguration": {"terminateBlueInstancesOnDeploymentSuccess": ending}}


def told(advice: Any) -> list[tuple[str, float]]:
    return [(each.text, each.saves) for each in advice]


@pytest.mark.parametrize(
    ("period", "wanted", "least", "most"),
    [(60, 1, 1, 120), (60, 3, 120, 240), (300, 1, 1, 360), (10, 2, 10, 30), (20, 3, 40, 70), (30, 2, 30, 70)],
)
def test_an_alarm_fires_after_its_datapoints_and_the_rhythm_at_which_it_is_looked_at(
    period: int, wanted: int, least: float, most: float
) -> None:
    found = detection(alarm(period, wanted))
    assert (found.least, found.most) == (least, most)


def test_the_datapoints_of_metric_math_are_those_of_its_metrics() -> None:
    metrics = [{"Id": "e1", "Expression": "m1/m2"}, {"Id": "m1", "MetricStat": {"Period": 300}}]
    assert detection({"Metrics": metrics, "EvaluationPeriods": 1}).most == 360


def test_all_evaluation_periods_count_where_the_datapoints_are_not_said() -> None:
    assert detection({"Period": 60, "EvaluationPeriods": 3}) == detection(alarm(60, 3))


@pytest.mark.parametrize("period", [10, 20, 30, 60])
def test_of_m_datapoints_out_of_n_the_m_count(period: int) -> None:
    assert detection(alarm(period, 2, 5)) == detection(alarm(period, 2, 2))


@pytest.mark.parametrize(("given", "saves"), [(alarm(60, 3), 60), (alarm(60, 2), None), (alarm(300, 2), 480)])
def test_the_alarm_is_the_first_place_to_save_time(given: dict[str, Any], saves: float | None) -> None:
    assert [each.saves for each in alarm_advice(given)] == ([saves] if saves else [])


def test_a_target_group_with_its_defaults_costs_minutes_for_each_batch() -> None:
    assert told(target_group_advice({}, {})) == [
        ("a deregistration delay of 30 seconds instead of 300 would save 4.5 min", 270),
        ("health checks of 5 seconds, 2 in a row, instead of 30 seconds, 5 in a row, would save 2.5 min", 140),
    ]
    (delay, _) = target_group_advice({}, {}, batches=10)
    assert delay.saves == 2700 and "in 10 batches" in delay.text
    quick = {"deregistration_delay.timeout_seconds": "30"}
    assert told(target_group_advice(quick, {"HealthCheckIntervalSeconds": 5, "HealthyThresholdCount": 2})) == []


def test_the_old_fleet_is_worth_keeping_for_as_long_as_an_alarm_may_blame_the_release() -> None:
    window = timedelta(hours=1)
    (advice,) = way_back_advice(blue_green(5), window, [360.0])
    assert advice.saves == 360 and "after 5 min" in advice.text and "kept for 1 h" in advice.text
    assert told(way_back_advice(blue_green(60), window, [360.0])) == []
    assert told(way_back_advice({}, window, [360.0])) == []


def test_how_long_deployments_took_is_told_without_the_wait_for_the_old_task_set() -> None:
    made = {
        "status": "Succeeded",
        "computePlatform": "ECS",
        "createTime": NOW,
        "completeTime": NOW + timedelta(minutes=9),
        **blue_green(5),
    }
    assert seconds_of([made, {**made, "status": "Failed"}, {"status": "Succeeded"}]) == [240.0]
    assert seconds_of([{**made, "computePlatform": "Server"}]) == [540.0]
    assert termination_wait(made) == 300


def test_a_rollback_is_expected_to_take_as_long_as_rollbacks_took_before() -> None:
    assert redeployment([]) is None
    assert redeployment([60.0, 600.0]) == Part("a deployment took", 60, 600)
    assert redeployment([60.0, 600.0], [45.0]) == Part("a rollback took", 45, 45)


def test_the_whole_is_the_sum_and_the_advice_that_saves_most_comes_first() -> None:
    found = expected([Part("a", 60, 120), None, Part("b", 30, 30)], [Advice("x", 60), Advice("z", 5), Advice("y", 90)])
    assert (found.least, found.most) == (90, 150)
    assert [each.text for each in found.advice] == ["y", "x"]
    assert found.sentence == (
        "From the first failing request to the good revision: about 1.5 min to 2.5 min: a 60 s to 2 min, b 30 s."
    )


def test_times_are_said_as_people_say_them() -> None:
    assert (between(20, 20), between(100, 260)) == ("20 s", "1.5 min to 4.5 min")
