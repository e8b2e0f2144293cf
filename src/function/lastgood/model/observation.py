"""What one look at AWS and at the audit table saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lastgood.model.deployments import Deployment, Live, Preparation
from lastgood.model.groups import GroupFacts
from lastgood.model.policy import Controls
from lastgood.model.release_sets import ReleaseSet
from lastgood.model.stacks import Origin


class AlarmState(StrEnum):
    """CloudWatch's alarm states."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


ESTIMATE_MARGIN = timedelta(minutes=5)
"""An estimate clears no release that came sooner than this after it: late metrics and half-filled periods blur it."""


@dataclass(frozen=True, slots=True)
class Onset:
    """When a breach began: the start of its first period. A release up to `margin` later may still be its cause.

    `measured`: datapoints show it. Otherwise it is counted back from when the alarm fired, and is an estimate.
    """

    at: datetime
    margin: timedelta = timedelta(0)
    measured: bool = False

    @classmethod
    def estimated(cls, fired: datetime, period: timedelta, datapoints: int) -> Onset:
        """The onset of an alarm that fired then after `datapoints` of its `period`."""
        return cls(fired - period * datapoints, max(2 * period, ESTIMATE_MARGIN))


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """An alarm as `DescribeAlarms` tells it.

    It fires after `datapoints` of its `period` have breached; both are zero where it has none of its own (a composite
    alarm). `onset` is when the breach that it is in began, where its reason data, or those of the alarms that made it
    fire, say so. `doubt`: why its metric does not confirm it, where that was asked. Of one time series of an alarm over
    many, the state, its time and the `attributes` are the series' own; None where nobody asked, or it may not be read.
    """

    name: str
    state: AlarmState
    changed_at: datetime | None = None
    suppressed_by: str = ""
    doubt: str = ""
    period: timedelta = timedelta(0)
    datapoints: int = 0
    onset: Onset | None = None
    attributes: Mapping[str, str] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that an alarm was in ALARM; `ended` is None while it is, or where nobody noted it."""

    alarm_name: str
    began: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlarmHistory:
    """When the alarms of a group fired. Nothing is known of the time before `known_since`; None: of any time."""

    firings: tuple[Firing, ...] = ()
    known_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The facts of one look at AWS, enough to decide the next step. Which are filled depends on the phase.

    `contradiction` is why CloudWatch does not lead the alarm here, where its message alone did. `acted_at`: when
    CloudWatch last took the alarm's actions, where the times of the message and of the alarm ask for that.
    `newest` is the deployment that was attempted last, where that is not one that the rollback knows already.
    `locked_by` is the rollback that holds the group's lock, where that was read.
    `silent` are the instances that a stop which hangs still waits for.
    `origin`: whether a stack holds what would be moved; None where that was not asked.
    `releases` are the releases of several groups that were found among those in alarm.
    `examined` are the deployments of the history whose revision was looked at closely.
    """

    group: GroupFacts | None = None
    alarm: AlarmFacts | None = None
    alarm_read: bool = False
    contradiction: str = ""
    acted_at: datetime | None = None
    alarm_history: AlarmHistory = field(default_factory=AlarmHistory)
    locked_by: str | None = None
    history: tuple[Deployment, ...] = ()
    live: Live = field(default_factory=Live)
    controls: Controls = field(default_factory=Controls)
    unusable: Mapping[str, str] = field(default_factory=dict)
    examined: frozenset[str] = frozenset()
    suspect: Deployment | None = None
    good: Deployment | None = None
    rollback: Deployment | None = None
    newest: Deployment | None = None
    silent: tuple[str, ...] = ()
    origin: Origin | None = None
    releases: tuple[ReleaseSet, ...] = ()
    preparations: tuple[Preparation, ...] = ()

    def needs[Kind: Preparation](self, kind: type[Kind]) -> Kind | None:
        """What of this kind stands before the redeployment; None for nothing."""
        return next((found for found in self.preparations if isinstance(found, kind)), None)
