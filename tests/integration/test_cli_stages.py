"""Every command, for a stage of a pipeline: the same words, the stage's own names and addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from answering import answering
from integration.test_cli_judgement import mend, past, unknown_to_moto, wrong
from lastgood.model import parse_stage
from stage.local import alarm_event
from terminal import Terminal, terminal

STAGE = "pipeline:shop/Deploy"
ALARM = "shop-deploy-error-rate"
TAGS = parse_stage("shop/Deploy").tags
WHY = ("--reason", "orders get lost", "--as", "jane", "--yes")
CONSOLE = "https://us-east-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/shop/view?region=us-east-1"
COMMITS = {"second": "2" * 40, "third": "3" * 40}


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """The stage Deploy of the pipeline shop: its third release is live and bad, and an alarm's tag names the stage."""
    with terminal(PipelineStages="shop/Deploy", PipelinePattern="shop", AllowedGroups="pipeline:shop/*") as made:
        mend(made)
        made.sim.pipeline("shop", application="shop", group="prod", deploys_with="S3")
        for name, commit in COMMITS.items():
            made.ids[name] = made.sim.push("shop", commit, name, settle=True)
            made.sim.advance(86_400 if name == "second" else 300)
        made.alarm(ALARM, "OK")
        made.tag_alarm(ALARM, TAGS)
        yield made


def live(it: Terminal) -> dict[str, float]:
    return it.sim.serving("pipeline:shop", "Deploy")


@pytest.mark.parametrize("arguments", [("plan", ALARM), ("plan", "--group", STAGE)])
def test_a_plan_names_the_stage_and_what_goes_back(it: Terminal, arguments: tuple[str, ...]) -> None:
    ran = it.call("-o", "json", *arguments)
    assert ran.code == 0, ran.err
    (plan,) = ran.json
    assert (plan["deployment_group_key"], plan["acts"]) == (STAGE, True)
    assert (plan["suspect_deployment_id"], plan["good_deployment_id"]) == (it.ids["third"], it.ids["second"])
    assert f"→ {STAGE}" in it.call(*arguments).out


@pytest.mark.parametrize("arguments", [(ALARM,), ("--group", STAGE)])
def test_a_whole_chain_to_a_stage_is_found_whole(it: Terminal, arguments: tuple[str, ...]) -> None:
    with answering(unknown_to_moto(it)) as asked:
        ran = it.call("-o", "json", "doctor", *arguments)
    assert (ran.code, wrong(ran)) == (0, {})
    assert f"Stage {STAGE}" in {row["part"] for row in ran.json}
    assert "CodePipeline's events reach it" in {row["check"] for row in ran.json}
    simulated = {
        action for name, given in asked if name == "SimulatePrincipalPolicy" for action in given["ActionNames"]
    }
    assert {"codepipeline:RollbackStage", "codepipeline:StopPipelineExecution"} <= simulated
    assert not [action for action in simulated if action.startswith("codedeploy:")]


def test_an_alarm_is_connected_to_a_stage_by_its_name(it: Terminal) -> None:
    it.alarm("shop-latency", "OK")
    assert it.call("connect", "shop-latency", "--pipeline", "shop/Deploy", "--yes").code == 0
    rows = {row["alarm"]: row["leads_to"] for row in it.call("alarms", "-o", "json").json}
    assert rows["shop-latency"] == STAGE
    ran = it.call("connect", "shop-latency", "--pipeline", "shop/Production", "--yes")
    assert (ran.code, "no pipeline:shop/Production" in ran.err) == (3, True), ran.err


def test_doctor_says_that_a_stage_does_not_exist(it: Terminal) -> None:
    with answering(unknown_to_moto(it)):
        ran = it.call("-o", "json", "doctor", "--group", "pipeline:shop/Production")
    assert ran.code == 1
    assert "CodePipeline has no stage shop/Production" in next(row["detail"] for row in ran.json if row["ok"] is False)


def test_a_backtest_judges_the_alarms_of_a_stage_by_its_own_executions(it: Terminal) -> None:
    items = [past(it, "ALARM", 200, ALARM), past(it, "OK", 20, ALARM)]
    with answering(unknown_to_moto(it, DescribeAlarmHistory={"AlarmHistoryItems": items})):
        (found,) = it.call("-o", "json", "backtest", "--since", "7d").json["findings"]
    assert (found["deployment_group_key"], found["verdict"]) == (STAGE, "rolls back")
    assert (found["suspect_deployment_id"], found["good"]) == (it.ids["third"], COMMITS["second"][:12])


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (("pause", STAGE, "--until", "2h"), {"action": "pause", "until": "2h"}),
        (("resume", STAGE), {"action": "resume"}),
        (("floor", "set", STAGE, "second"), {"action": "set_floor", "deployment_id": "second"}),
        (("floor", "clear", STAGE, "second"), {"action": "clear_floor", "deployment_id": "second"}),
        (("mark", "bad", STAGE, "third"), {"action": "mark_bad", "deployment_id": "third"}),
        (("mark", "good", STAGE, "third"), {"action": "mark_good", "deployment_id": "third"}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_each_act_names_the_stage_and_is_taken_by_the_function(
    it: Terminal, command: tuple[str, ...], event: dict[str, str]
) -> None:
    it.invoked.clear()
    ran = it.call(*(it.ids.get(text, text) for text in command), *WHY)
    assert ran.code == 0, ran.err
    common = {"pipeline": "shop", "stage": "Deploy", "reason": "orders get lost", "requested_by": "jane"}
    assert it.invoked == [{**common, **{name: it.ids.get(value, value) for name, value in event.items()}}]


@pytest.mark.parametrize("name", ["pipeline:shop", "pipeline:shop/a/b", "pipeline:/Deploy"])
def test_a_name_that_can_be_no_stage_is_refused_before_anything_is_asked(it: Terminal, name: str) -> None:
    ran = it.call("plan", "--group", name)
    assert ran.code == 2
    assert "a stage must be pipeline/stage" in ran.err


# --- a rollback, from the alarm to the record: these follow one another ---


@pytest.fixture(scope="module")
def rolled_back(it: Terminal) -> str:
    """The alarm fires, and the stage goes back. Returns the rollback's id."""
    it.alarm(ALARM, "ALARM")
    message = alarm_event(at=it.sim.clock.now(), alarm=ALARM, tags=TAGS)
    message["Records"][0]["Sns"]["TopicArn"] = it.outputs["AlarmTopicArn"]
    found = str(it.handle(message)[0]["rollback_id"])
    it.sim.advance(60)
    it.handle({"action": "sweep"})
    assert live(it) == {"second": 1.0}
    return found


def test_the_story_and_the_reasons_lead_to_the_console_of_codepipeline(it: Terminal, rolled_back: str) -> None:
    shown = it.call("audit", "show", rolled_back)
    assert shown.code == 0
    assert CONSOLE in shown.out
    assert f"{rolled_back}  ROLLED_BACK (VERIFIED)  {STAGE}" in shown.out
    explained = it.call("-o", "json", "explain", rolled_back).json[0]
    assert (explained["deployment_group_key"], explained["reason"]) == (STAGE, "")
    assert {each["answer"] for each in explained["questions"]} == {"yes"}


def test_the_record_is_found_and_counted(it: Terminal, rolled_back: str, tmp_path: Path) -> None:
    which = ("-a", "pipeline:shop", "-g", "Deploy")
    rows = it.call("-o", "json", "audit", "list", *which).json
    assert {row["deployment_group_key"] for row in rows} == {STAGE}
    assert rolled_back in [row["rollback_id"] for row in rows]
    exported = [json.loads(line) for line in it.call("audit", "export", *which).out.splitlines()]
    assert rolled_back in [head["rollback_id"] for head in exported]
    page = tmp_path / "report.html"
    assert it.call("report", "--since", "7d", "--out", str(page)).code == 0
    told = page.read_text()
    assert STAGE in told and rolled_back in told and "/codepipeline/pipelines/shop/" in told
