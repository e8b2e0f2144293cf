"""An alarm leads to deployment groups by its tags, else the routes, else the default; it is never guessed.

A row in a name is one of the table of bad input in docs/reliability.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lastgood.model import AlarmState, Controller, DeploymentGroup
from lastgood.routing import Routing, is_allowed, needs_tags, route
from lastgood.settings import Settings
from lastgood.signals import AlarmSignal

SHOP = DeploymentGroup("shop", "prod")
SERVICE_GROUP = DeploymentGroup("production", "shop", Controller.ECS)
STAGE = DeploymentGroup("shop", "Deploy", Controller.PIPELINE)
APPLICATION, GROUP, SERVICE = "lastgood:application", "lastgood:deployment-group", "lastgood:ecs-service"
PIPELINE = "lastgood:pipeline"


def settings(*routes: tuple[str, str, str], **more: str) -> Settings:
    rows = [dict(zip(("alarm", "application", "deployment_group"), row, strict=True)) for row in routes]
    named = {f"LASTGOOD_{name.upper()}": value for name, value in more.items()}
    return Settings.from_env({"LASTGOOD_TABLE": "audit", "LASTGOOD_ROUTES": json.dumps(rows), **named})


def alarm(name: str = "shop-prod-error-rate", tags: Mapping[str, str] | None = None) -> AlarmSignal:
    arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"
    at = datetime(2026, 3, 2, 10, 4, tzinfo=UTC)
    return AlarmSignal(name, arn, AlarmState.ALARM, at, tags=tags)


DEFAULT: dict[str, Any] = {"default_application": "shop", "default_deployment_group": "prod"}


def test_both_tags_name_the_group_before_any_route() -> None:
    found = route(alarm(), {APPLICATION: "shop", GROUP: "prod"}, settings(("*", "other", "prod")))
    assert found == Routing((SHOP,), "alarm tags")


@pytest.mark.parametrize(("given", "missing"), [(APPLICATION, GROUP), (GROUP, APPLICATION)])
def test_half_of_the_tags_is_a_problem_and_not_filled_from_elsewhere(given: str, missing: str) -> None:
    found = route(alarm(), {given: "shop"}, settings(("*", "shop", "prod"), **DEFAULT))
    assert found.groups == () and found.source == ""
    assert missing in found.problem


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "sh\nop", "sh\u202eop", "sh\ud800op", "sh\ufffdop"])
def test_row_34_a_tag_that_can_be_no_name_is_a_problem(name: str) -> None:
    found = route(alarm(), {APPLICATION: name, GROUP: "prod"}, settings(**DEFAULT))
    assert found.groups == ()
    assert APPLICATION in found.problem
    assert found.problem.isprintable()


@pytest.mark.parametrize("name", ["x", "x" * 100, "my app", "a#b/c:d", "Überraschung"])
def test_row_33_names_that_codedeploy_allows_are_kept_exactly(name: str) -> None:
    found = route(alarm(), {APPLICATION: name, GROUP: name}, settings())
    assert found.groups == (DeploymentGroup(name, name),)


def test_tags_that_are_not_ours_leave_the_word_to_the_routes() -> None:
    found = route(alarm(), {"team": "checkout"}, settings(("shop-*", "shop", "prod")))
    assert found == Routing((SHOP,), "LASTGOOD_ROUTES")


def test_an_ecs_service_tag_names_a_service_beside_or_instead_of_a_group() -> None:
    alone = route(alarm(), {SERVICE: "production/shop"}, settings(**DEFAULT))
    assert alone == Routing((SERVICE_GROUP,), "alarm tags")
    both = route(alarm(), {SERVICE: "production/shop", APPLICATION: "shop", GROUP: "prod"}, settings())
    assert both.groups == (SHOP, SERVICE_GROUP)


def test_a_route_may_lead_to_an_ecs_service() -> None:
    routes = json.dumps([{"alarm": "shop-*", "ecs_service": "production/shop"}])
    made = Settings.from_env({"LASTGOOD_TABLE": "audit", "LASTGOOD_ROUTES": routes})
    assert route(alarm(), {}, made) == Routing((SERVICE_GROUP,), "LASTGOOD_ROUTES")


def test_a_service_and_a_deployment_group_of_the_same_names_are_told_apart() -> None:
    assert DeploymentGroup("production", "shop").key == "production/shop"
    assert SERVICE_GROUP.key == "ecs:production/shop"


@pytest.mark.parametrize(
    ("globs", "service", "group"),
    [("*", True, True), ("production/*", False, True), ("ecs:*", True, False), ("ecs:production/shop", True, False)],
)
def test_the_allow_list_covers_services_by_their_own_keys(globs: str, service: bool, group: bool) -> None:
    made = settings(allowed_groups=globs)
    assert is_allowed(SERVICE_GROUP, made) is service
    assert is_allowed(DeploymentGroup("production", "shop"), made) is group


def test_an_application_tag_cannot_pass_for_a_service() -> None:
    found = route(alarm(), {APPLICATION: "ecs:production", GROUP: "shop"}, settings())
    assert found.groups == ()
    assert "ecs:" in found.problem


def test_a_pipeline_tag_names_a_stage_beside_or_instead_of_a_group() -> None:
    assert route(alarm(), {PIPELINE: " shop/Deploy "}, settings(**DEFAULT)) == Routing((STAGE,), "alarm tags")
    every = {PIPELINE: "shop/Deploy", SERVICE: "production/shop", APPLICATION: "shop", GROUP: "prod"}
    assert route(alarm(), every, settings()).groups == (SHOP, SERVICE_GROUP, STAGE)
    assert not needs_tags(alarm(tags={PIPELINE: "shop/Deploy"}), settings())
    assert STAGE.tags == {PIPELINE: "shop/Deploy"}


def test_a_route_may_lead_to_a_stage() -> None:
    routes = json.dumps([{"alarm": "shop-*", "pipeline": "shop", "stage": "Deploy"}])
    made = Settings.from_env({"LASTGOOD_TABLE": "audit", "LASTGOOD_ROUTES": routes})
    assert route(alarm(), {}, made) == Routing((STAGE,), "LASTGOOD_ROUTES")


@pytest.mark.parametrize(
    ("globs", "allowed"), [("*", True), ("shop/*", False), ("pipeline:*", True), ("pipeline:shop/Deploy", True)]
)
def test_the_allow_list_covers_stages_by_their_own_keys(globs: str, allowed: bool) -> None:
    assert is_allowed(STAGE, settings(allowed_groups=globs)) is allowed


def test_an_application_tag_cannot_pass_for_a_stage() -> None:
    found = route(alarm(), {APPLICATION: "pipeline:shop", GROUP: "Deploy"}, settings())
    assert found.groups == ()
    assert PIPELINE in found.problem


@pytest.mark.parametrize("stage", ["", "shop", "a/b/c", "a b/c", "a/", "/b", "a/b\n\x1b[31m", "a/*"])
def test_a_pipeline_tag_of_another_shape_is_a_problem(stage: str) -> None:
    found = route(alarm(), {PIPELINE: stage}, settings(**DEFAULT))
    assert found.groups == ()
    assert "pipeline/stage" in found.problem and found.problem.isprintable()


@pytest.mark.parametrize("service", ["", "shop", "a/b/c", "a b/c", "a/", "/b", "a/b\n\x1b[31m"])
def test_an_ecs_service_tag_of_another_shape_is_a_problem(service: str) -> None:
    found = route(alarm(), {SERVICE: service}, settings(**DEFAULT))
    assert found.groups == ()
    assert "cluster/service" in found.problem and found.problem.isprintable()


def test_row_12_an_alarm_that_fits_several_routes_leads_to_every_group_once_and_in_order() -> None:
    rows = [("shop-*", "shop", "prod"), ("*-error-rate", "cart", "prod"), ("shop-prod-*", "shop", "prod")]
    found = route(alarm(), None, settings(*rows, ("other-*", "other", "prod"), **DEFAULT))
    assert found.groups == (SHOP, DeploymentGroup("cart", "prod"))
    assert found.source == "LASTGOOD_ROUTES"


def test_routes_are_case_sensitive() -> None:
    assert route(alarm("Shop-prod"), None, settings(("shop-*", "shop", "prod"))).groups == ()


def test_the_default_takes_what_no_tag_and_no_route_claims() -> None:
    found = route(alarm("anything"), {}, settings(("shop-*", "cart", "prod"), **DEFAULT))
    assert found == Routing((SHOP,), "default")


def test_row_11_an_alarm_that_leads_nowhere_says_how_to_route_it() -> None:
    found = route(alarm("lonely"), None, settings())
    assert found.groups == () and found.source == ""
    assert all(word in found.problem for word in ("lonely", APPLICATION, GROUP, "LASTGOOD_ROUTES"))


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("*", True),
        ("shop/*", True),
        ("shop/prod", True),
        ("cart/*,shop/p*", True),
        ("Shop/prod", False),
        ("shop", False),
    ],
)
def test_row_38_only_groups_on_the_allow_list_may_be_rolled_back(allowed: str, expected: bool) -> None:
    assert is_allowed(SHOP, settings(allowed_groups=allowed)) is expected


def test_tags_are_read_from_cloudwatch_where_the_message_has_none_of_ours() -> None:
    assert needs_tags(alarm(tags=None), settings())
    assert needs_tags(alarm(tags={}), settings()), "propagation may have left ours out"
    assert needs_tags(alarm(tags={"team": "checkout"}), settings())
    assert needs_tags(alarm(tags={APPLICATION: "shop"}), settings())
    assert not needs_tags(alarm(tags={APPLICATION: "shop", GROUP: "prod"}), settings())
    assert not needs_tags(alarm(tags={SERVICE: "production/shop"}), settings())


# --- placeholders -----------------------------------------------------------------------------------------------------

FLEET = ("fleet-errors", "<FunctionName>", "prod")
BY_NAME = ("<app>-<env>-errors", "<app>", "<env>")


def series(**attributes: str) -> AlarmSignal:
    """One time series of the alarm `fleet-errors`."""
    return replace(alarm("fleet-errors"), contributor="1", attributes=attributes)


def test_one_route_leads_each_alarm_to_the_group_that_its_name_holds() -> None:
    made = settings(BY_NAME)
    for application, group in (("shop", "prod"), ("cart", "staging")):
        found = route(alarm(f"{application}-{group}-errors"), None, made)
        assert found == Routing((DeploymentGroup(application, group),), "LASTGOOD_ROUTES")
    assert not route(alarm("shop-prod-latency"), None, made).groups


def test_a_name_that_can_be_read_in_two_ways_leads_nowhere_and_says_so() -> None:
    found = route(alarm("web-shop-prod-errors"), None, settings(BY_NAME, **DEFAULT))
    assert not found.groups
    assert "web/shop-prod" in found.problem and "web-shop/prod" in found.problem


def test_of_several_ways_to_read_a_name_the_one_counts_that_is_allowed() -> None:
    found = route(alarm("web-shop-prod-errors"), None, settings(BY_NAME, allowed_groups="*/prod,*/staging"))
    assert found.groups == (DeploymentGroup("web-shop", "prod"),)


def test_a_route_for_one_alarm_alone_settles_what_a_pattern_leaves_open() -> None:
    found = route(alarm("web-shop-prod-errors"), None, settings(BY_NAME, ("web-shop-prod-errors", "web-shop", "prod")))
    assert found.groups == (DeploymentGroup("web-shop", "prod"),)


def test_a_time_series_leads_to_the_group_that_its_attribute_names() -> None:
    made = settings(FLEET)
    assert route(series(FunctionName="checkout"), None, made).groups == (DeploymentGroup("checkout", "prod"),)
    assert route(series(FunctionName="cart"), None, made).groups == (DeploymentGroup("cart", "prod"),)


def test_tags_take_the_same_placeholders_as_routes() -> None:
    tags = {APPLICATION: "<FunctionName>", GROUP: "prod"}
    assert route(series(FunctionName="checkout"), tags, settings()).groups == (DeploymentGroup("checkout", "prod"),)
    service = {SERVICE: "<ClusterName>/<ServiceName>"}
    found = route(series(ClusterName="production", ServiceName="shop"), service, settings())
    assert found.groups == (SERVICE_GROUP,)


def test_the_alarm_as_a_whole_lacks_what_only_a_time_series_says() -> None:
    found = route(alarm("fleet-errors"), None, settings(FLEET, **DEFAULT))
    assert (found.groups, found.lacks) == ((), "FunctionName")
    assert "FunctionName" in found.problem


def test_an_attribute_that_the_time_series_does_not_have_is_named_with_those_that_it_has() -> None:
    found = route(series(ServiceName="web"), None, settings(FLEET))
    assert found.lacks == "FunctionName"
    assert "ServiceName" in found.problem


@pytest.mark.parametrize("value", ["Other", "app/web", "<x>", " ", "ecs:web", "a\u202eb", "x" * 101])
def test_a_value_that_can_be_no_part_of_a_name_leads_nowhere(value: str) -> None:
    found = route(series(FunctionName=value), None, settings(FLEET, **DEFAULT))
    assert not found.groups
    assert found.problem and found.problem.isprintable()


def test_a_tag_whose_placeholder_is_not_closed_is_a_problem() -> None:
    found = route(series(FunctionName="checkout"), {APPLICATION: "<FunctionName", GROUP: "prod"}, settings(**DEFAULT))
    assert not found.groups and "closes" in found.problem


def test_a_route_may_name_an_alarm_by_its_arn_so_that_a_namesake_elsewhere_is_none() -> None:
    made = settings(("arn:aws:cloudwatch:us-east-1:*:alarm:<app>-errors", "<app>", "prod"))
    here = alarm("shop-errors")
    there = replace(here, alarm_arn=here.alarm_arn.replace("us-east-1", "eu-west-1"))
    assert route(here, None, made).groups == (SHOP,)
    assert not route(there, None, made).groups
