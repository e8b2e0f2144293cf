"""One look at AWS, as wide as the rollback's phase needs and no wider. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lastgood.alarms import Alarms
from lastgood.clients import Clients
from lastgood.closer_look import CloserLook
from lastgood.deployers import deployers
from lastgood.deployers.protocol import Deployer, DeployerFor
from lastgood.errors import RefusedError
from lastgood.judgement import Case
from lastgood.judgement.recheck import changed_since
from lastgood.judgement.theirs import to_compare
from lastgood.judgement.way_back import HANGS_AFTER
from lastgood.ledger import Ledger
from lastgood.model import (
    BEFORE,
    TERMINAL_STATUSES,
    AlarmFacts,
    AlarmHistory,
    ComputePlatform,
    Controls,
    Deployment,
    DeploymentGroup,
    Evidence,
    GroupFacts,
    Image,
    Live,
    Marks,
    Observation,
    Phase,
    Policy,
    Preparation,
    Reason,
    Rollback,
    TriggerKind,
    same_content,
)
from lastgood.routing import BY_MESSAGE, contradiction
from lastgood.settings import Settings
from lastgood.stacks import Stacks, held_by_a_stack
from lastgood.storm import Storm
from lastgood.vouching import Vouching

ALARM_HISTORY_KEPT = timedelta(days=30)
"""CloudWatch keeps an alarm's history for about so long."""

WAIT_FOR_OTHER_ALARMS = 3.0
"""Seconds."""

MAX_UNUSABLE = 5
"""After this many revisions that can no longer be deployed, the search ends: something else is wrong."""


@dataclass(frozen=True)
class Observer:
    """Looks for one invocation. `last` is what the same invocation saw a step earlier, where that is still true."""

    ledger: Ledger
    alarms: Alarms
    deployer_for: DeployerFor
    stacks: Stacks
    pool: ThreadPoolExecutor
    settings: Settings

    @classmethod
    def make(cls, clients: Clients, settings: Settings, pool: ThreadPoolExecutor) -> Observer:
        """What tools that only look see with: the same as the function."""
        ledger = Ledger(clients.dynamodb, settings.table, settings.retention)
        alarms, stacks = Alarms(clients.cloudwatch), Stacks(clients, settings)
        return cls(ledger, alarms, deployers(clients, settings, pool), stacks, pool, settings)

    def look(
        self, rollback: Rollback, policy: Policy, now: datetime, last: Observation | None
    ) -> tuple[Observation, Policy]:
        """What `decide` needs now, and the policy with what operators laid over it."""
        deployer = self.deployer_for(rollback.group, rollback.compute_platform)
        match rollback.phase:
            case Phase.CLAIMED | Phase.AWAITING_APPROVAL:
                return self._survey(rollback, policy, now, deployer)
            case Phase.STOPPING:
                seen = self._after_stop(rollback, deployer, now, last)
                return self._held(rollback, policy, deployer, now, last, seen), policy
            case Phase.REDEPLOYING:
                seen = self._before_create(rollback, deployer, now, last)
                return self._held(rollback, policy, deployer, now, last, seen), policy
            case _:
                return self._verify(rollback, policy, deployer, now), policy

    # --- opening ------------------------------------------------------------------------------------------------------

    def _survey(
        self, rollback: Rollback, policy: Policy, now: datetime, deployer: Deployer
    ) -> tuple[Observation, Policy]:
        by_alarm = rollback.trigger.trigger_kind is not TriggerKind.MANUAL and bool(rollback.trigger.alarm_name)
        asked_at = now if policy.require_evidence else None
        reading_alarm = self.pool.submit(self._alarm, rollback, asked_at) if by_alarm else None
        month = now - ALARM_HISTORY_KEPT
        reading_past = (
            self.pool.submit(self.alarms.history, rollback.trigger.alarm_name, month, now) if by_alarm else None
        )
        storm = Storm(self.alarms, self.pool, self.settings)
        reading_storm = self.pool.submit(storm.fired, now, policy) if by_alarm and policy.storm_groups else None
        reading_controls = self.pool.submit(self._controls, rollback.group, policy, now)
        began = min(rollback.trigger.alarm_changed_at or now, now)
        facts, parts = deployer.survey(began - policy.attribution_window - timedelta(hours=1), now)
        alarm, against = reading_alarm.result() if reading_alarm else (None, "")
        controls = storm.seen(rollback, reading_controls.result(), _in_time(reading_storm) or (), policy)
        seen = Observation(
            group=facts,
            alarm=alarm,
            alarm_read=by_alarm,
            contradiction=against,
            locked_by=_holder(rollback, controls),
            controls=controls,
            alarm_history=_in_time(reading_past) or AlarmHistory(),
        )
        policy = replace(policy, mode=controls.mode or policy.mode)
        return self._search(rollback, seen, policy, now, deployer, parts), policy

    def _alarm(self, rollback: Rollback, evidence_at: datetime | None) -> tuple[AlarmFacts | None, str]:
        """The alarm as it is now, and why CloudWatch does not lead it here, where only its message's tags did.

        Both on one connection: CodeDeploy's answers, which are read beside them, take longer.
        """
        alarm = self.alarms.read(rollback.trigger.alarm_name, evidence_at, rollback.trigger.alarm_contributor)
        if alarm is None or rollback.trigger.routed_by not in {"", BY_MESSAGE}:
            return alarm, ""
        try:
            tags = self.alarms.tags(rollback.trigger.alarm_arn) if rollback.trigger.alarm_arn else {}
        except RefusedError:
            return alarm, contradiction(rollback, None, self.settings)
        return alarm, contradiction(rollback, tags, self.settings)

    def _search(
        self,
        rollback: Rollback,
        seen: Observation,
        policy: Policy,
        now: datetime,
        deployer: Deployer,
        parts: Iterator[tuple[Deployment, ...]],
    ) -> Observation:
        """Read back until the last good revision is found and can be deployed, or it is clear that none is needed."""
        for part in parts:
            seen = replace(seen, history=seen.history + self._signed(part, rollback, seen))
            if self._searched_enough(Case(rollback, seen, policy, now, searching=True)):
                break
        case = Case(rollback, seen, policy, now, searching=True)
        if case.attribution.reason or case.attribution.suspect is None or seen.group is None:
            return self._examined(rollback, seen, policy, now, deployer, parts)
        asking = self.pool.submit(self.stacks.origin, rollback, seen.group, case.attribution.suspect)
        seen = self._examined(rollback, seen, policy, now, deployer, parts)
        return held_by_a_stack(rollback, seen, policy, now, asking.result())

    def _examined(
        self,
        rollback: Rollback,
        seen: Observation,
        policy: Policy,
        now: datetime,
        deployer: Deployer,
        parts: Iterator[tuple[Deployment, ...]],
    ) -> Observation:
        """Look closely at who is blamed and what would go back, and at what lies between, until both are settled."""
        while len(seen.unusable) < MAX_UNUSABLE:
            case = Case(rollback, seen, policy, now, searching=True)
            unread = self._to_examine(case) if not case.attribution.reason else _perhaps_a_release(case)
            if case.attribution.reason and not unread:
                return seen
            if unread:
                seen = self._with_evidence(rollback, seen, unread, deployer)
            elif not case.selection.settled and (more := next(parts, ())):
                seen = replace(seen, history=seen.history + self._signed(more, rollback, seen))
            elif case.selection.good is not None:
                return self._with_live(case, deployer)
            else:
                before = self._before_the_first(case, deployer)
                if before is None:
                    return seen
                seen = replace(seen, history=(*seen.history, before))
        return seen

    def _to_examine(self, case: Case) -> list[Deployment]:
        """The suspects, the revision that would go back, and what succeeded in between: a mark on it counts."""
        suspects, good, group = case.attribution.suspects, case.selection.good, case.seen.group
        on_ecs = group is not None and group.compute_platform is ComputePlatform.ECS
        adopt = case.attribution.adopt if on_ecs else None
        events = [d for d in case.seen.history if d.is_release or d.is_rollback]
        ours = {d.deployment_id for d in (*suspects, good, adopt, *to_compare(events)) if d}
        since = good.created_at if good else case.now
        return [
            d
            for d in case.seen.history
            if d.deployment_id not in case.seen.examined
            and (d.deployment_id in ours or (d.created_at > since and d.status == "Succeeded"))
        ]

    def _with_evidence(
        self, rollback: Rollback, seen: Observation, unread: list[Deployment], deployer: Deployer
    ) -> Observation:
        found = CloserLook(rollback.group, deployer, self.ledger, self.pool).at(unread, seen.history)
        problems = {name: evidence.problem for name, evidence in found.items() if evidence.problem}
        return replace(
            seen,
            history=tuple(self._as_counts(_as_found(d, found.get(d.deployment_id))) for d in seen.history),
            unusable={**seen.unusable, **problems},
            examined=seen.examined | found.keys(),
        )

    def _before_the_first(self, case: Case, deployer: Deployer) -> Deployment | None:
        """What was live before the first deployment of all, where nothing older was ever deployed."""
        first = next(iter(case.attribution.suspects[::-1]), None)
        older = [d for d in case.seen.history if first and d.created_at < first.created_at and d.status == "Succeeded"]
        if first is None or older or first.deployment_id + BEFORE in case.seen.examined or case.seen.group is None:
            return None
        return deployer.before(first, case.seen.group)

    def _signed(self, part: tuple[Deployment, ...], rollback: Rollback, seen: Observation) -> tuple[Deployment, ...]:
        return tuple(map(self._as_counts, Vouching(self.ledger, rollback.group, seen.controls).signed(part)))

    def _as_counts(self, deployment: Deployment) -> Deployment:
        """A deployment without the floor that it may not set by the settings."""
        return deployment if self.settings.floors_from != "operators" else replace(deployment, floor=False)

    def _searched_enough(self, case: Case) -> bool:
        blame = case.attribution
        if blame.reason is Reason.NOT_ATTRIBUTABLE:
            return any(d.is_release or d.is_rollback for d in case.seen.history)
        return bool(blame.reason or blame.adopt or case.selection.settled)

    def _with_live(self, case: Case, deployer: Deployer) -> Observation:
        suspect, good, facts = case.attribution.suspect, case.selection.good, case.seen.group
        readable = facts is not None and case.rollback.group.can(facts.compute_platform).reads_live
        if suspect is None or suspect.active or good is None or facts is None or not readable:
            return case.seen
        return replace(case.seen, live=deployer.live(facts, good.revision))

    def _held(
        self,
        rollback: Rollback,
        policy: Policy,
        deployer: Deployer,
        now: datetime,
        last: Observation | None,
        seen: Observation,
    ) -> Observation:
        """A later visit asks again whether somebody paused; within one visit it was asked a moment ago."""
        if last is not None:
            seen = replace(seen, controls=last.controls, locked_by=last.locked_by)
        else:
            controls = self._controls(rollback.group, policy, now)
            seen = replace(seen, controls=controls, locked_by=_holder(rollback, controls))
        known_bad = seen.good is not None and seen.good.revision.identity in seen.controls.known_bad
        return self._with_lives(rollback, deployer, now, last, seen) if known_bad else seen

    def _with_lives(
        self, rollback: Rollback, deployer: Deployer, now: datetime, last: Observation | None, seen: Observation
    ) -> Observation:
        """A known bad revision goes back only where it healed, so how it served since is looked at again too."""
        if last is not None and last.history:
            return replace(seen, history=last.history, alarm_history=last.alarm_history)
        month = now - ALARM_HISTORY_KEPT
        reading = (
            self.pool.submit(self.alarms.history, rollback.trigger.alarm_name, month, now)
            if rollback.trigger.alarm_name
            else None
        )
        history: tuple[Deployment, ...] = ()
        for part in deployer.survey(month, now)[1]:
            history += self._signed(part, rollback, seen)
            if history[-1].created_at < month:
                break
        known = tuple(seen.good if seen.good and d.deployment_id == seen.good.deployment_id else d for d in history)
        return replace(seen, history=known, alarm_history=_in_time(reading) or AlarmHistory())

    def _controls(self, group: DeploymentGroup, policy: Policy, now: datetime) -> Controls:
        """What operators said. DynamoDB answers both parts sooner than a second connection to it would be open."""
        common = self.ledger.common(now, policy.storm_window)
        controls = replace(
            self.ledger.controls(group, now),
            pause_all=common.pause_all,
            groups_in_alarm=common.groups_in_alarm,
            unfounded_groups=common.unfounded_groups,
            resumed_at=common.resumed_at,
        )
        return controls if self.settings.floors_from != "description" else replace(controls, floor=None)

    # --- acting -------------------------------------------------------------------------------------------------------

    def _after_stop(
        self, rollback: Rollback, deployer: Deployer, now: datetime, last: Observation | None
    ) -> Observation:
        suspect = self._known(rollback.choice.suspect_deployment_id, last)
        if suspect is None and rollback.choice.suspect_deployment_id:
            suspect = deployer.deployment(rollback.choice.suspect_deployment_id)
        seen = Observation(suspect=suspect, group=last.group if last else None)
        if suspect is not None and suspect.active and not rollback.may_replace_running:
            return replace(seen, silent=deployer.silent(suspect.deployment_id)) if _hangs(rollback, now) else seen
        if suspect is not None and suspect.rollback_deployment_id:
            native = deployer.deployment(suspect.rollback_deployment_id)
            seen = replace(seen, rollback=native)
            if (
                native
                and not native.ended_badly
                and (native.active or native.revision.identity == rollback.choice.good_revision)
            ):
                return seen
        return self._ready(rollback, deployer, seen, last) if rollback.choice.good_deployment_id else seen

    def _known(self, deployment_id: str, last: Observation | None) -> Deployment | None:
        """A deployment that this visit has seen already, and that was over then."""
        seen = (*last.history, last.good) if last else ()
        return next((d for d in seen if d and d.deployment_id == deployment_id and not d.active), None)

    def _before_create(
        self, rollback: Rollback, deployer: Deployer, now: datetime, last: Observation | None
    ) -> Observation:
        if rollback.progress.create_attempted_at is not None:
            made = deployer.marked(rollback, now)
            if made is not None:
                return Observation(rollback=made)
        return self._ready(rollback, deployer, Observation(), last)

    def _ready(
        self, rollback: Rollback, deployer: Deployer, seen: Observation, last: Observation | None
    ) -> Observation:
        """What is in the way of the redeployment, and what has to be done before it."""
        facts, newest = seen.group, None
        if facts is None:
            # A later visit: whoever else came to the group meanwhile may have been quick, and be done already.
            facts = deployer.facts()
            newest = deployer.newest(facts) if facts and not _is_suspect(rollback, facts) else None
            if newest is not None and newest.made_by not in {"", rollback.rollback_id}:
                newest = Vouching(self.ledger, rollback.group, Controls()).signed((newest,))[0]
        good, problem = self._good(rollback, deployer, last)
        if facts is None or good is None:
            gone = f"{rollback.choice.good_deployment_id} or its deployment group is gone."
            return replace(seen, group=facts, preparation=Preparation(problem=gone))
        if problem:
            return replace(seen, group=facts, newest=newest, good=good, preparation=Preparation(problem=problem))
        readable = rollback.group.can(facts.compute_platform).reads_live
        live = deployer.live(facts, good.revision) if readable else Live()
        todo = deployer.prepare(facts, good.revision, live)
        if rollback.progress.redeployed_revision:
            todo = replace(todo, register_task_definition="")
        return replace(seen, group=facts, newest=newest, good=good, live=live, preparation=todo)

    def _good(self, rollback: Rollback, deployer: Deployer, last: Observation | None) -> tuple[Deployment | None, str]:
        """What goes back, and why it cannot: a later visit looks as closely as the one that chose it."""
        good = self._known(rollback.choice.good_deployment_id, last)
        if good is not None and last is not None and good.deployment_id in last.examined:
            return good, last.unusable.get(good.deployment_id, "")
        good = good or deployer.deployment(rollback.choice.good_deployment_id)
        if good is None:
            return None, ""
        evidence = CloserLook(rollback.group, deployer, self.ledger, self.pool).at([good])[good.deployment_id]
        found = replace(good, revision=evidence.revision)
        return found, evidence.problem or changed_since(rollback, evidence.revision)

    # --- proof --------------------------------------------------------------------------------------------------------

    def _verify(self, rollback: Rollback, policy: Policy, deployer: Deployer, now: datetime) -> Observation:
        running = deployer.deployment(rollback.progress.rollback_deployment_id)
        seen = Observation(rollback=running)
        late = now - rollback.opened_at > policy.deadline
        if running is not None and running.gate is not None:
            return self._held(rollback, policy, deployer, now, None, seen)
        if running is None or (running.active and not late) or running.status in {"Failed", "Stopped"}:
            return seen
        facts = deployer.facts()
        if facts is None:
            return seen
        revision = running.revision
        if not revision.identity and rollback.choice.suspect_deployment_id:
            # Where it was deployed to, the suspect says too.
            suspect = deployer.deployment(rollback.choice.suspect_deployment_id)
            revision = suspect.revision if suspect else revision
        if rollback.choice.good_digests:
            # What the containers run is read only where it is known to matter.
            revision = replace(revision, images=_images(rollback.choice.good_digests))
        return replace(seen, group=facts, live=deployer.live(facts, revision))


def _images(digests: tuple[str, ...]) -> tuple[Image, ...]:
    """The images that a record says are wanted, without the names by which they were deployed."""
    pairs = (text.split("=", 1) for text in digests)
    return tuple(Image(container, "", digest) for container, digest in pairs)


def _in_time[Found](reading: Future[Found] | None) -> Found | None:
    """An alarm's past, and other alarms, are worth no waiting: what has not come beside the other reads is unknown."""
    try:
        return reading.result(WAIT_FOR_OTHER_ALARMS) if reading else None
    except TimeoutError:
        return None


def _is_suspect(rollback: Rollback, facts: GroupFacts) -> bool:
    """The suspect has ended, and nothing came after it: there is no need to look at it once more."""
    ended = facts.last_attempted_status in TERMINAL_STATUSES
    return ended and facts.last_attempted_id == rollback.choice.suspect_deployment_id


def _holder(rollback: Rollback, controls: Controls) -> str | None:
    """Who holds the group's lock; None for a rollback that is only supposed: it never took one."""
    return controls.open_rollback_id if rollback.bookkeeping.lease_owner else None


def _hangs(rollback: Rollback, now: datetime) -> bool:
    """The stop takes so long that people are told, and were not yet."""
    asked = rollback.progress.stop_requested_at
    return asked is not None and now - asked >= HANGS_AFTER and not rollback.progress.held_up_by


def _perhaps_a_release(case: Case) -> list[Deployment]:
    """A redeployment of one task definition changes nothing, unless a tag in it moves: its images are not read yet."""
    group, newest = case.seen.group, next((d for d in case.seen.history if d.is_release), None)
    unsure = case.attribution.reason is Reason.NOT_ATTRIBUTABLE and group and newest
    if not unsure or group is None or newest is None or group.compute_platform is not ComputePlatform.ECS:
        return []
    read = newest.deployment_id in case.seen.examined or newest.revision.images or not newest.revision.identity
    before = next((d for d in case.seen.history if d.created_at < newest.created_at and d.status == "Succeeded"), None)
    again = before is not None and same_content(before.revision, newest.revision)
    return (
        [d for d in (newest, before) if d is not None and d.deployment_id not in case.seen.examined]
        if again and not read
        else []
    )


def _as_found(deployment: Deployment, evidence: Evidence | None) -> Deployment:
    """A deployment with what a closer look showed. A rollback brings no marks of its own."""
    if evidence is None:
        return deployment
    marks = Marks() if deployment.is_rollback else evidence.marks
    return replace(
        deployment,
        revision=evidence.revision,
        floor=deployment.floor or marks.floor,
        floor_on_revision=marks.floor and not deployment.floor,
        needs_approval=deployment.needs_approval or marks.needs_approval,
    )
