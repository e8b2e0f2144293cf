"""The looks between the stop and the redeployment: what still runs, what is in the way, and what has to be prepared."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.judgement.recheck import changed_since
from lastgood.judgement.stopping import HANGS_AFTER
from lastgood.model import (
    BEFORE,
    TERMINAL_STATUSES,
    Controls,
    Deployment,
    Gone,
    GroupFacts,
    Live,
    Observation,
    Origin,
    Rollback,
    Unregistered,
)
from lastgood.observe.again import with_history
from lastgood.observe.look import Look


def after_stop(look: Look) -> Observation:
    """The suspect, the deployer's own rollback of it, and what the redeployment needs once both are out of the way."""
    rollback, choice, deployer = look.rollback, look.rollback.choice, look.deployer
    suspect = look.known(choice.suspect_deployment_id)
    if suspect is None and choice.suspect_deployment_id:
        suspect = deployer.deployment(choice.suspect_deployment_id)
    seen = Observation(suspect=suspect, group=look.last.group if look.last else None)
    if rollback.progress.stack_cancel_requested_at is not None:
        seen = replace(seen, origin=_stack(look, suspect))
    if suspect is not None and suspect.active and not rollback.may_replace_running:
        hangs = _hangs(rollback, look.now)
        return held(look, replace(seen, silent=deployer.silent(suspect.deployment_id)) if hangs else seen)
    if suspect is not None and suspect.rollback_deployment_id:
        native = deployer.deployment(suspect.rollback_deployment_id)
        seen = replace(seen, rollback=native)
        goes_back = native and (native.active or native.revision.identity == choice.good_revision)
        if native and not native.ended_badly and goes_back:
            return held(look, seen)
    return held(look, _ready(look, seen) if choice.good_deployment_id else seen)


def _stack(look: Look, suspect: Deployment | None) -> Origin:
    """The stack whose update was cancelled, and what could put the good revision back if that came too late."""
    choice, stacks = look.rollback.choice, look.eyes.stacks
    origin = stacks.state(choice.suspect_stack, look.rollback.group, suspect)
    named = choice.good_deployment_id
    if not origin.stage or not named or named.endswith(BEFORE):
        return origin
    return stacks.with_run(origin, look.known(named) or look.deployer.deployment(named))


def before_create(look: Look) -> Observation:
    """The redeployment if it was created already, else what it needs."""
    if look.rollback.progress.create_attempted_at is not None:
        made = look.deployer.created_by(look.rollback, look.now)
        if made is not None:
            return held(look, Observation(rollback=made))
    return held(look, _ready(look, Observation()))


def held(look: Look, seen: Observation) -> Observation:
    """Add the operators' controls: read again on a later visit, taken from the last look if that had read them."""
    # A look that reads the controls reads with them who holds the lock; one that only watches reads neither.
    if look.last is not None and look.last.locked_by is not None:
        seen = replace(seen, controls=look.last.controls, locked_by=look.last.locked_by)
    else:
        controls = look.controls()
        seen = replace(seen, controls=controls, locked_by=look.holder(controls))
    return with_history(look, seen, seen.good) if seen.good else seen


def _ready(look: Look, seen: Observation) -> Observation:
    """What is in the way of the redeployment, and what has to be done before it."""
    rollback, deployer = look.rollback, look.deployer
    facts, newest = seen.group, None
    if facts is None:
        # A later visit: somebody else may have released to the group meanwhile, and be done already.
        facts = deployer.facts()
        newest = deployer.newest(facts) if facts and not _is_suspect(rollback, facts) else None
        if newest is not None and newest.made_by not in {"", rollback.rollback_id}:
            newest = look.signed((newest,), Controls())[0]
    good, problem = _good(look)
    if facts is None or good is None:
        gone = f"{rollback.choice.good_deployment_id} or its deployment group is gone."
        return replace(seen, group=facts, preparations=(Gone(gone),))
    if problem:
        return replace(seen, group=facts, newest=newest, good=good, preparations=(Gone(problem),))
    readable = rollback.group.can(facts.compute_platform).reads_live
    live = deployer.live(facts, good.revision) if readable else Live()
    todo = deployer.prepare(facts, good.revision, live)
    if rollback.progress.redeployed_revision:
        todo = tuple(preparation for preparation in todo if not isinstance(preparation, Unregistered))
    return replace(seen, group=facts, newest=newest, good=good, live=live, preparations=todo)


def _good(look: Look) -> tuple[Deployment | None, str]:
    """What goes back, and why it cannot, if so. A later visit looks as closely as the visit that chose it."""
    choice, last = look.rollback.choice, look.last
    good = look.known(choice.good_deployment_id)
    if good is not None and last is not None and good.deployment_id in last.examined:
        return good, last.unusable.get(good.deployment_id, "")
    good = good or look.deployer.deployment(choice.good_deployment_id)
    if good is None:
        return None, ""
    evidence = look.closer().at([good], noted=bool(choice.good_digests))[good.deployment_id]
    deployment = replace(good, revision=evidence.revision)
    return deployment, evidence.problem or changed_since(look.rollback, evidence.revision)


def _is_suspect(rollback: Rollback, facts: GroupFacts) -> bool:
    """The suspect has ended, and nothing came after it, so there is no newer deployment to read."""
    ended = facts.last_attempted_status in TERMINAL_STATUSES
    return ended and facts.last_attempted_id == rollback.choice.suspect_deployment_id


def _hangs(rollback: Rollback, now: datetime) -> bool:
    """The stop takes so long that people have to be told, and they were not told yet."""
    asked = rollback.progress.stop_requested_at
    return asked is not None and now - asked >= HANGS_AFTER and not rollback.progress.held_up_by
