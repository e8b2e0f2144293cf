"""Alarms of every type, alarms over many time series, and alarms that somebody has silenced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest

from lastgood import links
from lastgood.alarms import Alarms, types
from lastgood.model import AlarmFacts, AlarmState
from scene import ALARM, Scene, scene
from stage.local import alarm_arn

SERIES = "2868f7dcc58a8caf"


def cloudwatch_answers(it: Scene, operation: str, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """From now on CloudWatch answers the function so. What it is asked is kept."""
    asked: list[Mapping[str, Any]] = []
    events = it.local.application._parts.alarms._client.meta.events
    events.register(f"provide-client-params.cloudwatch.{operation}", lambda params, **_: asked.append(dict(params)))
    events.register(f"before-call.cloudwatch.{operation}", lambda **_: (SimpleNamespace(status_code=200), answer))
    return asked


def described(since: datetime, **more: Any) -> dict[str, Any]:
    """A firing alarm with what every type of alarm has."""
    return {
        "AlarmName": ALARM,
        "AlarmArn": alarm_arn(ALARM),
        "StateValue": "ALARM",
        "StateTransitionedTimestamp": since,
        **more,
    }


def bad_release(it: Scene) -> str:
    it.good_history(1, 2)
    made = it.release(3, settle=True, rest=300)
    it.local.alarm(ALARM, "OK")
    return made


@pytest.mark.parametrize("kind", ["LogAlarms", "TraceAlarms"])
def test_an_alarm_of_another_type_confirms_like_any_other(kind: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        asked = cloudwatch_answers(it, "DescribeAlarms", {"MetricAlarms": [], kind: [described(it.now())]})
        it.deliver(it.alarm_message())
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
        assert {"MetricAlarm", "CompositeAlarm", "LogAlarm"} <= set(asked[0]["AlarmTypes"])


def log_alarm(since: datetime, rate: str) -> dict[str, Any]:
    """A log alarm that fires after two of three results of its query."""
    schedule = {"ScheduleConfiguration": {"ScheduleExpression": rate}}
    counts = {"QueryResultsToEvaluate": 3, "QueryResultsToAlarm": 2}
    return described(since, ScheduledQueryConfiguration=schedule, **counts)


@pytest.mark.parametrize(
    ("rate", "minutes"),
    [("rate(5 minutes)", 10), ("rate(1 hour)", 120), ("rate(1 minute)", 2), ("cron(0 * * * ? *)", 0)],
)
def test_the_breach_of_a_log_alarm_is_counted_back_by_its_query(rate: str, minutes: int) -> None:
    fired = datetime(2026, 3, 2, 10, 5, tzinfo=UTC)
    facts = read({"LogAlarms": [log_alarm(fired, rate)]})
    assert facts.period * facts.datapoints == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("interval", "pending", "seconds"), [(60, 300, 360), (10, 0, 10), (30, 45, 60), (60, None, 60)]
)
def test_the_breach_of_a_promql_alarm_is_counted_back_by_its_pending_period(
    interval: int, pending: int | None, seconds: int
) -> None:
    """Its series has to be returned by each evaluation of that time."""
    criteria = {"Query": "rate(errors[1m]) > 1", **({"PendingPeriod": pending} if pending is not None else {})}
    fired = datetime(2026, 3, 2, 10, 5, tzinfo=UTC)
    alarm = described(fired, EvaluationInterval=interval, EvaluationCriteria={"PromQLCriteria": criteria})
    facts = read({"MetricAlarms": [alarm]})
    assert facts.period * facts.datapoints == facts.looks_back == timedelta(seconds=seconds)


@pytest.mark.parametrize("state", ["EVALUATING", None])
def test_a_state_that_nobody_knows_yet_is_neither_firing_nor_recovered(state: str | None) -> None:
    alarm = described(datetime(2026, 3, 2, 10, 5, tzinfo=UTC)) | {"StateValue": state}
    assert read({"MetricAlarms": [alarm]}).state is AlarmState.INSUFFICIENT_DATA


def read(answers: dict[str, Any]) -> AlarmFacts:
    """The alarm in these answers."""
    shape = SimpleNamespace(enum=["LogAlarm", "MetricAlarm"])
    meta = SimpleNamespace(service_model=SimpleNamespace(shape_for=lambda _: shape))
    facts = Alarms(SimpleNamespace(meta=meta, describe_alarms=lambda **_: answers)).read(ALARM)
    assert facts is not None
    return facts


def test_an_older_boto3_is_asked_only_for_the_types_that_it_knows() -> None:
    shape = SimpleNamespace(enum=["CompositeAlarm", "MetricAlarm"])
    older = SimpleNamespace(meta=SimpleNamespace(service_model=SimpleNamespace(shape_for=lambda _: shape)))
    assert types(older) == ["CompositeAlarm", "MetricAlarm"]


def test_an_alarm_that_is_not_found_is_told_with_what_may_be_the_matter() -> None:
    with scene("Server") as it:
        bad_release(it)
        cloudwatch_answers(it, "DescribeAlarms", {"MetricAlarms": []})
        it.deliver(it.alarm_message())
        assert (it.head["reason_code"], it.head["needs_human"]) == ("ALARM_NOT_CONFIRMED", True)
        assert "boto3" in it.head["explanation"]
        assert ALARM in json.dumps(it.local.notices())


def test_an_alarm_whose_actions_are_disabled_commands_nothing() -> None:
    with scene("Server") as it:
        bad_release(it)
        cloudwatch_answers(it, "DescribeAlarms", {"MetricAlarms": [described(it.now(), ActionsEnabled=False)]})
        it.deliver(it.alarm_message())
        assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", "ALARM_SUPPRESSED")
        assert "disabled" in it.head["explanation"]
        assert it.is_live(3)


# --- one alarm over many time series ----------------------------------------------------------------------------------


def series_message(it: Scene, series: str = SERIES, **more: Any) -> dict[str, Any]:
    """What CloudWatch sends of one time series that goes into ALARM."""
    event = it.alarm_message(**more)
    sns = event["Records"][0]["Sns"]
    about = {"AlarmContributorId": series, "AlarmContributorAttributes": {"FunctionName": "checkout"}}
    sns["Message"] = json.dumps(json.loads(sns["Message"]) | about)
    return event


def firing(since: datetime, series: str = SERIES) -> dict[str, Any]:
    """One time series in ALARM, as CloudWatch lists it."""
    attributes = {"FunctionName": "checkout"}
    return {"ContributorId": series, "ContributorAttributes": attributes, "StateTransitionedTimestamp": since}


def test_a_time_series_has_a_time_of_its_own_long_after_its_alarm_went_off() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.local.alarm(ALARM)
        it.sim.advance(3600)
        it.release(3, settle=True, rest=300)
        cloudwatch_answers(it, "DescribeAlarmContributors", {"AlarmContributors": [firing(it.now())]})
        it.deliver(series_message(it))
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(3)) == ("ROLLED_BACK", False), head["explanation"]
        assert (head["alarm_contributor"], head["alarm_attributes"]) == (SERIES, {"FunctionName": "checkout"})


@pytest.mark.parametrize("known", ["none", "another", "for an hour"])
def test_a_time_series_that_cloudwatch_does_not_date_so_commands_nothing(known: str) -> None:
    """Naming a series in a message is no way round the date of the alarm itself."""
    with scene("Server") as it:
        it.good_history(1, 2)
        it.local.alarm(ALARM)
        it.sim.advance(3600)
        it.release(3, settle=True, rest=300)
        hour_ago = it.now() - timedelta(hours=1)
        fires = {"none": [], "another": [firing(it.now(), "other")], "for an hour": [firing(hour_ago)]}[known]
        cloudwatch_answers(it, "DescribeAlarmContributors", {"AlarmContributors": fires})
        it.deliver(series_message(it))
        assert it.head["outcome"] == "SKIPPED"
        assert it.is_live(3)


def test_a_second_time_series_joins_the_rollback_that_is_open() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3)
        it.local.alarm(ALARM)
        both = [firing(it.now()), firing(it.now(), "second")]
        cloudwatch_answers(it, "DescribeAlarmContributors", {"AlarmContributors": both})
        first = it.deliver(series_message(it))
        again = it.deliver(series_message(it, "second"))
        assert again["rollback_id"] == first["rollback_id"]
        assert len([item for item in it.local.items() if item["sk"] == "META"]) == 1


def test_the_recovery_of_a_time_series_is_read_from_cloudwatch_though_its_alarm_still_fires() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM)
        listed = {"AlarmContributors": [firing(it.now())]}
        cloudwatch_answers(it, "DescribeAlarmContributors", listed)
        it.deliver(series_message(it))
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        listed["AlarmContributors"] = [firing(it.now(), "other")]
        it.sim.advance(1200)
        it.sweep()
        assert "alarm_recovered_at" in it.head
        assert "not_recovered_at" not in it.head


def test_an_alarm_whose_name_has_joiners_commands_and_its_name_and_link_are_whole() -> None:
    name = "\U0001f469\u200d\U0001f680 größe/5xx"
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.local.tags[name] = it.tags
        it.alarm_fires(alarm=name)
        head = it.run_to_end()
        assert (head["outcome"], head["alarm_name"]) == ("ROLLED_BACK", name), head["explanation"]
        assert unquote(links.of_record("us-east-1", "table", head)["alarm"]).endswith(f"alarm/{name}")
        told = [row["explanation"] for row in it.local.items() if "explanation" in row]
        assert told and not any("\u200d" in each for each in told)


def test_the_link_of_an_alarm_leads_to_its_own_region() -> None:
    head = {"alarm_name": "cdn", "alarm_arn": alarm_arn("cdn", "eu-west-3")}
    assert "region=eu-west-3" in links.of_record("us-east-1", "table", head)["alarm"]
