"""`lastgood plan` and `lastgood explain`: what would happen now, and why; and why what happened went as it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import IO, Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lastgood.clients import READS
from lastgood.judgement.steps import outcome_of
from lastgood.ledger import Ledger
from lastgood.model import AlarmPlace, Candidate, DeploymentGroup, Rollback
from lastgood.text import UnreadableError, read_json
from lastgood.times import iso
from lastgood_cli.completing import alarm_names, rollback_ids
from lastgood_cli.context import Session
from lastgood_cli.expecting import Expecting
from lastgood_cli.lookout import Lookout, Suppose
from lastgood_cli.misspelt import no_such_alarm, no_such_group
from lastgood_cli.names import group_option
from lastgood_cli.output import Fitting, Format, brief, show_rows, text
from lastgood_cli.planned import Plan, Rest
from lastgood_cli.problems import Exit, Problem
from lastgood_cli.questions import Answer, Verdict, recorded
from lastgood_cli.readonly import ReadOnlySession
from lastgood_cli.release_rest import rest_of_release
from lastgood_cli.when import life

MOST_EVENT_CHARACTERS = 1_048_576

# --- printing ---------------------------------------------------------------------------------------------------------

_VERDICT_STYLES = {Verdict.YES: "green", Verdict.NO: "bold red", Verdict.NO_TOO: "yellow", Verdict.NOT_ASKED: "dim"}


def render(plan: Plan) -> Group:
    """A plan for people."""
    style = "bold green" if plan.acts else "bold yellow"
    where = f" → {plan.group.key}" if plan.group else ""
    parts: list[Any] = [text(f"{plan.about}{where}", "dim")]
    parts += [text(said, "italic") for said in plan.suppositions]
    parts += [text(plan.headline, style), text(plan.explanation)]
    if plan.then:
        parts.append(Text.assemble(("Then: ", "bold"), brief(plan.then)))
    if plan.expects:
        parts.append(Text.assemble(("Expected: ", "bold"), plan.expects))
    if plan.release:
        parts.append(Text.assemble(("Released with it", "bold"), f", by {plan.release.joined_by}:"))
        parts.append(neighbours(plan.release))
    if plan.mode:
        floor = f"; floor {plan.floor.deployment_id} (from {plan.floor.source})" if plan.floor else ""
        parts.append(text(f"Mode {plan.mode}{floor}", "dim"))
    if plan.answers:
        parts += [Text(), questions(plan.answers)]
    if plan.candidates:
        parts += [Text(), candidates(plan.candidates, chosen=goes_back(plan))]
    return Group(*parts, Text())


def questions(given: Sequence[Answer]) -> Table:
    """The questions and how they were answered; an objection has its reason and sentence."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("", "question", "answer", "why"):
        table.add_column(name, overflow="fold")
    for number, answer in enumerate(given, start=1):
        why = f"{answer.reason}: {answer.explanation}" if answer.reason else answer.explanation
        verdict = Text(str(answer.verdict), _VERDICT_STYLES[answer.verdict])
        table.add_row(str(number), Text(answer.question), verdict, text(why))
    return table


def neighbours(release: Rest) -> Table:
    """The other groups that the release changed, and what would happen to each."""
    table = Table.grid(padding=(0, 2, 0, 2))
    for each in release.neighbours:
        table.add_row(text(each.key), text(each.told, "green" if each.goes_back else ""))
    return table


def goes_back(plan: Plan) -> bool:
    """True where the candidate with nothing against it would really go back, or did."""
    return plan.decision.good is not None if plan.decision else "ROLLED_BACK" in plan.headline


def candidates(looked_at: Sequence[Candidate], *, chosen: bool) -> Fitting:
    """Every deployment that was looked at, and why it was not chosen."""
    columns = ("deployment", "created", "revision", "known by", "served", "verdict", "why")
    return Fitting([_candidate(each, chosen) for each in looked_at], columns, ("revision", "why"))


def _candidate(candidate: Candidate, chosen: bool) -> dict[str, Any]:
    fits = Text("CHOSEN" if chosen else "would fit", "green")
    return {
        "deployment": candidate.deployment_id,
        "created": f"{candidate.created_at:%Y-%m-%d %H:%M}Z",
        "revision": candidate.revision,
        "known by": candidate.content_known_by or "",
        "served": life(candidate.served_seconds, candidate.alarms_meanwhile),
        "verdict": Text(str(candidate.rejection)) if candidate.rejection else fits,
        "why": candidate.explanation,
    }


def as_dict(plan: Plan) -> dict[str, Any]:
    """A plan for machines."""
    decision = plan.decision
    suspect = decision.suspects[0] if decision and decision.suspects else None
    return {
        "about": plan.about,
        "deployment_group_key": plan.group.key if plan.group else "",
        "acts": plan.acts,
        "action": str(decision.action) if decision else "",
        "outcome": str((decision and outcome_of(decision)) or ""),
        "reason": str(decision.reason) if decision else next((a.reason for a in plan.answers if a.reason), ""),
        "headline": plan.headline,
        "explanation": plan.explanation,
        "then": plan.then,
        "expected": plan.expects,
        "mode": plan.mode,
        "suspect_deployment_id": suspect.deployment_id if suspect else "",
        "suspect_revision": suspect.revision.identity if suspect else "",
        "good_deployment_id": decision.good.deployment_id if decision and decision.good else "",
        "good_revision": decision.good.revision.identity if decision and decision.good else "",
        "floor_deployment_id": plan.floor.deployment_id if plan.floor else "",
        "release_joined_by": plan.release.joined_by if plan.release else "",
        "release_neighbours": [asdict(each) for each in plan.release.neighbours] if plan.release else [],
        "suppositions": list(plan.suppositions),
        "questions": [_answer_dict(answer) for answer in plan.answers],
        "candidates": [_candidate_dict(candidate) for candidate in plan.candidates],
    }


def _answer_dict(answer: Answer) -> dict[str, str]:
    return {
        "question": answer.question,
        "answer": str(answer.verdict),
        "reason": str(answer.reason),
        "explanation": answer.explanation,
    }


def _candidate_dict(candidate: Candidate) -> dict[str, Any]:
    return {
        "deployment_id": candidate.deployment_id,
        "created_at": iso(candidate.created_at),
        "revision": candidate.revision,
        "rejection": str(candidate.rejection or ""),
        "explanation": candidate.explanation,
        "served_seconds": candidate.served_seconds,
        "alarms_meanwhile": candidate.alarms_meanwhile,
        "content_known": candidate.content_known,
        "content_known_by": candidate.content_known_by,
    }


def show(session: Session, plans: Sequence[Plan]) -> None:
    """Print plans in the form that is asked for."""
    if session.output is Format.TABLE:
        for plan in plans:
            session.out.print(render(plan))
        return
    show_rows(session.out, session.output, [as_dict(plan) for plan in plans], COLUMNS)


COLUMNS = (
    "about",
    "deployment_group_key",
    "acts",
    "action",
    "outcome",
    "reason",
    "explanation",
    "suspect_deployment_id",
    "good_deployment_id",
    "good_revision",
)


# --- the commands -----------------------------------------------------------------------------------------------------


def lookout(session: Session) -> Lookout:
    """The deployed function's eyes, for one command."""
    return Lookout(session.aws, session.environ, session.now, session.region)


def read_event(source: IO[str]) -> object:
    """A saved Lambda event. Raises Problem where it is no JSON."""
    try:
        return read_json(source.read(), MOST_EVENT_CHARACTERS)
    except (UnreadableError, UnicodeDecodeError) as error:
        what = "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise Problem(f"The event cannot be read: {what}", "lastgood events list", Exit.USAGE) from error


@click.command()
@click.argument("alarm", default="", shell_complete=alarm_names)
@group_option("Instead of an alarm: a deployment group.")
@click.option(
    "--event",
    "-e",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Instead of an alarm: a saved event; - is stdin.",
)
@click.option(
    "--suppose/--no-suppose",
    default=None,
    help="Suppose that the alarm fires now. By default only where ALARM is not firing.",
)
@click.pass_obj
def plan(
    session: Session, alarm: str, group: DeploymentGroup | None, event: IO[str] | None, suppose: bool | None
) -> Exit | None:
    """Say what would happen now, and why. Nothing is done, and nothing is written.

    The plan goes the way of a real event, through the same code and with the function's own settings.

    \b
    lastgood plan shop-prod-error-rate
    lastgood plan --group shop/prod
    lastgood plan --event events/manual-dry-run.json
    """
    if sum(map(bool, (alarm, group, event))) != 1:
        raise click.UsageError("Name one of ALARM, --group or --event.")
    supposed = {None: None, True: Suppose.ALWAYS, False: Suppose.NEVER}[suppose]
    saved = read_event(event) if event else None
    described: list[dict[str, Any]] = []
    with lookout(session) as eyes, session.err.status("Looking at AWS"):
        if event:
            plans = eyes.for_event(saved, supposed or Suppose.NEVER)
        elif group:
            if eyes.exists(group) is False:
                raise no_such_group(session, group)
            plans = (eyes.for_group(group),)
        else:
            described = [_known_alarm(eyes, alarm)]
            plans = eyes.for_alarm(described[0], supposed or Suppose.WHERE_NEEDED)
        expecting = Expecting(ReadOnlySession(session.aws), eyes.settings.attribution_window)
        plans = tuple(
            replace(each, expects=expecting.of(each.group, described).told, release=rest_of_release(eyes, each))
            if each.group
            else each
            for each in plans
        )
    show(session, plans)
    return None


def _known_alarm(eyes: Lookout, name: str) -> dict[str, Any]:
    alarm = eyes.described(name)
    if alarm is None:
        raise no_such_alarm(eyes.clients.cloudwatch_at(AlarmPlace.of(name)), name)
    return alarm


@click.command()
@click.argument("rollback_id", default="last", metavar="[ID]", shell_complete=rollback_ids)
@click.pass_obj
def explain(session: Session, rollback_id: str) -> Exit | None:
    """Say why a rollback that happened went as it did: every question with its answer, every candidate.

    ID may be the ending of an id; without it, the newest rollback is explained.

    \b
    lastgood explain
    lastgood explain rb-20261123T100412345Z-0123456789ab
    """
    rollback_id = session.named(rollback_id)
    ledger = Ledger(ReadOnlySession(session.aws).client("dynamodb", config=READS), session.table, timedelta())
    rollback = ledger.load(rollback_id)
    if rollback is None:
        raise Problem(f"There is no rollback {rollback_id}", "lastgood audit list --since 7d", Exit.NOT_FOUND)
    show(session, [explained(rollback)])
    return None


def explained(rollback: Rollback) -> Plan:
    """A recorded rollback in the shape of a plan."""
    about = (
        f"the alarm {rollback.trigger.alarm_name}"
        if rollback.trigger.alarm_name
        else f"the request of {rollback.trigger.requested_by}"
    )
    ended = str(rollback.outcome or f"open, {rollback.phase}")
    return Plan(
        f"{rollback.rollback_id}, {about}",
        f"{ended} ({rollback.reason_code})" if rollback.reason_code else ended,
        rollback.explanation,
        recorded(rollback),
        rollback.group,
        candidates=rollback.choice.candidates,
    )
