"""Following a rollback while it goes on: `audit show --watch`, `status --wait`, `rollback --wait`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from terminal import Terminal, terminal


@pytest.fixture
def it() -> Iterator[Terminal]:
    """A release is live that turns out to be bad."""
    with terminal() as made:
        made.sim.server_group("shop", "prod")
        made.sim.release("shop", "prod", "v1.zip", settle=True)
        made.sim.advance(7_200)
        made.sim.release("shop", "prod", "v2.zip", settle=True)
        made.sim.advance(300)
        yield made


def test_a_watched_story_ends_when_the_rollback_is_closed(it: Terminal) -> None:
    ran = it.call("audit", "show", it.alarm_fires(), "--watch")
    assert ran.code == 0
    assert "It is open" in ran.out and ran.out.rstrip().endswith("is live.")
    assert ran.out.count("intent, create") == 1


def test_waiting_ends_with_the_outcome(it: Terminal) -> None:
    ran = it.call("status", it.alarm_fires(), "--wait", "--timeout", "1h")
    assert ran.code == 0 and "ROLLED_BACK" in ran.out


def test_a_rollback_by_hand_can_be_waited_for_and_is_one_document(it: Terminal) -> None:
    ran = it.call("-o", "json", "rollback", "shop/prod", "--reason", "orders get lost", "--yes", "--wait")
    assert ran.code == 0
    assert ran.json["outcome"] == "ROLLED_BACK" and ran.json["rollback_deployment_id"]
    assert it.sim.live("shop", "prod").target.split("|")[1] == "v1.zip"


def test_a_release_that_is_still_rolling_out_is_stopped_and_ecs_own_rollback_is_called_that() -> None:
    with terminal(EcsServices="main/*") as it:
        it.sim.rolling_service("main", "web")
        it.sim.release_service("main", "web", "web:2", settle=True)
        it.sim.advance(7_200)
        it.sim.release_service("main", "web", "web:3")
        it.sim.advance(20)
        why = ("--reason", "orders get lost", "--yes")
        ran = it.call("-o", "json", "rollback", "ecs:main/web", *why, "--wait", "--timeout", "30m")
        assert ran.code == 0, ran.err
        assert it.sim.service_live("main", "web").target.endswith(":task-definition/web:2")
        assert "ECS's own, adopted" in it.call("audit", "show", ran.json["rollback_id"]).out
