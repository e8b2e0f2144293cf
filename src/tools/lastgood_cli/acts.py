"""What an operator does by hand, through the deployed function: the same guards apply, the same record is kept.

The commands are made from the function's own table of actions. What is here is how each field is given on a command
line, and the examples in the help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import click

from lastgood.model import DeploymentGroup, Mode, Phase, Reason
from lastgood.signals import ACTIONS, GROUP, Act
from lastgood_cli import proposals
from lastgood_cli.asking import Event, send, show_answer
from lastgood_cli.completing import groups, rollback_ids
from lastgood_cli.context import Session
from lastgood_cli.names import GROUP as GROUP_NAME
from lastgood_cli.near import ID_PREFIX, nearest_id
from lastgood_cli.options import Family
from lastgood_cli.output import text
from lastgood_cli.problems import Exit, Problem
from lastgood_cli.status import code_of, wait_for
from lastgood_cli.when import Span

FAMILIES = {
    "floor": "The oldest deployment that may be redeployed, because a database change cannot go back further.",
    "mark": "Say that a revision is good or bad, whatever the alarms say.",
}
"""The first words of commands of two words, and what they are about."""

_MORE: Mapping[str, str] = {
    "rollback": """
lastgood rollback shop/prod --dry-run --reason "would it work?"
lastgood rollback shop/prod --reason "orders get lost" --wait
lastgood rollback ecs:production/shop --reason "a service that ECS itself deploys"
""",
    "pause": """
lastgood pause --reason "AWS has trouble in us-east-1" --until 2h
lastgood pause shop/prod --reason "load test" --until 2h
""",
    "set_mode": """
auto     it rolls back
approve  it plans, and asks
observe  it decides and records, and never acts
off      it does nothing
""",
    "release": "A transition that somebody else disabled stays as it is.",
}
"""What a command's help says beside the action's own sentence."""

MOST_OFFERED = 3
_SHOW_ONLY = "Show what would be asked of the function, and ask nothing."


# --- how each field is given ---


def _argument(name: str, required: bool) -> click.Argument:
    if name == "group":
        shown = "APPLICATION/GROUP" if required else "[APPLICATION/GROUP]"
        return click.Argument([name], type=GROUP_NAME, required=required, metavar=shown, shell_complete=groups)
    if name == "mode":
        # Without it the command answers what holds now.
        modes = click.Choice([each.value for each in Mode])
        return click.Argument([name], type=modes, required=False, metavar=f"[{'|'.join(modes.choices)}]")
    complete = {"shell_complete": rollback_ids} if name == "rollback_id" else {}
    return click.Argument([name], required=required, **complete)


_OPTIONS: Mapping[str, Callable[[], click.Option]] = {
    "to_deployment_id": lambda: click.Option(
        ["--to", "to_deployment_id"],
        default="",
        metavar="DEPLOYMENT-ID",
        help="Go back to what this deployment deployed.",
    ),
    "force": lambda: click.Option(
        ["--force"],
        is_flag=True,
        help="Overrule pauses, the mode, the floor, and that a rollback is never rolled back; recorded.",
    ),
    "until": lambda: click.Option(
        ["--until"], default="", help="A duration such as 2h, or a time. Without it: until changed."
    ),
}
"""The fields that are options of their own. Any other field that an action needs is an argument."""

_SAID = {"reason", "requested_by", "dry_run", *GROUP}


def _parameters(act: Act) -> Iterator[click.Parameter]:
    fields = (*act.required, *act.optional)
    if set(GROUP) <= set(fields):
        yield _argument("group", set(GROUP) <= set(act.required))
    for name in fields:
        if name not in _SAID and name not in _OPTIONS:
            yield _argument(name, name in act.required)
    yield from (make() for name, make in _OPTIONS.items() if name in fields)
    if act.awaited:
        yield click.Option(["--wait"], is_flag=True, help="Wait for the outcome, and exit by it.")
        yield click.Option(["--recovered"], is_flag=True, help="With --wait: wait until its alarm is OK again, too.")
        yield click.Option(["--timeout"], type=Span(), default="30m", show_default=True, help="How long --wait waits.")
    needed = "reason" in act.required and act.name != "set_mode"
    yield click.Option(["--reason", "-r"], required=needed, default=None if needed else "", help="Why; recorded.")
    yield click.Option(["--as", "who"], default="", help="Who asks. [default: who AWS says you are]")
    yield click.Option(["--yes", "-y"], is_flag=True, help="Do not ask; needed where there is no terminal.")
    tried = "Let the function decide and record it, and touch nothing."
    yield click.Option(["--dry-run"], is_flag=True, help=tried if "dry_run" in fields else _SHOW_ONLY)


# --- doing it ---


def _names(group: DeploymentGroup | None) -> Event:
    return dict(group.address) if group else {}


def event_of(act: Act, given: Mapping[str, Any], requested_by: str) -> Event:
    """The event for the function, from what was given on the command line, by parameter."""
    event: Event = {"action": act.name, **_names(given.get("group"))}
    for name in (*act.required, *act.optional):
        if given.get(name):
            event[name] = given[name]
    return {**event, "requested_by": requested_by}


def question_of(act: Act, given: Mapping[str, Any]) -> str:
    """The question to the operator before the function is asked; it names everything that would be done."""
    group, to, until = given.get("group"), given.get("to_deployment_id"), given.get("until")
    pieces = {
        "group": group.key if group else "EVERYTHING",
        "to_deployment_id": f" to {to}" if to else "",
        "until": f" for {until}" if until else " until changed",
        "force": ", overruling the guards" if given.get("force") else "",
    }
    return act.question.format_map({**given, **pieces})


def _run(act: Act, session: Session, **given: Any) -> int:
    if act.name == "set_mode" and not given["mode"]:
        return proposals.show_mode(session, given["group"])
    if "reason" in act.required and not given["reason"]:
        raise click.UsageError("Missing option '--reason' / '-r'.")
    dry_run = bool(given["dry_run"])
    decides = dry_run and "dry_run" in act.known
    yes = given["yes"] or decides
    if "rollback_id" in given and (not given["rollback_id"].startswith(ID_PREFIX) or _asks(session, yes, dry_run)):
        given["rollback_id"] = _meant(session, act, given["rollback_id"])
    plan = proposals.of_request(session, act, given) if act.name in proposals.LOOKED_AT and not dry_run else None
    said = proposals.in_words(session, act, given, plan) if session.interactive and not yes else ""
    answer = send(
        session,
        event_of(act, given, session.requested_by(given["who"])),
        question=f"{said}{question_of(act, given)}",
        yes=yes,
        show_only=dry_run and not decides,
    )
    if answer is None:
        return Exit.DONE
    if not act.awaited:
        show_answer(session, answer)
        return Exit.DONE
    code = _finish(session, answer, given)
    return Exit.DONE if decides and code == Exit.DRY_RUN else code


def _asks(session: Session, yes: bool, dry_run: bool) -> bool:
    """Whether the function will be asked, unless the operator says no."""
    return not dry_run and (yes or session.interactive)


def _meant(session: Session, act: Act, said: str) -> str:
    """The rollback to answer; `last` means the newest one that waits for an answer, if any does.

    Raises Problem where there is none; it names those that wait, the likeliest first.
    """
    heads = (head for head in session.records.open() if head.get("phase") == Phase.AWAITING_APPROVAL)
    waiting = [
        str(head["rollback_id"]) for head in sorted(heads, key=lambda head: str(head["opened_at"]), reverse=True)
    ]
    if said == "last" and waiting:
        return waiting[0]
    try:
        return session.named(said)
    except Problem as problem:
        if problem.exit_code is not Exit.NOT_FOUND or not waiting:
            raise
        offered = nearest_id(said, waiting) or waiting[:MOST_OFFERED]
        told = f"There is no rollback {said}; waiting for an answer: {', '.join(offered)}"
        raise Problem(told, f"lastgood {act.command} {offered[0]}", Exit.NOT_FOUND) from problem


def _finish(session: Session, answer: Event, given: Mapping[str, Any]) -> int:
    """Show the answer about a rollback, wait for its outcome if asked, and say how to exit."""
    group: DeploymentGroup | None = given.get("group")
    if given["wait"] and not answer.get("outcome"):
        session.err.print(text(answer.get("explanation", "")))
        awaited = str(answer.get("rollback_id", ""))
        return wait_for(session, awaited, given["timeout"], recovered=given["recovered"])
    show_answer(session, answer)
    if group is not None and answer.get("reason") == Reason.SUSPECT_IS_ROLLBACK:
        session.err.print(text(proposals.way_on(session, group)))
    # Under way is what was asked for; `status` is there for more.
    return code_of(answer) if answer.get("outcome") else Exit.DONE


# --- the commands ---


def _help(act: Act) -> str:
    more = _MORE.get(act.name, "")
    return f"{act.about}\n\n" + (f"\b{more}" if more.startswith("\n") else more)


def _command(act: Act) -> click.Command:
    return click.Command(
        act.command.rpartition(" ")[2],
        params=list(_parameters(act)),
        callback=click.pass_obj(partial(_run, act)),
        help=_help(act).strip(),
    )


def commands() -> dict[str, click.Command]:
    """The commands of the table of actions, by their first word."""
    made: dict[str, click.Command] = {family: Family(family, help=about) for family, about in FAMILIES.items()}
    for act in ACTIONS.values():
        family, _, word = act.command.rpartition(" ")
        if family:
            group = made[family]
            assert isinstance(group, click.Group)
            group.add_command(_command(act))
        elif word:
            made[word] = _command(act)
    return made


COMMANDS = commands()
"""Every command that asks for an action, by its first word."""
