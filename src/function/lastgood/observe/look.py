"""One look: what it reads with, what it is about, and the reads that several phases share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime

from lastgood.alarms import HISTORY_KEPT, Alarms
from lastgood.deployers.protocol import Deployer, DeployerFor
from lastgood.ledger import Ledger
from lastgood.model import AlarmHistory, Controls, Deployment, FloorsFrom, Observation, Policy, Rollback
from lastgood.observe.closer_look import CloserLook
from lastgood.release_sets import ReleaseSets
from lastgood.routing import Lists, other_alarms
from lastgood.settings import Settings
from lastgood.stacks import Stacks
from lastgood.vouching import Vouching

WAIT_FOR_OTHER_ALARMS = 3.0
"""In seconds, for everything that is read beside the main reads."""


@dataclass(frozen=True)
class Eyes:
    """The adapters with which a look at AWS and at the table is made."""

    ledger: Ledger
    alarms: Alarms
    group_alarms: Lists
    deployer_for: DeployerFor
    stacks: Stacks
    release_sets: ReleaseSets
    pool: ThreadPoolExecutor
    settings: Settings


@dataclass(frozen=True)
class Look:
    """One look for one rollback. `last` is what the same invocation saw a step earlier, where that is still true."""

    eyes: Eyes
    rollback: Rollback
    policy: Policy
    now: datetime
    deployer: Deployer
    last: Observation | None = None

    def controls(self) -> Controls:
        """What operators set. Both reads are answered before a second connection would be open."""
        ledger, settings = self.eyes.ledger, self.eyes.settings
        common = ledger.common(self.now, self.policy.storm_window)
        controls = replace(
            ledger.controls(self.rollback.group, self.now),
            pause_all=common.pause_all,
            groups_in_alarm=common.groups_in_alarm,
            unfounded_groups=common.unfounded_groups,
            resumed_at=common.resumed_at,
        )
        return controls if settings.floors_from is not FloorsFrom.DESCRIPTION else replace(controls, floor=None)

    def holder(self, controls: Controls) -> str | None:
        """Which rollback holds the group's lock; None for a trial rollback, which never took one."""
        return controls.open_rollback_id if self.rollback.bookkeeping.lease_owner else None

    def reading_alarm_history(self) -> Future[AlarmHistory] | None:
        """The history of the rollback's alarm, read beside the other reads; None where no alarm caused it."""
        trigger, since = self.rollback.trigger, self.now - HISTORY_KEPT
        asked = (trigger.alarm, since, self.now, trigger.alarm_contributor)
        return self.eyes.pool.submit(self.eyes.alarms.history, *asked) if trigger.alarm_name else None

    def reading_other_alarms(self, seen: Observation) -> list[Future[AlarmHistory]]:
        """The histories of the group's other alarms, read beside the closer look."""
        since, names = self.now - HISTORY_KEPT, other_alarms(self.rollback, seen, self.eyes.settings)
        return [self.eyes.pool.submit(self.eyes.alarms.history, name, since, self.now) for name in names]

    def closer(self) -> CloserLook:
        """A closer look at single deployments: what each contains."""
        return CloserLook(self.rollback.group, self.deployer, self.eyes.ledger, self.eyes.pool)

    def signed(self, batch: Iterable[Deployment], controls: Controls) -> tuple[Deployment, ...]:
        """Deployments with `made_by`, where the ledger confirms that the rollback made it."""
        vouching = Vouching(self.eyes.ledger, self.rollback.group, controls)
        return tuple(map(self.as_counts, vouching.signed(tuple(batch))))

    def as_counts(self, deployment: Deployment) -> Deployment:
        """A deployment without its floor, where the settings let only operators set floors."""
        by_operators = self.eyes.settings.floors_from is FloorsFrom.OPERATORS
        return replace(deployment, floor=False) if by_operators else deployment

    def known(self, deployment_id: str) -> Deployment | None:
        """A deployment that this visit has already seen in its final status; None if it has not."""
        seen = (*self.last.history, self.last.good) if self.last else ()
        return next((d for d in seen if d and d.deployment_id == deployment_id and not d.active), None)


def in_time[Found](reading: Future[Found] | None) -> Found | None:
    """The result, if it comes within a few seconds; else None: unknown. Alarm histories are not worth a longer wait."""
    try:
        return reading.result(WAIT_FOR_OTHER_ALARMS) if reading else None
    except TimeoutError:
        return None


def all_in_time[Found](readings: Sequence[Future[list[Found]]]) -> list[Found]:
    """The results of those reads that end within the same few seconds."""
    done = wait(readings, WAIT_FOR_OTHER_ALARMS).done
    return [item for reading in readings if reading in done for item in reading.result()]
