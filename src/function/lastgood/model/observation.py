"""What one look at AWS and at the audit table saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lastgood.model.deployments import Deployment, Live, Preparation
from lastgood.model.groups import GroupFacts
from lastgood.model.policy import Controls


class AlarmState(StrEnum):
    """CloudWatch's alarm states."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """An alarm as `DescribeAlarms` tells it. `doubt`: why its metric does not confirm it, where that was asked."""

    name: str
    state: AlarmState
    changed_at: datetime | None = None
    suppressed_by: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The facts of one look at AWS, enough to decide the next step. Which are filled depends on the phase.

    `newest` is the deployment that was attempted last, where that is not one that the rollback knows already.
    `silent` are the instances that a stop which hangs still waits for.
    """

    group: GroupFacts | None = None
    alarm: AlarmFacts | None = None
    alarm_read: bool = False
    history: tuple[Deployment, ...] = ()
    live: Live = field(default_factory=Live)
    controls: Controls = field(default_factory=Controls)
    unusable: Mapping[str, str] = field(default_factory=dict)
    suspect: Deployment | None = None
    good: Deployment | None = None
    rollback: Deployment | None = None
    newest: Deployment | None = None
    silent: tuple[str, ...] = ()
    preparation: Preparation = field(default_factory=Preparation)
