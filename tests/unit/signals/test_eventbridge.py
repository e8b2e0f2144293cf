"""What EventBridge tells of deployments, services and the schedule."""

from __future__ import annotations

import pytest

from lastgood.signals import (
    DeploymentSignal,
    ServiceDeploymentSignal,
    SweepSignal,
)
from reading import load, refusal, sole


class TestOtherEvents:
    @pytest.mark.parametrize("state", ["START", "READY", "STOP", "FAILURE", "SUCCESS"])
    def test_every_deployment_state_is_a_signal(self, state: str) -> None:
        event = load("codedeploy-state-change")
        event["detail"]["state"] = state
        signal = sole(event)
        assert isinstance(signal, DeploymentSignal) and signal.state == state

    def test_services_with_old_arns_are_read(self) -> None:
        event = load("ecs-deployment-state-change")
        event["resources"] = ["arn:aws:ecs:us-east-1:123456789012:service/shop"]
        signal = sole(event)
        assert isinstance(signal, ServiceDeploymentSignal)
        assert signal.service_arn.endswith(":service/shop")

    @pytest.mark.parametrize(
        ("resource", "code"),
        [
            ("arn:aws:ecs:us-east-1:123456789012:task/shop", "bad_field"),
            ("arn:aws:ecs:us-east-1:123456789012:service/a/b/c", "bad_field"),
            ("service/shop", "bad_field"),
            (None, "bad_field"),
            ("arn:aws:ecs:us-east-1:999999999999:service/production/shop", "wrong_account"),
            ("arn:aws:ecs:eu-west-1:123456789012:service/production/shop", "wrong_region"),
        ],
    )
    def test_another_resource_is_no_service_of_ours(self, resource: object, code: str) -> None:
        assert refusal(load("ecs-deployment-state-change") | {"resources": [resource]}).code == code

    def test_an_unknown_event_of_a_service_is_ignored(self) -> None:
        event = load("ecs-deployment-state-change")
        event["detail"]["eventName"] = "SERVICE_DEPLOYMENT_DREAMT"
        assert (refusal(event).code, refusal(event).rejected) == ("bad_state", False)

    @pytest.mark.parametrize(
        "resources",
        [
            ["arn:aws:ecs:us-east-1:123456789012:service/production/shop"],
            ["arn:aws:ecs:us-east-1:123456789012:service-deployment/production/shop/ab_cd-12"],
            [
                "arn:aws:ecs:us-east-1:123456789012:service/shop",
                "arn:aws:ecs:us-east-1:123456789012:service-deployment/production/shop/ab_cd-12",
            ],
        ],
    )
    def test_a_hook_that_waits_names_its_service_directly_or_by_the_deployment(self, resources: list[str]) -> None:
        event = load("ecs-deployment-state-change") | {"detail-type": "ECS Hook State Change", "resources": resources}
        event["detail"]["eventName"] = "HOOK_AWAITING_ACTION"
        signal = sole(event)
        assert isinstance(signal, ServiceDeploymentSignal)
        assert (signal.group and signal.group.key, signal.state) == ("ecs:production/shop", "READY")

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"resources": ["arn:aws:ecs:us-east-1:123456789012:task/shop", None]}, "bad_field"),
            ({"resources": None}, "bad_field"),
            ({"resources": ["arn:aws:ecs:us-east-1:999999999999:service/production/shop"]}, "wrong_account"),
            ({"detail": {"eventName": "SERVICE_DEPLOYMENT_COMPLETED"}}, "bad_state"),
            ({"detail": {}}, "bad_state"),
        ],
    )
    def test_what_is_no_hook_of_a_service_of_ours_is_ignored(self, changes: dict[str, object], code: str) -> None:
        event = load("ecs-deployment-state-change") | {"detail-type": "ECS Hook State Change"}
        event["detail"]["eventName"] = "HOOK_AWAITING_ACTION"
        assert refusal(event | changes).code == code

    @pytest.mark.parametrize(
        ("aws", "ours"), [("STARTED", "START"), ("RESUMED", "START"), ("FAILED", "FAILURE"), ("CANCELED", "STOP")]
    )
    def test_the_states_of_a_stage_are_read_as_those_of_a_deployment(self, aws: str, ours: str) -> None:
        event = load("codepipeline-stage-state-change")
        event["detail"]["state"] = aws
        signal = sole(event)
        assert isinstance(signal, DeploymentSignal) and signal.state == ours

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("state", "DREAMT", "bad_state"),
            ("execution-id", "latest", "bad_field"),
            ("execution-id", None, "bad_field"),
            ("stage", "a/b", "bad_field"),
            ("pipeline", "", "bad_field"),
            ("pipeline", ["shop"], "bad_field"),
        ],
    )
    def test_an_event_that_names_no_stage_is_ignored(self, field: str, value: object, code: str) -> None:
        event = load("codepipeline-stage-state-change")
        event["detail"][field] = value
        assert (refusal(event).code, refusal(event).rejected) == (code, False)

    def test_the_scheduler_ticks_like_a_rule(self) -> None:
        event = load("scheduled-sweep") | {"source": "aws.scheduler", "detail": "{}"}
        assert isinstance(sole(event), SweepSignal)
