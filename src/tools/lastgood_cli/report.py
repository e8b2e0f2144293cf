"""`lastgood report`: one self-contained page about a period: figures, timeline, outcomes, times, each rollback's story.

The page needs no network and no script, and escapes every text: alarm names, reasons and revisions come from strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from math import ceil
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lastgood import links
from lastgood.ledger import read_rollback
from lastgood.model import Candidate, Outcome, Phase, Rollback
from lastgood.text import clean
from lastgood_cli.context import Session
from lastgood_cli.figures import rank
from lastgood_cli.output import text
from lastgood_cli.problems import Exit, Problem
from lastgood_cli.records import Story, Wanted
from lastgood_cli.when import checked, life, since_until, span

TEMPLATE = "report.html.jinja"
MOST_LANES = 12
MOST_STORIES = 500
LONGEST_TEXT = 2000

OPEN = "OPEN"
KINDS: Mapping[str, str] = {
    Outcome.ROLLED_BACK: "rolled back",
    Outcome.FAILED: "failed",
    Outcome.BLOCKED: "blocked",
    Outcome.SKIPPED: "skipped",
    Outcome.DRY_RUN: "dry run",
    OPEN: "open",
}
"""Every kind of rollback that the page knows, in the order of its legend, with its word."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One rollback with its steps as they are stored, and addresses in the console by what they show."""

    rollback: Rollback
    steps: Sequence[Mapping[str, Any]] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    suspect_commit: str = ""
    good_commit: str = ""
    recorded: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, what: str, moment: str) -> float | None:
        """Seconds until `what` (`stop`, …) was reached: as recorded, else from the alarm or request to that moment."""
        at: datetime | None = attrgetter(moment)(self.rollback)
        if what in self.recorded or at is None:
            return self.recorded.get(what)
        began = self.rollback.trigger.alarm_changed_at or self.rollback.opened_at
        return max(0.0, (at - began).total_seconds())

    @property
    def kind(self) -> str:
        """Its outcome, or OPEN."""
        return str(self.rollback.outcome or OPEN)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long one thing took: median, nine of ten, worst; every value in seconds, and its place on the axis in %."""

    name: str
    about: str
    values: tuple[float, ...]
    longest: float

    @property
    def marks(self) -> tuple[tuple[str, float], ...]:
        """(what, seconds) of the figures that people compare; none without values."""
        if not self.values:
            return ()
        return (("median", rank(self.values, 0.5)), ("p90", rank(self.values, 0.9)), ("worst", self.values[-1]))

    def place(self, seconds: float) -> float:
        """The position of a value on the common axis, in per cent."""
        return round(100 * seconds / self.longest, 2) if self.longest else 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One rollback on the timeline: its place in per cent of the period."""

    rollback_id: str
    kind: str
    place: float
    tip: str


# --- pure: figures ---------------------------------------------------------------------------------------------------


MEASURED = (
    ("Stop", "the failing deployment has ended", "stop", "progress.stopped_at"),
    ("Redeploy", "the redeployment is created", "redeploy", "progress.redeployed_at"),
    ("Live", "the last good revision is proven live", "verify", "verified_at"),
    ("Recover", "the alarm is OK again", "recover", "progress.alarm_recovered_at"),
)
"""What is timed: its name and meaning in the page, its name in the record, the moment that ends it."""


def spreads(chapters: Sequence[Chapter]) -> tuple[Spread, ...]:
    """How long it took to stop, to redeploy, to be live, and to recover, where it worked; on one axis."""
    done = [c for c in chapters if c.rollback.outcome is Outcome.ROLLED_BACK]
    measured = []
    for name, about, what, moment in MEASURED:
        taken = (chapter.seconds(what, moment) for chapter in done)
        measured.append((name, about, tuple(sorted(seconds for seconds in taken if seconds is not None))))
    longest = max((values[-1] for _, _, values in measured if values), default=0.0)
    return tuple(Spread(name, about, values, longest) for name, about, values in measured)


def ticks(longest: float) -> tuple[tuple[float, str], ...]:
    """A handful of round durations for an axis from nothing to `longest` seconds: (place in %, label)."""
    if longest <= 0:
        return ()
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
    step = next((s for s in steps if longest / s <= 6), 604800 * ceil(longest / 604800 / 6))
    return tuple((round(100 * step * n / longest, 2), span(step * n)) for n in range(int(longest // step) + 1))


def outcomes(stories: Sequence[Chapter]) -> tuple[tuple[str, str, int, float], ...]:
    """(kind, word, count, share in %) of every kind that happened."""
    counts = {kind: sum(story.kind == kind for story in stories) for kind in KINDS}
    total = len(stories) or 1
    return tuple((k, KINDS[k], n, round(100 * n / total, 2)) for k, n in counts.items() if n)


def reasons(stories: Sequence[Chapter]) -> tuple[tuple[str, str, int], ...]:
    """(reason, kind, count) of everything that was not a rollback, most frequent first."""
    found: dict[tuple[str, str], int] = {}
    for story in stories:
        if story.rollback.outcome in {Outcome.ROLLED_BACK, None}:
            continue
        key = (str(story.rollback.reason_code or "?"), story.kind)
        found[key] = found.get(key, 0) + 1
    return tuple((reason, kind, n) for (reason, kind), n in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def lanes(stories: Sequence[Chapter], since: datetime, until: datetime) -> tuple[tuple[str, tuple[Mark, ...]], ...]:
    """The timeline: (deployment group, its marks), the busiest groups first; the rest share a lane."""
    ordered = sorted(stories, key=lambda s: s.rollback.group.key)
    groups = [(key, list(each)) for key, each in groupby(ordered, key=lambda s: s.rollback.group.key)]
    groups.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    shown, rest = groups[:MOST_LANES], [story for _, each in groups[MOST_LANES:] for story in each]
    if rest:
        shown.append((f"{len(groups) - MOST_LANES} other groups", rest))
    length = max((until - since).total_seconds(), 1.0)
    return tuple((_lane_name(key), tuple(_mark(story, since, length) for story in each)) for key, each in shown)


def _lane_name(key: str) -> str:
    return "no deployment group" if key == "/" else key


def _mark(story: Chapter, since: datetime, length: float) -> Mark:
    rollback = story.rollback
    place = 100 * (rollback.opened_at - since).total_seconds() / length
    tip = f"{minute(rollback.opened_at)} {_lane_name(rollback.group.key)}: {KINDS[story.kind]}"
    if rollback.reason_code and rollback.outcome is not Outcome.ROLLED_BACK:
        tip += f" ({rollback.reason_code})"
    return Mark(rollback.rollback_id, story.kind, round(min(max(place, 0.0), 100.0), 2), tip)


def days(since: datetime, until: datetime) -> tuple[tuple[float, str], ...]:
    """Day ticks for the timeline: (place in %, label), some six of them at midnight UTC, or every few hours."""
    length = (until - since).total_seconds()
    if length <= 0:
        return ()
    if length < 2 * 86_400:
        step, form = timedelta(hours=max(1, round(length / 3600 / 6))), "%H:%M"
        first = since.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    else:
        step, form = timedelta(days=max(1, ceil(length / 86_400 / 6))), "%-d %b"
        first = since.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found = []
    while first <= until:
        found.append((round(100 * (first - since).total_seconds() / length, 2), first.strftime(form)))
        first += step
    return tuple(found)


def minute(moment: datetime | None) -> str:
    """`2026-11-23 10:04`, in UTC; empty for None."""
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""


def chain(rollback: Rollback) -> tuple[tuple[str, datetime, str], ...]:
    """The moments of a rollback in order: (name, time, time since it began)."""
    named = (
        ("alarm", rollback.trigger.alarm_changed_at),
        ("opened", rollback.opened_at),
        ("stop asked", rollback.progress.stop_requested_at),
        ("stopped", rollback.progress.stopped_at),
        ("redeployed", rollback.progress.redeployed_at),
        ("proven live", rollback.verified_at),
        ("alarm OK", rollback.progress.alarm_recovered_at),
        ("closed", rollback.closed_at if rollback.outcome is not Outcome.ROLLED_BACK else None),
    )
    moments = sorted(((name, at) for name, at in named if at is not None), key=lambda pair: pair[1])
    start = moments[0][1]
    return tuple((name, at, f"+{span((at - start).total_seconds())}") for name, at in moments)


def gist(chapter: Chapter) -> str:
    """A rollback in one line: for one that worked, from what to what and how fast; for others, why."""
    rollback = chapter.rollback
    if rollback.outcome is not Outcome.ROLLED_BACK or not rollback.choice.good_revision:
        return rollback.explanation
    text = f"{rollback.choice.suspect_revision or 'What was live'} went back to {rollback.choice.good_revision}"
    live, healed = chapter.seconds("verify", "verified_at"), chapter.seconds("recover", "progress.alarm_recovered_at")
    if live is not None:
        text += (
            f", proven live {span(live)} after {'the alarm' if rollback.trigger.alarm_changed_at else 'the request'}"
        )
    if healed is not None:
        text += f"; the alarm was OK after {span(healed)}"
    return text + "."


# --- the page --------------------------------------------------------------------------------------------------------


def page(stories: Sequence[Chapter], since: datetime, until: datetime, *, source: str = "", made_at: datetime) -> str:
    """The whole page as HTML. `source` says where the records come from; times are in UTC."""
    newest_first = sorted(stories, key=lambda s: s.rollback.opened_at, reverse=True)
    rollbacks = [story.rollback for story in newest_first]
    times = spreads(newest_first)
    made: str = _template().render(
        stories=newest_first[:MOST_STORIES],
        total=len(newest_first),
        left_out=max(0, len(newest_first) - MOST_STORIES),
        since=since,
        until=until,
        made_at=made_at,
        source=source,
        outcomes=outcomes(newest_first),
        reasons=reasons(newest_first),
        lanes=lanes(newest_first, since, until),
        days=days(since, until),
        spreads=times,
        time_ticks=ticks(max(each.longest for each in times)),
        rolled_back=[r for r in rollbacks if r.outcome is Outcome.ROLLED_BACK],
        failed=[r for r in rollbacks if r.outcome is Outcome.FAILED],
        refused=[r for r in rollbacks if r.outcome in {Outcome.SKIPPED, Outcome.BLOCKED}],
        open_now=[r for r in rollbacks if r.phase is not Phase.CLOSED],
        adopted=[r for r in rollbacks if r.progress.adopted and r.outcome is Outcome.ROLLED_BACK],
        called=[r for r in rollbacks if r.needs_human],
    )
    return made


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        kinds=KINDS, minute=minute, chain=chain, seconds_text=span, chosen=_chosen, gist=gist, life=life
    )
    return environment.get_template(TEMPLATE)


def _harmless(value: Any) -> Any:
    """Every text that the template prints, without control and direction characters; Jinja escapes the rest."""
    return clean(value, LONGEST_TEXT) if isinstance(value, str) else value


def _chosen(candidate: Candidate) -> bool:
    return candidate.rejection is None


# --- the command ------------------------------------------------------------------------------------------------------


def chapter(story: Story, region: str, table: str) -> Chapter:
    """A stored story as a chapter of the page."""
    head = story.head
    commits = {name: str(head.get(name) or "") for name in ("suspect_commit", "good_commit")}
    prefix = "seconds_to_"
    recorded = {name.removeprefix(prefix): float(head[name]) for name in head if name.startswith(prefix)}
    return Chapter(read_rollback(head), story.steps, links.of_record(region, table, head), **commits, recorded=recorded)


@click.command()
@since_until("30d")
@click.option("--application", "-a", default="", help="Only this application; may be a glob.")
@click.option("--deployment-group", "-g", default="", help="Only this deployment group; may be a glob.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.pass_obj
def report(
    session: Session, since: datetime, until: datetime, application: str, deployment_group: str, out: Path
) -> None:
    """Write one page about a period: figures, timeline, outcomes, times, and each rollback's story.

    The page needs no network and no script: send it, print it, read it on a phone.

    \b
    lastgood report --since 30d --out report.html
    lastgood report --since 2026-11-01 --application shop --out shop.html
    """
    checked(since, until)
    with session.err.status("Reading the audit table") as status:
        wanted = Wanted(application, deployment_group)
        heads = list(session.records.rollbacks(since, until, wanted, lambda what: status.update(f"Reading {what}")))
        told = [session.records.story(str(head["rollback_id"])) for head in heads[:MOST_STORIES]]
    stories = [*told, *(Story(head) for head in heads[MOST_STORIES:])]
    chapters = [chapter(story, session.region, session.table) for story in stories]
    source = f"the table {session.table} in {session.region}"
    made = page(chapters, since, until, source=source, made_at=session.now)
    try:
        out.write_text(made, encoding="utf-8", errors="replace")
    except OSError as error:
        why = f"{out} cannot be written: {error.strerror}"
        raise Problem(why, "lastgood report --out FILE", Exit.USAGE) from error
    session.err.print(text(f"Rollbacks in {out}: {len(heads)}"))
