"""A deployment group's own alarm list is a route where nothing else claims the alarm, and a setting allows it."""

from __future__ import annotations

import pytest

from scene import ALARM, Scene, scene
from stage.local import REGION, alarm_event, group_tags

LISTS = {"LASTGOOD_GROUP_ALARMS": "true"}


def bad_release(it: Scene) -> None:
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)


def fires(it: Scene, region: str = REGION, tags: dict[str, str] | None = None) -> None:
    """The alarm fires, and neither its message nor CloudWatch has other tags than these."""
    it.local.alarm(ALARM, tags=tags or {}, region=region)
    it.deliver(alarm_event(at=it.now(), alarm=ALARM, tags={}, region=region))


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS"])
def test_an_alarm_that_only_its_group_lists_rolls_that_group_back(platform: str) -> None:
    with scene(platform, settings=LISTS, alarms=[ALARM]) as it:
        it.sim.server_group("cart", "prod", alarms=["another"])
        bad_release(it)
        fires(it)
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert head["routed_by"] == "the deployment group's own alarms"


@pytest.mark.parametrize(
    ("settings", "alarms"),
    [
        ({}, {"alarms": [ALARM]}),
        (LISTS, {"alarms": ["another"]}),
        (LISTS, {"alarmConfiguration": {"enabled": False, "alarms": [{"name": ALARM}]}}),
        (LISTS | {"LASTGOOD_ALLOWED_GROUPS": "other/*"}, {"alarms": [ALARM]}),
    ],
    ids=["not switched on", "not in the list", "the list is switched off", "not an allowed group"],
)
def test_no_list_leads_an_alarm_where(settings: dict[str, str], alarms: dict[str, object]) -> None:
    with scene("Server", settings=settings, **alarms) as it:
        bad_release(it)
        fires(it)
        assert (it.head["reason_code"], it.is_live(3)) == ("UNROUTED_ALARM", True)
        assert bool(it.calls("ListApplications")) is bool(settings)


def test_an_alarm_that_several_groups_list_is_refused_in_a_sentence_that_names_them() -> None:
    with scene("Server", settings=LISTS, alarms=[ALARM]) as it:
        it.sim.server_group("cart", "prod", alarms=[ALARM])
        bad_release(it)
        fires(it)
        assert (it.head["reason_code"], it.is_live(3)) == ("UNROUTED_ALARM", True)
        assert all(each in it.head["explanation"] for each in ("cart/prod", "shop/prod", "lastgood:application"))


def test_of_several_groups_that_list_an_alarm_the_allowed_one_is_meant() -> None:
    with scene("Server", settings=LISTS | {"LASTGOOD_ALLOWED_GROUPS": "shop/*"}, alarms=[ALARM]) as it:
        it.sim.server_group("cart", "prod", alarms=[ALARM])
        bad_release(it)
        fires(it)
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_tags_and_routes_go_before_the_lists_which_go_before_the_default() -> None:
    default = {"LASTGOOD_DEFAULT_APPLICATION": "cart", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"}
    with scene("Server", settings=LISTS | default, alarms=[ALARM]) as it:
        fires(it)
        assert it.head["deployment_group_key"] == "shop/prod"
        asked = len(it.calls("ListApplications"))
        it.local.alarm(ALARM, tags=group_tags("other", "prod"))
        it.sim.advance(3600)
        it.deliver(alarm_event(at=it.now(), alarm=ALARM, tags={}))
        assert it.head["deployment_group_key"] == "other/prod"
        assert len(it.calls("ListApplications")) == asked


def test_a_namesake_of_another_region_is_not_the_alarm_that_a_group_lists() -> None:
    named = {"LASTGOOD_ACCOUNT_ID": "123456789012", "AWS_REGION": REGION, "LASTGOOD_ALARM_REGIONS": "eu-west-1"}
    with scene("Server", settings=LISTS | named, alarms=[ALARM]) as it:
        bad_release(it)
        fires(it, region="eu-west-1")
        assert (it.head["reason_code"], it.is_live(3)) == ("UNROUTED_ALARM", True)


def test_what_may_not_be_listed_is_told_and_the_default_is_not_taken_for_it() -> None:
    default = {"LASTGOOD_DEFAULT_APPLICATION": "shop", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"}
    with scene("Server", settings=LISTS | default) as it:
        bad_release(it)
        it.sim.fail_call("ListApplications", "AccessDeniedException")
        fires(it)
        assert (it.head["reason_code"], it.is_live(3)) == ("UNROUTED_ALARM", True)
        assert "may not be read" in it.head["explanation"]


def test_a_group_that_may_not_be_read_hides_no_other_one_of_its_application() -> None:
    with scene("Server", settings=LISTS, alarms=[ALARM]) as it:
        it.sim.server_group("shop", "canary", alarms=["another"])
        bad_release(it)
        it.sim.fail_call("BatchGetDeploymentGroups", "AccessDeniedException")
        fires(it)
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_the_lists_are_read_once_for_many_alarms_and_again_after_some_minutes() -> None:
    with scene("Server", settings=LISTS, alarms=["another"]) as it:
        it.sim.server_group("cart", "prod")
        for _ in range(3):
            fires(it)
        assert len(it.calls("ListApplications")) == 1
        it.sim.advance(600)
        fires(it)
        assert len(it.calls("ListApplications")) == 2


def test_a_release_that_meets_a_firing_alarm_of_its_groups_list_is_told() -> None:
    with scene("Server", settings=LISTS, alarms=[ALARM]) as it:
        it.good_history(1, 2)
        it.local.alarm(ALARM, tags={})
        it.sim.advance(600)
        it.connect_events()
        it.release(3, settle=True, rest=0, overrideAlarmConfiguration={"enabled": False, "alarms": []})
        told = [i for i in it.local.items() if i.get("reason_code") == "RELEASED_IN_ALARM"]
        assert [head["alarm_name"] for head in told] == [ALARM]
