"""`lastgood alarms` and its kin know every way in which an alarm comes to speak for a group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

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
