"""What a rollback does to AWS: each act has its intent written before it and its result after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, assert_never

from lastgood.deployers.protocol import Deployer
from lastgood.draft import Draft
from lastgood.errors import AmbiguousError, GroupBusyError, PassingError, RefusedError, RetryableError
from lastgood.judgement.onset import evaluation_of, onset_attributes, onset_of
from lastgood.judgement.release_sets import release_of
from lastgood.judgement.stacks import command_for, debt
from lastgood.judgement.steps import (
    Action,
    Adopt,
    AskApproval,
    CancelUpdate,
    ClearAlias,
    Close,
    Create,
    Decision,
    LetGoOn,
    Proceed,
    RegisterTaskDefinition,
    Stop,
    TakeOver,
    Wait,
    block,
)
from lastgood.ledger import Kind
from lastgood.model import Deployment, Observation, Phase, Reason
from lastgood.parts import Parts
from lastgood.rollbacks.cancelling import cancel_update
from lastgood.rollbacks.choosing import chosen_by
from lastgood.rollbacks.closing import LONGEST_EXPLANATION, Closing
from lastgood.rollbacks.delays import Delays
from lastgood.text import clean

POLLS = (0.5, 1.0, 2.0)
"""Seconds between looks: a stop mostly takes effect within seconds, and CloudWatch soon knows what it has sent. What
takes longer is left to the next event."""

RETRIES = (1.0, 2.0, 4.0)
"""Seconds to pause after an act that had no effect; everything is read again before the next attempt."""

THROTTLED_PAUSE = 0.5
"""Seconds after which a throttled CreateDeployment is sent once more without a look, which would cost calls too."""


class Acts:
    """The acts of one invocation on the rollback of a draft."""

    def __init__(self, parts: Parts, draft: Draft, closing: Closing) -> None:
        self._parts = parts
        self._draft = draft
        self._closing = closing
        self._polls = iter(POLLS)
        self._retries = iter(RETRIES)
        self._delays = Delays(draft, parts.clock)
        self._put_off = False

    def perform(self, decision: Decision, seen: Observation) -> Observation:  # noqa: C901, PLR0912 - a case for each step
        """Do what was decided. Returns what was seen, with what the act is known to have changed."""
        if isinstance(decision, Wait):
            return seen
        self._draft.change(
            reason_code=decision.reason,
            explanation=decision.explanation,
            people=decision.calls_people,
            **chosen_by(decision, self._draft.rollback.group.deployer, seen.origin),
        )
        match decision:
            case Stop():
                return self._stop(decision, seen)
            case Proceed():
                self._step(Kind.DECISION, decision)
                self._draft.change(phase=Phase.STOPPING)
            case Adopt():
                self._adopt(decision)
            case TakeOver():
                self._take_over(decision)
            case ClearAlias():
                self._clear_alias(decision)
            case RegisterTaskDefinition():
                self._register(decision)
            case Create():
                self._create(decision)
            case LetGoOn():
                self._let_go_on(decision)
            case CancelUpdate():
                cancel_update(self._parts, self._draft, self._closing, decision)
            case AskApproval():
                self._step(Kind.DECISION, decision)
                self._draft.change(phase=Phase.AWAITING_APPROVAL)
            case Close():
                self._closing.close(decision)
            case _:
                assert_never(decision)
        return seen

    def _stop(self, decision: Stop, seen: Observation) -> Observation:
        suspect = decision.deployment
        now = self._parts.clock()
        self._step(Kind.INTENT, decision, suspect.deployment_id)
        self._draft.change(phase=Phase.STOPPING, stop_requested_at=now, native_rollback_asked=decision.native)
        self._draft.save()
        try:
            answer = self._deployer().stop(suspect, native=decision.native)
        except RefusedError as error:
            self._not_stopped(decision, error)
            return seen
        self._draft.change(stop_answer=answer)
        self._result(Action.STOP, f"{self._draft.rollback.group.deployer} answers {answer}.", suspect.deployment_id)
        if answer == "Succeeded" and not decision.native:
            return _with_stopped(seen, suspect, self._parts.clock())
        return seen

    def _not_stopped(self, decision: Stop, error: RefusedError) -> None:
        """Close after AWS refused the stop. What CloudFormation's blue/green hook deploys can never be stopped here."""
        suspect = decision.deployment
        if suspect.stack and error.code == "UnsupportedActionForDeploymentTypeException":
            why = f"{suspect.deployment_id} cannot be stopped here, for a stack made it: roll back {suspect.stack}."
            return self._closing.close(block(Reason.MANAGED_BY_CLOUDFORMATION, why))
        self._closing.refused(Reason.STOP_REFUSED, error)

    def _adopt(self, decision: Adopt) -> None:
        deployment = decision.deployment
        self._step(Kind.DECISION, decision, deployment.deployment_id)
        self._delays.over()
        self._draft.change(
            phase=Phase.VERIFYING,
            rollback_deployment_id=deployment.deployment_id,
            redeployed_at=deployment.created_at,
            redeployed_revision=self._draft.rollback.progress.redeployed_revision or deployment.revision.identity,
            adopted=not (decision.ours or deployment.made_by),
            stack_debt=debt(self._draft.rollback) if decision.ours else "",
        )

    def _take_over(self, decision: TakeOver) -> None:
        """Go on after an adopted rollback that put nothing back: from the stop, if we made one, else from the start."""
        self._step(Kind.DECISION, decision, decision.deployment.deployment_id)
        begun = self._draft.rollback.progress.stop_requested_at is not None
        self._draft.change(
            phase=Phase.STOPPING if begun else Phase.CLAIMED,
            rollback_deployment_id="",
            redeployed_at=None,
            redeployed_revision="",
            adopted=False,
        )

    def _clear_alias(self, decision: ClearAlias) -> None:
        self._intend(decision)
        try:
            self._deployer().do(decision.todo, decision.target.revision)
        except PassingError as error:
            return self._refused_for_now(Action.CLEAR_ALIAS, error)
        except RefusedError as error:
            if error.code == "PreconditionFailedException":
                self._result(Action.CLEAR_ALIAS, "Somebody changed the alias meanwhile; it is read again.")
                return
            self._closing.refused(Reason.REDEPLOY_REFUSED, error)
            return
        self._delays.over()
        self._result(Action.CLEAR_ALIAS, "All traffic goes to the alias's own version.")

    def _register(self, decision: RegisterTaskDefinition) -> None:
        self._intend(decision)
        try:
            arn = self._deployer().do(decision.todo, decision.target.revision)
        except PassingError as error:
            return self._refused_for_now(Action.REGISTER_TASK_DEFINITION, error)
        except RefusedError as error:
            self._closing.refused(Reason.REDEPLOY_REFUSED, error)
            return
        self._draft.change(redeployed_revision=arn)
        self._delays.over()
        self._result(Action.REGISTER_TASK_DEFINITION, f"It is {arn} now.")

    def _create(self, decision: Create) -> None:
        self._intend(decision, create_attempted_at=self._parts.clock())
        try:
            made = self._created(decision)
        except AmbiguousError as error:
            # The marker is looked for at the next visit, before anything is created again.
            self._result(Action.CREATE, f"No usable answer came: {error}")
        except (GroupBusyError, PassingError) as error:
            self._draft.change(create_attempted_at=None)
            self._refused_for_now(Action.CREATE, error)
        except RefusedError as error:
            self._draft.change(create_attempted_at=None)
            self._closing.refused(Reason.REDEPLOY_REFUSED, error)
        except RetryableError as error:
            self._not_created(str(error))
        else:
            self._draft.change(
                phase=Phase.VERIFYING,
                rollback_deployment_id=made,
                redeployed_at=self._parts.clock(),
                stack_debt=debt(self._draft.rollback),
                redeployed_revision=self._draft.rollback.progress.redeployed_revision
                or decision.target.revision.deployed_again_as
                or self._draft.rollback.choice.good_revision,
            )
            self._delays.over()
            self._result(Action.CREATE, f"{made} is created.", made)

    def _let_go_on(self, decision: LetGoOn) -> None:
        """Give the go-ahead. Giving it twice does no harm; the next look shows whether it was received."""
        if not self._delays.known:
            self._step(Kind.INTENT, decision, decision.deployment.deployment_id)
        self._draft.save()
        try:
            self._deployer().let_go_on(decision.deployment)
        except (RefusedError, PassingError) as error:
            return self._refused_for_now(Action.LET_GO_ON, error)
        except RetryableError as error:
            return self._result(Action.LET_GO_ON, str(error))
        self._delays.over()
        self._result(Action.LET_GO_ON, "It goes on.", decision.deployment.deployment_id)

    def _created(self, decision: Create) -> str:
        where = (decision.group, decision.target, decision.live, decision.instead_of)
        create = partial(self._deployer().create, self._draft.rollback, *where)
        try:
            return create()
        except (AmbiguousError, PassingError):
            raise
        except RetryableError:
            self._parts.wait(THROTTLED_PAUSE)
            return create()

    def _not_created(self, why: str) -> None:
        """The call certainly had no effect, so it is safe to try again soon."""
        self._draft.change(create_attempted_at=None)
        self._result(Action.CREATE, why)
        pause = next(self._retries, None)
        if pause is None:
            self._draft.save()
            raise RetryableError(why)
        self._parts.wait(pause)

    def _refused_for_now(self, action: Action, error: Exception) -> None:
        """A refusal that will pass: try again in a moment, then at later visits until the deadline."""
        why = clean(str(error), LONGEST_EXPLANATION)
        if not self._delays.known:
            self._result(action, why)
        self._delays.refused(why)
        pause = next(self._retries, None)
        self._put_off = pause is None
        if pause is not None:
            self._parts.wait(pause)

    # --- around the acts ----------------------------------------------------------------------------------------------

    def note_what_was_seen(self, seen: Observation) -> None:
        """Record what a look found out besides: the platform, the onset, the release, when the suspect had stopped."""
        if seen.alarm_read:
            evaluation = round(evaluation_of(self._draft.rollback, seen.alarm).total_seconds())
            self._draft.change(**onset_attributes(onset_of(self._draft.rollback, seen.alarm)))
            self._draft.change(evaluation_seconds=evaluation)
        if seen.origin is not None:
            self._draft.change(origin=seen.origin.kind, stack_status=seen.origin.status)
            if held_by := self._draft.rollback.choice.suspect_stack:
                self._draft.change(stack_command=command_for(held_by, seen.origin))
        ours = release_of(self._draft.rollback, seen)
        if len(ours.groups) > 1:
            self._draft.change(release_groups=tuple(sorted(ours.groups)), release_joined_by=ours.joined_by)
            self._draft.change(release_deployments=ours.deployments)
        if seen.group is not None and self._draft.rollback.compute_platform is None:
            self._draft.change(compute_platform=seen.group.compute_platform)
        suspect = seen.suspect
        if suspect is None or suspect.active or self._draft.rollback.progress.stopped_at is not None:
            return
        if self._draft.rollback.progress.stop_requested_at is not None or suspect.status == "Stopped":
            self._draft.change(stopped_at=suspect.completed_at or self._parts.clock())

    def must_wait(self, decision: Decision, seen: Observation) -> bool:
        """Whether this visit ends here; the next event, or the sweep, goes on."""
        if isinstance(decision, Wait):
            self._delays.waits(decision)
            return not self._wait_a_little(decision, seen)
        return self._put_off or self._has_just_begun(decision)

    def _has_just_begun(self, decision: Decision) -> bool:
        """A deployment just created or adopted has not ended yet, and people take longer still: no need to look."""
        match decision:
            case Adopt():
                return decision.deployment.active
            case Create():
                return self._draft.rollback.phase is Phase.VERIFYING
            case _:
                return isinstance(decision, AskApproval | LetGoOn | CancelUpdate)

    def _wait_a_little(self, decision: Wait, seen: Observation) -> bool:
        """Pause if a stop, or CloudWatch's answer, is about to change, so as to look again. False if it is no use."""
        newest = seen.newest
        stops_still = newest is not None and newest.deployment_id == self._draft.rollback.choice.suspect_deployment_id
        soon = stops_still or decision.a_moment
        if self._draft.rollback.phase is not Phase.STOPPING and not soon:
            return False
        pause = next(self._polls, None)
        if pause is None:
            return False
        self._parts.wait(pause)
        return True

    def _intend(self, decision: ClearAlias | RegisterTaskDefinition | Create, **changes: Any) -> None:
        """Write the intent. A repeated attempt adds no step of its own."""
        if not self._delays.known:
            self._step(Kind.INTENT, decision)
        self._draft.change(phase=Phase.REDEPLOYING, **changes)
        self._draft.save()

    def _step(self, kind: Kind, decision: Decision, deployment_id: str = "") -> None:
        self._draft.note(kind, str(decision.action), decision.explanation, deployment_id)

    def _result(self, action: Action, text: str, deployment_id: str = "") -> None:
        self._draft.note(Kind.RESULT, str(action), clean(text, LONGEST_EXPLANATION), deployment_id)

    def _deployer(self) -> Deployer:
        rollback = self._draft.rollback
        return self._parts.deployer_for(rollback.group, rollback.compute_platform)


def _with_stopped(seen: Observation, suspect: Deployment, now: datetime) -> Observation:
    """What was seen, with a deployment marked as stopped, as CodeDeploy just answered, so it is not read again.

    If CodeDeploy has begun a rollback of its own all the same, it refuses ours, because the group is busy then.
    """
    stopped = replace(suspect, status="Stopped", completed_at=now)
    return replace(
        seen, history=tuple(stopped if d.deployment_id == stopped.deployment_id else d for d in seen.history)
    )
