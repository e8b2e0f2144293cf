"""Items in the audit table that make no sense, because somebody else wrote them: no alarm goes unanswered for them."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from scene import Scene, scene
from stage.local import TABLE, group_tags

GROUP = "GROUP#shop/prod"
ODD: dict[str, Any] = {
    "a number": Decimal("1e30"),
    "bytes": b"\x00\xff",
    "a list": [1],
    "nonsense": "x",
    "an end": "9999-12-31T23:59:59-23:59",
}
LEFT_OUT = {
    "a known-bad revision": {"pk": GROUP, "sk": "BAD#1", "revision": "v2.zip", "marked_bad_at": "x"},
    "a known-bad revision without a name": {"pk": GROUP, "sk": "BAD#1", "explanation": "x"},
    "a past rollback": {"pk": GROUP, "sk": "PAST#x#rb", "rollback_id": "rb"},
    "a past rollback of years ahead": {"pk": GROUP, "sk": "PAST#2999-01-01T00:00:00.000Z#rb", "rollback_id": "rb"},
    "a past rollback without its time": {"pk": GROUP, "sk": "PAST"},
    "a cleared floor": {"pk": GROUP, "sk": "FLOOR_CLEARED"},
    "a release": {"pk": GROUP, "sk": "RELEASE#x", "deployment_id": "d-1", "created_at": "x", "images": ["x"]},
    "a group in alarm": {"pk": "CONTROL", "sk": "OPENED#9999"},
    "the resumption of everything": {"pk": "CONTROL", "sk": "PAUSE", "resumed_at": "x"},
    "a watch": {"pk": "WATCH", "sk": "9#rb"},
    "a kind that nobody knows": {"pk": GROUP, "sk": "MODEL"},
}


def put_item(it: Scene, **item: Any) -> None:
    """One PutItem on the audit table."""
    encode = TypeSerializer().serialize
    it.local.dynamodb.put_item(TableName=TABLE, Item={name: encode(value) for name, value in item.items()})


def bad_release(it: Scene) -> None:
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)


@pytest.mark.parametrize("item", LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_what_cannot_be_read_is_left_out(item: dict[str, Any]) -> None:
    with scene("Server") as it:
        bad_release(it)
        put_item(it, **item)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize(
    ("item", "attribute", "ends"),
    [
        ({"sk": "PAUSE", "explanation": "load test", "requested_by": "ann"}, "until", "PAUSED"),
        ({"sk": "FLOOR", "deployment_id": "d-1"}, "created_at", "BELOW_FLOOR"),
        ({"sk": "MODE"}, "mode", "OBSERVE_MODE"),
    ],
    ids=["a pause", "a floor", "a mode"],
)
def test_what_stops_rollbacks_still_does_where_a_part_of_it_cannot_be_read(
    item: dict[str, Any], attribute: str, ends: str, value: Any
) -> None:
    """Until when, or how far: it is taken for the most that it can mean, and people are told."""
    with scene("Server") as it:
        bad_release(it)
        put_item(it, pk=GROUP, **item, **{attribute: value})
        it.alarm_fires()
        assert (it.run_to_end()["reason_code"], it.is_live(3)) == (ends, True)
        assert it.rollback_id in json.dumps(it.local.notices())


@pytest.mark.parametrize("holder", [5, b"\x00", ["rb"], True, ""], ids=repr)
def test_a_lock_that_names_nothing_readable_silences_no_alarm(holder: Any) -> None:
    with scene("Lambda") as it:
        bad_release(it)
        put_item(it, pk=GROUP, sk="LOCK", open_rollback_id=holder)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_a_lock_whose_rollback_lacks_what_every_rollback_has_silences_no_alarm() -> None:
    with scene("Lambda") as it:
        bad_release(it)
        put_item(it, pk="ROLLBACK#rb-1", sk="META", phase="REDEPLOYING")
        put_item(it, pk=GROUP, sk="LOCK", open_rollback_id="rb-1")
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_a_resumption_that_is_dated_years_ahead_does_not_switch_the_storm_brake_off() -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "2"}) as it:
        bad_release(it)
        put_item(it, pk="CONTROL", sk="PAUSE", resumed_at="2999-01-01T00:00:00.000Z")
        for group in ("a", "b", "c"):
            it.local.alarm(group, tags=group_tags("shop", group))
        it.alarm_fires()
        assert it.head["reason_code"] == "STORM"


@pytest.mark.parametrize("silent_until", [5, b"\x00", ["x"]], ids=repr)
def test_a_silence_that_cannot_be_read_keeps_no_storm_from_being_told(silent_until: Any) -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "2"}) as it:
        bad_release(it)
        put_item(it, pk="CONTROL", sk="STORM", told_by="rb-none", silent_until=silent_until)
        for group in ("a", "b", "c"):
            it.local.alarm(group, tags=group_tags("shop", group))
        it.alarm_fires()
        assert it.head["reason_code"] == "STORM"
        assert "Too many deployment groups" in json.dumps(it.local.notices())


# --- the sweep --------------------------------------------------------------------------------------------------------


def under_way(it: Scene) -> str:
    """A rollback that waits for its deployment, whose events get lost: only the sweep can finish it."""
    bad_release(it)
    it.alarm_fires()
    assert it.head["phase"] == "VERIFYING"
    return it.rollback_id


def forged_heads(it: Scene, count: int, **more: Any) -> None:
    """Rollbacks that can be neither read nor led to an end, due for longer than any real one."""
    for number in range(count):
        due = (it.now() - timedelta(days=1, seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        put_item(it, pk=f"ROLLBACK#rb-{number}", sk="META", open_key="open", next_check_at=due, **more)


@pytest.mark.parametrize(
    "more",
    [{}, {"rollback_id": "rb", "version": "x"}, {"rollback_id": 5, "lease_until": 7, "version": 1}],
    ids=["empty", "of an odd version", "of odd types"],
)
def test_more_unreadable_rollbacks_than_one_sweep_visits_do_not_crowd_the_real_one_out(more: dict[str, Any]) -> None:
    with scene("Server") as it:
        real = under_way(it)
        forged_heads(it, 60, **more)
        it.rollback_id = real
        assert (it.run_to_end(10)["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize("sk", ["", "x", "9999", "9#rb"], ids=repr)
def test_a_watch_that_cannot_be_read_stops_no_sweep(sk: str) -> None:
    with scene("Server") as it:
        real = under_way(it)
        put_item(it, pk="WATCH", sk=sk or "9", rollback_id=["x"])
        it.rollback_id = real
        assert (it.run_to_end(10)["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
