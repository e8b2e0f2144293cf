"""Head items of played rollbacks, as they are stored since the first schema: they stay readable for ever.

An item is never edited to make these tests pass. A new attribute gets a new item.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lastgood.ledger import read_rollback, to_item
from lastgood.ledger.codec import changes
from lastgood.model import seconds_of
from table_rows import step

ITEMS = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "golden").glob("*.json"))}
EVERY = pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
NAMED = {
    "rollback_id": "rb-1",
    "application": "shop",
    "deployment_group": "prod",
    "opened_at": "2026-11-23T10:00:00.000Z",
}
KEPT_BY_THE_TABLE = {
    "pk",
    "sk",
    "day",
    "deployment_group_key",
    "open_key",
    "next_check_at",
    "expires_at",
    "schema_version",
}


def of_the_record(item: dict[str, Any]) -> dict[str, Any]:
    """What the record itself says: without the keys, and without the spans that are counted from its times."""
    return {k: v for k, v in item.items() if k not in KEPT_BY_THE_TABLE and not k.startswith("seconds_to_")}


def test_the_kept_items_are_of_every_kind():
    assert {"sns", "manual"} <= {item["trigger_kind"] for item in ITEMS.values()}
    assert {"Server", "Lambda", "ECS"} <= {item["compute_platform"] for item in ITEMS.values()}
    assert {"CODE_DEPLOY", "ECS"} == {item["controller"] for item in ITEMS.values()}
    assert {"AWAITING_APPROVAL", "VERIFYING", "CLOSED"} <= {item["phase"] for item in ITEMS.values()}
    assert any(item["rerun_status"] for item in ITEMS.values() if "rerun_status" in item)
    assert any("held_at" in item for item in ITEMS.values())


@EVERY
def test_what_was_stored_is_read_whole_and_would_be_stored_the_same(item):
    wanted = of_the_record(item)
    assert {name: value for name, value in to_item(read_rollback(item)).items() if name in wanted} == wanted


@EVERY
def test_a_write_that_changes_nothing_of_it_sets_and_removes_nothing(item):
    found = read_rollback(item)
    assert changes(found, found) == ({}, [])


@EVERY
def test_a_write_after_reading_leaves_every_other_attribute_as_it_was(item, ledger, table):
    table.put_item(Item=item)
    found = ledger.load(item["rollback_id"])
    assert found is not None
    ledger.write(found, replace(found, people=not found.needs_human), [step()], next_check_at=found.opened_at)
    after = table.get_item(Key={"pk": item["pk"], "sk": "META"})["Item"]
    changed = {"needs_human", "version", "step_count", "open_key", "next_check_at"}
    assert {k: v for k, v in after.items() if k not in changed} == {k: v for k, v in item.items() if k not in changed}


@EVERY
def test_the_spans_are_those_that_were_counted_when_it_was_written(item):
    stored = {name: value for name, value in item.items() if name.startswith("seconds_to_")}
    assert {f"seconds_to_{name}": span for name, span in seconds_of(read_rollback(item)).items()} == stored


@EVERY
@pytest.mark.parametrize("called", [True, False])
def test_whether_people_were_called_stays_as_it_was_recorded(item, called):
    """Whatever a later version's catalogue says of the reason."""
    found = read_rollback({**item, "needs_human": called, "not_recovered_at": None})
    assert found.needs_human is called
    assert to_item(found)["needs_human"] is called


def test_a_rollback_that_did_not_heal_calls_people_though_its_reason_does_not():
    healed = read_rollback({"reason_code": "VERIFIED", "outcome": "ROLLED_BACK", **NAMED})
    assert not healed.needs_human and healed.people is None
    assert healed.changed(not_recovered_at=healed.opened_at).needs_human


@pytest.mark.parametrize(("outcome", "called"), [("SKIPPED", False), ("BLOCKED", True), ("FAILED", True)])
def test_without_a_word_of_it_the_catalogue_says_whether_people_are_called(outcome, called):
    assert read_rollback({"reason_code": "ALREADY_LIVE", "outcome": outcome, **NAMED}).needs_human is called
