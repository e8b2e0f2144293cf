"""What `plan` says of the rest of a release is what then happens to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from integration.test_cli_plans import lookout, tagged_alarm
from integration.test_release_sets import FOLLOW, OTHERS, content, every, heads, one_run, one_run_to_all, serving
from integration.test_stacks import of_the_stage, released, sam_by_pipeline
from lastgood.model import DeploymentGroup, parse_key
from lastgood_cli.plan import as_dict, render
from lastgood_cli.planned import Plan
from lastgood_cli.release_rest import MOST, rest_of_release
from scene import Scene
from simulated_aws.cloudformation.stacks import Resource


def planned(it: Scene, group: DeploymentGroup | None = None) -> Plan:
    """The plan for the scene's alarm, or for one of a group, with the rest of the release. It only reads."""
    alarm, before = tagged_alarm(it), len(it.sim.arrivals)
    with lookout(it) as eyes:
        plan = eyes.for_group(group) if group else eyes.for_alarm(alarm)[0]
        plan = replace(plan, release=rest_of_release(eyes, plan))
    made = [arrival.operation for arrival in it.sim.arrivals[before:]]
    assert made and all(each.startswith(("Get", "List", "Describe", "BatchGet")) for each in made)
    return plan


def told(plan: Plan) -> dict[str, str]:
    """What would happen to each of the other groups, by its key."""
    return {each.key: each.told for each in plan.release.neighbours} if plan.release else {}


def going_back(plan: Plan) -> set[str]:
    return {each.key for each in plan.release.neighbours if each.goes_back} if plan.release else set()


def printed(plan: Plan) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as shown:
        console.print(render(plan))
    return shown.get()


@pytest.mark.parametrize("settings", [FOLLOW, {}, FOLLOW | {"LASTGOOD_ALLOWED_GROUPS": "shop/prod,shop/jobs-1"}])
@pytest.mark.parametrize("fixed", [False, True], ids=["", "jobs-1 has a fix"])
def test_a_plan_names_the_groups_of_the_run_and_those_that_follow_do(settings: dict[str, str], fixed: bool) -> None:
    with one_run(settings) as it:
        if fixed:
            it.sim.release("shop", "jobs-1", "fix.zip", settle=True)
        plan = planned(it)
        assert plan.acts and plan.release
        assert set(told(plan)) == {"shop/jobs-0", "shop/jobs-1"}
        it.alarm_fires()
        every(it)
        gone_back = {f"shop/{group}" for group in OTHERS[:2] if content(it, group) == "v1.zip"}
        assert going_back(plan) == gone_back == set(heads_of_followers(it))
        run = heads(it)["prod"]["suspect_execution_id"]
        assert plan.release.joined_by == f"the run {run} of the pipeline shop"
        if fixed:
            assert "came after" in told(plan)["shop/jobs-1"]
        if not settings:
            assert "lastgood rollback shop/jobs-0" in printed(plan)


def heads_of_followers(it: Scene) -> list[str]:
    return [head["deployment_group_key"] for head in heads(it).values() if head.get("follows")]


@pytest.mark.parametrize("key", ["shop/prod", "pipeline:shop/Copy"])
def test_a_plan_tells_of_services_and_other_stages_too(key: str) -> None:
    with one_run_to_all(FOLLOW) as it:
        plan = planned(it, parse_key(key))
        others = {"ecs:main/web", "pipeline:shop/Copy", "shop/prod"} - {key}
        assert going_back(plan) == set(told(plan)) == others
        it.alarm_fires(tags={"lastgood:pipeline": "shop/Copy"} if key.startswith("pipeline") else it.tags)
        every(it)
        assert serving(it) == ("v2.zip", "web:2", "v2.zip")


def test_where_nothing_goes_back_the_rest_stays_and_where_nothing_else_was_released_nothing_is_said() -> None:
    with one_run(FOLLOW | {"LASTGOOD_MODE": "observe"}) as it:
        plan = planned(it)
        assert set(told(plan)) == {"shop/jobs-0", "shop/jobs-1"} and not going_back(plan)
    with one_run(FOLLOW, others=()) as it:
        plan = planned(it)
        assert plan.release is None and "Released with it" not in printed(plan)
        assert as_dict(plan)["release_neighbours"] == []


def test_of_a_large_release_the_first_are_looked_at_and_the_others_are_named() -> None:
    many = tuple(f"jobs-{number:02}" for number in range(MOST + 2))
    with one_run(FOLLOW, others=many) as it:
        plan = planned(it)
        assert len(told(plan)) == MOST + 2 and len(going_back(plan)) == MOST
        assert "lastgood plan --group shop/jobs-11" in told(plan)["shop/jobs-11"]


def test_where_the_pipeline_may_not_be_read_the_plan_itself_stands() -> None:
    with one_run(FOLLOW) as it:
        it.sim.fail_call("ListActionExecutions", "AccessDeniedException", "not authorized", count=50)
        plan = planned(it)
        assert plan.acts and plan.release is None


# --- the stack that holds them, and the stage that releases it ---


def test_what_else_the_stack_holds_goes_back_with_it_by_the_stage() -> None:
    with sam_by_pipeline() as it:
        stack = it.sim.stacks.stack("app")
        stack.resources += (Resource("Jobs", "jobs", "AWS::CodeDeploy::DeploymentGroup"),)
        released(it)
        plan = planned(it)
        assert (plan.acts, told(plan)) == (True, {"shop/jobs": "It would go back with the stack app."})
        it.alarm_fires()
        of_the_stage(it)
        it.sim.settle()
        assert it.is_live(4) and stack.believes == "4"


def test_a_plan_that_a_stage_is_rolled_back_instead_has_asked_whether_it_can_be() -> None:
    with sam_by_pipeline() as it:
        released(it)
        it.sim.pipelines.pipeline("sam").approval = True
        plan = planned(it)
        assert not plan.acts and "asks people for approval" in plan.then
        assert "would not roll back: BLOCKED" in plan.headline
        it.alarm_fires()
        head = of_the_stage(it)
        assert head["outcome"] == "BLOCKED" and it.is_live(3)
