"""What one look at AWS and at the audit table found."""

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
"""A release within this time after an estimated onset is not cleared: late metrics and half-filled periods blur it."""


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
        """The onset of an alarm that fired at `fired`, after `datapoints` periods of length `period`."""
        return cls(fired - period * datapoints, max(2 * period, ESTIMATE_MARGIN))


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """An alarm as `DescribeAlarms` describes it.

    It fires after `datapoints` periods of length `period` have breached, and `looks_back` over all that it evaluates;
    these are zero where it has none of its own (a composite alarm). `onset` is when its present breach began, where its
    reason data, or those of the alarms that made it fire, say so. `doubt`: why its metric does not confirm it, where
    that was asked. `edited_at`: when somebody last changed its definition. `without_data`: it is OK because missing
    datapoints count as good. For one time series of an alarm over many, state, time and `attributes` are that series'
    own; `attributes` is None where they were not read.
    """

    name: str
    state: AlarmState
    changed_at: datetime | None = None
    suppressed_by: str = ""
    doubt: str = ""
    period: timedelta = timedelta(0)
    datapoints: int = 0
    looks_back: timedelta | None = None
    onset: Onset | None = None
    edited_at: datetime | None = None
    without_data: bool = False
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

    `contradiction`: why CloudWatch's own tags do not route the alarm here, where only its message did. `acted_at`: when
    CloudWatch last took the alarm's actions; read only where the times of the message and of the alarm call for it.
    `newest` is the deployment that was attempted last, unless the rollback knows it already.
    `locked_by` is the rollback that holds the group's lock, where that was read.
    `silent` are the instances that a hanging stop still waits for.
    `origin`: whether a stack holds what would be moved; None where that was not asked.
    `releases` are the releases of several groups that were found among the groups in alarm.
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
        """The preparation of this kind; None if there is none."""
        return next((preparation for preparation in self.preparations if isinstance(preparation, kind)), None)
