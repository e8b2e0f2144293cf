"""The files in events/ are what their names say: console, sam local, demo and tests share them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from docs_from_code import example_events
from lastgood.model import AlarmState, Controller, DeploymentGroup, Mode, TriggerKind
from lastgood.signals import (
    ACTIONS,
    AlarmSignal,
    DeploymentSignal,
    DrillSignal,
    HealthRequest,
    Home,
    OperatorRequest,
    Refusal,
    ServiceDeploymentSignal,
    Signal,
    SweepSignal,
    parse,
)

EVENTS = Path(__file__).parents[3] / "events"
NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
HOME = Home("123456789012", "us-east-1", ("arn:aws:sns:us-east-1:123456789012:lastgood-AlarmTopic",))
TAGS = {"lastgood:application": "shop", "lastgood:deployment-group": "prod"}


def read(name: str) -> Signal | Refusal:
    """The only result of an event file."""
    event: Any = json.loads((EVENTS / f"{name}.json").read_text())
    (result,) = parse(event, HOME, NOW)
    return result


def alarm(name: str) -> AlarmSignal:
    result = read(name)
    assert isinstance(result, AlarmSignal), result
    return result


def request_in(name: str) -> OperatorRequest:
    result = read(name)
    assert isinstance(result, OperatorRequest), result
    return result


@pytest.mark.parametrize(
    ("name", "alarm_name", "state", "kind", "evaluation_seconds"),
    [
        ("alarm-in-alarm", "shop-prod-error-rate", AlarmState.ALARM, TriggerKind.SNS, 180),
        ("alarm-ok", "shop-prod-error-rate", AlarmState.OK, TriggerKind.SNS, 180),
        (
            "alarm-insufficient-data",
            "shop-prod-error-rate",
            AlarmState.INSUFFICIENT_DATA,
            TriggerKind.SNS,
            180,
        ),
        ("alarm-metric-math", "shop-prod-error-percentage", AlarmState.ALARM, TriggerKind.SNS, 300),
        ("alarm-composite", "shop-prod-release-health", AlarmState.ALARM, TriggerKind.SNS, 0),
        ("alarm-to-lambda", "shop-prod-error-rate", AlarmState.ALARM, TriggerKind.ALARM_ACTION, 0),
        ("alarm-eventbridge", "shop-prod-error-rate", AlarmState.ALARM, TriggerKind.EVENTBRIDGE, 0),
        ("alarm-sqs-wrapped", "shop-prod-error-rate", AlarmState.ALARM, TriggerKind.SQS, 180),
    ],
)
def test_an_alarm_file_is_the_alarm_that_its_name_says(
    name: str, alarm_name: str, state: AlarmState, kind: TriggerKind, evaluation_seconds: int
) -> None:
    signal = alarm(name)
    assert (signal.alarm_name, signal.state, signal.trigger_kind) == (alarm_name, state, kind)
    assert signal.evaluation_seconds == evaluation_seconds
    assert signal.alarm_arn == f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{alarm_name}"
    assert signal.state_reason


@pytest.mark.parametrize("name", ["alarm-in-alarm", "alarm-ok", "alarm-composite", "alarm-sqs-wrapped"])
def test_the_alarms_over_sns_carry_the_tags_that_route_them(name: str) -> None:
    assert alarm(name).tags == TAGS


@pytest.mark.parametrize("name", ["alarm-to-lambda", "alarm-eventbridge"])
def test_the_other_alarms_carry_no_tags_as_propagation_is_off_by_default(name: str) -> None:
    assert alarm(name).tags is None


def test_the_same_transition_has_the_same_key_over_every_way() -> None:
    names = ("alarm-in-alarm", "alarm-sqs-wrapped", "alarm-to-lambda", "alarm-eventbridge")
    assert len({alarm(name).key for name in names}) == 1
    assert alarm("alarm-ok").key != alarm("alarm-in-alarm").key


def test_the_codedeploy_file_is_a_deployment_that_succeeded() -> None:
    expected = DeploymentSignal("shop", "prod", "d-A1B2C3D4E", "SUCCESS")
    assert read("codedeploy-state-change") == expected


def test_a_stage_that_changed_its_state_names_the_execution() -> None:
    signal = read("codepipeline-stage-state-change")
    assert signal == DeploymentSignal(
        "shop", "Deploy", "01234567-0123-0123-0123-012345678901", "SUCCESS", Controller.PIPELINE
    )


def test_the_ecs_file_is_a_service_deployment_that_completed() -> None:
    signal = read("ecs-deployment-state-change")
    assert isinstance(signal, ServiceDeploymentSignal)
    assert signal.service_arn == "arn:aws:ecs:us-east-1:123456789012:service/production/shop"
    assert signal.event_name == "SERVICE_DEPLOYMENT_COMPLETED"


def test_the_sweep_comes_from_the_schedule_or_from_a_person() -> None:
    assert read("scheduled-sweep") == read("manual-sweep") == SweepSignal()


def test_the_drill_is_asked_for_with_nothing_else() -> None:
    assert read("manual-drill") == DrillSignal()


def test_health_is_asked_for_with_nothing_else() -> None:
    assert read("manual-health") == HealthRequest()


def test_the_two_rollbacks_differ_by_the_dry_run_only() -> None:
    real, dry = request_in("manual-rollback"), request_in("manual-dry-run")
    assert (real.dry_run, dry.dry_run) == (False, True)
    assert real.action == dry.action == "rollback"
    assert (real.application, real.deployment_group) == (dry.application, dry.deployment_group)


def test_a_dry_run_may_be_asked_for_a_service_too() -> None:
    asked = request_in("manual-dry-run-service")
    assert (asked.dry_run, asked.group) == (True, DeploymentGroup("production", "shop", Controller.ECS))


def test_the_example_requests_are_what_the_table_of_actions_makes() -> None:
    """If this fails: `make readme`."""
    files = {path.name: path.read_text() for path in EVENTS.glob("manual-*.json")}
    assert files == {name: example_events.written(event) for name, event in example_events.example_events().items()}


@pytest.mark.parametrize("action", sorted(name for name, act in ACTIONS.items() if act.door))
def test_every_action_has_a_file_with_what_it_requires(action: str) -> None:
    request = request_in(f"manual-{action.replace('_', '-')}")
    assert request.action == action
    assert all(getattr(request, field) for field in ACTIONS[action].required)


def test_durations_in_files_are_counted_from_now() -> None:
    assert request_in("manual-pause").until == NOW + timedelta(hours=2)
    assert request_in("manual-set-mode").mode is Mode.OBSERVE


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("codedeploy-sns-trigger", "codedeploy_trigger"),
        ("sns-subscription-confirmation", "not_a_notification"),
    ],
)
def test_messages_that_are_no_alarms_are_ignored_and_not_rejected(name: str, code: str) -> None:
    result = read(name)
    assert isinstance(result, Refusal)
    assert (result.code, result.rejected) == (code, False)


def test_every_file_is_read_without_a_rejection() -> None:
    results = {path.stem: read(path.stem) for path in EVENTS.glob("*.json")}
    assert len(results) == 31
    assert not [name for name, result in results.items() if isinstance(result, Refusal) and result.rejected]
