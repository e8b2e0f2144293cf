"""The settings: every problem at once, by name, and defaults that decisions and settings share."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from lastgood.errors import SettingsError
from lastgood.model import Controller, DeploymentGroup, Mode, Policy
from lastgood.settings import PipelineRule, Route, Settings, parse_duration, unknown_variables, variable

REQUIRED = {"LASTGOOD_TABLE": "audit"}


def settings(**values: str) -> Settings:
    """Settings with these variables beside the required ones; `mode="off"` is `LASTGOOD_MODE`."""
    return Settings.from_env(REQUIRED | {f"LASTGOOD_{name.upper()}": value for name, value in values.items()})


def problems(**values: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings(**values)
    return caught.value.problems


def test_only_the_table_is_required():
    assert settings().table == "audit"
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({})
    (problem,) = caught.value.problems
    assert problem.startswith("LASTGOOD_TABLE is missing")


def test_a_blank_table_is_a_missing_one():
    with pytest.raises(SettingsError, match="LASTGOOD_TABLE is missing"):
        Settings.from_env({"LASTGOOD_TABLE": "  "})


def test_every_problem_is_reported_at_once_by_its_variables_name():
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(
            {
                "LASTGOOD_MODE": "automatic",
                "LASTGOOD_COOLDOWN": "-5m",
                "LASTGOOD_ROUTES": "{",
                "LASTGOOD_KILL_SWITCH": "yes",
                "LASTGOOD_MAX_ROLLBACKS": "many",
                "LASTGOOD_DEFAULT_APPLICATION": "shop",
            }
        )
    named = {problem.split(" ")[0].rstrip(":") for problem in caught.value.problems}
    assert named == {
        "LASTGOOD_TABLE",
        "LASTGOOD_MODE",
        "LASTGOOD_COOLDOWN",
        "LASTGOOD_ROUTES",
        "LASTGOOD_KILL_SWITCH",
        "LASTGOOD_MAX_ROLLBACKS",
        "LASTGOOD_DEFAULT_APPLICATION",
    }
    assert all(name in str(caught.value) for name in named)


def test_a_problem_names_the_rule_and_shows_a_little_of_the_value():
    (problem,) = problems(mode="automatic" + "x" * 500)
    assert "auto, approve, observe, off" in problem
    assert "automatic" in problem
    assert len(problem) < 300


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("30d", timedelta(days=30)),
        ("0s", timedelta(0)),
        (" 5m ", timedelta(minutes=5)),
    ],
)
def test_each_form_of_a_duration_is_read(text, span):
    assert parse_duration(text) == span
    assert settings(cooldown=text).cooldown == span


@pytest.mark.parametrize("text", ["15", "m", "-5m", "1.5h", "15M", "2 h", "1h30m", "1w", "1234567s", "5m\n5m", "PT5M"])
def test_a_duration_in_any_other_form_is_refused_with_its_variable(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
    assert problems(attribution_window=text)[0].startswith("LASTGOOD_ATTRIBUTION_WINDOW: ")


def test_no_duration_that_is_accepted_reaches_beyond_the_calendar():
    try:
        longest = parse_duration("999999d")
    except ValueError:
        return
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert now - longest < now < now + longest


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_is_read_from_its_name(mode):
    assert settings(mode=str(mode)).mode is mode


@pytest.mark.parametrize("value", ["True", "1", "yes", "on", "FALSE"])
def test_a_switch_is_true_or_false_and_nothing_that_looks_like_it(value):
    assert problems(kill_switch=value) == [f"LASTGOOD_KILL_SWITCH: must be true or false; it is {value!r}"]


def test_switches_and_counts_and_lists_are_read():
    found = settings(
        kill_switch="true", native_rollback="false", storm_groups="0", allowed_groups=" shop/*, cart/prod ,"
    )
    assert (found.kill_switch, found.native_rollback, found.storm_groups) == (True, False, 0)
    assert found.allowed_groups == ("shop/*", "cart/prod")


@pytest.mark.parametrize("value", ["-1", "1.5", "10000", "1e3", "ten"])
def test_a_count_is_a_small_whole_number(value):
    assert problems(max_rollbacks=value)[0].startswith("LASTGOOD_MAX_ROLLBACKS: must be a whole number")


def test_routes_are_read_in_their_order():
    routes = (
        '[{"alarm": "shop-*", "application": "shop", "deployment_group": "prod"},'
        ' {"alarm": "*", "application": "rest", "deployment_group": "prod"}]'
    )
    assert settings(routes=routes).routes == (Route("shop-*", "shop", "prod"), Route("*", "rest", "prod"))


def test_a_route_may_name_an_ecs_service():
    (route,) = settings(routes='[{"alarm": "shop-*", "ecs_service": " production/shop "}]').routes
    assert route.group == DeploymentGroup("production", "shop", Controller.ECS)


def test_a_route_may_name_a_stage_of_a_pipeline():
    (route,) = settings(routes='[{"alarm": "shop-*", "pipeline": " shop ", "stage": "Deploy"}]').routes
    assert route.group == DeploymentGroup("shop", "Deploy", Controller.PIPELINE)


@pytest.mark.parametrize(
    "routes",
    [
        "not json",
        '{"alarm": "a", "application": "b", "deployment_group": "c"}',
        "[[]]",
        '["shop"]',
        '[{"alarm": "a", "application": "b"}]',
        '[{"alarm": "a", "application": "b", "deployment_group": "c", "region": "d"}]',
        '[{"alarm": "a", "application": "b", "group": "c"}]',
        '[{"alarm": "a", "application": "b", "deployment_group": "c", "ecs_service": "d/e"}]',
        '[{"alarm": "a", "application": "ecs:b", "deployment_group": "c"}]',
        '[{"alarm": "a", "ecs_service": "shop"}]',
        '[{"alarm": "a", "ecs_service": "a/b/c"}]',
        '[{"alarm": "a", "ecs_service": 5}]',
        '[{"alarm": "a", "pipeline": "shop"}]',
        '[{"alarm": "a", "pipeline": "shop", "stage": "a/b"}]',
        '[{"alarm": "a", "pipeline": "shop", "stage": "*"}]',
        '[{"alarm": "a", "pipeline": "shop", "stage": "Deploy", "application": "b"}]',
        '[{"alarm": "a", "application": "pipeline:b", "deployment_group": "c"}]',
        '[{"alarm": "", "application": "b", "deployment_group": "c"}]',
        '[{"alarm": "a", "application": " ", "deployment_group": "c"}]',
        '[{"alarm": "a", "application": 5, "deployment_group": "c"}]',
        '[{"alarm": "a", "application": null, "deployment_group": "c"}]',
        '[{"alarm": "' + "x" * 256 + '", "application": "b", "deployment_group": "c"}]',
        '[{"alarm": "<a><b>", "application": "<a>", "deployment_group": "<b>"}]',
        '[{"alarm": "<a>", "application": "<b", "deployment_group": "c"}]',
        '[{"alarm": "<a>", "ecs_service": "<a>"}]',
    ],
)
def test_a_route_that_is_not_exactly_right_is_refused(routes):
    (problem,) = problems(routes=routes)
    assert problem.startswith("LASTGOOD_ROUTES: ")


def test_a_route_with_placeholders_names_a_group_only_together_with_an_alarm():
    by_name, by_series, service, stage = settings(
        routes='[{"alarm": "<app>-<env>-errors", "application": "<app>", "deployment_group": "<env>"},'
        ' {"alarm": "fleet", "application": "<FunctionName>", "deployment_group": "prod"},'
        ' {"alarm": "web-<env>", "ecs_service": "<env>/web"},'
        ' {"alarm": "<app>-canary", "pipeline": "<app>", "stage": "Deploy"}]'
    ).routes
    assert (by_name.group, by_series.group, service.group, stage.group) == (None, None, None, None)
    assert stage == Route("<app>-canary", "<app>", "Deploy", Controller.PIPELINE)
    assert service == Route("web-<env>", "<env>", "web", Controller.ECS)


def test_a_misspelt_placeholder_is_found_by_the_one_that_is_left_over():
    (problem,) = problems(routes='[{"alarm": "<app>-<env>", "application": "<ap>", "deployment_group": "<env>"}]')
    assert "<app>" in problem and "write *" in problem


@pytest.mark.parametrize("regions", ["us-east-1", "us-east-1, eu-west-3 ,us-gov-west-1", ""])
def test_regions_are_read_by_their_names(regions):
    assert settings(alarm_regions=regions).alarm_regions == tuple(r.strip() for r in regions.split(",") if r)


@pytest.mark.parametrize("regions", ["everywhere", "us-east", "*", "us-east-1;eu-west-1", "US-EAST-1"])
def test_what_is_no_region_is_refused(regions):
    assert problems(alarm_regions=regions)[0].startswith("LASTGOOD_ALARM_REGIONS: must be names of regions")


@pytest.mark.parametrize("half", [{"default_application": "shop"}, {"default_deployment_group": "prod"}])
def test_the_default_application_and_group_go_together(half):
    (problem,) = problems(**half)
    assert "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP" in problem
    assert settings(default_application="shop", default_deployment_group="prod").default_deployment_group == "prod"


@pytest.mark.parametrize(
    ("name", "value"),
    [("stop_without_target", "sometimes"), ("file_exists_behavior", "overwrite"), ("appspec_hooks", "skip")],
)
def test_a_choice_is_one_of_its_words(name, value):
    (problem,) = problems(**{name: value})
    assert problem.startswith(f"{variable(name)}: must be one of ")


def test_the_defaults_of_the_settings_are_the_defaults_of_the_policy():
    """So a test of a decision with `Policy()` tests what a stack with no parameters does."""
    assert settings().policy() == Policy()


def test_what_is_set_reaches_the_policy():
    changed = settings(mode="approve", kill_switch="true", max_rollbacks="7", deadline="3h", native_rollback="false")
    policy = changed.policy()
    assert (policy.mode, policy.kill_switch, policy.max_rollbacks) == (Mode.APPROVE, True, 7)
    assert (policy.deadline, policy.native_rollback) == (timedelta(hours=3), False)


def test_every_part_of_the_policy_that_is_no_fixed_pause_is_a_setting():
    assert {f.name for f in fields(Policy)} - {f.name for f in fields(Settings)} == {
        "native_rollback_grace",
        "create_settle",
    }


def test_no_default_names_a_real_resource():
    found = settings()
    assert (found.notification_topic_arn, found.default_application, found.routes) == ("", "", ())


@pytest.mark.parametrize(
    "name",
    ["event_bus", "server_deployment_config", "lambda_deployment_config", "ecs_deployment_config"],
)
def test_an_empty_value_means_what_the_settings_own_words_say_it_means(name):
    """ "Empty: none" and "Empty: the group's" can be reached only by setting the variable to nothing."""
    about = next(f for f in fields(Settings) if f.name == name).metadata
    assert about["default"]
    assert getattr(settings(**{name: ""}), name) == ""


def test_a_misspelt_variable_is_reported_and_others_are_not():
    environ = REQUIRED | {"LASTGOOD_COOL_DOWN": "5m", "LASTGOOD_MODE": "off", "LASTGOODNESS": "x", "PATH": "/bin"}
    assert unknown_variables(environ) == ["LASTGOOD_COOL_DOWN"]


def test_every_setting_is_explained_in_a_sentence():
    for spec in fields(Settings):
        assert spec.metadata["about"].endswith("."), spec.name


# --- pipelines ---

SHOP = '"application": "shop", "deployment_group": "prod", "pipeline": "shop"'


def test_the_rules_of_pipelines_are_read_in_their_order_with_their_defaults():
    found = settings(
        pipelines=f'[{{{SHOP}, "after_rollback": "none", "hold": "Deploy"}},'
        ' {"application": "*", "deployment_group": "prod-*", "pipeline": "rest"},'
        ' {"ecs_service": "main/*", "pipeline": "services"}]'
    ).pipelines
    assert found == (
        PipelineRule("shop/prod", "shop", "none", "Deploy"),
        PipelineRule("*/prod-*", "rest", "tell", ""),
        PipelineRule("ecs:main/*", "services", "tell", ""),
    )


@pytest.mark.parametrize(
    ("group", "pipeline"),
    [(("shop", "prod"), "shop"), (("pay", "prod-eu"), "rest"), (("pay", "test"), ""), (("shopping", "prod"), "")],
)
def test_the_first_rule_that_covers_the_whole_name_of_a_group_counts(group, pipeline):
    found = settings(
        pipelines=f'[{{{SHOP}}}, {{"application": "*", "deployment_group": "prod-*", "pipeline": "rest"}}]'
    ).pipeline_of(DeploymentGroup(*group))
    assert (found.pipeline if found else "") == pipeline


def test_a_rule_may_name_the_stage_by_which_a_stacks_release_goes_back():
    text = '[{"application": "shop", "deployment_group": "*", "pipeline": "shop", "stage": "Deploy"}]'
    (rule,) = settings(pipelines=text).pipelines
    assert (rule.pipeline, rule.stage, rule.hold) == ("shop", "Deploy", "")
    (problem,) = problems(pipelines=text.replace('"Deploy"', '"De*"'))
    assert "not patterns" in problem


def test_a_rule_for_services_and_one_for_deployment_groups_cover_nothing_of_each_other():
    service = DeploymentGroup("main", "web", Controller.ECS)
    everything = PipelineRule("*/*", "all")
    assert everything.covers(DeploymentGroup("main", "web"))
    assert not everything.covers(service)
    assert PipelineRule("ecs:*/*", "services").covers(service)
    assert not PipelineRule("ecs:*/*", "services").covers(DeploymentGroup("main", "web"))
    assert not everything.covers(DeploymentGroup("main", "web", Controller.PIPELINE))


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ('"application": "shop", "deployment_group": "prod"', "must have"),
        ('"deployment_group": "prod", "pipeline": "shop"', "must have"),
        (f'{SHOP}, "ecs_service": "main/web"', "must have"),
        (f'{SHOP}, "region": "eu-west-1"', "nothing else"),
        (f'{SHOP}, "hold": ""', "1 to 255"),
        (f'{SHOP}, "hold": null', "1 to 255"),
        ('"application": "shop/x", "deployment_group": "prod", "pipeline": "shop"', "slash"),
        ('"ecs_service": "web", "pipeline": "shop"', "cluster/service"),
        ('"application": "shop", "deployment_group": "prod", "pipeline": "shop-*"', "not patterns"),
        ('"application": "shop", "deployment_group": "prod", "pipeline": "a; rm -rf"', "not patterns"),
        (f'{SHOP}, "hold": "Deploy/*"', "not patterns"),
        (f'{SHOP}, "after_rollback": "restart"', "tell, rerun, none"),
        (f'{SHOP}, "after_rollback": "rerun", "hold": "Deploy"', "exclude each other"),
    ],
)
def test_a_rule_that_is_not_exactly_right_is_refused_with_what_is_wrong(rule, word):
    (problem,) = problems(pipelines=f"[{{{rule}}}]")
    assert problem.startswith("LASTGOOD_PIPELINES: ")
    assert word in problem
