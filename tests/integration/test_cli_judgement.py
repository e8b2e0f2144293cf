"""What `plan`, `doctor` and `backtest` find out about a simulated AWS, and that they change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from lastgood.model import DeploymentGroup
from lastgood_cli.local import REGION, TABLE, group_tags
from lastgood_cli.lookout import Lookout
from scene import ALARM, PLATFORMS, Scene, scene

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


def writes(it: Scene) -> list[str]:
    """The operations beyond reading that reached the simulator."""
    reads = ("Get", "List", "Describe", "BatchGet")
    return [a.operation for a in it.sim.arrivals if not a.operation.startswith(reads)]


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
