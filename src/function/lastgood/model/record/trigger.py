"""What opened a rollback: an alarm, an operator or a release that met a firing alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

PASSED_ON_BY = "passed on by "
"""How `routed_by` begins where a group's rollback was passed on to the stage that released it."""


class TriggerKind(StrEnum):
    """How a signal reached the function."""

    SNS = "sns"
    SQS = "sqs"
    ALARM_ACTION = "alarm_action"
    EVENTBRIDGE = "eventbridge"
    MANUAL = "manual"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Trigger:
    """The alarm or the request that a rollback answers. After the opening, only the onset still changes.

    `signal_at` is when the alarm changed its state, or when the request came. `released_in_alarm` is the deployment
    that is blamed because it was released while the alarm already fired. `brought_back` maps each deployment that only
    released again what an earlier rollback had put back to that rollback's id. `follows` is the rollback of another
    group of the same release, and `only_deployment_id` that release's deployment here: nothing newer is blamed for it.
    """

    trigger_kind: TriggerKind
    signal_at: datetime
    # an alarm
    alarm_name: str = ""
    alarm_arn: str = ""
    alarm_changed_at: datetime | None = None
    alarm_contributor: str = ""
    alarm_attributes: Mapping[str, str] = field(default_factory=dict)
    evaluation_seconds: int = 0
    onset_at: datetime | None = None
    onset_margin_seconds: int = 0
    onset_measured: bool = False
    routed_by: str = ""
    # a release while an alarm fires
    released_in_alarm: str = ""
    brought_back: Mapping[str, str] = field(default_factory=dict)
    # an operator's request
    requested_by: str = ""
    request_reason: str = ""
    dry_run: bool = False
    force: bool = False
    to_deployment_id: str = ""
    # another group of the same release was rolled back
    follows: str = ""
    only_deployment_id: str = ""

    @property
    def alarm(self) -> str:
        """The alarm, as CloudWatch is asked for it: by its ARN; in old records by its name, as one of this region."""
        return self.alarm_arn or self.alarm_name

    @property
    def passed_on(self) -> bool:
        """A group's rollback was passed on to this one, so nobody else tells people if nothing can be done here."""
        return self.routed_by.startswith(PASSED_ON_BY)

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes of the time series that fired; empty for an alarm over a single one."""
        return self.alarm_attributes
