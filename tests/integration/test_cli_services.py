"""Every command, for a service that ECS itself deploys: the same words, the service's own names and addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from answering import answering, denied
from integration.test_cli_judgement import mend, past, unknown_to_moto, wrong
from stage.local import service_tags
from terminal import Terminal, terminal

SERVICE = "ecs:main/web"
ALARM = "main-web-error-rate"
WHY = ("--reason", "orders get lost", "--as", "jane", "--yes")
CONSOLE = "https://us-east-1.console.aws.amazon.com/ecs/v2/clusters/main/services/web/deployments?region=us-east-1"
RULES = json.dumps([{"ecs_service": "main/web", "pipeline": "web", "after_rollback": "none", "hold": "Deploy"}])


@contextmanager
def world() -> Iterator[Terminal]:
    """The service `main/web`, whose third task definition is live and bad, and an alarm whose tag names it."""
    with terminal(EcsServices="main/*", AllowedGroups="ecs:main/*", Pipelines=RULES, PipelinePattern="web") as made:
        mend(made)
        made.sim.rolling_service("main", "web")
        made.sim.pipeline("web", application="main", group="web")
        made.ids["second"] = made.sim.release_service("main", "web", "web:2", settle=True)
        made.sim.advance(86_400)
        made.ids["third"] = made.sim.release_service("main", "web", "web:3", settle=True)
        made.sim.advance(300)
        made.alarm(ALARM, "OK")
        made.tag_alarm(ALARM, service_tags("main", "web"))
        yield made


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """The world before anything happens. It stays so: what a test does, it does to another service."""
    with world() as made:
        yield made


def live(it: Terminal) -> str:
    return it.sim.service_live("main", "web").target.rpartition("/")[2]


@pytest.mark.parametrize("arguments", [("plan", ALARM), ("plan", "--group", SERVICE)])
def test_a_plan_names_the_service_and_what_goes_back(it: Terminal, arguments: tuple[str, ...]) -> None:
    (plan,) = it.call("-o", "json", *arguments).json
    assert (plan["deployment_group_key"], plan["acts"]) == (SERVICE, True)
    assert (plan["suspect_deployment_id"], plan["good_deployment_id"]) == (it.ids["third"], it.ids["second"])
    assert f"→ {SERVICE}" in it.call(*arguments).out


@pytest.mark.parametrize("arguments", [(ALARM,), ("--group", SERVICE)])
def test_a_whole_chain_to_a_service_is_found_whole(it: Terminal, arguments: tuple[str, ...]) -> None:
    with answering(unknown_to_moto(it)) as asked:
        ran = it.call("-o", "json", "doctor", *arguments)
    assert (ran.code, wrong(ran)) == (0, {})
    assert all(row["ok"] is True for row in ran.json)
    parts = {row["part"] for row in ran.json}
    assert {f"Service {SERVICE}", f"Pipeline web, after a rollback of {SERVICE}"} <= parts
    assert {"ECS's events reach it", "the stage Deploy can be held"} <= {row["check"] for row in ran.json}
    simulated = {
        action for name, given in asked if name == "SimulatePrincipalPolicy" for action in given["ActionNames"]
    }
    assert {"ecs:UpdateService", "codepipeline:DisableStageTransition"} <= simulated
    assert not [action for action in simulated if action.startswith("codedeploy:")]


def test_doctor_says_that_a_service_does_not_exist_and_how_to_mend_it(it: Terminal) -> None:
    with answering(unknown_to_moto(it)):
        ran = it.call("-o", "json", "doctor", "--group", "ecs:main/nobody")
    assert ran.code == 1
    assert wrong(ran)["it exists"].startswith("By hand: name a group that exists: lastgood ")
    assert "ECS has no service main/nobody" in next(row["detail"] for row in ran.json if row["ok"] is False)


@pytest.mark.parametrize(
    ("operation", "answer", "check", "fix"),
    [
        ("GetPipeline", denied("PipelineNotFoundException"), "it exists", "list-pipelines"),
        ("GetPipeline", {"pipeline": {"name": "web", "stages": []}}, "the stage Deploy can be held", "Pipelines"),
    ],
)
def test_doctor_finds_what_is_wrong_with_the_pipeline(
    it: Terminal, operation: str, answer: dict[str, Any], check: str, fix: str
) -> None:
    with answering(unknown_to_moto(it, **{operation: answer})):
        ran = it.call("-o", "json", "doctor", "--group", SERVICE)
    assert ran.code == 1
    assert list(wrong(ran)) == [check]
    assert fix in wrong(ran)[check]


def test_doctor_tells_what_the_daily_drill_found(it: Terminal) -> None:
    sns = it.aws.client("sns")
    people = [each for each in sns.list_subscriptions()["Subscriptions"] if "Notification" in each["TopicArn"]]
    for each in people:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    it.handle({"action": "drill"})
    with answering(unknown_to_moto(it)):
        found = it.call("-o", "json", "doctor", "--group", SERVICE).json
    (drill,) = [row for row in found if row["check"] == "the daily drill finds nothing wrong"]
    assert drill["ok"] is False
    assert "Nobody" in drill["detail"] and "lastgood drill" in drill["fix"]
    for each in people:
        sns.subscribe(**{name: each[name] for name in ("TopicArn", "Protocol", "Endpoint")})
    it.handle({"action": "drill"})


def test_a_backtest_judges_the_alarms_of_a_service_by_its_own_deployments(it: Terminal) -> None:
    items = [past(it, "ALARM", 200, ALARM), past(it, "OK", 20, ALARM)]
    with answering(unknown_to_moto(it, DescribeAlarmHistory={"AlarmHistoryItems": items})):
        (found,) = it.call("-o", "json", "backtest", "--since", "7d").json["findings"]
    assert (found["deployment_group_key"], found["verdict"]) == (SERVICE, "rolls back")
    assert (found["suspect_deployment_id"], found["good"]) == (it.ids["third"], "web:2")


def test_a_dry_run_through_the_function_touches_nothing(it: Terminal) -> None:
    said = it.call("-o", "json", "rollback", SERVICE, "--dry-run", *WHY).json
    assert (said["outcome"], said["controller"], said["good_deployment_id"]) == ("DRY_RUN", "ECS", it.ids["second"])
    assert live(it) == "web:3"


ACTS = {
    ("pause", "main/api", "--until", "2h"): {"action": "pause", "until": "2h"},
    ("resume", "main/api"): {"action": "resume"},
    ("mode", "main/api", "observe"): {"action": "set_mode", "mode": "observe"},
    ("floor", "set", "main/api", "its own"): {"action": "set_floor", "deployment_id": "its own"},
    ("floor", "clear", "main/api", "its own"): {"action": "clear_floor", "deployment_id": "its own"},
    ("mark", "bad", "main/api", "its own"): {"action": "mark_bad", "deployment_id": "its own"},
    ("mark", "good", "main/api", "its own"): {"action": "mark_good", "deployment_id": "its own"},
}


def test_each_act_names_the_service_and_is_taken_by_the_function(it: Terminal) -> None:
    it.sim.rolling_service("main", "api")
    own = {"its own": it.sim.release_service("main", "api", "web:2", settle=True), "main/api": "ecs:main/api"}
    for command, event in ACTS.items():
        it.invoked.clear()
        ran = it.call(*(own.get(text, text) for text in command), *WHY)
        assert ran.code == 0, ran.err
        common = {"ecs_service": "main/api", "reason": "orders get lost", "requested_by": "jane"}
        assert it.invoked == [{**common, **{name: own.get(value, value) for name, value in event.items()}}]
