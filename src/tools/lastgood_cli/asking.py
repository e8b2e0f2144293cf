"""Asks the deployed function for one thing, after the operator has said yes, and shows its answer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from lastgood.signals import ACTIONS, Home, Refusal, parse
from lastgood_cli.context import Session
from lastgood_cli.output import Format, as_json, harmless, show_one, text, write
from lastgood_cli.problems import Exit, Problem

# The function has a minute. One attempt: a second one would be a second request.
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=75)

type Event = dict[str, Any]


def send(session: Session, event: Event, *, question: str, yes: bool, show_only: bool) -> Event | None:
    """Ask the function, after the operator has said yes. Returns its answer; None where nothing was sent.

    Raises Problem where the request is wrong, where nobody can be asked, and where the function refuses or fails.
    """
    _check(event)
    if show_only:
        write(session.out, as_json(event))
        session.err.print("Nothing was sent. This event is what the function would get.")
        return None
    confirm(session, question, yes)
    with session.err.status("The function is working"):
        answer = invoke(session, event)
    if "refused" in answer:
        told = f"The function refused it: {answer.get('explanation', '')}"
        raise Problem(told, _look_at(event), Exit.REFUSED)
    return answer


def _look_at(event: Event) -> str:
    """The command that shows why something was refused."""
    if event.get("rollback_id"):
        return f"lastgood audit show {event['rollback_id']}"
    if "application" in event or "ecs_service" in event or "pipeline" in event:
        return f"lastgood plan --group {shlex.quote(_named(event))}"
    return "lastgood status"


def _named(event: Event) -> str:
    """The group that an event names, as the command takes it."""
    if "ecs_service" in event:
        return f"ecs:{event['ecs_service']}"
    if "pipeline" in event:
        return f"pipeline:{event['pipeline']}/{event.get('stage', '')}"
    return f"{event['application']}/{event.get('deployment_group', '')}"


def _check(event: Event) -> None:
    """Check the request with the function's own parser first: what that would refuse is not sent."""
    for found in parse(event, Home(), datetime.now(UTC)):
        if isinstance(found, Refusal):
            raise Problem(found.message, f"{click.get_current_context().command_path} --help", Exit.USAGE)


def confirm(session: Session, question: str, yes: bool, where: str = "") -> None:
    """Go on only if the operator says yes, or has said so. `where`: what is asked or changed; the function if empty."""
    if yes:
        return
    if not session.interactive:
        raise Problem("Nobody can be asked here, so nothing was done", "the same with --yes", Exit.USAGE)
    said = "\n".join(harmless(line) for line in question.split("\n"))
    if not click.confirm(f"{said} ({where or f'{session.function} in {session.region}'})", err=True):
        raise Problem("Nothing was done", "", Exit.REFUSED)


def invoke(session: Session, event: Event) -> Event:
    """Invoke the function and wait. Returns the first result. Raises Problem where there is none."""
    client = session.aws.client("lambda", config=PATIENT)
    try:
        answer = client.invoke(
            FunctionName=session.function, Payload=json.dumps(event).encode(), **door(session, event)
        )
    except ReadTimeoutError as error:
        told = "The function has not answered in time; it may have done what was asked"
        raise Problem(told, "lastgood audit list --since 10m", Exit.AWS) from error
    payload = _read(answer["Payload"].read())
    if answer.get("FunctionError"):
        kind, message = payload.get("errorType", "Error"), payload.get("errorMessage", "")
        told = f"The function failed with {kind}: {message}"
        raise Problem(told, "lastgood doctor", Exit.AWS)
    results = payload.get("results")
    if not isinstance(results, list) or not results or not isinstance(results[0], dict):
        raise Problem(f"{session.function} does not answer as lastgood does", "lastgood doctor", Exit.NOT_FOUND)
    return results[0]


def door(session: Session, event: Event) -> dict[str, str]:
    """The alias that the action takes, where the stack has doors. Whoever names a function names its alias with it."""
    if session.function_option or session.parameters.get("Doors") != "true":
        return {}
    needed = ACTIONS[str(event["action"])].door
    return {"Qualifier": str(needed)} if needed else {}


def _read(payload: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def show_answer(session: Session, answer: Event) -> None:
    """Print what the function answered."""
    if session.output is not Format.TABLE:
        return show_one(session.out, session.output, answer)
    if "rollback_id" not in answer:
        return session.out.print(text(answer.get("explanation", "")))
    show_one(session.out, session.output, {name: value for name, value in answer.items() if value})
    session.err.print(text(f"Its story: lastgood audit show {answer['rollback_id']}", "dim"))
