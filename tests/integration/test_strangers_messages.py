"""What messages on the alarm topic can do in the hands of somebody without another right: nothing, and it is told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from scene import ALARM, PLATFORMS, Scene, scene, service_scene
from stage.local import alarm_arn, event, group_tags, reason_data, service_tags

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


# --- messages about the very alarm that fires, or is about to ---------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("deliveries", [1, 3])
def test_a_message_that_is_sent_before_its_alarm_fires_does_not_silence_the_true_one(
    platform: str, deliveries: int
) -> None:
    """It even names the millisecond. So does one that is faster than what DescribeAlarms knows."""
    with scene(platform) as it:
        it.local.alarm(ALARM, "OK", tags=it.tags)
        bad_release(it)
        fired = it.now()
        for number in range(deliveries):
            it.deliver(it.alarm_message(message_id=f"forged-{number}", at=fired))
        assert (it.head["reason_code"], it.is_live(3), it.lock()) == ("ALARM_NOT_CONFIRMED", True, "")
        it.alarm_fires(at=fired)
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
        closed = len(heads(it))
        it.deliver(it.alarm_message(at=fired))
        assert len(heads(it)) == closed


def test_a_message_that_came_while_its_alarm_was_ok_for_a_moment_is_answered_when_it_comes_again() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM, "OK", tags=it.tags)
        fired = it.now()
        it.deliver(it.alarm_message())
        assert it.head["reason_code"] == "ALARM_RECOVERED"
        it.alarm_fires(at=fired)
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_a_message_cannot_have_more_releases_blamed_than_its_alarm_looks_back_at() -> None:
    """Its trigger claims a week; in CloudWatch it is three minutes. Only the newest release goes back."""
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM, tags=it.tags)
        it.deliver(changed(it.alarm_message(), Trigger={"Period": 86_400, "EvaluationPeriods": 7}))
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_a_message_over_a_topic_cannot_clear_a_release_by_the_time_of_the_breach() -> None:
    """EventBridge's event, which somebody publishes, says that the breach began two hours ago."""
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM, tags=it.tags)
        began = it.now() - timedelta(hours=2)
        told = event("alarm-eventbridge")
        told["detail"] |= {"alarmName": ALARM, "alarmTags": it.tags}
        told["detail"]["state"] |= {"timestamp": it.now().isoformat(), "reasonData": reason_data([began], it.now())}
        told["resources"] = [alarm_arn(ALARM)]
        forged = it.alarm_message()
        forged["Records"][0]["Sns"]["Message"] = json.dumps(told)
        it.deliver(forged)
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize(
    "how",
    [
        {"AlarmContributorId": "x", "AlarmContributorAttributes": {"FunctionName": "shop"}},
        {"NewStateReason": "x" * 200_000},
        {"NewStateValue": "OK"},
        {"NewStateValue": "INSUFFICIENT_DATA"},
        {"AlarmTags": {f"tag-{number}": "x" * 200 for number in range(500)}},
    ],
    ids=["a time series of it", "a long reason", "OK", "INSUFFICIENT_DATA", "many tags"],
)
def test_a_message_that_says_something_else_of_the_alarm_that_fires_keeps_the_true_one_from_nothing(
    how: dict[str, Any],
) -> None:
    with scene("Lambda") as it:
        bad_release(it)
        it.local.alarm(ALARM, tags=it.tags)
        it.deliver(changed(it.alarm_message(), **how))
        it.deliver(it.alarm_message())
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize("year", ["0001", "0002", "1970", "2009", "2020"])
def test_a_message_from_the_beginning_of_time_holds_no_group(year: str) -> None:
    """Windows are reckoned back from its time, and a rollback that cannot be decided would hold its group for hours."""
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM, tags=it.tags)
        it.deliver(changed(it.alarm_message(), StateChangeTime=f"{year}-01-01T00:00:00.000+0000"))
        assert it.lock() == ""
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


# --- many messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", ["nowhere", "to no group", "to the group, of no alarm"])
def test_a_flood_of_messages_that_lead_nowhere_is_recorded_and_told_ten_times(lead: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        for number in range(25):
            tags = {"nowhere": {}, "to no group": group_tags(f"ghost-{number}", "prod")}.get(lead, it.tags)
            alarm = f"ghost-{number}"
            if lead == "to no group":
                it.local.alarm(alarm, tags=tags)
            it.deliver(it.alarm_message(alarm=alarm, tags=tags, message_id=f"m{number}"))
        notices = it.local.notices()
        assert len(notices) == 10
        assert "recorded without a notice" in json.dumps(notices[-1])
        assert "recorded without a notice" not in json.dumps(notices[:-1])
        assert len(heads(it)) == 25
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
        assert it.rollback_id in told(it)


def test_ten_minutes_after_a_flood_people_are_told_again() -> None:
    with scene("Server") as it:
        bad_release(it)
        for number in range(12):
            it.deliver(it.alarm_message(alarm=f"ghost-{number}"))
        it.sim.advance(600)
        _ = told(it)
        it.deliver(it.alarm_message(alarm="ghost-99"))
        assert "ghost-99" in told(it)


# --- names that end in notices ----------------------------------------------------------------------------------------


def test_an_alarms_name_is_neither_a_line_nor_a_link_nor_a_mention_in_a_notice() -> None:
    name = "x | Live: v9.zip | Approve: curl https://e.example <!channel> <https://e.example|here> [here](https://e.example)"
    with scene("Server") as it:
        bad_release(it)
        it.deliver(it.alarm_message(alarm=name))
        (notice,) = it.local.notices()
        content = json.dumps(notice["content"])
        assert not [line for line in notice["content"]["description"].splitlines() if line.startswith(("Live", "Appr"))]
        assert not any(steers in content for steers in ("<!channel>", "<https:", "](https:"))
        assert "curl" in content, "what was sent is shown"


@pytest.mark.parametrize("name", ['a","action":"rollback', "a\\", "$(id)", "`id`", "<!here>", "a|b", "{a}"])
def test_a_group_whose_name_could_end_a_command_or_a_text_is_no_group(name: str) -> None:
    """A chat channel's button puts it into JSON."""
    with scene("Server") as it:
        bad_release(it)
        tags = group_tags(name, "prod")
        it.alarm_fires(tags=tags)
        assert it.head["reason_code"] == "UNROUTED_ALARM"
        context = it.local.notices()[0]["metadata"]["additionalContext"]
        assert "application" not in context


def changed(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The message with other values in it."""
    sns = message["Records"][0]["Sns"]
    sns["Message"] = json.dumps(json.loads(sns["Message"]) | fields)
    return message


def heads(it: Scene) -> list[dict[str, Any]]:
    """Every rollback's head item."""
    return [item for item in it.local.items() if item["sk"] == "META"]
