"""A release that changes several groups is one release: to the storm brake, to people, and when one of it goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from lastgood.errors import RetryableError
from lastgood.rollbacks.others import Others
from scene import Scene, scene
from simulated_aws import github_revision
from stage.local import group_tags

OTHERS = tuple(f"jobs-{number}" for number in range(7))
RULES = json.dumps([{"application": "shop", "deployment_group": "*", "pipeline": "shop"}])
FOLLOW = {"LASTGOOD_RELEASE_SET": "follow"}
GOOD, BAD = "a1" * 20, "b2" * 20


@contextmanager
def one_run(settings: dict[str, str] | None = None, others: tuple[str, ...] = OTHERS[:2]) -> Iterator[Scene]:
    """The pipeline `shop` deploys shop/prod and others in one stage: a good commit, then a bad one, ten minutes ago."""
    with scene("Server", settings={"LASTGOOD_PIPELINES": RULES, **(settings or {})}) as it:
        for group in others:
            it.sim.server_group("shop", group)
        it.sim.pipeline("shop", "shop", "prod", beside=tuple(("shop", group) for group in others))
        for commit, number in ((GOOD, 1), (BAD, 2)):
            it.sim.push("shop", commit, f"v{number}.zip", settle=True)
            it.sim.settle()
            it.sim.advance(7200 if commit == GOOD else 600)
        yield it


def content(it: Scene, group: str) -> str:
    return it.sim.live("shop", group).target.split("|")[1]


def every(it: Scene, minutes: int = 20) -> None:
    """Let everything take its course."""
    for _ in range(minutes):
        it.sim.advance(60)
        it.sweep()


def heads(it: Scene) -> dict[str, dict[str, Any]]:
    """The heads of all rollbacks, by their group."""
    return {i["deployment_group"]: i for i in it.local.items() if i["sk"] == "META"}


def fires(it: Scene, *groups: str) -> None:
    """The alarms of these groups fire in one moment; then their messages come."""
    for group in groups:
        it.local.alarm(group, tags=group_tags("shop", group))
    for group in groups:
        it.alarm_fires(alarm=group, tags=group_tags("shop", group))


def notices(it: Scene) -> dict[str, list[dict[str, Any]]]:
    """What people were told since the last look, by its kind."""
    told: dict[str, list[dict[str, Any]]] = {"opened": [], "closed": []}
    for notice in it.local.notices():
        told.setdefault(notice["metadata"]["eventType"].removeprefix("lastgood."), []).append(notice)
    return told


def test_the_rest_of_a_release_is_offered_with_the_commands_that_roll_it_back() -> None:
    with one_run() as it:
        it.alarm_fires()
        every(it)
        head = heads(it)["prod"]
        assert (head["outcome"], head["release_groups"]) == ("ROLLED_BACK", ["shop/jobs-0", "shop/jobs-1", "shop/prod"])
        assert head["release_joined_by"] == f"the run {head['suspect_execution_id']} of the pipeline shop"
        steps = " ".join(notices(it)["closed"][0]["content"]["nextSteps"])
        for group in OTHERS[:2]:
            assert f"rollback shop/{group} --reason" in steps
            assert content(it, group) == "v2.zip"


def test_a_command_for_each_of_five_and_the_names_of_the_rest() -> None:
    with one_run(others=OTHERS) as it:
        it.alarm_fires()
        every(it)
        steps = notices(it)["closed"][0]["content"]["nextSteps"]
        assert len([step for step in steps if step.startswith("If shop/jobs")]) == 5
        assert "The same for shop/jobs-5, shop/jobs-6" in steps


def test_with_the_setting_the_others_follow_once_each_and_bring_nobody_along_themselves() -> None:
    with one_run(FOLLOW) as it:
        it.alarm_fires()
        every(it)
        found = heads(it)
        assert {head["outcome"] for head in found.values()} == {"ROLLED_BACK"}
        assert sorted(found["prod"]["follower_ids"]) == sorted(found[g]["rollback_id"] for g in OTHERS[:2])
        assert all(found[group]["follows"] == found["prod"]["rollback_id"] for group in OTHERS[:2])
        assert {content(it, group) for group in ("prod", *OTHERS[:2])} == {"v1.zip"}
        assert len(it.calls("CreateDeployment")) == 3
        assert len([i for i in it.local.items() if i["sk"] == "META"]) == 3


def test_people_hear_once_of_the_groups_of_a_release() -> None:
    with one_run(FOLLOW) as it:
        it.alarm_fires()
        every(it)
        told = notices(it)
        assert len(told["opened"]) == 2, "the first began before anybody knew of the others"
        (closed,) = told["closed"]
        assert "changed shop/jobs-0, shop/jobs-1, shop/prod; the others follow" in closed["content"]["description"]


def test_one_that_fails_is_told_for_itself() -> None:
    with one_run(FOLLOW) as it:
        it.alarm_fires()
        it.sim.fail_next()
        every(it)
        outcomes = {head["outcome"] for head in heads(it).values()}
        assert "FAILED" in outcomes
        assert any("FAILED" in notice["content"]["title"] for notice in notices(it)["closed"])


def test_what_was_released_to_a_group_since_is_left_alone() -> None:
    with one_run(FOLLOW) as it:
        fix = it.sim.release("shop", "jobs-0", "fix.zip", settle=True)
        it.alarm_fires()
        every(it)
        assert (content(it, "jobs-0"), content(it, "jobs-1")) == ("fix.zip", "v1.zip")
        assert "jobs-0" not in heads(it)
        told = [i["explanation"] for i in it.local.items() if i.get("step_name") == "BRING_OTHERS"]
        assert any(f"shop/jobs-0 is left alone: {fix} came after" in text for text in told)


@pytest.mark.parametrize("settings", [{"LASTGOOD_ALLOWED_GROUPS": "shop/prod,shop/jobs-1"}, {}])
def test_what_may_not_be_touched_does_not_follow(settings: dict[str, str]) -> None:
    with one_run(FOLLOW | settings) as it:
        if not settings:
            mode = {"action": "set_mode", "mode": "observe", "application": "shop", "deployment_group": "jobs-0"}
            it.local.handle({**mode, "requested_by": "ann", "reason": "new"})
        it.alarm_fires()
        every(it)
        assert (content(it, "jobs-0"), content(it, "jobs-1")) == ("v2.zip", "v1.zip")


def test_an_invocation_that_dies_between_two_followers_opens_the_second_next_time_and_neither_twice() -> None:
    with one_run(FOLLOW) as it:
        it.alarm_fires()
        opening, dies = Others._follows, iter([False, True])

        def follows(others: Others, *asked: Any) -> tuple[str, str]:
            if next(dies, False):
                raise RetryableError("the connection broke")
            return opening(others, *asked)

        with patch.object(Others, "_follows", follows):
            every(it)
        assert {content(it, group) for group in ("prod", *OTHERS[:2])} == {"v1.zip"}
        assert len(it.calls("CreateDeployment")) == 3
        assert len(heads(it)["prod"]["follower_ids"]) == 2


# --- what is no group of CodeDeploy's ---


@contextmanager
def one_run_to_all(settings: dict[str, str] | None = None, **pipeline: Any) -> Iterator[Scene]:
    """The pipeline deploys shop/prod and the service main/web in one stage, and copies to S3 in the next one."""
    with scene("Server", settings={"LASTGOOD_PIPELINES": RULES, **(settings or {})}) as it:
        it.sim.rolling_service("main", "web")
        options: dict[str, Any] = {"beside": (("main", "web"),), "last": "Copy", **pipeline}
        it.sim.pipeline("shop", "shop", "prod", **options)
        for commit, number in ((GOOD, 2), (BAD, 3)):
            it.sim.push("shop", commit, f"v{number}.zip", settle=True)
            it.sim.settle()
            it.sim.advance(7200 if commit == GOOD else 600)
        assert serving(it) == ("v3.zip", "web:3", "v3.zip")
        yield it


def serving(it: Scene) -> tuple[str, str, str]:
    """What the group, the service and the last stage have live."""
    service = it.sim.service_live("main", "web").target.rpartition("/")[2]
    return content(it, "prod"), service, next(iter(it.sim.serving("pipeline:shop", "Copy")))


def test_a_service_of_ecs_and_the_other_stage_of_the_run_follow_too() -> None:
    with one_run_to_all(FOLLOW) as it:
        it.alarm_fires()
        every(it)
        assert serving(it) == ("v2.zip", "web:2", "v2.zip")
        keys = {head["deployment_group_key"]: head["outcome"] for head in heads(it).values()}
        assert keys == dict.fromkeys(["shop/prod", "ecs:main/web", "pipeline:shop/Copy"], "ROLLED_BACK")
        assert len(it.calls("RollbackStage")) == len(it.calls("UpdateService")) == 1


def test_without_the_setting_people_get_the_command_for_each_of_them() -> None:
    with one_run_to_all() as it:
        it.alarm_fires()
        every(it)
        assert serving(it) == ("v2.zip", "web:3", "v3.zip")
        steps = " ".join(notices(it)["closed"][0]["content"]["nextSteps"])
        assert "rollback ecs:main/web --reason" in steps and "rollback pipeline:shop/Copy --reason" in steps


def test_a_service_that_got_something_newer_since_is_left_alone() -> None:
    with one_run_to_all(FOLLOW) as it:
        it.sim.register_task_definition("web")
        it.sim.release_service("main", "web", "web:4", settle=True)
        it.alarm_fires()
        every(it)
        assert serving(it) == ("v2.zip", "web:4", "v2.zip")


def test_a_stage_that_is_rolled_back_brings_along_what_the_rest_of_its_run_released() -> None:
    with one_run_to_all(FOLLOW) as it:
        it.alarm_fires(tags={"lastgood:pipeline": "shop/Copy"})
        every(it)
        assert serving(it) == ("v2.zip", "web:2", "v2.zip")
        followers = [h for h in heads(it).values() if h.get("follows")]
        assert {h["deployment_group_key"] for h in followers} == {"shop/prod", "ecs:main/web"}


def test_where_no_rule_names_the_pipeline_nothing_follows_and_the_notice_says_so() -> None:
    with one_run_to_all({**FOLLOW, "LASTGOOD_PIPELINES": "[]"}) as it:
        it.alarm_fires()
        every(it)
        assert serving(it) == ("v2.zip", "web:3", "v3.zip")
        (closed,) = notices(it)["closed"]
        assert "LASTGOOD_PIPELINES names no pipeline that releases to shop/prod" in closed["content"]["description"]


# --- the storm brake --------------------------------------------------------------------------------------------------


def test_eight_groups_of_one_run_of_a_pipeline_are_one_release_and_all_go_back() -> None:
    with one_run(others=OTHERS) as it:
        fires(it, "prod", *OTHERS)
        every(it)
        found = heads(it)
        assert {head["outcome"] for head in found.values()} == {"ROLLED_BACK"}, {
            g: h["explanation"] for g, h in found.items()
        }
        told = notices(it)
        assert len(told["opened"]) == len(told["closed"]) == 1


def test_six_groups_that_nothing_joins_are_a_storm_beside_a_release_of_many() -> None:
    with one_run(others=OTHERS[:2]) as it:
        alone = [f"alone-{number}" for number in range(5)]
        for group in alone:
            it.sim.server_group("shop", group)
            it.sim.release("shop", group, "one.zip", settle=True)
        fires(it, "prod", *OTHERS[:2], *alone)
        last = heads(it)["alone-4"]
        assert last["reason_code"] == "STORM"
        assert "6 deployment groups" in last["explanation"]
        assert "the 3 of the run" in last["explanation"] and "count once" in last["explanation"]


def test_groups_that_were_given_one_commit_are_one_release() -> None:
    with scene("Server") as it:
        groups = ["prod", *OTHERS]
        for group in OTHERS:
            it.sim.server_group("shop", group)
        for commit in (GOOD, BAD):
            for group in groups:
                it.sim.release("shop", group, github_revision("shop/site", commit), settle=True)
            it.sim.advance(7200 if commit == GOOD else 60)
        fires(it, *groups)
        every(it)
        found = heads(it)
        assert {head["outcome"] for head in found.values()} == {"ROLLED_BACK"}
        assert found["prod"]["release_joined_by"] == f"the commit {BAD}"


def test_nobody_is_asked_what_released_what_while_few_groups_are_in_alarm() -> None:
    with one_run() as it:
        it.alarm_fires()
        assert not it.calls("ListActionExecutions") or it.head["rollback_deployment_id"]


@pytest.mark.parametrize(
    "names", [{"ApplicationName": "site", "EnvironmentName": "site-prod"}, {"ClusterName": "blue", "Namespace": "web"}]
)
def test_what_a_run_also_deploys_by_other_services_is_no_group_of_its_release(names: dict[str, str]) -> None:
    """Elastic Beanstalk has applications too, and EKS has clusters. People are told of the end all the same."""
    with one_run() as it:
        run = it.sim.pipelines.pipeline("shop").runs[-1]
        action = next(each for each in run.actions if each.category == "Deploy")
        run.actions.append(replace(action, id="other", name="Other", configuration=names, external_id="v2"))
        it.alarm_fires()
        every(it)
        head = heads(it)["prod"]
        assert (head["outcome"], head["release_groups"]) == ("ROLLED_BACK", ["shop/jobs-0", "shop/jobs-1", "shop/prod"])
        assert len(notices(it)["closed"]) == 1
