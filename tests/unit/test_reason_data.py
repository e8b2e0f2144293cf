"""What an alarm's reason data say of when its breach began."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.reason_data import breach_began, has_no_data, is_of_change, parse_reason_data, triggering_alarms

TEN = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def stamp(minute: float) -> str:
    return (TEN + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def data(*points: tuple[float, float | None], **more: Any) -> dict[str, Any]:
    """Evaluated datapoints as (minute, value), newest first as CloudWatch lists them."""
    evaluated = [
        {"timestamp": stamp(minute), **({} if value is None else {"value": value})} for minute, value in points
    ]
    return {"version": "1.0", "period": 60, "threshold": 5.0, "evaluatedDatapoints": evaluated[::-1], **more}


def began(found: dict[str, Any], comparison: str = "GreaterThanThreshold", datapoints: int = 0) -> float | None:
    """The minute after ten at which the breach began."""
    onset = breach_began(found, comparison, datapoints)
    return (onset.at - TEN) / timedelta(minutes=1) if onset else None


def test_a_breach_began_with_the_earliest_datapoint_that_breached() -> None:
    assert began(data((1, 0.1), (2, 9.0), (3, 9.0))) == 2


def test_two_of_three_datapoints_need_not_follow_one_another() -> None:
    assert began(data((1, 9.0), (2, 0.1), (3, 9.0))) == 1


def test_what_is_older_than_the_datapoints_that_the_alarm_evaluates_did_not_make_it_fire() -> None:
    assert began(data((-9, 9.0), (1, 0.1), (2, 9.0), (3, 9.0)), datapoints=3) == 2


@pytest.mark.parametrize(
    ("comparison", "values", "minute"),
    [
        ("GreaterThanThreshold", (5.0, 9.0), 2),
        ("GreaterThanOrEqualToThreshold", (5.0, 9.0), 1),
        ("LessThanThreshold", (5.0, 1.0), 2),
        ("LessThanOrEqualToThreshold", (5.0, 1.0), 1),
        ("2 out of the last 3 datapoints were less than the threshold (5.0)", (9.0, 1.0), 2),
        ("LessThanThreshold", (1.0, 9.0), 1),
        ("GreaterThanThreshold", (9.0, 1.0), 1),
        ("", (1.0, 5.0), 2),
        ("", (1.0, 9.0), 2),
        ("", (9.0, 1.0), 2),
    ],
)
def test_the_operator_or_the_newest_datapoint_says_on_which_side_a_datapoint_breaches(
    comparison: str, values: tuple[float, float], minute: float
) -> None:
    assert began(data((1, values[0]), (2, values[1])), comparison) == minute


def test_a_list_without_times_counts_from_its_start() -> None:
    older = {"startDate": stamp(-14), "period": 300, "threshold": 5.0, "recentDatapoints": [1.0, 9.0, 9.0]}
    assert began(older) == -9


def test_times_of_only_some_datapoints_are_filled_up_from_the_list() -> None:
    found = data((3, 9.0), startDate=stamp(1), recentDatapoints=[0.1, 9.0, 9.0])
    assert began(found) == 2


def test_where_each_datapoint_has_its_time_the_older_list_adds_none() -> None:
    assert began(data((2, 9.0), (3, 9.0), startDate=stamp(1), recentDatapoints=[9.0, 9.0])) == 2


@pytest.mark.parametrize("seconds", [1, 604_800])
def test_a_period_may_be_a_second_or_a_week(seconds: int) -> None:
    assert began(data((1, 9.0), period=seconds)) == 1


def test_a_period_of_ten_seconds_is_told_in_seconds() -> None:
    onset = breach_began(data((0, 9.0), period=10), "GreaterThanThreshold")
    assert onset is not None
    assert (onset.margin, onset.measured) == (timedelta(seconds=10), True)


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"version": "1.0", "queryDate": stamp(0)},
        data(),
        data((1, None)),
        data((1, 0.1)),
        data((1, 9.0), period=0),
        data((1, 9.0), period="60"),
        data((1, 9.0), threshold=None),
        data((1, 9.0), period=10**9),
        data() | {"evaluatedDatapoints": [{"timestamp": "9999-12-31T23:59:59+0000", "value": 9.0}, 7, {}]},
        data() | {"evaluatedDatapoints": 7, "recentDatapoints": 7},
    ],
)
def test_where_no_datapoint_shows_it_the_onset_is_not_known(found: dict[str, Any]) -> None:
    assert began(found) is None


def test_the_alarms_own_period_stands_in_for_one_that_the_data_do_not_name() -> None:
    found = data((1, 9.0))
    del found["period"]
    assert breach_began(found, "GreaterThanThreshold") is None
    onset = breach_began(found, "GreaterThanThreshold", period=300)
    assert onset is not None
    assert onset.margin == timedelta(minutes=5)


def test_reason_data_are_the_object_in_the_text() -> None:
    assert parse_reason_data(json.dumps(data((1, 9.0)))) == data((1, 9.0))


@pytest.mark.parametrize(
    ("found", "none"),
    [
        pytest.param({"recentDatapoints": []}, True, id="an empty list"),
        pytest.param({"recentDatapoints": [], **data((1, None))}, True, id="times without values"),
        pytest.param({"recentDatapoints": [], **data((1, 0.1))}, False, id="a value with its time"),
        pytest.param({"recentDatapoints": [0.1]}, False, id="a value in the list"),
        pytest.param({}, False, id="nothing is said"),
        pytest.param(data((1, None)), False, id="the list is missing"),
    ],
)
def test_there_is_no_data_only_where_the_evaluation_says_so(found: dict[str, Any], none: bool) -> None:
    assert has_no_data(found) is none


@pytest.mark.parametrize("text", [None, 7, "", "{", "[]", "[" * 10_000, "x" * 30_000, '"text"'])
def test_what_is_no_object_in_json_says_nothing(text: object) -> None:
    assert parse_reason_data(text) == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "period",
                        "threshold",
                        "evaluatedDatapoints",
                        "recentDatapoints",
                        "startDate",
                        "timestamp",
                        "value",
                        "triggeringAlarms",
                        "arn",
                        "queryDate",
                    ]
                ),
                s,
            )
        ),
    )
)
def test_no_reason_data_break_the_reader(value: object) -> None:
    found = parse_reason_data(json.dumps(value))
    breach_began(found)
    triggering_alarms(found)
    is_of_change(found, TEN)


@pytest.mark.parametrize("name", ["threshold", "period"])
def test_a_number_beyond_all_measure_dates_nothing(name: str) -> None:
    """JSON has integers of any size, and who sets an alarm's state by hand may write them."""
    assert breach_began(data((0, 9.0)) | {name: 10**400, "recentDatapoints": [9.0, 10**400]}) is None


def test_a_composite_alarm_names_what_made_it_fire() -> None:
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors"
    assert triggering_alarms({"triggeringAlarms": [{"arn": arn, "state": {"value": "ALARM"}}, {}, 7]}) == (arn,)
    assert triggering_alarms({"triggeringAlarms": 7}) == ()


@pytest.mark.parametrize(("minute", "same"), [(0, True), (5, True), (-5, True), (6, False), (-180, False)])
def test_data_of_another_evaluation_do_not_belong_to_the_change(minute: float, same: bool) -> None:
    assert is_of_change({"queryDate": stamp(minute)}, TEN) is same
    assert is_of_change({}, TEN)


@pytest.mark.parametrize("period", [10, 20, 30])
def test_a_quick_alarm_dates_its_breach_to_its_own_period(period: int) -> None:
    """Two of five datapoints, with a good one between them."""
    points = [(n * period / 60, value) for n, value in enumerate((0.1, 9.0, 0.1, 0.1, 9.0))]
    onset = breach_began(data(*points, period=period), "GreaterThanThreshold", datapoints=5)
    assert onset is not None and onset.measured
    assert (onset.at - TEN, onset.margin) == (timedelta(seconds=period), timedelta(seconds=period))


BAND = {
    "version": "1.0",
    "queryDate": "2026-03-02T10:05:04.650+0000",
    "startDate": "2026-03-02T10:02:00.000+0000",
    "period": 60,
    "recentDatapoints": [5.0, 9.0, 1.0],
    "recentLowerThresholds": [2.0, 2.0, 2.0],
    "recentUpperThresholds": [8.0, 8.0, 8.0],
}


@pytest.mark.parametrize(
    ("comparison", "values", "minute"),
    [
        ("LessThanLowerOrGreaterThanUpperThreshold", [5.0, 9.0, 1.0], 3),
        ("LessThanLowerOrGreaterThanUpperThreshold", [1.0, 9.0, 5.0], 2),
        ("LessThanLowerOrGreaterThanUpperThreshold", [2.0, 8.0, 9.0], 4),
        ("GreaterThanUpperThreshold", [5.0, 9.0, 1.0], 3),
        ("GreaterThanUpperThreshold", [1.0, 9.0, 5.0], 3),
        ("LessThanLowerThreshold", [5.0, 9.0, 1.0], 4),
        ("LessThanLowerThreshold", [9.0, 1.0, 5.0], 3),
        ("was less than the lower thresholds [2.0] or greater than the upper thresholds [8.0]", [5.0, 9.0, 1.0], 3),
        ("", [5.0, 9.0, 1.0], 3),
        ("", [1.0, 9.0, 5.0], 2),
    ],
)
def test_an_anomaly_begins_with_the_first_datapoint_outside_of_its_own_band(
    comparison: str, values: list[float], minute: int
) -> None:
    found = breach_began(BAND | {"recentDatapoints": values}, comparison)
    assert found is not None and found.measured
    assert found.at == datetime(2026, 3, 2, 10, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    "more",
    [
        {"recentLowerThresholds": [2.0], "recentUpperThresholds": [8.0]},
        {"recentLowerThresholds": None, "recentUpperThresholds": None},
        {"recentUpperThresholds": [8.0, "x", 8.0], "recentLowerThresholds": []},
        {"recentDatapoints": [3.0, 4.0, 5.0]},
    ],
    ids=["too few bounds", "no bounds", "no numbers", "nothing outside"],
)
def test_a_band_that_does_not_fit_its_datapoints_dates_nothing(more: dict[str, object]) -> None:
    assert breach_began(BAND | more) is None


def test_a_band_with_one_side_is_enough() -> None:
    found = breach_began(BAND | {"recentLowerThresholds": None}, "GreaterThanUpperThreshold")
    assert found is not None and found.at == datetime(2026, 3, 2, 10, 3, tzinfo=UTC)
    found = breach_began(BAND | {"recentUpperThresholds": None}, "LessThanLowerThreshold")
    assert found is not None and found.at == datetime(2026, 3, 2, 10, 4, tzinfo=UTC)
