"""Where an alarm is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class AlarmPlace:
    """An account and a region: alarms of one name in two places are two alarms. Empty: where the function runs."""

    account_id: str = ""
    region: str = ""

    @classmethod
    def of(cls, alarm_arn: str) -> AlarmPlace:
        """The place that an alarm's ARN names; a bare name is an alarm of here."""
        parts = alarm_arn.split(":", 6)
        return cls(parts[4], parts[3]) if len(parts) == 7 and (parts[0], parts[5]) == ("arn", "alarm") else cls()


def name_of(alarm: str) -> str:
    """The name of an alarm that is given by its ARN, or by its name."""
    parts = alarm.split(":", 6)
    return parts[6] if len(parts) == 7 and (parts[0], parts[5]) == ("arn", "alarm") else alarm
