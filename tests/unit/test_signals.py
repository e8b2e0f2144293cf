"""Every way in which an alarm, a deployment, a person or the schedule reaches the function."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lastgood.model import AlarmState, Controller, DeploymentGroup, Mode, TriggerKind
from lastgood.signals import (
    ACTIONS,
    EXAMPLES,
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

EVENTS = Path(__file__).parents[2] / "events"
NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
HOME = Home("123456789012", "us-east-1")
TAGS = {"lastgood:application": "shop", "lastgood:deployment-group": "prod"}


def load(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def sole(event: object, home: Home = HOME) -> Signal | Refusal:
    (result,) = parse(event, home, NOW)
    return result


def alarm(event: object, home: Home = HOME) -> AlarmSignal:
    result = sole(event, home)
    assert isinstance(result, AlarmSignal), result
    return result


def refusal(event: object, home: Home = HOME) -> Refusal:
    result = sole(event, home)
    assert isinstance(result, Refusal), result
    return result


def asked(event: object) -> OperatorRequest:
    result = sole(event)
    assert isinstance(result, OperatorRequest), result
    return result


def sns(**changes: Any) -> Any:
    """The SNS alarm with fields of its message replaced; None takes a field away."""
    event = load("alarm-in-alarm")
    message = json.loads(event["Records"][0]["Sns"]["Message"]) | changes
    kept = {name: value for name, value in message.items() if value is not None}
    event["Records"][0]["Sns"]["Message"] = json.dumps(kept)
    return event


def in_queue(body: object) -> Any:
    event = load("alarm-sqs-wrapped")
    event["Records"][0]["body"] = json.dumps(body)
    return event


class TestAlarms:
    def test_an_alarm_over_sns_tells_what_changed_where_and_when(self) -> None:
        signal = alarm(load("alarm-in-alarm"))
        assert signal.changed_at == datetime(2026, 3, 2, 10, 4, 12, 345000, tzinfo=UTC)
        assert signal.key == "arn:aws:cloudwatch:us-east-1:123456789012:alarm:shop-prod-error-rate@1772445852345"
        assert signal.message_id == "95df01b4-ee98-5cb9-9903-4c221d41eb5e"

    def test_signals_can_be_kept_in_a_set(self) -> None:
        assert len({alarm(load("alarm-in-alarm")), alarm(load("alarm-in-alarm"))}) == 1

    @pytest.mark.parametrize(
        "time",
        [
            "2026-03-02T10:04:12.345+0000",
            "2026-03-02T10:04:12.345Z",
            "2026-03-02T12:04:12.345+02:00",
            "2026-03-02T10:04:12.345999+00:00",
        ],
    )
    def test_a_time_may_be_written_in_any_iso_way_and_gives_the_same_key(self, time: str) -> None:
        assert alarm(sns(StateChangeTime=time)).key == alarm(load("alarm-in-alarm")).key

    @pytest.mark.parametrize(
        "tags",
        [
            TAGS,
            [{"Key": key, "Value": value} for key, value in TAGS.items()],
            [{"key": key, "value": value} for key, value in TAGS.items()],
            [{"KEY": key, "VALUE": value} for key, value in TAGS.items()],
        ],
    )
    def test_tags_come_as_a_map_or_as_pairs(self, tags: object) -> None:
        assert alarm(sns(AlarmTags=tags)).tags == TAGS

    def test_no_tags_and_an_empty_list_of_tags_are_two_things(self) -> None:
        assert alarm(sns(AlarmTags=None, AlarmTagsStatus=None)).tags is None
        assert alarm(sns(AlarmTags=[])).tags == {}

    @pytest.mark.parametrize(
        "tags",
        [
            "shop",
            7,
            {"lastgood:application": 7},
            [["a", "b"]],
            [{"Key": "a"}],
            [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
        ],
    )
    def test_malformed_tags_count_as_not_sent(self, tags: object) -> None:
        assert alarm(sns(AlarmTags=tags)).tags is None

    def test_tags_that_cloudwatch_could_not_read_in_full_count_as_not_sent(self) -> None:
        assert alarm(sns(AlarmTagsStatus="FAILED")).tags is None

    @pytest.mark.parametrize("place", ["top", "alarmData"])
    def test_a_lambda_action_carries_its_tags_too(self, place: str) -> None:
        event = load("alarm-to-lambda")
        (event if place == "top" else event["alarmData"])["alarmTags"] = TAGS
        assert alarm(event).tags == TAGS

    def test_an_eventbridge_alarm_carries_its_tags_in_the_detail(self) -> None:
        event = load("alarm-eventbridge")
        event["detail"] |= {"alarmTags": TAGS, "alarmTagsStatus": "SUCCESS"}
        assert alarm(event).tags == TAGS

    @pytest.mark.parametrize(
        ("trigger", "seconds"),
        [
            ({"Period": 60, "EvaluationPeriods": 3}, 180),
            ({"Period": 60}, 0),
            ({"Period": "60", "EvaluationPeriods": 3}, 0),
            ({"Period": True, "EvaluationPeriods": 3}, 0),
            ({"Period": -60, "EvaluationPeriods": 3}, 0),
            ({"Period": 999_999_999, "EvaluationPeriods": 999_999_999}, 604_800),
            ({"EvaluationPeriods": 2, "Metrics": [{"MetricStat": {"Period": 300}}, {"Period": 60}]}, 600),
            ({"EvaluationPeriods": 2, "Metrics": [None, {"MetricStat": None}]}, 0),
            ({"EvaluationPeriods": 2, "Metrics": 7}, 0),
            ("trigger", 0),
        ],
    )
    def test_how_far_back_an_alarm_looks_is_read_or_unknown(self, trigger: object, seconds: int) -> None:
        assert alarm(sns(Trigger=trigger)).evaluation_seconds == seconds

    def test_a_reason_is_made_harmless_and_cut(self) -> None:
        reason = alarm(sns(NewStateReason="\x1b[31mred\x1b[0m\r\nline" + "x" * 2000)).state_reason
        assert reason.startswith("\ufffd[31mred\ufffd[0m  line")
        assert len(reason) == 1000 and reason.endswith("…")

    def test_a_suppressed_alarm_that_is_ok_still_tells_that_it_recovered(self) -> None:
        event = load("alarm-eventbridge")
        event["detail"]["state"] |= {"value": "OK", "actionsSuppressedBy": "Alarm"}
        signal = alarm(event)
        assert (signal.state, signal.suppressed_by) == (AlarmState.OK, "Alarm")

    def test_one_time_series_of_an_alarm_over_many_counts_as_the_alarm(self) -> None:
        event = load("alarm-eventbridge") | {"detail-type": "CloudWatch Alarm Contributor State Change"}
        event["detail"]["alarmContributor"] = {"id": "6d442278dba546f6", "attributes": {"host": "a"}}
        assert alarm(event).alarm_name == "shop-prod-error-rate"

    def test_one_time_series_that_recovers_says_nothing_about_the_others(self) -> None:
        event = load("alarm-eventbridge") | {"detail-type": "CloudWatch Alarm Contributor State Change"}
        event["detail"]["state"]["value"] = "OK"
        assert (refusal(event).code, refusal(event).rejected) == ("contributor_recovered", False)


class TestEnvelopes:
    def test_a_queue_gives_the_whole_sns_envelope(self) -> None:
        signal = alarm(load("alarm-sqs-wrapped"))
        assert signal.trigger_kind is TriggerKind.SQS
        assert signal.message_id == "059f36b4-87a3-44ab-83d2-661975830a7d", "the queue's own id, to report failures by"

    def test_a_queue_with_raw_delivery_gives_the_message_alone(self) -> None:
        message = json.loads(load("alarm-in-alarm")["Records"][0]["Sns"]["Message"])
        signal = alarm(in_queue(message))
        assert signal.trigger_kind is TriggerKind.SQS
        assert signal.key == alarm(load("alarm-in-alarm")).key

    def test_a_raw_message_without_an_arn_takes_its_place_from_the_queue(self) -> None:
        message = json.loads(load("alarm-in-alarm")["Records"][0]["Sns"]["Message"])
        del message["AlarmArn"]
        assert alarm(in_queue(message)).key == alarm(load("alarm-in-alarm")).key

    @pytest.mark.parametrize("name", ["alarm-eventbridge", "alarm-to-lambda", "alarm-in-alarm"])
    def test_a_queue_may_hold_a_whole_event(self, name: str) -> None:
        signal = alarm(in_queue(load(name)))
        assert (signal.trigger_kind, signal.key) == (TriggerKind.SQS, alarm(load(name)).key)

    def test_a_deployment_event_may_come_through_a_queue(self) -> None:
        assert isinstance(sole(in_queue(load("codedeploy-state-change"))), DeploymentSignal)

    def test_a_failure_record_is_unwrapped_once(self) -> None:
        record = {"version": "1.0", "requestPayload": load("alarm-in-alarm"), "responsePayload": None}
        assert alarm(record) == alarm(load("alarm-in-alarm"))
        assert alarm(in_queue(record)).trigger_kind is TriggerKind.SQS
        assert refusal({"requestPayload": record}).code == "too_deep"

    def test_a_failed_request_of_a_person_may_be_sent_again_by_a_person_only(self) -> None:
        record = {"requestPayload": load("manual-rollback")}
        assert asked(record).action == "rollback"
        assert refusal(in_queue(record)).code == "queued_request"
        assert refusal(in_queue(load("manual-rollback"))).code == "queued_request"

    def test_messages_from_a_queue_within_a_queue_are_refused(self) -> None:
        assert refusal(in_queue(load("alarm-sqs-wrapped"))).code == "too_deep"

    def test_a_refused_record_keeps_its_message_id(self) -> None:
        event = load("alarm-sqs-wrapped")
        event["Records"][0]["body"] = "Hello"
        assert refusal(event).message_id == "059f36b4-87a3-44ab-83d2-661975830a7d"


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

    def test_the_scheduler_ticks_like_a_rule(self) -> None:
        event = load("scheduled-sweep") | {"source": "aws.scheduler", "detail": "{}"}
        assert isinstance(sole(event), SweepSignal)


class TestOperators:
    def test_a_rollback_may_name_its_target_and_insist(self) -> None:
        request = asked(load("manual-rollback") | {"to_deployment_id": "d-Z9Y8X7W6V", "force": True})
        assert (request.to_deployment_id, request.force, request.dry_run) == ("d-Z9Y8X7W6V", True, False)

    @pytest.mark.parametrize("action", ["pause", "resume"])
    def test_a_pause_without_a_group_is_for_everything(self, action: str) -> None:
        request = asked({"action": action, "reason": "holidays", "requested_by": "me"})
        assert request.application == request.deployment_group == "" and request.until is None

    @pytest.mark.parametrize("action", ["pause", "resume"])
    @pytest.mark.parametrize("half", ["application", "deployment_group"])
    def test_half_a_group_is_refused(self, action: str, half: str) -> None:
        event = {"action": action, "reason": "holidays", "requested_by": "me", half: "shop"}
        assert refusal(event).code == "missing_field"

    @pytest.mark.parametrize(
        ("until", "expected"),
        [
            ("2h", NOW + timedelta(hours=2)),
            ("90s", NOW + timedelta(seconds=90)),
            ("2026-03-03T08:00:00Z", datetime(2026, 3, 3, 8, tzinfo=UTC)),
            ("2026-03-03T08:00:00+02:00", datetime(2026, 3, 3, 6, tzinfo=UTC)),
        ],
    )
    def test_until_is_a_duration_or_a_time(self, until: str, expected: datetime) -> None:
        assert asked(load("manual-pause") | {"until": until}).until == expected

    @pytest.mark.parametrize(
        "until",
        [
            "",
            "soon",
            "0s",
            "-2h",
            "999999d",
            "2026-03-03T08:00:00",
            "2026-03-02T10:11:59Z",
            "9999-12-31T23:59:59Z",
            7,
            None,
            True,
        ],
    )
    def test_until_must_be_clear_and_lie_in_the_future(self, until: object) -> None:
        assert refusal(load("manual-pause") | {"until": until}).code == "bad_time"

    @pytest.mark.parametrize("mode", list(Mode))
    def test_every_mode_can_be_set(self, mode: Mode) -> None:
        assert asked(load("manual-set-mode") | {"mode": mode.value}).mode is mode

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("application", "x" * 101),
            ("application", "  "),
            ("application", "sh\nop"),
            ("deployment_group", 7),
            ("deployment_id", "d-a1b2c3d4e"),
            ("deployment_id", "d-A1B2C3D4"),
            ("deployment_id", ["d-A1B2C3D4E"]),
            ("reason", "x" * 1001),
            ("reason", " \n "),
            ("requested_by", "x" * 201),
            ("requested_by", {"name": "me"}),
        ],
    )
    def test_a_field_of_the_wrong_shape_is_refused_with_a_correct_example(self, field: str, value: object) -> None:
        found = refusal(load("manual-set-floor") | {field: value})
        assert (found.code, found.rejected) == ("bad_field", True)
        assert field in found.message and json.dumps(EXAMPLES["set_floor"]) in found.hint

    @pytest.mark.parametrize("mode", ["AUTO", "", None, 7, "on"])
    def test_an_unknown_mode_is_refused(self, mode: object) -> None:
        assert refusal(load("manual-set-mode") | {"mode": mode}).code in {"bad_field", "missing_field"}

    @pytest.mark.parametrize("action", sorted(ACTIONS))
    def test_the_example_of_every_action_is_itself_accepted(self, action: str) -> None:
        assert not isinstance(sole(dict(EXAMPLES[action])), Refusal)

    @pytest.mark.parametrize(
        ("action", "field"), [(action, field) for action in ACTIONS for field in ACTIONS[action].required]
    )
    def test_every_required_field_is_missed_by_name(self, action: str, field: str) -> None:
        event = {name: value for name, value in EXAMPLES[action].items() if name != field}
        found = refusal(event)
        assert found.code == "missing_field" and field in found.message

    @pytest.mark.parametrize("action", ["sweep", "drill", "health"])
    def test_sweep_drill_and_health_take_nothing_else(self, action: str) -> None:
        assert refusal({"action": action, "reason": "x"}).code == "unknown_field"
        assert isinstance(sole({"action": action}), SweepSignal | DrillSignal | HealthRequest)

    @pytest.mark.parametrize("action", sorted(name for name, a in ACTIONS.items() if "ecs_service" in a.known))
    def test_a_service_may_stand_for_the_deployment_group(self, action: str) -> None:
        event = {k: v for k, v in EXAMPLES[action].items() if k not in {"application", "deployment_group"}}
        found = asked(event | {"ecs_service": "production/shop"})
        assert found.group == DeploymentGroup("production", "shop", Controller.ECS)

    def test_every_action_that_takes_a_group_takes_a_service(self) -> None:
        taking = {name for name, action in ACTIONS.items() if "application" in action.known}
        assert taking == {name for name, action in ACTIONS.items() if "ecs_service" in action.known}
        assert {"rollback", "pause", "set_floor", "mark_bad"} <= taking

    @pytest.mark.parametrize("more", [{"application": "shop"}, {"deployment_group": "prod"}, {"application": None}])
    def test_a_service_and_a_group_together_are_refused(self, more: dict[str, Any]) -> None:
        event = {"action": "pause", "reason": "x", "requested_by": "me", "ecs_service": "production/shop"}
        assert refusal(event | more).code == "two_groups"

    @pytest.mark.parametrize("service", ["", "shop", "a/b/c", "a b/c", "a/", None, 7, "a/b\n", ["a/b"]])
    def test_a_service_of_another_shape_is_refused_and_never_means_everything(self, service: object) -> None:
        event = {"action": "pause", "reason": "x", "requested_by": "me", "ecs_service": service}
        if service == "a/b\n":
            assert asked(event).group == DeploymentGroup("a", "b", Controller.ECS)
            return
        assert refusal(event).code == "bad_field"

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("NCWGC2ZR-taawPAYrIaU5", "NCWGC2ZR-taawPAYrIaU5"),
            ("NCWGC2ZR-taawPAYrIaU5/rollback", "NCWGC2ZR-taawPAYrIaU5/rollback"),
            (
                "arn:aws:ecs:us-east-1:123456789012:service-deployment/c/s/NCWGC2ZR-taawPAYrIaU5",
                "NCWGC2ZR-taawPAYrIaU5",
            ),
        ],
    )
    def test_a_service_deployment_is_named_by_its_id_or_its_arn(self, given: str, kept: str) -> None:
        event = {"action": "mark_bad", "ecs_service": "c/s", "reason": "x", "requested_by": "me"}
        assert asked(event | {"deployment_id": given}).deployment_id == kept

    @pytest.mark.parametrize("given", ["", "short", "a/b/c", "x" * 65, None, 7, "arn:aws:ecs:us-east-1:1:service/c/s"])
    def test_a_service_deployment_of_another_shape_is_refused(self, given: object) -> None:
        event = {"action": "mark_bad", "ecs_service": "c/s", "reason": "x", "requested_by": "me"}
        assert refusal(event | {"deployment_id": given}).code in {"bad_field", "missing_field"}

    def test_an_application_cannot_pass_for_a_service(self) -> None:
        assert refusal(load("manual-rollback") | {"application": "ecs:production"}).code == "bad_field"

    @pytest.mark.parametrize(
        ("resource", "group"),
        [
            ("service/production/shop", DeploymentGroup("production", "shop", Controller.ECS)),
            ("service/shop", None),
        ],
    )
    def test_an_event_of_ecs_names_its_service(self, resource: str, group: DeploymentGroup | None) -> None:
        event = load("ecs-deployment-state-change") | {"resources": [f"arn:aws:ecs:us-east-1:123456789012:{resource}"]}
        found = sole(event)
        assert isinstance(found, ServiceDeploymentSignal) and found.group == group

    @pytest.mark.parametrize("action", ["Rollback", "roll_back", "", None, 7, ["rollback"], {"a": 1}])
    def test_an_unknown_action_is_refused_with_the_list(self, action: object) -> None:
        found = refusal({"action": action})
        assert found.code == "unknown_action"
        assert all(known in found.hint for known in ACTIONS)

    def test_a_misspelt_action_is_guessed_aloud_but_not_done(self) -> None:
        assert "Did you mean rollback?" in refusal({"action": "rolback"}).hint
