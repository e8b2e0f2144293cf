"""Every command, for a service that ECS itself deploys: the same words, the service's own names and addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from answering import answering, denied
from integration.test_cli_judgement import mend, past, unknown_to_moto, wrong
from stage.local import alarm_event, service_tags
from terminal import Terminal, terminal

SERVICE = "ecs:main/web"
ALARM = "main-web-error-rate"
WHY = ("--reason", "orders get lost", "--as", "jane", "--yes")
CONSOLE = "https://us-east-1.console.aws.amazon.com/ecs/v2/clusters/main/services/web/deployments?region=us-east-1"
RULES = json.dumps([{"ecs_service": "main/*", "pipeline": "web", "after_rollback": "none", "hold": "Deploy"}])


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
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


def live(it: Terminal) -> str:
    return it.sim.service_live("main", "web").target.rpartition("/")[2]


# --- before anything happens: nothing is changed ---


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
    for each in sns.list_subscriptions()["Subscriptions"]:
        if "Notification" in each["TopicArn"]:
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    it.handle({"action": "drill"})
    with answering(unknown_to_moto(it)):
        found = it.call("-o", "json", "doctor", "--group", SERVICE).json
    (drill,) = [row for row in found if row["check"] == "the daily drill finds nothing wrong"]
    assert drill["ok"] is False
    assert "Nobody" in drill["detail"] and "lastgood drill" in drill["fix"]
    it.put(pk="CONTROL", sk="DRILL", occurred_at="2025-03-04T09:00:00.000Z", problems=[])


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


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (("pause", SERVICE, "--until", "2h"), {"action": "pause", "until": "2h"}),
        (("resume", SERVICE), {"action": "resume"}),
        (("mode", SERVICE, "observe"), {"action": "set_mode", "mode": "observe"}),
        (("mode", SERVICE, "auto"), {"action": "set_mode", "mode": "auto"}),
        (("floor", "set", SERVICE, "second"), {"action": "set_floor", "deployment_id": "second"}),
        (("floor", "clear", SERVICE, "second"), {"action": "clear_floor", "deployment_id": "second"}),
        (("mark", "bad", SERVICE, "third"), {"action": "mark_bad", "deployment_id": "third"}),
        (("mark", "good", SERVICE, "third"), {"action": "mark_good", "deployment_id": "third"}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_each_act_names_the_service_and_is_taken_by_the_function(
    it: Terminal, command: tuple[str, ...], event: dict[str, str]
) -> None:
    def named(text: str) -> str:
        return it.ids.get(text, text)

    it.invoked.clear()
    ran = it.call(*map(named, command), *WHY)
    assert ran.code == 0, ran.err
    common = {"ecs_service": "main/web", "reason": "orders get lost", "requested_by": "jane"}
    assert it.invoked == [{**common, **{name: named(value) for name, value in event.items()}}]


# --- a rollback, from its plan that waits to the record: these follow one another ---


@pytest.fixture(scope="module")
def rolled_back(it: Terminal) -> str:
    """The alarm fires in approve mode; one plan is rejected, the next approved. Returns its id."""
    assert it.call("mode", SERVICE, "approve", *WHY).code == 0
    refused = fires(it)
    assert it.call("status", refused).code == 21
    assert it.call("reject", refused, *WHY).code == 0
    it.sim.advance(60)
    asked = fires(it)
    ran = it.call("approve", asked, "--as", "jane", "--yes", "--wait", "--timeout", "30m")
    assert (ran.code, live(it)) == (0, "web:2"), ran.err
    return asked


def fires(it: Terminal) -> str:
    it.alarm(ALARM, "OK")
    it.alarm(ALARM, "ALARM")
    message = alarm_event(at=it.sim.clock.now(), alarm=ALARM, tags=service_tags("main", "web"))
    message["Records"][0]["Sns"]["TopicArn"] = it.outputs["AlarmTopicArn"]
    return str(it.handle(message)[0]["rollback_id"])


def test_status_says_how_it_ended_and_leaves_by_that(it: Terminal, rolled_back: str) -> None:
    ran = it.call("-o", "json", "status", rolled_back)
    assert (ran.code, ran.json["outcome"]) == (0, "ROLLED_BACK")


def test_the_gate_is_shut_while_a_rollback_holds_the_pipeline_and_says_how_it_is_opened(
    it: Terminal, rolled_back: str
) -> None:
    ran = it.call("gate", SERVICE, "-o", "json")
    assert (ran.code, ran.json["may_release"]) == (1, False)
    assert ran.json["why_not"] == f"{rolled_back} holds its pipeline: lastgood release {SERVICE} --reason …"


def test_the_story_and_the_reasons_lead_to_the_console_of_ecs(it: Terminal, rolled_back: str) -> None:
    shown = it.call("audit", "show", rolled_back)
    assert shown.code == 0
    assert CONSOLE in shown.out and "codedeploy" not in shown.out.lower()
    assert f"{rolled_back}  ROLLED_BACK (VERIFIED)  {SERVICE}" in shown.out
    assert "{}" not in shown.out
    explained = it.call("-o", "json", "explain", rolled_back).json[0]
    assert (explained["deployment_group_key"], explained["reason"]) == (SERVICE, "")
    assert {each["answer"] for each in explained["questions"]} == {"yes"}


@pytest.mark.parametrize(
    "which", [(), ("-a", "ecs:main"), ("-g", "web"), ("-a", "ecs:main", "-g", "web"), ("-a", "ecs:*")]
)
def test_the_record_is_found_by_cluster_and_service(it: Terminal, rolled_back: str, which: tuple[str, ...]) -> None:
    rows = it.call("-o", "json", "audit", "list", *which).json
    assert rolled_back in [row["rollback_id"] for row in rows]
    assert {row["deployment_group_key"] for row in rows} == {SERVICE}
    assert it.call("-o", "json", "audit", "list", "-a", "main", "-g", "web").json == []


def test_stats_export_and_report_count_the_service(it: Terminal, rolled_back: str, tmp_path: Path) -> None:
    by_service = ("-a", "ecs:main", "-g", "web")
    stats = it.call("audit", "stats", *by_service).out
    assert "ROLLED_BACK" in stats and "APPROVAL_REJECTED" in stats
    exported = [json.loads(line) for line in it.call("audit", "export", *by_service).out.splitlines()]
    assert rolled_back in [head["rollback_id"] for head in exported]
    page = tmp_path / "report.html"
    assert it.call("report", "--since", "7d", "--out", str(page)).code == 0
    told = page.read_text()
    assert SERVICE in told and rolled_back in told and "/ecs/v2/clusters/main/services/web/" in told


def test_a_release_that_is_still_rolling_out_is_stopped_and_ecs_own_rollback_is_called_that(
    it: Terminal, rolled_back: str
) -> None:
    it.call("mode", SERVICE, "auto", *WHY)
    it.sim.advance(7200)
    it.sim.release_service("main", "web", "web:1")
    it.sim.advance(20)
    ran = it.call("-o", "json", "rollback", SERVICE, *WHY, "--wait", "--timeout", "30m")
    assert (ran.code, live(it)) == (0, "web:2"), ran.err
    assert "ECS's own, adopted" in it.call("audit", "show", ran.json["rollback_id"]).out
