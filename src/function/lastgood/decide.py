"""What to do next with a rollback, and why: pure. No call, no clock, no logger.

`decide` looks at the record and at one observation and returns one step. Doing nothing is a step with a reason.
`plan`, `explain`, dry runs and the tests call the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, partial
from typing import assert_never

from lastgood.model import (
    CLOUDFORMATION_CREATORS,
    NATIVE_ROLLBACK_CREATOR,
    AlarmState,
    Candidate,
    ComputePlatform,
    Controller,
    Deployment,
    Mode,
    Observation,
    Outcome,
    Phase,
    Policy,
    Reason,
    Rejection,
    Rollback,
    TriggerKind,
)
from lastgood.phrases import ago, clock, duration
from lastgood.selection import Attribution, Selection, attribute, put_back_already, select

# A stop that nobody confirmed is asked for again after this long: the first request may never have been sent.
STOP_AGAIN_AFTER = timedelta(seconds=30)
# CodeDeploy reports Succeeded a moment before the alias or the service shows it.
LIVE_GRACE = timedelta(minutes=5)


class Action(StrEnum):
    """The one thing to do now."""

    STOP = "STOP"
    PROCEED = "PROCEED"
    """The plan stands, and nothing has to be stopped (any more): on to the redeployment."""
    ADOPT = "ADOPT"
    CLEAR_ALIAS = "CLEAR_ALIAS"
    REGISTER_TASK_DEFINITION = "REGISTER_TASK_DEFINITION"
    CREATE = "CREATE"
    ASK_APPROVAL = "ASK_APPROVAL"
    WAIT = "WAIT"
    CLOSE = "CLOSE"


_EFFECTS = frozenset({Action.STOP, Action.CLEAR_ALIAS, Action.REGISTER_TASK_DEFINITION, Action.CREATE})


@dataclass(frozen=True, slots=True)
class Decision:
    """One step and its reason. `outcome` is set when the step closes the rollback, or will once a stop is done."""

    action: Action
    reason: Reason
    explanation: str
    outcome: Outcome | None = None
    deployment: Deployment | None = None
    native: bool = False
    suspects: tuple[Deployment, ...] = ()
    good: Deployment | None = None
    candidates: tuple[Candidate, ...] = ()
    needs_human: bool = False
    pauses_group: bool = False


def decide(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """The next step of `rollback`, from what was `seen` and the `policy` of its deployment group."""
    match rollback.phase:
        case Phase.CLAIMED:
            return _judge(Case(rollback, seen, policy, now))
        case Phase.AWAITING_APPROVAL:
            return _await_approval(Case(rollback, seen, policy, now))
        case Phase.STOPPING:
            return _unless_held(rollback, seen, policy, now, _after_stop(rollback, seen, policy, now))
        case Phase.REDEPLOYING:
            return _unless_held(rollback, seen, policy, now, _redeploy(rollback, seen, policy, now))
        case Phase.VERIFYING:
            return _verify(rollback, seen, policy, now)
        case Phase.CLOSED:
            return Decision(Action.WAIT, rollback.reason_code or Reason.VERIFIED, "It is closed already.")
        case _:
            assert_never(rollback.phase)


# --- opening: the guards, in the order in which they are tried -------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Everything that the guards look at; who is blamed and what goes back are worked out once."""

    rollback: Rollback
    seen: Observation
    policy: Policy
    now: datetime
    approved: bool = field(default=False)

    @property
    def by_alarm(self) -> bool:
        """False when an operator asked: then nobody has to be blamed by a clock."""
        return self.rollback.trigger_kind is not TriggerKind.MANUAL

    @property
    def forced(self) -> bool:
        """An operator asked for it with `force` and a reason."""
        return self.rollback.force and not self.by_alarm

    @cached_property
    def attribution(self) -> Attribution:
        """Whom the alarm blames."""
        seconds = self.rollback.evaluation_seconds
        evaluation = timedelta(seconds=seconds) if seconds else self.policy.evaluation_window
        return attribute(
            self.seen.history,
            alarm_at=self.rollback.alarm_changed_at if self.by_alarm else None,
            attribution_window=self.policy.attribution_window,
            evaluation_window=evaluation,
            now=self.now,
            requested_at=None if self.by_alarm else self.rollback.signal_at,
            force=self.forced,
            released_in_alarm=self.rollback.released_in_alarm,
            brought_back=self.rollback.brought_back,
        )

    @cached_property
    def selection(self) -> Selection:
        """What goes back."""
        return select(
            self.seen.history,
            self.attribution.suspects,
            controls=self.seen.controls,
            unusable=self.seen.unusable,
            to_deployment_id=self.rollback.to_deployment_id,
            force=self.forced,
        )

    def refuse(
        self, reason: Reason, explanation: str, outcome: Outcome = Outcome.SKIPPED, *, needs_human: bool = False
    ) -> Decision:
        """Close without touching anything, with all that is known so far."""
        return Decision(
            Action.CLOSE,
            reason,
            explanation,
            outcome,
            suspects=self.attribution.suspects,
            candidates=self.selection.recorded if self.attribution.suspects else (),
            needs_human=needs_human,
        )

    def block(self, reason: Reason, explanation: str) -> Decision:
        """Refuse, and call people: the release may be bad, and lastgood must not act."""
        return self.refuse(reason, explanation, Outcome.BLOCKED, needs_human=True)


@dataclass(frozen=True, slots=True)
class Guard:
    """One question that is asked before anything is touched, and the reasons with which it can object."""

    question: str
    check: Callable[[Case], Decision | None]
    reasons: tuple[Reason, ...]


def _kill_switch(case: Case) -> Decision | None:
    controls = case.seen.controls
    if case.policy.kill_switch:
        return case.refuse(Reason.KILL_SWITCH, "LASTGOOD_KILL_SWITCH is on: every rollback is switched off.")
    for pause, what in ((controls.pause_all, "everything"), (controls.pause_group, "this deployment group")):
        if pause and pause.holds(case.now) and not case.forced:
            until = f"until {pause.until:%Y-%m-%d %H:%MZ}" if pause.until else "until it is resumed"
            return case.refuse(
                Reason.PAUSED, f"{pause.requested_by} paused {what} {until}: {pause.reason}", needs_human=True
            )
    return None


def _mode_off(case: Case) -> Decision | None:
    if case.policy.mode is Mode.OFF and not case.forced:
        return case.refuse(Reason.MODE_OFF, "Rollbacks are switched off for this deployment group (mode off).")
    return None


def _fresh(case: Case) -> Decision | None:
    changed = case.rollback.alarm_changed_at
    if not case.by_alarm or changed is None or case.approved or case.rollback.released_in_alarm:
        return None
    # The age that counts is the age at which the signal came: a rollback that was opened in time and then waited
    # for a retry is not stale.
    if case.rollback.opened_at - changed <= case.policy.max_signal_age:
        return None
    return case.refuse(
        Reason.STALE_SIGNAL,
        f"The alarm changed at {changed:%Y-%m-%d} {clock(changed)}, {ago(case.rollback.opened_at, changed)} before its "
        f"message came; at most {duration(case.policy.max_signal_age)} is allowed. What is live now may be healthy.",
        needs_human=True,
    )


def _confirmed(case: Case) -> Decision | None:
    if not case.by_alarm or not case.seen.alarm_read:
        return None
    alarm, said = case.seen.alarm, case.rollback.alarm_changed_at
    if alarm is None:
        return case.refuse(
            Reason.ALARM_NOT_CONFIRMED, f"CloudWatch knows no alarm named {case.rollback.alarm_name!r} here."
        )
    if alarm.suppressed_by:
        return case.refuse(Reason.ALARM_SUPPRESSED, f"The alarm's actions are suppressed by {alarm.suppressed_by}.")
    if alarm.state is AlarmState.ALARM or (alarm.state is not AlarmState.OK and not case.policy.require_still_in_alarm):
        return None
    never = alarm.changed_at is not None and said is not None and alarm.changed_at < said - timedelta(seconds=1)
    if never and alarm.changed_at is not None:
        return case.refuse(
            Reason.ALARM_NOT_CONFIRMED,
            f"CloudWatch says that the alarm is {alarm.state} since {clock(alarm.changed_at)}, before this message: "
            "it was not in ALARM then.",
        )
    if not case.policy.require_still_in_alarm:
        return None
    if alarm.state is not AlarmState.OK:
        return case.refuse(
            Reason.ALARM_NOT_CONFIRMED,
            f"The alarm is {alarm.state} now: it measures nothing any more, which may be the release's doing.",
            needs_human=True,
        )
    return case.refuse(Reason.ALARM_RECOVERED, "The alarm is OK again; nothing has to be rolled back.")


def _group_exists(case: Case) -> Decision | None:
    if case.seen.group is not None:
        return None
    return case.refuse(
        Reason.GROUP_NOT_FOUND,
        f"{_no_such_group(case.rollback)}. Mend the alarm's tags or LASTGOOD_ROUTES.",
        Outcome.FAILED,
        needs_human=True,
    )


def _no_such_group(rollback: Rollback) -> str:
    if rollback.controller is Controller.CODE_DEPLOY:
        return f"CodeDeploy has no deployment group {rollback.group.key}"
    where = f"{rollback.application}/{rollback.deployment_group}"
    return f"ECS has no service {where} whose deployment controller is ECS"


def _attributable(case: Case) -> Decision | None:
    blame = case.attribution
    if blame.reason is None:
        return None
    if case.forced and case.rollback.to_deployment_id:
        return None
    people = blame.reason in {Reason.SUSPECT_IS_ROLLBACK, Reason.NEWER_DEPLOYMENT}
    return case.refuse(blame.reason, blame.explanation, needs_human=people)


def _not_cloudformation(case: Case) -> Decision | None:
    managed = next((d for d in case.attribution.suspects if d.creator in CLOUDFORMATION_CREATORS), None)
    if managed is None:
        return None
    stack = managed.external_id or "the stack that made it"
    return case.block(
        Reason.MANAGED_BY_CLOUDFORMATION,
        f"CloudFormation made {managed.deployment_id} ({stack}). A redeployment behind its back would leave the stack "
        "believing in another version: roll the stack back instead.",
    )


def _put_back_by_somebody(case: Case) -> Decision | None:
    back = put_back_already(case.seen.history, case.attribution.suspects)
    if back is None or case.attribution.adopt or not case.by_alarm:
        return None
    return case.refuse(
        Reason.ALREADY_LIVE,
        f"{back.deployment_id} already put {_label(back)} back, which was live before.",
    )


def _cooled_down(case: Case) -> Decision | None:
    past = case.seen.controls.past
    if not case.by_alarm or not past or case.attribution.adopt:
        return None
    last = max(past, key=lambda p: p.closed_at)
    if case.now - last.closed_at < case.policy.cooldown:
        return case.refuse(
            Reason.COOLDOWN,
            f"{last.rollback_id} ended {ago(case.now, last.closed_at)} ago; for {duration(case.policy.cooldown)} after "
            "a rollback people decide what comes next.",
            needs_human=True,
        )
    recent = [p for p in past if case.now - p.closed_at < case.policy.rollback_window]
    if case.policy.max_rollbacks and len(recent) >= case.policy.max_rollbacks:
        blocked = case.block(
            Reason.TOO_MANY_ROLLBACKS,
            f"{len(recent)} rollbacks in {duration(case.policy.rollback_window)} are the limit for a deployment group: "
            "something else is wrong here. The group is paused until somebody resumes it.",
        )
        return replace(blocked, pauses_group=not case.rollback.dry_run and case.policy.mode is not Mode.OBSERVE)
    return None


def _no_storm(case: Case) -> Decision | None:
    limit = case.policy.storm_groups
    groups = sorted(case.seen.controls.groups_in_alarm | {case.rollback.group.key})
    count = len(groups)
    if not case.by_alarm or not limit or count <= limit or case.attribution.adopt:
        return None
    return case.block(
        Reason.STORM,
        f"{count} deployment groups went into alarm within {duration(case.policy.storm_window)}; more than {limit} at "
        f"once means a shared fault, not so many bad releases. In alarm: {_listed(groups)}. Rollbacks go on by "
        "themselves when fewer groups fire, or when somebody resumes everything.",
    )


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _good_revision(case: Case) -> Decision | None:
    if case.selection.good or _adoptable(case):
        return None
    reason, explanation = _why_none(case)
    suspect = case.attribution.suspect
    if suspect and suspect.active and _stops_without_target(case, reason) and not case.rollback.dry_run:
        return Decision(
            Action.STOP,
            reason,
            f"{explanation} {suspect.deployment_id} is still running and is stopped, so that it goes no further."
            f"{_split_alias_stays(case)}",
            Outcome.BLOCKED,
            deployment=suspect,
            suspects=case.attribution.suspects,
            candidates=case.selection.recorded,
            needs_human=True,
        )
    return case.block(reason, explanation)


def _split_alias_stays(case: Case) -> str:
    if case.seen.group is None or case.seen.group.compute_platform is not ComputePlatform.LAMBDA:
        return ""
    return " If its alias sends traffic to two versions, clear that by hand: every later deployment would fail."


def _why_none(case: Case) -> tuple[Reason, str]:
    if case.rollback.to_deployment_id:
        return _why_not_requested(case)
    below = case.selection.rejected_for(Rejection.BELOW_FLOOR)
    if below:
        return (
            Reason.BELOW_FLOOR,
            f"Only revisions below the floor are left ({below.deployment_id}: {below.explanation}) Fix forward, or "
            "revert the commit and release it.",
        )
    bad = case.selection.rejected_for(Rejection.KNOWN_BAD)
    if bad:
        return Reason.KNOWN_BAD, f"Every earlier revision is known bad ({bad.deployment_id}: {bad.explanation})"
    unreadable = case.selection.rejected_for(Rejection.UNREADABLE_REVISION)
    if unreadable:
        return Reason.NO_GOOD_REVISION, f"What {unreadable.deployment_id} deployed can no longer be read."
    unusable = case.selection.rejected_for(Rejection.NOT_DEPLOYABLE)
    if unusable:
        return Reason.NO_GOOD_REVISION, f"No earlier revision can be deployed any more: {unusable.explanation}"
    return Reason.NO_GOOD_REVISION, "No earlier good revision was ever deployed here: there is nothing to go back to."


def _why_not_requested(case: Case) -> tuple[Reason, str]:
    wanted = case.rollback.to_deployment_id
    asked = next((c for c in case.selection.candidates if c.deployment_id == wanted), None)
    if asked is None:
        return Reason.NO_GOOD_REVISION, f"{wanted} is not in the recent history of {case.rollback.group.key}."
    reasons: dict[Rejection | None, Reason] = {
        Rejection.BELOW_FLOOR: Reason.BELOW_FLOOR,
        Rejection.KNOWN_BAD: Reason.KNOWN_BAD,
    }
    return reasons.get(asked.rejection, Reason.NO_GOOD_REVISION), f"{wanted} cannot be put back: {asked.explanation}"


def _stops_without_target(case: Case, reason: Reason) -> bool:
    if case.policy.mode is not Mode.AUTO or case.rollback.to_deployment_id:
        return False
    if case.rollback.controller is Controller.ECS:
        # ECS's only stop brings the revision before back: one that was just refused.
        return False
    if case.policy.stop_without_target == "first-deployment":
        # What could not be read may well be a good revision.
        unread = case.selection.rejected_for(Rejection.UNREADABLE_REVISION)
        return reason is Reason.NO_GOOD_REVISION and unread is None
    return case.policy.stop_without_target == "always"


def _live_as_expected(case: Case) -> Decision | None:
    """History says one thing; what is live may say another, because people change aliases by hand."""
    suspect, good, live = case.attribution.suspect, case.selection.good, case.seen.live
    if suspect is None or suspect.active or good is None or not live.identity or live.split or case.attribution.adopt:
        return None
    if live.identity == good.revision.identity:
        return case.refuse(Reason.ALREADY_LIVE, f"{_name(good)} is already live; there is nothing to redeploy.")
    if suspect.status == "Succeeded" and all(live.identity != s.revision.identity for s in case.attribution.suspects):
        return case.block(
            Reason.LIVE_DIFFERS,
            f"Live is {live.identity}, which is neither the suspect nor the last good revision: somebody changed it "
            f"outside {case.rollback.group.deployer}.",
        )
    return None


def _adoptable(case: Case) -> bool:
    """CodeDeploy's rollback goes to a revision that we would accept ourselves."""
    adopt = case.attribution.adopt
    if adopt is None:
        return False
    identity = adopt.revision.identity
    good = case.selection.good
    return identity not in case.seen.controls.known_bad and (good is None or good.revision.identity == identity)


def _observe_only(case: Case) -> Decision | None:
    if not case.rollback.dry_run and (case.policy.mode is not Mode.OBSERVE or case.forced):
        return None
    would = _act(case)
    reason = would.reason if case.rollback.dry_run else Reason.OBSERVE_MODE
    why = "Dry run" if case.rollback.dry_run else "Observe mode"
    return replace(
        would,
        action=Action.CLOSE,
        reason=reason,
        outcome=Outcome.DRY_RUN,
        deployment=None,
        explanation=f"{why}: nothing was done. It would have been this: {would.explanation}",
    )


def _needs_approval(case: Case) -> Decision | None:
    if case.approved or case.attribution.adopt or case.forced:
        return None
    marked = _marked_for_approval(case)
    if case.policy.mode is not Mode.APPROVE and marked is None:
        return None
    would = _act(case)
    why = f"{marked.deployment_id} asks for approval" if marked else "This deployment group is in approve mode"
    return replace(
        would,
        action=Action.ASK_APPROVAL,
        reason=Reason.NEEDS_APPROVAL,
        deployment=None,
        needs_human=True,
        explanation=f"{why}. The plan: {would.explanation}",
    )


def _marked_for_approval(case: Case) -> Deployment | None:
    good = case.selection.good
    return next(
        (d for d in case.seen.history if d.needs_approval and (good is None or d.created_at > good.created_at)), None
    )


GUARDS: tuple[Guard, ...] = (
    Guard("Is nothing switched off or paused?", _kill_switch, (Reason.KILL_SWITCH, Reason.PAUSED)),
    Guard("Is the group's mode not off?", _mode_off, (Reason.MODE_OFF,)),
    Guard("Is the signal fresh?", _fresh, (Reason.STALE_SIGNAL,)),
    Guard(
        "Does CloudWatch itself say that the alarm is firing?",
        _confirmed,
        (Reason.ALARM_NOT_CONFIRMED, Reason.ALARM_SUPPRESSED, Reason.ALARM_RECOVERED),
    ),
    Guard("Does the deployment group exist?", _group_exists, (Reason.GROUP_NOT_FOUND,)),
    Guard(
        "Did a release change what is live, before the alarm and within the window?",
        _attributable,
        (Reason.NOT_ATTRIBUTABLE, Reason.NEWER_DEPLOYMENT, Reason.SUSPECT_IS_ROLLBACK, Reason.ALREADY_LIVE),
    ),
    Guard("Is it ours to move, not CloudFormation's?", _not_cloudformation, (Reason.MANAGED_BY_CLOUDFORMATION,)),
    Guard("Has nobody put the old revision back already?", _put_back_by_somebody, (Reason.ALREADY_LIVE,)),
    Guard("Was there no rollback a moment ago?", _cooled_down, (Reason.COOLDOWN, Reason.TOO_MANY_ROLLBACKS)),
    Guard("Are few enough groups in alarm for it to be one release?", _no_storm, (Reason.STORM,)),
    Guard(
        "Is there a good revision before it, above the floor, that can still be deployed?",
        _good_revision,
        (Reason.NO_GOOD_REVISION, Reason.BELOW_FLOOR, Reason.KNOWN_BAD),
    ),
    Guard("Is live what the history says?", _live_as_expected, (Reason.ALREADY_LIVE, Reason.LIVE_DIFFERS)),
    Guard("May it act, not only look?", _observe_only, (Reason.OBSERVE_MODE,)),
    Guard("Need nobody be asked first?", _needs_approval, (Reason.NEEDS_APPROVAL,)),
)
"""The guards, in the order in which they are tried. The first that objects decides."""


def _judge(case: Case) -> Decision:
    for guard in GUARDS:
        decision = guard.check(case)
        if decision is not None:
            return decision
    return _act(case)


def _act(case: Case) -> Decision:
    """The first step of a rollback that no guard refused."""
    adopt = case.attribution.adopt
    if adopt is not None:
        return _take_over(case, adopt)
    suspect, good = case.attribution.suspect, case.selection.good
    pinned = partial(Decision, suspects=case.attribution.suspects, good=good, candidates=case.selection.recorded)
    if suspect and suspect.active:
        native = _native_flip(case)
        if case.rollback.replaces and not native:
            return pinned(
                Action.PROCEED,
                Reason.SUSPECT_ACTIVE,
                f"{_subject(suspect)}. A stop would bring back what was before it, which is not what is wanted: "
                f"{_name(good)} is deployed in its place.",
            )
        how = _by_itself(case.rollback) if native else f"then {_name(good)} is deployed again"
        return pinned(
            Action.STOP,
            Reason.SUSPECT_ACTIVE,
            f"{_subject(suspect)}: it is stopped, {how}.",
            deployment=suspect,
            native=native,
        )
    if suspect and suspect.rollback_deployment_id:
        return pinned(
            Action.PROCEED,
            Reason.SUSPECT_STOPPED,
            f"{case.rollback.group.deployer} stopped {suspect.deployment_id} and started "
            f"{suspect.rollback_deployment_id}.",
        )
    succeeded = suspect is None or suspect.status == "Succeeded"
    return pinned(
        Action.PROCEED,
        Reason.SUSPECT_SUCCEEDED if succeeded else Reason.SUSPECT_STOPPED,
        f"{_subject(suspect)}: {_name(good)}, the last good revision, is deployed again.",
    )


def _by_itself(rollback: Rollback) -> str:
    if rollback.controller is Controller.ECS:
        return "ECS puts the revision before it back by itself"
    return "CodeDeploy flips the traffic back by itself"


def _take_over(case: Case, adopt: Deployment) -> Decision:
    found = Decision(
        Action.ADOPT,
        Reason.NATIVE_ROLLBACK,
        f"{adopt.deployment_id} is already rolling back to {_label(adopt)}: that is adopted and watched.",
        deployment=adopt,
        suspects=case.attribution.suspects,
        good=case.selection.good or adopt,
        candidates=case.selection.recorded,
    )
    if _adoptable(case):
        return found
    return replace(
        found,
        action=Action.PROCEED,
        deployment=None,
        explanation=f"{case.rollback.group.deployer} is rolling back to {_label(adopt)}, which is not acceptable; once "
        f"{adopt.deployment_id} has ended, {_name(case.selection.good)} is deployed.",
    )


def _native_flip(case: Case) -> bool:
    """CodeDeploy's own rollback is the quick way where it only moves traffic, if it goes where we would go."""
    group, good = case.seen.group, case.selection.good
    if group is None or good is None or not case.policy.native_rollback or case.rollback.to_deployment_id:
        return False
    moves_traffic = group.blue_green or group.compute_platform is not ComputePlatform.SERVER
    last = next((d for d in case.seen.history if d.deployment_id == group.last_successful_id), None)
    return moves_traffic and last is not None and last.revision.identity == good.revision.identity


def _await_approval(case: Case) -> Decision:
    rollback = case.rollback
    if rollback.rejected_by:
        return case.refuse(Reason.APPROVAL_REJECTED, f"{rollback.rejected_by} rejected it.")
    if rollback.approved_by:
        return _judge(replace(case, approved=True))
    if case.now - rollback.opened_at > case.policy.approval_expiry:
        return case.refuse(
            Reason.APPROVAL_EXPIRED,
            f"Nobody approved it within {duration(case.policy.approval_expiry)}.",
            needs_human=True,
        )
    return Decision(Action.WAIT, Reason.NEEDS_APPROVAL, "It waits for somebody to approve or reject it.")


# --- after the stop ---------------------------------------------------------------------------------------------------


def _unless_held(rollback: Rollback, seen: Observation, policy: Policy, now: datetime, next_step: Decision) -> Decision:
    """A kill switch or a pause also holds what is under way: nothing more is done until it is lifted."""
    if next_step.action not in _EFFECTS:
        return next_step
    pauses = [p for p in (seen.controls.pause_all, seen.controls.pause_group) if p and p.holds(now)]
    if policy.kill_switch:
        return _wait("LASTGOOD_KILL_SWITCH is on: the rollback under way is held.")
    if pauses and not rollback.force:
        return _wait(f"{pauses[0].requested_by} paused rollbacks: {pauses[0].reason}")
    return next_step


def _wait(explanation: str) -> Decision:
    return Decision(Action.WAIT, Reason.IN_PROGRESS, explanation)


def _fail(reason: Reason, explanation: str) -> Decision:
    return Decision(Action.CLOSE, reason, explanation, Outcome.FAILED, needs_human=True)


def _block(reason: Reason, explanation: str) -> Decision:
    return Decision(Action.CLOSE, reason, explanation, Outcome.BLOCKED, needs_human=True)


def _after_stop(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    suspect = seen.suspect
    if suspect is not None and suspect.active and not rollback.replaces:
        return _still_active(rollback, suspect, policy, now)
    if not rollback.good_deployment_id:
        return Decision(
            Action.CLOSE,
            rollback.reason_code or Reason.NO_GOOD_REVISION,
            rollback.explanation,
            Outcome.BLOCKED,
            needs_human=True,
        )
    native = seen.rollback
    if native is not None and native.revision.identity == rollback.good_revision:
        return _adopt(rollback, native)
    if now - rollback.opened_at > policy.deadline:
        return _fail(Reason.DEADLINE_PASSED, f"The redeployment could not start within {duration(policy.deadline)}.")
    if native is not None and native.active:
        return _wait(
            f"{rollback.group.deployer}'s rollback {native.deployment_id} goes elsewhere; it has to end first."
        )
    if _native_may_come(rollback, suspect, native, policy, now):
        return _wait(f"The deployment is stopped; {rollback.group.deployer}'s own rollback has not shown up yet.")
    return _clear_way(rollback, seen, policy, now)


def _still_active(rollback: Rollback, suspect: Deployment, policy: Policy, now: datetime) -> Decision:
    if now - rollback.opened_at > policy.deadline:
        return _fail(
            Reason.DEADLINE_PASSED,
            f"{suspect.deployment_id} is still {suspect.status}, {duration(policy.deadline)} after the rollback began.",
        )
    asked = rollback.stop_requested_at
    if asked is not None and now - asked < STOP_AGAIN_AFTER:
        return _wait(f"{suspect.deployment_id} is stopping.")
    again = Decision(
        Action.STOP,
        Reason.SUSPECT_ACTIVE,
        f"{suspect.deployment_id} is {suspect.status}, so it is (again) asked to stop.",
        deployment=suspect,
        native=rollback.native_rollback_asked,
    )
    if rollback.good_deployment_id:
        return again
    # Why nothing can go back stays the record's reason until it is closed.
    return replace(again, reason=rollback.reason_code or again.reason, explanation=rollback.explanation)


def _native_may_come(
    rollback: Rollback, suspect: Deployment | None, native: Deployment | None, policy: Policy, now: datetime
) -> bool:
    if not rollback.native_rollback_asked or native is not None:
        return False
    if suspect is None or suspect.status != "Stopped" or rollback.stop_requested_at is None:
        return False
    return now - rollback.stop_requested_at < policy.native_rollback_grace


def _adopt(rollback: Rollback, deployment: Deployment) -> Decision:
    return Decision(
        Action.ADOPT,
        Reason.NATIVE_ROLLBACK,
        f"{rollback.group.deployer}'s own rollback {deployment.deployment_id} to {_label(deployment)} is adopted and "
        "watched.",
        deployment=deployment,
    )


def _found(deployment: Deployment) -> Decision:
    return Decision(
        Action.ADOPT,
        Reason.IN_PROGRESS,
        f"{deployment.deployment_id} carries this rollback's marker: it was created, though no answer came.",
        deployment=deployment,
    )


def _redeploy(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    if seen.rollback is not None:
        return _found(seen.rollback)
    if now - rollback.opened_at > policy.deadline:
        return _fail(Reason.DEADLINE_PASSED, f"The redeployment could not start within {duration(policy.deadline)}.")
    attempted = rollback.create_attempted_at
    if attempted is not None and now - attempted < policy.create_settle:
        return _wait(
            "Whether the redeployment was created is not known yet; it is looked for before anything is tried."
        )
    return _clear_way(rollback, seen, policy, now)


def _clear_way(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Nobody else may have come to the group since: what they released, running or done, may be the fix."""
    newest = seen.newest
    if newest is None:
        return _put_back(rollback, seen)
    if newest.rollback_id == rollback.rollback_id:
        return _found(newest)
    if newest.active and newest.deployment_id == rollback.suspect_deployment_id:
        if rollback.replaces:
            return _put_back(rollback, seen)
        return _still_active(rollback, newest, policy, now)
    if newest.creator == NATIVE_ROLLBACK_CREATOR and newest.revision.identity == rollback.good_revision:
        return _adopt(rollback, newest)
    if _released_since(rollback, newest):
        return _block(
            Reason.OTHER_DEPLOYMENT,
            f"{newest.deployment_id} ({_label(newest)}) came meanwhile and is {newest.status}. It may be the fix, so "
            "it is left alone.",
        )
    if newest.active:
        return _wait(f"{newest.deployment_id} ({_label(newest)}) occupies the deployment group; it has to end first.")
    return _put_back(rollback, seen)


def _released_since(rollback: Rollback, newest: Deployment) -> bool:
    """Somebody meant to change what is live after the signal. What was there before it, the guards have judged."""
    changes = newest.active or newest.created_at > (rollback.alarm_changed_at or rollback.signal_at)
    return changes and newest.is_release and newest.deployment_id != rollback.suspect_deployment_id


def _put_back(rollback: Rollback, seen: Observation) -> Decision:
    objection = _objection(rollback, seen)
    if objection is not None:
        return objection
    todo = seen.preparation
    if todo.problem:
        return _fail(Reason.REDEPLOY_REFUSED, f"{rollback.good_revision} cannot be deployed any more: {todo.problem}")
    if todo.alias_split:
        return Decision(
            Action.CLEAR_ALIAS,
            Reason.IN_PROGRESS,
            "The alias still sends traffic to two versions; it is cleared, or every later deployment would fail.",
        )
    if _there_already(rollback, seen):
        return Decision(
            Action.CLOSE,
            Reason.VERIFIED,
            f"{rollback.good_revision} is live again; nothing had to be redeployed.",
            Outcome.ROLLED_BACK,
        )
    if todo.register_task_definition:
        return Decision(
            Action.REGISTER_TASK_DEFINITION,
            Reason.IN_PROGRESS,
            f"{todo.register_task_definition} is INACTIVE; it is registered again unchanged.",
        )
    return Decision(
        Action.CREATE,
        Reason.IN_PROGRESS,
        f"{rollback.good_revision}, deployed by {rollback.good_deployment_id}, is deployed again.",
    )


def _objection(rollback: Rollback, seen: Observation) -> Decision | None:
    """What an operator has said against the chosen revision since it was chosen."""
    if rollback.force and rollback.to_deployment_id:
        return None
    identity, floor = rollback.good_revision, seen.controls.floor
    if identity in seen.controls.known_bad:
        return _block(Reason.KNOWN_BAD, f"{identity} is known bad by now: {seen.controls.known_bad[identity]}.")
    if floor and seen.good and seen.good.created_at < floor.created_at:
        return _block(
            Reason.BELOW_FLOOR,
            f"{seen.good.deployment_id} is older than the floor {floor.deployment_id} that was set meanwhile: "
            f"{floor.reason}. Fix forward, or revert the commit and release it.",
        )
    return None


def _there_already(rollback: Rollback, seen: Observation) -> bool:
    """Only for platforms whose live state can be read; servers may be half way."""
    return (
        seen.group is not None
        and seen.group.compute_platform is not ComputePlatform.SERVER
        and not seen.live.split
        and seen.live.identity == rollback.good_revision
    )


# --- proof ------------------------------------------------------------------------------------------------------------


def _verify(rollback: Rollback, seen: Observation, policy: Policy, now: datetime) -> Decision:
    running = seen.rollback
    if running is None:
        return _fail(
            Reason.ROLLBACK_DEPLOYMENT_FAILED,
            f"{rollback.group.deployer} no longer knows {rollback.rollback_deployment_id}.",
        )
    if running.active:
        return _still_running(rollback, running, seen, policy, now)
    if running.status != "Succeeded":
        return _fail(Reason.ROLLBACK_DEPLOYMENT_FAILED, _why_it_failed(running))
    return _prove_live(rollback, running, seen, now)


def _still_running(
    rollback: Rollback, running: Deployment, seen: Observation, policy: Policy, now: datetime
) -> Decision:
    if now - rollback.opened_at <= policy.deadline:
        return _wait(f"{running.deployment_id} is {running.status}.")
    # Mid-shift the old task set is still the primary one, and it may run the same task definition.
    if seen.live.deployment_id == running.deployment_id and seen.live.identity == _wanted(rollback):
        # ECS blue/green stays InProgress until the old task set is terminated, which may take two days.
        return Decision(
            Action.CLOSE,
            Reason.VERIFIED,
            f"{rollback.redeployed_revision} is live; {running.deployment_id} is only waiting to end.",
            Outcome.ROLLED_BACK,
        )
    return _fail(
        Reason.DEADLINE_PASSED, f"{running.deployment_id} is still {running.status} after {duration(policy.deadline)}."
    )


def _is_live(rollback: Rollback, seen: Observation) -> bool:
    return not seen.live.split and seen.live.identity == _wanted(rollback)


def _wanted(rollback: Rollback) -> str:
    return rollback.redeployed_revision or rollback.good_revision


def _prove_live(rollback: Rollback, running: Deployment, seen: Observation, now: datetime) -> Decision:
    wanted = _wanted(rollback)
    if _is_live(rollback, seen):
        gaps = running.instances_failed + running.instances_skipped
        note = f" {gaps} instances were failed or skipped: look at them." if gaps else ""
        return Decision(
            Action.CLOSE,
            Reason.VERIFIED,
            f"{running.deployment_id} succeeded and {wanted} is live.{note}",
            Outcome.ROLLED_BACK,
            needs_human=bool(gaps),
        )
    after = _attempted_after(running, seen)
    if after:
        return Decision(
            Action.CLOSE,
            Reason.OTHER_DEPLOYMENT,
            f"{running.deployment_id} succeeded. {after} came after it, so what is live now is "
            "no longer this rollback's doing.",
            Outcome.ROLLED_BACK,
        )
    ended = running.completed_at or now
    found = "two versions" if seen.live.split else seen.live.identity or "something that cannot be read"
    if now - ended < LIVE_GRACE:
        return _wait(f"{running.deployment_id} succeeded; live is still {found}.")
    return _fail(Reason.LIVE_DIFFERS, f"{running.deployment_id} succeeded, yet live is {found} and not {wanted}.")


def _attempted_after(running: Deployment, seen: Observation) -> str:
    attempted = seen.group.last_attempted_id if seen.group else ""
    return "" if attempted == running.deployment_id else attempted


_ADVICE = {
    "ALARM_ACTIVE": "an alarm of the deployment group stopped it; lastgood may not override alarms here",
    "INVALID_LAMBDA_CONFIGURATION": "the alias does not stand where the AppSpec says",
    "INVALID_LAMBDA_FUNCTION": "the Lambda version or its alias is gone",
    "ECS_UPDATE_ERROR": "ECS refused the task set; see whether the task definition is still active",
    "INVALID_ECS_SERVICE": "the ECS service is gone or has another deployment controller",
    "REVISION_MISSING": "the revision's bundle is gone from S3",
    "MISSING_GITHUB_TOKEN": "CodeDeploy lost its connection to GitHub",
    "HOOK_EXECUTION_FAILURE": "a validation function of the AppSpec failed",
    "HEALTH_CONSTRAINTS": "too few instances stayed healthy",
    "NO_INSTANCES": "the deployment group has no instances",
    "MANUAL_STOP": "somebody stopped it",
    "IAM_ROLE_PERMISSIONS": "the deployment group's service role lacks a permission",
}


def _why_it_failed(deployment: Deployment) -> str:
    advice = _ADVICE.get(deployment.error_code, deployment.error_message or "no reason is given").rstrip(".")
    code = f" ({deployment.error_code})" if deployment.error_code else ""
    return (
        f"The rollback deployment {deployment.deployment_id} is {deployment.status}{code}: {advice}. lastgood does not "
        "try a second time by itself."
    )


def _label(deployment: Deployment) -> str:
    return deployment.revision.label or deployment.revision.identity or "an unreadable revision"


def _name(deployment: Deployment | None) -> str:
    return f"{_label(deployment)} (from {deployment.deployment_id})" if deployment else "the last good revision"


def _subject(suspect: Deployment | None) -> str:
    if suspect is None:
        return "No deployment is running"
    return f"{suspect.deployment_id} ({_label(suspect)}) is {suspect.status}"
