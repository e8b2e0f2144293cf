"""Each release is checked when its event comes: is its revision known bad, and does an alarm fire already?

An alarm that already fires when a release comes sends no message, because its state does not change. So nobody would be
notified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lastgood.alarms import FiringAlarm
from lastgood.errors import LastgoodError
from lastgood.fleets import speakers
from lastgood.judgement.choice import floor_source
from lastgood.judgement.theirs import brings_back
from lastgood.judgement.wording import clock, duration
from lastgood.ledger import Watch
from lastgood.model import (
    AlarmState,
    Controls,
    Deployment,
    DeploymentGroup,
    FloorsFrom,
    Outcome,
    Reason,
    ReleaseInAlarm,
    Rollback,
    Trigger,
    TriggerKind,
)
from lastgood.notekeeping import Notekeeping
from lastgood.parts import Parts
from lastgood.pipelines.rules import runs_again
from lastgood.results import ignored, result_of
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.opening import rollback_id
from lastgood.routing import is_allowed
from lastgood.signals import DeploymentSignal, ServiceDeploymentSignal
from lastgood.text import clean
from lastgood.vouching import Vouching

BROUGHT_BACK_WITHIN = timedelta(days=1)
"""A release of what a rollback put back is recognised for this long after it: a re-run is watched as long."""

_NO_FLOOR = (
    "It is none: LASTGOOD_FLOORS_FROM is operators. If older code cannot live with the database any more, an "
    "operator has to set it."
)


class Releases:
    """What people are told of a release, and what follows if its alarm goes on firing."""

    def __init__(self, parts: Parts, rollbacks: Rollbacks) -> None:
        self._parts = parts
        self._rollbacks = rollbacks
        self._notekeeping = Notekeeping(parts)

    def handle(self, signal: DeploymentSignal | ServiceDeploymentSignal) -> list[dict[str, Any]]:
        """A deployment changed its state. The event of a service that ECS itself deploys has no deployment's id."""
        if signal.group is None:
            return [ignored(f"{signal.service_arn} does not name its cluster; the sweep goes on with its rollback.")]
        deployment_id = signal.deployment_id if isinstance(signal, DeploymentSignal) else ""
        results = self._changed(signal.group, signal.state, deployment_id)
        if signal.state == "SUCCESS":
            self._notekeeping.ended(signal.group, deployment_id)
        return results

    def _changed(self, group: DeploymentGroup, state: str, deployment_id: str) -> list[dict[str, Any]]:
        """Resume the group's open rollback, or look at the release. The event's own words are not believed."""
        open_id = self._parts.ledger.lock(group).open_rollback_id
        if open_id:
            resumed = self._rollbacks.resume(open_id)
            # A stale lock, whose rollback is not in the table, must not hide a release.
            if resumed:
                return [result_of(resumed)]
        told = [result_of(rollback) for rollback in self.noticed(group, state, deployment_id)]
        what = deployment_id or "its newest deployment"
        return told or [ignored(f"No rollback of {group.key} is open, and nothing is wrong with {what}.")]

    def noticed(self, group: DeploymentGroup, state: str, deployment_id: str) -> list[Rollback]:
        """Record what is wrong with a release that started or succeeded, and tell people; once each per release.

        ECS's events do not name a service deployment: without an id, it is the newest one.
        """
        if state not in {"START", "SUCCESS"} or not is_allowed(group, self._parts.settings):
            return []
        deployment = self._deployment(group, deployment_id)
        if deployment is None or not deployment.is_release:
            return []
        ignores = self._parts.settings.release_in_alarm is ReleaseInAlarm.IGNORE
        alarm = None if ignores else self._firing(group, deployment)
        rollbacks = [self._known_bad(group, deployment, alarm)] if state == "START" else []
        rollbacks += [self._floor(group, deployment), self._in_alarm(group, deployment, alarm) if alarm else None]
        return [rollback for rollback in rollbacks if rollback is not None]

    def _deployment(self, group: DeploymentGroup, deployment_id: str) -> Deployment | None:
        deployer = self._parts.deployer_for(group, None)
        if deployment_id:
            newest = deployer.deployment(deployment_id)
        else:
            facts = deployer.facts()
            newest = deployer.newest(facts) if facts else None
        if newest is None or (deployment_id and not newest.made_by):
            return newest
        controls = self._parts.ledger.controls(group, self._parts.clock())
        return Vouching(self._parts.ledger, group, controls).signed((newest,))[0]

    def after_grace(self, watch: Watch) -> None:
        """Check the alarm that a release met: if it has not recovered when its time is over, roll the release back."""
        now, ledger = self._parts.clock(), self._parts.ledger
        told = ledger.load(watch.rollback_id)
        which = told.trigger.alarm if told else watch.alarm_name
        alarm = self._parts.alarms.read(which, contributor=told.trigger.alarm_contributor if told else "")
        fires = alarm is not None and alarm.state is AlarmState.ALARM
        # One that recovered and fires again has sent its message.
        same = fires and told is not None and alarm is not None and (alarm.changed_at or now) <= told.trigger.signal_at
        wanted = self._parts.settings.release_in_alarm is ReleaseInAlarm.ROLLBACK
        if told is None or not same or not wanted:
            ledger.settle(watch, now)
        elif now >= watch.until:
            deployment = self._parts.deployer_for(told.group, None).deployment(watch.deployment_id)
            # Without this read nothing is done now: the sweep comes again.
            known = self._brought_back(told.group, deployment) if deployment else {}
            self._rollbacks.open(_rollback_of(told, watch, now).changed(brought_back=known), f"grace|{watch.key}")
            ledger.settle(watch, now)

    def _known_bad(self, group: DeploymentGroup, deployment: Deployment, alarm: FiringAlarm | None) -> Rollback | None:
        """Record a release of a known-bad revision; the notice also mentions the alarm that it meets."""
        controls = self._parts.ledger.controls(group, self._parts.clock())
        known_as = self._known_bad_as(group, deployment, controls)
        why, since = controls.known_bad.get(known_as), controls.known_bad_since.get(known_as)
        # An event, however late, of the very release that was found bad is not a second release.
        if why is None or (since and deployment.created_at <= since):
            return None
        other = "" if known_as == deployment.revision.identity else f" as {known_as}, which contains the same"
        return self._rollbacks.record(
            self._told(group, deployment, Reason.KNOWN_BAD_RELEASED),
            Reason.KNOWN_BAD_RELEASED,
            f"{deployment.deployment_id} releases {deployment.revision.name}, which is known bad{other}: {why}. "
            f"Stop it, or mark the revision good if it is.{_met(alarm)}",
        )

    def _known_bad_as(self, group: DeploymentGroup, deployment: Deployment, controls: Controls) -> str:
        """The name under which what it deploys is known bad; its content is read only if any content is."""
        known_as = controls.known_bad_as(deployment.revision)
        if known_as or not controls.known_bad_contents:
            return known_as
        try:
            return controls.known_bad_as(self._parts.deployer_for(group, None).evidence(deployment).revision)
        except LastgoodError:
            return ""

    def _floor(self, group: DeploymentGroup, deployment: Deployment) -> Rollback | None:
        """Record a release that is a floor: it bars every older revision, so people are told before they need one."""
        deployment = self._with_marks(group, deployment)
        cleared = self._parts.ledger.controls(group, self._parts.clock()).cleared_floors if deployment.floor else ()
        if not deployment.floor or deployment.deployment_id in cleared:
            return None
        counts = self._parts.settings.floors_from is not FloorsFrom.OPERATORS
        told = self._told(group, deployment, Reason.FLOOR_RELEASED)
        told = told.changed(floor_deployment_id=deployment.deployment_id if counts else "")
        what = f"{deployment.deployment_id} releases {deployment.revision.name}"
        why = f"{what} as a floor, says {floor_source(deployment)}. {_from_now_on(group) if counts else _NO_FLOOR}"
        return self._rollbacks.record(told, Reason.FLOOR_RELEASED, why, people=None if counts else True)

    def _with_marks(self, group: DeploymentGroup, deployment: Deployment) -> Deployment:
        """The release with its revision's marks. If they cannot be read now, a rollback will read them again."""
        if deployment.floor:
            return deployment
        try:
            marks = self._parts.deployer_for(group, None).evidence(deployment).marks
        except LastgoodError:
            return deployment
        return replace(deployment, floor=marks.floor, floor_on_revision=marks.floor)

    def _in_alarm(self, group: DeploymentGroup, deployment: Deployment, alarm: FiringAlarm) -> Rollback:
        settings, put_back_by = self._parts.settings, self._told_to_bring_back(group, deployment)
        about = self._told(group, deployment, Reason.RELEASED_IN_ALARM, alarm)
        if self._parts.ledger.load(_told_id(group, deployment, Reason.KNOWN_BAD_RELEASED)):
            # People were told of it and of its alarm already; the record is for what may follow.
            about = about.changed(notified=("closed",))
        told = self._rollbacks.record(
            about,
            Reason.RELEASED_IN_ALARM,
            f"{deployment.deployment_id} releases {deployment.revision.name} while the alarm {clean(alarm.name, 255)} "
            f"fires since {clock(alarm.changed_at)}. CloudWatch sends no message while an alarm's state stays the "
            f"same. {self._follows(put_back_by)}",
        )
        rolls_back = settings.release_in_alarm is ReleaseInAlarm.ROLLBACK and not put_back_by
        if rolls_back and deployment.status == "Succeeded" and deployment.completed_at:
            until = deployment.completed_at + settings.release_in_alarm_grace
            self._parts.ledger.watch(Watch(told.rollback_id, until, alarm.name, deployment.deployment_id))
        return told

    def _follows(self, put_back_by: str) -> str:
        """What will follow for a release that met a firing alarm, as sentences for people."""
        settings = self._parts.settings
        if put_back_by:
            return (
                f"It only brings back what {put_back_by} had put back, so it is not rolled back: if the alarm does not "
                "recover, look for another cause."
            )
        if settings.release_in_alarm is not ReleaseInAlarm.ROLLBACK:
            return "Watch it, and roll back by hand if it makes things worse."
        grace = duration(settings.release_in_alarm_grace)
        return (
            f"If the alarm still fires {grace} after the release is done, it is rolled back, unless it turns out to "
            "bring back what a rollback had put back."
        )

    # --- what a rollback had put back ---------------------------------------------------------------------------------

    def _told_to_bring_back(self, group: DeploymentGroup, deployment: Deployment) -> str:
        """The rollback that put back what is released here, as far as known now; empty if none, for people."""
        try:
            return self._brought_back(group, deployment).get(deployment.deployment_id, "")
        except LastgoodError as error:
            self._parts.telemetry.failed("brought_back", error, deployment_id=deployment.deployment_id)
            return ""

    def _brought_back(self, group: DeploymentGroup, deployment: Deployment) -> Mapping[str, str]:
        """The deployments that only brought back what a rollback of the day before put back, with that rollback's id.

        `deployment` is one of them if it deploys the same revision; others come from a run of the pipeline for the good
        commit. Raises RetryableError or RefusedError.
        """
        ledger, made_by = self._parts.ledger, dict[str, str]()
        for past in ledger.controls(group, self._parts.clock()).past:
            soon = deployment.created_at - past.closed_at <= BROUGHT_BACK_WITHIN
            recent = past.outcome is Outcome.ROLLED_BACK and soon
            rollback = ledger.load(past.rollback_id) if recent else None
            if rollback is None:
                continue
            made_by |= dict.fromkeys(self._made_again(rollback), rollback.rollback_id)
            if brings_back(deployment, rollback):
                made_by[deployment.deployment_id] = rollback.rollback_id
        return made_by

    def _made_again(self, rollback: Rollback) -> list[str]:
        """The deployments that runs of the pipeline for the good commit made after a rollback."""
        pipelines, pipeline = self._parts.pipelines, rollback.trail.pipeline
        if not pipeline or not (rollback.trail.good_execution_id or rollback.trail.good_commit):
            return []
        again = runs_again(pipelines.recent(pipeline), rollback)
        return [
            deployment_id for execution_id in again for deployment_id in pipelines.deployments(pipeline, execution_id)
        ]

    def _firing(self, group: DeploymentGroup, deployment: Deployment) -> FiringAlarm | None:
        """The alarm of this group that fires longest, if it began before the release."""
        parts, firing = self._parts, self._parts.alarms.firing()
        tags = parts.pool.map(parts.alarms.known_tags, [alarm.arn for alarm in firing])
        ours = [
            one
            for alarm, tagged in zip(firing, tags, strict=True)
            for one, groups in speakers(alarm, tagged, parts.alarms, parts.settings, parts.group_alarms)
            if one.changed_at < deployment.created_at and group in groups
        ]
        return min(ours, key=lambda alarm: alarm.changed_at, default=None)

    def _told(
        self, group: DeploymentGroup, deployment: Deployment, reason: Reason, alarm: FiringAlarm | None = None
    ) -> Rollback:
        trigger = Trigger(TriggerKind.RELEASE, deployment.created_at)
        if alarm:
            trigger = replace(
                trigger,
                alarm_name=alarm.name,
                alarm_arn=alarm.arn,
                alarm_changed_at=alarm.changed_at,
                alarm_contributor=alarm.contributor,
                alarm_attributes=alarm.attributes,
            )
        told_as = _told_id(group, deployment, reason)
        blamed = {
            "suspect_deployment_id": deployment.deployment_id,
            "suspect_revisions": (deployment.revision.identity,),
        }
        return Rollback.opened(told_as, group, trigger, self._parts.clock()).changed(**blamed)


def _told_id(group: DeploymentGroup, deployment: Deployment, reason: Reason) -> str:
    return rollback_id(f"{reason}|{deployment.deployment_id}", group, deployment.created_at)


def _met(alarm: FiringAlarm | None) -> str:
    return f" The alarm {clean(alarm.name, 255)} fires since {clock(alarm.changed_at)} already." if alarm else ""


def _rollback_of(told: Rollback, watch: Watch, now: datetime) -> Rollback:
    trigger = Trigger(
        TriggerKind.RELEASE,
        now,
        alarm_name=told.trigger.alarm_name,
        alarm_arn=told.trigger.alarm_arn,
        alarm_changed_at=told.trigger.alarm_changed_at,
        alarm_contributor=told.trigger.alarm_contributor,
        alarm_attributes=told.trigger.alarm_attributes,
        released_in_alarm=watch.deployment_id,
    )
    return Rollback.opened(rollback_id(f"grace|{watch.key}", told.group, watch.until), told.group, trigger, now)


def _from_now_on(group: DeploymentGroup) -> str:
    return f"From now on nothing older goes back to {group.key}, whatever an alarm says."
