"""The audit table: claims, leases, versions, steps, and the memory of what was rolled away from."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from builders import NOW, ROLLBACK_ID, at, rollback, seconds
from lastgood.draft import Draft
from lastgood.errors import LostLeaseError, RetryableError
from lastgood.ledger import LEASE_MARGIN, Busy, Duplicate, Kind, Step, Watch
from lastgood.model import (
    Controller,
    Outcome,
    Phase,
    Reason,
    Rollback,
    Trigger,
    TriggerKind,
)
from lastgood.rollbacks.joining import answer_joined, join
from table_rows import SHOP, close, full, head_of, opened, rewrite, step

# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_rollback_that_was_opened_is_read_back_as_it_was_written(ledger):
    for record in (full(), replace(rollback(), rollback_id="rb-small", deployment_group="other")):
        ledger.open(record, step(), counts_for_storm=False)
        assert ledger.load(record.rollback_id) == record


def test_there_is_no_rollback_of_an_unknown_id(ledger):
    assert ledger.load("rb-none") is None
    assert ledger.lease("rb-none", "me", at(5), NOW) is None


def test_the_same_rollback_opened_twice_is_one(ledger):
    opened(ledger)
    claim = ledger.open(rollback(), step("again"), counts_for_storm=True)
    assert claim == Duplicate()
    assert len(ledger.steps(ROLLBACK_ID)) == 1


def test_a_closed_rollback_is_not_opened_again_by_a_late_message(ledger):
    close(ledger, opened(ledger))
    assert ledger.open(rollback(), step(), counts_for_storm=True) == Duplicate()
    assert ledger.lock(SHOP).open_rollback_id == ""


def test_another_rollback_of_the_same_group_learns_who_holds_it_and_leaves_nothing_behind(ledger, table):
    opened(ledger)
    other = rollback(rollback_id="rb-other")
    claim = ledger.open(other, step(), counts_for_storm=True)
    assert claim == Busy(ROLLBACK_ID)
    assert ledger.load("rb-other") is None
    assert ledger.steps("rb-other") == []


def test_another_group_is_not_held_up(ledger):
    opened(ledger)
    assert opened(ledger, rollback(rollback_id="rb-other", deployment_group="staging"))


def test_a_signal_that_opens_nothing_is_recorded_closed_without_holding_the_group(ledger):
    record = rollback(Phase.CLOSED, outcome=Outcome.SKIPPED, reason_code=Reason.UNROUTED_ALARM, closed_at=at(1))
    ledger.record(record, step())
    ledger.record(record, step("a second delivery"))
    assert ledger.load(ROLLBACK_ID) == record
    assert [s["explanation"] for s in ledger.steps(ROLLBACK_ID)] == ["because"]
    assert ledger.lock(SHOP).open_rollback_id == ""


def test_a_recorded_signal_is_still_due_until_its_notice_is_out(ledger):
    record = rollback(Phase.CLOSED, outcome=Outcome.SKIPPED, reason_code=Reason.UNROUTED_ALARM, closed_at=at(1))
    ledger.record(record, step())
    assert ledger.due(at(10)) == [ROLLBACK_ID]


def test_a_message_that_joins_a_rollback_is_kept_beside_it_once(ledger, table):
    opened(ledger)
    joining = Rollback.opened("rb-joining", SHOP, Trigger(TriggerKind.SNS, NOW, alarm_name="other"), NOW)
    for _ in range(2):
        ledger.join(ROLLBACK_ID, "arn:alarm|10:00", joining, NOW)
    rows = [i for i in table.scan()["Items"] if i["sk"].startswith("SIGNAL#")]
    assert [(r["pk"], r["alarm_name"], r["signal_key"]) for r in rows] == [
        (f"ROLLBACK#{ROLLBACK_ID}", "other", "arn:alarm|10:00")
    ]
    assert ledger.joined(ROLLBACK_ID) == [("arn:alarm|10:00", joining)]
    assert ledger.load(ROLLBACK_ID) is not None


# --- leases and versions ----------------------------------------------------------------------------------------------


def test_a_lease_keeps_others_away_and_its_holder_may_take_it_again(ledger):
    opened(ledger)
    assert ledger.lease(ROLLBACK_ID, "me", at(5), NOW) is not None
    assert ledger.lease(ROLLBACK_ID, "you", at(5), at(4)) is None
    assert ledger.lease(ROLLBACK_ID, "me", at(6), at(4)) is not None


def test_a_lease_ends_a_margin_after_its_holders_deadline_because_clocks_differ(ledger):
    opened(ledger)
    ledger.lease(ROLLBACK_ID, "me", at(5), NOW)
    assert seconds(30) == LEASE_MARGIN
    assert ledger.lease(ROLLBACK_ID, "you", at(9), at(5) + seconds(29)) is None
    taken = ledger.lease(ROLLBACK_ID, "you", at(9), at(5) + seconds(31))
    assert taken is not None
    assert taken.bookkeeping.lease_owner == "you"


def test_a_lease_that_was_given_back_is_free_at_once(ledger):
    opened(ledger)
    held = ledger.lease(ROLLBACK_ID, "me", at(5), NOW)
    assert held is not None
    ledger.write(held, held.changed(lease_owner="", lease_until=None), [])
    assert ledger.lease(ROLLBACK_ID, "you", at(5), NOW) is not None


def test_a_holder_whose_lease_was_taken_over_can_no_longer_write(ledger):
    opened(ledger)
    mine = ledger.lease(ROLLBACK_ID, "me", at(2), NOW)
    assert mine is not None
    yours = ledger.lease(ROLLBACK_ID, "you", at(9), at(5))
    assert yours is not None
    with pytest.raises(LostLeaseError):
        ledger.write(mine, replace(mine, phase=Phase.STOPPING), [step("stale")])
    assert ledger.write(yours, replace(yours, phase=Phase.REDEPLOYING), [step("fresh")]).phase is Phase.REDEPLOYING
    assert [s["explanation"] for s in ledger.steps(ROLLBACK_ID)] == ["because", "fresh"]


def test_of_two_writers_of_the_same_version_one_loses_and_leaves_no_step(ledger):
    record = opened(ledger)
    ledger.write(record, replace(record, phase=Phase.STOPPING), [step("first")])
    with pytest.raises(LostLeaseError):
        ledger.write(record, replace(record, phase=Phase.VERIFYING), [step("second")])
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert found.phase is Phase.STOPPING
    assert [s["explanation"] for s in ledger.steps(ROLLBACK_ID)] == ["because", "first"]


def test_what_is_written_is_what_is_read(ledger):
    record = opened(ledger)
    written = ledger.write(record, full().changed(version=0, step_count=1), [step("one"), step("two")])
    assert ledger.load(ROLLBACK_ID) == written
    cleared = ledger.write(written, written.changed(stopped_at=None, suspect_deployment_id="", notified=()), [])
    assert ledger.load(ROLLBACK_ID) == cleared
    assert cleared.progress.stopped_at is None


# --- steps ------------------------------------------------------------------------------------------------------------


def test_steps_are_numbered_through_all_writes_and_read_in_order(ledger):
    record = opened(ledger)
    for first in range(1, 12, 2):
        record = ledger.write(record, record, [step(str(first)), step(str(first + 1))])
    found = ledger.steps(ROLLBACK_ID)
    assert [s["sk"] for s in found] == [f"STEP#{n:04d}" for n in range(1, 14)]
    assert [s["explanation"] for s in found] == ["because", *map(str, range(1, 13))]
    assert record.bookkeeping.step_count == 13


def test_a_step_is_written_once_and_never_changed(ledger):
    record = opened(ledger)
    ledger.write(record, record, [step("what happened")])
    forgetful = record.changed(version=1)
    after = ledger.write(forgetful, forgetful, [step("another story")])
    assert [s["explanation"] for s in ledger.steps(ROLLBACK_ID)] == ["because", "what happened", "another story"]
    assert after.bookkeeping.step_count == 3


def test_a_step_says_what_when_and_about_which_deployment(ledger):
    ledger.open(rollback(), Step(Kind.INTENT, "STOP", "It is running.", at(1), "d-2"), counts_for_storm=False)
    (found,) = ledger.steps(ROLLBACK_ID)
    assert (found["kind"], found["step_name"], found["explanation"]) == ("intent", "STOP", "It is running.")
    assert (found["occurred_at"], found["deployment_id"]) == ("2026-03-02T10:01:00.000Z", "d-2")
    assert found["rollback_id"] == ROLLBACK_ID


# --- the end ----------------------------------------------------------------------------------------------------------


def test_closing_frees_the_group_and_says_who_held_it_last(ledger):
    close(ledger, opened(ledger))
    lock = ledger.lock(SHOP)
    assert (lock.open_rollback_id, lock.last_rollback_id) == ("", ROLLBACK_ID)
    assert opened(ledger, rollback(rollback_id="rb-next"))


def test_nobody_closes_a_group_that_another_rollback_holds(ledger):
    mine = opened(ledger)
    impostor = replace(mine, rollback_id="rb-other", phase=Phase.CLOSED, outcome=Outcome.FAILED, closed_at=at(5))
    with pytest.raises(LostLeaseError):
        ledger.write(
            mine, replace(mine, phase=Phase.STOPPING), [], extra=ledger.closing(impostor, acted=False, watch_until=None)
        )
    assert ledger.lock(SHOP).open_rollback_id == ROLLBACK_ID


def test_a_rollback_that_acted_is_remembered_with_its_end_and_outcome(ledger):
    close(ledger, opened(ledger), Outcome.BLOCKED)
    (found,) = ledger.controls(SHOP, NOW).past
    assert (found.rollback_id, found.closed_at, found.outcome) == (ROLLBACK_ID, at(5), Outcome.BLOCKED)


def test_a_past_rollback_names_the_deployment_that_it_created(ledger):
    """ECS's deployments carry no marker: this is how the next visit knows which of them were lastgood's own."""
    before = opened(ledger)
    made = replace(before, phase=Phase.CLOSED, outcome=Outcome.ROLLED_BACK, closed_at=at(5))
    made = made.changed(rollback_deployment_id="NCWGC2ZR-taawPAYrIaU5")
    ledger.write(before, made, [], extra=ledger.closing(made, acted=True, watch_until=None))
    (found,) = ledger.controls(SHOP, NOW).past
    assert found.rollback_deployment_id == "NCWGC2ZR-taawPAYrIaU5"


def test_the_controller_is_kept_and_code_deploy_where_none_is_written(ledger, table):
    service = replace(opened(ledger), rollback_id="rb-service", controller=Controller.ECS)
    ledger.open(service, Step(Kind.NOTE, "OPEN", "", NOW), counts_for_storm=False)
    found = ledger.load("rb-service")
    assert found is not None and found.group == replace(SHOP, controller=Controller.ECS)
    assert ledger.lock(found.group).open_rollback_id == "rb-service"
    rewrite(table, controller=None)
    assert ledger.load(ROLLBACK_ID).group == SHOP


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.FAILED])
def test_every_revision_that_was_rolled_away_from_is_known_bad(ledger, outcome):
    close(ledger, opened(ledger), outcome, suspect_revisions=("v3", "v2"), good_revision="v1")
    controls = ledger.controls(SHOP, NOW)
    assert set(controls.known_bad) == {"v2", "v3"}
    assert ROLLBACK_ID in controls.known_bad["v2"]


@pytest.mark.parametrize("count", [99, 250])
def test_a_rollback_ends_however_many_revisions_it_rolled_away_from(ledger, count):
    """DynamoDB takes a hundred writes at once."""
    revisions = tuple(f"v{number}" for number in range(count))
    close(ledger, opened(ledger), suspect_revisions=(*revisions, "good"), good_revision="good")
    assert set(ledger.controls(SHOP, NOW).known_bad) == set(revisions)
    assert ledger.load(ROLLBACK_ID).outcome is Outcome.ROLLED_BACK
    assert ledger.lock(SHOP).open_rollback_id == ""


def test_the_good_revision_and_an_unreadable_one_do_not_become_known_bad(ledger):
    close(ledger, opened(ledger), suspect_revisions=("v1", "", "v2"), good_revision="v1")
    assert set(ledger.controls(SHOP, NOW).known_bad) == {"v2"}


def test_a_rollback_that_could_not_go_anywhere_condemns_nothing(ledger):
    close(ledger, opened(ledger), Outcome.BLOCKED, suspect_revisions=("v2",))
    assert ledger.controls(SHOP, NOW).known_bad == {}


def test_a_rollback_that_touched_nothing_leaves_no_memory(ledger):
    record = opened(ledger)
    skipped = record.changed(phase=Phase.CLOSED, outcome=Outcome.SKIPPED, suspect_revisions=("v2",), closed_at=at(5))
    ledger.write(record, skipped, [], extra=ledger.closing(skipped, acted=False, watch_until=None))
    controls = ledger.controls(SHOP, NOW)
    assert (controls.past, controls.known_bad) == ((), {})


def test_a_revision_that_is_rolled_away_from_after_it_was_marked_good_is_bad_again(ledger):
    ledger.mark_revision(SHOP, "v2", good=True, by="ann", why="it was the database", now=NOW)
    close(ledger, opened(ledger), suspect_revisions=("v2",), good_revision="v1")
    controls = ledger.controls(SHOP, NOW)
    assert set(controls.known_bad) == {"v2"}
    assert controls.marked_good == frozenset()


# --- the sweep --------------------------------------------------------------------------------------------------------


def test_an_open_rollback_is_due_at_once_and_then_when_it_said(ledger):
    record = opened(ledger)
    assert ledger.due(NOW) == [ROLLBACK_ID]
    ledger.write(record, record, [], next_check_at=at(3))
    assert ledger.due(at(2.9)) == []
    assert ledger.due(at(3)) == [ROLLBACK_ID]


def test_the_longest_waiting_comes_first_and_no_more_than_asked_for(ledger):
    for number in (3, 1, 2):
        opened(ledger, rollback(rollback_id=f"rb-{number}", deployment_group=f"g{number}", opened_at=at(number)))
    assert ledger.due(at(9)) == ["rb-1", "rb-2", "rb-3"]
    assert ledger.due(at(9), limit=2) == ["rb-1", "rb-2"]


def test_a_closed_rollback_stays_due_until_its_notices_are_out(ledger, table):
    closed = close(ledger, opened(ledger))
    assert ledger.due(at(9)) == [ROLLBACK_ID]
    told = ledger.write(closed, closed.changed(notified=("opened", "closed")), [])
    assert ledger.due(at(9)) == []
    assert not {"open_key", "next_check_at"} & set(head_of(table))
    assert ledger.load(ROLLBACK_ID) == told


def test_a_rollback_is_watched_for_its_alarm_until_that_is_settled(ledger):
    record = opened(ledger)
    closed = replace(record, phase=Phase.CLOSED, outcome=Outcome.ROLLED_BACK, closed_at=at(5))
    extra = ledger.closing(closed, acted=True, watch_until=at(20))
    ledger.write(record, closed, [], extra=extra)
    (watch,) = ledger.watched(at(6))
    assert watch == Watch(ROLLBACK_ID, at(20), record.trigger.alarm_name)
    assert ledger.watched(at(25)) == [watch], "overdue, and still to be settled"
    ledger.settle(watch, at(7))
    assert ledger.watched(at(8)) == []


# --- joining ----------------------------------------------------------------------------------------------------------


def test_a_signal_that_joins_one_which_has_just_ended_without_an_act_is_sent_back_to_open_its_own(ledger):
    opened(ledger)
    joining = Rollback.opened("rb-joining", SHOP, Trigger(TriggerKind.SNS, NOW, alarm_name="other"), NOW)
    assert join(ledger, ROLLBACK_ID, joining, "other", NOW, ledger.load).rollback_id == ROLLBACK_ID
    close(ledger, ledger.load(ROLLBACK_ID), Outcome.SKIPPED, reason_code=Reason.ALARM_RECOVERED)
    assert join(ledger, ROLLBACK_ID, joining, "other", NOW, ledger.load) is None


def test_a_signal_that_joins_one_which_is_open_for_long_visits_it(ledger):
    opened(ledger, rollback(opened_at=at(0)))
    visited = []
    for minutes in (4, 6):
        joining = Rollback.opened("rb-joining", SHOP, Trigger(TriggerKind.SNS, NOW, alarm_name="other"), NOW)
        join(ledger, ROLLBACK_ID, joining, "other", at(minutes), lambda name: visited.append(name) or ledger.load(name))
    assert visited == [ROLLBACK_ID]


def test_many_signals_that_joined_are_answered_in_one_write(ledger):
    """An alarm over a fleet may bring more signals than one transaction takes."""
    alarmed = Trigger(TriggerKind.SNS, NOW, alarm_name="other")
    joining = [Rollback.opened(f"rb-joining-{n}", SHOP, alarmed, NOW) for n in range(120)]
    record = opened(ledger)
    for each in joining:
        ledger.join(ROLLBACK_ID, each.rollback_id, each, NOW)
    ended = close(ledger, record, Outcome.SKIPPED, reason_code=Reason.ALARM_RECOVERED)
    draft, answered = Draft(ledger, lambda: at(6), ended), []
    answer_joined(ledger, draft, lambda rollback, key: answered.append(rollback.rollback_id) or rollback)
    draft.save()
    assert sorted(answered) == sorted(each.rollback_id for each in joining)
    assert ledger.steps(ROLLBACK_ID)[-1]["explanation"].startswith(
        "120 other signals had joined; answered by rb-joining"
    )


# --- contention -------------------------------------------------------------------------------------------------------


@pytest.fixture
def contended(dynamodb):
    """A function after which the table refuses that many writes of single items: a transaction holds these."""
    left = [0]

    def refuse(**_):
        left[0] -= 1
        told = {"Code": "TransactionConflictException", "Message": "Transaction is ongoing for the item"}
        return (SimpleNamespace(status_code=400), {"Error": told}) if left[0] >= 0 else None

    for operation in ("UpdateItem", "PutItem"):
        dynamodb.meta.events.register(f"before-call.dynamodb.{operation}", refuse)
    return lambda times: left.__setitem__(0, times)


def test_a_write_that_meets_a_transaction_on_its_item_is_tried_again(ledger, contended):
    record = close(ledger, opened(ledger))
    contended(2)
    assert ledger.lease(ROLLBACK_ID, "me", at(9), at(8)) is not None
    contended(2)
    ledger.note_recovery(record, at(9))
    assert ledger.load(ROLLBACK_ID).progress.alarm_recovered_at == at(9)
    contended(1)
    ledger.set_control(SHOP, "PAUSE", {"explanation": "why", "requested_by": "ann"})
    assert ledger.controls(SHOP, NOW).pause_group is not None


def test_a_write_that_meets_transactions_without_end_is_no_refusal_but_comes_again_later(ledger, contended):
    opened(ledger)
    contended(50)
    with pytest.raises(RetryableError, match="contended"):
        ledger.lease(ROLLBACK_ID, "me", at(9), at(8))
