"""Every command, for a stage of a pipeline: the same words, the stage's own names and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from answering import answering
from integration.test_cli_judgement import mend, past, unknown_to_moto, wrong
from lastgood.model import parse_stage
from terminal import Terminal, terminal

STAGE = "pipeline:shop/Deploy"
ALARM = "shop-deploy-error-rate"
TAGS = parse_stage("shop/Deploy").tags
WHY = ("--reason", "orders get lost", "--as", "jane", "--yes")
CONSOLE = "https://us-east-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/shop/view?region=us-east-1"
COMMITS = {"second": "2" * 40, "third": "3" * 40}


@contextmanager
def world() -> Iterator[Terminal]:
    """The stage Deploy of the pipeline shop: its third release is live and bad, and an alarm's tag names the stage."""
    with terminal(PipelineStages="shop*/Deploy", PipelinePattern="shop*", AllowedGroups="pipeline:shop*/*") as made:
        mend(made)
        made.sim.pipeline("shop", application="shop", group="prod", deploys_with="S3")
        for name, commit in COMMITS.items():
            made.ids[name] = made.sim.push("shop", commit, name, settle=True)
            made.sim.advance(86_400 if name == "second" else 300)
        made.alarm(ALARM, "OK")
        made.tag_alarm(ALARM, TAGS)
        yield made


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """The world before anything happens. It stays so: what a test does, it does to another pipeline."""
    with world() as made:
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


ANOTHER = "pipeline:shop-api/Deploy"
ACTS = {
    ("pause", ANOTHER, "--until", "2h"): {"action": "pause", "until": "2h"},
    ("resume", ANOTHER): {"action": "resume"},
    ("floor", "set", ANOTHER, "its own"): {"action": "set_floor", "deployment_id": "its own"},
    ("floor", "clear", ANOTHER, "its own"): {"action": "clear_floor", "deployment_id": "its own"},
    ("mark", "bad", ANOTHER, "its own"): {"action": "mark_bad", "deployment_id": "its own"},
    ("mark", "good", ANOTHER, "its own"): {"action": "mark_good", "deployment_id": "its own"},
}


def test_each_act_names_the_stage_and_is_taken_by_the_function(it: Terminal) -> None:
    it.sim.pipeline("shop-api", application="shop-api", group="prod", deploys_with="S3")
    own = {"its own": it.sim.push("shop-api", "4" * 40, "only", settle=True)}
    for command, event in ACTS.items():
        it.invoked.clear()
        ran = it.call(*(own.get(text, text) for text in command), *WHY)
        assert ran.code == 0, ran.err
        common = {"pipeline": "shop-api", "stage": "Deploy", "reason": "orders get lost", "requested_by": "jane"}
        assert it.invoked == [{**common, **{name: own.get(value, value) for name, value in event.items()}}]


@pytest.mark.parametrize("name", ["pipeline:shop", "pipeline:shop/a/b", "pipeline:/Deploy"])
def test_a_name_that_can_be_no_stage_is_refused_before_anything_is_asked(it: Terminal, name: str) -> None:
    ran = it.call("plan", "--group", name)
    assert ran.code == 2
    assert "a stage must be pipeline/stage" in ran.err
