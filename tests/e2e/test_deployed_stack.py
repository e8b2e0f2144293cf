"""The stack that `sam deploy` makes, from the alarm to the record, against a local AWS and a CodeDeploy that moves.

Real here: `sam build`, `sam deploy`, `sam delete`, the template with its role (which is enforced), the function in a
process of its own, alarm → topic → function, state change → event bus → function, schedule → function, retries,
dead-letter queue, table and indexes. Not AWS's: the services (MiniStack, mended by `local_aws.emulator`), CodeDeploy
and what it changes (the simulator), and the pace: Lambda's retries follow within a second. `docs/local-stack.md` says
more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import PARAMETERS
from local_aws import Stack, eventually
from stage.local import EVENTS, group_tags, service_tags

pytestmark = pytest.mark.e2e

PATIENCE = 180.0
"""Seconds. Each wait ends when what it waits for is there; a busy machine may take its time to that."""
STALE_AFTER = 10
"""Seconds: the shortest MaxSignalAge, for the test of a signal that is stale, and for no other."""

QUICK = {"queued_seconds": 0.1, "started_seconds": 0.2, "validated_seconds": 0.3, "install_seconds": 1.0}
CANARY = "CodeDeployDefault.LambdaCanary10Percent10Minutes"


# --- scenes: what is released, and the alarm that speaks for it -------------------------------------------------------


def succeeds(stack: Stack, deployment_id: str) -> None:
    """Wait until a deployment has."""

    def look() -> bool:
        return bool(stack.simulator("deployment", deployment_id=deployment_id)["status"] == "Succeeded")

    eventually(look, PATIENCE, f"{deployment_id} succeeds")


def bad_release_on_servers(stack: Stack, application: str) -> str:
    """Two good releases long ago, and a bad one that succeeded a moment ago. Returns the bad one's id."""
    settings = {"config": "CodeDeployDefault.AllAtOnce", "alarms": [f"{application}-errors"]}
    stack.simulator("server_group", application=application, group="prod", **settings)
    stack.simulator("timing", application=application, group="prod", **QUICK)
    stack.simulator("seed_history", application=application, group="prod", count=2, every_seconds=86_400)
    bad = str(stack.simulator("release", application=application, group="prod", revision="bad.zip"))
    eventually(
        lambda: stack.simulator("deployment", deployment_id=bad)["status"] == "Succeeded", PATIENCE, f"{bad} succeeds"
    )
    stack.alarm(f"{application}-errors", group_tags(application, "prod"))
    return bad


def bad_canary_on_lambda(stack: Stack, application: str) -> str:
    """Version 2 is good, version 3 has a tenth of the traffic."""
    stack.simulator("lambda_group", application=application, group="prod", function=application, config=CANARY)
    stack.simulator("timing", application=application, group="prod", **QUICK)
    stack.simulator("seed_history", application=application, group="prod", count=1, revisions=[2], every_seconds=86_400)
    bad = str(stack.simulator("release", application=application, group="prod", revision=3))
    eventually(lambda: len(shares(stack, application)) == 2, PATIENCE, f"{bad} shifts traffic")
    stack.alarm(f"{application}-errors", group_tags(application, "prod"))
    return bad


def bad_task_definition_on_ecs(stack: Stack, application: str) -> str:
    """Task definition 2 is good, 3 was released a moment ago and succeeded."""
    names = {"cluster": "main", "service": application, "family": application}
    stack.simulator("ecs_group", application=application, group="prod", **names)
    stack.simulator("timing", application=application, group="prod", **QUICK)
    stack.simulator("seed_history", application=application, group="prod", count=1, revisions=[2], every_seconds=86_400)
    bad = str(stack.simulator("release", application=application, group="prod", revision=3))
    eventually(
        lambda: stack.simulator("deployment", deployment_id=bad)["status"] == "Succeeded", PATIENCE, f"{bad} succeeds"
    )
    stack.alarm(f"{application}-errors", group_tags(application, "prod"))
    return bad


def alarm_fires(stack: Stack, application: str) -> None:
    """The error rate crosses the threshold; CloudWatch does the rest. CodeDeploy sees the same alarm firing."""
    stack.simulator("set_alarm", name=f"{application}-errors", state="ALARM")
    stack.error_rate(f"{application}-errors", 0.21)


# --- what there is to see ---------------------------------------------------------------------------------------------


def shares(stack: Stack, application: str) -> dict[str, float]:
    """What is live, with the share of the traffic that each has."""
    return dict(stack.simulator("live", application=application, group="prod")["shares"])


def records(stack: Stack, group: str) -> list[dict[str, Any]]:
    """The heads of a deployment group, by index, oldest first."""
    statement = 'SELECT * FROM "AuditTable"."by_deployment_group" WHERE deployment_group_key = ?'
    return sorted(stack.sql(statement, group), key=lambda head: str(head["opened_at"]))


def closed(stack: Stack, group: str, within: float = PATIENCE) -> dict[str, Any]:
    """The head of the group's newest rollback, once it has an outcome."""

    def look() -> dict[str, Any]:
        found = records(stack, group)
        return found[-1] if found and found[-1].get("outcome") else {}

    return eventually(look, within, f"a rollback of {group} is closed")


def made_by(head: dict[str, Any]) -> str:
    """The deployment that a rollback made; empty while there is none."""
    return str(head.get("rollback_deployment_id", ""))


def inbox(stack: Stack, name: str) -> tuple[str, str]:
    """A queue to be told on: its URL and ARN."""
    url = stack.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    attributes = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]


def receive(
    stack: Stack, url: str, wanted: Callable[[dict[str, Any]], bool], within: float = PATIENCE
) -> dict[str, Any]:
    """The first message of a queue that is wanted. Every message that is seen is deleted."""
    sqs = stack.client("sqs")

    def look() -> dict[str, Any]:
        for message in sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=30
        ).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if wanted(message):
                return dict(message)
        return {}

    return eventually(look, PATIENCE, f"a message in {url}")


def open_groups(stack: Stack) -> set[str]:
    """The deployment groups for which the sweep still has something to do."""
    rows = stack.sql('SELECT * FROM "AuditTable"."open" WHERE open_key = ?', "open")
    return {row["deployment_group_key"] for row in rows}


def written(folder: Path, event: object) -> Path:
    """An event as a file."""
    path = folder / "event.json"
    path.write_text(json.dumps(event))
    return path


# --- from the alarm to the record -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unheard(stack: Stack) -> dict[str, Any]:
    """A rollback's head at the moment when its deployment has succeeded without a word: events are best effort.

    The deployment takes longer than an invocation looks at it, so that nothing but the sweep can see its end.
    """
    bad_release_on_servers(stack, "billing")
    stack.simulator("timing", application="billing", group="prod", install_seconds=4.0)
    stack.simulator("lose_events", count=2)
    alarm_fires(stack, "billing")

    def look() -> dict[str, Any]:
        newest = stack.simulator("deployments", application="billing", group="prod")[-1]
        head = next(iter(records(stack, "billing/prod")), {})
        return head if (newest["deploymentId"], newest["status"]) == (made_by(head), "Succeeded") else {}

    return eventually(look, PATIENCE, "the deployment of the rollback of billing/prod succeeds")


@pytest.fixture(scope="module")
def rolled_back(stack: Stack) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """What a metric over its threshold led to: the closed head, the bad deployment's id, the good deployment."""
    bad = bad_release_on_servers(stack, "orders")
    good = stack.simulator("deployments", application="orders", group="prod")[-2]
    alarm_fires(stack, "orders")
    return closed(stack, "orders/prod"), bad, good


def test_a_rollback_of_which_no_event_tells_stays_open(unheard: dict[str, Any]) -> None:
    """What becomes of it, `test_the_schedule_finishes_what_no_event_did` tells, a minute of other tests later."""
    assert (unheard["phase"], "outcome" in unheard) == ("VERIFYING", False), unheard


def test_a_metric_trips_the_alarm_and_servers_get_the_last_good_revision_back(
    stack: Stack, rolled_back: tuple[dict[str, Any], str, dict[str, Any]]
) -> None:
    head, bad, good = rolled_back
    assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head
    assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good["deploymentId"])
    assert (head["trigger_kind"], head["alarm_name"]) == ("sns", "orders-errors")
    made = stack.simulator("deployment", deployment_id=head["rollback_deployment_id"])
    assert made["description"].startswith(f"lastgood {head['rollback_id']}")
    # The same bundle, pinned to what it contained then.
    bundle = made["revision"]["s3Location"]
    assert bundle.pop("eTag")
    assert (made["status"], bundle) == ("Succeeded", good["revision"]["s3Location"])
    assert [share for live, share in shares(stack, "orders").items() if "bad.zip" not in live] == [1.0]


def test_a_rollback_is_found_by_its_key_and_in_every_index(
    stack: Stack, rolled_back: tuple[dict[str, Any], str, dict[str, Any]]
) -> None:
    head, _, _ = rolled_back
    whole = stack.sql('SELECT * FROM "AuditTable" WHERE pk = ?', f"ROLLBACK#{head['rollback_id']}")
    steps = sorted((item for item in whole if item["sk"].startswith("STEP#")), key=lambda item: str(item["sk"]))
    assert [item["outcome"] for item in whole if item["sk"] == "META"] == ["ROLLED_BACK"]
    assert [item["sk"] for item in steps] == [f"STEP#{number:04d}" for number in range(1, len(steps) + 1)]
    story = [(step["kind"], step.get("step_name")) for step in steps]
    assert story.index(("intent", "CREATE")) < story.index(("result", "CREATE")) < story.index(("decision", "CLOSE"))
    assert all(step["explanation"] for step in steps)

    grouped = stack.sql(
        'SELECT * FROM "AuditTable"."by_deployment_group" WHERE deployment_group_key = ? AND opened_at >= ?',
        "orders/prod",
        head["opened_at"],
    )
    assert [item["rollback_id"] for item in grouped] == [head["rollback_id"]]
    day = stack.sql('SELECT * FROM "AuditTable"."by_day" WHERE day = ?', head["day"])
    assert head["rollback_id"] in {item["rollback_id"] for item in day}
    eventually(lambda: "orders/prod" not in open_groups(stack), PATIENCE, "the sweep has nothing left to do for it")


def test_an_alarm_that_is_set_by_hand_does_the_same(stack: Stack) -> None:
    """SetAlarmState: how the README has people try it."""
    bad = bad_release_on_servers(stack, "profile")
    stack.client("cloudwatch").set_alarm_state(AlarmName="profile-errors", StateValue="ALARM", StateReason="a trial")
    head = closed(stack, "profile/prod")
    assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head


def test_a_canary_on_lambda_is_stopped_and_codedeploys_own_rollback_is_adopted(stack: Stack) -> None:
    bad = bad_canary_on_lambda(stack, "checkout")
    alarm_fires(stack, "checkout")
    head = closed(stack, "checkout/prod")
    assert (head["outcome"], head["suspect_deployment_id"], head["adopted"]) == ("ROLLED_BACK", bad, True), head
    assert stack.simulator("deployment", deployment_id=bad)["status"] == "Stopped"
    assert shares(stack, "checkout") == {"2": 1.0}


def test_an_ecs_service_of_codedeploy_gets_its_task_definition_back(stack: Stack) -> None:
    bad = bad_task_definition_on_ecs(stack, "web")
    alarm_fires(stack, "web")
    head = closed(stack, "web/prod")
    assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head
    ((live, share),) = shares(stack, "web").items()
    assert (live.rpartition("/")[2], share) == ("web:2", 1.0)


def test_an_ecs_service_with_rolling_deployments_gets_its_task_definition_back(stack: Stack) -> None:
    stack.simulator("rolling_service", cluster="main", service="cart", family="cart", current=2)
    bad = stack.simulator("release_service", cluster="main", service="cart", task_definition="cart:3")

    def statuses() -> dict[str, str]:
        return dict(stack.simulator("service_deployments", cluster="main", service="cart"))

    stack.alarm("cart-errors", service_tags("main", "cart"))
    alarm_fires(stack, "cart")
    head = closed(stack, "ecs:main/cart")
    assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), (head, statuses())


def test_people_and_other_systems_are_told(stack: Stack) -> None:
    chat, chat_arn = inbox(stack, "chat")
    systems, systems_arn = inbox(stack, "systems")
    stack.client("sns").subscribe(TopicArn=stack.outputs["NotificationTopicArn"], Protocol="sqs", Endpoint=chat_arn)
    events = stack.client("events")
    events.put_rule(Name="outcomes", EventPattern=json.dumps({"source": ["lastgood"]}))
    events.put_targets(Rule="outcomes", Targets=[{"Id": "systems", "Arn": systems_arn}])
    for url, arn in ((chat, chat_arn), (systems, systems_arn)):
        anybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
        stack.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    bad_release_on_servers(stack, "search")
    alarm_fires(stack, "search")
    head = closed(stack, "search/prod")

    notice = receive(stack, chat, lambda message: "ROLLED_BACK" in message["Body"])
    assert head["rollback_id"] in notice["Body"]
    outcome = receive(stack, systems, lambda message: json.loads(message["Body"])["detail"].get("outcome", "") != "")
    assert json.loads(outcome["Body"])["detail"]["rollback_id"] == head["rollback_id"]


@pytest.fixture(scope="module")
def healed(stack: Stack, rolled_back: tuple[dict[str, Any], str, dict[str, Any]]) -> str:
    """The group of a rollback whose alarm is OK again: the window in which it must stay so begins."""
    stack.client("cloudwatch").set_alarm_state(AlarmName="orders-errors", StateValue="OK", StateReason="it is over")
    return str(rolled_back[0]["deployment_group_key"])


def test_a_recovery_is_not_believed_before_its_window_is_over(stack: Stack, healed: str) -> None:
    """What becomes of it, `test_the_recovery_is_noted_when_its_window_is_over` tells."""
    assert "alarm_recovered_at" not in records(stack, healed)[-1]


# --- by hand ----------------------------------------------------------------------------------------------------------

ANSWER = {
    "rollback_id",
    "reason",
    "explanation",
    "application",
    "deployment_group",
    "suspect_deployment_id",
    "good_deployment_id",
    "rollback_deployment_id",
}


def test_the_console_test_events_give_the_documented_answers(stack: Stack, tmp_path: Path) -> None:
    """The files of `events/`, by `aws lambda invoke`: health, a dry run, the rollback that it promised, its status."""
    assert stack.invoke(EVENTS / "manual-health.json")["healthy"] is True

    bad = bad_release_on_servers(stack, "shop")
    before = stack.simulator("deployments", application="shop", group="prod")
    promised = stack.invoke(EVENTS / "manual-dry-run.json")
    assert promised.keys() >= ANSWER
    assert (promised["outcome"], promised["application"], promised["deployment_group"]) == ("DRY_RUN", "shop", "prod")
    assert (promised["suspect_deployment_id"], promised["rollback_deployment_id"]) == (bad, "")
    assert promised["good_deployment_id"] == before[-2]["deploymentId"]
    assert stack.simulator("deployments", application="shop", group="prod") == before

    begun = stack.invoke(EVENTS / "manual-rollback.json")
    assert begun.keys() >= ANSWER
    assert begun["good_deployment_id"] == promised["good_deployment_id"]
    head = closed(stack, "shop/prod")
    assert (head["rollback_id"], head["outcome"]) == (begun["rollback_id"], "ROLLED_BACK"), head
    assert (head["trigger_kind"], head["requested_by"]) == ("manual", "me")

    ask = json.loads((EVENTS / "manual-status.json").read_text()) | {"rollback_id": begun["rollback_id"]}
    status = stack.invoke(written(tmp_path, ask))
    assert (status["rollback_id"], status["outcome"]) == (begun["rollback_id"], "ROLLED_BACK"), status


def test_the_schedule_finishes_what_no_event_did(stack: Stack, unheard: dict[str, Any]) -> None:
    """The stack's own schedule, in real time: the sweep comes each minute, and looks once 20 seconds have passed."""
    head = closed(stack, "billing/prod", within=PATIENCE + 60)
    assert (head["outcome"], head["rollback_id"]) == ("ROLLED_BACK", unheard["rollback_id"]), head


def test_the_recovery_is_noted_when_its_window_is_over(stack: Stack, healed: str) -> None:
    head = eventually(
        lambda: next((head for head in records(stack, healed) if head.get("alarm_recovered_at")), {}),
        PATIENCE + 60,
        "the recovery is noted",
    )
    assert head["outcome"] == "ROLLED_BACK", head


# --- when it fails ----------------------------------------------------------------------------------------------------


def test_an_alarm_that_cannot_be_handled_is_tried_three_times_and_kept_and_does_nothing_once_it_is_stale(
    stack: Stack, tmp_path: Path
) -> None:
    """Somebody breaks a setting by hand; an alarm comes; the setting is mended; the kept message is sent in again."""
    bad = bad_release_on_servers(stack, "stock")
    function, queue = stack.outputs["RollbackFunctionName"], stack.outputs["DeadLetterQueueUrl"]
    lambda_, log = stack.client("lambda"), stack.folder / "aws.log"
    written_before = len(log.read_text())
    good = lambda_.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    lambda_.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**good, "LASTGOOD_MODE": "sometimes"}}
    )
    try:
        alarm_fires(stack, "stock")
        kept = receive(stack, queue, lambda message: "stock-errors" in message["Body"])
    finally:
        shorter = {**good, "LASTGOOD_MAX_SIGNAL_AGE": f"{STALE_AFTER}s"}
        lambda_.update_function_configuration(FunctionName=function, Environment={"Variables": shorter})

    assert "LASTGOOD_MODE" in kept["MessageAttributes"]["ErrorMessage"]["StringValue"]
    message = json.loads(json.loads(kept["Body"])["Records"][0]["Sns"]["Message"])
    assert set(re.findall(r"async output \(attempt (\d+)\)", log.read_text()[written_before:])) == {"1", "2", "3"}
    assert records(stack, "stock/prod") == []

    changed_at = datetime.fromisoformat(message["StateChangeTime"])
    eventually(lambda: (datetime.now(UTC) - changed_at).total_seconds() > STALE_AFTER, STALE_AFTER + 5, "it is stale")
    answer = stack.invoke(written(tmp_path, json.loads(kept["Body"])))
    lambda_.update_function_configuration(FunctionName=function, Environment={"Variables": good})
    assert (answer["outcome"], answer["reason"]) == ("SKIPPED", "STALE_SIGNAL"), answer
    assert stack.simulator("deployments", application="stock", group="prod")[-1]["deploymentId"] == bad
    assert [head["reason_code"] for head in records(stack, "stock/prod")] == ["STALE_SIGNAL"]


# --- the stack itself -------------------------------------------------------------------------------------------------


def test_the_stack_is_what_the_template_says_where_mistakes_would_be_silent(stack: Stack) -> None:
    """Whatever CloudFormation drops, here or there, must not be what alarms and failures hang on."""
    function = stack.outputs["RollbackFunctionName"]
    lambda_, sns = stack.client("lambda"), stack.client("sns")
    queue = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    configuration = lambda_.get_function_configuration(FunctionName=function)
    assert configuration["DeadLetterConfig"]["TargetArn"] == queue
    asynchronous = lambda_.get_function_event_invoke_config(FunctionName=function, Qualifier="$LATEST")
    assert asynchronous["MaximumRetryAttempts"] == 2
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=stack.outputs["AlarmTopicArn"])["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("lambda", configuration["FunctionArn"])
    rules = stack.client("events").list_rules()["Rules"]
    assert "rate(1 minute)" in {rule.get("ScheduleExpression") for rule in rules}


@pytest.mark.usefixtures("rolled_back")
def test_deploying_again_changes_nothing_and_a_changed_parameter_keeps_the_table(stack: Stack) -> None:
    dynamodb, name = stack.client("dynamodb"), stack.outputs["AuditTableName"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    before = {head["rollback_id"] for head in records(stack, "orders/prod")}

    assert "No changes to deploy" in stack.deploy(**PARAMETERS)

    stack.deploy(**PARAMETERS | {"Mode": "observe"})
    again = dynamodb.describe_table(TableName=name)["Table"]
    assert stack.outputs["AuditTableName"] == name
    assert (again["TableId"], again["CreationDateTime"]) == (table["TableId"], table["CreationDateTime"])
    assert {head["rollback_id"] for head in records(stack, "orders/prod")} == before != set()
    configuration = stack.client("lambda").get_function_configuration(
        FunctionName=stack.outputs["RollbackFunctionName"]
    )
    assert configuration["Environment"]["Variables"]["LASTGOOD_MODE"] == "observe"


@pytest.mark.usefixtures("rolled_back")
def test_the_table_outlives_the_stack(stack: Stack) -> None:
    """The last test of this file: the stack is deleted, the record is not."""
    function, before = stack.outputs["RollbackFunctionName"], records(stack, "orders/prod")
    stack.delete()
    lambda_ = stack.client("lambda")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_function_configuration(FunctionName=function)
    assert records(stack, "orders/prod") == before != []
