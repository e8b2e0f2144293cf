"""`lastgood doctor`: the whole chain from an alarm to the audit table: what is right, what is wrong, how to fix it.

A check that cannot be made, for want of a permission, is neither right nor wrong: it says what is missing. Everything
is only read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import click

from lastgood.errors import SettingsError
from lastgood.model import DeploymentGroup
from lastgood_cli.alarm_paths import alarm_topics
from lastgood_cli.checks import Part, healthy
from lastgood_cli.completing import alarm_names
from lastgood_cli.context import Session
from lastgood_cli.doctor.alarms import Watched, examine_alarms
from lastgood_cli.doctor.folding import as_local, folded
from lastgood_cli.doctor.function import examine_function
from lastgood_cli.doctor.groups import examine_group, examine_pipeline
from lastgood_cli.doctor.patient import Patient
from lastgood_cli.doctor.printing import Chain, rows
from lastgood_cli.doctor.table import examine_table
from lastgood_cli.doctor.topics import examine_notices, examine_topic
from lastgood_cli.lookout import Lookout
from lastgood_cli.names import group_option
from lastgood_cli.output import Format, show_rows
from lastgood_cli.problems import Exit

_FOLDED = ("Deployment groups", "{} could be rolled back now")


def examine(
    patient: Patient,
    alarm: str = "",
    group: DeploymentGroup | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[Part, ...]:
    """Every part of the chain. Without an alarm, every alarm that leads here; with a group, that group too."""
    try:
        eyes = Lookout(patient.aws, patient.environ, patient.now)
    except SettingsError:
        return (examine_function(patient, None, ()),)
    with eyes:
        progress("Looking at the alarms")
        parts, watching = examine_alarms(patient, eyes, alarm, group)
        progress("Looking at the topics, the function and the table")
        groups = list(watching)
        parts += [examine_topic(patient, topic) for topic in alarm_topics(eyes.settings)]
        parts += [*examine_notices(patient, eyes.settings), examine_function(patient, eyes, groups)]
        parts.append(examine_table(patient, eyes))
        if patient.own_table(eyes.settings).ok:
            parts += folded(list(_groups(patient, eyes, watching, progress)), *_FOLDED)
        # Otherwise whatever would be found wrong with a group has that cause.
    return tuple(parts)


def _groups(
    patient: Patient,
    eyes: Lookout,
    watching: Watched,
    progress: Callable[[str], None],
) -> Iterator[Part]:
    for number, (group, alarms) in enumerate(watching.items(), start=1):
        progress(f"Looking at {group.key} ({number} of {len(watching)})")
        yield examine_group(patient, eyes, group, alarms)
        rule = eyes.settings.pipeline_of(group)
        if rule:
            yield examine_pipeline(patient, rule, group)
    for stage, alarms in _in_their_place(eyes, watching).items():
        yield examine_group(patient, eyes, stage, alarms)


def _in_their_place(eyes: Lookout, watching: Watched) -> Watched:
    """The stages that are rolled back instead of what a stack holds, each with the alarms that would lead to it."""
    stages: Watched = {}
    for group, alarms in watching.items() if eyes.settings.find_stacks else ():
        for stage in eyes.settings.stages_of(group):
            if stage not in watching:
                stages[stage] = [*stages.get(stage, []), *alarms]
    return stages


@click.command()
@click.argument("alarm", default="", shell_complete=alarm_names)
@group_option("Also look at this deployment group.")
@click.pass_obj
def doctor(session: Session, alarm: str, group: DeploymentGroup | None) -> Exit:
    """Look at the whole chain from an alarm to the audit table, and say how to fix what is wrong.

    Without ALARM it looks at every alarm that leads to lastgood. Nothing is changed. Leaves with 1 if something is
    wrong; what could not be looked at, for want of a permission, is marked [??] and does not count.

    \b
    lastgood doctor
    lastgood doctor shop-prod-error-rate
    lastgood doctor --group shop/prod
    """
    with session.err.status("Looking at the function") as status:
        patient = Patient(session.aws, session.configuration, session.environ, session.now)
        parts = examine(patient, alarm, group, status.update)
    if os.environ.get("LASTGOOD_LOCAL_AWS"):
        parts = tuple(map(as_local, parts))
    if session.output is Format.TABLE:
        session.out.print(Chain(parts))
    else:
        show_rows(session.out, session.output, rows(parts), ["part", "check", "ok", "detail", "fix"])
    return Exit.DONE if healthy(parts) else Exit.REFUSED
