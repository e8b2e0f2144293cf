"""What would go back next after a rollback that did not help: looked up for people, never done by itself."""

from __future__ import annotations

from lastgood.errors import LastgoodError
from lastgood.judgement.case import Case
from lastgood.model import Deployment, Rollback, Trigger, TriggerKind
from lastgood.parts import Parts


def next_older(parts: Parts, rollback: Rollback) -> Deployment | None:
    """The last good deployment before the one that was put back; None where something else was deployed since.

    The usual choice finds it, with the rollback's own deployment as the suspect.
    """
    now = parts.clock()
    trigger = Trigger(TriggerKind.MANUAL, now, force=True, dry_run=True)
    asked = Rollback.opened(rollback.rollback_id, rollback.group, trigger, now)
    try:
        seen, policy = parts.observer.look(asked, parts.settings.policy(), now, None)
    except LastgoodError as error:
        parts.telemetry.failed("next_older", error, rollback_id=rollback.rollback_id)
        return None
    case = Case(asked, seen, policy, now)
    on_top = case.attribution.suspect
    ours = on_top is not None and on_top.deployment_id == rollback.progress.rollback_deployment_id
    return case.selection.good if ours else None
