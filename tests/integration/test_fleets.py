"""One alarm, or one line of routes, over many deployment groups: each time series is an incident of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from scene import ALARM, Scene, scene
from stage.local import alarm_event, of_series

FLEET = "fleet-errors"
BY_SERIES = {
    "LASTGOOD_ROUTES": json.dumps([{"alarm": FLEET, "application": "<FunctionName>", "deployment_group": "prod"}])
}
BY_NAME = {
    "LASTGOOD_ROUTES": json.dumps(
        [{"alarm": "<app>-<env>-errors", "application": "<app>", "deployment_group": "<env>"}]
    )
}


def attributes(application: str) -> dict[str, str]:
    return {"FunctionName": application}


def with_cart(it: Scene, *, bad: bool = True) -> None:
    """A second group `cart/prod` beside `shop/prod`, each with two good releases and a third one."""
    it.sim.server_group("cart", "prod")
    for application in ("shop", "cart"):
        for number in (1, 2):
            it.sim.release(application, "prod", f"v{number}.zip", settle=True)
            it.sim.advance(7200)
    for application in ("shop", "cart") if bad else ("shop",):
        it.sim.release(application, "prod", "v3.zip", settle=True)
    it.sim.advance(120)


def series_fires(it: Scene, application: str, **more: Any) -> dict[str, Any]:
    """One time series goes into ALARM, and CloudWatch sends its message."""
    it.local.series(FLEET, attributes(application))
    message = alarm_event(at=it.now(), alarm=FLEET, tags={}, **more)
    return it.deliver(of_series(message, attributes(application)))


def serves(it: Scene, application: str) -> str:
    return it.sim.live(application, "prod").target.split("|")[1]


def heads(it: Scene) -> dict[str, Mapping[str, Any]]:
    """The records by their groups."""
    return {i["deployment_group_key"]: i for i in it.local.items() if i["sk"] == "META"}


def sweeps(it: Scene, minutes: int) -> None:
    for _ in range(minutes):
        it.sim.advance(60)
        it.sweep()


def test_one_line_of_routes_leads_the_alarm_of_each_service_to_its_group() -> None:
    with scene("Server", settings=BY_NAME) as it:
        with_cart(it)
        for application in ("shop", "cart"):
            it.local.alarm(f"{application}-prod-errors")
            it.deliver(alarm_event(at=it.now(), alarm=f"{application}-prod-errors", tags={}))
        sweeps(it, 10)
        found = heads(it)
        assert {key: head["outcome"] for key, head in found.items()} == dict.fromkeys(
            ("shop/prod", "cart/prod"), "ROLLED_BACK"
        )
        assert (serves(it, "shop"), serves(it, "cart")) == ("v2.zip", "v2.zip")


def test_each_series_of_an_alarm_is_an_incident_of_its_own_and_recovers_by_itself() -> None:
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it)
        series_fires(it, "shop")
        it.sim.advance(30)
        series_fires(it, "cart")
        sweeps(it, 5)
        it.local.series(FLEET, attributes("shop"), "OK")
        sweeps(it, 20)
        shop, cart = heads(it)["shop/prod"], heads(it)["cart/prod"]
        assert (shop["outcome"], cart["outcome"]) == ("ROLLED_BACK", "ROLLED_BACK")
        assert (serves(it, "shop"), serves(it, "cart")) == ("v2.zip", "v2.zip")
        assert shop["alarm_attributes"] == attributes("shop") and shop["alarm_recovered_at"]
        assert "alarm_recovered_at" not in cart and cart["not_recovered_at"]


def test_a_series_that_fires_does_nothing_to_the_groups_of_the_others() -> None:
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it)
        series_fires(it, "cart")
        sweeps(it, 10)
        assert list(heads(it)) == ["cart/prod"]
        assert (serves(it, "shop"), serves(it, "cart")) == ("v3.zip", "v2.zip")


def test_the_rest_after_a_rollback_holds_for_its_own_group_alone() -> None:
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it)
        series_fires(it, "shop")
        sweeps(it, 5)
        series_fires(it, "cart")
        sweeps(it, 5)
        assert heads(it)["cart/prod"]["outcome"] == "ROLLED_BACK"
        it.sim.release("shop", "prod", "v4.zip", settle=True)
        it.local.series(FLEET, attributes("shop"), "OK")
        it.sim.advance(60)
        again = series_fires(it, "shop")
        assert (again["outcome"], again["reason"]) == ("SKIPPED", "COOLDOWN")


def test_a_message_about_the_whole_alarm_is_answered_for_each_series_that_cloudwatch_lists() -> None:
    """Told by both ways, it is one incident."""
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it)
        for application in ("shop", "cart"):
            it.local.series(FLEET, attributes(application))
        whole = alarm_event(at=it.now(), alarm=FLEET, tags={})
        results = it.local.handle(whole)
        assert {r["application"] for r in results} == {"shop", "cart"}
        again = it.deliver(of_series(whole, attributes("shop")))
        assert again["rollback_id"] in {r["rollback_id"] for r in results}
        sweeps(it, 10)
        assert (serves(it, "shop"), serves(it, "cart")) == ("v2.zip", "v2.zip")


def test_a_message_about_the_whole_alarm_is_told_where_cloudwatch_lists_no_series() -> None:
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it)
        it.local.alarm(FLEET)
        result = it.deliver(alarm_event(at=it.now(), alarm=FLEET, tags={}))
        assert result["reason"] == "UNROUTED_ALARM"
        assert "FunctionName" in result["explanation"]
        assert serves(it, "shop") == "v3.zip"


def test_tags_with_placeholders_lead_each_series_to_its_group() -> None:
    tags = {"lastgood:application": "<FunctionName>", "lastgood:deployment-group": "prod"}
    with scene("Server") as it:
        with_cart(it)
        it.local.tags[FLEET] = tags
        series_fires(it, "cart")
        sweeps(it, 10)
        assert heads(it)["cart/prod"]["outcome"] == "ROLLED_BACK"
        assert (serves(it, "shop"), serves(it, "cart")) == ("v3.zip", "v2.zip")


def test_a_message_that_gives_a_series_another_name_than_cloudwatch_does_commands_nothing() -> None:
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it)
        it.local.series(FLEET, attributes("shop"))
        forged = of_series(alarm_event(at=it.now(), alarm=FLEET, tags={}), attributes("shop"))
        sns = forged["Records"][0]["Sns"]
        sns["Message"] = json.dumps(json.loads(sns["Message"]) | {"AlarmContributorAttributes": attributes("cart")})
        result = it.deliver(forged)
        sweeps(it, 3)
        assert it.head["reason_code"] == "UNROUTED_ALARM", result
        assert "CloudWatch says shop" in it.head["explanation"]
        assert serves(it, "cart") == "v3.zip"


def test_a_breach_of_another_series_an_hour_ago_clears_no_release() -> None:
    """The alarm's reason data tell when the first of its series breached."""
    with scene("Server", settings=BY_SERIES) as it:
        with_cart(it, bad=False)
        hour_ago = it.now() - timedelta(hours=1)
        it.local.series(FLEET, attributes("cart"))
        it.local.alarm(FLEET, breached=[hour_ago])
        series_fires(it, "shop")
        sweeps(it, 10)
        head = heads(it)["shop/prod"]
        assert (head["outcome"], serves(it, "shop")) == ("ROLLED_BACK", "v2.zip"), head["explanation"]


@pytest.mark.parametrize("series", ["shop", "cart"])
def test_a_release_that_meets_its_own_firing_series_is_told_and_no_other(series: str) -> None:
    with scene("Server", settings=BY_SERIES) as it:
        it.good_history(1, 2)
        it.local.series(FLEET, attributes(series))
        it.sim.advance(600)
        it.connect_events()
        it.release(3, settle=True, rest=0)
        told = [head for head in heads(it).values() if head.get("reason_code") == "RELEASED_IN_ALARM"]
        assert bool(told) is (series == "shop")
        assert all(head["alarm_attributes"] == attributes("shop") for head in told)


def test_a_release_that_met_its_firing_series_goes_back_when_that_one_goes_on_firing() -> None:
    settings = BY_SERIES | {"LASTGOOD_RELEASE_IN_ALARM": "rollback"}
    with scene("Server", settings=settings) as it:
        it.good_history(1, 2)
        it.local.series(FLEET, attributes("shop"))
        it.sim.advance(600)
        it.connect_events()
        it.release(3, settle=True, rest=0)
        sweeps(it, 30)
        done = [head for head in heads(it).values() if head["outcome"] == "ROLLED_BACK"]
        assert [head["alarm_attributes"] for head in done] == [attributes("shop")]
        assert not it.is_live(3)


def test_an_alarm_whose_name_can_be_read_in_two_ways_is_told_and_nothing_is_done() -> None:
    with scene("Server", settings=BY_NAME) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=120)
        it.local.alarm("my-shop-prod-errors")
        result = it.deliver(alarm_event(at=it.now(), alarm="my-shop-prod-errors", tags={}))
        assert result["reason"] == "UNROUTED_ALARM"
        assert "several ways" in result["explanation"]
        assert it.is_live(3) and ALARM not in json.dumps(it.local.notices())
