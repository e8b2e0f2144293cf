"""A group that deploys several functions: which of them an alarm means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, at, native_rollback, release, running
from judging import blame, blamed
from lastgood.model import Deployment, Reach, Reason


def of(target: str, deployment: Deployment) -> Deployment:
    return replace(deployment, revision=replace(deployment.revision, target=target))


ORDERS_1 = of("orders", release("d-1", "orders:1", -900))
INVOICES_1 = of("invoices", release("d-2", "invoices:1", -800))
ORDERS_2 = of("orders", release("d-3", "orders:2", -30))


def test_the_function_that_was_released_is_blamed_alone() -> None:
    invoices = of("invoices", release("d-4", "invoices:2", -20))
    assert blamed(ORDERS_1, INVOICES_1, ORDERS_2) == ["d-3"]
    assert blamed(ORDERS_1, INVOICES_1, invoices) == ["d-4"]


def test_of_two_that_were_released_the_newer_is_blamed() -> None:
    newer, older = (of("invoices", release("d-4", "invoices:2", when)) for when in (-20, -40))
    assert blamed(ORDERS_1, INVOICES_1, ORDERS_2, newer) == ["d-4"]
    assert blamed(ORDERS_1, INVOICES_1, ORDERS_2, older) == ["d-3"]


@pytest.mark.parametrize(("ended", "undecided"), [(-5.1, False), (-5, True), (-1, True)])
def test_two_that_ended_within_one_evaluation_window_cannot_be_told_apart(ended: float, undecided: bool) -> None:
    orders = of("orders", release("d-3", "orders:2", -8, took=7))
    invoices = of("invoices", release("d-4", "invoices:2", ended - 2, took=2))
    found = blame(ORDERS_1, INVOICES_1, orders, invoices)
    assert found.undecided is undecided
    if undecided:
        assert (found.suspects, found.reason) == ((), Reason.NOT_ATTRIBUTABLE)
        assert "were released at the same time; the alarm does not say which of them is ill." in found.explanation
        assert "orders:2" in found.explanation and " and " in found.explanation and "invoices:2" in found.explanation


def test_two_that_still_run_cannot_be_told_apart_either() -> None:
    orders, invoices = of("orders", running("d-3", "orders:2", -8)), of("invoices", running("d-4", "invoices:2", -7))
    assert blame(ORDERS_1, INVOICES_1, orders, invoices).undecided


def test_what_was_only_released_again_is_as_old_as_its_first_release() -> None:
    again, invoices = of("orders", release("d-5", "orders:2", -10)), of("invoices", release("d-4", "invoices:2", -20))
    assert blamed(ORDERS_1, INVOICES_1, ORDERS_2, invoices, again) == ["d-4"]


def test_a_rollback_of_one_that_runs_now_is_watched_before_anything_older_is_blamed() -> None:
    back = of("invoices", native_rollback("d-5", "invoices:0", -1, of="d-gone", status="InProgress"))
    found = blame(ORDERS_1, INVOICES_1, ORDERS_2, back)
    assert (found.adopt, found.suspects) == (back, ())


def test_of_an_operators_rollback_the_newer_is_meant_however_close_they_are() -> None:
    orders = of("orders", release("d-3", "orders:2", -3))
    invoices = of("invoices", release("d-4", "invoices:2", -2.5))
    assert blamed(ORDERS_1, INVOICES_1, orders, invoices, alarm_at=None, requested_at=NOW) == ["d-4"]


def test_where_nothing_can_be_blamed_it_is_told_of_the_newest() -> None:
    found = blame(of("orders", release("d-1", "orders:1", -900)), INVOICES_1)
    assert (found.suspects, found.reason, found.undecided) == ((), Reason.NOT_ATTRIBUTABLE, False)
    assert "d-2" in found.explanation


def test_what_could_not_be_read_belongs_to_the_only_function_that_there_is() -> None:
    unread = release("d-9", "", -10)
    assert blamed(ORDERS_1, ORDERS_2, unread) == ["d-9"]
    back = of("orders", release("d-10", "orders:1", -2))
    assert blame(ORDERS_1, unread, back).adopt == back


def test_what_could_not_be_read_is_a_target_of_its_own_among_several_functions() -> None:
    unread = release("d-9", "", -31)
    assert blamed(ORDERS_1, INVOICES_1, ORDERS_2, unread) == ["d-3"]


def test_each_function_is_judged_by_its_own_history() -> None:
    """The release of the other one in between does not make going back to the first a change of live."""
    again = of("orders", release("d-4", "orders:1", -2))
    invoices = of("invoices", release("d-5", "invoices:2", -20))
    assert blamed(ORDERS_1, INVOICES_1, invoices, again) == ["d-5"]


# --- what came too late -----------------------------------------------------------------------------------------------

GOOD, BAD = release("d-1", "v1", -600), release("d-2", "v2", -10)


def too_late(**more: Any) -> Deployment:
    return release("d-3", "v3", 0.5, took=0.2, **more)


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_an_attempt_after_the_alarm_that_put_nothing_in_is_no_fix(status: str) -> None:
    assert blamed(GOOD, BAD, too_late(status=status)) == ["d-2"]


def test_what_users_do_not_meet_yet_may_be_the_fix() -> None:
    for reach in (None, Reach()):
        found = blame(GOOD, BAD, running("d-3", "v3", 0.5, reach=reach), now=at(60))
        assert (found.suspects, found.reason, found.seen_soon) == ((), Reason.NEWER_DEPLOYMENT, False)
        assert "It may be the fix, so it is left alone." in found.explanation


@pytest.mark.parametrize(("later", "blames"), [(6.9, []), (7, ["d-3", "d-2"])])
def test_once_users_met_it_for_one_evaluation_of_the_alarm_it_is_no_fix(later: float, blames: list[str]) -> None:
    met = too_late(reach=Reach(at(2)))
    found = blame(GOOD, BAD, met, now=at(later))
    assert [d.deployment_id for d in found.suspects] == blames
    assert found.seen_soon is not bool(blames)


def test_where_nothing_below_it_can_be_blamed_it_stays_left_alone() -> None:
    found = blame(GOOD, too_late(reach=Reach(at(2))), now=at(60))
    assert (found.reason, found.seen_soon) == (Reason.NEWER_DEPLOYMENT, False)


def test_a_group_without_a_release_is_told_as_that() -> None:
    assert blame().explanation == "The deployment group has no deployment that could be blamed."
