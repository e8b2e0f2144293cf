"""What an operator does by hand, through the deployed function: the same guards apply, the same record is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from lastgood.model import Controller, DeploymentGroup, Mode
from lastgood.signals import Home, Refusal, parse
from lastgood_cli.context import Session
from lastgood_cli.names import GROUP
from lastgood_cli.output import Format, as_json, harmless, show_one, text, write
from lastgood_cli.problems import Exit, Problem
from lastgood_cli.status import code_of, wait_for
from lastgood_cli.when import Span

# The function has a minute. One attempt: a second one would be a second request.
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=75)

type Event = dict[str, Any]


# --- asking the function ---


def send(session: Session, event: Event, *, question: str, yes: bool, show_only: bool) -> Event | None:
    """Ask the function, after the operator has said yes. Returns its answer; None where nothing was sent.

    Raises Problem where the request is wrong, where nobody can be asked, and where the function refuses or fails.
    """
    _check(event)
    if show_only:
        write(session.out, as_json(event))
        session.err.print("Nothing was sent. This event is what the function would get.")
        return None
    _confirm(session, question, yes)
    with session.err.status("The function is working"):
        answer = invoke(session, event)
    if "refused" in answer:
        told = f"The function refused it: {answer.get('explanation', '')}"
        raise Problem(told, "lastgood audit list --since 7d", Exit.REFUSED)
    return answer


def _check(event: Event) -> None:
    """The function's own parser looks at the request first: what it would refuse is not sent."""
    for found in parse(event, Home(), datetime.now(UTC)):
        if isinstance(found, Refusal):
            raise Problem(found.message, f"{click.get_current_context().command_path} --help", Exit.USAGE)


def _confirm(session: Session, question: str, yes: bool) -> None:
    if yes:
        return
    if not session.interactive:
        raise Problem("Nobody can be asked here, so nothing was done", "the same with --yes", Exit.USAGE)
    if not click.confirm(f"{harmless(question)} ({session.function} in {session.region})", err=True):
        raise Problem("Nothing was done", "", Exit.REFUSED)


def invoke(session: Session, event: Event) -> Event:
    """Invoke the function and wait. Returns the first result. Raises Problem where there is none."""
    client = session.aws.client("lambda", config=PATIENT)
    try:
        answer = client.invoke(FunctionName=session.function, Payload=json.dumps(event).encode())
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


# --- options that all have ---


_SHOW_ONLY = "Show what would be asked of the function, and ask nothing."


def asked[F: Callable[..., Any]](*, reason: bool = True, dry_run: str = _SHOW_ONLY) -> Callable[[F], F]:
    """The options of everything that changes something: `--reason`, `--as`, `--yes`, `--dry-run`."""

    def decorate(command: F) -> F:
        command = click.option("--dry-run", is_flag=True, help=dry_run)(command)
        command = click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")(
            command
        )
        command = click.option("--as", "who", default="", help="Who asks. [default: who AWS says you are]")(command)
        return click.option("--reason", "-r", required=reason, default=None if reason else "", help="Why; recorded.")(
            command
        )

    return decorate


def waiting[F: Callable[..., Any]](command: F) -> F:
    """The options `--wait` and `--timeout`."""
    command = click.option("--timeout", type=Span(), default="30m", show_default=True, help="How long --wait waits.")(
        command
    )
    return click.option("--wait", is_flag=True, help="Wait for the outcome, and exit by it.")(command)


def _names(group: DeploymentGroup | None) -> Event:
    if group is None:
        return {}
    if group.controller is Controller.ECS:
        return {"ecs_service": f"{group.application}/{group.deployment_group}"}
    return {"application": group.application, "deployment_group": group.deployment_group}


def _said(session: Session, who: str, reason: str) -> Event:
    return {"requested_by": session.requested_by(who), **({"reason": reason} if reason else {})}


def _finish(session: Session, answer: Event | None, wait: bool, timeout: timedelta) -> int:
    """Show the answer about a rollback, wait for its outcome if asked, and say how to exit."""
    if answer is None:
        return Exit.DONE
    if wait and not answer.get("outcome"):
        session.err.print(text(answer.get("explanation", "")))
        return wait_for(session, str(answer.get("rollback_id", "")), timeout)
    show_answer(session, answer)
    # Under way is what was asked for; `status` is there for more.
    return code_of(answer) if answer.get("outcome") else Exit.DONE


def _do(session: Session, event: Event, question: str, yes: bool, dry_run: bool) -> None:
    answer = send(session, event, question=question, yes=yes, show_only=dry_run)
    if answer is not None:
        show_answer(session, answer)


# --- rollbacks ---


@click.command()
@click.argument("group", type=GROUP, metavar="APPLICATION/GROUP")
@click.option("--to", "to", default="", metavar="DEPLOYMENT-ID", help="Go back to what this deployment deployed.")
@click.option("--force", is_flag=True, help="Overrule pauses, the mode and the floor; recorded.")
@waiting
@asked(dry_run="Let the function decide and record it, and touch nothing.")
@click.pass_obj
def rollback(
    session: Session,
    group: DeploymentGroup,
    to: str,
    force: bool,
    wait: bool,
    timeout: timedelta,
    reason: str,
    who: str,
    yes: bool,
    dry_run: bool,
) -> int:
    """Roll a deployment group back to its last good revision.

    \b
    lastgood rollback shop/prod --dry-run --reason "would it work?"
    lastgood rollback shop/prod --reason "orders get lost" --wait
    lastgood rollback ecs:production/shop --reason "a service that ECS itself deploys"
    """
    event: Event = {"action": "rollback", **_names(group), **_said(session, who, reason)}
    event |= {
        name: value for name, value in (("to_deployment_id", to), ("force", force), ("dry_run", dry_run)) if value
    }
    question = f"Roll back {group.key}{' to ' + to if to else ''}{', overruling the guards' if force else ''}?"
    answer = send(session, event, question=question, yes=yes or dry_run, show_only=False)
    code = _finish(session, answer, wait, timeout)
    return Exit.DONE if dry_run and code == Exit.DRY_RUN else code


@click.command()
@click.argument("rollback_id")
@waiting
@asked(reason=False)
@click.pass_obj
def approve(
    session: Session,
    rollback_id: str,
    wait: bool,
    timeout: timedelta,
    reason: str,
    who: str,
    yes: bool,
    dry_run: bool,
) -> int:
    """Let a rollback that waits for approval go on. Everything is checked again first."""
    event = {"action": "approve", "rollback_id": rollback_id, **_said(session, who, reason)}
    answer = send(session, event, question=f"Approve {rollback_id}?", yes=yes, show_only=dry_run)
    return _finish(session, answer, wait, timeout)


@click.command()
@click.argument("rollback_id")
@asked()
@click.pass_obj
def reject(session: Session, rollback_id: str, reason: str, who: str, yes: bool, dry_run: bool) -> None:
    """Close a rollback that waits for approval; nothing is touched."""
    event = {"action": "reject", "rollback_id": rollback_id, **_said(session, who, reason)}
    _do(session, event, f"Reject {rollback_id}?", yes, dry_run)


# --- the stop signs ---

_GROUP_OR_ALL = click.argument("group", type=GROUP, required=False, metavar="[APPLICATION/GROUP]")
_UNTIL = click.option("--until", default="", help="A duration such as 2h, or a time. Without it: until changed.")


@click.command()
@_GROUP_OR_ALL
@_UNTIL
@asked()
@click.pass_obj
def pause(
    session: Session, group: DeploymentGroup | None, until: str, reason: str, who: str, yes: bool, dry_run: bool
) -> None:
    """Stop all rollbacks, or those of one deployment group, from the next decision on.

    \b
    lastgood pause --reason "AWS has trouble in us-east-1" --until 2h
    lastgood pause shop/prod --reason "load test" --until 2h
    """
    event: Event = {"action": "pause", **_names(group), **_said(session, who, reason)}
    event |= {"until": until} if until else {}
    what = group.key if group else "EVERYTHING"
    _do(session, event, f"Pause {what}{' for ' + until if until else ' until resumed'}?", yes, dry_run)


@click.command()
@_GROUP_OR_ALL
@asked()
@click.pass_obj
def resume(session: Session, group: DeploymentGroup | None, reason: str, who: str, yes: bool, dry_run: bool) -> None:
    """Take a pause back: that of everything, or that of one deployment group."""
    event = {"action": "resume", **_names(group), **_said(session, who, reason)}
    _do(session, event, f"Resume {group.key if group else 'EVERYTHING'}?", yes, dry_run)


@click.command()
@click.argument("group", type=GROUP, metavar="APPLICATION/GROUP")
@click.argument("mode", type=click.Choice([each.value for each in Mode]))
@_UNTIL
@asked()
@click.pass_obj
def mode(
    session: Session,
    group: DeploymentGroup,
    mode: str,
    until: str,
    reason: str,
    who: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Say how far lastgood goes by itself for a deployment group.

    \b
    auto     it rolls back
    approve  it plans, and asks
    observe  it decides and records, and never acts
    off      it does nothing
    """
    event: Event = {"action": "set_mode", **_names(group), "mode": str(mode), **_said(session, who, reason)}
    event |= {"until": until} if until else {}
    _do(session, event, f"Set {group.key} to {mode}{' for ' + until if until else ''}?", yes, dry_run)


@click.command()
@click.argument("group", type=GROUP, metavar="APPLICATION/GROUP")
@asked()
@click.pass_obj
def release(session: Session, group: DeploymentGroup, reason: str, who: str, yes: bool, dry_run: bool) -> None:
    """Open the pipeline's stage that a rollback of this deployment group holds.

    A transition that somebody else disabled stays as it is.
    """
    event = {"action": "release", **_names(group), **_said(session, who, reason)}
    _do(session, event, f"Release the pipeline of {group.key}?", yes, dry_run)


# --- what may be deployed again ---


@click.group()
def floor() -> None:
    """The oldest deployment that may be redeployed, because a database change cannot go back further."""


@click.group()
def mark() -> None:
    """Say that a revision is good or bad, whatever the alarms say."""


def _about_deployment(parent: click.Group, name: str, action: str, question: str, about: str) -> None:
    """A command about one deployment of a group: `floor set`, `floor clear`, `mark good`, `mark bad`."""

    @parent.command(name, help=about)
    @click.argument("group", type=GROUP, metavar="APPLICATION/GROUP")
    @click.argument("deployment_id")
    @asked()
    @click.pass_obj
    def command(
        session: Session,
        group: DeploymentGroup,
        deployment_id: str,
        reason: str,
        who: str,
        yes: bool,
        dry_run: bool,
    ) -> None:
        event = {"action": action, **_names(group), "deployment_id": deployment_id, **_said(session, who, reason)}
        _do(session, event, question.format(deployment=deployment_id, group=group.key), yes, dry_run)


_about_deployment(
    floor,
    "set",
    "set_floor",
    "Never redeploy to {group} what is older than {deployment}?",
    "From now on nothing older than this deployment is redeployed.",
)
_about_deployment(
    floor,
    "clear",
    "clear_floor",
    "Let {group} go back past {deployment} again?",
    "This deployment is no longer a floor, whoever made it one.",
)
_about_deployment(
    mark,
    "good",
    "mark_good",
    "Mark what {deployment} deployed to {group} as good?",
    "What this deployment deployed may be chosen again.",
)
_about_deployment(
    mark,
    "bad",
    "mark_bad",
    "Mark what {deployment} deployed to {group} as bad?",
    "What this deployment deployed is never chosen again.",
)
