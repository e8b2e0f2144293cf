"""The story of a rollback: claim → observe → decide → act → record, round and round until it must wait or is closed.

A rollback is opened once and advanced by whatever comes next: a retry, a CodeDeploy event, the sweep. Each effect has
its intent written before it; after a crash the next visit looks at AWS and goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never

from lastgood.alarms import Alarms
from lastgood.deployers.protocol import Deployer, DeployerFor
from lastgood.errors import (
    AmbiguousError,
    GroupBusyError,
    LastgoodError,
    LostLeaseError,
    RefusedError,
    RetryableError,
)
from lastgood.follow_ups import FollowUps, is_due, pinned, revert_command
from lastgood.judgement import Action, Decision, decide
from lastgood.ledger import LEASE_MARGIN, Kind, Ledger, Step
from lastgood.model import (
    NATIVE_ROLLBACK_CREATOR,
    Deployment,
    DeploymentGroup,
    FollowUp,
    GroupFacts,
    Live,
    Observation,
    Outcome,
    Phase,
    Reason,
    Rollback,
)
from lastgood.notices import Notices
from lastgood.observe import Observer
from lastgood.pipelines import Pipelines, commit_in
from lastgood.settings import Settings
from lastgood.telemetry import Telemetry
from lastgood.text import clean

NEXT_CHECK = timedelta(seconds=20)
RESERVE = timedelta(seconds=8)
"""No step begins with less time than this left: a call that is cut off leaves its effect unknown."""

GIVE_UP_AFTER = timedelta(minutes=30)
"""Past its deadline, a rollback whose visits all fail is given up after this long; one that can be decided is not."""

TELLING_ENDS_AFTER = timedelta(days=1)
"""A notice that nobody can hear is not tried for ever; the metric NoticeFailed has called people all the while."""

STOP_POLLS = (0.5, 1.0, 2.0)
"""A stop mostly takes effect within seconds; a longer one is left to the next event."""

LONGEST_EXPLANATION = 2_000
"""Characters of an explanation that are kept."""

CREATE_RETRIES = (1.0, 2.0, 4.0)
"""Pauses after a CreateDeployment without effect; the group is looked at again before the next one."""

THROTTLED_PAUSE = 0.5
"""A throttled CreateDeployment is sent once more after this, without a look: that costs calls too, which are short."""


@dataclass(frozen=True)
class Parts:
    """What outlives an invocation: made once, while the function initialises."""

    settings: Settings
    ledger: Ledger
    alarms: Alarms
    pipelines: Pipelines
    notices: Notices
    deployer_for: DeployerFor
    pool: ThreadPoolExecutor
    telemetry: Telemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], None]


def rollback_id(key: str, group: DeploymentGroup, at: datetime | None) -> str:
    """The id of the rollback that answers one transition of one alarm, or one request, for one deployment group.

    It follows from them alone, so every delivery of the same one finds the same record. With a time it sorts by it.
    """
    digest = hashlib.sha256(f"{key}|{group.key}".encode()).hexdigest()[:12]
    when = f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z" if at else "manual"
    return f"rb-{when}-{digest}"


class Rollbacks:
    """Opens and advances rollbacks for one invocation, whose `owner` holds leases until `deadline`."""

    def __init__(self, parts: Parts, owner: str, deadline: datetime) -> None:
        self._parts = parts
        self._owner = owner
        self._deadline = deadline

    def open(self, rollback: Rollback, key: str) -> Rollback:
        """Open a rollback and go as far as it can; a repeated message takes up the rollback that it opened.

        If another rollback holds the deployment group, that one is returned and the message noted with it.
        """
        ledger, now = self._parts.ledger, self._parts.clock()
        until = self._deadline + LEASE_MARGIN
        rollback = pinned(rollback, self._parts.settings)
        leased = replace(rollback, lease_owner=self._owner, lease_until=until, step_count=1)
        step = Step(Kind.NOTE, "OPEN", _why_opened(rollback), now)
        claim = ledger.open(leased, step, counts_for_storm=bool(rollback.alarm_name))
        match claim.kind:
            case "opened":
                return self._advance(leased)
            case "duplicate":
                return self.resume(rollback.rollback_id) or rollback
            case _:
                about = {"alarm_name": rollback.alarm_name, "trigger_kind": str(rollback.trigger_kind)}
                ledger.join(claim.rollback_id, key, about, now)
                return ledger.load(claim.rollback_id) or rollback

    def resume(self, rollback_id: str) -> Rollback | None:
        """Advance a rollback if nobody else is at it; either way, return it as it stands. None: there is none."""
        now = self._parts.clock()
        leased = self._parts.ledger.lease(rollback_id, self._owner, self._deadline, now)
        if leased is None:
            return self._parts.ledger.load(rollback_id)
        return self._advance(leased)

    def record(self, rollback: Rollback, reason: Reason, explanation: str) -> Rollback:
        """Record a signal that cannot open a rollback, so that it is neither lost nor silent."""
        now = self._parts.clock()
        closed = replace(
            rollback,
            phase=Phase.CLOSED,
            outcome=Outcome.SKIPPED,
            reason_code=reason,
            explanation=explanation,
            needs_human=True,
            closed_at=now,
            step_count=1,
        )
        self._parts.ledger.record(closed, Step(Kind.NOTE, "RECORD", explanation, now))
        self._parts.telemetry.closed(closed)
        leased = self._parts.ledger.lease(rollback.rollback_id, self._owner, self._deadline, now)
        return self._advance(leased) if leased else closed

    def answer(self, rollback_id: str, note: str, **changes: Any) -> Rollback | None:
        """Write an operator's answer to a waiting rollback, and go on. None if somebody else is at it right now."""
        now = self._parts.clock()
        leased = self._parts.ledger.lease(rollback_id, self._owner, self._deadline, now)
        if leased is None:
            return None
        step = Step(Kind.NOTE, "ANSWER", note, now)
        return self._advance(self._parts.ledger.write(leased, replace(leased, **changes), [step]))

    def release_stage(self, rollback_id: str, requested_by: str, note: str) -> Rollback | None:
        """An operator wants the stage open that a rollback holds. None if somebody else is at it right now."""
        now = self._parts.clock()
        leased = self._parts.ledger.lease(rollback_id, self._owner, self._deadline, now)
        if leased is None:
            return None
        asked = replace(
            leased,
            release_requested_by=requested_by,
            held_at=leased.held_at or now,
            # It may have been given up before.
            followed_up=tuple(each for each in leased.followed_up if each != FollowUp.RELEASE),
            follow_up_at=None,
        )
        return self._advance(self._parts.ledger.write(leased, asked, [Step(Kind.NOTE, "RELEASE", note, now)]))

    def alarm_recovered(self, rollback_id: str, at: datetime) -> Rollback | None:
        """The alarm that opened this rollback is OK again. Noted once, also beside whoever is at the rollback."""
        ledger = self._parts.ledger
        leased = ledger.lease(rollback_id, self._owner, self._deadline, self._parts.clock())
        if leased is None:
            held = ledger.load(rollback_id)
            if held is not None:
                ledger.note_recovery(held, at)
            return held
        steps = []
        if leased.alarm_recovered_at is None:
            steps = [Step(Kind.NOTE, "ALARM_RECOVERED", f"The alarm {leased.alarm_name} is OK again.", at)]
            self._parts.telemetry.recovered(replace(leased, alarm_recovered_at=at))
        after = replace(leased, alarm_recovered_at=leased.alarm_recovered_at or at, lease_owner="", lease_until=None)
        return ledger.write(leased, after, steps)

    def not_recovered(self, rollback_id: str) -> None:
        """The alarm still fires though the rollback is long live: say so. Raises RetryableError if it is taken."""
        now = self._parts.clock()
        leased = self._parts.ledger.lease(rollback_id, self._owner, self._deadline, now)
        if leased is None:
            raise RetryableError(f"{rollback_id} is being advanced by another invocation")
        step = Step(
            Kind.NOTE, "NOT_RECOVERED", f"The alarm {leased.alarm_name} still fires: this did not heal it.", now
        )
        after = replace(leased, not_recovered_at=leased.not_recovered_at or now, needs_human=True)
        self._advance(self._parts.ledger.write(leased, after, [step], next_check_at=now + NEXT_CHECK))

    def _advance(self, rollback: Rollback) -> Rollback:
        visit = Visit(self._parts, rollback, self._deadline)
        try:
            visit.run()
        except LostLeaseError:
            return self._parts.ledger.load(rollback.rollback_id) or rollback
        except Exception as error:
            if not visit.give_up(error):
                visit.release()
                raise
        visit.tell()
        return self._follow_up(visit.rollback)

    def _follow_up(self, rollback: Rollback) -> Rollback:
        """What is due for the pipeline, when the rollback itself is seen to and told. It can fail nothing."""
        parts, now = self._parts, self._parts.clock()
        if not is_due(rollback, now):
            return rollback
        try:
            leased = parts.ledger.lease(rollback.rollback_id, self._owner, self._deadline, now)
            if leased is None:
                return rollback
            following = FollowUps(parts, leased, self._deadline)
            following.run()
        except LastgoodError as error:
            parts.telemetry.failed("follow_up", error, rollback_id=rollback.rollback_id)
            return rollback
        visit = Visit(parts, following.rollback, self._deadline)
        visit.tell()
        return visit.rollback


class Visit:
    """One invocation's turn at one rollback: `rollback` is how it stands, `_written` what the table holds."""

    def __init__(self, parts: Parts, rollback: Rollback, deadline: datetime) -> None:
        self.rollback = rollback
        self._parts = parts
        self._deadline = deadline
        self._written = rollback
        self._steps: list[Step] = []
        self._policy = parts.settings.policy()
        self._observer = Observer(parts.ledger, parts.alarms, parts.deployer_for, parts.pool)
        self._seen: Observation | None = None
        self._stop_polls = iter(STOP_POLLS)
        self._create_retries = iter(CREATE_RETRIES)

    def run(self) -> None:
        """Observe, decide, act, record, until the rollback must wait or is closed."""
        while self.rollback.open:
            self._enough_time()
            try:
                looked = self._observer.look(self.rollback, self._policy, self._parts.clock(), self._seen)
            except RefusedError as error:
                self._refused(Reason.READ_REFUSED, error)
                return
            self._seen, self._policy = looked
            self._note_what_was_seen(self._seen)
            decision = _readable(decide(self.rollback, self._seen, self._policy, self._parts.clock()))
            self._parts.telemetry.decided(self.rollback, decision)
            if decision.action is Action.WAIT:
                if self._wait_a_little():
                    continue
                self._save(next_check_at=self._parts.clock() + NEXT_CHECK, release=True)
                return
            self._perform(decision, self._seen)
            if self._has_just_begun(decision):
                self._save(next_check_at=self._parts.clock() + NEXT_CHECK, release=True)
                return

    def tell(self) -> None:
        """Send the notices that the record calls for. What fails is sent by the sweep."""
        for kind in self.rollback.notices_due:
            self._change(notified=(*self.rollback.notified, *self._told(kind)))
        if self.rollback.notified != self._written.notified or self.rollback.lease_owner:
            try:
                self._save(release=True)
            except LostLeaseError:
                return

    def _told(self, kind: str) -> tuple[str, ...]:
        """Send one notice. Returns what is to be kept of that: the kind when all heard it, else who did.

        Whoever heard it is not told again because somebody else cannot hear.
        """
        heard = {mark.partition("@")[2] for mark in self.rollback.notified if mark.startswith(f"{kind}@")}
        told = self._parts.notices.tell(self.rollback, kind, heard)
        problems = [problem for problem in told.values() if problem]
        if not problems:
            return (kind,)
        self._parts.telemetry.notice_failed(self.rollback, kind, problems)
        closed, now = self.rollback.closed_at, self._parts.clock()
        if closed and now - closed > TELLING_ENDS_AFTER:
            why = f"The notice {kind} could not be sent for a day: {'; '.join(problems)}"
            self._steps.append(Step(Kind.NOTE, "NOTICE_GIVEN_UP", clean(why, LONGEST_EXPLANATION), now))
            return (kind,)
        return tuple(f"{kind}@{channel}" for channel, problem in told.items() if not problem)

    def release(self) -> None:
        """Give the lease back after an error, so that the retry need not wait for it to end."""
        try:
            self.rollback = self._written
            self._steps = []
            self._save(next_check_at=self._parts.clock(), release=True)
        except LastgoodError:
            return

    def give_up(self, error: Exception) -> bool:
        """Close what fails at every visit until long after its deadline: it must not hold the group for ever."""
        overdue = self._parts.clock() - self.rollback.opened_at > self._policy.deadline + GIVE_UP_AFTER
        if not overdue or not self._written.open:
            return False
        self.rollback, self._steps = self._written, []
        why = f"Every visit failed until long after the deadline, at last with {type(error).__name__}: {error}"
        self._close(Decision(Action.CLOSE, Reason.DEADLINE_PASSED, why, Outcome.FAILED, needs_human=True))
        return True

    # --- acting -------------------------------------------------------------------------------------------------------

    def _perform(self, decision: Decision, seen: Observation) -> None:
        self._change(
            reason_code=decision.reason,
            explanation=decision.explanation,
            needs_human=decision.needs_human,
            **_pins(decision),
        )
        match decision.action:
            case Action.STOP:
                self._stop(decision, seen)
            case Action.PROCEED:
                self._step(Kind.DECISION, decision)
                self._change(phase=Phase.STOPPING)
            case Action.ADOPT:
                self._adopt(decision)
            case Action.CLEAR_ALIAS:
                self._clear_alias(decision, seen)
            case Action.REGISTER_TASK_DEFINITION:
                self._register(decision, seen)
            case Action.CREATE:
                self._create(decision, seen)
            case Action.ASK_APPROVAL:
                self._step(Kind.DECISION, decision)
                self._change(phase=Phase.AWAITING_APPROVAL)
            case Action.CLOSE:
                self._close(decision)
            case Action.WAIT:
                return
            case _:
                assert_never(decision.action)

    def _stop(self, decision: Decision, seen: Observation) -> None:
        suspect = decision.deployment
        if suspect is None:
            return
        now = self._parts.clock()
        self._step(Kind.INTENT, decision, suspect.deployment_id)
        self._change(phase=Phase.STOPPING, stop_requested_at=now, native_rollback_asked=decision.native)
        self._save()
        try:
            answer = self._deployer().stop(suspect.deployment_id, native=decision.native)
        except RefusedError as error:
            self._refused(Reason.STOP_REFUSED, error)
            return
        self._result(Action.STOP, f"{self.rollback.group.deployer} answers {answer}.", suspect.deployment_id)
        if answer == "Succeeded" and not decision.native:
            self._seen = _with_stopped(seen, suspect, self._parts.clock())

    def _adopt(self, decision: Decision) -> None:
        found = decision.deployment
        if found is None:
            return
        self._step(Kind.DECISION, decision, found.deployment_id)
        self._change(
            phase=Phase.VERIFYING,
            rollback_deployment_id=found.deployment_id,
            redeployed_at=found.created_at,
            redeployed_revision=self.rollback.redeployed_revision or found.revision.identity,
            adopted=found.creator == NATIVE_ROLLBACK_CREATOR,
        )

    def _clear_alias(self, decision: Decision, seen: Observation) -> None:
        if seen.good is None:
            return
        self._step(Kind.INTENT, decision)
        self._change(phase=Phase.REDEPLOYING)
        self._save()
        try:
            self._deployer().clear_alias(seen.good.revision)
        except RefusedError as error:
            if error.code == "PreconditionFailedException":
                self._result(Action.CLEAR_ALIAS, "Somebody changed the alias meanwhile; it is read again.")
                return
            self._refused(Reason.REDEPLOY_REFUSED, error)
            return
        self._result(Action.CLEAR_ALIAS, "All traffic goes to the alias's own version.")

    def _register(self, decision: Decision, seen: Observation) -> None:
        if seen.good is None:
            return
        self._step(Kind.INTENT, decision)
        self._change(phase=Phase.REDEPLOYING)
        self._save()
        try:
            arn = self._deployer().register(seen.good.revision)
        except RefusedError as error:
            self._refused(Reason.REDEPLOY_REFUSED, error)
            return
        self._change(redeployed_revision=arn)
        self._result(Action.REGISTER_TASK_DEFINITION, f"It is {arn} now.")

    def _create(self, decision: Decision, seen: Observation) -> None:
        if seen.good is None or seen.group is None:
            return
        now = self._parts.clock()
        self._step(Kind.INTENT, decision)
        self._change(phase=Phase.REDEPLOYING, create_attempted_at=now)
        self._save()
        try:
            made = self._created(seen.group, seen.good, seen.live)
        except AmbiguousError as error:
            # The marker is looked for at the next visit, before anything is created again.
            self._result(Action.CREATE, f"No usable answer came: {error}")
        except GroupBusyError as error:
            self._not_created(f"The deployment group is occupied: {error.message}")
        except RefusedError as error:
            self._change(create_attempted_at=None)
            self._refused(Reason.REDEPLOY_REFUSED, error)
        except RetryableError as error:
            self._not_created(str(error))
        else:
            self._change(
                phase=Phase.VERIFYING,
                rollback_deployment_id=made,
                redeployed_at=self._parts.clock(),
                redeployed_revision=self.rollback.redeployed_revision or self.rollback.good_revision,
            )
            self._result(Action.CREATE, f"{made} is created.", made)

    def _created(self, group: GroupFacts, good: Deployment, live: Live) -> str:
        create = partial(self._deployer().create, self.rollback, group, good.revision, live)
        try:
            return create()
        except AmbiguousError:
            raise
        except RetryableError:
            self._parts.wait(THROTTLED_PAUSE)
            return create()

    def _not_created(self, why: str) -> None:
        """The call had no effect for sure, so trying again soon is safe."""
        self._change(create_attempted_at=None)
        self._result(Action.CREATE, why)
        pause = next(self._create_retries, None)
        if pause is None:
            self._save()
            raise RetryableError(why)
        self._parts.wait(pause)

    def _refused(self, reason: Reason, error: RefusedError) -> None:
        """AWS said no for good: people have to act, and the record says what AWS said."""
        reason = Reason.PERMISSION_DENIED if error.permission_denied else reason
        self._close(_readable(Decision(Action.CLOSE, reason, str(error), Outcome.FAILED, needs_human=True)))

    def _close(self, decision: Decision) -> None:
        now = self._parts.clock()
        self._step(Kind.DECISION, decision)
        rolled_back = decision.outcome is Outcome.ROLLED_BACK
        self._change(
            phase=Phase.CLOSED,
            outcome=decision.outcome,
            reason_code=decision.reason,
            explanation=decision.explanation,
            needs_human=decision.needs_human,
            closed_at=now,
            **({"verified_at": now} if decision.reason is Reason.VERIFIED else {}),
        )
        watch = now + self._policy.recovery_window if rolled_back and self.rollback.alarm_name else None
        if decision.reason is Reason.STORM and not self._tells_of_storm(now):
            self._change(notified=(*self.rollback.notified, "closed"))
        extra = self._parts.ledger.closing(
            self.rollback, acted=_acted(self.rollback), watch_until=watch, pauses_group=decision.pauses_group
        )
        self._save(next_check_at=now + NEXT_CHECK, extra=extra)
        self._parts.telemetry.closed(self.rollback)

    def _tells_of_storm(self, now: datetime) -> bool:
        return self._parts.ledger.tells_of_storm(self.rollback.rollback_id, now, self._policy.storm_window)

    # --- recording ----------------------------------------------------------------------------------------------------

    def _change(self, **changes: Any) -> None:
        self.rollback = replace(self.rollback, **changes)

    def _step(self, kind: Kind, decision: Decision, deployment_id: str = "") -> None:
        now = self._parts.clock()
        self._steps.append(Step(kind, str(decision.action), decision.explanation, now, deployment_id))

    def _result(self, action: Action, text: str, deployment_id: str = "") -> None:
        told = clean(text, LONGEST_EXPLANATION)
        self._steps.append(Step(Kind.RESULT, str(action), told, self._parts.clock(), deployment_id))

    def _save(
        self, *, next_check_at: datetime | None = None, release: bool = False, extra: list[dict[str, Any]] | None = None
    ) -> None:
        if release:
            self._change(lease_owner="", lease_until=None)
        self.rollback = self._parts.ledger.write(
            self._written, self.rollback, self._steps, next_check_at=next_check_at, extra=extra or ()
        )
        self._written, self._steps = self.rollback, []

    def _note_what_was_seen(self, seen: Observation) -> None:
        if seen.group is not None and self.rollback.compute_platform is None:
            self._change(compute_platform=seen.group.compute_platform)
        suspect = seen.suspect
        if suspect is None or suspect.active or self.rollback.stopped_at is not None:
            return
        if self.rollback.stop_requested_at is not None or suspect.status == "Stopped":
            self._change(stopped_at=suspect.completed_at or self._parts.clock())

    def _has_just_begun(self, decision: Decision) -> bool:
        """What was created or adopted a moment ago is not over yet, and people take longer still: no need to look."""
        if decision.action is Action.ADOPT and decision.deployment:
            return decision.deployment.active
        just_created = decision.action is Action.CREATE and self.rollback.phase is Phase.VERIFYING
        return just_created or decision.action is Action.ASK_APPROVAL

    def _wait_a_little(self) -> bool:
        """A stop is about to take effect: look again in a moment instead of waiting for the next event."""
        newest = self._seen.newest if self._seen else None
        stops_still = newest is not None and newest.deployment_id == self.rollback.suspect_deployment_id
        if self.rollback.phase is not Phase.STOPPING and not stops_still:
            return False
        pause = next(self._stop_polls, None)
        if pause is None:
            return False
        self._parts.wait(pause)
        return True

    def _enough_time(self) -> None:
        if self._deadline - self._parts.clock() < RESERVE:
            raise RetryableError("the invocation's time is nearly over; the next one goes on from here")

    def _deployer(self) -> Deployer:
        return self._parts.deployer_for(self.rollback.group, self.rollback.compute_platform)


def _with_stopped(seen: Observation, suspect: Deployment, now: datetime) -> Observation:
    """What was seen, with a deployment that CodeDeploy says it has stopped: it need not be asked for that again.

    Should CodeDeploy have begun a rollback of its own all the same, it refuses ours, for the group is taken then.
    """
    stopped = replace(suspect, status="Stopped", completed_at=now)
    return replace(
        seen, history=tuple(stopped if d.deployment_id == stopped.deployment_id else d for d in seen.history)
    )


def _readable(decision: Decision) -> Decision:
    """Names of revisions and AWS's own messages are strangers' text: made harmless before they are kept anywhere."""
    candidates = tuple(replace(c, explanation=clean(c.explanation, LONGEST_EXPLANATION)) for c in decision.candidates)
    return replace(decision, explanation=clean(decision.explanation, LONGEST_EXPLANATION), candidates=candidates)


def _pins(decision: Decision) -> dict[str, Any]:
    """Who is blamed and what goes back are fixed with the first decision; later steps do not choose again."""
    pins: dict[str, Any] = {}
    if decision.suspects:
        pins["suspect_deployment_id"] = decision.suspects[0].deployment_id
        pins["suspect_revision"] = decision.suspects[0].revision.identity
        pins["suspect_commit"] = commit_in(decision.suspects[0].revision.commit)
        pins["revert_command"] = revert_command(pins["suspect_commit"])
        pins["suspect_created_at"] = decision.suspects[-1].created_at
        pins["suspect_revisions"] = tuple(dict.fromkeys(s.revision.identity for s in decision.suspects))
    if decision.good:
        pins["good_deployment_id"] = decision.good.deployment_id
        pins["good_revision"] = decision.good.revision.identity
        pins["good_commit"] = commit_in(decision.good.revision.commit)
    if decision.candidates:
        pins["candidates"] = decision.candidates
    return pins


def _acted(rollback: Rollback) -> bool:
    """Something was stopped, created or adopted: such rollbacks count for the cooldown and the limits."""
    touched = rollback.stop_requested_at or rollback.rollback_deployment_id or rollback.create_attempted_at
    return bool(touched) and rollback.outcome in {Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.BLOCKED}


def _why_opened(rollback: Rollback) -> str:
    if rollback.alarm_name:
        return f"The alarm {rollback.alarm_name} went into ALARM."
    return f"{rollback.requested_by} asked for it: {rollback.request_reason}"
