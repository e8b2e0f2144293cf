"""What the people who run lastgood ask first: how it stands, which alarms count, may I release, is it spelt right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from answering import answering
from integration.test_cli_judgement import configuration, unknown_to_moto
from lastgood import __version__
from lastgood_cli.context import Session
from stage.local import ERRORS
from terminal import Terminal, terminal


@pytest.fixture
def it() -> Iterator[Terminal]:
    """A stack with a group on servers that had two good releases and a bad one."""
    with terminal() as made:
        made.sim.server_group("shop", "prod")
        for number in (1, 2):
            made.sim.release("shop", "prod", number, settle=True)
            made.sim.advance(7200)
        made.sim.release("shop", "prod", 3, settle=True)
        made.sim.advance(120)
        yield made


def alarm(it: Terminal, name: str) -> dict[str, Any]:
    """An alarm as CloudWatch tells it."""
    found: list[dict[str, Any]] = it.aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0]


def bare_alarm(it: Terminal, name: str, **more: Any) -> None:
    """An alarm that has nothing to do with lastgood yet."""
    it.aws.client("cloudwatch").put_metric_alarm(
        **{
            **ERRORS,
            "AlarmName": name,
            "AlarmDescription": "errors",
            "Dimensions": [{"Name": "ApiName", "Value": "shop"}],
            "DatapointsToAlarm": 2,
            "TreatMissingData": "notBreaching",
            **more,
        }
    )


def live(it: Terminal) -> str:
    """The key of the bundle that serves."""
    return it.sim.live("shop", "prod").target.split("|")[1]


def people_are_asked_first(it: Terminal) -> None:
    """Bob wants to approve each rollback of the group."""
    group = {"application": "shop", "deployment_group": "prod"}
    it.handle({"action": "set_mode", **group, "mode": "approve", "reason": "careful", "requested_by": "bob"})


# --- how it stands ---


def test_status_without_an_id_tells_everything_that_stops_or_waits(it: Terminal) -> None:
    it.handle({"action": "pause", "reason": "load test", "requested_by": "ann", "until": "2h"})
    people_are_asked_first(it)
    rollback_id = it.alarm_fires()
    ran = it.call("status", "-o", "json")
    assert ran.code == 0, ran.err
    assert ran.json["mode"] == it.environ["LASTGOOD_MODE"]
    assert ran.json["paused"]["by"] == "ann" and ran.json["paused"]["why"] == "load test"
    (group,) = ran.json["groups"]
    assert (group["group"], group["mode"]) == ("shop/prod", "approve")
    assert ran.json["last_rollback"]["rollback_id"] == rollback_id
    assert (ran.json["version"], ran.json["command_version"]) == (__version__, __version__)
    page = it.call("status")
    assert page.code == 0 and "EVERYTHING by ann" in page.out and "shop/prod" in page.out


def test_a_rollback_that_waits_for_approval_says_until_when_and_how(it: Terminal) -> None:
    people_are_asked_first(it)
    rollback_id = it.alarm_fires()
    (row,) = it.call("status", "-o", "json").json["open"]
    assert row["approve_with"] == f"lastgood approve {rollback_id}"
    one = it.call("status", "last", "-o", "json")
    assert one.code == 21
    assert one.json["approve_until"] == row["approve_until"] > row["opened_at"]


def test_status_shows_the_groups_that_alarms_lead_to_before_anything_has_happened(it: Terminal) -> None:
    bare_alarm(it, "orders")
    it.call("connect", "orders", "--group", "shop/prod", "--yes")
    with answering({"GetResources": {"ResourceTagMappingList": []}}):
        ran = it.call("status")
    assert "shop/prod" in ran.out and "No deployment group is connected" not in ran.out


def test_the_command_that_connects_the_first_alarm_is_not_broken_over_lines(it: Terminal) -> None:
    session = Session(clock=it.sim.clock.now, wait=it.pass_time)
    session.out.width = 40
    with answering({"GetResources": {"ResourceTagMappingList": []}}):
        lines = it.call("status", session=session).out.splitlines()
    assert lines[-1] == "    lastgood connect ALARM --group APPLICATION/GROUP"


def test_the_last_rollback_is_told_with_its_phase_while_it_is_open(it: Terminal) -> None:
    rollback_id = it.alarm_fires()
    (line,) = (line for line in it.call("status").out.splitlines() if line.startswith("last rollback"))
    phase = it.call("audit", "show", "last", "-o", "json").json["phase"]
    assert line.split()[2:] == [phase, rollback_id]


def test_mode_without_a_mode_answers_the_one_that_holds(it: Terminal) -> None:
    assert it.call("mode", "shop/prod", "-o", "json").json["by"] == "the stack's parameter Mode"
    set_ = it.call("mode", "shop/prod", "observe", "--reason", "look first", "--yes", "--as", "ann")
    assert set_.code == 0, set_.err
    assert it.call("mode", "shop/prod", "-o", "json").json == {
        "group": "shop/prod",
        "mode": "observe",
        "by": "an operator",
    }


# --- ids ---


def test_an_id_may_be_last_or_a_unique_ending(it: Terminal) -> None:
    rollback_id = it.alarm_fires()
    it.minutes(10)
    for said in ("last", rollback_id[-6:], rollback_id):
        assert it.call("status", said, "-o", "json").json["rollback_id"] == rollback_id
    assert it.call("audit", "show", "-o", "json").json["rollback_id"] == rollback_id
    assert rollback_id in it.call("explain").out


def test_the_last_one_to_be_approved_is_the_one_that_waits_and_not_the_newest(it: Terminal) -> None:
    it.call("mode", "shop/prod", "approve", "--reason", "careful", "--yes")
    waiting = it.alarm_fires()
    it.sim.server_group("pay", "prod")
    it.sim.advance(60)
    it.call("rollback", "pay/prod", "--dry-run", "--reason", "a look", "--yes")
    assert it.call("status", "last", "-o", "json").json["rollback_id"] != waiting
    ran = it.call("approve", "last", "--yes", "--wait", "-o", "json")
    assert (ran.code, ran.json["rollback_id"]) == (0, waiting), ran.err
    assert live(it) == "2"


def test_an_ending_that_fits_nothing_is_not_found(it: Terminal) -> None:
    ran = it.call("status", "ffffff")
    assert (ran.code, "There is no rollback ffffff" in ran.err) == (3, True)


@pytest.mark.parametrize("line", ["lastgood audit show rb", "lastgood gate sh", "lastgood plan shop-prod"])
def test_tab_completes_ids_groups_and_alarms_from_the_table_and_keeps_them_a_minute(
    it: Terminal, tmp_path: Path, line: str
) -> None:
    rollback_id = it.alarm_fires()
    offers = {"rb": rollback_id, "sh": "shop/prod", "shop-prod": "shop-prod-error-rate"}
    keys = {"_LASTGOOD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    for _ in range(2):
        ran = it.call(**keys, XDG_CACHE_HOME=str(tmp_path))
        assert offers[line.split()[-1]] in ran.out
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_right_after_a_rollback_the_group_is_well(it: Terminal) -> None:
    """What its older releases contain was not looked up then: nothing goes back behind a rollback."""
    it.alarm_fires()
    it.minutes(10)
    with answering(unknown_to_moto(it)):
        rows = it.call("doctor", "--group", "shop/prod", "-o", "json").json
    group = {row["check"]: row["ok"] for row in rows if row["part"] == "Deployment group shop/prod"}
    assert group["a last good revision exists and can be deployed now"] is True
    assert False not in group.values()


# --- waiting ---


def test_waiting_prints_each_step_once_with_its_time(it: Terminal) -> None:
    it.handle({"action": "sweep"})
    ran = it.call("rollback", "shop/prod", "--reason", "orders get lost", "--yes", "--wait", "--as", "ann")
    assert ran.code == 0, ran.err
    steps = [line for line in ran.err.splitlines() if line.strip().startswith("+")]
    assert len(steps) >= 3
    assert len(set(steps)) == len(steps)


def test_an_approval_can_be_waited_for_until_the_alarm_has_recovered(it: Terminal) -> None:
    it.call("mode", "shop/prod", "approve", "--reason", "careful", "--yes")
    it.alarm_fires()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 10:
            it.alarm("shop-prod-error-rate", "OK")
        it.minutes(1)

    session = Session(clock=it.sim.clock.now, wait=wait)
    ran = it.call("approve", "last", "--yes", "--wait", "--recovered", "--timeout", "2h", "-o", "json", session=session)
    assert (ran.code, ran.json["alarm"].startswith("OK after")) == (0, True), ran.err
    assert len(waited) > 10


def test_the_alarms_recovery_is_told_and_can_be_waited_for(it: Terminal) -> None:
    rollback_id = it.alarm_fires()
    it.minutes(8)
    assert it.call("status", "last", "-o", "json").json["alarm"].startswith("still firing")
    it.alarm("shop-prod-error-rate", "OK")
    it.minutes(16)
    ran = it.call("status", rollback_id, "--wait", "--recovered", "-o", "json")
    assert (ran.code, ran.json["alarm"].startswith("OK after")) == (0, True)


# --- before it is done ---


def test_a_confirmation_shows_the_plan(it: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "interactive", True)
    ran = it.call("rollback", "shop/prod", "--reason", "orders get lost", stdin="n\n")
    assert ran.code == 1
    said = " ".join(ran.err.split())
    assert "shop/prod in 123456789012, us-east-1:" in said
    assert "old) →" in said and "Roll back shop/prod?" in said
    assert not [event for event in it.invoked if event.get("action") == "rollback"]


def test_an_approval_is_asked_for_with_where_from_what_to_what_and_why(
    it: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.call("mode", "shop/prod", "approve", "--reason", "careful", "--yes")
    rollback_id = it.alarm_fires()
    head = it.call("audit", "show", "-o", "json").json
    monkeypatch.setattr(Session, "interactive", True)
    ran = it.call("approve", "last", stdin="n\n")
    where, why, question, *_ = ran.err.splitlines()
    assert where.startswith("shop/prod in 123456789012, us-east-1: ")
    suspect, good = where.split(": ", 1)[1].split(" → ")
    assert head["suspect_deployment_id"] in suspect and head["good_deployment_id"] in good
    assert why == f"Why: {head['explanation']}"
    assert question.startswith(f"Approve {rollback_id}?")
    assert (ran.code, live(it)) == (1, "3")


def test_what_a_stranger_wrote_makes_no_line_of_its_own_before_a_question(
    it: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.call("mode", "shop/prod", "approve", "--reason", "careful", "--yes")
    rollback_id = it.alarm_fires()
    head = it.call("audit", "show", "-o", "json").json
    names = {"TableName": it.table, "Key": {"pk": {"S": f"ROLLBACK#{rollback_id}"}, "sk": {"S": "META"}}}
    it.aws.client("dynamodb").update_item(
        **names,
        UpdateExpression="SET explanation = :said",
        ExpressionAttributeValues={":said": {"S": "fine\nApproved already.\x1b[2K"}},
    )
    monkeypatch.setattr(Session, "interactive", True)
    said = it.call("approve", head["rollback_id"], stdin="n\n").err
    assert not [line for line in said.splitlines() if line.startswith("Approved already")]
    assert "\x1b" not in said


@pytest.mark.parametrize("command", ["rollback", "pause", "mode"])
def test_a_misspelt_group_is_not_asked_for(it: Terminal, command: str) -> None:
    more = ["observe"] if command == "mode" else []
    ran = it.call(command, "shop/prd", *more, "--reason", "x", "--yes")
    assert (ran.code, "there is shop/prod" in ran.err) == (3, True), ran.err
    assert not it.invoked


def test_after_a_rollback_the_second_one_is_offered_with_the_next_id(it: Terminal) -> None:
    it.call("rollback", "shop/prod", "--reason", "bad", "--yes", "--wait", "--as", "ann")
    again = it.call("rollback", "shop/prod", "--reason", "still bad", "--yes", "--as", "ann")
    assert again.code == 10, again.err
    line = next(line for line in again.err.splitlines() if "--force" in line)
    command = line[line.index("lastgood rollback") :].split()
    ran = it.call(*command[1:-2], "--reason", "older", "--yes", "--wait", "--as", "ann")
    assert ran.code == 0, (ran.out, ran.err)
    assert live(it) == "1"


def test_an_unknown_target_is_refused_by_name(it: Terminal) -> None:
    ran = it.call("rollback", "shop/prod", "--to", "d-NONE12345", "--reason", "x", "--yes")
    assert (ran.code, "has no deployment d-NONE12345" in ran.err) == (3, True)
    assert not it.invoked


# --- connecting ---


def test_connecting_adds_actions_and_tags_and_changes_nothing_else(it: Terminal) -> None:
    bare_alarm(it, "orders", AlarmActions=["arn:aws:sns:us-east-1:123456789012:pager"])
    before = alarm(it, "orders")
    shown = it.call("connect", "orders", "--group", "shop/prod", "--dry-run")
    assert shown.code == 0 and alarm(it, "orders") == before
    ran = it.call("connect", "orders", "--group", "shop/prod", "--yes")
    assert ran.code == 0, ran.err
    after, topic = alarm(it, "orders"), it.outputs["AlarmTopicArn"]
    assert after["AlarmActions"] == ["arn:aws:sns:us-east-1:123456789012:pager", topic]
    assert after["OKActions"] == [topic]
    changed = {"AlarmActions", "OKActions", "AlarmConfigurationUpdatedTimestamp"}
    same = set(before) - changed
    assert {k: after[k] for k in same} == {k: before[k] for k in same}
    assert it.call("connect", "orders", "--group", "shop/prod", "--yes").err == "They are connected already.\n"


def test_a_connected_alarm_rolls_back(it: Terminal) -> None:
    bare_alarm(it, "orders")
    it.call("connect", "orders", "--group", "shop/prod", "--yes")
    ran = it.call("plan", "orders", "-o", "json")
    assert ran.json[0]["acts"] is True, ran.out


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (("orders", "--group", "shop/prd"), 3, "there is shop/prod"),
        (("nope", "--group", "shop/prod"), 3, "no alarm nope"),
        (("orders",), 2, "--group, --ecs-service or --pipeline"),
        (("orders", "--group", "shop/prod", "--pipeline", "shop/Deploy"), 2, "Name one of"),
    ],
)
def test_what_cannot_be_connected_is_said(it: Terminal, line: tuple[str, ...], code: int, words: str) -> None:
    bare_alarm(it, "orders")
    ran = it.call("connect", *line, "--yes")
    assert (ran.code, words in ran.err) == (code, True), ran.err


def test_alarms_shows_what_is_covered_and_what_is_not(it: Terminal) -> None:
    it.sim.server_group("shop", "staging")
    bare_alarm(it, "orders")
    bare_alarm(it, "disk")
    bare_alarm(it, "lost", AlarmActions=[it.outputs["AlarmTopicArn"]])
    it.call("connect", "orders", "--group", "shop/prod", "--yes")
    it.aws.client("cloudwatch").set_alarm_state(AlarmName="orders", StateValue="OK", StateReason="fine")
    ran = it.call("alarms", "-o", "json")
    rows = {(row["alarm"], row["leads_to"]): row["covers"] for row in ran.json}
    assert rows == {
        ("orders", "shop/prod"): "yes",
        ("lost", ""): "it leads nowhere",
        ("", "shop/staging"): "no alarm",
    }
    assert it.call("alarms").code == 0
    # What watches lastgood itself is not among the alarms that could be connected.
    it.aws.client("cloudwatch").put_metric_alarm(
        AlarmName="watchman",
        MetricName="Errors",
        Namespace="AWS/Lambda",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[it.outputs["NotificationTopicArn"]],
    )
    assert "1 other alarm not connected." in it.call("alarms").err
    assert it.call("alarms", "--problems").code == 1


def test_an_alarm_whose_tags_the_index_does_not_know_yet_is_asked_itself(it: Terminal) -> None:
    bare_alarm(it, "orders")
    it.call("connect", "orders", "--group", "shop/prod", "--yes")
    with answering({"GetResources": {"ResourceTagMappingList": []}}):
        (row,) = it.call("alarms", "-o", "json").json
    assert (row["alarm"], row["leads_to"]) == ("orders", "shop/prod")


# --- may I release, and is it well ---


def test_the_gate_is_open_until_somebody_pauses_or_a_rollback_runs(it: Terminal) -> None:
    assert it.call("gate", "shop/prod").code == 0
    it.handle({"action": "pause", "reason": "load test", "requested_by": "ann"})
    ran = it.call("gate", "shop/prod", "-o", "json")
    assert (ran.code, ran.json["may_release"]) == (1, False)
    assert "paused by ann: load test" in ran.json["why_not"]
    it.handle({"action": "resume", "reason": "over", "requested_by": "ann"})
    rollback_id = it.alarm_fires()
    assert rollback_id in it.call("gate", "shop/prod", "-o", "json").json["why_not"]
    it.minutes(30)
    assert it.call("gate", "shop/prod").code == 0
    bad = json.loads(it.call("audit", "show", "-o", "json").out)["suspect_revision"]
    assert it.call("gate", "shop/prod", "--revision", bad).code == 1


def test_the_gate_of_a_group_is_shut_while_that_group_is_paused_and_no_longer(it: Terminal) -> None:
    it.call("pause", "shop/prod", "--reason", "load test", "--until", "2h", "--as", "ann", "--yes")
    ran = it.call("gate", "shop/prod", "-o", "json")
    assert (ran.code, ran.json["why_not"]) == (1, "It is paused by ann: load test.")
    it.sim.advance(7_300)
    assert it.call("gate", "shop/prod").code == 0


@pytest.mark.parametrize(
    ("deployed", "fix"),
    [("0.0.9", "make deploy"), ("99.0.0", "By hand: in a checkout of 99.0.0: pipx install --force .")],
)
def test_doctor_says_that_the_function_is_of_another_version_than_the_command(
    it: Terminal, deployed: str, fix: str
) -> None:
    description = it.aws.client("lambda").get_function_configuration(FunctionName=it.function)["Description"]
    other = description.replace(__version__, deployed)
    assert other != description
    with answering({**unknown_to_moto(it), "GetFunctionConfiguration": {**configuration(it), "Description": other}}):
        rows = {row["check"]: row for row in it.call("doctor", "-o", "json").json}
    row = rows["it is this command's version"]
    assert (row["ok"], row["detail"]) == (False, f"It is {deployed}; this command is {__version__}.")
    assert row["fix"] == fix


def test_drill_and_health_are_commands(it: Terminal) -> None:
    health = it.call("health", "-o", "json")
    assert (health.code, health.json["healthy"], health.json["version"]) == (0, True, __version__)
    drill = it.call("drill", "-o", "json")
    assert drill.json["drill"] in {"passed", "failed"}
    assert drill.code == (0 if drill.json["drill"] == "passed" else 1)


@pytest.mark.parametrize(
    "line",
    [
        ("resume", "shop/prd", "--reason", "over", "--yes"),
        ("floor", "clear", "shop/prd", "d-A1B2C3D4E", "--reason", "over", "--yes"),
        ("mode", "shop/prd"),
        ("gate", "shop/prd"),
    ],
)
def test_nothing_is_affirmed_of_a_misspelt_group(it: Terminal, line: tuple[str, ...]) -> None:
    ran = it.call(*line)
    assert (ran.code, "There is no shop/prd" in ran.err, "shop/prod" in ran.err) == (3, True, True), ran.err


@pytest.mark.parametrize("action", ["resume", "clear_floor"])
@pytest.mark.parametrize("group", ["prd", "*", "pro?"])
def test_the_function_takes_nothing_back_of_a_group_that_does_not_exist(it: Terminal, action: str, group: str) -> None:
    deployment = {"deployment_id": "d-A1B2C3D4E"} if action == "clear_floor" else {}
    asked = {"action": action, "application": "shop", "deployment_group": group, **deployment}
    (answer,) = it.handle({**asked, "requested_by": "ann", "reason": "over"})
    assert answer["refused"] == "unknown_group"


def test_a_paused_group_that_no_alarm_leads_to_is_seen_in_the_status(it: Terminal) -> None:
    it.sim.server_group("shop", "staging")
    it.call("pause", "shop/staging", "--reason", "load test", "--yes")
    rows = {row["group"]: row["paused"] for row in it.call("status", "-o", "json").json["groups"]}
    assert "load test" in rows["shop/staging"]
    assert "shop/prod" not in rows


def test_an_empty_list_says_that_the_application_is_unknown(it: Terminal) -> None:
    ran = it.call("audit", "list", "--application", "shp")
    assert "There is no shp in us-east-1; there is shop" in ran.out + ran.err
    assert "There is no" not in (again := it.call("audit", "list", "--application", "shop")).out + again.err


# --- alarms of other regions ---


def test_an_alarm_of_a_region_that_may_not_command_is_not_connected(it: Terminal) -> None:
    cloudwatch = it.aws.client("cloudwatch", region_name="eu-west-3")
    cloudwatch.put_metric_alarm(
        AlarmName="cdn",
        MetricName="5xxErrorRate",
        Namespace="AWS/CloudFront",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=3,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
    )
    (found,) = cloudwatch.describe_alarms(AlarmNames=["cdn"])["MetricAlarms"]
    ran = it.call("connect", found["AlarmArn"], "--group", "shop/prod", "--yes")
    assert ran.code != 0
    assert "LASTGOOD_ALARM_REGIONS" in ran.err and "AlarmRegions=eu-west-3" in ran.err
