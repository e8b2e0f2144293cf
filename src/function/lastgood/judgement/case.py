"""What a decision looks at: the record, one observation, the policy and the time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from lastgood.judgement.blame import Attribution, Question, attribute
from lastgood.judgement.choice import Selection, effective_floor, good_note, select
from lastgood.judgement.onset import came_too_late, evaluation_of, onset_of
from lastgood.judgement.release_sets import release_of
from lastgood.judgement.service import Lives, noise, with_ledger
from lastgood.judgement.steps import Chosen, Close
from lastgood.judgement.theirs import deployed_before
from lastgood.judgement.wording import name
from lastgood.model import (
    BEFORE,
    Deployment,
    Firing,
    Floor,
    Mode,
    Observation,
    Onset,
    Outcome,
    Policy,
    Reason,
    Rejection,
    ReleaseSet,
    Rollback,
    TriggerKind,
    same_content,
)


@dataclass(frozen=True)
class Case:
    """Everything that the guards look at. The blame and the choice are worked out once, on first use.

    `searching`: evidence is still being collected, so what is unknown now may be known later.
    """

    rollback: Rollback
    seen: Observation
    policy: Policy
    now: datetime
    approved: bool = field(default=False)
    searching: bool = field(default=False)

    @property
    def by_alarm(self) -> bool:
        """False when an operator asked: then the time windows for blaming a deployment do not apply."""
        return self.rollback.trigger.trigger_kind is not TriggerKind.MANUAL

    @property
    def forced(self) -> bool:
        """An operator asked for it with `force` and a reason."""
        return self.rollback.trigger.force and not self.by_alarm

    @property
    def groups_in_alarm(self) -> frozenset[str]:
        """The keys of the groups that went into alarm within the storm window, including this one."""
        return self.seen.controls.groups_in_alarm | {self.rollback.group.key}

    @property
    def releases(self) -> tuple[ReleaseSet, ...]:
        """What is known about releases that changed several groups; this rollback's own comes first."""
        own = self.rollback.group.key
        others = (release for release in self.seen.releases if own not in release.groups)
        return (release_of(self.rollback, self.seen), *others)

    @property
    def late(self) -> bool:
        """The rollback has been open for longer than it may take."""
        return self.now - self.rollback.opened_at > self.policy.deadline

    @property
    def has_time(self) -> bool:
        """Whether the decision may wait. A dry run, or observe mode, has to answer at once."""
        return not (self.late or self.rollback.trigger.dry_run or self.policy.mode is Mode.OBSERVE)

    @cached_property
    def onset(self) -> Onset | None:
        """When the breach began; None when an operator asked."""
        return onset_of(self.rollback, self.seen.alarm)

    @cached_property
    def attribution(self) -> Attribution:
        """Which deployments the alarm blames."""
        trigger = self.rollback.trigger
        asked = Question(
            alarm_at=trigger.alarm_changed_at,
            attribution_window=self.policy.attribution_window,
            evaluation_window=evaluation_of(self.rollback, self.seen.alarm) or self.policy.evaluation_window,
            now=self.now,
            requested_at=trigger.signal_at,
            force=self.forced,
            released_in_alarm=trigger.released_in_alarm,
            brought_back=trigger.brought_back,
            onset=self.onset,
            only=trigger.only_deployment_id,
        )
        return attribute(self.seen.history, asked)

    @cached_property
    def lives(self) -> Lives:
        """How long each deployment served, and how quietly."""
        controls = self.seen.controls
        past = [Firing(p.alarm_name, p.alarm_changed_at, p.closed_at) for p in controls.past if p.alarm_changed_at]
        return Lives(
            self.seen.history,
            with_ledger(self.seen.alarm_history, past),
            self.now,
            self.policy.proven_after,
            self.policy.known_bad_heals_after,
            controls.known_bad_since,
            controls.known_bad_as,
        )

    @property
    def noise(self) -> str:
        """A sentence if the alarm also fired before the release; else empty."""
        suspects = self.attribution.suspects
        if not suspects or not self.by_alarm:
            return ""
        return noise(self.lives.alarms, self.rollback.trigger.alarm_name, suspects[-1].created_at)

    @property
    def caution(self) -> str:
        """Why people should look at what goes back even if all goes well, as sentences; empty if they need not."""
        good, doubt = self.selection.good, self.selection.doubt
        if good is None:
            return ""
        unproven = f"{name(good)} is not proven, but no older revision is: {doubt}" if doubt else ""
        noted = (
            f"What {name(good)} contained is known from the notebook of releases alone." if good.revision.noted else ""
        )
        remarks = (
            good_note(good, self.attribution.suspects),
            noted,
            self._named_by_the_suspect(good),
            unproven,
            self._older_than_the_floor(good),
            self._passed_over(good),
        )
        return " ".join(filter(None, remarks))

    def _named_by_the_suspect(self, good: Deployment) -> str:
        """A remark if only the suspect says what was live before: nobody can read it elsewhere, or somebody set it."""
        if not good.deployment_id.endswith(BEFORE) or not self.attribution.suspects:
            return ""
        first = self.attribution.suspects[-1]
        unread = deployed_before(first, self.seen.history)
        if unread is None:
            return ""
        if unread.revision.identity:
            return (
                f"{first.deployment_id} names {good.revision.name} as live before it, and no deployment since "
                f"{unread.deployment_id} had put it there: somebody set it by hand."
            )
        why = f" ({unread.revision.unreadable})" if unread.revision.unreadable else ""
        names = f"{first.deployment_id} names what was live before it"
        return f"What {unread.deployment_id} deployed could not be read{why}; {names}."

    def _older_than_the_floor(self, good: Deployment) -> str:
        """A remark if somebody released a revision again that is older than the floor; else empty."""
        floor = self.floor
        older = (d for d in self.seen.history if floor and d.created_at < floor.created_at)
        if (
            floor is None
            or good.created_at <= floor.created_at
            or not any(same_content(d.revision, good.revision) for d in older)
        ):
            return ""
        return (
            f"{name(good)} is older than the floor {floor.deployment_id}, and was released again since: see whether "
            "the database still fits."
        )

    def _passed_over(self, good: Deployment) -> str:
        """A sentence about a newer revision that is known bad and was released again all the same; else empty."""
        rejected = {c.deployment_id for c in self.selection.candidates if c.rejection is Rejection.KNOWN_BAD}
        newer = (d for d in self.seen.history if d.deployment_id in rejected and d.created_at > good.created_at)
        again = next((d for d in newer if self.lives.since_known_bad(d)), None)
        if again is None:
            return ""
        why = next(c.explanation for c in self.selection.candidates if c.deployment_id == again.deployment_id)
        return f"{name(again)} was passed over. {why}"

    @cached_property
    def selection(self) -> Selection:
        """What goes back."""
        return select(
            self.seen.history,
            self.attribution.suspects,
            controls=self.seen.controls,
            unusable=self.seen.unusable,
            to_deployment_id=self.rollback.trigger.to_deployment_id,
            force=self.forced,
            examined=self.seen.examined if self.searching else None,
            lives=self.lives,
            cleared=self._cleared,
            native=self.policy.native_rollback,
        )

    @property
    def _cleared(self) -> frozenset[str]:
        """The ids of the deployments that came after the breach had begun, and so did not cause it."""
        fired = self.rollback.trigger.alarm_changed_at
        late = (d for d in self.seen.history if fired is not None and came_too_late(d, self.onset, fired))
        return frozenset(d.deployment_id for d in late)

    @cached_property
    def doubtful(self) -> tuple[Deployment, ...]:
        """Releases for which it matters when they began to serve users: without them something older would be blamed.

        That is a suspect that was under way when the breach began, where traffic moves only at the end; or the newest
        attempts, if they failed. What is deployed in place serves users at once, and an estimated onset clears nothing.
        """
        suspect, onset, group = self.attribution.suspect, self.onset, self.seen.group
        if suspect is None or onset is None or not onset.measured or group is None:
            return ()
        if suspect.failed_alone:
            attempts = itertools.takewhile(lambda d: d.status != "Succeeded", self.seen.history)
            return self._if_others_are_blamed_without(tuple(attempts))
        if self.rollback.group.moves_traffic(group) and (suspect.completed_at or self.now) > onset.at:
            return self._if_others_are_blamed_without((suspect,))
        return ()

    def _if_others_are_blamed_without(self, left_out: Sequence[Deployment]) -> tuple[Deployment, ...]:
        """The releases of these, if something else is blamed without them and without AWS's rollbacks of them."""
        without = {d.deployment_id for d in left_out} | {d.rollback_deployment_id for d in left_out}
        history = tuple(d for d in self.seen.history if d.deployment_id not in without)
        others = replace(self, seen=replace(self.seen, history=history)).attribution.suspects
        return tuple(d for d in left_out if d.is_release) if others else ()

    @property
    def floor(self) -> Floor | None:
        """The newest floor."""
        return effective_floor(self.seen.history, self.seen.controls)

    @property
    def _floor_in_the_way(self) -> str:
        below = self.selection.good is None and self.selection.rejected_for(Rejection.BELOW_FLOOR)
        return self.floor.deployment_id if below and self.floor else ""

    @property
    def chosen(self) -> Chosen:
        """The blamed deployments, what goes back, and what else was looked at, for the record."""
        caution = self.caution
        return Chosen(
            self.attribution.suspects,
            self.selection.good,
            self.selection.recorded,
            self.attribution.failed,
            remark=" ".join(filter(None, (caution, self.noise))),
            calls_people=bool(caution),
            floor=self._floor_in_the_way,
        )

    def refuse(
        self, reason: Reason, explanation: str, outcome: Outcome = Outcome.SKIPPED, *, calls_people: bool | None = None
    ) -> Close:
        """Close without touching anything, with all that is known so far.

        `calls_people` overrides what the catalogue says of the reason.
        """
        blamed = self.attribution.suspects
        looked_at = self.selection.recorded if blamed else ()
        floor = self._floor_in_the_way if reason is Reason.BELOW_FLOOR else ""
        known = Chosen(blamed, candidates=looked_at, failed=self.attribution.failed, remark=self.noise, floor=floor)
        return Close(reason, explanation, outcome, chosen=known, calls_people=calls_people)

    def unfounded(
        self, reason: Reason, explanation: str, outcome: Outcome = Outcome.SKIPPED, *, calls_people: bool | None = None
    ) -> Close:
        """Refuse a signal that nothing confirms; it does not count towards a storm."""
        return replace(self.refuse(reason, explanation, outcome, calls_people=calls_people), unfounded=True)

    def block(self, reason: Reason, explanation: str) -> Close:
        """Refuse, and call people: the release may be bad, but lastgood must not act."""
        return self.refuse(reason, explanation, Outcome.BLOCKED)
