"""`lastgood connect` and `lastgood alarms`: connecting alarms to deployment groups, and showing what has none."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from botocore import xform_name
from rich.text import Text

from lastgood.alarms import listed, types
from lastgood.model import AlarmPlace, DeploymentGroup, name_of
from lastgood_cli import fixes
from lastgood_cli.alarm_paths import alarm_topics
from lastgood_cli.asking import confirm
from lastgood_cli.context import Session
from lastgood_cli.coverage import Covers, look
from lastgood_cli.misspelt import no_such_alarm, no_such_group
from lastgood_cli.names import SERVICE_NAME, STAGE_NAME, group_option
from lastgood_cli.output import Format, as_json, as_table, show_rows, text, write
from lastgood_cli.plan import lookout
from lastgood_cli.problems import Exit, Problem
from lastgood_cli.when import counted

MOST_ACTIONS = 5
"""CloudWatch takes this many actions for each state of an alarm."""
STACK_TAG = "aws:cloudformation:stack-name"

# --- pure: what is written ---


@dataclass(frozen=True, slots=True)
class Change:
    """What connecting an alarm changes. `alarm` is None where its actions stay as they are."""

    name: str
    arn: str
    alarm: Mapping[str, Any] | None
    tags: Mapping[str, str]
    outdated_tags: tuple[str, ...] = ()
    owner: str = ""

    @property
    def anything(self) -> bool:
        """False where the alarm is connected already."""
        return bool(self.alarm or self.tags or self.outdated_tags)


def change_of(alarm: Mapping[str, Any], tags: Mapping[str, str], group: DeploymentGroup, topic: str) -> Change:
    """What has to be changed about an alarm to connect it to the group. Raises Problem where that is not possible."""
    wanted = group.tags
    actions = {kind: _with(alarm.get(kind) or [], topic, alarm["AlarmName"]) for kind in ("AlarmActions", "OKActions")}
    same = all(actions[kind] == list(alarm.get(kind) or []) for kind in actions) and alarm.get("ActionsEnabled", True)
    return Change(
        alarm["AlarmName"],
        alarm["AlarmArn"],
        None if same else {**alarm, **actions, "ActionsEnabled": True},
        {key: value for key, value in wanted.items() if tags.get(key) != value},
        tuple(key for key in tags if key.startswith("lastgood:") and key not in wanted),
        tags.get(STACK_TAG, ""),
    )


def _with(actions: Sequence[str], topic: str, name: str) -> list[str]:
    if topic in actions:
        return list(actions)
    if len(actions) >= MOST_ACTIONS:
        told = f"{name} has {len(actions)} actions, and CloudWatch takes no more for a state"
        raise Problem(told, f"aws cloudwatch describe-alarms --alarm-names {shlex.quote(name)}", Exit.REFUSED)
    return [*actions, topic]


def operation_of(alarm: Mapping[str, Any]) -> str:
    """The operation that writes an alarm of its type."""
    if "AlarmRule" in alarm:
        return "PutCompositeAlarm"
    return "PutLogAlarm" if "ScheduledQueryConfiguration" in alarm else "PutMetricAlarm"


def written(alarm: Mapping[str, Any], client: Any) -> tuple[str, dict[str, Any]]:
    """(operation, parameters) that put an alarm as it was described: every member that the operation takes."""
    operation = operation_of(alarm)
    taken = client.meta.service_model.operation_model(operation).input_shape.members
    parameters = {key: value for key, value in alarm.items() if key in taken and value not in (None, [], "")}
    # Of several metrics, these two belong to one of them and are told for the whole alarm all the same.
    if parameters.get("Metrics"):
        parameters = {k: v for k, v in parameters.items() if k not in {"Period", "Statistic", "MetricName"}}
    return operation, parameters


# --- lastgood connect ---


@click.command()
@click.argument("alarms", nargs=-1, required=True, metavar="ALARM…")
@group_option("The deployment group that they watch.")
@click.option("--ecs-service", type=SERVICE_NAME, metavar="CLUSTER/SERVICE", help="The ECS service that they watch.")
@click.option("--pipeline", type=STAGE_NAME, metavar="PIPELINE/STAGE", help="The stage of a pipeline that they watch.")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.pass_obj
def connect(
    session: Session,
    alarms: tuple[str, ...],
    group: DeploymentGroup | None,
    ecs_service: DeploymentGroup | None,
    pipeline: DeploymentGroup | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let alarms speak for a deployment group: adds the alarm topic to their actions, and the tags.

    Everything else about the alarms stays as it is. It changes CloudWatch itself, with your permissions.

    \b
    lastgood connect shop-prod-error-rate shop-prod-latency --group shop/prod
    lastgood connect web-5xx --ecs-service production/web --dry-run
    lastgood connect web-5xx --pipeline shop/Production
    """
    named = [each for each in (group, ecs_service, pipeline) if each]
    if len(named) != 1:
        raise click.UsageError("Name one of --group, --ecs-service or --pipeline.")
    (where,) = named
    _must_exist(session, where)
    own = session.stack_output("AlarmTopicArn")
    changes = [_change(_cloudwatch(session, name), name, where, _topic(session, name, own)) for name in alarms]
    _show(session, changes, where)
    needed = [change for change in changes if change.anything]
    if dry_run or not needed:
        return session.err.print("Nothing was changed." if dry_run else "They are connected already.")
    confirm(session, f"Connect {len(needed)} alarms to {where.key}?", yes, f"in {session.region}")
    for change in needed:
        _apply(_cloudwatch(session, change.arn), change)
    session.err.print(text(f"Done. Is all well? lastgood doctor {needed[0].name}", "dim"))


def _must_exist(session: Session, group: DeploymentGroup) -> None:
    with lookout(session) as eyes:
        exists = eyes.exists(group)
    if exists is False:
        raise no_such_group(session, group)


def _cloudwatch(session: Session, alarm: str) -> Any:
    """CloudWatch where an alarm is that is given by its ARN; of a bare name, that of the stack's region."""
    region = AlarmPlace.of(alarm).region
    if region in {"", session.region}:
        return session.client("cloudwatch")
    return session.aws.client("cloudwatch", region_name=region)


def _topic(session: Session, alarm: str, own: str) -> str:
    """The topic that an alarm has to name: its region's. Raises Problem where no alarm of that region may command."""
    region = AlarmPlace.of(alarm).region or session.region
    if region == session.region:
        return own
    found = next((each for each in alarm_topics(session.settings) if each.split(":")[3] == region), "")
    if not found:
        told = f"Alarms of {region} may not command: LASTGOOD_ALARM_REGIONS does not name it"
        raise Problem(told, f"{fixes.deploy(AlarmRegions=region)}, and satellite.yaml there")
    return found


def _change(client: Any, alarm: str, group: DeploymentGroup, topic: str) -> Change:
    name = name_of(alarm)
    found = listed(client.describe_alarms(AlarmNames=[name], AlarmTypes=types(client)))
    if not found:
        raise no_such_alarm(client, name)
    tags = client.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
    return change_of(found[0], {tag["Key"]: tag["Value"] for tag in tags}, group, topic)


def _apply(client: Any, change: Change) -> None:
    """Write the tags first: an alarm that reached lastgood and led nowhere would be reported to people."""
    if change.outdated_tags:
        client.untag_resource(ResourceARN=change.arn, TagKeys=list(change.outdated_tags))
    if change.tags:
        pairs = [{"Key": key, "Value": value} for key, value in change.tags.items()]
        client.tag_resource(ResourceARN=change.arn, Tags=pairs)
    if change.alarm is not None:
        operation, parameters = written(change.alarm, client)
        getattr(client, xform_name(operation))(**parameters)


def _show(session: Session, changes: Sequence[Change], group: DeploymentGroup) -> None:
    rows = [
        {
            "alarm": change.name,
            "group": group.key,
            "actions": "add the alarm topic" if change.alarm else "as they are",
            "tags": " ".join([*(f"{k}={v}" for k, v in change.tags.items()), *(f"-{k}" for k in change.outdated_tags)]),
            "belongs_to": f"stack {change.owner}" if change.owner else "",
        }
        for change in changes
    ]
    show_rows(session.out, session.output, rows, ("alarm", "group", "actions", "tags", "belongs_to"))
    if any(change.owner for change in changes):
        session.err.print("A stack's next update undoes this: add the topic and the tags to its template as well.")


# --- lastgood alarms ---

_WELL = (Covers.YES, Covers.SERIES)
_STYLES = {Covers.YES: "green", Covers.UNCONFIRMED: "yellow"}


@click.command()
@click.option("--problems", is_flag=True, help="Only what is not covered; leaves with 1 if there is any.")
@click.pass_obj
def alarms(session: Session, problems: bool) -> Exit:
    """List which alarms speak for which deployment groups, and the groups that no alarm speaks for.

    \b
    lastgood alarms
    lastgood alarms --problems || echo "not everything is covered"
    """
    with lookout(session) as eyes, session.err.status("Reading the alarms"):
        found = look(eyes, session.client("resourcegroupstaggingapi"), str(session.configuration["FunctionArn"]))
    rows = [
        {
            "alarm": way.alarm,
            "state": way.state,
            "leads_to": " ".join(group.key for group in way.groups),
            "by": way.by,
            "covers": str(way.covers),
        }
        for way in found.ways
        if not problems or way.covers not in _WELL
    ]
    rows += [{"alarm": "", "state": "", "leads_to": g.key, "by": "", "covers": "no alarm"} for g in found.uncovered]
    columns = ("alarm", "state", "leads_to", "by", "covers")
    if session.output is not Format.TABLE:
        if session.output is Format.JSON:
            write(session.out, as_json(rows))
        else:
            show_rows(session.out, session.output, rows, columns)
    else:
        session.out.print(as_table(rows, columns) if rows else Text("No alarm speaks for a deployment group yet."))
        others = f"{counted(found.unconnected, 'other alarm')} not connected. " if found.unconnected else ""
        session.err.print(text(f"{others}Connect one: lastgood connect ALARM --group APPLICATION/GROUP", "dim"))
    wrong = found.uncovered or any(way.covers not in _WELL for way in found.ways)
    return Exit.REFUSED if problems and wrong else Exit.DONE
