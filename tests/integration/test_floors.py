"""A floor takes every older revision away from later rollbacks: who made it one is told, and how it is taken away."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from typing import Any

import pytest

from scene import PLATFORMS, Scene, scene, service_scene

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
GROUP = {"application": "shop", "deployment_group": "prod"}
SAYS_SO = "JIRA-1 drops a column lastgood:floor"


def world(platform: str, floors_from: str = "both") -> AbstractContextManager[Scene]:
    return scene(platform, settings={"LASTGOOD_FLOORS_FROM": floors_from})


def contents(it: Scene) -> list[dict[str, Any]]:
    """What people were told since the last look."""
    return [notice["content"] for notice in it.local.notices()]


def steps_of(content: dict[str, Any]) -> str:
    return "\n".join(content["nextSteps"])


def event_in(steps: str, action: str) -> dict[str, Any]:
    """The event that a next step gives whoever has no command."""
    (found,) = [text for text in re.findall(r"test event (\{.*?\})\)", steps) if f'"{action}"' in text]
    event: dict[str, Any] = json.loads(found)
    return event


def records(it: Scene, reason: str) -> list[dict[str, Any]]:
    return [item for item in it.local.items() if item["sk"] == "META" and item.get("reason_code") == reason]


@EVERYWHERE
def test_a_release_that_is_a_floor_by_its_description_is_told_once(platform: str) -> None:
    """Its events come twice, when it starts and when it has succeeded."""
    with world(platform) as it:
        it.good_history(1, 2)
        it.connect_events()
        contents(it)
        made = it.release(3, settle=True, rest=300, description=SAYS_SO)
        (told,) = contents(it)
        (record,) = records(it, "FLOOR_RELEASED")
        assert f"the description of {made}" in told["description"]
        assert f"lastgood --region us-east-1 floor clear shop/prod {made}" in steps_of(told)
        assert (record["suspect_deployment_id"], record["needs_human"]) == (made, False)


def test_a_floor_in_the_description_of_a_version_is_told_too() -> None:
    with world("Lambda") as it:
        it.good_history(1, 2)
        it.connect_events()
        contents(it)
        number = int(it.sim.publish_version("shop", "Drops a column. lastgood:floor"))
        made = it.release(number, settle=True, rest=300)
        (told,) = contents(it)
        assert f"a mark on the revision of {made}" in told["description"]


def test_a_floor_in_the_tags_of_a_task_definition_is_told_too_where_ecs_itself_deploys() -> None:
    with service_scene() as it:
        it.good_history(1, 2)
        it.connect_events()
        contents(it)
        arn = it.sim.register_task_definition("web", tags=[{"key": "lastgood:floor", "value": "PAY-7"}])
        made = it.release(int(arn.rpartition(":")[2]), settle=True, rest=300)
        (told,) = contents(it)
        assert f"a mark on the revision of {made}" in told["description"]
        assert "floor clear ecs:main/web" in steps_of(told)


@EVERYWHERE
def test_a_release_without_a_mark_tells_nobody(platform: str) -> None:
    with world(platform) as it:
        it.good_history(1, 2)
        it.connect_events()
        contents(it)
        it.release(3, settle=True, rest=300, description="JIRA-2")
        assert contents(it) == []


@EVERYWHERE
def test_a_rollback_that_such_a_floor_blocks_names_its_source_and_what_it_prints_takes_the_floor_away(
    platform: str,
) -> None:
    with world(platform) as it:
        it.good_history(1, 2)
        made = it.release(3, settle=True, rest=300, description=SAYS_SO)
        it.alarm_fires()
        head = it.head
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "BELOW_FLOOR")
        assert f"the description of {made}" in head["explanation"]
        assert head["floor_deployment_id"] == made
        (told,) = contents(it)
        answer = it.deliver(event_in(steps_of(told), "clear_floor"))
        assert "no longer a floor" in answer["explanation"]
        it.alarm_recovers()
        it.sim.advance(60)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)


def test_a_floor_that_an_operator_set_names_them_and_why() -> None:
    with world("Lambda") as it:
        it.good_history(1, 2)
        made = it.release(3, settle=True, rest=300)
        said = {"requested_by": "ada", "reason": "orders.old_total is dropped"}
        it.local.handle({"action": "set_floor", **GROUP, "deployment_id": made, **said})
        it.alarm_fires()
        assert "ada, who said: orders.old_total is dropped" in it.head["explanation"]
        assert f"floor clear shop/prod {made}" in steps_of(contents(it)[-1])


def test_what_a_person_released_again_below_a_floor_goes_back_and_people_look_at_the_database() -> None:
    """It served after the database change, so the floor does not forbid it; whether it fits nobody knows."""
    with scene("Lambda", versions=6) as it:
        it.release(2, settle=True)
        floor = it.release(3, settle=True, description="lastgood:floor PAY-7")
        again = it.release(2, settle=True)
        it.release(4, settle=True, rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", again), head["explanation"]
        assert it.is_live(2) and head["needs_human"] is True
        assert f"older than the floor {floor}" in head["explanation"]


def test_what_was_asked_for_below_the_floor_is_refused_with_the_floors_source() -> None:
    with world("Server") as it:
        older, _ = it.good_history(1, 2)
        made = it.release(3, settle=True, rest=7200, description=SAYS_SO)
        it.release(4, settle=True, rest=300)
        it.deliver(
            {
                "action": "rollback",
                **GROUP,
                "to_deployment_id": older,
                "requested_by": "ada",
                "reason": "it was better then",
            }
        )
        assert it.head["reason_code"] == "BELOW_FLOOR"
        assert f"the description of {made}" in it.head["explanation"]
        assert it.head["floor_deployment_id"] == made


def test_a_release_that_claims_to_be_a_rollback_is_the_floor_that_it_says_it_is() -> None:
    """The database change is real, whatever else the description says."""
    with world("Lambda") as it:
        it.good_history(1, 2)
        made = it.release(3, settle=True, rest=300, description="lastgood rb-0 fix, lastgood:floor")
        it.alarm_fires()
        assert (it.head["reason_code"], it.head["floor_deployment_id"]) == ("BELOW_FLOOR", made)
        assert it.is_live(3)


# --- who may set one --------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_where_only_operators_set_floors_a_description_blocks_nothing_and_that_is_told(platform: str) -> None:
    with world(platform, "operators") as it:
        it.good_history(1, 2)
        it.connect_events()
        contents(it)
        made = it.release(3, settle=True, rest=300, description=SAYS_SO)
        (told,) = contents(it)
        assert "LASTGOOD_FLOORS_FROM is operators" in told["description"]
        assert f"floor set shop/prod {made}" in steps_of(told)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)


def test_where_only_operators_set_floors_what_they_are_told_sets_one() -> None:
    with world("Lambda", "operators") as it:
        it.good_history(1, 2)
        it.connect_events()
        contents(it)
        it.release(3, settle=True, rest=300, description=SAYS_SO)
        it.deliver(event_in(steps_of(contents(it)[0]), "set_floor"))
        it.alarm_fires()
        assert it.run_to_end()["reason_code"] == "BELOW_FLOOR"


def test_where_only_operators_set_floors_a_mark_on_a_revision_blocks_nothing() -> None:
    with world("Lambda", "operators") as it:
        it.good_history(1, 2)
        it.release(int(it.sim.publish_version("shop", "lastgood:floor")), settle=True, rest=300)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)


def test_where_only_releases_bring_floors_an_operator_is_refused_and_an_old_wish_counts_no_more() -> None:
    said = {**GROUP, "requested_by": "ada", "reason": "a column is dropped"}
    with world("Lambda", "description") as it:
        it.good_history(1, 2)
        made = it.release(3, settle=True, rest=300)
        refused = it.local.handle({"action": "set_floor", "deployment_id": made, **said})[0]
        assert "LASTGOOD_FLOORS_FROM" in refused["explanation"]
        assert not [item for item in it.local.items() if item["sk"] == "FLOOR"]
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


@pytest.mark.parametrize("floors_from", ["both", "description"])
def test_a_releases_own_floor_counts_unless_only_operators_may_set_one(floors_from: str) -> None:
    with world("Server", floors_from) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300, description=SAYS_SO)
        it.alarm_fires()
        assert it.head["reason_code"] == "BELOW_FLOOR"
        assert it.is_live(3)
