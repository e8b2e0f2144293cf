"""What `plan` finds out beforehand is what the function then does, and finding it out changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from integration.test_cli_judgement import may_be_asked
from lastgood.model import DeploymentGroup
from lastgood_cli.lookout import Lookout, Suppose
from lastgood_cli.questions import Verdict
from lastgood_cli.readonly import ReadOnlySession, WriteRefusedError
from scene import ALARM, PLATFORMS, Scene, scene
from stage.local import REGION, TABLE, event, group_tags

GROUP = DeploymentGroup("shop", "prod")


@contextmanager
def lookout(it: Scene, **settings: str) -> Iterator[Lookout]:
    """The deployed function's eyes at the scene's time."""
    environ = {"LASTGOOD_TABLE": TABLE, **it.local.environment, **settings}
    with Lookout(boto3.Session(region_name=REGION), environ, it.now(), REGION) as eyes:
        yield eyes


def tagged_alarm(it: Scene, state: str = "OK", name: str = ALARM) -> dict[str, Any]:
    """An alarm with the tags that lead to the scene's group, as CloudWatch describes it."""
    it.local.alarm(name, state)
    alarm: dict[str, Any] = it.local.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    tags = [{"Key": key, "Value": value} for key, value in group_tags(it.application, it.group).items()]
    it.local.cloudwatch.tag_resource(ResourceARN=alarm["AlarmArn"], Tags=tags)
    return alarm


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_plan_says_what_the_function_then_really_does(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(2)
        bad = it.release(3)
        it.sim.advance(60)
        alarm = tagged_alarm(it)
        with lookout(it) as eyes:
            (plan,) = eyes.for_alarm(alarm)
        assert plan.acts and plan.decision is not None
        assert plan.suppositions
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK"
        assert [s.deployment_id for s in plan.decision.suspects] == [head["suspect_deployment_id"]] == [bad]
        assert plan.decision.good is not None and plan.decision.good.deployment_id == head["good_deployment_id"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_whatever_a_plan_finds_it_changes_nothing(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(2)
        it.release(3)
        alarm = tagged_alarm(it, "ALARM")
        table, before = it.local.items(), len(it.sim.arrivals)
        with lookout(it) as eyes:
            eyes.for_alarm(alarm, Suppose.ALWAYS)
            eyes.for_group(GROUP)
        made = [arrival.operation for arrival in it.sim.arrivals[before:]]
        assert made and all(each.startswith(("Get", "List", "Describe", "BatchGet")) for each in made)
        assert it.local.items() == table == []


def test_the_clients_of_a_plan_cannot_write_even_if_they_are_told_to() -> None:
    with scene() as it:
        running = it.release(1)
        session = ReadOnlySession(boto3.Session(region_name=REGION))
        with pytest.raises(WriteRefusedError):
            session.client("codedeploy").stop_deployment(deploymentId=running)
        with pytest.raises(WriteRefusedError):
            session.client("dynamodb").put_item(TableName=TABLE, Item={"pk": {"S": "x"}, "sk": {"S": "x"}})
        with pytest.raises(WriteRefusedError):
            session.client("lambda").invoke(FunctionName="lastgood")
        with lookout(it) as eyes, pytest.raises(WriteRefusedError):
            eyes.clients.s3.put_object(Bucket="b", Key="k")
        assert it.calls("StopDeployment") == []


PAUSE = {"action": "pause", "reason": "rush", "requested_by": "ann", "until": "2h"}
MODE = {"action": "set_mode", "application": "shop", "deployment_group": "prod", "requested_by": "ann", "reason": "new"}


@pytest.mark.parametrize(
    ("prepare", "settings"),
    [
        ([], {}),
        ([PAUSE], {}),
        ([{**MODE, "mode": "approve"}], {}),
        ([{**MODE, "mode": "observe"}], {}),
        ([{**MODE, "mode": "off"}], {}),
        ([], {"LASTGOOD_KILL_SWITCH": "true"}),
        ([], {"LASTGOOD_ALLOWED_GROUPS": "pay/*"}),
        ([], {"LASTGOOD_MODE": "observe"}),
    ],
)
def test_whatever_operators_have_set_the_plan_and_the_function_say_the_same(
    prepare: list[dict[str, Any]], settings: dict[str, str]
) -> None:
    with scene(settings=settings) as it:
        it.good_history(1)
        it.release(2, settle=True, rest=300)
        for request in prepare:
            it.local.handle(request)
        alarm = tagged_alarm(it, "ALARM")
        with lookout(it) as eyes:
            (plan,) = eyes.for_alarm(alarm)
        result = it.alarm_fires()
        if plan.decision is None:
            assert plan.answers[-1].reason == result["reason"]
        elif plan.acts:
            it.run_to_end()
            assert it.is_live(1)
        else:
            assert str(plan.decision.reason) == result["reason"]
            assert plan.decision.explanation == result["explanation"]
            assert it.is_live(2)


def test_a_plan_shows_the_step_that_comes_after_the_first() -> None:
    with scene("ECS") as it:
        it.good_history(2)
        it.release(3, settle=True, rest=300)
        it.sim.engine.ecs_world.deregister("web:2", it.now())
        with lookout(it) as eyes:
            plan = eyes.for_group(GROUP)
        assert plan.acts and "is INACTIVE; it is registered again unchanged" in plan.then


def test_an_alarm_that_leads_nowhere_is_planned_as_what_it_is() -> None:
    with scene() as it:
        it.local.alarm("stray")
        (alarm,) = it.local.cloudwatch.describe_alarms(AlarmNames=["stray"])["MetricAlarms"]
        with lookout(it) as eyes:
            (plan,) = eyes.for_alarm(alarm)
        (answer,) = plan.answers
        assert (answer.verdict, answer.reason, plan.acts) == (Verdict.NO, "UNROUTED_ALARM", False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alarm-ok", "It would open no rollback"),
        ("codedeploy-state-change", "It would open no rollback"),
        ("scheduled-sweep", "It would open no rollback"),
        ("manual-pause", "It would open no rollback"),
        ("sns-subscription-confirmation", "The event would be ignored"),
        ("alarm-in-alarm", "It would not roll back: SKIPPED (STALE_SIGNAL)"),
    ],
)
def test_every_sample_event_can_be_planned(name: str, said: str) -> None:
    with scene() as it:
        it.good_history(1)
        it.sim.advance(400 * 86_400)
        with lookout(it) as eyes:
            (plan,) = eyes.for_event(event(name))
        assert plan.headline.startswith(said)
        assert not plan.acts


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_operators_policy_is_enough_on_every_platform(platform: str) -> None:
    asked: list[str] = []
    session = boto3.Session(region_name=REGION)
    session.events.register("before-call", lambda model, **_: asked.append(model.name))
    with scene(platform, settings={"LASTGOOD_CHECK_BUNDLES": "false"}) as it:
        it.good_history(2)
        it.release(3, settle=True, rest=300)
        with Lookout(session, {"LASTGOOD_TABLE": TABLE}, it.now(), REGION) as eyes:
            assert eyes.for_group(GROUP).acts
    assert set(asked) <= may_be_asked()
