"""The record of a rollback: what people and queries find next week, and what was told meanwhile."""

from __future__ import annotations

import json
import re
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from docs_from_code.queries import EXAMPLES
from scene import PLATFORMS, Scene, scene
from stage.local import ACCOUNT, REGION, TABLE

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
MID_SHIFT = {"Server": 15, "Lambda": 60, "ECS": 60}
EFFECTS = {
    "StopDeployment": "STOP",
    "CreateDeployment": "CREATE",
    "UpdateAlias": "CLEAR_ALIAS",
    "RegisterTaskDefinition": "REGISTER_TASK_DEFINITION",
}
# Section 4 of the design: what users may rely on.
PROMISED = {
    "rollback_id",
    "application",
    "deployment_group",
    "deployment_group_key",
    "compute_platform",
    "alarm_name",
    "alarm_arn",
    "alarm_changed_at",
    "trigger_kind",
    "requested_by",
    "phase",
    "outcome",
    "reason_code",
    "explanation",
    "suspect_deployment_id",
    "suspect_revision",
    "good_deployment_id",
    "good_revision",
    "rollback_deployment_id",
    "adopted",
    "candidates",
    "opened_at",
    "stopped_at",
    "redeployed_at",
    "verified_at",
    "closed_at",
    "alarm_recovered_at",
    "expires_at",
    "schema_version",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def finished(it: Scene) -> dict[str, Any]:
    """A release is met half way, rolled back, and the alarm recovers. Returns the head."""
    it.good_history(1, 2)
    it.release(3)
    it.sim.advance(MID_SHIFT[it.platform])
    it.alarm_fires()
    it.run_to_end()
    it.sim.advance(60)
    it.alarm_recovers()
    it.sim.advance(16 * 60)
    it.sweep()
    return it.head


def query(it: Scene, index: str, key: str, value: str) -> list[str]:
    """The rollback ids that an index holds under a key."""
    answer = it.local.dynamodb.query(
        TableName=TABLE,
        IndexName=index,
        KeyConditionExpression=f"{key} = :value",
        ExpressionAttributeValues={":value": {"S": value}},
    )
    return [item["rollback_id"]["S"] for item in answer["Items"]]


# --- the head ---------------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_the_head_of_a_finished_rollback_has_everything_that_is_promised(platform: str) -> None:
    with scene(platform) as it:
        head = finished(it)
        assert set(head) >= PROMISED
        assert head["deployment_group_key"] == "shop/prod"
        assert head["compute_platform"] == platform
        assert (head["phase"], head["outcome"]) == ("CLOSED", "ROLLED_BACK")
        assert head["candidates"][-1]["deployment_id"] == head["good_deployment_id"]
        assert head["explanation"]


@EVERYWHERE
def test_all_times_are_utc_with_milliseconds_and_in_order(platform: str) -> None:
    with scene(platform) as it:
        head = finished(it)
        times = {name: value for name, value in head.items() if name.endswith("_at") and name != "expires_at" and value}
        assert all(TIME.fullmatch(value) for value in times.values()), times
        order = ["alarm_changed_at", "opened_at", "stopped_at", "redeployed_at", "verified_at", "closed_at"]
        assert [times[name] for name in order] == sorted(times[name] for name in order)
        assert times["alarm_recovered_at"] > times["closed_at"]
        assert all(TIME.fullmatch(step["occurred_at"]) for step in it.steps)


def test_records_expire_after_the_retention() -> None:
    with scene("Server", settings={"LASTGOOD_RETENTION": "40d"}) as it:
        opened = it.now()
        head = finished(it)
        kept = {int(item["expires_at"]) for item in [head, *it.steps]}
        days = [(each - opened.timestamp()) / 86400 for each in kept]
        assert all(40 <= each <= 41 for each in days)


# --- the steps --------------------------------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize("native", ["true", "false"])
def test_steps_are_numbered_without_gaps(platform: str, native: str) -> None:
    with scene(platform, settings={"LASTGOOD_NATIVE_ROLLBACK": native}) as it:
        head = finished(it)
        assert [step["sk"] for step in it.steps] == [f"STEP#{n:04d}" for n in range(1, len(it.steps) + 1)]
        assert head["step_count"] == len(it.steps)
        assert (it.steps[0]["step_name"], it.steps[-1]["step_name"]) == ("OPEN", "ALARM_RECOVERED")
        assert all(step["explanation"] for step in it.steps)


@EVERYWHERE
@pytest.mark.parametrize("native", ["true", "false"])
def test_the_intent_is_in_the_table_before_the_effect_arrives(platform: str, native: str) -> None:
    with scene(platform, settings={"LASTGOOD_NATIVE_ROLLBACK": native}) as it:
        answer, met = it.sim.answer, []

        def look_first(service: str, operation: str, parameters: dict[str, Any], act: Any) -> Any:
            if operation in EFFECTS:
                open_id = it.lock()
                last = it.local.steps(open_id)[-1]
                met.append((operation, last["kind"], last["step_name"]))
            return answer(service, operation, parameters, act)

        with patch.object(it.sim, "answer", look_first):
            finished(it)
        assert met
        assert met == [(operation, "intent", EFFECTS[operation]) for operation, _, _ in met]


def test_the_intent_of_a_registration_is_in_the_table_before_it() -> None:
    with scene("ECS") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.sim.engine.ecs_world.deregister("web:2", it.now())
        it.alarm_fires()
        it.run_to_end()
        told = [(step["kind"], step["step_name"]) for step in it.steps]
        at = told.index(("intent", "REGISTER_TASK_DEFINITION"))
        assert told[at : at + 2] == [("intent", "REGISTER_TASK_DEFINITION"), ("result", "REGISTER_TASK_DEFINITION")]


@EVERYWHERE
def test_every_intent_has_its_result(platform: str) -> None:
    with scene(platform, settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}) as it:
        finished(it)
        told = [(step["kind"], step["step_name"]) for step in it.steps]
        intents = [name for kind, name in told if kind == "intent"]
        assert intents
        assert intents == [name for kind, name in told if kind == "result"]


# --- the indexes ------------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_rollback_is_found_through_each_of_the_three_indexes(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        day = f"{it.now():%Y-%m-%d}"
        it.alarm_fires()
        assert query(it, "open", "open_key", "open") == [it.rollback_id]
        it.run_to_end()
        assert query(it, "open", "open_key", "open") == []
        assert query(it, "by_day", "day", day) == [it.rollback_id]
        assert query(it, "by_deployment_group", "deployment_group_key", "shop/prod") == [it.rollback_id]


def test_an_alarm_that_leads_nowhere_is_found_by_its_day() -> None:
    with scene("Server") as it:
        it.alarm_fires(tags={})
        assert query(it, "by_day", "day", f"{it.now():%Y-%m-%d}") == [it.rollback_id]
        assert query(it, "open", "open_key", "open") == []


# moto reads no index in a statement, so those over the table itself are run as they stand.
OVER_THE_TABLE = [(title, text) for title, text in EXAMPLES if f'"{TABLE}".' not in text]


@pytest.mark.parametrize(("title", "text"), OVER_THE_TABLE, ids=[title for title, _ in OVER_THE_TABLE])
def test_the_example_statements_find_what_they_promise(title: str, text: str) -> None:
    with scene("Server") as it:
        finished(it)
        statement = re.sub(r"ROLLBACK#rb-[^']+", f"ROLLBACK#{it.rollback_id}", text)
        items = it.local.dynamodb.execute_statement(Statement=statement)["Items"]
        found = {item["sk"]["S"].partition("#")[0] for item in items}
        assert found == ({"META", "STEP"} if "ROLLBACK#" in text else {"LOCK", "PAST", "BAD"})


def test_the_page_has_statements_to_run() -> None:
    assert len(OVER_THE_TABLE) >= 2


# --- what is told -----------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_people_are_told_when_it_opens_and_when_it_closes_in_one_thread(platform: str) -> None:
    with scene(platform) as it:
        finished(it)
        opened, closed = it.local.notices()
        assert [opened["id"], closed["id"]] == [f"{it.rollback_id}:opened", f"{it.rollback_id}:closed"]
        assert {notice["metadata"]["threadId"] for notice in (opened, closed)} == {it.rollback_id}
        assert all((notice["version"], notice["source"]) == ("1.0", "custom") for notice in (opened, closed))
        assert it.head["suspect_deployment_id"] in closed["content"]["description"]
        assert "ROLLED_BACK" in closed["content"]["title"]


def test_people_are_told_of_a_rollback_once() -> None:
    with scene("Server") as it:
        finished(it)
        it.local.notices()
        it.deliver(it.alarm_message(at=it.now()))
        first = it.rollback_id
        told = [notice["metadata"]["threadId"] for notice in it.local.notices()]
        assert told == [first]
        it.sweep()
        assert it.local.notices() == []


def test_systems_are_told_on_eventbridge() -> None:
    with scene("Server") as it:
        events, queue = boto3.client("events"), it.local.sqs.create_queue(QueueName="outcomes")["QueueUrl"]
        events.put_rule(Name="outcomes", EventPattern=json.dumps({"source": ["lastgood"]}))
        target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:outcomes"}
        events.put_targets(Rule="outcomes", Targets=[target])
        head = finished(it)
        bodies: list[dict[str, Any]] = []
        while messages := it.local.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                it.local.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        assert [body["detail-type"] for body in bodies] == ["Rollback Opened", "Rollback Closed"]
        detail = bodies[-1]["detail"]
        assert bodies[-1]["source"] == "lastgood"
        assert (detail["rollback_id"], detail["outcome"]) == (it.rollback_id, "ROLLED_BACK")
        assert detail["closed_at"] == head["closed_at"]
