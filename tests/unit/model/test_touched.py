"""What counts as an act on AWS: it keeps a rollback in memory, and its end answers the alarms that joined it."""

from __future__ import annotations

from typing import Any

import pytest

from builders import NOW, rollback
from lastgood.model import Outcome, Phase, Reason, answers_no_other_signal

ENDED = rollback(Phase.CLOSED, outcome=Outcome.FAILED, reason_code=Reason.DEADLINE_PASSED, closed_at=NOW)


@pytest.mark.parametrize(
    "act",
    [
        {"stop_requested_at": NOW},
        {"create_attempted_at": NOW},
        {"stack_cancel_requested_at": NOW},
        {"rollback_deployment_id": "d-9"},
    ],
    ids=lambda act: next(iter(act)),
)
def test_a_rollback_that_acted_answers_those_that_joined_it_however_it_ended(act: dict[str, Any]) -> None:
    assert answers_no_other_signal(ENDED)
    assert not answers_no_other_signal(ENDED.changed(**act))


@pytest.mark.parametrize(
    ("reason", "outcome", "speaks_for_others"),
    [
        (Reason.ALARM_RECOVERED, Outcome.SKIPPED, False),
        (Reason.ALARM_NOT_CONFIRMED, Outcome.SKIPPED, False),
        (Reason.NEWER_DEPLOYMENT, Outcome.SKIPPED, False),
        (Reason.RECORD_CONTRADICTED, Outcome.BLOCKED, False),
        (Reason.PAUSED, Outcome.SKIPPED, True),
        (Reason.BELOW_FLOOR, Outcome.BLOCKED, True),
        (Reason.APPROVAL_REJECTED, Outcome.SKIPPED, True),
    ],
)
def test_an_end_without_an_act_speaks_for_others_only_where_its_reason_is_the_groups(
    reason: Reason, outcome: Outcome, speaks_for_others: bool
) -> None:
    ended = rollback(Phase.CLOSED, outcome=outcome, reason_code=reason, closed_at=NOW)
    assert answers_no_other_signal(ended) is not speaks_for_others
