"""The state of everything: what lastgood may do now, who stopped it, what is open, when it was last at work."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Group, RenderableType
from rich.text import Text

from lastgood import __version__
from lastgood.errors import LastgoodError
from lastgood.ledger.controls import read_controls
from lastgood.model import Controls, DeploymentGroup
from lastgood.routing import named_groups
from lastgood.times import iso
from lastgood_cli.context import Session
from lastgood_cli.coverage import known_groups, look
from lastgood_cli.names import parse_group
from lastgood_cli.output import as_table, grid, harmless, text, whole
from lastgood_cli.plan import lookout
from lastgood_cli.records import Record
from lastgood_cli.when import short, when

LOOKS_BACK = timedelta(days=30)
SWEEP = timedelta(minutes=15)
AT_A_TIME = 8
"""Groups that are asked for side by side."""


def everything(session: Session) -> dict[str, Any]:
    """The whole of it, for programs."""
    heads = list(session.records.rollbacks(session.now - LOOKS_BACK, session.now))
    control = {str(item["sk"]): item for item in session.records.remembered(None)}
    connected = {*_of_heads(heads), *of_alarms(session), *named_groups(session.settings)}
    return {
        "stack": session.stack,
        "region": session.region,
        "function": session.function,
        "version": deployed_version(session.configuration),
        "command_version": __version__,
        "mode": str(session.settings.mode),
        "kill_switch": session.settings.kill_switch,
        "paused": pause_of(control.get("PAUSE", {}), session.now),
        "groups": group_rows(session, connected),
        "open": [open_row(head, session.settings.approval_expiry) for head in session.records.open()],
        "last_rollback": open_row(heads[0]) if heads else {},
        "last_sweep": last_sweep(session),
        "last_drill": _drill(control.get("DRILL", {})),
    }


def deployed_version(configuration: Mapping[str, Any]) -> str:
    """The version that the function was deployed with, which its description says; empty where it does not."""
    words = str(configuration.get("Description", "")).split()
    return words[1].rstrip(":") if len(words) > 1 and words[0] == "lastgood" else ""


def pause_of(item: Record, now: datetime) -> dict[str, Any]:
    """A pause that holds now: who, why, until when; empty where none does."""
    until = when(item.get("until"))
    if not item or item.get("resumed_at") or (until is not None and until <= now):
        return {}
    return {"by": item.get("requested_by", ""), "why": item.get("explanation", ""), "until": item.get("until", "")}


def group_rows(session: Session, connected: Collection[DeploymentGroup]) -> list[dict[str, Any]]:
    """Every group that an alarm leads to, and every other one of CodeDeploy's of which something is remembered."""
    others = set(known_groups(session.client("codedeploy"))) - set(connected)
    asked = sorted({*connected, *others})
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        items = pool.map(session.records.remembered, asked)
        controls = [read_controls(told, session.now) for told in items]
    rows = {group: group_row(group, found, session.now) for group, found in zip(asked, controls, strict=True)}
    return [row for group, row in rows.items() if group in connected or any(_said(row))]


def _said(row: Mapping[str, Any]) -> Iterable[Any]:
    return (value for name, value in row.items() if name != "group")


def group_row(group: DeploymentGroup, controls: Controls, now: datetime) -> dict[str, Any]:
    """What holds for one group beside the function's settings."""
    pause = controls.pause_group if controls.pause_group and controls.pause_group.holds(now) else None
    return {
        "group": group.key,
        "mode": str(controls.mode or ""),
        "paused": f"by {pause.requested_by}: {pause.reason}" if pause else "",
        "until": iso(pause.until) if pause and pause.until else "",
        "floor": controls.floor.deployment_id if controls.floor else "",
        "known_bad": sorted(controls.known_bad),
    }


def open_row(head: Record, expiry: timedelta = timedelta()) -> dict[str, Any]:
    """A rollback in a line; with the time until which it can be approved, where it waits for that."""
    names = ("rollback_id", "deployment_group_key", "phase", "outcome", "opened_at", "explanation")
    row = {name: head[name] for name in names if head.get(name)}
    return row | approval(head, expiry)


def approval(head: Record, expiry: timedelta) -> dict[str, str]:
    """Until when, and how, a rollback that waits for approval can be approved; empty for any other."""
    opened = when(head.get("opened_at"))
    if head.get("phase") != "AWAITING_APPROVAL" or opened is None:
        return {}
    return {"approve_until": iso(opened + expiry), "approve_with": f"lastgood approve {head['rollback_id']}"}


def last_sweep(session: Session) -> str | None:
    """When the sweep ran last, by its metric; empty where it has not in a quarter of an hour, None if unknown."""
    if os.environ.get("LASTGOOD_LOCAL_AWS"):
        # The local AWS has no metrics of a log's making.
        return None
    try:
        answer = session.client("cloudwatch").get_metric_statistics(
            Namespace="lastgood",
            MetricName="SweepRan",
            Dimensions=[{"Name": "service", "Value": session.environ.get("POWERTOOLS_SERVICE_NAME", "lastgood")}],
            StartTime=session.now - SWEEP,
            EndTime=session.now,
            Period=60,
            Statistics=["Sum"],
        )
    except (BotoCoreError, ClientError):
        return None
    ran = [point["Timestamp"] for point in answer["Datapoints"] if point.get("Sum")]
    return max(ran).isoformat() if ran else ""


def _drill(item: Record) -> dict[str, Any]:
    return {"at": item["occurred_at"], "problems": list(item.get("problems") or ())} if item else {}


def _of_heads(heads: Iterable[Record]) -> Iterable[DeploymentGroup]:
    for key in {str(head.get("deployment_group_key", "")) for head in heads}:
        try:
            yield parse_group(key)
        except ValueError:
            continue


def of_alarms(session: Session) -> Iterable[DeploymentGroup]:
    """The groups that alarms lead to, as `lastgood alarms` finds them; none where AWS may not be asked."""
    try:
        with lookout(session) as eyes:
            tagging, function = session.client("resourcegroupstaggingapi"), str(session.configuration["FunctionArn"])
            return look(eyes, tagging, function).groups
    except (BotoCoreError, ClientError, LastgoodError):
        return ()


# --- for people ---


def as_page(found: Mapping[str, Any]) -> RenderableType:
    """The same for people: what stops it first."""
    parts: list[RenderableType] = [_facts(found)]
    if found["open"]:
        parts += [Text("\nOpen rollbacks", style="bold"), *(_open(each) for each in found["open"])]
    said = [{**row, "known_bad": len(row["known_bad"]) or ""} for row in found["groups"]]
    if said:
        columns = [name for name in ("group", "mode", "paused", "until", "floor", "known_bad") if _any(said, name)]
        parts += [Text("\nDeployment groups", style="bold"), as_table(said, columns)]
    else:
        connect = whole("    lastgood connect ALARM --group APPLICATION/GROUP")
        parts += [Text("\nNo deployment group is connected yet:"), connect]
    return Group(*parts)


def _any(rows: Iterable[Mapping[str, Any]], name: str) -> bool:
    return name == "group" or any(row[name] for row in rows)


def _facts(found: Mapping[str, Any]) -> RenderableType:
    pause, drill = found["paused"], found["last_drill"]
    until = f" until {short(pause.get('until'))}" if pause.get("until") else ", until resumed"
    problems = " ".join(str(each) for each in drill.get("problems", ()))
    sweep = "cannot be read" if found["last_sweep"] is None else short(found["last_sweep"]) or "not in 15 minutes"
    rows = {
        "stack": f"{found['stack']} in {found['region']}",
        "version": f"{found['version'] or 'unknown'} (this command: {found['command_version']})",
        "mode": found["mode"],
        "kill switch": "ON: nothing is rolled back" if found["kill_switch"] else "off",
        "paused": f"EVERYTHING by {pause['by']}{until}: {pause['why']}" if pause else "no",
        "last sweep": sweep,
        "last drill": f"{short(drill.get('at'))} {problems or 'found nothing wrong'}" if drill else "none yet",
        "last rollback": _last(found["last_rollback"]),
    }
    table = grid(2)
    for name, value in rows.items():
        alarming = name in {"kill switch", "paused"} and value not in {"off", "no"}
        table.add_row(Text(name, style="bold"), text(value, "bold red" if alarming else ""))
    return table


def _last(row: Mapping[str, Any]) -> str:
    state = row.get("outcome") or row.get("phase", "")
    return f"{state} {row['rollback_id']}" if row else f"none in {LOOKS_BACK.days} days"


def _open(head: Mapping[str, Any]) -> RenderableType:
    line = text(f"{head['rollback_id']}  {head.get('deployment_group_key', '')}  {head.get('phase', '')}")
    if "approve_until" not in head:
        return line
    until = text(f"    it can be approved until {short(head['approve_until'])} UTC:")
    return Group(line, until, whole(harmless(f"    {head['approve_with']}")))
