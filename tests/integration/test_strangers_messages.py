"""What messages on the alarm topic can do in the hands of somebody without another right: nothing, and it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scene import ALARM, PLATFORMS, Scene, scene, service_scene
from stage.local import group_tags, service_tags

AUTOSCALING = "TargetTracking-workers-AlarmHigh-77"
EFFECTS = ("StopDeployment", "CreateDeployment", "UpdateAlias", "RegisterTaskDefinition", "UpdateService")


def bad_release(it: Scene) -> str:
    """Two good releases, then one that the group's own alarm will blame."""
    it.good_history(1, 2)
    return it.release(3, settle=True, rest=300)


def effects(it: Scene) -> list[int]:
    """How many calls of each kind that changes something have been made."""
    return [len(it.calls(operation)) for operation in EFFECTS]


def told(it: Scene) -> str:
    """All that people were told since the last look."""
    return json.dumps(it.local.notices(), ensure_ascii=False)


def commands_nothing(it: Scene, reason: str, alarm: str) -> None:
    """The record is closed for this reason, people know the alarm's name, nothing has moved and nothing is held."""
    assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", reason), it.head["explanation"]
    assert it.head["needs_human"] is True
    assert alarm in told(it)
    assert (it.is_live(3), it.lock()) == (True, "")
    assert not [item for item in it.local.items() if item["sk"].startswith("BAD#")]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_tags_that_only_the_message_has_lead_nowhere(platform: str) -> None:
    """Somebody else's alarm fires at this very moment; the message about it is true but for its tags."""
    with scene(platform) as it:
        bad_release(it)
        before = effects(it)
        it.local.alarm(AUTOSCALING)
        it.deliver(it.alarm_message(alarm=AUTOSCALING))
        commands_nothing(it, "UNROUTED_ALARM", AUTOSCALING)
        assert effects(it) == before


def test_tags_that_only_the_message_has_lead_to_no_service_either() -> None:
    with service_scene() as it:
        bad_release(it)
        before = effects(it)
        it.local.alarm(AUTOSCALING)
        it.deliver(it.alarm_message(alarm=AUTOSCALING, tags=service_tags("main", "web")))
        commands_nothing(it, "UNROUTED_ALARM", AUTOSCALING)
        assert effects(it) == before


def test_a_message_cannot_turn_an_alarm_of_one_group_against_another() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm("cart-errors", tags=group_tags("cart", "prod"))
        it.deliver(it.alarm_message(alarm="cart-errors"))
        commands_nothing(it, "UNROUTED_ALARM", "cart-errors")
        assert "cart/prod" in it.head["explanation"]


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({}, ("SKIPPED", "UNROUTED_ALARM")),
        (
            {"LASTGOOD_DEFAULT_APPLICATION": "shop", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"},
            ("SKIPPED", "UNROUTED_ALARM"),
        ),
        (
            {"LASTGOOD_ROUTES": '[{"alarm": "shop-*", "application": "shop", "deployment_group": "prod"}]'},
            ("ROLLED_BACK", "VERIFIED"),
        ),
    ],
    ids=["nothing else", "the default", "a route by its name"],
)
def test_where_tags_may_not_be_read_only_a_route_by_name_confirms_what_a_message_says(
    settings: dict[str, str], ends: tuple[str, str]
) -> None:
    with scene("Server", settings=settings) as it:
        bad_release(it)
        denied = _denied(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ends, head["explanation"]
        assert denied


def _denied(it: Scene) -> list[str]:
    """From now on the alarms' tags may not be read. What is asked for is kept."""
    asked: list[str] = []

    def refuse(model: Any, params: dict[str, Any], **_: Any) -> None:
        asked.append(model.name)
        raise it.local.cloudwatch.exceptions.ClientError(
            {"Error": {"Code": "AccessDenied", "Message": "not authorized to perform cloudwatch:ListTagsForResource"}},
            model.name,
        )

    client = it.local.application._parts.alarms._client
    client.meta.events.register("before-call.cloudwatch.ListTagsForResource", refuse)
    return asked


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_message_about_an_alarm_that_fires_for_an_hour_already_is_not_believed(platform: str) -> None:
    """The alarm is the group's own, by its tags too; only the message's time is made up, to blame a later release."""
    with scene(platform) as it:
        it.good_history(1, 2)
        it.local.alarm(ALARM)
        it.sim.advance(3600)
        it.release(3, settle=True, rest=600)
        before, fired = effects(it), it.now()
        it.deliver(it.alarm_message(at=fired))
        commands_nothing(it, "ALARM_NOT_CONFIRMED", ALARM)
        assert effects(it) == before
        assert f"{fired:%H:%M:%SZ}" in it.head["explanation"]


@pytest.mark.parametrize("unfounded", ["no such alarm", "no such group", "long ago", "other tags"])
def test_a_storm_of_messages_that_nothing_confirms_keeps_no_real_alarm_from_being_answered(unfounded: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        for number in range(8):
            tags, alarm = group_tags(f"ghost-{number}", "prod"), f"ghost-{number}"
            if unfounded != "no such alarm":
                it.local.alarm(alarm, tags=group_tags("other", "prod") if unfounded == "other tags" else tags)
            at = it.now().replace(year=it.now().year - 1) if unfounded == "long ago" else it.now()
            assert it.deliver(it.alarm_message(alarm=alarm, tags=tags, at=at))["outcome"] in {"SKIPPED", "FAILED"}
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_alarms_that_really_fire_in_many_groups_are_still_a_storm() -> None:
    with scene("Server") as it:
        bad_release(it)
        for number in range(5):
            it.sim.server_group(f"shop-{number}", "prod")
            tags = group_tags(f"shop-{number}", "prod")
            it.local.alarm(f"errors-{number}", tags=tags)
            it.deliver(it.alarm_message(alarm=f"errors-{number}", tags=tags))
        it.alarm_fires()
        assert it.head["reason_code"] == "STORM"
