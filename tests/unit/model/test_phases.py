"""Which phase of a rollback may follow which."""

from __future__ import annotations

import pytest

from builders import rollback
from lastgood.model import NEXT_PHASES, Phase


def reachable(start: Phase) -> set[Phase]:
    found: set[Phase] = set()
    waiting = [start]
    while waiting:
        phase = waiting.pop()
        waiting += NEXT_PHASES[phase] - found
        found |= NEXT_PHASES[phase]
    return found


def test_every_phase_says_what_may_follow_and_only_the_last_is_final():
    assert NEXT_PHASES.keys() == set(Phase)
    assert [phase for phase in Phase if not NEXT_PHASES[phase]] == [Phase.CLOSED]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.CLOSED])
def test_every_open_rollback_can_be_closed_from_where_it_is(phase):
    assert rollback(phase).changed(phase=Phase.CLOSED).phase is Phase.CLOSED


def test_every_phase_is_reached_from_the_first():
    assert reachable(Phase.CLAIMED) | {Phase.CLAIMED} == set(Phase)


def test_the_only_ways_back_are_a_stop_without_effect_and_somebody_elses_rollback_that_put_nothing_back():
    order = list(Phase)
    back = {(a, b) for a in Phase for b in NEXT_PHASES[a] if order.index(b) < order.index(a)}
    of_a_stop = {(Phase.REDEPLOYING, Phase.STOPPING)}
    of_an_adopted_rollback = {(Phase.VERIFYING, Phase.CLAIMED), (Phase.VERIFYING, Phase.STOPPING)}
    assert back == of_a_stop | of_an_adopted_rollback


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.CLOSED, Phase.STOPPING),
        (Phase.VERIFYING, Phase.REDEPLOYING),
        (Phase.AWAITING_APPROVAL, Phase.CLAIMED),
        (Phase.CLAIMED, Phase.REDEPLOYING),
    ],
)
def test_a_phase_that_may_not_follow_is_refused(before, after):
    with pytest.raises(ValueError, match=f"cannot go from {before} to {after}"):
        rollback(before).changed(phase=after)


def test_what_else_changes_leaves_the_phase_alone():
    closed = rollback(Phase.CLOSED).changed(notified=("closed",))
    assert (closed.phase, closed.bookkeeping.notified) == (Phase.CLOSED, ("closed",))
