"""PutMetricAlarm over an alarm that is there already, which moto takes for a new alarm.

Its state is left unchanged (API reference, PutMetricAlarm), and the history says which fields became others: the shape
of such an item is that of public programs that print it, and of recorded ones about the creation of an alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend

_make = CloudWatchBackend.put_metric_alarm

_FIELDS = {
    "alarmDescription": "description",
    "actionsEnabled": "actions_enabled",
    "alarmActions": "alarm_actions",
    "okactions": "ok_actions",
    "insufficientDataActions": "insufficient_data_actions",
    "namespace": "namespace",
    "metricName": "metric_name",
    "statistic": "statistic",
    "period": "period",
    "threshold": "threshold",
    "comparisonOperator": "comparison_operator",
    "evaluationPeriods": "evaluation_periods",
    "datapointsToAlarm": "datapoints_to_alarm",
    "treatMissingData": "treat_missing_data",
    "alarmRule": "rule",
}
"""The fields of an alarm in the history's spelling, and moto's attributes."""

_STATE = ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history")


def put_metric_alarm(backend: CloudWatchBackend, *given: Any, **named: Any) -> Alarm:
    """Make an alarm, or change what it measures and does."""
    before = backend.alarms.get(named.get("name") or given[0])
    made = _make(backend, *given, **named)
    if before is None:
        return made
    for attribute in _STATE:
        setattr(made, attribute, getattr(before, attribute))
    made.edits = [*getattr(before, "edits", []), (made.configuration_updated_timestamp, _changed(before, made))]  # type: ignore[attr-defined]
    return made


def _changed(before: Alarm, after: Alarm) -> dict[str, Any]:
    """The old values of the fields that became others."""
    was = {field: getattr(before, attribute) for field, attribute in _FIELDS.items()}
    changed = {f: value for f, value in was.items() if value != getattr(after, _FIELDS[f])}
    return {**changed, "alarmConfigurationUpdatedTimestamp": str(before.configuration_updated_timestamp)}


def edits(alarm: Alarm) -> Iterator[dict[str, Any]]:
    """The items of the history that tell of edits."""
    for at, changed in getattr(alarm, "edits", []):
        told = {"version": "1.0", "type": "Update", "originalUpdatedFields": changed}
        now = {field: getattr(alarm, _FIELDS[field]) for field in changed if field in _FIELDS}
        yield {
            "AlarmName": alarm.name,
            "AlarmType": "CompositeAlarm" if alarm.rule else "MetricAlarm",
            "Timestamp": at.replace(tzinfo=UTC),
            "HistoryItemType": "ConfigurationUpdate",
            "HistorySummary": f'Alarm "{alarm.name}" updated',
            "HistoryData": json.dumps(told | {"updatedAlarm": now}, default=str),
        }
