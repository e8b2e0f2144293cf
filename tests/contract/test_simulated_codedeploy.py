"""The simulator behaves as CodeDeploy does: the same sentences in process (`mock_aws`) and over HTTP."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from simulated_aws import Server, Simulator, lambda_appspec, s3_revision, simulated_aws

CANARY = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
ECS_CANARY = "CodeDeployDefault.ECSCanary10Percent5Minutes"
ALL_EVENTS = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST")
ONE_ATTEMPT = Config(retries={"mode": "standard", "total_max_attempts": 1})
NO_ALARMS = {"enabled": False, "ignorePollAlarmFailure": True, "alarms": []}
# One session: reading the service models is what costs time.
SESSION = boto3.Session("fake", "fake", region_name="us-east-1")
_numbers = itertools.count()


class Aws:
    """A simulator, clients that reach it, and an application of its own for each test."""

    def __init__(self, simulator: Simulator, client: Callable[..., Any], over_http: bool) -> None:
        self.simulator = simulator
        self.client = client
        self.over_http = over_http
        self.codedeploy = client("codedeploy")
        self.application = f"shop{next(_numbers)}"

    def group(self, kind: str = "server", **options: Any) -> tuple[str, str]:
        """A group `prod` in the test's application."""
        names = {"lambda": {"function": self.application}, "ecs": {"cluster": self.application}}
        make = getattr(self.simulator, f"{kind}_group")
        make(self.application, "prod", **(names.get(kind, {}) | options))
        return self.application, "prod"

    def create(self, revision: Any, **more: Any) -> str:
        """CreateDeployment through boto3."""
        given = self.simulator.revision(self.application, "prod", revision)
        names = {"applicationName": self.application, "deploymentGroupName": "prod"}
        return str(self.codedeploy.create_deployment(**names, revision=given, **more)["deploymentId"])

    def get(self, deployment_id: str) -> dict[str, Any]:
        """GetDeployment through boto3."""
        info: dict[str, Any] = self.codedeploy.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        return info

    def group_info(self) -> dict[str, Any]:
        """GetDeploymentGroup through boto3."""
        answer = self.codedeploy.get_deployment_group(applicationName=self.application, deploymentGroupName="prod")
        info: dict[str, Any] = answer["deploymentGroupInfo"]
        return info

    def rollback_of(self, deployment_id: str) -> dict[str, Any]:
        """The native rollback of a deployment, when all is over."""
        self.simulator.settle()
        return self.get(self.get(deployment_id)["rollbackInfo"]["rollbackDeploymentId"])

    def live(self) -> Any:
        """What is live."""
        return self.simulator.live(self.application, "prod")


@pytest.fixture(params=["in process", "over HTTP"])
def aws(request: pytest.FixtureRequest) -> Iterator[Aws]:
    """A simulator behind boto3."""
    if request.param == "over HTTP":
        running: Server = request.getfixturevalue("server")
        yield Aws(running.simulator, running.client, over_http=True)
        return
    with simulated_aws() as simulator:
        yield Aws(simulator, SESSION.client, over_http=False)


def code_of(call: Callable[[], Any]) -> str:
    """The error code with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


# --- a deployment's life ------------------------------------------------------------------------------------


def test_a_deployment_is_created_queued_in_progress_and_succeeds(aws: Aws) -> None:
    aws.group()
    made = aws.create("one.zip", description="first")
    seen = [aws.get(made)["status"]]
    for seconds in (0.3, 0.5, 60):
        aws.simulator.advance(seconds)
        seen.append(aws.get(made)["status"])
    assert seen == ["Created", "Queued", "InProgress", "Succeeded"]
    info = aws.get(made)
    assert made.startswith("d-") and len(made) == 11 and made[2:].isalnum() and made.upper()[2:] == made[2:]
    assert info["creator"] == "user" and info["description"] == "first"
    assert info["createTime"] < info["startTime"] < info["completeTime"]
    assert info["deploymentOverview"]["Succeeded"] == 3


def test_a_group_knows_its_last_attempt_its_last_success_and_its_target_revision(aws: Aws) -> None:
    aws.group()
    good, bad = aws.create("one.zip"), None
    aws.simulator.settle()
    aws.simulator.fail_next()
    bad = aws.create("two.zip")
    aws.simulator.settle()
    info = aws.group_info()
    assert info["lastSuccessfulDeployment"]["deploymentId"] == good
    assert info["lastAttemptedDeployment"]["deploymentId"] == bad
    assert info["lastAttemptedDeployment"]["status"] == "Failed"
    assert info["targetRevision"]["s3Location"]["key"] == "two.zip"
    assert aws.get(bad)["previousRevision"]["s3Location"]["key"] == "one.zip"


def test_a_failure_on_demand_carries_its_error_code(aws: Aws) -> None:
    aws.group()
    aws.simulator.fail_next("HEALTH_CONSTRAINTS", "too many instances")
    made = aws.create("one.zip")
    aws.simulator.settle()
    assert aws.get(made)["errorInformation"] == {
        "code": "HEALTH_CONSTRAINTS",
        "message": "too many instances",
    }


def test_a_bad_revision_fails_every_time(aws: Aws) -> None:
    aws.group("lambda")
    aws.simulator.bad_revision(aws.application, "prod", 2)
    outcomes = []
    for _ in range(2):
        made = aws.create(2)
        aws.simulator.settle()
        outcomes.append(aws.get(made)["status"])
    assert outcomes == ["Failed", "Failed"]


def test_one_active_deployment_per_group(aws: Aws) -> None:
    aws.group()
    first = aws.create("one.zip")
    with pytest.raises(aws.codedeploy.exceptions.DeploymentLimitExceededException) as caught:
        aws.create("two.zip")
    expected = f"The Deployment Group 'prod' already has an active Deployment '{first}'"
    assert caught.value.response["Error"]["Message"] == expected


def test_an_ecs_deployment_stays_in_progress_through_the_termination_wait(aws: Aws) -> None:
    aws.group("ecs")
    aws.simulator.timing(aws.application, "prod", termination_wait_seconds=600)
    made = aws.create(2)
    aws.simulator.advance(60)
    assert aws.live().target.endswith(":2")
    assert aws.get(made)["status"] == "InProgress" and aws.get(made)["instanceTerminationWaitTimeStarted"]
    aws.simulator.advance(600)
    assert aws.get(made)["status"] == "Succeeded"


def test_a_blue_green_deployment_waits_until_it_is_continued(aws: Aws) -> None:
    ready = {"deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60}}
    aws.group("ecs", blueGreenDeploymentConfiguration=ready)
    made = aws.create(2)
    assert code_of(lambda: aws.codedeploy.continue_deployment(deploymentId=made)).startswith("DeploymentIsNotInReady")
    aws.simulator.advance(30)
    assert aws.get(made)["status"] == "Ready"
    aws.codedeploy.continue_deployment(deploymentId=made, deploymentWaitType="READY_WAIT")
    aws.simulator.settle()
    assert aws.get(made)["status"] == "Succeeded" and aws.live().target.endswith(":2")


# --- stopping and native rollbacks --------------------------------------------------------------------------


def test_a_stop_with_the_flag_rolls_back_to_the_last_success_all_at_once(aws: Aws) -> None:
    aws.group("lambda")
    aws.create(2)
    aws.simulator.settle()
    suspect = aws.create(3, deploymentConfigName=CANARY)
    aws.simulator.advance(60)
    assert aws.live().shares == {"2": 0.9, "3": 0.1}
    assert aws.codedeploy.stop_deployment(deploymentId=suspect, autoRollbackEnabled=True)["status"] == "Succeeded"
    rollback = aws.rollback_of(suspect)
    assert rollback["creator"] == "codeDeployRollback" and rollback["status"] == "Succeeded"
    assert rollback["deploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"
    assert rollback["rollbackInfo"]["rollbackTriggeringDeploymentId"] == suspect
    assert aws.live().target == "2"


@pytest.mark.parametrize(("flag", "events", "rolls_back"), [
    (True, (), True),
    (False, ALL_EVENTS, False),
    (None, ("DEPLOYMENT_STOP_ON_REQUEST",), True),
    (None, ("DEPLOYMENT_FAILURE",), False),
])  # fmt: skip
def test_the_flag_decides_and_without_it_the_group(
    aws: Aws, flag: bool | None, events: tuple[str, ...], rolls_back: bool
) -> None:
    aws.group(rollback_events=events)
    aws.create("one.zip")
    aws.simulator.settle()
    suspect = aws.create("two.zip")
    aws.simulator.advance(3)
    aws.codedeploy.stop_deployment(deploymentId=suspect, **({} if flag is None else {"autoRollbackEnabled": flag}))
    assert ("rollbackDeploymentId" in aws.get(suspect).get("rollbackInfo", {})) is rolls_back


def test_a_stop_without_rollback_leaves_the_alias_split_and_later_deployments_fail(aws: Aws) -> None:
    aws.group("lambda")
    suspect = aws.create(2, deploymentConfigName=CANARY)
    aws.simulator.advance(60)
    aws.codedeploy.stop_deployment(deploymentId=suspect, autoRollbackEnabled=False)
    later = aws.create(3)
    aws.simulator.settle()
    assert aws.live().shares == {"1": 0.9, "2": 0.1}
    assert aws.get(later)["errorInformation"]["code"] == "INVALID_LAMBDA_CONFIGURATION"


def test_a_pending_stop_stays_in_progress_for_a_while(aws: Aws) -> None:
    aws.group()
    aws.simulator.timing(aws.application, "prod", stop_pending_seconds=20)
    made = aws.create("one.zip")
    aws.simulator.advance(3)
    assert aws.codedeploy.stop_deployment(deploymentId=made)["status"] == "Pending"
    aws.simulator.advance(15)
    assert aws.get(made)["status"] == "InProgress"
    aws.simulator.advance(10)
    assert aws.get(made)["status"] == "Stopped"


def test_a_completed_deployment_cannot_be_stopped(aws: Aws) -> None:
    aws.group()
    made = aws.create("one.zip")
    aws.simulator.settle()
    with pytest.raises(aws.codedeploy.exceptions.DeploymentAlreadyCompletedException):
        aws.codedeploy.stop_deployment(deploymentId=made)


def test_a_deployment_by_cloudformation_cannot_be_stopped(aws: Aws) -> None:
    aws.group()
    made = aws.simulator.release(aws.application, "prod", "one.zip", creator="CloudFormation")
    with pytest.raises(aws.codedeploy.exceptions.UnsupportedActionForDeploymentTypeException):
        aws.codedeploy.stop_deployment(deploymentId=made)


def test_a_first_deployment_has_nothing_to_roll_back_to(aws: Aws) -> None:
    aws.group(rollback_events=ALL_EVENTS)
    made = aws.create("one.zip")
    aws.codedeploy.stop_deployment(deploymentId=made, autoRollbackEnabled=True)
    info = aws.get(made)["rollbackInfo"]
    assert "rollbackDeploymentId" not in info and "cannot be rolled back" in info["rollbackMessage"]


def test_a_failure_rolls_back_natively(aws: Aws) -> None:
    aws.group(rollback_events=["DEPLOYMENT_FAILURE"])
    aws.create("one.zip")
    aws.simulator.settle()
    aws.simulator.fail_next()
    suspect = aws.create("two.zip")
    assert aws.rollback_of(suspect)["revision"]["s3Location"]["key"] == "one.zip"


def test_an_ecs_rollback_in_the_termination_wait_flips_back_without_a_new_task_set(aws: Aws) -> None:
    aws.group("ecs")
    aws.create(2)
    aws.simulator.settle()
    aws.simulator.timing(aws.application, "prod", termination_wait_seconds=3600)
    suspect = aws.create(3)
    aws.simulator.advance(60)
    aws.codedeploy.stop_deployment(deploymentId=suspect, autoRollbackEnabled=True)
    aws.rollback_of(suspect)
    described = aws.client("ecs").describe_services(cluster=aws.application, services=["web"])["services"][0]
    by_status = {each["status"]: each for each in described["taskSets"]}
    assert by_status["PRIMARY"]["taskDefinition"].endswith(":2")
    assert len(described["taskSets"]) == 2 and described["deployments"] == []


# --- alarms -------------------------------------------------------------------------------------------------


def put_alarm(aws: Aws, name: str, state: str) -> None:
    """An alarm in moto's CloudWatch."""
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1,
        MetricName="Errors", Namespace="Shop", Period=60, Statistic="Sum",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def test_a_firing_alarm_in_cloudwatch_stops_and_rolls_back(aws: Aws) -> None:
    alarm = f"errors-{aws.application}"
    put_alarm(aws, alarm, "OK")
    aws.group("lambda", alarms=[alarm], rollback_events=ALL_EVENTS)
    aws.create(2)
    aws.simulator.settle()
    suspect = aws.create(3, deploymentConfigName=CANARY)
    aws.simulator.advance(60)
    put_alarm(aws, alarm, "ALARM")
    aws.simulator.advance(10)
    stopped = aws.get(suspect)
    assert stopped["status"] == "Stopped" and stopped["errorInformation"]["code"] == "ALARM_ACTIVE"
    assert alarm in stopped["errorInformation"]["message"]
    assert aws.rollback_of(suspect)["status"] == "Succeeded"  # a native rollback ignores alarms
    assert aws.live().target == "2"


def test_the_alarm_gate_stops_a_new_deployment_within_a_second_unless_overridden(aws: Aws) -> None:
    aws.group(alarms=["gate"])
    aws.simulator.set_alarm("gate", "ALARM")
    gated = aws.create("one.zip")
    aws.simulator.advance(1)
    assert aws.get(gated)["errorInformation"]["code"] == "ALARM_ACTIVE"
    through = aws.create("one.zip", overrideAlarmConfiguration=NO_ALARMS)
    aws.simulator.settle()
    aws.simulator.set_alarm("gate", "OK")
    assert aws.get(through)["status"] == "Succeeded"


@pytest.mark.parametrize("override", [{"enabled": False}, {"enabled": True, "alarms": []}])
def test_an_override_without_a_list_or_enabled_and_empty_is_refused(aws: Aws, override: dict[str, Any]) -> None:
    aws.group()
    with pytest.raises(aws.codedeploy.exceptions.InvalidAlarmConfigException):
        aws.create("one.zip", overrideAlarmConfiguration=override)


# --- late validation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("current", "target", "code"), [
    ("3", "2", "INVALID_LAMBDA_CONFIGURATION"),
    ("1", "9", "INVALID_LAMBDA_FUNCTION"),
])  # fmt: skip
def test_a_lambda_appspec_that_does_not_fit_fails_late(aws: Aws, current: str, target: str, code: str) -> None:
    aws.group("lambda")
    made = aws.create(lambda_appspec(aws.application, "live", current, target))
    aws.simulator.settle()
    assert aws.get(made)["errorInformation"]["code"] == code
    assert aws.live().target == "1"


def test_an_inactive_task_definition_is_accepted_and_fails_the_deployment(aws: Aws) -> None:
    family = f"{aws.application}-web"
    aws.group("ecs", family=family)
    aws.client("ecs").deregister_task_definition(taskDefinition=f"{family}:2")
    made = aws.create(2)
    aws.simulator.settle()
    assert aws.get(made)["errorInformation"]["code"] == "ECS_UPDATE_ERROR"


@pytest.mark.parametrize(("key", "etag", "status"), [
    ("there.zip", "", "Succeeded"), ("gone.zip", "", "Failed"), ("there.zip", "other", "Failed"),
])  # fmt: skip
def test_a_bundle_must_be_in_s3_with_its_etag(aws: Aws, key: str, etag: str, status: str) -> None:
    bucket = f"bucket-{aws.application}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="there.zip", Body=b"bundle")
    aws.group()
    made = aws.create(s3_revision(bucket, key, etag=etag))
    aws.simulator.settle()
    info = aws.get(made)
    assert info["status"] == status
    assert status == "Succeeded" or info["errorInformation"]["code"] == "REVISION_MISSING"


# --- Lambda and ECS through their own clients ---------------------------------------------------------------


def test_an_alias_is_cleared_under_its_optimistic_lock(aws: Aws) -> None:
    aws.group("lambda")
    suspect = aws.create(2, deploymentConfigName=CANARY)
    aws.simulator.advance(60)
    aws.codedeploy.stop_deployment(deploymentId=suspect, autoRollbackEnabled=False)
    client = aws.client("lambda")
    names = {"FunctionName": aws.application, "Name": "live"}
    alias = client.get_alias(**names)
    assert alias["RoutingConfig"]["AdditionalVersionWeights"] == {"2": 0.1}
    change = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {}}}
    client.update_alias(**names, **change, RevisionId=alias["RevisionId"])
    with pytest.raises(client.exceptions.PreconditionFailedException):
        client.update_alias(**names, **change, RevisionId=alias["RevisionId"])
    assert aws.live().target == "1"
    assert "RoutingConfig" not in client.get_alias(**names)


def test_a_deleted_version_is_not_found(aws: Aws) -> None:
    aws.group("lambda")
    client = aws.client("lambda")
    found = client.get_function_configuration(FunctionName=aws.application, Qualifier="2")
    assert found["State"] == "Active" and found["Version"] == "2"
    aws.simulator.engine.lambda_world.delete_version(aws.application, "2")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function_configuration(FunctionName=aws.application, Qualifier="2")


def test_an_inactive_task_definition_can_be_described_and_registered_again(aws: Aws) -> None:
    family = f"{aws.application}-api"
    aws.group("ecs", family=family)
    ecs = aws.client("ecs")
    ecs.deregister_task_definition(taskDefinition=f"{family}:2")
    old = ecs.describe_task_definition(taskDefinition=f"{family}:2", include=["TAGS"])
    assert old["taskDefinition"]["status"] == "INACTIVE" and old["tags"] == []
    copied = {name: old["taskDefinition"][name] for name in ("family", "containerDefinitions", "cpu", "memory")}
    made = ecs.register_task_definition(**copied)["taskDefinition"]
    assert (made["revision"], made["status"]) == (4, "ACTIVE")


def test_canary_traffic_of_a_service_is_told_by_its_target(aws: Aws) -> None:
    aws.group("ecs")
    made = aws.create(2, deploymentConfigName=ECS_CANARY)
    aws.simulator.advance(30)
    target = aws.codedeploy.get_deployment_target(deploymentId=made, targetId=f"{aws.application}:web")
    weights = [each["trafficWeight"] for each in target["deploymentTarget"]["ecsTarget"]["taskSetsInfo"]]
    assert weights == [90.0, 10.0]


# --- reading ------------------------------------------------------------------------------------------------


def test_only_get_application_revision_gives_an_appspecs_content(aws: Aws) -> None:
    aws.group("lambda")
    made = aws.create(2)
    shown = aws.get(made)["revision"]
    assert set(shown["appSpecContent"]) == {"sha256"}
    batch = aws.codedeploy.batch_get_deployments(deploymentIds=[made])["deploymentsInfo"]
    assert set(batch[0]["revision"]["appSpecContent"]) == {"sha256"}
    found = aws.codedeploy.get_application_revision(applicationName=aws.application, revision=shown)
    assert '"TargetVersion": "2"' in found["revision"]["appSpecContent"]["content"]


def test_a_history_is_listed_a_hundred_a_page_newest_first(aws: Aws) -> None:
    aws.group()
    seeded = aws.simulator.seed_history(aws.application, "prod", 250, failed_every=5)
    names = {"applicationName": aws.application, "deploymentGroupName": "prod"}
    pages = list(aws.codedeploy.get_paginator("list_deployments").paginate(**names))
    assert [len(page["deployments"]) for page in pages] == [100, 100, 50]
    assert [each for page in pages for each in page["deployments"]] == seeded[::-1]
    failed = aws.codedeploy.list_deployments(**names, includeOnlyStatuses=["Failed"])["deployments"]
    assert len(failed) == 50
    start = aws.simulator.clock.now() - timedelta(hours=10)
    recent = aws.codedeploy.list_deployments(**names, createTimeRange={"start": start})["deployments"]
    assert recent == seeded[:-11:-1]


def test_the_order_of_a_list_can_be_shuffled(aws: Aws) -> None:
    aws.group()
    seeded = aws.simulator.seed_history(aws.application, "prod", 150)
    aws.simulator.engine.list_order = "shuffled"
    names = {"applicationName": aws.application, "deploymentGroupName": "prod"}
    pages = aws.codedeploy.get_paginator("list_deployments").paginate(**names)
    listed = [each for page in pages for each in page["deployments"]]
    aws.simulator.engine.list_order = "newest_first"
    assert sorted(listed) == sorted(seeded) and listed not in (seeded, seeded[::-1])


# --- faults, arrivals, events -------------------------------------------------------------------------------


def test_throttled_calls_are_retried_by_the_client_and_all_arrive(aws: Aws) -> None:
    aws.group()
    made = aws.create("one.zip")
    aws.simulator.arrivals.clear()
    aws.simulator.throttle("GetDeployment", 1)
    aws.client("codedeploy", config=Config(retries={"mode": "standard", "total_max_attempts": 3})).get_deployment(
        deploymentId=made
    )
    assert [each.error for each in aws.simulator.calls("GetDeployment")] == ["ThrottlingException", ""]


def test_an_effect_can_happen_before_the_answer_is_lost(aws: Aws) -> None:
    aws.group()
    aws.simulator.arrivals.clear()
    aws.simulator.effect_then_timeout("CreateDeployment")
    aws.codedeploy = aws.client("codedeploy", config=ONE_ATTEMPT)
    with pytest.raises(ClientError if aws.over_http else ReadTimeoutError):
        aws.create("one.zip")
    assert len(aws.simulator.calls("CreateDeployment")) == 1
    assert len(aws.simulator.deployments(aws.application, "prod")) == 1


def test_a_request_that_is_lost_on_its_way_changes_nothing(aws: Aws) -> None:
    aws.group()
    aws.simulator.timeout_without_effect("CreateDeployment")
    aws.codedeploy = aws.client("codedeploy", config=ONE_ATTEMPT)
    with pytest.raises(ClientError if aws.over_http else ReadTimeoutError):
        aws.create("one.zip")
    assert aws.simulator.deployments(aws.application, "prod") == []


def test_every_transition_is_an_event_in_eventbridges_words(aws: Aws) -> None:
    told: list[dict[str, Any]] = []
    aws.simulator.listen(told.append)
    aws.group(rollback_events=["DEPLOYMENT_FAILURE"])
    aws.create("one.zip")
    aws.simulator.settle()
    aws.simulator.fail_next()
    aws.create("two.zip")
    aws.simulator.settle()
    mine = [each for each in told if each["detail"]["application"] == aws.application]
    assert [each["detail"]["state"] for each in mine] == [
        "START",
        "SUCCESS",
        "START",
        "FAILURE",
        "START",
        "SUCCESS",
    ]
    assert mine[0]["source"] == "aws.codedeploy" and len(mine[0]["resources"]) == 2
    assert mine[-1] in aws.simulator.read_events()


def test_the_rest_of_moto_goes_on_working(aws: Aws) -> None:
    assert aws.client("sns").create_topic(Name="notices")["TopicArn"]
    assert aws.client("sqs").create_queue(QueueName="dead")["QueueUrl"]
    assert aws.client("dynamodb").list_tables()["TableNames"] == []
    assert aws.client("lambda").list_functions()["Functions"] == []
    assert aws.client("ecs").list_account_settings()["settings"] == []


def test_the_remote_control_does_what_the_methods_do(server: Server) -> None:
    def command(**given: Any) -> Any:
        request = urllib.request.Request(
            f"{server.url}/moto-api/codedeploy",
            json.dumps(given).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())["result"]

    command(command="read_events")
    command(command="clear_arrivals")
    command(command="lambda_group", application="remote", group="prod", function="remote", versions=3)
    made = command(command="release", application="remote", group="prod", revision=2)
    command(command="advance", seconds=60)
    assert command(command="deployment", deployment_id=made)["status"] == "Succeeded"
    assert command(command="live", application="remote", group="prod")["target"] == "2"
    assert [each["detail"]["state"] for each in command(command="read_events")] == ["START", "SUCCESS"]
    server.client("codedeploy").list_applications()
    assert [each["operation"] for each in command(command="read_arrivals")] == ["ListApplications"]
    with pytest.raises(urllib.error.HTTPError):
        command(command="no such command")
