"""The audit table: claims, leases, versions, steps, memory, and how old or new items are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import moto.dynamodb.parsing.reserved_keywords as moto_keywords
import pytest
from moto import mock_aws

from builders import ALARM_AT, NOW, ROLLBACK_ID, at, by_operator, minutes, rollback, seconds
from lastgood.errors import LostLeaseError
from lastgood.ledger import LEASE_MARGIN, Kind, Ledger, Step, Watch, iso, parse_iso
from lastgood.model import (
    Candidate,
    ComputePlatform,
    Controller,
    Controls,
    DeploymentGroup,
    Mode,
    Outcome,
    Phase,
    Reason,
    Rejection,
    Rollback,
    TriggerKind,
)

TABLE = "audit"
SHOP = DeploymentGroup("shop", "prod")
KEYS = {
    "by_deployment_group": ("deployment_group_key", "opened_at"),
    "by_day": ("day", "opened_at"),
    "open": ("open_key", "next_check_at"),
}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        names = {"pk", "sk", *(name for pair in KEYS.values() for name in pair)}
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in sorted(names)],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": index,
                    "KeySchema": [
                        {"AttributeName": part, "KeyType": "HASH"},
                        {"AttributeName": sort, "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
                for index, (part, sort) in KEYS.items()
            ],
        )
        yield client


@pytest.fixture
def ledger(dynamodb: Any) -> Ledger:
    return Ledger(dynamodb, TABLE, timedelta(days=400))


@pytest.fixture
def table(dynamodb: Any) -> Any:
    """The table as any other reader sees it."""
    return boto3.resource("dynamodb", region_name="eu-west-1").Table(TABLE)


def step(text: str = "because", kind: Kind = Kind.NOTE, occurred: float = 1) -> Step:
    return Step(kind, "OPEN", text, at(occurred))


def opened(ledger: Ledger, record: Rollback | None = None, *, storm: bool = True) -> Rollback:
    """A rollback that is in the table, as its opener holds it."""
    record = replace(record or rollback(), step_count=1)
    assert ledger.open(record, step(), counts_for_storm=storm).kind == "opened"
    return record


def close(ledger: Ledger, record: Rollback, outcome: Outcome = Outcome.ROLLED_BACK, **more: Any) -> Rollback:
    """End it as the story does, with its notices still to be sent."""
    closed = replace(record, phase=Phase.CLOSED, outcome=outcome, closed_at=at(5), **more)
    extra = ledger.closing(closed, acted=True, watch_until=None)
    return ledger.write(record, closed, [step("done")], next_check_at=at(6), extra=extra)


def head_of(table: Any, rollback_id: str = ROLLBACK_ID) -> dict[str, Any]:
    return table.get_item(Key={"pk": f"ROLLBACK#{rollback_id}", "sk": "META"})["Item"]


def full() -> Rollback:
    """Every field has a value."""
    return rollback(
        Phase.CLOSED,
        outcome=Outcome.FAILED,
        reason_code=Reason.LIVE_DIFFERS,
        explanation="live differs",
        compute_platform=ComputePlatform.ECS,
        controller=Controller.ECS,
        alarm_arn="arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-errors",
        released_in_alarm="d-2",
        brought_back={"d-2": "rb-before"},
        evaluation_seconds=300,
        requested_by="ann",
        request_reason="errors",
        dry_run=True,
        force=True,
        to_deployment_id="d-1",
        approved_by="bob",
        rejected_by="eve",
        suspect_deployment_id="d-2",
        suspect_revision="v2",
        suspect_created_at=at(-10),
        suspect_revisions=("v2", "v3"),
        good_deployment_id="d-1",
        good_revision="v1",
        redeployed_revision="v1",
        rollback_deployment_id="d-3",
        adopted=True,
        native_rollback_asked=True,
        candidates=(
            Candidate("d-2", "v2", at(-10), Rejection.SUSPECT, "The alarm blames it."),
            Candidate("d-1", "v1", at(-600), None, "Good."),
        ),
        stop_requested_at=at(1),
        stopped_at=at(2),
        create_attempted_at=at(3),
        redeployed_at=at(4),
        verified_at=at(5),
        closed_at=at(6),
        alarm_recovered_at=at(7),
        not_recovered_at=at(9),
        looks_for_commits=True,
        pipeline="shop",
        after_rollback="rerun",
        hold_stage="Deploy",
        suspect_commit="b2" * 20,
        good_commit="a1" * 20,
        suspect_execution_id="run-2",
        good_execution_id="run-1",
        revert_command="git revert b2",
        rerun_request="{}",
        rerun_command="aws codepipeline start-pipeline-execution",
        rerun_execution_id="run-3",
        rerun_status="InProgress",
        held_at=at(5),
        release_requested_by="ann",
        released_at=at(10),
        pipeline_problem="No run is known.",
        pipeline_alert="The re-run failed.",
        followed_up=("HOLD",),
        follow_up_attempts=1,
        follow_up_at=at(11),
        needs_human=True,
        notified=("opened",),
        version=3,
        step_count=1,
        lease_owner="me",
        lease_until=at(8),
    )


# --- opening ----------------------------------------------------------------------------------------------------------


def test_every_field_of_the_record_has_a_value_in_the_example_that_is_written_and_read():
    assert [spec.name for spec in fields(Rollback) if not getattr(full(), spec.name)] == []


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
    assert (claim.kind, claim.rollback_id) == ("duplicate", ROLLBACK_ID)
    assert len(ledger.steps(ROLLBACK_ID)) == 1


def test_a_closed_rollback_is_not_opened_again_by_a_late_message(ledger):
    close(ledger, opened(ledger))
    assert ledger.open(rollback(), step(), counts_for_storm=True).kind == "duplicate"
    assert ledger.lock(SHOP).open_rollback_id == ""


def test_another_rollback_of_the_same_group_learns_who_holds_it_and_leaves_nothing_behind(ledger, table):
    opened(ledger)
    other = rollback(rollback_id="rb-other")
    claim = ledger.open(other, step(), counts_for_storm=True)
    assert (claim.kind, claim.rollback_id) == ("busy", ROLLBACK_ID)
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
    for _ in range(2):
        ledger.join(ROLLBACK_ID, "arn:alarm|10:00", {"alarm_name": "other"}, NOW)
    rows = [i for i in table.scan()["Items"] if i["sk"].startswith("SIGNAL#")]
    assert [(r["pk"], r["alarm_name"], r["signal_key"]) for r in rows] == [
        (f"ROLLBACK#{ROLLBACK_ID}", "other", "arn:alarm|10:00")
    ]
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
    assert taken.lease_owner == "you"


def test_a_lease_that_was_given_back_is_free_at_once(ledger):
    opened(ledger)
    held = ledger.lease(ROLLBACK_ID, "me", at(5), NOW)
    assert held is not None
    ledger.write(held, replace(held, lease_owner="", lease_until=None), [])
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
    written = ledger.write(record, replace(full(), version=0, step_count=1), [step("one"), step("two")])
    assert ledger.load(ROLLBACK_ID) == written
    cleared = ledger.write(written, replace(written, stopped_at=None, suspect_deployment_id="", notified=()), [])
    assert ledger.load(ROLLBACK_ID) == cleared
    assert cleared.stopped_at is None


# --- steps ------------------------------------------------------------------------------------------------------------


def test_steps_are_numbered_through_all_writes_and_read_in_order(ledger):
    record = opened(ledger)
    for first in range(1, 12, 2):
        record = ledger.write(record, record, [step(str(first)), step(str(first + 1))])
    found = ledger.steps(ROLLBACK_ID)
    assert [s["sk"] for s in found] == [f"STEP#{n:04d}" for n in range(1, 14)]
    assert [s["explanation"] for s in found] == ["because", *map(str, range(1, 13))]
    assert record.step_count == 13


def test_a_step_is_written_once_and_never_changed(ledger):
    record = opened(ledger)
    ledger.write(record, record, [step("what happened")])
    forgetful = replace(record, version=1)
    with pytest.raises(LostLeaseError):
        ledger.write(forgetful, forgetful, [step("another story")])
    assert [s["explanation"] for s in ledger.steps(ROLLBACK_ID)] == ["because", "what happened"]


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
    made = replace(made, rollback_deployment_id="NCWGC2ZR-taawPAYrIaU5")
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


def test_the_good_revision_and_an_unreadable_one_do_not_become_known_bad(ledger):
    close(ledger, opened(ledger), suspect_revisions=("v1", "", "v2"), good_revision="v1")
    assert set(ledger.controls(SHOP, NOW).known_bad) == {"v2"}


def test_a_rollback_that_could_not_go_anywhere_condemns_nothing(ledger):
    close(ledger, opened(ledger), Outcome.BLOCKED, suspect_revisions=("v2",))
    assert ledger.controls(SHOP, NOW).known_bad == {}


def test_a_rollback_that_touched_nothing_leaves_no_memory(ledger):
    record = opened(ledger)
    skipped = replace(record, phase=Phase.CLOSED, outcome=Outcome.SKIPPED, suspect_revisions=("v2",), closed_at=at(5))
    ledger.write(record, skipped, [], extra=ledger.closing(skipped, acted=False, watch_until=None))
    controls = ledger.controls(SHOP, NOW)
    assert (controls.past, controls.known_bad) == ((), {})


def test_a_revision_that_is_rolled_away_from_after_it_was_marked_good_is_bad_again(ledger):
    ledger.mark(SHOP, "v2", good=True, by="ann", why="it was the database", now=NOW)
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
    told = ledger.write(closed, replace(closed, notified=("opened", "closed")), [])
    assert ledger.due(at(9)) == []
    assert not {"open_key", "next_check_at"} & set(head_of(table))
    assert ledger.load(ROLLBACK_ID) == told


def test_a_rollback_is_watched_for_its_alarm_until_that_is_settled(ledger):
    record = opened(ledger)
    closed = replace(record, phase=Phase.CLOSED, outcome=Outcome.ROLLED_BACK, closed_at=at(5))
    extra = ledger.closing(closed, acted=True, watch_until=at(20))
    ledger.write(record, closed, [], extra=extra)
    (watch,) = ledger.watched(at(6))
    assert watch == Watch(ROLLBACK_ID, at(20), record.alarm_name)
    assert ledger.watched(at(25)) == [watch], "overdue, and still to be settled"
    ledger.settle(watch, at(7))
    assert ledger.watched(at(8)) == []


# --- what operators left ----------------------------------------------------------------------------------------------


def test_a_group_that_nobody_touched_has_no_controls(ledger):
    assert ledger.controls(SHOP, NOW) == Controls()


def test_a_pause_holds_until_it_is_resumed(ledger):
    ledger.set_control(SHOP, "PAUSE", {"requested_by": "ann", "explanation": "migration", "until": iso(at(60))})
    pause = ledger.controls(SHOP, NOW).pause_group
    assert pause is not None
    assert (pause.requested_by, pause.reason, pause.until) == ("ann", "migration", at(60))
    ledger.set_control(SHOP, "PAUSE", {"requested_by": "bob", "resumed_at": iso(NOW)})
    assert ledger.controls(SHOP, NOW).pause_group is None


def test_a_pause_of_everything_is_no_groups_pause(ledger):
    ledger.set_control(None, "PAUSE", {"requested_by": "ann", "explanation": "region is ill", "until": ""})
    everything, _ = ledger.alarmed_groups(NOW, minutes(10))
    assert everything is not None
    assert (everything.requested_by, everything.until) == ("ann", None)
    assert ledger.controls(SHOP, NOW).pause_group is None


def test_a_mode_ends_when_its_time_is_over(ledger):
    ledger.set_control(SHOP, "MODE", {"mode": "observe", "until": iso(at(60))})
    assert ledger.controls(SHOP, at(59.9)).mode is Mode.OBSERVE
    assert ledger.controls(SHOP, at(60)).mode is None
    ledger.set_control(SHOP, "MODE", {"mode": "off", "until": ""})
    assert ledger.controls(SHOP, at(9999)).mode is Mode.OFF


def test_a_floor_is_kept_until_it_is_cleared(ledger):
    ledger.set_control(SHOP, "FLOOR", {"deployment_id": "d-2", "created_at": iso(at(-9)), "explanation": "schema"})
    floor = ledger.controls(SHOP, NOW).floor
    assert floor is not None
    assert (floor.deployment_id, floor.created_at, floor.reason) == ("d-2", at(-9), "schema")
    ledger.set_control(SHOP, "FLOOR", {"cleared_at": iso(NOW)})
    ledger.set_control(SHOP, "FLOOR_CLEARED#d-7", {"cleared_at": iso(NOW)})
    controls = ledger.controls(SHOP, NOW)
    assert controls.floor is None
    assert controls.cleared_floors == frozenset({"d-7"})


def test_a_revision_that_is_marked_bad_is_bad_until_it_is_marked_good(ledger):
    ledger.mark(SHOP, "s3://b/k?v=1", good=False, by="ann", why="leaks memory", now=NOW)
    assert ledger.controls(SHOP, NOW).known_bad == {"s3://b/k?v=1": "leaks memory"}
    ledger.mark(SHOP, "s3://b/k?v=1", good=True, by="ann", why="it was not the code", now=NOW)
    controls = ledger.controls(SHOP, NOW)
    assert (controls.known_bad, controls.marked_good) == ({}, frozenset({"s3://b/k?v=1"}))
    ledger.mark(SHOP, "s3://b/k?v=1", good=False, by="ann", why="it was", now=NOW)
    controls = ledger.controls(SHOP, NOW)
    assert (controls.known_bad, controls.marked_good) == ({"s3://b/k?v=1": "it was"}, frozenset())


def test_the_controls_of_one_group_say_nothing_about_another(ledger):
    ledger.mark(SHOP, "v2", good=False, by="ann", why="x", now=NOW)
    ledger.set_control(SHOP, "MODE", {"mode": "off"})
    assert ledger.controls(DeploymentGroup("shop", "prod2"), NOW) == Controls()
    assert ledger.controls(DeploymentGroup("shop", "pro"), NOW) == Controls()


def test_more_memory_than_fits_on_one_page_is_read_whole(ledger):
    for number in range(30):
        why = "x" * 50_000
        ledger.mark(SHOP, f"v{number}", good=False, by="ann", why=why, now=NOW)
    assert len(ledger.controls(SHOP, NOW).known_bad) == 30


def test_only_groups_that_an_alarm_opened_within_the_window_count_for_the_storm(ledger):
    def at_minute(number: float, name: str, storm: bool = True) -> None:
        record = rollback(rollback_id=f"rb-{name}", deployment_group=name, opened_at=at(number))
        opened(ledger, record, storm=storm)

    at_minute(-10.1, "long-ago")
    at_minute(-9.9, "one")
    at_minute(0, "two/with/slashes")
    at_minute(0, "by-hand", storm=False)
    pause, groups = ledger.alarmed_groups(at(0), minutes(10))
    assert (pause, groups) == (None, frozenset({"shop/one", "shop/two/with/slashes"}))


# --- items of other versions ------------------------------------------------------------------------------------------


def test_attributes_that_a_newer_version_wrote_survive_a_write(ledger, table):
    record = opened(ledger)
    table.update_item(
        Key={"pk": f"ROLLBACK#{ROLLBACK_ID}", "sk": "META"},
        UpdateExpression="SET baked_at = :v",
        ExpressionAttributeValues={":v": "soon"},
    )
    close(ledger, record)
    assert head_of(table)["baked_at"] == "soon"


def rewrite(table: Any, **changes: Any) -> None:
    item = {**head_of(table), **changes}
    table.put_item(Item={k: v for k, v in item.items() if v is not None})


def test_an_item_with_few_attributes_of_an_older_version_is_readable(ledger, table):
    opened(ledger)
    required = {"pk", "sk", "rollback_id", "application", "deployment_group", "trigger_kind", "opened_at", "signal_at"}
    rewrite(table, **dict.fromkeys(set(head_of(table)) - required))
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert (found.rollback_id, found.version, found.opened_at) == (ROLLBACK_ID, 0, NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reason_code", "SOMETHING_NEW"),
        ("outcome", "SOMETHING_NEW"),
        ("compute_platform", "Kubernetes"),
        ("trigger_kind", "telepathy"),
        ("closed_at", "yesterday"),
        ("brought_back", 7),
        ("candidates", [{"deployment_id": "d-1", "created_at": "2026-03-02T10:00:00.000Z", "rejection": "NEW"}]),
    ],
)
def test_a_value_that_this_version_does_not_know_does_not_make_the_item_unreadable(ledger, table, name, value):
    opened(ledger)
    rewrite(table, **{name: value})
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert found.rollback_id == ROLLBACK_ID


@pytest.mark.parametrize("said", [None, "yesterday"])
def test_a_signal_of_which_no_time_is_known_came_when_the_rollback_was_opened(ledger, table, said):
    opened(ledger)
    assert ledger.load(ROLLBACK_ID).signal_at == ALARM_AT
    rewrite(table, signal_at=said)
    assert ledger.load(ROLLBACK_ID).signal_at == NOW


def test_a_phase_that_this_version_does_not_know_is_not_taken_for_a_fresh_start(ledger, table):
    record = opened(ledger)
    ledger.write(record, replace(record, phase=Phase.VERIFYING, rollback_deployment_id="d-3"), [])
    rewrite(table, phase="BAKING")
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert found.phase not in {Phase.CLAIMED, Phase.AWAITING_APPROVAL, Phase.STOPPING, Phase.REDEPLOYING}


def test_a_past_rollback_with_an_outcome_of_a_newer_version_still_counts(ledger, table):
    sk = f"PAST#{iso(at(-5))}#rb-new"
    table.put_item(Item={"pk": "GROUP#shop/prod", "sk": sk, "rollback_id": "rb-new", "outcome": "HALF"})
    (found,) = ledger.controls(SHOP, NOW).past
    assert (found.rollback_id, found.closed_at) == ("rb-new", at(-5))


def test_a_mode_of_a_newer_version_is_never_read_as_acting_by_itself(ledger, table):
    table.put_item(Item={"pk": "GROUP#shop/prod", "sk": "MODE", "mode": "ask-twice"})
    assert ledger.controls(SHOP, NOW).mode in {Mode.OBSERVE, Mode.OFF}


def test_kinds_of_items_that_this_version_does_not_know_are_passed_over(ledger, table):
    table.put_item(Item={"pk": "GROUP#shop/prod", "sk": "BUDGET#2026", "spent": 3})
    assert ledger.controls(SHOP, NOW) == Controls()


# --- the contract of the table ----------------------------------------------------------------------------------------

CONTRACT = """rollback_id, application, deployment_group, deployment_group_key, compute_platform, alarm_name, alarm_arn,
alarm_changed_at, trigger_kind, requested_by, phase, outcome, reason_code, explanation, suspect_deployment_id,
suspect_revision, good_deployment_id, good_revision, rollback_deployment_id, adopted, candidates, opened_at, stopped_at,
redeployed_at, verified_at, closed_at, alarm_recovered_at, expires_at, schema_version""".replace("\n", " ").split(", ")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_head_has_every_attribute_that_users_rely_on(ledger, table):
    opened(ledger, full())
    assert set(CONTRACT) <= set(head_of(table))


def test_every_time_is_text_in_utc_with_milliseconds(ledger, table):
    opened(ledger, full())
    times = {name: value for name, value in head_of(table).items() if name.endswith("_at") and name != "expires_at"}
    assert len(times) >= 11
    assert {name for name, value in times.items() if not TIME.fullmatch(value)} == set()
    assert times["opened_at"] == "2026-03-02T10:01:00.000Z"


def test_only_the_expiry_is_in_epoch_seconds_and_counts_from_the_opening(ledger, table):
    opened(ledger)
    assert head_of(table)["expires_at"] == int((NOW + timedelta(days=400)).timestamp())


def test_enums_are_stored_as_their_own_text(ledger, table):
    opened(ledger, full())
    head = head_of(table)
    assert (head["phase"], head["outcome"], head["compute_platform"]) == ("CLOSED", "FAILED", "ECS")
    assert (head["trigger_kind"], head["reason_code"]) == ("sns", "LIVE_DIFFERS")
    assert head["candidates"][0]["rejection"] == "SUSPECT"
    assert "rejection" not in head["candidates"][1]


def test_a_rollback_is_found_by_its_group_and_by_its_day(ledger, table):
    opened(ledger)
    opened(ledger, by_operator(rollback_id="rb-2", application="cart", opened_at=datetime(2026, 3, 3, tzinfo=UTC)))

    def found(index: str, name: str, value: str) -> list[str]:
        answer = table.query(
            IndexName=index, KeyConditionExpression=f"{name} = :v", ExpressionAttributeValues={":v": value}
        )
        return [row["rollback_id"] for row in answer["Items"]]

    assert found("by_deployment_group", "deployment_group_key", "shop/prod") == [ROLLBACK_ID]
    assert found("by_day", "day", "2026-03-03") == ["rb-2"]
    assert found("open", "open_key", "open") == [ROLLBACK_ID, "rb-2"]


def test_no_attribute_name_is_a_reserved_word_of_dynamodb(ledger, table):
    opened(ledger, full())
    ledger.join(ROLLBACK_ID, "key", {"alarm_name": "a", "trigger_kind": "sns"}, NOW)
    ledger.mark(SHOP, "v2", good=True, by="ann", why="x", now=NOW)
    second = opened(ledger, rollback(rollback_id="rb-2", application="cart"))
    closed = replace(second, phase=Phase.CLOSED, outcome=Outcome.FAILED, suspect_revisions=("v9",), closed_at=at(5))
    ledger.write(second, closed, [], extra=ledger.closing(closed, acted=True, watch_until=at(9)))
    names = {name for item in table.scan()["Items"] for name in item}
    reserved = set(moto_keywords.ReservedKeywords.get_reserved_keywords())
    assert "STATUS" in reserved
    # `day` is a key of the contract's index; every other name can be typed into the console as it is.
    assert {name for name in names if name.upper() in reserved} == {"day"}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (ALARM_AT, "2026-03-02T10:00:00.000Z"),
        (datetime(2026, 3, 2, 10, 0, 0, 999_999, UTC), "2026-03-02T10:00:00.999Z"),
        (datetime.fromisoformat("2026-03-02T12:00:00.5+02:00"), "2026-03-02T10:00:00.500Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds(moment, text):
    assert iso(moment) == text
    assert abs(parse_iso(text) - moment) < timedelta(milliseconds=1)


def test_an_operators_rollback_is_told_apart_from_an_alarms(ledger):
    opened(ledger, by_operator())
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert (found.trigger_kind, found.requested_by, found.alarm_changed_at) == (TriggerKind.MANUAL, "ann", None)
