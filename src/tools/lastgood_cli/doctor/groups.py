"""A deployment group: whether it could be rolled back now, and its pipeline after that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.model import DeploymentGroup
from lastgood.settings import PipelineRule
from lastgood.signals import OperatorRequest
from lastgood_cli import by_hand, fixes, stack_checks
from lastgood_cli.checks import Check, Part
from lastgood_cli.controllers import KNOWN
from lastgood_cli.doctor.alarms import called
from lastgood_cli.doctor.looking import Found, attempted
from lastgood_cli.doctor.patient import Patient
from lastgood_cli.expecting import Expecting
from lastgood_cli.group_checks import group_checks, how_long, pipeline_checks, stage_transition
from lastgood_cli.lookout import Lookout
from lastgood_cli.misspelt import near_groups
from lastgood_cli.names import group_names
from lastgood_cli.near import there_is


def examine_group(patient: Patient, eyes: Lookout, group: DeploymentGroup, alarms: Sequence[Mapping[str, Any]]) -> Part:
    """Whether the group could be rolled back now. `alarms`: those that lead to it, as CloudWatch describes them."""
    request = OperatorRequest(
        "rollback",
        *group_names(group),
        reason="lastgood doctor",
        requested_by="doctor",
        controller=group.controller,
    )
    checks = attempted("a rollback could begin now", lambda: group_checks(eyes.for_request(request)))
    title = f"{_capital(group.can().called)} {group.key}"
    if eyes.exists(group) is False:
        return Part(title, (_missing(patient, group, alarms),))

    own = KNOWN[group.controller].checks
    checks += attempted("what holds a rollback up", lambda: own(patient.aws, group, eyes.settings))

    def minutes() -> Found:
        expecting = Expecting(patient.aws, eyes.settings.attribution_window)
        return how_long(expecting.of(group, alarms))

    if eyes.settings.find_stacks:
        checks += attempted(stack_checks.NAME, lambda: _with_its_stack(patient, eyes, group))
    checks += attempted("how long an incident would take", minutes)
    return Part(title, checks)


def _missing(patient: Patient, group: DeploymentGroup, alarms: Sequence[Mapping[str, Any]]) -> Check:
    """A group that does not exist, by the name that was typed, or by an alarm's tags or route."""
    near = near_groups(patient.aws.client, group)
    meant = near[0] if near else ""
    said = f"{group.can().no_such_group.format(place=group.place)}{there_is(near)}."
    if not alarms:
        return Check("it exists", False, said, by_hand.name_another_group(meant))
    return Check("it exists", False, said, fixes.connect(patient.arn, called(patient, alarms[0]), meant))


def _with_its_stack(patient: Patient, eyes: Lookout, group: DeploymentGroup) -> Found:
    """Whether somebody moved what a stack holds without it."""
    origin = eyes.origin(group)
    if origin is None:
        return ()
    facts = eyes.observer.deployer_for(group, None).facts()
    releases = facts is None or not group.can(facts.compute_platform).stack_cannot_release
    if known := stack_checks.held(origin, releases=releases):
        return known
    client = patient.aws.client("cloudformation")
    told = client.detect_stack_resource_drift(StackName=origin.stack, LogicalResourceId=origin.logical_id)
    return stack_checks.drift(origin, told["StackResourceDrift"])


def examine_pipeline(patient: Patient, rule: PipelineRule, group: DeploymentGroup) -> Part:
    """Whether the pipeline can do what its rule says after a rollback."""
    client = patient.aws.client("codepipeline")

    def defined() -> Found:
        return pipeline_checks(rule, group, client.get_pipeline(name=rule.pipeline)["pipeline"])

    def transition() -> Found:
        return stage_transition(rule, group, client.get_pipeline_state(name=rule.pipeline)["stageStates"])

    checks = attempted("it exists", defined)
    if rule.hold and all(each.ok for each in checks):
        checks += attempted(f"the way into {rule.hold} is open", transition)
    return Part(f"Pipeline {rule.pipeline}, after a rollback of {group.key}", checks)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
