"""One rollback as a story: what happened when, why that revision, and where to look further. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lastgood import links
from lastgood.model import CAPABILITIES, TIMES, Controller
from lastgood_cli.figures import seconds_to
from lastgood_cli.output import OUTCOME_STYLES, Fitting, grid, harmless, text, whole
from lastgood_cli.records import Story
from lastgood_cli.when import life, short, span, when

# Told in their own places, or of no use to people.
_TOLD = frozenset(
    "rollback_id application deployment_group outcome phase reason_code explanation candidates compute_platform "  # noqa: SIM905
    "alarm_name alarm_arn alarm_changed_at trigger_kind requested_by request_reason approved_by rejected_by dry_run "
    "forced suspect_deployment_id suspect_revision suspect_revisions suspect_commit good_deployment_id good_revision "
    "good_commit rollback_deployment_id redeployed_revision adopted opened_at closed_at alarm_recovered_at needs_human "
    "signal_at pk sk day deployment_group_key open_key next_check_at expires_at schema_version version step_count "
    "lease_owner lease_until notified evaluation_seconds native_rollback_asked create_attempted_at stop_requested_at "
    "stopped_at redeployed_at verified_at suspect_created_at".split()
) | {f"seconds_to_{name}" for name in TIMES}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline: when, how long after the beginning, who, what."""

    at: str
    after_seconds: float | None
    who: str
    what: str
    deployment_id: str = ""


def timeline(story: Story) -> list[Moment]:
    """The alarm, every step, the messages that joined, the end: in the order in which they happened."""
    head = story.head
    began = when(head.get("alarm_changed_at")) or when(head.get("opened_at"))
    told: list[tuple[str, str, str, str]] = []
    if head.get("alarm_changed_at"):
        told.append((str(head["alarm_changed_at"]), "alarm", f"{head.get('alarm_name', '')} went into ALARM", ""))
    for step in story.steps:
        who = f"{step.get('kind', 'step')}, {str(step.get('step_name', '')).lower().replace('_', ' ')}"
        what, deployment = str(step.get("explanation", "")), str(step.get("deployment_id", ""))
        told.append((str(step.get("occurred_at", "")), who, what, deployment))
    for signal in story.signals:
        told.append((str(signal.get("occurred_at", "")), "signal", _joined(signal), ""))
    told.sort(key=lambda each: each[0])
    return [Moment(at, _after(began, at), who, what, deployment) for at, who, what, deployment in told]


def _joined(signal: Mapping[str, Any]) -> str:
    return f"another message joined: {signal.get('signal_key', '')}"


def _after(began: Any, at: str) -> float | None:
    moment = when(at)
    return (moment - began).total_seconds() if began and moment else None


def further(head: Mapping[str, Any]) -> dict[str, Any]:
    """What the record holds besides what the story shows, including attributes of a newer version."""
    return {name: head[name] for name in sorted(head) if name not in _TOLD and head[name] not in ("", [], {}, None)}


def as_data(story: Story, region: str, table: str) -> dict[str, Any]:
    """The story for programs."""
    moments = [
        {"at": m.at, "after_seconds": m.after_seconds, "who": m.who, "what": m.what, "deployment_id": m.deployment_id}
        for m in timeline(story)
    ]
    return {
        **story.head,
        "timeline": moments,
        "signals": [dict(signal) for signal in story.signals],
        "links": links.of_record(region, table, story.head),
    }


def as_page(story: Story, region: str, table: str, now: datetime, approve_until: str = "") -> RenderableType:
    """The story for people, as it is at the time `now`."""
    return Group(
        _title(story.head),
        text(story.head.get("explanation", "")),
        Text(),
        _facts(story.head, now),
        _heading("What happened"),
        _timeline_table(story),
        _heading("Why that revision"),
        _candidates_table(story.head),
        *_also(story.head),
        _heading("Look further"),
        *_links(links.of_record(region, table, story.head)),
        *_next(story, approve_until),
    )


def moment_row(moment: Moment) -> tuple[Text, Text, Text, Text]:
    """A line of the timeline as cells."""
    after = "" if moment.after_seconds is None else f"+{span(moment.after_seconds)}"
    what = moment.what if not moment.deployment_id else f"{moment.what} [{moment.deployment_id}]"
    return Text(harmless(short(moment.at))), Text(after, style="cyan"), text(moment.who, "dim"), text(what)


def _title(head: Mapping[str, Any]) -> Text:
    state = str(head.get("outcome") or head.get("phase") or "")
    made = Text.assemble(text(head.get("rollback_id", ""), "bold"), "  ")
    made.append_text(text(state, OUTCOME_STYLES.get(state, "bold")))
    made.append_text(text(f" ({head.get('reason_code') or 'in progress'})"))
    if head.get("application"):
        made.append_text(text(f"  {head.get('deployment_group_key', '')}"))
    if head.get("needs_human"):
        made.append("  people must act", style="bold red")
    return made


def watched(head: Mapping[str, Any]) -> bool:
    """True while a closed rollback's alarm is still waited for."""
    settled = head.get("alarm_recovered_at") or head.get("not_recovered_at")
    return bool(head.get("alarm_name") and head.get("outcome") == "ROLLED_BACK" and not settled)


def alarm_since(head: Mapping[str, Any], now: datetime) -> str:
    """What became of the alarm: `OK after 3 min`, `still firing, 4 min`; empty where nothing is known or waited for."""
    began, recovered = when(head.get("alarm_changed_at")), when(head.get("alarm_recovered_at"))
    if began is None:
        return ""
    if recovered is not None:
        return f"OK after {span((recovered - began).total_seconds())}"
    if head.get("not_recovered_at"):
        return "did not recover in time"
    return f"still firing, {span((now - began).total_seconds())}" if watched(head) else ""


def _facts(head: Mapping[str, Any], now: datetime) -> Table:
    asked = " ".join(str(head[name]) for name in ("requested_by", "request_reason") if head.get(name))
    rows: dict[str, Any] = {
        "alarm": ", ".join(filter(None, (str(head.get("alarm_name", "")), alarm_since(head, now)))),
        "asked for by": asked,
        "approved by": head.get("approved_by"),
        "rejected by": head.get("rejected_by"),
        "platform": head.get("compute_platform"),
        "suspect": _deployed(head, "suspect"),
        "last good": _deployed(head, "good"),
        "rollback": _deployed(head, "rollback"),
        "opened": f"{short(head.get('opened_at'))} by {head.get('trigger_kind', '')}",
        "closed": short(head.get("closed_at")),
        "times": ", ".join(_reached(head)),
        "dry run": "yes, nothing was touched" if head.get("dry_run") else "",
        "forced": "yes" if head.get("forced") else "",
    }
    return _grid((name, value) for name, value in rows.items() if value)


_REACHED = {
    "detect": "{} from the release to the alarm",
    "stop": "stopped +{}",
    "redeploy": "redeployed +{}",
    "verify": "verified +{}",
    "recover": "alarm OK again +{}",
}


def _reached(head: Mapping[str, Any]) -> Iterator[str]:
    for name in TIMES:
        seconds = seconds_to(head, name)
        if seconds is not None:
            yield _REACHED[name].format(span(seconds))


def _deployed(head: Mapping[str, Any], who: str) -> str:
    revision = head.get("redeployed_revision" if who == "rollback" else f"{who}_revision")
    parts = [head.get(f"{who}_deployment_id"), revision]
    if head.get(f"{who}_commit"):
        parts.append(f"commit {harmless(head[f'{who}_commit'])}")
    if who == "rollback" and head.get("adopted"):
        controller = Controller(head.get("controller") or Controller.CODE_DEPLOY)
        parts.append(f"{CAPABILITIES[controller, None].deployer}'s own, adopted")
    return "  ".join(str(part) for part in parts if part)


def _timeline_table(story: Story) -> RenderableType:
    names = ("at", "after", "who", "what")
    rows = [dict(zip(names, moment_row(moment), strict=True)) for moment in timeline(story)]
    return Fitting(rows, names, ("what",), header=False)


def _candidates_table(head: Mapping[str, Any]) -> RenderableType:
    found = head.get("candidates") or []
    if not isinstance(found, list) or not found:
        return Text("No deployment was looked at.")
    return Fitting([_candidate(each) for each in found], _CANDIDATE, ("revision", "why"), header=False)


_CANDIDATE = ("verdict", "deployment", "created", "revision", "known by", "served", "why")


def _candidate(each: Mapping[str, Any]) -> dict[str, Any]:
    verdict = str(each.get("rejection") or "CHOSEN")
    return {
        "verdict": text(verdict, "green" if verdict == "CHOSEN" else "yellow"),
        "deployment": each.get("deployment_id"),
        "created": short(each.get("created_at")),
        "revision": each.get("revision"),
        "known by": each.get("content_known_by", ""),
        "served": life(each.get("served_seconds"), each.get("alarms_meanwhile")),
        "why": each.get("explanation", ""),
    }


def _also(head: Mapping[str, Any]) -> Iterator[RenderableType]:
    rest = further(head)
    if rest:
        yield _heading("Also recorded")
        yield _grid(rest.items())


def _next(story: Story, approve_until: str) -> Iterator[RenderableType]:
    rollback_id = harmless(story.head.get("rollback_id", ""))
    if story.head.get("phase") == "AWAITING_APPROVAL":
        until = f" until {short(approve_until)} UTC" if approve_until else ""
        yield _heading(f"It waits for approval{until}")
        yield whole(f"  lastgood approve {rollback_id}")
        yield whole(f"  lastgood reject {rollback_id} --reason …")
    elif story.open:
        yield whole(f"\nIt is open. Follow it with: lastgood audit show {rollback_id} --watch")


def _links(found: Mapping[str, str]) -> Iterator[RenderableType]:
    widest = max((len(name) for name in found), default=0)
    for name, address in found.items():
        yield whole((f"  {name:<{widest}}  ", "dim"), (address, f"link {address}"))


def _heading(words: str) -> Text:
    return Text(f"\n{words}", style="bold")


def _grid(rows: Any) -> Table:
    table = grid(2)
    for name, value in rows:
        table.add_row(Text(f"  {str(name).replace('_', ' ')}", style="dim"), text(value))
    return table
