"""DescribeAlarmHistory, which moto lacks: what became of the alarms that moto keeps.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html; the shape of
`HistoryData` is that of the example of `aws cloudwatch describe-alarm-history` in the AWS CLI's reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from simulated_aws.alarm_edits import edits
from simulated_aws.alarm_series import history_of_series

MOST_ITEMS = 100
"""MaxRecords: at most, and where nothing is said."""


def describe_alarm_history(asked: CloudWatchResponse) -> ActionResult:
    """The changes of state of one alarm, or of all, its edits, and the actions that were taken for it, page by page."""
    name, kind = asked._get_param("AlarmName"), asked._get_param("HistoryItemType")
    alarms = [a for a in asked.cloudwatch_backend.alarms.values() if name in (None, a.name)]
    if kind == "Action":
        found = [item for item in _actions(asked.cloudwatch_backend) if name in (None, item["AlarmName"])]
    elif kind == "ConfigurationUpdate":
        found = [item for alarm in alarms for item in edits(alarm)]
    elif one := asked._get_param("AlarmContributorId"):
        found = list(history_of_series(asked.cloudwatch_backend, name, one))
    elif kind in (None, "StateUpdate"):
        found = [item for alarm in alarms for item in _changes(alarm)]
    else:
        found = []
    start, end = _moment(asked._get_param("StartDate")), _moment(asked._get_param("EndDate"))
    found = [i for i in found if (start is None or i["Timestamp"] >= start) and (end is None or i["Timestamp"] <= end)]
    oldest_first = asked._get_param("ScanBy") == "TimestampAscending"
    found.sort(key=lambda item: item["Timestamp"], reverse=not oldest_first)
    at, most = int(asked._get_param("NextToken") or 0), int(asked._get_param("MaxRecords") or MOST_ITEMS)
    page: dict[str, Any] = {"AlarmHistoryItems": found[at : at + most]}
    return ActionResult(page | ({"NextToken": str(at + most)} if found[at + most :] else {}))


def act(account: str, region: str, alarm: str, now: datetime, state: str = "Succeeded") -> None:
    """CloudWatch takes the action of an alarm; moto only keeps states. Other states: `Failed`, or held back."""
    topic = f"arn:aws:sns:{region}:{account}:alarms"
    _actions(cloudwatch_backends[account][region]).append(
        {
            "AlarmName": alarm,
            "AlarmType": "MetricAlarm",
            "Timestamp": now,
            "HistoryItemType": "Action",
            "HistorySummary": f"{'Successfully executed' if state == 'Succeeded' else state} action {topic}",
            "HistoryData": json.dumps({"actionState": state, "notificationResource": topic}),
        }
    )


def _actions(backend: CloudWatchBackend) -> list[dict[str, Any]]:
    """The actions that were taken in a region; moto's own reset forgets them with the backend."""
    kept: list[dict[str, Any]] = vars(backend).setdefault("alarm_actions", [])
    return kept


def _changes(alarm: Alarm) -> Iterator[dict[str, Any]]:
    """One item for each time that the state became another."""
    past = [(_state(state, reason, data), at) for _, reason, data, state, at in alarm.history]
    now = _state(alarm.state_value, alarm.state_reason, alarm.state_reason_data)
    for (before, _), (after, at) in pairwise([*past, (now, alarm.state_updated_timestamp)]):
        old, new = before["stateValue"], after["stateValue"]
        if old == new:
            continue
        yield {
            "AlarmName": alarm.name,
            "AlarmType": "CompositeAlarm" if alarm.rule else "MetricAlarm",
            "Timestamp": at.replace(tzinfo=UTC),
            "HistoryItemType": "StateUpdate",
            "HistorySummary": f"Alarm updated from {old} to {new}",
            "HistoryData": json.dumps({"version": "1.0", "oldState": before, "newState": after}),
        }


def _state(value: str, reason: str, data: str) -> dict[str, Any]:
    """A state with its reason, whose data are an object there (seen in public code that reads `HistoryData`)."""
    read = json.loads(data or "{}")
    return {"stateValue": value, "stateReason": reason, **({"stateReasonData": read} if read else {})}


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
