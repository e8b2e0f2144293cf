"""How long a deployment served, and how quietly: the evidence that it is good. Pure; histories are newest first."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lastgood.judgement.onset import SAME_CHANGE
from lastgood.judgement.wording import duration
from lastgood.model import BEFORE, AlarmHistory, Deployment, Firing, Revision, same_content

NOISY_WITHIN = timedelta(hours=24)
"""An alarm's earlier firings are of interest for this long before a release."""

NOISY = 2
"""This many firings before a release suggest that the alarm fires without it."""


@dataclass(frozen=True, slots=True)
class Served:
    """How long a deployment served users. `firings`: how often an alarm fired meanwhile; None: not known.

    `quiet` is how long it served since the last of them.
    """

    span: timedelta
    firings: int | None
    quiet: timedelta


@dataclass(frozen=True, slots=True)
class Lives:
    """What is known of how long each deployment of a history served.

    A deployment is proven once it served for `proven_after` and no alarm fired meanwhile. One during which an alarm
    fired, or that is known bad (`known_bad_since`, by the name that `known_bad_as` gives), is proven again when it then
    served quietly for `heals_after`.
    """

    history: Sequence[Deployment]
    alarms: AlarmHistory
    now: datetime
    proven_after: timedelta
    heals_after: timedelta
    known_bad_since: Mapping[str, datetime] = field(default_factory=dict)
    known_bad_as: Callable[[Revision], str] = operator.attrgetter("identity")

    def served(self, deployment: Deployment) -> Served | None:
        """From its end to the beginning of the next change of live; None where that is not known.

        An alarm that fired before it, and over all of its life, counts as one that fired meanwhile.
        """
        start = deployment.completed_at
        if start is None or deployment.status != "Succeeded" or _since_when_unknown(deployment, start):
            return None
        end = max(start, self._ended(deployment))
        known = self.alarms.known_since
        fired = [f for f in self.alarms.firings if start <= f.began < end or _lasted(f, start, end)]
        unknown = not fired and (known is None or known > start)
        over = (firing.ended or end for firing in self.alarms.firings if firing.began < end)
        quiet_since = min(max(start, *over, start), end)
        return Served(end - start, None if unknown else len(fired), end - quiet_since)

    def _ended(self, deployment: Deployment) -> datetime:
        changes = (
            d.created_at
            for d in self.history
            if d.created_at > deployment.created_at
            and (d.is_release or d.is_rollback)
            and _same_target(d, deployment)
            and not same_content(d.revision, deployment.revision)
        )
        return min(changes, default=self.now)

    def doubt(self, deployment: Deployment) -> str:
        """Why what it deployed is not proven, as a sentence; empty if it is, or nobody knows how long it served."""
        lives = list(self._of_content(deployment))
        if not lives or any(self._is_proof(life) for life in lives):
            return ""
        life = self.served(deployment) or lives[0]
        if life.firings:
            return f"{_firings(life.firings)} while it served {duration(life.span)}."
        served = f"It served only {duration(life.span)}"
        if life.quiet < life.span:
            served = f"It served {duration(life.span)}, and only the last {duration(life.quiet)} quietly"
        return f"{served}; good is what served {duration(self.proven_after)} quietly."

    def _of_content(self, deployment: Deployment) -> Iterator[Served]:
        """The lives of all deployments of the same content."""
        for other in self.history:
            if other == deployment or same_content(other.revision, deployment.revision):
                life = self.served(other)
                if life is not None:
                    yield life

    def _is_proof(self, life: Served) -> bool:
        return life.quiet >= (self.heals_after if life.firings else self.proven_after)

    def since_known_bad(self, deployment: Deployment) -> Served | None:
        """The longest quiet service of its content, released again after it was found bad; None if it was not."""
        since = self.known_bad_since.get(self.known_bad_as(deployment.revision))
        again = [
            life
            for d in self.history
            if since is not None
            and d.created_at > since
            and d.is_release
            and same_content(d.revision, deployment.revision)
            and (life := self.served(d))
        ]
        return max(again, key=lambda life: life.quiet, default=None)

    def healed(self, deployment: Deployment) -> bool:
        """Whether it is known bad, but was released again and is known to have served quietly long enough since."""
        life = self.since_known_bad(deployment)
        return life is not None and life.firings is not None and life.quiet >= self.heals_after


def _since_when_unknown(deployment: Deployment, start: datetime) -> bool:
    """A deployment that names it shows that it was live before, and no older deployment says since when."""
    return deployment.deployment_id.endswith(BEFORE) and start >= deployment.created_at


def _lasted(firing: Firing, start: datetime, end: datetime) -> bool:
    return firing.began < start and (firing.ended is None or firing.ended >= end)


def noise(alarms: AlarmHistory, alarm_name: str, released_at: datetime) -> str:
    """A sentence if an alarm fired several times before the release that it blames; else empty."""
    before = [
        firing.began
        for firing in alarms.firings
        if firing.alarm_name == alarm_name and released_at - NOISY_WITHIN <= firing.began < released_at
    ]
    if len(before) < NOISY:
        return ""
    return (
        f"This alarm fired {len(before)} times in the {duration(released_at - min(before))} before the release: it may "
        "not be the release's doing."
    )


def with_ledger(alarms: AlarmHistory, past: Sequence[Firing]) -> AlarmHistory:
    """CloudWatch's history, with the firings that earlier rollbacks answered and that CloudWatch no longer lists."""
    missing = [firing for firing in past if not any(_same_firing(firing, told) for told in alarms.firings)]
    return AlarmHistory((*missing, *alarms.firings), alarms.known_since)


def _same_firing(one: Firing, other: Firing) -> bool:
    """A message and CloudWatch's history may round the time of one change differently."""
    return one.alarm_name == other.alarm_name and abs(one.began - other.began) <= SAME_CHANGE


def with_others(alarms: AlarmHistory, others: Sequence[AlarmHistory]) -> AlarmHistory:
    """CloudWatch's history of an alarm, with the firings of the group's other alarms.

    An alarm that never changed is not listed at all, so the others do not show since when everything is known.
    """
    firings = (firing for other in others for firing in other.firings)
    return AlarmHistory((*alarms.firings, *firings), alarms.known_since)


def _firings(count: int) -> str:
    return "An alarm of the group fired" + (f" {count} times" if count > 1 else "")


def _same_target(one: Deployment, other: Deployment) -> bool:
    """Whether two deployments may have the same target; one that could not be read may have any."""
    targets = {one.revision.target, other.revision.target} - {""}
    return len(targets) < 2
