"""When the breach began, and not when the alarm fired, decides which release is blamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lastgood.alarms import Alarms
from lastgood.model import AlarmFacts, Onset
from scene import ALARM, PLATFORMS, Scene, scene
from stage.local import event, reason_data

CHANGED = datetime(2026, 3, 2, 10, 4, 12, tzinfo=UTC)
BLUE_GREEN = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
SLOWLY: dict[str, dict[str, Any]] = {
    "new servers": {"deploymentStyle": BLUE_GREEN, "config": "CodeDeployDefault.AllAtOnce"},
    "Lambda": {"versions": 5, "current": 5},
    "ECS": {"task_definitions": 5, "current": 5},
}
ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"


def minute(moment: datetime) -> datetime:
    """The start of the minute, as datapoints are stamped."""
    return moment.replace(second=0, microsecond=0)


def breach(it: Scene, *minutes_ago: int) -> list[datetime]:
    """The minutes that breached, by how many minutes ago they were."""
    return [minute(it.now()) - timedelta(minutes=ago) for ago in minutes_ago]


# --- scenes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_release_that_came_into_a_breach_is_left_alone_and_people_are_told(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        fix = it.release(3)
        it.sim.advance(30)
        it.alarm_fires(breached=breach(it, 4, 3))
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "NEWER_DEPLOYMENT"), head["explanation"]
        assert head["needs_human"] is True
        assert f"{fix} was created at" in head["explanation"]
        assert "the breach began before" in head["explanation"]
        assert not it.calls("StopDeployment")
        it.sim.settle()
        assert it.is_live(3)


@contextmanager
def built_slowly(where: str, **more: Any) -> Iterator[Scene]:
    """A place where a deployment takes five minutes before the first user meets it; revision 3 is live, and good."""
    with scene("Server" if where == "new servers" else where, **SLOWLY[where], **more) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=1200)
        it.sim.timing("shop", "prod", install_seconds=300)
        yield it


@pytest.mark.parametrize("where", ["new servers", "Lambda", "ECS"])
def test_a_release_that_no_user_has_met_when_the_breach_begins_is_not_its_cause(where: str) -> None:
    with built_slowly(where) as it:
        fix = it.release(4)
        it.sim.advance(200)
        it.alarm_fires(breached=breach(it, 2, 1))
        head = it.head
        assert (head["outcome"], head["reason_code"], head["needs_human"]) == ("SKIPPED", "NEWER_DEPLOYMENT", True)
        assert f"{fix} was created at" in head["explanation"]
        assert "and has reached no users" in head["explanation"]
        assert not it.calls("StopDeployment")
        it.sim.settle()
        assert it.is_live(4)


@pytest.mark.parametrize("where", ["new servers", "Lambda", "ECS"])
def test_a_release_that_users_met_before_the_breach_is_blamed_however_long_it_was_built(where: str) -> None:
    with built_slowly(where) as it:
        bad = it.release(4)
        it.sim.advance(302 + 170)
        it.alarm_fires(breached=breach(it, 2, 1))
        assert it.run_to_end()["suspect_deployment_id"] == bad
        assert it.is_live(3)


def meets_users_after_the_onset(it: Scene) -> None:
    """Revision 3 fails; before the alarm fires, revision 4 is on its way, and users meet it. Nothing is stopped."""
    it.sim.timing("shop", "prod", install_seconds=62)
    it.sim.declare_bad(it.sim.deployments("shop", "prod")[-1]["deploymentId"])
    began = [minute(it.now()), minute(it.now()) + timedelta(minutes=1)]
    it.release(4)
    it.sim.advance(125)
    it.alarm_fires(breached=began)
    assert "outcome" not in it.head, it.head["explanation"]


@pytest.mark.parametrize("where", ["new servers", "Lambda", "ECS"])
def test_a_fix_that_users_meet_by_now_is_waited_for_and_stays_where_it_heals(where: str) -> None:
    with built_slowly(where) as it:
        meets_users_after_the_onset(it)
        it.sim.advance(60)
        it.local.alarm(ALARM, "OK")
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "ALARM_RECOVERED")
        assert not it.calls("StopDeployment") and not it.calls("CreateDeployment")
        it.sim.settle()
        assert it.is_live(4) and not it.sim.bad_share("shop", "prod")


@pytest.mark.parametrize("where", ["new servers", "Lambda", "ECS"])
def test_a_second_bad_release_goes_back_past_the_first(where: str) -> None:
    with built_slowly(where) as it:
        meets_users_after_the_onset(it)
        it.sim.declare_bad(it.sim.deployments("shop", "prod")[-1]["deploymentId"])
        assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
        assert len(it.head["suspect_revisions"]) == 2
        it.sim.settle()
        assert it.is_live(2) and not it.sim.bad_share("shop", "prod")


def test_a_dry_run_waits_for_nothing() -> None:
    with built_slowly("Lambda", settings={"LASTGOOD_MODE": "observe"}) as it:
        it.sim.timing("shop", "prod", install_seconds=62)
        began = [minute(it.now()), minute(it.now()) + timedelta(minutes=1)]
        it.release(4)
        it.sim.advance(125)
        it.alarm_fires(breached=began)
        assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", "NEWER_DEPLOYMENT")


@pytest.mark.parametrize("where", ["new servers", "Lambda", "ECS"])
def test_where_the_targets_may_not_be_read_a_release_counts_from_its_creation(where: str) -> None:
    with built_slowly(where) as it:
        bad = it.release(4)
        it.sim.advance(200)
        it.sim.fail_call("ListDeploymentTargets", "AccessDeniedException", count=9)
        it.alarm_fires(breached=breach(it, 2, 1))
        assert it.head["suspect_deployment_id"] == bad


@pytest.mark.parametrize("where", ["new servers", "Lambda", "ECS"])
def test_what_aws_puts_back_instead_of_a_release_that_no_user_has_met_is_still_the_cause(where: str) -> None:
    own = {"alarms": [ALARM], "rollback_events": ["DEPLOYMENT_STOP_ON_ALARM"]}
    with built_slowly(where, **own) as it:
        it.sim.declare_bad(it.sim.deployments("shop", "prod")[-1]["deploymentId"])
        it.release(4)
        it.sim.advance(200)
        began = breach(it, 2, 1)
        it.local.alarm(ALARM, breached=began, tags=it.tags)
        it.sim.advance(10)
        assert it.sim.deployments("shop", "prod")[-1]["creator"] == "codeDeployRollback"
        it.deliver(it.alarm_message(at=it.now() - timedelta(seconds=10)))
        assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
        assert it.is_live(2) and not it.sim.bad_share("shop", "prod")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_release_before_the_breach_is_blamed_and_the_record_names_the_onset(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(170)
        began = breach(it, 2, 1)
        it.alarm_fires(breached=began)
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert datetime.fromisoformat(head["onset_at"]) == began[0]
        assert (head["onset_measured"], head["onset_margin_seconds"]) == (True, 60)
        assert it.is_live(2)


def test_a_release_within_the_window_before_the_onset_is_blamed_though_the_alarm_fired_after_it() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        bad = it.release(3, settle=True, rest=59 * 60)
        it.sim.advance(150)
        it.alarm_fires(breached=breach(it, 2, 1))
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]


def test_without_reason_data_the_onset_is_an_estimate_and_the_running_release_is_blamed() -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(15)
        it.alarm_fires()
        fired = it.now()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert datetime.fromisoformat(head["onset_at"]) == fired - timedelta(minutes=2)
        assert head["onset_measured"] is False


def alarm_action(it: Scene, breached: list[datetime]) -> dict[str, Any]:
    """The alarm calls the function itself, with reason data."""
    made = event("alarm-to-lambda")
    state = made["alarmData"]["state"]
    state["timestamp"] = it.now().isoformat()
    state["reasonData"] = reason_data(breached, it.now())
    made["alarmData"]["alarmTags"] = it.tags
    return made


def test_a_messages_own_datapoints_count_where_cloudwatch_has_none() -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(30)
        it.local.alarm(ALARM)
        it.deliver(alarm_action(it, breach(it, 4, 3)))
        assert it.run_to_end()["reason_code"] == "NEWER_DEPLOYMENT"


def test_cloudwatchs_own_datapoints_count_before_a_messages() -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(170)
        it.local.alarm(ALARM, breached=breach(it, 2, 1))
        it.deliver(alarm_action(it, breach(it, 7, 6)))
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]


# --- what DescribeAlarms tells ----------------------------------------------------------------------------------------


def metric(name: str, **more: Any) -> dict[str, Any]:
    """A metric alarm as DescribeAlarms tells it, with what a test changes."""
    facts = {"StateValue": "ALARM", "StateTransitionedTimestamp": CHANGED, "Period": 60, "EvaluationPeriods": 3}
    return {"AlarmName": name, "AlarmArn": ARN + name, **facts, **more}


def composite(*children: str, **more: Any) -> dict[str, Any]:
    data = {"triggeringAlarms": [{"arn": ARN + child, "state": {"value": "ALARM"}} for child in children]}
    state = {"StateValue": "ALARM", "StateTransitionedTimestamp": CHANGED, "StateReasonData": json.dumps(data)}
    return {"AlarmName": "any", "AlarmArn": ARN + "any", "AlarmRule": "ALARM(a)", **state, **more}


def read(name: str, *answers: dict[str, Any]) -> AlarmFacts:
    """The alarm as it is read from these answers, one for each call."""
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        for answer in answers:
            stub.add_response("describe_alarms", answer)
        found = Alarms(client).read(name)
        stub.assert_no_pending_responses()
    assert found is not None
    return found


def test_the_datapoints_that_an_alarm_needs_are_its_own_or_all_that_it_evaluates() -> None:
    assert read("a", {"MetricAlarms": [metric("a", DatapointsToAlarm=2)]}).datapoints == 2
    assert read("a", {"MetricAlarms": [metric("a")]}).datapoints == 3


def test_the_period_of_metric_math_is_the_longest_of_its_metrics() -> None:
    stat = {"Metric": {"Namespace": "x", "MetricName": "y"}, "Stat": "Sum", "Period": 300}
    queries = [{"Id": "m", "MetricStat": stat}, {"Id": "e", "Expression": "m / 2", "Period": 60}]
    math = metric("a", Metrics=queries)
    del math["Period"]
    assert read("a", {"MetricAlarms": [math]}).period == timedelta(minutes=5)


def test_an_alarm_that_is_ok_has_no_onset() -> None:
    data = reason_data([CHANGED.replace(second=0)], CHANGED)
    firing = read("a", {"MetricAlarms": [metric("a", StateReasonData=data)]})
    assert firing.onset is not None
    assert read("a", {"MetricAlarms": [metric("a", StateReasonData=data, StateValue="OK")]}).onset is None


def test_a_composite_alarms_breach_began_with_the_alarm_that_made_it_fire() -> None:
    began = CHANGED.replace(minute=2, second=0)
    old = metric("old", StateTransitionedTimestamp=CHANGED - timedelta(days=3))
    new = metric("new", StateReasonData=reason_data([began], CHANGED), ComparisonOperator="GreaterThanThreshold")
    found = read("any", {"CompositeAlarms": [composite("old", "new")]}, {"MetricAlarms": [old, new]})
    assert found.onset == Onset(began, timedelta(minutes=1), measured=True)


def test_a_child_without_datapoints_is_counted_back_from_when_it_fired() -> None:
    fired = CHANGED - timedelta(seconds=5)
    child = metric("new", StateTransitionedTimestamp=fired, Period=300, DatapointsToAlarm=2)
    found = read("any", {"CompositeAlarms": [composite("new")]}, {"MetricAlarms": [child]})
    assert found.onset == Onset.estimated(fired, timedelta(minutes=5), 2)


@pytest.mark.parametrize(
    "children",
    [
        [],
        [metric("new", StateValue="OK")],
        [metric("new", StateTransitionedTimestamp=CHANGED + timedelta(minutes=5))],
    ],
    ids=["gone", "recovered", "fired again"],
)
def test_a_child_that_says_nothing_of_this_breach_leaves_the_onset_open(children: list[dict[str, Any]]) -> None:
    assert read("any", {"CompositeAlarms": [composite("new")]}, {"MetricAlarms": children}).onset is None


def test_children_that_may_not_be_read_leave_the_onset_open() -> None:
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("describe_alarms", {"CompositeAlarms": [composite("new")]})
        stub.add_client_error("describe_alarms", "AccessDenied", http_status_code=403)
        found = Alarms(client).read("any")
    assert found is not None
    assert found.onset is None


def test_of_a_composite_alarm_every_child_is_read_though_cloudwatch_answers_fifty_unless_it_is_asked_for_more() -> None:
    early, last = CHANGED - timedelta(seconds=50), CHANGED - timedelta(seconds=5)
    children = [metric(f"child-{n:02}", StateTransitionedTimestamp=early) for n in range(60)]
    children[-1] |= {"StateTransitionedTimestamp": last, "Period": 10}
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    asked: list[dict[str, Any]] = []

    def answer(params: dict[str, Any], **_: Any) -> None:
        asked.append(params)

    def page(model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        names, most = asked[-1]["AlarmNames"], asked[-1].get("MaxRecords", 50)
        if names == ["any"]:
            return SimpleNamespace(status_code=200), {
                "CompositeAlarms": [composite(*(each["AlarmName"] for each in children))]
            }
        return SimpleNamespace(status_code=200), {"MetricAlarms": children[:most], "NextToken": "more"}

    client.meta.events.register("provide-client-params.cloudwatch.DescribeAlarms", answer)
    client.meta.events.register("before-call.cloudwatch.DescribeAlarms", page)
    found = Alarms(client).read("any")
    assert found is not None and found.onset is not None
    assert found.onset.at == last - 3 * timedelta(seconds=10)
