"""The rest of a release: which other groups it changed, how that is known, and what would happen to each of them."""

from __future__ import annotations

from lastgood.errors import LastgoodError
from lastgood.judgement.release_sets import release_of
from lastgood.judgement.stacks import name_of
from lastgood.judgement.steps import Adopt, AskApproval, CancelUpdate, Close, Decision, Stop
from lastgood.model import OthersOfARelease, Reason, Rollback, parse_key
from lastgood.pipelines.follow_ups import with_pipeline_rule
from lastgood.pipelines.rerun import release_fields
from lastgood.rollbacks.choosing import chosen_by
from lastgood.rollbacks.others import following, left_alone
from lastgood_cli.lookout import Lookout
from lastgood_cli.planned import Neighbour, Plan, Rest

MOST = 10
"""So many groups get a plan of their own; each costs as many reads as the first."""


def rest_of_release(eyes: Lookout, plan: Plan) -> Rest | None:
    """What else the release changed that a plan blames; None where it changed only this, as far as anybody knows."""
    case, decision = plan.case, plan.decision
    if case is None or decision is None or not decision.suspects:
        return None
    source = _source(eyes, plan, case.rollback, decision)
    found = [
        _neighbour(eyes, source, key, plan, number)
        for number, key in enumerate(sorted({*source.choice.release_groups} - {source.group.key}))
    ]
    # What the run of the stage that goes back in this group's place released besides, goes with that.
    beside = rest_of_release(eyes, plan.instead) if plan.instead else None
    known = {source.group.key, *(each.key for each in found)}
    found += [each for each in beside.neighbours if each.key not in known] if beside else []
    joined = dict.fromkeys([source.choice.release_joined_by, beside.joined_by if beside else ""])
    return Rest(" and ".join(filter(None, joined)), tuple(found)) if found else None


def _source(eyes: Lookout, plan: Plan, opened: Rollback, decision: Decision) -> Rollback:
    """The rollback as its record would be once the function has looked up what else was released."""
    assert plan.case is not None
    rollback = with_pipeline_rule(opened, eyes.settings)
    rollback = rollback.changed(**chosen_by(decision, rollback.group.deployer, plan.case.seen.origin))
    known = release_of(rollback, plan.case.seen)
    rollback = rollback.changed(
        release_groups=tuple(sorted(known.groups)),
        release_joined_by=known.joined_by,
        release_deployments=known.deployments,
    )
    made = eyes.observer.release_sets.run_that_made(rollback.group, decision.suspects[0])
    return rollback.changed(**release_fields(*made, eyes.observer.deployer_for)) if made else rollback


def _neighbour(eyes: Lookout, source: Rollback, key: str, plan: Plan, number: int) -> Neighbour:
    made = source.choice.release_deployments.get(key, "")
    if stack := _goes_back_with(plan, key):
        return Neighbour(key, made, True, f"It would go back with the stack {stack}.")
    if not (plan.acts or isinstance(plan.decision, AskApproval)):
        return Neighbour(key, made, False, "It would stay, as this would.")
    if not made:
        return Neighbour(key, made, False, "It would stay: by which deployment it was released is not known.")
    if number >= MOST:
        return Neighbour(key, made, False, f"It was not looked at; ask for it: lastgood plan --group {key}")
    try:
        return _planned(eyes, source, key, made)
    except LastgoodError as error:
        return Neighbour(key, made, False, f"It could not be looked at: {error}")


def _goes_back_with(plan: Plan, key: str) -> str:
    """The name of the stack that goes back as a whole, and this group with it; empty where none does."""
    origin, decision = plan.case.seen.origin if plan.case else None, plan.decision
    if origin is None or not origin.stack or key not in origin.groups or decision is None:
        return ""
    passed_on = isinstance(decision, Close) and bool(decision.passes_on) and plan.acts
    by_codedeploy = isinstance(decision, Stop) and decision.native
    by_itself = isinstance(decision, CancelUpdate | Adopt) or decision.reason is Reason.STACK_ROLLING_BACK
    return name_of(origin.acted_on) if passed_on or by_codedeploy or by_itself else ""


def _planned(eyes: Lookout, source: Rollback, key: str, made: str) -> Neighbour:
    """The plan for a group: as it would follow, or as somebody who is told of it could roll it back."""
    group, follows = parse_key(key), source.trail.others_of_release == OthersOfARelease.FOLLOW
    if why := left_alone(group, made, eyes.settings, eyes.observer.deployer_for):
        return Neighbour(key, made, False, f"It would be left alone: {why}.")
    rollback = following(source, group, made, source.rollback_id, eyes.now)
    found = eyes.judged(f"Plan for {key}", rollback, eyes.observer)
    if follows:
        told = f"{found.headline}." if found.acts else f"{found.headline}. {found.explanation}"
        return Neighbour(key, made, found.acts, told)
    offered = f"It would stay. People are told how it goes back: lastgood rollback {key}"
    return Neighbour(key, made, False, offered if found.acts else f"It would stay. By hand: {found.headline}")
