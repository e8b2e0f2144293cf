"""`lastgood status`: the state of everything, or of one rollback, also as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

from lastgood.model import Reason
from lastgood_cli import overview
from lastgood_cli.completing import rollback_ids
from lastgood_cli.context import Session
from lastgood_cli.output import Format, show_one, text
from lastgood_cli.overview import approval
from lastgood_cli.problems import Exit
from lastgood_cli.records import Story
from lastgood_cli.story import alarm_since, timeline, watched
from lastgood_cli.when import Span, span

POLL_SECONDS = 3.0

_BY_OUTCOME = {
    "ROLLED_BACK": Exit.DONE,
    "SKIPPED": Exit.SKIPPED,
    "BLOCKED": Exit.BLOCKED,
    "FAILED": Exit.FAILED,
    "DRY_RUN": Exit.DRY_RUN,
}


def code_of(result: Mapping[str, Any]) -> Exit:
    """The exit code of a rollback, from its result or its head."""
    if result.get("outcome"):
        return _BY_OUTCOME.get(str(result["outcome"]), Exit.UNEXPECTED)
    return Exit.WAITS_FOR_APPROVAL if result.get("phase") == "AWAITING_APPROVAL" else Exit.STILL_OPEN


def summary(session: Session, head: Mapping[str, Any]) -> dict[str, Any]:
    """A rollback as the function would answer it, with what became of its alarm and how it can be approved."""
    state = {"outcome": head["outcome"]} if head.get("outcome") else {"phase": head.get("phase", "")}
    names = ("application", "deployment_group", *(f"{who}_deployment_id" for who in ("suspect", "good", "rollback")))
    return {
        "rollback_id": head["rollback_id"],
        **state,
        "reason": head.get("reason_code") or Reason.IN_PROGRESS.value,
        "explanation": head.get("explanation", ""),
        **{name: head.get(name, "") for name in names},
        "alarm": alarm_since(head, session.now),
        **(approval(head, session.settings.approval_expiry) if head.get("phase") == "AWAITING_APPROVAL" else {}),
    }


def wait_for(session: Session, rollback_id: str, timeout: timedelta, *, recovered: bool = False) -> Exit:
    """Look until the rollback has an outcome or the time is over, and print each step as it comes. Then print it.

    With `recovered`, wait on until its alarm is OK again or lastgood has given that up. Returns the exit code.
    """
    began, told = session.now, 0
    with session.err.status(f"Waiting for {text(rollback_id)}"):
        while True:
            story = session.records.story(rollback_id)
            told = _tell_steps(session, story, told)
            if (not story.open and not (recovered and watched(story.head))) or session.now >= began + timeout:
                break
            session.wait(POLL_SECONDS)
    found = summary(session, story.head)
    show(session, found)
    if story.open:
        session.err.print(f"Not closed after {span(timeout.total_seconds())}.")
    return code_of(found)


def _tell_steps(session: Session, story: Story, told: int) -> int:
    """Print the steps that are new, on stderr: the outcome alone is the answer."""
    for moment in timeline(story)[told:]:
        after = f"+{span(moment.after_seconds)}" if moment.after_seconds is not None else ""
        session.err.print(text(f"{after:>12}  {moment.what}"))
    return len(timeline(story))


def show(session: Session, found: Mapping[str, Any]) -> None:
    """Print a result; a table leaves out what is empty."""
    if session.output is Format.TABLE:
        found = {name: value for name, value in found.items() if value}
    show_one(session.out, session.output, found)


@click.command()
@click.argument("rollback_id", default="", metavar="[ID]", shell_complete=rollback_ids)
@click.option("--wait", is_flag=True, help="Wait for the outcome.")
@click.option("--recovered", is_flag=True, help="With --wait: wait until its alarm is OK again, too.")
@click.option("--timeout", type=Span(), default="30m", show_default=True, help="How long --wait waits.")
@click.pass_obj
def status(session: Session, rollback_id: str, wait: bool, recovered: bool, timeout: timedelta) -> int:
    """Show the state of everything, or of one rollback, and exit by it.

    Without ID: the mode, the kill switch, pauses, deployment groups, what is open, the last sweep and drill. ID may be
    `last`, or the ending of an id. It leaves with 0 ROLLED_BACK, 10 SKIPPED, 11 BLOCKED, 12 FAILED, 13 DRY_RUN,
    20 still open, 21 waits for approval.

    \b
    lastgood status
    lastgood status last
    lastgood status rb-20261123T100412345Z-0123456789ab --wait --timeout 15m || page-somebody
    """
    if not rollback_id:
        return _overview(session)
    rollback_id = session.named(rollback_id)
    if wait:
        return wait_for(session, rollback_id, timeout, recovered=recovered)
    found = summary(session, session.records.story(rollback_id).head)
    show(session, found)
    return code_of(found)


def _overview(session: Session) -> Exit:
    with session.err.status("Looking"):
        found = overview.everything(session)
    if session.output is Format.TABLE:
        session.out.print(overview.as_page(found))
    else:
        show_one(session.out, session.output, found)
    return Exit.DONE
