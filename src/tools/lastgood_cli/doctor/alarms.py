"""The alarms that lead to lastgood: whether each reaches it, and where it leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lastgood.model import AlarmPlace, DeploymentGroup, name_of
from lastgood_cli import by_hand, fixes
from lastgood_cli import checks as check
from lastgood_cli.alarm_paths import at_home, points_here
from lastgood_cli.checks import Check, Part
from lastgood_cli.coverage import every_alarm, grouped_by
from lastgood_cli.doctor.folding import FEW, folded
from lastgood_cli.doctor.looking import attempted
from lastgood_cli.doctor.patient import Patient
from lastgood_cli.fix import NOTHING
from lastgood_cli.lookout import Lookout
from lastgood_cli.misspelt import near_alarms
from lastgood_cli.near import there_is

type Watched = dict[DeploymentGroup, list[Mapping[str, Any]]]
"""The deployment groups to look at, each with the alarms that lead to it."""


def examine_alarms(
    patient: Patient, eyes: Lookout, alarm: str, group: DeploymentGroup | None
) -> tuple[list[Part], Watched]:
    """The parts of all alarms that lead here, or of the one that is named, and the groups that they lead to."""
    watched: Watched = {group: []} if group else {}
    if alarm:
        described = {alarm: eyes.described(alarm)}
    elif group:
        described = {}
    else:
        described = {called(patient, each): each for each in _alarms_here(patient, eyes)}
    muted = _anything_muted(patient) if len(described) > FEW else True
    parts = []
    for name, told in described.items():
        part, leads_to = _alarm(patient, eyes, name, told, muted)
        parts.append(part)
        for each in leads_to:
            watched.setdefault(each, []).extend([told] if told else [])
    if not described and group is None:
        parts.append(Part("Alarms", (_no_alarm(patient),)))
    return folded(parts, "Alarms", "{} reach lastgood and lead to a deployment group"), watched


def _alarms_here(patient: Patient, eyes: Lookout) -> list[dict[str, Any]]:
    return [alarm for alarm in every_alarm(eyes) if points_here(alarm, eyes.settings, patient.arn)]


def called(patient: Patient, alarm: Mapping[str, Any]) -> str:
    """An alarm's name; of another region its ARN, for there may be a namesake here."""
    return str(alarm["AlarmName"] if at_home(alarm["AlarmArn"], patient.arn) else alarm["AlarmArn"])


def _anything_muted(patient: Patient) -> bool:
    """Whether any mute rule is active: only then is it worth asking for each of many alarms."""
    try:
        answer = patient.aws.client("cloudwatch").list_alarm_mute_rules(Statuses=["ACTIVE"])
    except (BotoCoreError, ClientError):
        return True
    return bool(answer.get("AlarmMuteRuleSummaries"))


def _alarm(
    patient: Patient, eyes: Lookout, name: str, alarm: dict[str, Any] | None, may_be_muted: bool
) -> tuple[Part, tuple[DeploymentGroup, ...]]:
    title = f"Alarm {name}"
    if alarm is None:
        near = near_alarms(eyes.clients.cloudwatch_at(AlarmPlace.of(name)), name_of(name))
        fix = by_hand.no_such_alarm(patient.arn, name, near[0] if near else "")
        said = f"CloudWatch knows no alarm of that name here{there_is(near)}."
        return Part(title, (Check("it exists", False, said, fix),)), ()
    routing = eyes.routing(eyes.signal_of(name, alarm))
    leads = ", ".join(group.key for group in routing.groups)
    each_its_own = routing.lacks in grouped_by(alarm)
    fix = NOTHING if leads or each_its_own else fixes.connect(patient.arn, name)
    said = f"{leads}, by {routing.source}." if leads else routing.problem
    if each_its_own:
        said = f"Each time series to its own, by its attribute {routing.lacks}."
    checks = [
        Check("it exists", True, f"It is {alarm['StateValue']}."),
        *check.alarm_actions(alarm, eyes.settings, patient.arn, routing.groups),
        check.alarm_suppressed(alarm),
    ]
    if may_be_muted:
        checks += attempted("it is not muted", lambda: _muted(patient, alarm))
    if patient.arn in (alarm.get("AlarmActions") or ()):
        arn = str(alarm["AlarmArn"])
        checks += attempted(
            "it may invoke the function", lambda: check.alarms_may_invoke(patient.policy, arn, patient.arn)
        )
    checks.append(Check("it leads to a deployment group", bool(leads) or each_its_own, said, fix))
    return Part(title, tuple(checks)), routing.groups


def _muted(patient: Patient, alarm: Mapping[str, Any]) -> Check:
    return check.alarm_muted(_mute_rules(patient, alarm), str(alarm["AlarmArn"]))


def _mute_rules(patient: Patient, alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    arn = alarm["AlarmArn"]
    region = {} if at_home(arn, patient.arn) else {"region_name": arn.split(":")[3]}
    client = patient.aws.client("cloudwatch", **region)
    answer = client.list_alarm_mute_rules(AlarmName=alarm["AlarmName"], Statuses=["ACTIVE"])
    found: list[dict[str, Any]] = answer.get("AlarmMuteRuleSummaries", [])
    return found


def _no_alarm(patient: Patient) -> Check:
    fix = fixes.connect(patient.arn, "ALARM")
    return Check("an alarm leads here", False, "No alarm would ever wake lastgood.", fix)
