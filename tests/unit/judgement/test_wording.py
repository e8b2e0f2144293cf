"""How times, names and waits are said to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from builders import at, release, rollback, running
from lastgood.judgement.wording import (
    ago,
    at_a_gate,
    clock,
    duration,
    listed,
    name,
    rolls_back_too,
    subject,
    taken_over,
)
from lastgood.model import Deployment, Gate, Revision


def test_a_time_is_told_in_utc() -> None:
    assert clock(datetime(2026, 3, 2, 10, 4, 12, tzinfo=UTC)) == "10:04:12Z"
    assert clock(datetime(2026, 3, 2, 10, 4, 12, tzinfo=timezone(timedelta(hours=2)))) == "08:04:12Z"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (86_400, "24 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_is_told_in_one_unit_rounded_down(seconds: float, told: str) -> None:
    assert duration(timedelta(seconds=seconds)) == told
    assert ago(at(0) + timedelta(seconds=seconds), at(0)) == told


def test_a_deployment_is_called_by_its_label_or_its_identity() -> None:
    plain = release("d-1", "arn:task:7")
    assert plain.revision.name == "arn:task:7"
    assert Revision("TaskDefinition", "arn:task:7", label="task:7").name == "task:7"
    assert release("d-1", "").revision.name == "an unreadable revision"
    assert (name(plain), name(None)) == ("arn:task:7 (from d-1)", "the last good revision")
    assert subject(running("d-2", "v2")) == "d-2 (v2) is InProgress"
    assert subject(None) == "No deployment is running"


@pytest.mark.parametrize(
    ("stack", "status", "told"),
    [
        ("", "", ""),
        ("", "UPDATE_COMPLETE", ""),
        ("shop", "", " Its stack rolls back too: shop."),
        ("shop", "UPDATE_IN_PROGRESS", " Its stack rolls back too: shop."),
        ("shop", "UPDATE_COMPLETE", " The stack shop holds it and is UPDATE_COMPLETE."),
    ],
)
def test_a_stack_that_holds_the_release_is_told(stack: str, status: str, told: str) -> None:
    assert rolls_back_too(stack, status) == told


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        (None, ""),
        (Gate("go"), ", waiting for a go-ahead"),
        (Gate("go", expires_at=at(60), otherwise="ROLLBACK"), ", waiting for a go-ahead"),
        (Gate("go", "hook"), ", paused at a lifecycle hook"),
        (Gate("go", "hook", otherwise="ROLLBACK"), ", paused at a lifecycle hook"),
        (Gate("go", "hook", at(60)), ", paused at a lifecycle hook until 2026-03-02 11:00Z"),
        (
            Gate("go", "hook", at(60), "CONTINUE"),
            ", paused at a lifecycle hook until 2026-03-02 11:00Z, when ECS takes CONTINUE",
        ),
    ],
)
def test_what_a_deployment_waits_for_is_told_with_what_happens_without_it(gate: Gate | None, told: str) -> None:
    assert at_a_gate(running("d-2", gate=gate)) == told


def test_of_many_names_some_are_told() -> None:
    assert listed([]) == ""
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(8)]) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert listed([str(n) for n in range(9)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 1 more"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"


def test_a_lock_without_its_rollback_is_told() -> None:
    assert taken_over(rollback()) == ""
    assert taken_over(rollback(took_lock_of="rb-7")).startswith(
        "The lock of shop/prod named rb-7, which is no open rollback of this group; it was taken over."
    )


def test_every_deployment_has_a_name_that_people_can_read() -> None:
    for deployment in (release("d-1"), release("d-1", ""), Deployment("d-1", "Created", at(0), Revision("Box", "b"))):
        assert deployment.revision.name and deployment.deployment_id in name(deployment)
