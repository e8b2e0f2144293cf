"""What is asked of the function without a rollback: `lastgood drill`, `lastgood health`; and `lastgood gate`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lastgood import __version__
from lastgood.ledger.controls import read_controls
from lastgood.model import DeploymentGroup
from lastgood_cli.asking import invoke
from lastgood_cli.completing import groups
from lastgood_cli.context import Session
from lastgood_cli.names import GROUP
from lastgood_cli.output import Format, grid, show_one, text
from lastgood_cli.overview import pause_of
from lastgood_cli.plan import lookout
from lastgood_cli.problems import Exit
from lastgood_cli.proposals import must_exist
from lastgood_cli.records import LOOKS_BACK, Wanted


@click.command()
@click.pass_obj
def drill(session: Session) -> Exit:
    """Let the function try everything that a rollback would need, without one; leaves with 1 if anything is wrong.

    It tries what an alarm's group needs to be read, the table and the notification topic. People are told of problems.
    """
    with session.err.status("The function is trying"):
        found = invoke(session, {"action": "drill"})
    if session.output is not Format.TABLE:
        show_one(session.out, session.output, found)
        return Exit.DONE if found.get("drill") == "passed" else Exit.REFUSED
    session.out.print(text(f"The drill has {found.get('drill', 'not answered')}."))
    for problem in found.get("problems", ()):
        session.out.print(text(f"[NG] {problem}"))
    for warning in found.get("warnings", ()):
        session.out.print(text(f"[??] {warning}"))
    table = grid(2)
    for group in found.get("groups", ()):
        key = f"{group.get('application', '')}/{group.get('deployment_group', '')}"
        table.add_row(text(f"[OK] {key}"), text(group.get("explanation", "")))
    session.out.print(table)
    if found.get("drill") == "passed":
        return Exit.DONE
    session.err.print("What mends it: lastgood doctor")
    return Exit.REFUSED


@click.command()
@click.pass_obj
def health(session: Session) -> Exit:
    """Ask the function whether its settings are right, and which version it is; leaves with 1 if it is not well."""
    with session.err.status("Asking the function"):
        found = invoke(session, {"action": "health"})
    told = {**found, "command_version": __version__}
    if session.output is Format.TABLE:
        told = {name: value if value != [] else "none" for name, value in told.items()}
    show_one(session.out, session.output, told)
    return Exit.DONE if found.get("healthy") else Exit.REFUSED


# --- lastgood gate ---


@click.command()
@click.argument("group", type=GROUP, metavar="APPLICATION/GROUP", shell_complete=groups)
@click.option("--revision", default="", help="What is about to be released, as the record names it: is it known bad?")
@click.pass_obj
def gate(session: Session, group: DeploymentGroup, revision: str) -> Exit:
    """Say whether a pipeline may release to a deployment group now; leaves with 1 if not, and says why.

    It may not while the group or everything is paused, a rollback of it is open, or the revision is known bad.

    \b
    lastgood gate shop/prod
    lastgood gate shop/prod --revision s3://bundles/shop-42.zip
    """
    must_exist(session, group)
    objections = list(_objections(session, group, revision))
    rows = {"group": group.key, "may_release": not objections, "why_not": " ".join(objections)}
    show_one(session.out, session.output, {name: value for name, value in rows.items() if value != ""})
    return Exit.REFUSED if objections else Exit.DONE


def _objections(session: Session, group: DeploymentGroup, revision: str) -> Iterator[str]:
    with lookout(session) as eyes:
        open_id = eyes.observer.ledger.lock(group).open_rollback_id
    if open_id:
        yield f"{open_id} is open for it."
    now = session.now
    application, _, name = group.key.rpartition("/")
    for head in session.records.rollbacks(now - LOOKS_BACK, now, Wanted(application, name)):
        if head.get("deployment_group_key") == group.key and head.get("held_at") and not head.get("released_at"):
            yield f"{head['rollback_id']} holds its pipeline: lastgood release {group.key} --reason …"
    everything = {str(item["sk"]): item for item in session.records.remembered(None)}
    if pause := pause_of(everything.get("PAUSE", {}), now):
        yield f"Everything is paused by {pause['by']}: {pause['why']}."
    items = session.records.remembered(group)
    controls = read_controls(items, now)
    if controls.pause_group and controls.pause_group.holds(now):
        yield f"It is paused by {controls.pause_group.requested_by}: {controls.pause_group.reason}."
    if revision:
        yield from (
            f"{known} is known bad: {why}."
            for known, why in controls.known_bad.items()
            if known not in controls.marked_good and known.rstrip("/").endswith(revision)
        )
