"""From messages to rollbacks: every delivery counts once, none is lost, and none starts what it must not start."""

from __future__ import annotations

import copy
import io
import json
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from aws_lambda_powertools import Logger

from lastgood.errors import RetryableError
from lastgood.telemetry import Telemetry
from scene import ALARM, PLATFORMS, Scene, scene
from stage.local import event, group_tags

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
OTHER_WAYS = {"alarm-eventbridge": "eventbridge", "alarm-to-lambda": "alarm_action", "alarm-sqs-wrapped": "sqs"}


def bad_release(it: Scene, *, rest: float = 600) -> str:
    """Two good releases, then one that succeeded and is bad."""
    it.good_history(1, 2)
    return it.release(3, settle=True, rest=rest)


def redated(name: str, at: datetime) -> Any:
    """An example event, as if its alarm had changed at another time."""
    return json.loads(json.dumps(event(name)).replace("2026-03-02T10:04:12.345", f"{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}"))


def _ms(at: datetime) -> str:
    return f"{at.microsecond // 1000:03d}"


def tag_the_alarm(it: Scene, tags: dict[str, str], alarm: str = ALARM) -> None:
    """Tag the alarm in CloudWatch, for messages that carry no tags."""
    it.local.alarm(alarm)
    arn = it.local.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["AlarmArn"]
    it.local.cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": k, "Value": v} for k, v in tags.items()])


def heads(it: Scene) -> list[dict[str, Any]]:
    return [item for item in it.local.items() if item["sk"] == "META"]


def signals(it: Scene) -> list[dict[str, Any]]:
    return [item for item in it.local.items() if item["sk"].startswith("SIGNAL#")]


def kinds(it: Scene) -> list[str]:
    """The kinds of notices since the last look."""
    return [notice["metadata"]["eventType"].removeprefix("lastgood.") for notice in it.local.notices()]


def assert_closed(it: Scene, outcome: str, reason: str, *, creates: int = 0) -> None:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert len(it.calls("CreateDeployment")) == creates
    assert it.lock() == ""


# --- the same transition again ----------------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize("message_id", ["", "11111111-2222-3333-4444-555555555555"], ids=["same", "other"])
def test_a_second_delivery_changes_nothing_and_names_the_same_rollback(platform: str, message_id: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        first, fired = it.rollback_id, it.now()
        again = it.deliver(it.alarm_message(at=fired, message_id=message_id))
        assert again["rollback_id"] == first
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)
        steps = it.steps
        late = it.deliver(it.alarm_message(at=fired, message_id=message_id))
        assert (late["rollback_id"], late["outcome"]) == (first, "ROLLED_BACK")
        assert it.steps == steps
        assert len(heads(it)) == 1
        assert len(it.calls("CreateDeployment")) == 1
        assert signals(it) == []


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_the_same_transition_that_comes_another_way_belongs_to_the_same_rollback(name: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        tag_the_alarm(it, group_tags("shop", "prod"))
        it.alarm_fires()
        first = it.rollback_id
        assert it.deliver(redated(name, it.now()))["rollback_id"] == first
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)
        assert len(heads(it)) == 1


@pytest.mark.parametrize(("name", "kind"), OTHER_WAYS.items())
def test_every_way_of_delivery_starts_a_rollback_by_itself(name: str, kind: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        tag_the_alarm(it, group_tags("shop", "prod"))
        it.deliver(redated(name, it.now()))
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)
        assert it.head["trigger_kind"] == kind


@EVERYWHERE
def test_another_alarm_on_a_group_that_is_rolling_back_joins_and_is_noted(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        first = it.rollback_id
        it.sim.advance(2)
        joined = it.alarm_fires(alarm="shop-prod-latency")
        assert (joined["rollback_id"], joined["reason"]) == (first, "ALREADY_OPEN")
        (noted,) = signals(it)
        assert noted["pk"] == f"ROLLBACK#{first}"
        assert noted["alarm_name"] == "shop-prod-latency"
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)
        assert len(heads(it)) == 1


def test_a_request_that_comes_while_a_rollback_is_open_joins_it() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        first = it.rollback_id
        joined = it.deliver(event("manual-rollback"))
        assert (joined["rollback_id"], joined["reason"]) == (first, "ALREADY_OPEN")
        assert len(signals(it)) == 1


def test_a_manual_request_that_lambda_repeats_is_one_rollback() -> None:
    with scene("Server") as it:
        bad_release(it)
        first = it.deliver(event("manual-rollback"), "request-abc")
        again = it.deliver(event("manual-rollback"), "request-abc")
        assert first["rollback_id"] == again["rollback_id"]
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


# --- states that start nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alarm-ok", "alarm-insufficient-data"])
def test_leaving_the_alarm_starts_nothing(name: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM, "OK")
        assert "ignored" in it.deliver(it.alarm_message(name=name))
        assert heads(it) == []
        assert it.is_live(3)


@EVERYWHERE
def test_an_ok_that_comes_while_a_rollback_is_open_is_believed_when_the_window_ends(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(3)
        answer = it.alarm_recovers()
        assert answer["rollback_id"] == it.rollback_id
        assert not it.head.get("outcome")
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)
        assert "alarm_recovered_at" not in it.head
        window_ends(it)
        assert it.head["alarm_recovered_at"] < it.head["closed_at"]


def window_ends(it: Scene) -> None:
    """The sweep that reads the alarm at the end of the recovery window."""
    it.sim.advance(16 * 60)
    it.sweep()


def test_ok_is_noted_on_the_rollback_that_was_closed_last() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        assert "alarm_recovered_at" not in it.head
        it.sim.advance(120)
        it.alarm_recovers()
        assert "alarm_recovered_at" not in it.head
        window_ends(it)
        assert it.head["alarm_recovered_at"] > it.head["closed_at"]
        assert any(step["step_name"] == "ALARM_RECOVERED" for step in it.steps)


def test_another_alarms_ok_says_nothing_about_this_rollback() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        assert "ignored" in it.alarm_recovers("shop-prod-latency")
        assert "alarm_recovered_at" not in it.head


def test_one_time_series_that_is_ok_is_not_the_alarm_that_still_fires() -> None:
    """Grouped alarms send a message for each of their series, often none of their own: CloudWatch is asked."""
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        message = it.alarm_message(name="alarm-ok")
        record = message["Records"][0]["Sns"]
        named = {"AlarmContributorId": "6d442278dba546f6", "AlarmContributorAttributes": {"host": "a"}}
        record["Message"] = json.dumps(json.loads(record["Message"]) | named)
        assert it.local.handle(message)[0]["refused"] == "contributor_recovered"
        it.sweep()
        assert "alarm_recovered_at" not in it.head
        it.local.alarm(ALARM, "OK")
        window_ends(it)
        assert it.head["alarm_recovered_at"]


def test_an_alarm_that_is_ok_for_a_while_and_fires_again_has_not_recovered() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        it.sim.advance(120)
        it.alarm_recovers()
        it.sweep()
        it.sim.advance(300)
        it.local.alarm(ALARM)
        window_ends(it)
        assert "alarm_recovered_at" not in it.head
        assert it.head["not_recovered_state"] == "ALARM"


def test_a_message_of_ok_that_cloudwatch_does_not_confirm_is_no_recovery() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        for _ in range(2):
            it.local.handle(it.alarm_message(name="alarm-ok"))
            window_ends(it)
        assert "alarm_recovered_at" not in it.head
        assert it.head["not_recovered_at"]


def test_an_alarm_that_measures_nothing_any_more_has_not_recovered_and_is_told_as_that() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        it.local.alarm(ALARM, "INSUFFICIENT_DATA")
        window_ends(it)
        assert it.head["not_recovered_at"]
        (told,) = [n for n in it.local.notices() if n["metadata"]["eventType"] == "lastgood.not_recovered"]
        assert "measures nothing" in told["content"]["title"]


@EVERYWHERE
def test_an_alarm_that_does_not_recover_is_told_with_the_next_older_revision_ready_to_approve(platform: str) -> None:
    with scene(platform, **({"versions": 5, "current": 5} if platform == "Lambda" else {})) as it:
        older = it.release(1, settle=True)
        it.release(2, settle=True)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        window_ends(it)
        assert it.head["next_good_deployment_id"] == older
        assert it.is_live(2)
        (told,) = [n for n in it.local.notices() if n["metadata"]["eventType"] == "lastgood.not_recovered"]
        (step,) = [each for each in told["content"]["nextSteps"] if older in each]
        request = json.loads(step[step.index("{") : step.rindex("}") + 1])
        it.deliver(request)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(1)


def test_where_nothing_older_is_good_nothing_is_proposed() -> None:
    with scene("Server") as it:
        it.release(2, settle=True)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        window_ends(it)
        assert it.head["not_recovered_at"]
        assert not it.head.get("next_good_deployment_id")


def test_each_signal_is_a_line_in_the_log_with_the_id_of_its_message() -> None:
    with scene("Server") as it:
        stream = io.StringIO()
        it.local.application._parts.telemetry.logger = Logger(service="received", stream=stream, level="INFO")
        bad_release(it)
        it.alarm_fires()
        it.local.handle(event("sns-subscription-confirmation"))
        it.local.handle(event("manual-health"))
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        received, refused = ([each for each in lines if each["message"] == name] for name in ("received", "refused"))
        assert [each["signal"] for each in received] == ["AlarmSignal", "HealthRequest"]
        assert received[0]["message_id"] == event("alarm-in-alarm")["Records"][0]["Sns"]["MessageId"]
        assert received[0]["state_reason"].startswith("Threshold Crossed")
        confirmation = event("sns-subscription-confirmation")["Records"][0]["Sns"]
        assert [each["message_id"] for each in refused] == [confirmation["MessageId"]]


# --- is it healed? ----------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_the_sweep_sees_the_recovery_whose_message_got_lost(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        it.sim.advance(180)
        it.local.alarm(ALARM, "OK")
        window_ends(it)
        assert it.head["alarm_recovered_at"] > it.head["closed_at"]
        it.sim.advance(1800)
        it.sweep()
        assert "not_recovered" not in kinds(it)


def test_an_alarm_that_goes_on_firing_is_told_once_after_the_window() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        told: list[list[str]] = []
        for _ in range(20):
            it.sim.advance(60)
            it.sweep()
            told.append(kinds(it))
        minutes = [minute for minute, found in enumerate(told, start=1) if "not_recovered" in found]
        assert minutes == [15]
        assert it.head["outcome"] == "ROLLED_BACK"
        assert "alarm_recovered_at" not in it.head


def test_a_notice_that_cannot_even_be_composed_fails_no_rollback_and_is_sent_once_it_can() -> None:
    with scene("Server") as it:
        bad_release(it)
        with patch("lastgood.notices.compose", side_effect=ValueError("no such key")):
            it.alarm_fires()
            assert it.run_to_end()["outcome"] == "ROLLED_BACK"
            assert it.is_live(2)
        it.sim.advance(60)
        it.sweep()
        assert kinds(it) == ["closed"]


def test_a_notice_that_cannot_be_sent_is_sent_by_a_later_sweep() -> None:
    with scene("Server") as it:
        it.local.restart(LASTGOOD_NOTIFICATION_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:gone")
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        assert kinds(it) == []
        it.local.restart(LASTGOOD_NOTIFICATION_TOPIC_ARN=it.local.topic_arn)
        it.sim.advance(60)
        it.sweep()
        assert kinds(it) == ["closed"]


# --- CodeDeploy's events ----------------------------------------------------------------------------------------------


@EVERYWHERE
def test_codedeploys_events_alone_carry_a_rollback_to_its_end(platform: str) -> None:
    with scene(platform) as it:
        it.connect_events()
        bad_release(it)
        it.alarm_fires()
        it.sim.advance(60)
        assert it.head["outcome"] == "ROLLED_BACK"
        assert it.lock() == ""
        assert it.is_live(2)


@EVERYWHERE
def test_a_sweep_finishes_what_lost_events_did_not(platform: str) -> None:
    with scene(platform) as it:
        it.connect_events()
        bad_release(it)
        it.sim.lose_events(1000)
        it.alarm_fires()
        it.sim.advance(60)
        assert not it.head.get("outcome")
        it.sweep()
        assert it.head["outcome"] == "ROLLED_BACK"


def test_an_event_of_a_group_without_a_rollback_does_nothing() -> None:
    with scene("Server") as it:
        bad_release(it)
        assert "ignored" in it.deliver(event("codedeploy-state-change"))
        assert it.calls("CreateDeployment") == []


# --- where an alarm leads ---------------------------------------------------------------------------------------------


def test_an_alarm_that_leads_nowhere_is_recorded_and_told() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires(tags={})
        assert_closed(it, "SKIPPED", "UNROUTED_ALARM")
        assert it.head["alarm_name"] == ALARM
        assert it.head["needs_human"] is True
        assert kinds(it) == ["closed"]
        assert it.is_live(3)


def test_an_unrouted_alarm_that_is_delivered_twice_is_told_once() -> None:
    with scene("Server") as it:
        counted: list[str] = []
        with patch.object(Telemetry, "_count", lambda telemetry, name: counted.append(name)):
            it.alarm_fires(tags={})
            it.alarm_fires(tags={})
        assert counted == ["RollbackSkipped"]
        assert kinds(it) == ["closed"]
        assert len(heads(it)) == 1


def test_a_group_that_is_not_allowed_is_not_touched() -> None:
    with scene("Server", settings={"LASTGOOD_ALLOWED_GROUPS": "shop/staging,other/*"}) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(15)
        it.alarm_fires()
        assert_closed(it, "SKIPPED", "NOT_ALLOWED")
        assert it.calls("StopDeployment") == []


def test_a_group_that_is_covered_by_a_glob_is_allowed() -> None:
    with scene("Server", settings={"LASTGOOD_ALLOWED_GROUPS": "shop/*"}) as it:
        bad_release(it)
        it.alarm_fires()
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


def test_the_alarms_tags_are_read_from_cloudwatch_where_the_message_has_none() -> None:
    with scene("Server") as it:
        bad_release(it)
        tag_the_alarm(it, group_tags("shop", "prod"))
        it.alarm_fires(tags={})
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


def routes(*groups: str, alarm: str = "shop-*") -> dict[str, str]:
    rows = [{"alarm": alarm, "application": "shop", "deployment_group": group} for group in groups]
    return {"LASTGOOD_ROUTES": json.dumps(rows)}


def test_a_route_leads_an_alarm_without_tags() -> None:
    with scene("Server", settings=routes("prod")) as it:
        bad_release(it)
        it.alarm_fires(tags={})
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


def test_the_default_leads_what_no_route_claims() -> None:
    default = {"LASTGOOD_DEFAULT_APPLICATION": "shop", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"}
    with scene("Server", settings={**default, **routes("staging", alarm="other-*")}) as it:
        bad_release(it)
        it.alarm_fires(tags={})
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)
        assert it.head["deployment_group_key"] == "shop/prod"


def test_tags_go_before_routes() -> None:
    with scene("Server", settings=routes("staging")) as it:
        bad_release(it)
        it.alarm_fires()
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


def test_an_alarm_with_two_routes_rolls_back_two_groups() -> None:
    with scene("Server", settings=routes("prod", "staging")) as it:
        it.sim.server_group("shop", "staging")
        for group in ("prod", "staging"):
            it.sim.seed_history("shop", group, 3, every_seconds=1200)
        it.local.alarm(ALARM, tags={})
        results = it.local.handle(it.alarm_message(tags={}))
        assert [r["deployment_group"] for r in results] == ["prod", "staging"]
        for result in results:
            it.rollback_id = result["rollback_id"]
            assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert len(it.calls("CreateDeployment")) == 2
        for group in ("prod", "staging"):
            assert it.sim.live("shop", group).target.startswith(f"S3:bundles|{group}-00002.zip|")


def test_a_group_that_does_not_exist_is_told() -> None:
    with scene("Server") as it:
        it.alarm_fires(tags=group_tags("shop", "misspelt"))
        assert_closed(it, "FAILED", "GROUP_NOT_FOUND")
        assert kinds(it) == ["closed"]


# --- is it true, and still true? --------------------------------------------------------------------------------------


def test_a_message_that_is_too_old_starts_nothing() -> None:
    with scene("Server") as it:
        bad_release(it, rest=1200)
        it.alarm_fires(at=it.now() - timedelta(minutes=16))
        assert_closed(it, "SKIPPED", "STALE_SIGNAL")
        assert it.is_live(3)


def test_an_alarm_that_cloudwatch_does_not_know_starts_nothing() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.deliver(it.alarm_message())
        assert_closed(it, "SKIPPED", "ALARM_NOT_CONFIRMED")


def test_an_alarm_that_was_ok_all_the_time_starts_nothing() -> None:
    with scene("Server") as it:
        it.local.alarm(ALARM, "OK")
        bad_release(it)
        it.deliver(it.alarm_message())
        assert_closed(it, "SKIPPED", "ALARM_NOT_CONFIRMED")


def test_an_alarm_that_recovered_before_the_message_came_starts_nothing() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM)
        fired = it.now()
        it.sim.advance(60)
        it.local.alarm(ALARM, "OK")
        it.deliver(it.alarm_message(at=fired))
        assert_closed(it, "SKIPPED", "ALARM_RECOVERED")


def test_a_recovered_alarm_starts_a_rollback_where_that_is_set() -> None:
    with scene("Server", settings={"LASTGOOD_REQUIRE_STILL_IN_ALARM": "false"}) as it:
        bad_release(it)
        it.local.alarm(ALARM)
        fired = it.now()
        it.sim.advance(60)
        it.local.alarm(ALARM, "OK")
        it.deliver(it.alarm_message(at=fired))
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_bad_record_does_not_keep_a_good_one_from_being_handled(bad_first: bool) -> None:
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM)
        message = it.alarm_message()
        broken = copy.deepcopy(message["Records"][0])
        broken["Sns"]["Message"] = "this is no JSON"
        message["Records"].insert(0 if bad_first else 1, broken)
        results = it.local.handle(message)
        assert sorted("refused" in result for result in results) == [False, True]
        it.rollback_id = next(r["rollback_id"] for r in results if "rollback_id" in r)
        assert_closed(it, "ROLLED_BACK", "VERIFIED", creates=1)


def test_a_record_that_fails_for_now_is_raised_after_the_others_are_handled() -> None:
    with scene("Server") as it:
        it.sim.server_group("shop", "staging")
        for group in ("prod", "staging"):
            it.sim.seed_history("shop", group, 3, every_seconds=1200)
        it.local.alarm(ALARM)
        it.local.alarm("shop-staging", tags=group_tags("shop", "staging"))
        both = it.alarm_message()
        both["Records"] += it.alarm_message(alarm="shop-staging", tags=group_tags("shop", "staging"))["Records"]
        it.sim.throttle("CreateDeployment", 8)
        with pytest.raises(RetryableError):
            it.local.handle(both)
        assert {head["deployment_group"]: head["phase"] for head in heads(it)} == {
            "prod": "REDEPLOYING",
            "staging": "VERIFYING",
        }
        for _ in range(3):
            it.sim.advance(60)
            it.sweep()
        assert {head["outcome"] for head in heads(it)} == {"ROLLED_BACK"}
