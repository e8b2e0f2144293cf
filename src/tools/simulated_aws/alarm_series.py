"""Alarms over many time series, which moto lacks: their contributors, DescribeAlarmContributors, and their history.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmContributors.html: only those in ALARM
are listed, and the id of one follows from its attributes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

MOST_SERIES = 100
"""So many are on a page."""


def series_id(attributes: Mapping[str, str]) -> str:
    """The id of the time series with these attributes."""
    return hashlib.sha256(json.dumps(dict(attributes), sort_keys=True).encode()).hexdigest()[:16]


def change_series(
    account: str, region: str, alarm: str, attributes: Mapping[str, str], state: str, now: datetime
) -> bool:
    """One time series of an alarm changes its state. Returns whether any of them is in ALARM then."""
    kept = _kept(cloudwatch_backends[account][region]).setdefault(alarm, {})
    _, changes = kept.setdefault(series_id(attributes), (dict(attributes), []))
    changes.append((state, now))
    return any(past[-1][0] == "ALARM" for _, past in kept.values())


def describe_alarm_contributors(asked: CloudWatchResponse) -> ActionResult:
    """Those in ALARM, page by page."""
    kept = _kept(asked.cloudwatch_backend).get(asked._get_param("AlarmName"), {})
    firing = [
        {
            "ContributorId": number,
            "ContributorAttributes": attributes,
            "StateReason": "Threshold Crossed",
            "StateTransitionedTimestamp": changes[-1][1],
        }
        for number, (attributes, changes) in sorted(kept.items())
        if changes[-1][0] == "ALARM"
    ]
    at = int(asked._get_param("NextToken") or 0)
    more = {"NextToken": str(at + MOST_SERIES)} if firing[at + MOST_SERIES :] else {}
    return ActionResult({"AlarmContributors": firing[at : at + MOST_SERIES], **more})


def history_of_series(backend: CloudWatchBackend, alarm: str, number: str) -> Iterator[dict[str, Any]]:
    """The changes of one time series, as DescribeAlarmHistory tells them."""
    attributes, changes = _kept(backend).get(alarm, {}).get(number, ({}, []))
    for (old, _), (new, at) in pairwise([("OK", datetime.min.replace(tzinfo=UTC)), *changes]):
        states = {"oldState": {"stateValue": old}, "newState": {"stateValue": new}}
        yield {
            "AlarmName": alarm,
            "AlarmType": "MetricAlarm",
            "AlarmContributorId": number,
            "AlarmContributorAttributes": attributes,
            "Timestamp": at,
            "HistoryItemType": "StateUpdate",
            "HistorySummary": f"Alarm contributor updated from {old} to {new}",
            "HistoryData": json.dumps({"version": "1.0", **states}),
        }


type _Series = dict[str, tuple[dict[str, str], list[tuple[str, datetime]]]]


def _kept(backend: CloudWatchBackend) -> dict[str, _Series]:
    """The time series of each alarm of a region; moto's own reset forgets them with the backend."""
    kept: dict[str, _Series] = vars(backend).setdefault("alarm_series", {})
    return kept
