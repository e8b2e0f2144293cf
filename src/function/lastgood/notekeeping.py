"""Notes what each release contained when it has ended, in the notebook that later rollbacks read.

It comes after everything else that an event leads to, and a failure here is only logged: the sweep tries again, and
without a note a rollback relies on AWS alone.
"""

from __future__ import annotations

from datetime import datetime

from lastgood.deployers.protocol import Deployer
from lastgood.model import Deployment, DeploymentGroup, GroupFacts, Note, Revision, around
from lastgood.parts import Parts
from lastgood.routing import is_allowed, named_groups

EACH_GROUP_EVERY = 10
"""Minutes between two of the sweep's looks at one group for releases that were not noted."""


class Notekeeping:
    """Keeps the notebook of every group."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def ended(self, group: DeploymentGroup, deployment_id: str = "") -> None:
        """Note a deployment that ended well, as an event says; without an id, the group's newest."""
        try:
            self._note(group, deployment_id)
        except Exception as error:
            # A note is only a help: failing to write it must not keep anything else from being done.
            self._parts.telemetry.failed("notebook", error, deployment_group=group.key)

    def catch_up(self) -> None:
        """The sweep's turn: look at one of the groups that the settings name, because an event may have been lost."""
        groups = named_groups(self._parts.settings)
        minute = int(self._parts.clock().timestamp()) // 60
        turn = minute % max(EACH_GROUP_EVERY, len(groups))
        if turn < len(groups):
            self.ended(groups[turn])

    def _note(self, group: DeploymentGroup, deployment_id: str) -> None:
        if not is_allowed(group, self._parts.settings):
            return
        deployer = self._parts.deployer_for(group, None)
        facts = deployer.facts()
        wanted = deployment_id or (facts.last_successful_id if facts else "")
        notes = self._parts.ledger.notebook.read(group) if wanted else []
        if facts is None or not wanted or any(note.deployment_id == wanted for note in notes):
            return
        ended = deployer.deployment(wanted)
        if ended is not None and ended.status == "Succeeded" and (ended.is_release or ended.is_rollback):
            self._write(group, _note_of(ended, deployer, facts, notes), notes)

    def _write(self, group: DeploymentGroup, note: Note, notes: list[Note]) -> None:
        notebook, now = self._parts.ledger.notebook, self._parts.clock()
        older, _ = around(notes, note.created_at)
        if notebook.write(group, note, now) and older is not None:
            notebook.ended(group, older, note.created_at, note.deployment_id)


def _note_of(deployment: Deployment, deployer: Deployer, facts: GroupFacts, notes: list[Note]) -> Note:
    older, newer = around(notes, deployment.created_at)
    holds = deployer.contents(deployment)
    until: datetime | None = newer.created_at if newer else None
    return Note(
        deployment.deployment_id,
        deployment.created_at,
        deployment.revision.identity,
        _content(holds),
        holds.images,
        served_from=deployment.completed_at,
        served_until=until,
        replaced=older.deployment_id if older else "",
        replaced_by=newer.deployment_id if newer else "",
    )


def _content(holds: Revision) -> str:
    """An object by its version or ETag, by which it can be fetched again; anything else by its digest, if any."""
    named = "" if holds.moves else holds.identity
    return named if holds.kind == "S3" else holds.digest or named
