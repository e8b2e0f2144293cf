"""The head item: every field of the record, items of other versions, and the table's contract."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import moto.dynamodb.parsing.reserved_keywords as moto_keywords
import pytest

from builders import ALARM_AT, NOW, ROLLBACK_ID, at, by_operator, rollback
from lastgood.ledger import read_rollback, to_item
from lastgood.ledger.codec import stored_names
from lastgood.model import (
    Outcome,
    Phase,
    Trigger,
    TriggerKind,
)
from table_rows import SHOP, close, full, head_of, opened, rewrite


def test_every_field_of_the_record_has_a_value_in_the_example_that_is_written_and_read():
    item = to_item(full())
    assert [name for name in stored_names() if not item.get(name)] == []
    assert read_rollback(item) == full()


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


def test_an_item_with_few_attributes_of_an_older_version_is_readable(ledger, table):
    opened(ledger)
    required = {"pk", "sk", "rollback_id", "application", "deployment_group", "trigger_kind", "opened_at", "signal_at"}
    rewrite(table, **dict.fromkeys(set(head_of(table)) - required))
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert (found.rollback_id, found.bookkeeping.version, found.opened_at) == (ROLLBACK_ID, 0, NOW)


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
    assert ledger.load(ROLLBACK_ID).trigger.signal_at == ALARM_AT
    rewrite(table, signal_at=said)
    assert ledger.load(ROLLBACK_ID).trigger.signal_at == NOW


def test_a_phase_that_this_version_does_not_know_is_not_taken_for_a_fresh_start(ledger, table):
    record = opened(ledger)
    ledger.write(record, record.changed(phase=Phase.VERIFYING, rollback_deployment_id="d-3"), [])
    rewrite(table, phase="BAKING")
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    assert found.phase not in {Phase.CLAIMED, Phase.AWAITING_APPROVAL, Phase.STOPPING, Phase.REDEPLOYING}


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
    assert (head["phase"], head["outcome"], head["compute_platform"]) == ("CLOSED", "ROLLED_BACK", "ECS")
    assert (head["trigger_kind"], head["reason_code"]) == ("sns", "VERIFIED")
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
    ledger.join(ROLLBACK_ID, "key", Trigger(TriggerKind.SNS, NOW, alarm_name="a"), NOW)
    ledger.mark_revision(SHOP, "v2", good=True, by="ann", why="x", now=NOW)
    second = opened(ledger, rollback(rollback_id="rb-2", application="cart"))
    closed = second.changed(phase=Phase.CLOSED, outcome=Outcome.FAILED, suspect_revisions=("v9",), closed_at=at(5))
    ledger.write(second, closed, [], extra=ledger.closing(closed, acted=True, watch_until=at(9)))
    names = {name for item in table.scan()["Items"] for name in item}
    reserved = set(moto_keywords.ReservedKeywords.get_reserved_keywords())
    assert "STATUS" in reserved
    # `day` is a key of the contract's index; every other name can be typed into the console as it is.
    assert {name for name in names if name.upper() in reserved} == {"day"}


def test_an_operators_rollback_is_told_apart_from_an_alarms(ledger):
    opened(ledger, by_operator())
    found = ledger.load(ROLLBACK_ID)
    assert found is not None
    trigger = found.trigger
    assert (trigger.trigger_kind, trigger.requested_by, trigger.alarm_changed_at) == (TriggerKind.MANUAL, "ann", None)
