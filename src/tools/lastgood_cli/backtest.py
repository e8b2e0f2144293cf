"""`lastgood backtest`: what lastgood would have done about the alarms of the past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Group
from rich.text import Text

from lastgood.alarms import types
from lastgood.clients import call
from lastgood.model import AlarmPlace, DeploymentGroup, Mode, name_of
from lastgood.routing import is_allowed
from lastgood_cli.alarm_paths import points_here
from lastgood_cli.context import Session
from lastgood_cli.controllers import KNOWN
from lastgood_cli.lookout import Lookout
from lastgood_cli.output import Format, as_json, as_table, show_rows, text, write
from lastgood_cli.plan import lookout
from lastgood_cli.replay import LIMITS, Finding, replay, summary
from lastgood_cli.transitions import Series, Transition, firings, state_changes
from lastgood_cli.when import Moment, checked, short, span

LOOKBACK = timedelta(days=90)
COLUMNS = ("at", "alarm_name", "deployment_group_key", "verdict", "reason", "suspect", "good", "alarm_lasted", "why")
WIDE = ("suspect_deployment_id", "good_deployment_id", "recovered_after_seconds", "explanation", "afterwards")


@dataclass(frozen=True, slots=True)
class Backtest:
    """Everything that a backtest found. `unconnected`: alarms that fired and have nothing to do with lastgood."""

    since: datetime
    until: datetime
    findings: tuple[Finding, ...]
    unconnected: int
    notes: tuple[str, ...] = ()


def look_back(
    eyes: Lookout,
    since: datetime,
    *,
    alarm_names: Sequence[str] = (),
    mode: Mode | None = Mode.AUTO,
    progress: Callable[[str], None] = lambda text: None,
) -> Backtest:
    """Replay what happened since a time. `mode` None: the settings' own; an unknown alarm has simply no history."""
    progress("Reading the alarms' history")
    changes = state_changes(_alarm_history(eyes, since, alarm_names))
    fired = firings(changes)
    routed, unconnected = _routed(eyes, fired)
    groups = sorted({group for transition in routed for group in transition.groups})
    histories, notes = {}, []
    for number, group in enumerate(groups, start=1):
        progress(f"Reading the deployments of {group.key} ({number} of {len(groups)})")
        histories[group], note = KNOWN[group.controller].history(eyes, group, since - LOOKBACK)
        notes += [note] if note else []
    policy = eyes.settings.policy()
    if mode is not None:
        policy = replace(policy, mode=mode, kill_switch=False)
    return Backtest(since, eyes.now, replay(routed, histories, policy), unconnected, tuple(notes))


def _alarm_history(eyes: Lookout, since: datetime, names: Sequence[str]) -> list[dict[str, Any]]:
    """The history of the alarms that are named, by name or ARN, or of all, in each region that may command.

    An alarm of another region is named by its ARN from here on.
    """
    items: list[dict[str, Any]] = []
    for region in ("", *eyes.settings.alarm_regions):
        for name in names or ("",):
            own = AlarmPlace.of(name)
            if own.region in {"", region or eyes.clients.cloudwatch.meta.region_name}:
                items += _history_in(eyes, since, region, name_of(name))
    return items


def _history_in(eyes: Lookout, since: datetime, region: str, name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    client = eyes.clients.cloudwatch_at(AlarmPlace(region=region))
    more: dict[str, Any] = {"AlarmName": name} if name else {}
    while True:
        answer = call(
            client,
            "describe_alarm_history",
            AlarmTypes=types(client),
            HistoryItemType="StateUpdate",
            StartDate=since,
            EndDate=eyes.now,
            ScanBy="TimestampAscending",
            **more,
        )
        items += answer.get("AlarmHistoryItems", [])
        if not answer.get("NextToken"):
            break
        more["NextToken"] = answer["NextToken"]
    if region:
        arn = f"arn:{client.meta.partition}:cloudwatch:{region}:{eyes.settings.account_id}:alarm:"
        items = [item | {"AlarmName": arn + item["AlarmName"]} for item in items]
    return items


@dataclass(frozen=True, slots=True)
class _Way:
    groups: tuple[DeploymentGroup, ...]
    problem: str
    evaluation_seconds: int


def _routed(eyes: Lookout, fired: Sequence[Transition]) -> tuple[tuple[Transition, ...], int]:
    """The transitions with where they lead, and how many belong to alarms that have nothing to do with lastgood."""
    described = {name: eyes.described(name) for name in dict.fromkeys(t.alarm_name for t in fired)}
    ways = {each: _way(eyes, each, described[each.alarm]) for each in dict.fromkeys(t.series for t in fired)}
    kept = [
        replace(t, groups=way.groups, problem=way.problem, evaluation_seconds=way.evaluation_seconds)
        for t in fired
        if (way := ways[t.series]) is not None
    ]
    return tuple(kept), len(fired) - len(kept)


def _way(eyes: Lookout, series: Series, alarm: dict[str, Any] | None) -> _Way | None:
    """Where an alarm leads; None where it neither is routed by name or tag nor has lastgood among its actions."""
    signal = eyes.signal_of(series.alarm, alarm)
    signal = replace(signal, contributor=series.contributor, attributes=series.attributes)
    routing = eyes.routing(signal)
    if routing.source in {"", "default"} and not (alarm and points_here(alarm, eyes.settings)):
        return None
    allowed = tuple(group for group in routing.groups if is_allowed(group, eyes.settings))
    problem = routing.problem or "No deployment group that it leads to is in LASTGOOD_ALLOWED_GROUPS."
    return _Way(allowed, problem, signal.evaluation_seconds)


# --- printing ---------------------------------------------------------------------------------------------------------


def as_page(found: Backtest) -> Group:
    """What was found, for people: the findings, the counts, and what cannot be known."""
    said = summary(found.findings)
    lines: list[Any] = [as_table([_row(f) for f in found.findings], COLUMNS), Text()] if found.findings else []
    lines += [text(line) for line in sentences(found, said)]
    lines += [Text(), Text("What a backtest cannot know:", "bold")]
    lines += [text(f"- {limit}", "dim") for limit in (*LIMITS, *found.notes)]
    return Group(*lines)


def sentences(found: Backtest, said: dict[str, Any]) -> list[str]:
    """The summary in words."""
    period = f"From {short(found.since.isoformat())} to {short(found.until.isoformat())} UTC"
    if not found.findings:
        told = f"{period} no alarm that leads to lastgood went into ALARM."
        return [told, *_unconnected(found)]
    lines = [f"{period}: {_count(said['alarms'], 'alarm')}, {_count(said['rollbacks'], 'rollback')}."]
    lines.append("  ".join(f"{verdict}: {count}" for verdict, count in said["verdicts"].items()))
    if said["refusals"]:
        lines.append("Why not: " + "  ".join(f"{reason}: {count}" for reason, count in said["refusals"].items()))
    if said["alarm_lasted_median_seconds"] is not None:
        lasted, longest = span(said["alarm_lasted_median_seconds"]), span(said["alarm_lasted_longest_seconds"])
        lines.append(f"Where it would have rolled back, the alarm really lasted {lasted} (median), {longest} at worst.")
    if said["rollbacks"]:
        lines.append(f"In {said['came_back_anyway']} of {said['rollbacks']} the same revision really came back.")
    return [*lines, *_unconnected(found)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _unconnected(found: Backtest) -> list[str]:
    if not found.unconnected:
        return []
    return [f"{_count(found.unconnected, 'other firing')} came from alarms that have nothing to do with lastgood."]


def _row(finding: Finding) -> dict[str, Any]:
    lasted = finding.recovered_after_seconds
    series = ", ".join(f"{name}={value}" for name, value in finding.alarm_attributes.items())
    return {
        **asdict(finding),
        "alarm_name": f"{finding.alarm_name} ({series})" if series else finding.alarm_name,
        "at": short(finding.at.isoformat()),
        "alarm_lasted": span(lasted) if lasted is not None else "",
        "why": f"{finding.explanation} {finding.afterwards}".strip(),
    }


def as_data(found: Backtest) -> dict[str, Any]:
    """What was found, for machines."""
    return {
        "since": found.since,
        "until": found.until,
        "summary": summary(found.findings),
        "findings": [asdict(finding) for finding in found.findings],
        "unconnected": found.unconnected,
        "notes": [*LIMITS, *found.notes],
    }


@click.command()
@click.option("--since", type=Moment(), default="30d", show_default=True, help="From when on: 30d, 2026-11-23.")
@click.option("--alarm", "alarms", multiple=True, help="Only this alarm; may be repeated.")
@click.option(
    "--mode",
    type=click.Choice([*Mode, "deployed"]),
    default=str(Mode.AUTO),
    show_default=True,
    help="The mode to suppose; deployed: what the function's settings say.",
)
@click.pass_obj
def backtest(session: Session, since: datetime, alarms: tuple[str, ...], mode: str) -> None:
    """Say what lastgood would have done about the alarms that really came: before you switch `auto` on.

    The account's alarm history and deployment history go through the code that the function runs. Nothing is changed.

    \b
    lastgood backtest --since 30d
    lastgood --output csv backtest --alarm shop-prod-error-rate > backtest.csv
    """
    checked(since, session.now)
    with lookout(session) as eyes, session.err.status("Looking back") as status:
        supposed = None if mode == "deployed" else Mode(mode)
        found = look_back(eyes, since, alarm_names=alarms, mode=supposed, progress=status.update)
    match session.output:
        case Format.TABLE:
            session.out.print(as_page(found))
        case Format.JSON:
            write(session.out, as_json(as_data(found)))
        case Format.CSV:
            shown = [{**_row(f), "at": f.at} for f in found.findings]
            show_rows(session.out, session.output, shown, COLUMNS, wide=WIDE)
