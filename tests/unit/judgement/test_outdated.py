"""Deployments to outdated instances alone: which only catch up, and which are releases."""

from __future__ import annotations

from typing import Any

import pytest

from builders import newest_first, release
from lastgood.judgement.outdated import told_apart
from lastgood.model import Deployment


def outdated(deployment_id: str, identity: str, at: float, **more: Any) -> Deployment:
    return release(deployment_id, identity, at, outdated_instances_only=True, **more)


V1, V2 = release("d-1", "v1", -30), release("d-2", "v2", -20)


@pytest.mark.parametrize(
    ("older", "newest", "catches_up"),
    [
        pytest.param([V1], outdated("d-3", "v1", -10), True, id="the revision that was deployed last"),
        pytest.param([V1], outdated("d-3", "v2", -10), False, id="a new one"),
        pytest.param([V1, V2], outdated("d-3", "v1", -10), False, id="an older one"),
        pytest.param([], outdated("d-3", "v1", -10), True, id="nothing before it is known"),
        pytest.param([V1], outdated("d-3", "v2", -10, creator="autoscaling"), True, id="a scale-out"),
        pytest.param([V1], outdated("d-3", "v2", -10, creator="CodeDeployAutoUpdate"), True, id="an automatic update"),
        pytest.param(
            [V1, release("d-2", "v2", -20, status="Failed")],
            outdated("d-3", "v1", -10),
            True,
            id="what failed between was not deployed",
        ),
        pytest.param(
            [V1, release("d-2", "v2", -20, creator="autoscaling")],
            outdated("d-3", "v1", -10),
            True,
            id="a scale-out between deployed nothing new",
        ),
    ],
)
def test_only_what_was_deployed_last_catches_up(older: list[Deployment], newest: Deployment, catches_up: bool) -> None:
    found = told_apart(newest_first(*older, newest))
    assert found[0].outdated_instances_only is catches_up
    assert [d.deployment_id for d in found] == [newest.deployment_id, *[d.deployment_id for d in older[::-1]]]


def test_each_is_compared_with_what_came_before_it_and_others_stay_as_they_are() -> None:
    history = newest_first(V1, outdated("d-2", "v2", -20), outdated("d-3", "v2", -10), release("d-4", "v3", -5))
    found = told_apart(history)
    assert [d.outdated_instances_only for d in found] == [False, True, False, False]
    assert (found[0], found[3]) == (history[0], history[3])
