"""`lastgood status`: how one rollback stands, as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

from lastgood.model import Reason
from lastgood_cli.context import Session
from lastgood_cli.output import Format, show_one, text
from lastgood_cli.problems import Exit
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


def look(session: Session, rollback_id: str) -> dict[str, Any]:
    """The rollback as the function would answer it. Raises Problem where there is none of that id."""
    head = session.records.story(rollback_id).head
    state = {"outcome": head["outcome"]} if head.get("outcome") else {"phase": head.get("phase", "")}
    names = ("application", "deployment_group", *(f"{who}_deployment_id" for who in ("suspect", "good", "rollback")))
    return {
        "rollback_id": rollback_id,
        **state,
        "reason": head.get("reason_code") or Reason.IN_PROGRESS.value,
        "explanation": head.get("explanation", ""),
        **{name: head.get(name, "") for name in names},
    }


def wait_for(session: Session, rollback_id: str, timeout: timedelta) -> Exit:
    """Look until the rollback has an outcome or the time is over, then print it. Returns the exit code."""
    until = session.now + timeout
    with session.err.status(f"Waiting for {text(rollback_id)}") as told:
        while True:
            found = look(session, rollback_id)
            if found.get("outcome") or session.now >= until:
                break
            told.update(f"Waiting for {text(rollback_id)}: {text(found.get('phase', ''))}")
            session.wait(POLL_SECONDS)
    show(session, found)
    if not found.get("outcome"):
        session.err.print(f"Not closed after {span(timeout.total_seconds())}.")
    return code_of(found)


def show(session: Session, found: Mapping[str, Any]) -> None:
    """Print a result; a table leaves out what is empty."""
    if session.output is Format.TABLE:
        found = {name: value for name, value in found.items() if value}
    show_one(session.out, session.output, found)


@click.command()
@click.argument("rollback_id")
@click.option("--wait", is_flag=True, help="Wait for the outcome.")
@click.option("--timeout", type=Span(), default="30m", show_default=True, help="How long --wait waits.")
@click.pass_obj
def status(session: Session, rollback_id: str, wait: bool, timeout: timedelta) -> int:
    """Say how a rollback stands, and exit by it.

    0 ROLLED_BACK, 10 SKIPPED, 11 BLOCKED, 12 FAILED, 13 DRY_RUN, 20 still open, 21 waits for approval.

    \b
    lastgood status rb-20261123T100412345Z-0123456789ab --wait --timeout 15m || page-somebody
    """
    if wait:
        return wait_for(session, rollback_id, timeout)
    found = look(session, rollback_id)
    show(session, found)
    return code_of(found)
