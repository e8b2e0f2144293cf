"""`LASTGOOD_REQUIRE_EVIDENCE`: an alarm is obeyed only if its own metric breaches its threshold."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from lastgood.evidence import doubt
from scene import ALARM, Scene, scene

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ASKED = (
    "AlarmName",
    "ComparisonOperator",
    "EvaluationPeriods",
    "MetricName",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
)
ON = {"LASTGOOD_REQUIRE_EVIDENCE": "true"}


def measured(it: Scene, *values: float, **metric: Any) -> None:
    """The group's metric had these values, the newest first, one a minute."""
    for minute, value in enumerate(values):
        point = {"MetricName": "5XXError", "Value": value, "Timestamp": it.now().timestamp() - 60 * minute, **metric}
        it.local.cloudwatch.put_metric_data(Namespace="AWS/ApiGateway", MetricData=[point])


def bad_release(it: Scene) -> None:
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)


def alarm(it: Scene, **changes: Any) -> None:
    """The group's alarm, with something about it changed: three of three datapoints over 0.05 by default."""
    it.local.alarm(ALARM, "OK")
    known = it.local.cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"][0]
    made = {name: known[name] for name in ASKED} | changes
    it.local.cloudwatch.put_metric_alarm(**made)


def untouched(it: Scene) -> None:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "ALARM_NOT_CONFIRMED"), head["explanation"]
    assert head["needs_human"] is True
    assert it.is_live(3)
    assert not it.calls("StopDeployment") and not it.calls("CreateDeployment")


def rolled_back(it: Scene) -> None:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
    assert it.is_live(2)


def test_an_alarm_that_somebody_set_by_hand_commands_nothing_and_people_hear_why() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        measured(it, *[0.01] * 10)
        it.alarm_fires()
        untouched(it)
        assert "0 of" in it.head["explanation"] and ALARM in it.head["explanation"]
        assert "LASTGOOD_REQUIRE_EVIDENCE" in str(it.local.notices())


def test_an_alarm_whose_metric_was_never_measured_commands_nothing() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        it.alarm_fires()
        untouched(it)


def test_an_alarm_whose_metric_breaches_is_obeyed() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        measured(it, *[0.2] * 5)
        it.alarm_fires()
        rolled_back(it)


def test_one_breach_is_not_enough_where_the_alarm_needs_three() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        alarm(it)
        measured(it, 0.01, 0.2, 0.01, 0.2, 0.01)
        it.alarm_fires()
        untouched(it)


def test_two_of_three_are_enough_where_the_alarm_says_so() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        alarm(it, DatapointsToAlarm=2)
        measured(it, 0.01, 0.2, 0.01, 0.2, 0.01)
        it.alarm_fires()
        rolled_back(it)


def test_silence_is_evidence_where_missing_data_breaches() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        alarm(it, TreatMissingData="breaching")
        it.alarm_fires()
        rolled_back(it)


def test_a_metric_with_other_dimensions_is_no_evidence() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        alarm(it, Dimensions=[{"Name": "ApiName", "Value": "shop"}])
        measured(it, *[0.2] * 10, Dimensions=[{"Name": "ApiName", "Value": "cart"}])
        it.alarm_fires()
        untouched(it)


class CloudWatch:
    """CloudWatch with a child in ALARM whose metric has one value throughout: moto knows no composite alarms."""

    def __init__(self, value: float) -> None:
        self.value = value

    def describe_alarms(self, AlarmNames: list[str], StateValue: str, **_: Any) -> dict[str, Any]:
        assert (AlarmNames, StateValue) == (["child one", "other", "shop: 5xx (prod)", "it's late"], "ALARM")
        return {"MetricAlarms": [CHILD]}

    def get_metric_data(self, **_: Any) -> dict[str, Any]:
        return {"MetricDataResults": [{"Id": "m", "Values": [self.value] * 5}]}


CHILD = {
    "AlarmName": "child one",
    "MetricName": "Errors",
    "Namespace": "Shop",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}
RULE = (
    'ALARM("child one") AND NOT OK(quiet) OR ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:other) OR '
    "ALARM('arn:aws:cloudwatch:us-east-1:123456789012:alarm:shop: 5xx (prod)') OR ALARM(\"it's late\")"
)


@pytest.mark.parametrize(("value", "doubted"), [(5.0, False), (4.9, True)])
def test_a_composite_alarm_is_confirmed_by_the_metric_of_an_alarm_in_its_rule(value: float, doubted: bool) -> None:
    found = doubt(CloudWatch(value), {"AlarmName": "all", "AlarmRule": RULE}, NOW)
    assert bool(found) is doubted
    assert not doubted or "child one" in found


@pytest.mark.parametrize(
    "alarm",
    [
        {"AlarmName": "all", "AlarmRule": "TRUE"},
        CHILD | {"ComparisonOperator": "GreaterThanUpperThreshold"},
        CHILD | {"Statistic": None},
        CHILD | {"Metrics": [{"Id": "a", "Expression": "1"}, {"Id": "b", "Expression": "2"}]},
    ],
)
def test_an_alarm_that_cannot_be_asked_for_its_metric_is_doubted(alarm: dict[str, Any]) -> None:
    assert doubt(CloudWatch(99.0), alarm, NOW)


@pytest.mark.parametrize(("series", "doubted"), [(([9.0], [9.0], [9.0]), True), (([0.0], [9.0] * 3), False)])
def test_of_an_alarm_over_many_series_one_has_to_breach_often_enough(
    series: tuple[list[float], ...], doubted: bool
) -> None:
    """Three series that breach once each are three noisy minutes, not a breach of three periods."""
    fleet = SimpleNamespace(
        get_metric_data=lambda **_: {"MetricDataResults": [{"Id": "m", "Values": values} for values in series]}
    )
    assert bool(doubt(fleet, CHILD, NOW)) is doubted


def test_metric_math_is_asked_as_the_alarm_asks_it() -> None:
    metrics = [
        {"Id": "errors", "MetricStat": {"Metric": {}, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "rate", "Expression": "errors / 100", "ReturnData": True},
    ]
    assert doubt(CloudWatch(5.0), CHILD | {"Metrics": metrics}, NOW) == ""
