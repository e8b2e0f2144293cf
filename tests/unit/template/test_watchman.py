"""The watchman is watched: alarms, metrics, dashboard."""

from __future__ import annotations

import ast
import json
import re

import pytest

from lastgood.model import TIMES, Outcome
from template_stack import SHIPPED, Stack

# --- the watchman is watched ---

WATCHED = {
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "notBreaching"),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", "notBreaching"),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", "notBreaching"),
    # Silence is what this one is about.
    "SweepAlarm": ("lastgood", "SweepRan", "breaching"),
    "DrillAlarm": ("lastgood", "DrillFailed", "notBreaching"),
    "UnheardAlarm": ("lastgood", "Unheard", "notBreaching"),
}


def test_lastgood_itself_is_watched(stack: Stack) -> None:
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert {
        name: (alarm["Namespace"], alarm["MetricName"], alarm["TreatMissingData"]) for name, alarm in alarms.items()
    } == WATCHED


@pytest.mark.parametrize("name", WATCHED)
def test_each_alarm_tells_people_and_never_triggers_a_rollback(stack: Stack, name: str) -> None:
    alarm = stack.properties(name)
    assert alarm["AlarmActions"] == ["<NotificationTopic>"]
    assert alarm["AlarmDescription"].endswith(".")
    assert "ActionsEnabled" not in alarm
    assert "Metrics" not in alarm, "metric math is not understood by local emulators"


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("DeadLettersAlarm", {"Name": "QueueName", "Value": "<DeadLetterQueue.QueueName>"}),
        ("ErrorsAlarm", {"Name": "FunctionName", "Value": "<RollbackFunction>"}),
        ("ThrottlesAlarm", {"Name": "FunctionName", "Value": "<RollbackFunction>"}),
    ],
)
def test_each_alarm_on_aws_metrics_looks_at_this_stack(stack: Stack, name: str, dimension: dict[str, str]) -> None:
    assert stack.properties(name)["Dimensions"] == [dimension]


def test_five_minutes_without_a_sweep_are_an_alarm(stack: Stack) -> None:
    alarm = stack.properties("SweepAlarm")
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 300
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


def metrics_sent() -> set[str]:
    """The names of the metrics that the code can send."""
    sent = {"Rollback" + outcome.title().replace("_", "") for outcome in Outcome}
    sent |= {f"SecondsTo{name.title()}" for name in TIMES}
    for name in ("telemetry.py", "handler.py"):
        for node in ast.walk(ast.parse((SHIPPED / "lastgood" / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                sent.add(node.value)
    return sent


def test_the_code_sends_every_metric_of_its_own_that_is_watched_or_shown() -> None:
    stack = Stack(EnableDashboard="true")
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    rows = [row for widget in body["widgets"] for row in widget["properties"].get("metrics", [])]
    shown = {row[1] for row in rows if row[0] == "lastgood"}
    watched = {
        a["MetricName"] for a in stack.of_type("AWS::CloudWatch::Alarm").values() if a["Namespace"] == "lastgood"
    }
    assert shown and watched
    assert shown | watched <= metrics_sent()
    assert {row[3] for row in rows if row[0] == "lastgood"} == {stack.environment["POWERTOOLS_SERVICE_NAME"]}
    assert stack.environment["POWERTOOLS_METRICS_NAMESPACE"] == "lastgood"


def test_the_dashboard_shows_the_decisions_from_the_functions_logs() -> None:
    stack = Stack(EnableDashboard="true")
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    (logs,) = [widget["properties"] for widget in body["widgets"] if widget["type"] == "log"]
    assert logs["query"].startswith("SOURCE '<FunctionLogs>'")
    event = re.search(r"message = '(\w+)'", logs["query"])
    assert event and event[1] in metrics_sent(), "telemetry.py logs no such event"
