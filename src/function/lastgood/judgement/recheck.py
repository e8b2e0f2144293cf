"""Whether a record may act: a later visit believes what AWS and the group's lock say, not what the record says."""

from __future__ import annotations

from lastgood.judgement.case import Case
from lastgood.judgement.choice import select
from lastgood.judgement.steps import Decision, block
from lastgood.judgement.wording import listed
from lastgood.model import Deployment, Observation, Reason, Revision, Rollback


def without_the_lock(rollback: Rollback, seen: Observation) -> Decision | None:
    """A rollback takes its group's lock with its first write, and gives it back with its last one."""
    if seen.locked_by is None or seen.locked_by == rollback.rollback_id:
        return None
    holder = seen.locked_by or "no rollback"
    return block(
        Reason.RECORD_CONTRADICTED,
        f"The lock of {rollback.group.key} names {holder}, not {rollback.rollback_id}: this record was not written by "
        "the function alone, or the table was restored. It does nothing; look who wrote it.",
    )


def changed_since(rollback: Rollback, revision: Revision) -> str:
    """Why what goes back is no longer what was chosen, by its name or by its images; empty if it is."""
    if revision.identity != rollback.choice.good_revision:
        return revision.moves or f"it is {revision.identity} by now"
    wanted = dict(text.split("=", 1) for text in rollback.choice.good_digests)
    lost = [i.reference for i in revision.images if (wanted.get(i.container) or i.digest) != i.digest]
    return f"which image {listed(lost)} was is not known any more." if lost else ""


def choice_again(case: Case) -> Decision | None:
    """What goes back is looked at once more by what AWS says of it now; an operator may force one that is named."""
    rollback, good = case.rollback, case.seen.good
    named = rollback.trigger.force and bool(rollback.trigger.to_deployment_id)
    if named and rollback.trigger.to_deployment_id == rollback.choice.good_deployment_id:
        return None
    if not rollback.choice.suspect_deployment_id:
        return _contradicted(rollback, "the record blames no deployment")
    return _rejected(case, good) if good else None


def _rejected(case: Case, good: Deployment) -> Decision | None:
    rollback, seen = case.rollback, case.seen
    if rollback.choice.suspect_created_at and good.created_at >= rollback.choice.suspect_created_at:
        return _contradicted(rollback, f"it is not older than the suspect {rollback.choice.suspect_deployment_id}")
    suspects = [d for d in (seen.suspect,) if d is not None]
    found = select((good,), suspects, controls=seen.controls, unusable={}, lives=case.lives)
    if found.good is not None:
        return None
    return _contradicted(rollback, found.candidates[0].explanation)


def _contradicted(rollback: Rollback, why: str) -> Decision:
    return block(
        Reason.RECORD_CONTRADICTED,
        f"{rollback.choice.good_deployment_id}, which the record says goes back, is not what would be chosen: {why} "
        "Nothing is deployed.",
    )
