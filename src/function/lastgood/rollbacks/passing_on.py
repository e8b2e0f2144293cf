"""A pipeline's stage is rolled back instead, by a rollback of its own that is opened for the same signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lastgood.draft import Draft
from lastgood.ledger import Kind
from lastgood.model import PASSED_ON, DeploymentGroup, Rollback, parse_prefixed
from lastgood.model.record.trigger import PASSED_ON_BY
from lastgood.notices import CLOSED
from lastgood.rollbacks.opening import rollback_id


def pass_on(draft: Draft, opens: Callable[[Rollback, str], Rollback]) -> None:
    """Open the stage's rollback, if the record calls for one. Its id follows from this one's, also after a crash."""
    rollback = draft.rollback
    stage = parse_prefixed(rollback.progress.passed_on_to)
    if stage is None or PASSED_ON in rollback.bookkeeping.notified:
        return
    if not draft.vouched():
        told = "Nothing is passed on: the group's items know nothing of this rollback. Look who wrote its record."
        draft.note(Kind.NOTE, "PASS_ON", told)
        heard = tuple(kind for kind in rollback.bookkeeping.notified if kind != CLOSED)
        explanation = f"{rollback.explanation} {told}".strip()
        return draft.change(passed_on_to="", people=True, notified=heard, explanation=explanation)
    key = f"passed on|{rollback.rollback_id}"
    opened = opens(of_the_stage(rollback, stage, key), key)
    draft.note(Kind.RESULT, "PASS_ON", f"{opened.rollback_id} rolls {stage.key} back.")
    draft.change(passed_on_id=opened.rollback_id, notified=(*rollback.bookkeeping.notified, PASSED_ON))


def of_the_stage(rollback: Rollback, stage: DeploymentGroup, key: str) -> Rollback:
    """The stage's rollback. It counts as opened when this one was, so that a signal that came in time is not stale."""
    trigger = replace(
        rollback.trigger,
        routed_by=f"{PASSED_ON_BY}{rollback.rollback_id}",
        released_in_alarm="",
        to_deployment_id=rollback.progress.passed_on_run,
        only_deployment_id="",
    )
    made = Rollback.opened(rollback_id(key, stage, trigger.alarm_changed_at), stage, trigger, rollback.opened_at)
    choice = rollback.choice
    return made.changed(
        release_groups=choice.release_groups,
        release_joined_by=choice.release_joined_by,
        stack_command=choice.stack_command,
    )
