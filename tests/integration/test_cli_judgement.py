"""What `plan`, `doctor` and `backtest` tell a person at a terminal: what would be done, what is wrong and its cure."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from answering import Answer, answering, denied
from lastgood_cli.context import Session
from lastgood_cli.permissions import READS
from scene import ALARM
from stage.local import REGION, alarm_event, event, group_tags
from terminal import START, Ran, Terminal, terminal


@pytest.fixture(scope="module")
def shop() -> Iterator[Terminal]:
    """The stack, with what moto's CloudFormation does not make, and a group whose second release is bad."""
    with terminal() as it:
        two_releases(it, apart=86_400, rest=300)
        yield it


def two_releases(it: Terminal, *, apart: float = 3600, rest: float = 3600) -> None:
    """A group with two releases, so many seconds apart and ago, and an alarm that leads to it."""
    mend(it)
    it.sim.server_group("shop", "prod")
    for name, seconds in (("a.zip", apart), ("b.zip", rest)):
        it.sim.release("shop", "prod", name, settle=True)
        it.sim.advance(seconds)
    it.alarm(ALARM, "OK")
    it.tag_alarm(ALARM, group_tags("shop", "prod"))


def mend(it: Terminal) -> None:
    """moto's CloudFormation leaves these out of the template's resources; AWS does not. The first drill has been."""
    dynamodb, arn = it.aws.client("dynamodb"), configuration(it)["FunctionArn"]
    it.aws.client("sns").subscribe(TopicArn=it.outputs["AlarmTopicArn"], Protocol="lambda", Endpoint=arn)
    people = {"Protocol": "email", "Endpoint": "ops@example.com"}
    it.aws.client("sns").subscribe(TopicArn=it.outputs["NotificationTopicArn"], **people)
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=it.table, PointInTimeRecoverySpecification=recovery)
    expiry = {"Enabled": True, "AttributeName": "expires_at"}
    dynamodb.update_time_to_live(TableName=it.table, TimeToLiveSpecification=expiry)
    (drill,) = it.handle({"action": "drill"})
    assert drill["drill"] == "passed", drill


def configuration(it: Terminal) -> dict[str, Any]:
    """The function as Lambda tells it, with the dead-letter queue that moto forgets."""
    queue = it.outputs["DeadLetterQueueUrl"].rpartition("/")[2]
    told: dict[str, Any] = it.aws.client("lambda").get_function_configuration(FunctionName=it.function)
    return {**told, "DeadLetterConfig": {"TargetArn": f"arn:aws:sqs:{REGION}:123456789012:{queue}"}}


def unknown_to_moto(it: Terminal, **more: Answer) -> dict[str, Answer]:
    """What moto does not know: mute rules, IAM's simulation, an alarm's history; and a sweep that has just run."""
    return {
        "GetFunctionConfiguration": configuration(it),
        "ListAlarmMuteRules": {},
        "SimulatePrincipalPolicy": lambda asked: {
            "EvaluationResults": [{"EvalActionName": a, "EvalDecision": "allowed"} for a in asked["ActionNames"]]
        },
        "GetMetricStatistics": lambda asked: {
            "Datapoints": [{"Timestamp": it.sim.clock.now(), "Sum": float(asked["MetricName"] == "SweepRan")}]
        },
        "DescribeAlarmHistory": {"AlarmHistoryItems": []},
        **more,
    }


def wrong(ran: Ran) -> dict[str, str]:
    """What doctor found wrong, with its fix."""
    return {row["check"]: row["fix"] for row in ran.json if row["ok"] is False}


def test_a_whole_stack_is_found_whole(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop)) as asked:
        ran = shop.call("-o", "json", "doctor")
    assert (ran.code, wrong(ran)) == (0, {})
    assert all(row["ok"] is True for row in ran.json)
    assert {"an alarm leads here", "it exists", "the sweep is running"} & {row["check"] for row in ran.json}
    assert len(ran.json) > 25
    reads = ("Get", "List", "Describe", "BatchGet", "HeadObject", "Query", "Simulate")
    assert [operation for operation, _ in asked if not operation.startswith(reads)] == []


def test_doctor_prints_a_tree_with_the_fix_below_what_is_wrong(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop, GetMetricStatistics={"Datapoints": []})):
        ran = shop.call("doctor", ALARM)
    assert ran.code == 1
    lines = ran.out.splitlines()
    number = next(n for n, line in enumerate(lines) if "the sweep is running" in line)
    assert "[NG]" in lines[0] and "[NG]" in lines[number]
    assert "fix: By hand: read its logs" in lines[number + 1]
    assert f"[OK] Alarm {ALARM}" in ran.out


def test_doctors_fixes_can_be_copied_from_a_narrow_terminal_and_the_rest_keeps_its_width(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop, ListSubscriptionsByTopic={"Subscriptions": []})):
        fixes = {row["fix"] for row in shop.call("doctor", ALARM, "-o", "json").json if row["ok"] is False}
        session = Session(clock=shop.sim.clock.now, wait=shop.pass_time)
        session.out.width = 60
        lines = shop.call("doctor", ALARM, session=session).out.splitlines()
    assert any(len(fix) > 60 for fix in fixes)
    for fix in fixes:
        assert any(line.endswith(f"fix: {fix}") for line in lines)
    assert max(len(line) for line in lines if "fix: " not in line) <= 60


@pytest.mark.parametrize(
    ("operation", "answer", "check"),
    [
        ("ListAlarmMuteRules", {"AlarmMuteRuleSummaries": [{"AlarmMuteRuleArn": "a:night"}]}, "it is not muted"),
        ("GetTopicAttributes", {"Attributes": {"Policy": "{}"}}, "CloudWatch may publish to it"),
        (
            "GetTopicAttributes",
            {"Attributes": {"Policy": "{}", "KmsMasterKeyId": "alias/aws/sns"}},
            "CloudWatch may use its encryption key",
        ),
        ("ListSubscriptionsByTopic", {"Subscriptions": []}, "the function is subscribed"),
        ("GetPolicy", {"Policy": "{}"}, "the topic may invoke the function"),
        (
            "SimulatePrincipalPolicy",
            {"EvaluationResults": [{"EvalActionName": "sns:Publish", "EvalDecision": "implicitDeny"}]},
            "it may sns:Publish",
        ),
        (
            "GetMetricStatistics",
            {"Datapoints": [{"Timestamp": START, "Sum": 1.0}]},
            "it has not failed in the last hour",
        ),
        ("GetQueueAttributes", {"Attributes": {"ApproximateNumberOfMessages": "2"}}, "its dead-letter queue is empty"),
        ("ListRuleNamesByTarget", {"RuleNames": []}, "the sweep's schedule is enabled"),
        (
            "DescribeRule",
            {"Name": "r", "ScheduleExpression": "rate(1 minute)", "State": "DISABLED"},
            "the sweep's schedule is enabled",
        ),
        ("DescribeTable", {"Table": {"TableStatus": "ARCHIVED"}}, "it is active"),
        ("DescribeContinuousBackups", {}, "it can be restored to a point in time"),
        ("DescribeTimeToLive", {}, "old records expire"),
        ("GetTopicAttributes", denied("NotFound"), "it exists"),
    ],
)
def test_each_broken_link_is_found_and_has_its_fix(shop: Terminal, operation: str, answer: Answer, check: str) -> None:
    with answering(unknown_to_moto(shop, **{operation: answer})):
        ran = shop.call("-o", "json", "doctor", ALARM)
    found = wrong(ran)
    assert ran.code == 1
    assert check in found
    assert all(found.values())


@pytest.mark.parametrize(
    "operation",
    [
        "ListAlarmMuteRules",
        "GetTopicAttributes",
        "GetPolicy",
        "SimulatePrincipalPolicy",
        "GetQueueUrl",
        "DescribeTable",
    ],
)
def test_what_may_not_be_looked_at_is_unknown_and_says_what_is_missing(shop: Terminal, operation: str) -> None:
    with answering(unknown_to_moto(shop, **{operation: denied()})):
        ran = shop.call("-o", "json", "doctor", ALARM)
    unknown = [row for row in ran.json if row["ok"] is None]
    assert ran.code == 0
    assert unknown and all(operation in row["detail"] for row in unknown)
    assert all(row["fix"] for row in unknown)


@pytest.mark.parametrize("code", ["InvalidAction", "UnknownOperationException"])
def test_what_this_aws_does_not_know_will_not_be_known_in_a_moment_either(shop: Terminal, code: str) -> None:
    with answering(unknown_to_moto(shop, ListAlarmMuteRules=denied(code, "Unknown action"))):
        ran = shop.call("-o", "json", "doctor", ALARM)
    (row,) = [row for row in ran.json if row["ok"] is None]
    assert (row["check"], row["fix"]) == ("it is not muted", "By hand: look at it in the console.")


@pytest.mark.parametrize("answers", [{}, {"GetDeploymentGroup": denied("DeploymentGroupDoesNotExistException")}])
def test_a_deployment_group_that_does_not_exist_is_wrong(shop: Terminal, answers: dict[str, Answer]) -> None:
    with answering(unknown_to_moto(shop, **answers)):
        ran = shop.call("-o", "json", "doctor", "-g", "shop/prd")
    assert ran.code == 1
    assert wrong(ran) == {"it exists": "By hand: name a group that exists: lastgood doctor --group shop/prod"}
    (found,) = [row for row in ran.json if row["ok"] is False]
    assert found["detail"] == "CodeDeploy has no deployment group shop/prd; there is shop/prod."


def test_an_alarm_that_does_not_exist_is_the_first_thing_that_doctor_says(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop)):
        ran = shop.call("doctor", "no-such-alarm")
    assert ran.code == 1
    assert "[NG] Alarm no-such-alarm" in ran.out


def test_what_the_local_aws_cannot_show_is_unknown_and_not_wrong(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop, GetMetricStatistics={"Datapoints": []}, DescribeTimeToLive={})):
        ran = shop.call("-o", "json", "doctor", ALARM, LASTGOOD_LOCAL_AWS="yes")
    assert wrong(ran) == {}
    unknown = {row["check"]: row["detail"] for row in ran.json if row["ok"] is None}
    assert unknown == dict.fromkeys(("the sweep is running", "old records expire"), "Not in the local AWS.")


def test_no_alarm_at_all_is_wrong_because_nothing_would_ever_wake_the_function(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop, DescribeAlarms={"MetricAlarms": []})):
        ran = shop.call("-o", "json", "doctor")
    assert set(wrong(ran)) == {"an alarm leads here"}


def test_a_plan_is_told_to_people_to_machines_and_to_spreadsheets(shop: Terminal) -> None:
    people = shop.run("plan", "--group", "shop/prod")
    assert people.code == 0, people.err
    assert "It would" in people.out and "Is no other rollback of the group open?" in people.out
    (plan,) = shop.call("-o", "json", "plan", ALARM).json
    assert plan["acts"] and plan["good_revision"].startswith("s3://bundles/a.zip?etag=")
    assert plan["suppositions"] == ["Supposed: the alarm goes into ALARM now (CloudWatch says OK)."]
    sheet = shop.call("-o", "csv", "plan", ALARM).out.splitlines()
    assert len(sheet) == 2 and sheet[0].startswith("about,deployment_group_key,acts")


def test_plan_and_doctor_say_how_many_minutes_an_incident_would_take(shop: Terminal) -> None:
    (plan,) = shop.call("-o", "json", "plan", ALARM).json
    with answering(unknown_to_moto(shop)):
        checks = {row["check"]: row["detail"] for row in shop.call("-o", "json", "doctor", ALARM).json}
    assert plan["expected"] == checks["how long an incident would take"]
    assert plan["expected"].startswith("From the first failing request to the good revision: about ")
    assert "the alarm fires after 2 min to 4 min, a deployment took" in plan["expected"]
    assert "2 of 3 datapoints instead of 3 of 3 would save 60 s." in plan["expected"]
    assert "Expected: From the first failing request" in " ".join(shop.run("plan", ALARM).out.split())


def test_without_supposing_an_alarm_that_is_ok_leads_to_nothing(shop: Terminal) -> None:
    (plan,) = shop.call("-o", "json", "plan", ALARM, "--no-suppose").json
    assert (plan["acts"], plan["reason"]) == (False, "ALARM_RECOVERED")


def test_a_saved_event_is_planned_as_if_it_were_delivered_now(shop: Terminal, tmp_path: Path) -> None:
    message = alarm_event(at=shop.sim.clock.now(), alarm=ALARM, tags=group_tags("shop", "prod"))
    message["Records"][0]["Sns"]["TopicArn"] = shop.outputs["AlarmTopicArn"]
    saved = tmp_path / "event.json"
    saved.write_text(json.dumps(message))
    (plan,) = shop.call("-o", "json", "plan", "--event", str(saved), "--suppose").json
    assert plan["acts"]
    (stale,) = shop.call("-o", "json", "plan", "--event", "-", stdin=json.dumps(event("alarm-in-alarm"))).json
    assert not stale["acts"] and stale["headline"].startswith("The event would be refused")


def test_a_request_by_hand_is_planned_with_what_it_asks_for(shop: Terminal) -> None:
    request = {
        "action": "rollback",
        "application": "shop",
        "deployment_group": "prod",
        "reason": "r",
        "requested_by": "me",
    }
    (plan,) = shop.call("-o", "json", "plan", "-e", "-", stdin=json.dumps(request)).json
    assert plan["acts"] and plan["good_revision"].startswith("s3://bundles/a.zip?etag=")
    (plan,) = shop.call(
        "-o", "json", "plan", "-e", "-", stdin=json.dumps({**request, "to_deployment_id": "d-AAAAAAAAA"})
    ).json
    assert (plan["acts"], plan["reason"]) == (False, "NO_GOOD_REVISION")


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("plan",), "", 2, "Name one of ALARM, --group or --event"),
        (("plan", "a", "--group", "b/c"), "", 2, "Name one of ALARM, --group or --event"),
        (("plan", "no-such-alarm"), "", 3, "CloudWatch knows no alarm no-such-alarm"),
        (("plan", "--group", "shop"), "", 2, "APPLICATION/DEPLOYMENT_GROUP"),
        (("plan", "--group", "shop/\x1b[31m"), "", 2, "APPLICATION/DEPLOYMENT_GROUP"),
        (("plan", "--event", "-"), "no json", 2, "it is not JSON"),
        (("plan", "--event", "-"), "[" * 100_000, 2, "cannot be read"),
        (("plan", "--event", "/no/such/file"), "", 2, "No such file"),
        (("explain", "rb-unknown"), "", 3, "There is no rollback rb-unknown"),
        (("backtest", "--since", "soon"), "", 2, "give a duration such as"),
        (("backtest", "--since", "2999-01-01"), "", 2, "is in the future"),
        (("backtest", "--mode", "loud"), "", 2, "loud"),
        (("report", "--since", "30d"), "", 2, "--out"),
        (("report", "--out", "/no/such/folder/report.html"), "", 2, "cannot be written"),
        (("--function", "nobody", "doctor"), "", 3, "There is no function nobody"),
        (("--stack", "nobody", "doctor"), "", 3, "There is no stack nobody"),
    ],
)
def test_bad_input_is_one_line_with_the_next_command(
    shop: Terminal, arguments: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    ran = shop.call(*arguments, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err and "Try: " in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert "\x1b" not in ran.err and "Traceback" not in ran.err


def past(it: Terminal, state: str, seconds_ago: float, name: str = ALARM) -> dict[str, Any]:
    """One item of an alarm's history."""
    told = json.dumps({"newState": {"stateValue": state}})
    when = it.sim.clock.now() - timedelta(seconds=seconds_ago)
    return {"AlarmName": name, "Timestamp": when, "HistoryItemType": "StateUpdate", "HistoryData": told}


def test_a_backtest_says_what_would_have_been_done_and_what_it_cannot_know(shop: Terminal) -> None:
    items = [past(shop, "ALARM", 200), past(shop, "OK", 20), past(shop, "ALARM", 4000), past(shop, "ALARM", 9, "other")]
    with answering(unknown_to_moto(shop, DescribeAlarmHistory={"AlarmHistoryItems": items})) as asked:
        people = shop.call("backtest", "--since", "7d")
        machines = shop.call("-o", "json", "backtest", "--since", "7d").json
        sheet = shop.call("-o", "csv", "backtest", "--since", "7d").out.splitlines()
    assert people.code == 0
    assert "2 alarms, 1 rollback." in people.out
    assert "What a backtest cannot know" in people.out
    assert [f["verdict"] for f in machines["findings"]] == ["refuses", "rolls back"]
    assert machines["findings"][1]["good"] == "bundles/a.zip"
    assert machines["findings"][1]["recovered_after_seconds"] == 180
    assert machines["unconnected"] == 1
    assert len(sheet) == 3
    since = next(parameters["StartDate"] for name, parameters in asked if name == "DescribeAlarmHistory")
    assert shop.sim.clock.now() - since == timedelta(days=7)


def test_a_backtest_reads_every_page_of_the_history(shop: Terminal) -> None:
    def pages(asked: Mapping[str, Any]) -> dict[str, Any]:
        if "NextToken" in asked:
            return {"AlarmHistoryItems": [past(shop, "ALARM", 100)]}
        return {"AlarmHistoryItems": [past(shop, "ALARM", 4000)], "NextToken": "more"}

    with answering(unknown_to_moto(shop, DescribeAlarmHistory=pages)):
        found = shop.call("-o", "json", "backtest").json
    assert found["summary"]["alarms"] == 2


def test_a_backtest_of_a_quiet_time_says_so(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop)):
        ran = shop.call("backtest")
    assert ran.code == 0
    assert "no alarm that leads to lastgood went into ALARM" in ran.out


def test_without_permission_to_read_the_history_a_backtest_says_which_is_missing(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop, DescribeAlarmHistory=denied())):
        ran = shop.call("backtest")
    assert ran.code == 4
    assert "describe_alarm_history" in ran.err.lower().replace("describealarmhistory", "describe_alarm_history")


EVIL = "=cmd()\x1b[31m[bold]\u202eevil"


def test_hostile_names_cannot_disturb_the_terminal_or_a_spreadsheet(shop: Terminal) -> None:
    hostile = {"AlarmName": EVIL, "AlarmArn": f"arn:aws:cloudwatch:us-east-1:1:alarm:{EVIL}", "StateValue": "OK"}
    here = {**hostile, "AlarmActions": [shop.outputs["AlarmTopicArn"]], "OKActions": []}
    items = [past(shop, "ALARM", 200, EVIL)]
    answers = unknown_to_moto(
        shop, DescribeAlarms={"MetricAlarms": [here]}, DescribeAlarmHistory={"AlarmHistoryItems": items}
    )
    for command in (["plan", EVIL], ["doctor", EVIL], ["backtest"], ["plan", "--event", "-"]):
        for form in ("table", "csv", "json"):
            with answering(answers):
                ran = shop.call("-o", form, *command, stdin=json.dumps({"action": EVIL}))
            shown = ran.out + ran.err
            assert ran.code in {0, 1}
            assert "\x1b" not in shown and "\u202e" not in shown
            assert ran.out
            if form == "csv":
                assert not any(value.startswith("=") for row in csv.reader(ran.out.splitlines()) for value in row)


def test_an_alarm_that_fires_is_planned_as_it_is_and_says_since_when(shop: Terminal) -> None:
    (before,) = shop.call("-o", "json", "plan", ALARM).json
    shop.alarm(ALARM, "ALARM")
    (plan,) = shop.call("-o", "json", "plan", ALARM).json
    shop.alarm(ALARM, "OK")
    assert "Supposed" in before["suppositions"][0]
    assert plan["suppositions"] == ["The alarm has been in ALARM for 0 s; its message is taken to come now."]
    assert plan["acts"]


@pytest.mark.parametrize("operation", ["DescribeAlarms", "ListDeployments", "GetItem", "Query"])
def test_a_plan_without_the_permission_to_look_is_one_line_and_no_guess(shop: Terminal, operation: str) -> None:
    with answering({operation: denied("AccessDeniedException")}):
        ran = shop.call("plan", ALARM)
    assert (ran.code, ran.out) == (4, "")
    assert f"You may not do this ({operation})" in ran.err
    assert "Try: lastgood permissions operator" in ran.err


# --- what a person must be allowed ---


def may_be_asked() -> set[str]:
    """The operations that `lastgood permissions operator` lets a person call."""
    allowed = {action.split(":")[1] for actions in READS.values() for action in actions}
    # IAM knows no action for an object's head: it is allowed with the object.
    return allowed | ({"HeadObject"} if "GetObject" in allowed else set())


def test_a_person_with_the_operators_policy_can_use_every_command_that_looks(shop: Terminal) -> None:
    with answering(unknown_to_moto(shop)) as asked:
        for command in (["plan", ALARM], ["plan", "-g", "shop/prod"], ["doctor"], ["backtest"]):
            assert shop.call(*command).code == 0
    assert {operation for operation, _ in asked} <= may_be_asked()
