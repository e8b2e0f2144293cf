"""Whether a record may act. Later visits believe AWS and the group's lock, not the record alone."""

from __future__ import annotations

from collections.abc import Sequence

from lastgood.judgement.case import Case
from lastgood.judgement.choice import Selection, select
from lastgood.judgement.steps import Decision, block
from lastgood.judgement.wording import listed
from lastgood.model import Deployment, Observation, Reason, Revision, Rollback


def without_the_lock(rollback: Rollback, seen: Observation) -> Decision | None:
    """Block a record whose group's lock names another rollback, or none.

    A rollback takes its group's lock with its first write, and releases it with its last.
    """
    if seen.locked_by is None or seen.locked_by == rollback.rollback_id:
        return None
    holder = seen.locked_by or "no rollback"
    return block(
        Reason.RECORD_CONTRADICTED,
        f"The lock of {rollback.group.key} names {holder}, not {rollback.rollback_id}: this record was not written by "
        "the function alone, or the table was restored. It does nothing; look who wrote it.",
    )


def changed_since(rollback: Rollback, revision: Revision) -> str:
    """Why the good revision is no longer what was chosen, by its name or its images; empty if it still is."""
    if revision.identity != rollback.choice.good_revision:
        return revision.moves or f"it is {revision.identity} by now"
    wanted = dict(text.split("=", 1) for text in rollback.choice.good_digests)
    lost = [i.reference for i in revision.images if (wanted.get(i.container) or i.digest) != i.digest]
    return f"which image {listed(lost)} was is not known any more." if lost else ""


def choice_again(case: Case) -> Decision | None:
    """Check the choice once more against what AWS says now, unless an operator named the deployment with `force`."""
    rollback, good = case.rollback, case.seen.good
    named = rollback.trigger.force and bool(rollback.trigger.to_deployment_id)
    if named and rollback.trigger.to_deployment_id == rollback.choice.good_deployment_id:
        return None
    if not rollback.choice.suspect_deployment_id:
        return _contradicted(rollback, "the record blames no deployment")
    return _rejected(case, good) if good else None


def _rejected(case: Case, good: Deployment) -> Decision | None:
    rollback, history = case.rollback, case.seen.history or (good,)
    if rollback.choice.suspect_created_at and good.created_at >= rollback.choice.suspect_created_at:
        return _contradicted(rollback, f"it is not older than the suspect {rollback.choice.suspect_deployment_id}.")
    if good.deployment_id not in {d.deployment_id for d in history}:
        return _contradicted(rollback, f"{rollback.group.key} has no such deployment.")
    alone = _chosen(case, history, good.deployment_id)
    if alone.good is None:
        why = next(c.explanation for c in alone.candidates if c.deployment_id == good.deployment_id)
        return _contradicted(rollback, why)
    newer = _chosen(case, history).good if not rollback.trigger.to_deployment_id else None
    if newer is None or newer.created_at <= good.created_at or _doubtful(case, newer):
        return None
    return _contradicted(rollback, f"{newer.deployment_id} is newer, and nothing is held against it.")


def _chosen(case: Case, history: Sequence[Deployment], only: str = "") -> Selection:
    """What would be chosen now, of the whole history; or, with `only`, whether that deployment may be chosen."""
    suspects = suspects_in(case.rollback, history)
    return select(
        history,
        suspects,
        controls=case.seen.controls,
        unusable=case.seen.unusable if not only else {},
        to_deployment_id=only,
        lives=case.lives,
        # What AWS undid after the suspect was judged when the choice was made, with more facts than are read again.
        cleared={d.deployment_id for d in history if suspects and d.created_at > suspects[0].created_at},
    )


def suspects_in(rollback: Rollback, history: Sequence[Deployment]) -> list[Deployment]:
    """The deployments that the record blames, newest first: the suspect, and those it could not be told apart from."""
    newest = next((d for d in history if d.deployment_id == rollback.choice.suspect_deployment_id), None)
    if newest is None:
        return []
    oldest = rollback.choice.suspect_created_at or newest.created_at
    blamed = {*rollback.choice.suspect_revisions} - {""}
    others = (d for d in history if oldest <= d.created_at < newest.created_at and d.revision.identity in blamed)
    return [newest, *others]


def _doubtful(case: Case, newer: Deployment) -> bool:
    """Whether the newer deployment is, or may have been, unproven when the choice was made: then the choice is kept."""
    life = case.lives.served(newer)
    alarms_unknown = bool(case.rollback.trigger.alarm_name) and (life is None or life.firings is None)
    return alarms_unknown or bool(case.lives.doubt(newer))


def _contradicted(rollback: Rollback, why: str) -> Decision:
    return block(
        Reason.RECORD_CONTRADICTED,
        f"{rollback.choice.good_deployment_id}, which the record says goes back, is not what would be chosen: {why} "
        "Nothing is deployed.",
    )
