"""The follow-ups for the pipeline, once the rollback itself was advanced and people notified. They can fail nothing."""

from __future__ import annotations

from datetime import datetime

from lastgood.draft import Draft
from lastgood.errors import LastgoodError
from lastgood.model import Rollback
from lastgood.parts import Parts
from lastgood.pipelines.follow_ups import FollowUps, is_due
from lastgood.rollbacks.leases import Leases
from lastgood.rollbacks.others import Opens, Others
from lastgood.rollbacks.telling import Telling


def follow_up(parts: Parts, leases: Leases, rollback: Rollback, deadline: datetime, opens: Opens) -> Rollback:
    """Do what is due for the pipeline, and notify people. Returns the rollback as it is then."""
    if not is_due(rollback, parts.clock()):
        return rollback
    try:
        brings = Others(parts, opens).follow
        followed = leases.holding(rollback.rollback_id, lambda leased: FollowUps(parts, leased, deadline, brings).run())
    except LastgoodError as error:
        parts.telemetry.failed("follow_up", error, rollback_id=rollback.rollback_id)
        return rollback
    if followed is None:
        return rollback
    draft = Draft(parts.ledger, parts.clock, followed)
    Telling(parts, draft).finish()
    return draft.rollback
