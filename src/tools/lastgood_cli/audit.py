"""`lastgood audit`: ask the audit table what happened, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import RenderableType

from lastgood.errors import SettingsError
from lastgood.model import Outcome
from lastgood_cli.completing import rollback_ids
from lastgood_cli.context import Session
from lastgood_cli.figures import Statistics, statistics
from lastgood_cli.misspelt import unknown_names
from lastgood_cli.options import Family
from lastgood_cli.output import Fitting, Format, as_csv, as_json, as_table, grid, show_rows, text, write
from lastgood_cli.overview import approval
from lastgood_cli.problems import Exit, Problem
from lastgood_cli.records import Record, Story, Wanted
from lastgood_cli.story import Moment as Line
from lastgood_cli.story import alarm_since, as_data, as_page, moment_row, timeline
from lastgood_cli.when import Span, checked, counted, short, since_until, span

COLUMNS = ("opened_at", "deployment_group_key", "outcome", "reason_code", "rollback_id", "explanation")
WIDE = (
    "application",
    "deployment_group",
    "phase",
    "alarm_name",
    "alarm_changed_at",
    "trigger_kind",
    "requested_by",
    "suspect_deployment_id",
    "suspect_revision",
    "suspect_commit",
    "good_deployment_id",
    "good_revision",
    "good_commit",
    "rollback_deployment_id",
    "adopted",
    "stopped_at",
    "redeployed_at",
    "verified_at",
    "closed_at",
    "alarm_recovered_at",
    "needs_human",
    "approved_by",
    "rejected_by",
    "forced",
    "request_reason",
)
SHOWN = ("opened_at", "deployment_group_key", "outcome", "reason_code", "rollback_id", "alarm", "explanation")
"""The columns of the table for people; `alarm` says what became of it."""
EVERY = click.option("--every", type=Span(), default="5s", show_default=True, help="How often --watch looks.")


def filters[F: Callable[..., Any]](command: F) -> F:
    """The options that say which rollbacks are meant."""
    outcomes = click.Choice([each.value for each in Outcome], case_sensitive=False)
    command = click.option("--open", "open_only", is_flag=True, help="Only those that are open.")(command)
    command = click.option("--alarm", default="", help="Only this alarm; may be a glob.")(command)
    command = click.option("--outcome", type=outcomes, multiple=True, help="Only this outcome; may be repeated.")(
        command
    )
    command = click.option("--deployment-group", "-g", default="", help="Only this deployment group; may be a glob.")(
        command
    )
    command = click.option(
        "--application", "-a", default="", help="Only this application; may be a glob. Of ECS services: ecs:CLUSTER."
    )(command)
    return since_until()(command)


def wanted(given: dict[str, Any]) -> Wanted:
    """The values of `filters`' options."""
    names = ("application", "deployment_group", "alarm", "open_only")
    return Wanted(outcomes=frozenset(map(str, given["outcome"])), **{name: given[name] for name in names})


@contextmanager
def looking(session: Session) -> Iterator[Callable[[str], object]]:
    """On a terminal, says what is being read while it takes long."""
    with session.err.status("Reading the audit table") as status:
        yield lambda what: status.update(f"Reading the audit table: {text(what)}")


def read(session: Session, since: datetime, until: datetime, which: Wanted) -> list[Record]:
    """All rollbacks that are meant, newest first."""
    checked(since, until)
    with looking(session) as told:
        return list(session.records.rollbacks(since, until, which, told))


@click.group(cls=Family)
def audit() -> None:
    """What happened, and why: the audit table."""


# --- list ---


@audit.command("list")
@filters
@click.option("--limit", "-n", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--watch", is_flag=True, help="Go on, and print what is new or has changed, until Ctrl-C.")
@EVERY
@click.pass_obj
def list_(
    session: Session, /, since: datetime, until: datetime, limit: int, watch: bool, every: timedelta, **given: Any
) -> None:
    """List rollbacks, newest first.

    \b
    lastgood audit list --since 12h
    lastgood audit list --since 7d --application shop --outcome blocked --outcome failed
    lastgood --output json audit list --since 2026-11-01 --alarm 'shop-*'
    """
    which = wanted(given)
    if watch:
        return _watch_list(session, since, which, every)
    checked(since, until)
    with looking(session) as told:
        found = list(islice(session.records.rollbacks(since, until, which, told), limit + 1))
    rows = _shown(session, found[:limit])
    empty = f"No rollback from {short(since.isoformat())} to {short(until.isoformat())} UTC. More: --since 7d"
    if not found and (unknown := unknown_names(session, which.application, which.alarm)):
        empty = f"{empty}.{unknown}"
    if session.output is Format.TABLE and rows:
        session.out.print(Fitting(rows, SHOWN, SHOWN[4:]))
    else:
        show_rows(session.out, session.output, rows, COLUMNS, wide=WIDE, empty=empty)
    if len(found) > limit:
        session.err.print(text(f"There are more than {limit}. All of them: --limit 100000, or lastgood audit export"))


def _shown(session: Session, heads: Iterable[Record]) -> list[dict[str, Any]]:
    """Rows as the table shows them: times to the second. JSON and CSV get what is stored."""
    if session.output is not Format.TABLE:
        return [dict(head) for head in heads]
    return [
        {
            **head,
            "opened_at": short(head.get("opened_at")),
            "outcome": head.get("outcome") or head.get("phase"),
            "alarm": alarm_since(head, session.now),
        }
        for head in heads
    ]


def _watch_list(session: Session, since: datetime, which: Wanted, every: timedelta) -> None:
    known: dict[str, Record] = {}

    def look() -> bool:
        heads = session.records.rollbacks(since, session.now, which)
        fresh = [head for head in heads if known.get(str(head["rollback_id"])) != head]
        known.update({str(head["rollback_id"]): head for head in fresh})
        _print_lines(session, _shown(session, reversed(fresh)), first=len(known) == len(fresh))
        return True

    _repeat(session, every, look)


def _print_lines(session: Session, rows: Sequence[Record], *, first: bool) -> None:
    match session.output:
        case Format.JSON:
            for row in rows:
                write(session.out, as_json(row, indent=None))
        case Format.CSV:
            write(session.out, as_csv(rows, [*COLUMNS, *WIDE], header=first).rstrip("\n"))
        case Format.TABLE:
            if rows:
                session.out.print(Fitting(rows, SHOWN, SHOWN[4:], header=first))
    session.out.file.flush()


def _repeat(session: Session, every: timedelta, look: Callable[[], bool]) -> None:
    """Look until nothing more can come, or Ctrl-C."""
    try:
        while look():
            session.wait(max(1.0, every.total_seconds()))
    except KeyboardInterrupt:
        session.err.print("Stopped watching.")


# --- show ---


@audit.command()
@click.argument("rollback_id", default="last", metavar="[ID]", shell_complete=rollback_ids)
@click.option("--watch", is_flag=True, help="Go on with what happens next, until it is closed or Ctrl-C.")
@EVERY
@click.pass_obj
def show(session: Session, rollback_id: str, watch: bool, every: timedelta) -> None:
    """Tell one rollback as a story: timeline, candidates and why not, revisions, links.

    ID may be the ending of an id; without it, the newest rollback is told.

    \b
    lastgood audit show
    lastgood audit show rb-20261123T100412345Z-0123456789ab
    """
    rollback_id = session.named(rollback_id)
    story = session.records.story(rollback_id)
    match session.output:
        case Format.JSON:
            write(session.out, as_json(as_data(story, session.region, session.table)))
        case Format.CSV:
            steps = as_data(story, session.region, session.table)["timeline"]
            columns = ("at", "after_seconds", "who", "what", "deployment_id")
            write(session.out, as_csv(steps, columns).rstrip("\n"))
        case Format.TABLE:
            session.out.print(_page(session, story))
    if watch:
        _watch_story(session, rollback_id, set(timeline(story)), every)


def _page(session: Session, story: Story) -> RenderableType:
    until = ""
    if story.head.get("phase") == "AWAITING_APPROVAL":
        # Whoever may only read the table is told all but the time.
        with suppress(Problem, BotoCoreError, ClientError, SettingsError):
            until = approval(story.head, session.settings.approval_expiry).get("approve_until", "")
    return as_page(story, session.region, session.table, session.now, until)


def _watch_story(session: Session, rollback_id: str, told: set[Line], every: timedelta) -> None:
    def look() -> bool:
        story = session.records.story(rollback_id)
        for moment in timeline(story):
            if moment in told:
                continue
            told.add(moment)
            table = grid(4)
            table.add_row(*moment_row(moment))
            session.out.print(table)
        session.out.file.flush()
        return story.open

    _repeat(session, every, look)


# --- export ---


@audit.command()
@filters
@click.option("--steps", is_flag=True, help="With each rollback's steps; JSON lines only.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--out", "-O", type=click.File("w", encoding="utf-8", lazy=True), default="-", help="A file.")
@click.pass_obj
def export(
    session: Session, /, since: datetime, until: datetime, steps: bool, form: str, out: Any, **given: Any
) -> int | None:
    """Export rollbacks, newest first: JSON lines with every attribute, or CSV safe for spreadsheets.

    \b
    lastgood audit export --since 90d --format csv --out rollbacks.csv
    lastgood audit export --since 30d --steps | jq 'select(.outcome == "FAILED")'
    """
    if steps and form == "csv":
        raise Problem("--steps needs JSON lines", "lastgood audit export --steps --format jsonl", Exit.USAGE)
    heads = read(session, since, until, wanted(given))
    if form == "csv":
        out.write(as_csv(heads, [*COLUMNS, *WIDE]))
    for head in heads if form == "jsonl" else []:
        more = {"steps": list(session.records.story(str(head["rollback_id"])).steps)} if steps else {}
        out.write(as_json({**head, **more}, indent=None) + "\n")
    out.flush()
    session.err.print(text(f"{counted(len(heads), 'rollback')} exported."))
    return None


# --- stats ---


@audit.command()
@filters
@click.pass_obj
def stats(session: Session, /, since: datetime, until: datetime, **given: Any) -> None:
    """Count rollbacks by outcome and reason; times from the alarm to the stop, the redeployment, the recovery.

    \b
    lastgood audit stats --since 30d
    lastgood audit stats --since 90d --application shop --deployment-group prod
    """
    found = statistics(read(session, since, until, wanted(given)))
    match session.output:
        case Format.JSON:
            write(session.out, as_json(stats_data(found)))
        case Format.CSV:
            write(session.out, as_csv(_time_rows(found), _TIME_COLUMNS).rstrip("\n"))
        case Format.TABLE:
            _print_stats(session, found)


_TIME_COLUMNS = ("time_to", "count", "median", "p90", "worst", "worst_rollback_id")


def stats_data(found: Statistics) -> dict[str, Any]:
    """The statistics for programs; times in seconds."""
    reasons = [{"outcome": o, "reason_code": r, "count": n} for (o, r), n in found.reasons.items()]
    return {
        "total": found.total,
        "needs_human": found.needs_human,
        "outcomes": dict(found.outcomes),
        "reasons": reasons,
        "seconds": {row["time_to"]: row for row in _time_rows(found)},
    }


def _time_rows(found: Statistics) -> list[dict[str, Any]]:
    return [
        dict(
            zip(_TIME_COLUMNS, (name, s.count, s.median, s.p90, s.worst, s.worst_rollback_id), strict=True),
        )
        for name, s in found.times.items()
    ]


def _print_stats(session: Session, found: Statistics) -> None:
    session.out.print(f"{counted(found.total, 'rollback')}, {found.needs_human} of them called for people.")
    if not found.total:
        return
    rows = [{"outcome": o, "reason_code": r, "count": n} for (o, r), n in found.reasons.items()]
    session.out.print()
    session.out.print(as_table(rows, ("outcome", "reason_code", "count")))
    times = [{**row, **{key: span(row[key]) for key in ("median", "p90", "worst")}} for row in _time_rows(found)]
    if times:
        session.out.print()
        session.out.print(as_table(times, _TIME_COLUMNS))
