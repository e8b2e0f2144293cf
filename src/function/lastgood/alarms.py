"""CloudWatch alarms: what their state is now, and where their tags lead. A message's own words are never enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lastgood import evidence
from lastgood.clients import call
from lastgood.errors import RefusedError
from lastgood.model import AlarmFacts, AlarmState

MOST_FIRING = 50
"""Of more alarms than this that fire at once, only so many are looked at when a release comes."""


@dataclass(frozen=True, slots=True)
class FiringAlarm:
    """An alarm that is in ALARM now, and since when."""

    name: str
    arn: str
    changed_at: datetime


class Alarms:
    """CloudWatch, read only."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, name: str, evidence_at: datetime | None = None) -> AlarmFacts | None:
        """An alarm as it is now; None if there is none of that name. Metric and composite alarms alike.

        With `evidence_at` (the time now) an alarm that is not OK is also asked for its metric.
        """
        answer = call(self._client, "describe_alarms", AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
        if not found:
            return None
        alarm = found[0]
        asked = evidence_at if alarm["StateValue"] != AlarmState.OK else None
        return AlarmFacts(
            name=alarm["AlarmName"],
            state=AlarmState(alarm["StateValue"]),
            changed_at=_changed_at(alarm),
            suppressed_by=alarm.get("ActionsSuppressedBy", ""),
            doubt=evidence.doubt(self._client, alarm, asked) if asked else "",
        )

    def firing(self) -> list[FiringAlarm]:
        """The alarms that are in ALARM now and whose actions are not suppressed."""
        answer = call(
            self._client,
            "describe_alarms",
            StateValue="ALARM",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=MOST_FIRING,
        )
        return [
            FiringAlarm(alarm["AlarmName"], alarm["AlarmArn"], changed)
            for alarm in (*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", []))
            if (changed := _changed_at(alarm)) and not alarm.get("ActionsSuppressedBy")
        ]

    def tags(self, alarm_arn: str) -> dict[str, str]:
        """The alarm's tags, for routing; none if it is gone. Raises RefusedError where they may not be read."""
        try:
            answer = call(self._client, "list_tags_for_resource", ResourceARN=alarm_arn)
        except RefusedError as error:
            if error.permission_denied:
                raise
            return {}
        return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}


def _changed_at(alarm: Mapping[str, Any]) -> datetime | None:
    changed = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return changed.astimezone(UTC) if changed else None
