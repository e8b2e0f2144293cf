"""`lastgood alarms` and its kin know every way in which an alarm comes to speak for a group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from answering import answering
from terminal import Terminal, terminal

ROUTES = json.dumps([{"alarm": "fleet-*", "application": "<FunctionName>", "deployment_group": "prod"}])
QUERY = 'SELECT SUM(Errors) FROM SCHEMA("AWS/Lambda", FunctionName) GROUP BY FunctionName ORDER BY SUM() DESC'


@pytest.fixture
def it() -> Iterator[Terminal]:
    """Groups `shop/prod`, `cart/prod` and `cart/staging`; a fleet's alarms are routed by a series' attribute."""
    with terminal(Routes=ROUTES, GroupAlarms="true") as made:
        made.sim.server_group("shop", "prod", alarms=["shop-orders"])
        made.sim.server_group("cart", "prod")
        made.sim.server_group("cart", "staging")
        yield made


def alarm(it: Terminal, name: str, **more: Any) -> None:
    """An alarm that tells lastgood's topic, whose state is OK."""
    plain = {"MetricName": "5XXError", "Namespace": "AWS/ApiGateway", "Statistic": "Average", "Period": 60}
    it.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        EvaluationPeriods=3,
        Threshold=0.05,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[it.outputs["AlarmTopicArn"]],
        **(more or plain),
    )
    it.aws.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="OK", StateReason="fine")


def rows(it: Terminal) -> dict[str, dict[str, Any]]:
    """What is told of each alarm; `no alarm` has the groups that none covers."""
    found: dict[str, dict[str, Any]] = {}
    for row in it.call("alarms", "-o", "json").json:
        one = found.setdefault(row["alarm"] or "no alarm", row)
        one["leads_to"] = " ".join(sorted({*one["leads_to"].split(), *row["leads_to"].split()}))
    return found


def test_the_groups_that_a_fleets_alarm_reaches_are_covered_and_no_others(it: Terminal) -> None:
    alarm(it, "fleet-errors", Metrics=[{"Id": "q", "Expression": QUERY, "Period": 60, "ReturnData": True}])
    found = rows(it)
    assert found["fleet-errors"]["covers"] == "each of its series"
    assert found["fleet-errors"]["leads_to"] == "cart/prod shop/prod"
    assert found["no alarm"]["leads_to"] == "cart/staging"


def test_a_fleets_alarm_that_does_not_tell_its_series_apart_covers_nothing(it: Terminal) -> None:
    alarm(it, "fleet-errors")
    found = rows(it)
    assert (found["fleet-errors"]["covers"], found["fleet-errors"]["leads_to"]) == ("it leads nowhere", "")
    assert found["no alarm"]["leads_to"] == "cart/prod cart/staging shop/prod"


def test_an_alarm_of_a_groups_own_list_covers_that_group(it: Terminal) -> None:
    alarm(it, "shop-orders")
    found = rows(it)
    assert (found["shop-orders"]["leads_to"], found["shop-orders"]["covers"]) == ("shop/prod", "yes")
    assert found["shop-orders"]["by"] == "the deployment group's own alarms"
    assert "By the deployment group's own alarms." in it.call("plan", "shop-orders", "-o", "json").out


# --- the alarms that really came ---


def past(it: Terminal, name: str, seconds_ago: float, **series: Any) -> dict[str, Any]:
    """An item of an alarm's history: it went into ALARM."""
    told = json.dumps({"newState": {"stateValue": "ALARM"}})
    when = it.sim.clock.now() - timedelta(seconds=seconds_ago)
    item = {"AlarmName": name, "Timestamp": when, "HistoryItemType": "StateUpdate", "HistoryData": told}
    return item | series


def releases(it: Terminal, *applications: str) -> None:
    """Two good releases and a bad one, which was made a moment ago, of each."""
    for number in (1, 2, 3):
        for application in applications:
            it.sim.release(application, "prod", f"v{number}.zip", settle=True)
        it.sim.advance(7200 if number < 3 else 60)


def test_a_backtest_splits_a_fleets_alarm_by_its_series(it: Terminal) -> None:
    alarm(it, "fleet-errors", Metrics=[{"Id": "q", "Expression": QUERY, "Period": 60, "ReturnData": True}])
    releases(it, "shop", "cart")
    of = {"AlarmContributorId": "1", "AlarmContributorAttributes": {"FunctionName": "cart"}}
    items = [past(it, "fleet-errors", 20), past(it, "fleet-errors", 20, **of)]
    with answering({"DescribeAlarmHistory": {"AlarmHistoryItems": items}}):
        found = it.call("-o", "json", "backtest").json["findings"]
        people = it.call("backtest").out
    assert [(f["deployment_group_key"], f["verdict"]) for f in found] == [("cart/prod", "rolls back")]
    assert found[0]["alarm_attributes"] == {"FunctionName": "cart"}
    assert "FunctionName=cart" in "".join(people.split())


def test_a_backtest_covers_the_regions_that_may_command() -> None:
    with terminal(AlarmRegions="eu-west-1") as it:
        it.sim.server_group("shop", "prod")
        elsewhere = it.aws.client("cloudwatch", region_name="eu-west-1")
        elsewhere.put_metric_alarm(
            AlarmName="cdn",
            EvaluationPeriods=3,
            Threshold=0.05,
            ComparisonOperator="GreaterThanThreshold",
            MetricName="5xxErrorRate",
            Namespace="AWS/CloudFront",
            Statistic="Average",
            Period=60,
            Tags=[
                {"Key": "lastgood:application", "Value": "shop"},
                {"Key": "lastgood:deployment-group", "Value": "prod"},
            ],
        )
        releases(it, "shop")
        arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cdn"
        elsewhere.set_alarm_state(AlarmName="cdn", StateValue="OK", StateReason="fine")
        elsewhere.set_alarm_state(AlarmName="cdn", StateValue="ALARM", StateReason="errors")
        for asked in ((), ("--alarm", arn), ("--alarm", "cdn")):
            found = it.call("-o", "json", "backtest", *asked).json["findings"]
            assert [(f["alarm_name"], f["verdict"]) for f in found] == [(arn, "rolls back")], asked
        assert (
            it.call("-o", "json", "backtest", "--alarm", arn.replace("eu-west-1", "us-east-1")).json["findings"] == []
        )
