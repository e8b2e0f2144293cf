"""The checks of the chain's end: a deployment group or an ECS service, and the pipeline that releases to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lastgood.judgement.guards import GUARDS
from lastgood.judgement.unpinned import unpinned
from lastgood.model import AfterRollback, DeploymentGroup, Reason
from lastgood.pipelines.rules import REVISION_TYPES
from lastgood.pipelines.runs import holder
from lastgood.settings import PipelineRule
from lastgood_cli import by_hand
from lastgood_cli.checks import Check
from lastgood_cli.expected import Expected
from lastgood_cli.fix import NOTHING
from lastgood_cli.planned import Plan
from lastgood_cli.questions import Answer, Verdict

# --- the deployment group ---------------------------------------------------------------------------------------------

NOT_WRONG = frozenset(
    {
        Reason.ALREADY_OPEN,
        Reason.ALREADY_ROLLING_BACK,
        Reason.ALREADY_LIVE,
        Reason.SUSPECT_IS_ROLLBACK,
        Reason.NEWER_DEPLOYMENT,
        Reason.OBSERVE_MODE,
        Reason.RELEASED_BY_PIPELINE,
        Reason.NEEDS_APPROVAL,
    }
)
"""Reasons for which nothing would be rolled back now, and which nobody has to fix."""

_BEFORE_CONTENT = frozenset(
    {Reason.ALREADY_LIVE, Reason.ALREADY_ROLLING_BACK, Reason.NEWER_DEPLOYMENT, Reason.SUSPECT_IS_ROLLBACK}
)
"""Reasons for which nobody has to know what older releases contain: it is not looked up."""

_ELSEWHERE = frozenset({Reason.GROUP_NOT_FOUND, Reason.PAUSED, Reason.MODE_OFF, Reason.KILL_SWITCH})
"""Reasons that have a check of their own."""


def group_checks(plan: Plan) -> tuple[Check, ...]:
    """A deployment group as a rollback by hand, asked for now, would find it."""
    if plan.decision is None:
        reason = next((a.reason for a in plan.answers if a.verdict is Verdict.NO), "")
        busy = reason in NOT_WRONG
        return (Check("a rollback could begin now", busy, plan.explanation, by_hand.for_reason(reason, plan.group)),)
    by_reasons = {
        str(reason): a for a in plan.answers for g in GUARDS if g.question == a.question for reason in g.reasons
    }
    exists = by_reasons[Reason.GROUP_NOT_FOUND]
    if exists.verdict in {Verdict.NO, Verdict.NO_TOO}:
        return (_from_answer("it exists", exists, plan.group),)
    good = plan.decision.good
    ready = f"{good.revision.label or good.revision.identity} (from {good.deployment_id})." if good else ""
    checks = [
        Check("it exists", True),
        _from_answer("nothing is paused", by_reasons[Reason.PAUSED], plan.group),
        _from_answer("its mode lets lastgood act", by_reasons[Reason.MODE_OFF], plan.group, f"Mode {plan.mode}."),
    ]
    said = (a for a in plan.answers if a.verdict in {Verdict.NO, Verdict.NO_TOO} and a.reason not in _ELSEWHERE)
    objection = next(said, None)
    last = "a last good revision exists and can be deployed now"
    if objection:
        checks.append(_from_answer(last, objection, plan.group, ready))
    else:
        checks.append(Check(last, True, f"{ready} {plan.then}".strip()))
    looked_up = objection is None or objection.reason not in _BEFORE_CONTENT
    if looked_up and (doubt := unpinned(plan.decision)):
        checks.append(Check("its releases say what they contain", False, doubt, by_hand.pin_releases()))
    if plan.floor is not None:
        checks.append(
            Check("its floor is known", True, f"{plan.floor.deployment_id}; it comes from {plan.floor.source}.")
        )
    return tuple(checks)


def how_long(found: Expected) -> tuple[Check, ...]:
    """What an incident would take, and what would save most of it; nothing where nothing is known."""
    return (Check("how long an incident would take", True, found.told),) if found.parts else ()


def _from_answer(name: str, answer: Answer, group: DeploymentGroup | None, good: str = "") -> Check:
    if answer.verdict in {Verdict.YES, Verdict.NOT_ASKED}:
        return Check(name, True, good)
    ok = answer.reason in NOT_WRONG
    return Check(name, ok, answer.explanation, NOTHING if ok else by_hand.for_reason(answer.reason, group))


# --- the pipeline -----------------------------------------------------------------------------------------------------


def pipeline_checks(rule: PipelineRule, group: DeploymentGroup, pipeline: Mapping[str, Any]) -> tuple[Check, ...]:
    """Whether the rule can do with the pipeline what it says; `pipeline` is as `GetPipeline` answers."""
    kind = pipeline.get("pipelineType") or "V1"
    checks = [Check("it exists", True, f"It is {kind}, version {pipeline.get('version', '?')}.")]
    if rule.after_rollback is not AfterRollback.NONE:
        checks.append(_can_run_again(rule, group, kind, pipeline))
    if rule.hold:
        checks.append(_has_stage(rule, [str(stage.get("name", "")) for stage in pipeline.get("stages") or ()]))
    return tuple(checks)


def _can_run_again(rule: PipelineRule, group: DeploymentGroup, kind: str, pipeline: Mapping[str, Any]) -> Check:
    name = "it can be run for the good commit"
    otherwise = 'or set "after_rollback" to "tell"'
    odd = next((provider for provider in _sources(pipeline) if provider not in REVISION_TYPES), "")
    problem, fix = "", ""
    if not group.can().finds_runs:
        problem = f"Which of its runs updated a {group.can().called} that {group.deployer} itself deploys is not known."
        fix = 'let it "hold" the stage, and set "after_rollback" to "none"'
    elif kind != "V2":
        problem = f"It is a {kind} pipeline, which cannot be run for a chosen commit."
        fix = f"make it V2 (CodePipeline's console: Edit, Pipeline properties), {otherwise}"
    elif odd:
        problem = f"Its source {odd} takes no chosen revision."
        fix = f"use a connection, CodeCommit, ECR or S3 as its source, {otherwise}"
    if rule.after_rollback is AfterRollback.RERUN and problem:
        return Check(name, False, problem, by_hand.change_rule(fix))
    return Check(name, True, f"Not this one: {problem} People are told how to go back." if problem else "")


def _sources(pipeline: Mapping[str, Any]) -> Iterator[str]:
    actions = (action for stage in pipeline.get("stages") or () for action in stage.get("actions") or ())
    kinds = (action.get("actionTypeId") or {} for action in actions)
    return (str(kind.get("provider", "")) for kind in kinds if kind.get("category") == "Source")


def _has_stage(rule: PipelineRule, stages: Sequence[str]) -> Check:
    name = f"the stage {rule.hold} can be held"
    # Nothing leads into the first stage, so nothing can be held there.
    if rule.hold in stages[1:]:
        return Check(name, True)
    problem = "It is the first stage." if rule.hold in stages else "The pipeline has no stage of that name."
    others = ", ".join(stages[1:]) or "it has none"
    return Check(name, False, problem, by_hand.change_rule(f'name another stage ({others}) as "hold"'))


def stage_transition(rule: PipelineRule, group: DeploymentGroup, stages: Iterable[Mapping[str, Any]]) -> Check:
    """Whether the way into the stage is open now; `stages` is as `GetPipelineState` answers. A held one is no fault."""
    found = next((each for each in stages if each.get("stageName") == rule.hold), {})
    transition = found.get("inboundTransitionState") or {}
    name = f"the way into {rule.hold} is open"
    if transition.get("enabled", True):
        return Check(name, True)
    reason, who = str(transition.get("disabledReason", "")), transition.get("lastChangedBy") or "somebody"
    ours = holder(reason)
    if ours:
        return Check(name, True, f"{ours} holds it. When the fix is ready: lastgood release {group.key} --reason …")
    return Check(name, True, f"{who} disabled it: {reason}. lastgood leaves it as it is.")
