"""What the command says of a group whose alias a stack holds, and whose releases a pipeline makes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from answering import answering
from integration.test_cli_judgement import mend, unknown_to_moto, wrong
from lastgood_cli import stack_checks
from stage.local import group_tags
from terminal import Terminal, terminal

ALARM = "shop-prod-error-rate"
STAGE = "pipeline:sam/Deploy"
RULE = json.dumps([{"application": "*", "deployment_group": "*", "pipeline": "sam", "stage": "Deploy"}])
BY_PIPELINE = {"Pipelines": RULE, "PipelinePattern": "sam", "PipelineStages": "sam/Deploy"}


@pytest.fixture(scope="module", params=["a terminal", "a pipeline"])
def it(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """The stack `app` holds shop:live, whose version 3 is live and bad; it was released by hand, or by a pipeline."""
    by_pipeline = request.param == "a pipeline"
    parameters = {"EnableLambda": "true", "FindStacks": "true", **(BY_PIPELINE if by_pipeline else {})}
    with terminal(**parameters) as made:
        mend(made)
        made.sim.lambda_group("shop", "prod", versions=5)
        made.sim.stack("app", "shop", "prod")
        made.sim.pipeline("sam", "shop", "prod", deploys_with="CloudFormation", stack="app")
        for version in (2, 3):
            if by_pipeline:
                made.sim.push("sam", f"{version}" * 40, version, settle=True)
            else:
                made.sim.update_stack("app", version, settle=True)
            made.sim.settle()
            made.sim.advance(86_400 if version == 2 else 300)
        made.alarm(ALARM, "OK")
        made.tag_alarm(ALARM, group_tags("shop", "prod"))
        made.ids["by"] = request.param
        yield made


def test_a_plan_says_who_would_put_it_back(it: Terminal) -> None:
    (plan,) = it.call("-o", "json", "plan", ALARM).json
    if it.ids["by"] == "a pipeline":
        assert (plan["acts"], plan["headline"]) == (True, f"It would roll {STAGE} back instead, which released it")
    else:
        assert (plan["acts"], plan["headline"]) == (
            False,
            "It would not roll back: BLOCKED (MANAGED_BY_CLOUDFORMATION)",
        )
        assert "deploy --stack-name app" in plan["explanation"]


def test_doctor_asks_whether_the_stage_that_released_it_may_be_rolled_back(it: Terminal) -> None:
    with answering(unknown_to_moto(it)) as asked:
        it.call("-o", "json", "doctor", ALARM)
    simulated = [given for name, given in asked if name == "SimulatePrincipalPolicy"]
    stages = {
        r for given in simulated if "codepipeline:RollbackStage" in given["ActionNames"] for r in given["ResourceArns"]
    }
    assert any(arn.endswith(":sam/Deploy") for arn in stages) == (it.ids["by"] == "a pipeline")


def test_doctor_looks_at_the_stage_that_would_go_back_in_the_groups_place(it: Terminal) -> None:
    with answering(unknown_to_moto(it)):
        rows = it.call("-o", "json", "doctor", ALARM).json
    by_pipeline = it.ids["by"] == "a pipeline"
    assert (f"Stage {STAGE}" in {row["part"] for row in rows}) == by_pipeline
    if by_pipeline:
        it.sim.pipelines.pipeline("sam").approval = True
        with answering(unknown_to_moto(it)):
            told = [row["detail"] for row in it.call("-o", "json", "doctor", ALARM).json if row["ok"] is False]
        it.sim.pipelines.pipeline("sam").approval = False
        assert any("asks people for approval" in detail for detail in told), told


def test_doctor_finds_what_was_moved_without_its_stack_and_says_how_to_mend_it(it: Terminal) -> None:
    with answering(unknown_to_moto(it)):
        rows = it.call("-o", "json", "doctor", ALARM).json
    (agrees,) = [row for row in rows if row["check"] == stack_checks.NAME]
    assert (agrees["ok"], "stack/app/" in agrees["detail"]) == (True, True)
    alias = {"FunctionName": "shop", "Name": "live"}
    it.aws.client("lambda").update_alias(**alias, FunctionVersion="2")
    with answering(unknown_to_moto(it)):
        found = wrong(it.call("-o", "json", "doctor", ALARM))
    it.aws.client("lambda").update_alias(**alias, FunctionVersion="3")
    assert "--deployment-mode REVERT_DRIFT" in found[stack_checks.NAME]
