"""The sweep asks CloudWatch and CodeDeploy each minute whether they answer; its own work does not depend on that.

It also leaves behind what a rollback would otherwise have to make first: connections and clients.
"""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from lastgood.telemetry import Telemetry
from scene import Scene, scene
from stage.local import ACCOUNT, REGION


def counted(it: Scene) -> list[str]:
    """The metrics of one sweep."""
    names: list[str] = []
    with patch.object(Telemetry, "_count", lambda telemetry, name: names.append(name)):
        it.sweep()
    return names


def test_a_sweep_reads_from_each_service_and_counts_nothing_when_they_answer() -> None:
    with scene() as it:
        assert counted(it) == ["SweepRan"]
        assert len(it.calls("GetDeploymentConfig")) == 2


def test_codedeploy_is_asked_twice_at_once_so_that_the_two_lists_of_a_history_find_their_connections_open() -> None:
    both = threading.Barrier(2, timeout=5)

    def answers(**_: Any) -> dict[str, Any]:
        both.wait()
        return {}

    with scene() as it:
        codedeploy = it.local.application._parts.readiness._clients.codedeploy
        with patch.object(codedeploy, "get_deployment_config", side_effect=answers):
            assert counted(it) == ["SweepRan"]


def test_after_a_sweep_a_rollback_of_servers_makes_no_client_any_more() -> None:
    made: list[str] = []
    settings = {"LASTGOOD_ACCOUNT_ID": ACCOUNT, "AWS_REGION": REGION, "LASTGOOD_ALARM_REGIONS": "ap-south-1"}
    with scene(settings=settings | {"LASTGOOD_CHECK_BUNDLES": "present"}) as it:
        it.good_history(2)
        it.release(3)
        it.sweep()
        session = it.local.application._parts.readiness._clients.session
        make = session.client
        with patch.object(session, "client", lambda name, **more: made.append(name) or make(name, **more)):
            it.alarm_fires()
        assert it.head["phase"] == "VERIFYING" and it.head["notified"]
        assert not made


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
            it.local.application._parts.readiness._clients.cloudwatch, "describe_alarms", side_effect=refused
        ):
            assert counted(it) == ["ReadFailed", "SweepRan"]
