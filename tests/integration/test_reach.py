"""The sweep asks CloudWatch and CodeDeploy each minute whether they answer; its own work does not depend on that."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from lastgood.telemetry import Telemetry
from scene import Scene, scene


def counted(it: Scene) -> list[str]:
    """The metrics of one sweep."""
    names: list[str] = []
    with patch.object(Telemetry, "_count", lambda telemetry, name: names.append(name)):
        it.sweep()
    return names


def test_a_sweep_reads_once_from_each_service_and_counts_nothing_when_they_answer() -> None:
    with scene() as it:
        assert counted(it) == ["SweepRan"]
        assert len(it.calls("GetDeploymentConfig")) == 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InternalFailure"])
def test_a_service_that_does_not_answer_is_a_metric_and_the_sweep_goes_on(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    with scene() as it:
        it.good_history(2)
        bad = it.release(3)
        it.alarm_fires()
        it.sim.fail_call("GetDeploymentConfig", code, count=50, status=500 if code == "InternalFailure" else 400)
        assert counted(it) == ["ReadFailed", "SweepRan"]
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.head["suspect_deployment_id"] == bad


def test_cloudwatch_that_does_not_answer_is_counted() -> None:
    with scene() as it:
        refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeAlarms")
        with patch.object(
            it.local.application._parts.reach._clients.cloudwatch, "describe_alarms", side_effect=refused
        ):
            assert counted(it) == ["ReadFailed", "SweepRan"]
