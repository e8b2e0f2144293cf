"""Answers of AWS with new values, without optional fields, or a moment behind: each is survived, with an honest end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.errors import RetryableError
from scene import ALARM, PLATFORMS, Scene, scene, service_scene, stage_scene

Answer = dict[str, Any]
READS = ("BatchGetDeployments", "GetDeployment")


def deployments_in(answer: Answer) -> list[Answer]:
    """What an answer of CodeDeploy says about deployments."""
    one = answer.get("deploymentInfo")
    return [*answer.get("deploymentsInfo", []), *([one] if one else [])]


def changes(
    it: Scene, service: str, operations: tuple[str, ...], change: Callable[[Answer], object], times: int = 0
) -> None:
    """From now on (or so many times) the answers of these operations are changed before the function gets them."""
    clients = it.local.application._parts.notices._clients
    left = [times or 1_000_000]

    def act(parsed: Answer, **_: Any) -> None:
        if left[0] > 0:
            left[0] -= 1
            change(parsed)

    client = getattr(clients, service)
    for operation in operations:
        client.meta.events.register(f"after-call.{service}.{operation}", act)


def begins_with_an_empty_page(it: Scene, service: str, operation: str, token: str) -> None:
    """From now on a list begins with a page that holds nothing and names the token of the page that holds all."""
    client = getattr(it.local.application._parts.notices._clients, service)
    further: list[bool] = []

    def note(params: Answer, **_: Any) -> None:
        further.append(params.pop(token, "") == "further")

    def empty(parsed: Answer, **_: Any) -> None:
        if not further[-1]:
            parsed.update({name: [] for name, value in parsed.items() if isinstance(value, list)})
            parsed[token] = "further"

    client.meta.events.register_first(f"provide-client-params.{service}.{operation}", note)
    client.meta.events.register(f"after-call.{service}.{operation}", empty)


def of_each(name: str, value: object) -> Callable[[Answer], object]:
    """Every deployment in an answer has this value; None: lacks it."""

    def change(answer: Answer) -> None:
        for info in deployments_in(answer):
            info.pop(name, None)
            if value is not None:
                info[name] = value

    return change


def bad_release(it: Scene, *, active: bool = False) -> str:
    it.good_history(1, 2)
    made = it.release(3, settle=not active, rest=300)
    it.sim.advance(30 * active)
    return made


SURVIVED: dict[str, Callable[[Answer], object]] = {
    "an unknown creator": of_each("creator", "SomeNewService"),
    "no creator": of_each("creator", None),
    "no overview": of_each("deploymentOverview", None),
    "an overview without numbers": of_each("deploymentOverview", {"Failed": None, "Skipped": None}),
    "no style": of_each("deploymentStyle", None),
    "no description": of_each("description", None),
    "an unknown error": of_each("errorInformation", {"code": "NEW_ERROR"}),
    "an empty rollback": of_each("rollbackInfo", {}),
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("change", SURVIVED.values(), ids=SURVIVED.keys())
def test_a_deployment_with_new_or_missing_values_goes_back(platform: str, change: Callable[[Answer], object]) -> None:
    with scene(platform) as it:
        bad_release(it)
        changes(it, "codedeploy", READS, change)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_compute_platform_that_nobody_knows_yet_is_left_alone_and_told_at_once(platform: str) -> None:
    def kubernetes(answer: Answer) -> None:
        for info in (*deployments_in(answer), *filter(None, [answer.get("deploymentGroupInfo")])):
            info["computePlatform"] = "Kubernetes"

    with scene(platform) as it:
        bad_release(it)
        changes(it, "codedeploy", (*READS, "GetDeploymentGroup"), kubernetes)
        it.alarm_fires()
        assert (it.head["outcome"], it.head["reason_code"], it.head["needs_human"]) == ("FAILED", "READ_REFUSED", True)
        assert "Kubernetes" in it.head["explanation"]
        assert it.is_live(3)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("drop", [slice(1, None), slice(-1), slice(0)], ids=["the first", "the last", "all"])
def test_deployments_that_are_listed_and_not_yet_described_are_asked_for_again(platform: str, drop: slice) -> None:
    def lack(answer: Answer) -> None:
        answer["deploymentsInfo"] = answer["deploymentsInfo"][drop]

    with scene(platform) as it:
        bad_release(it)
        changes(it, "codedeploy", ("BatchGetDeployments",), lack, times=1)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_a_recent_deployment_that_is_listed_and_not_described_is_waited_for() -> None:
    """It may be the one to blame: without it, the one before would be."""
    with scene("Server") as it:
        bad = bad_release(it)

        def lack(answer: Answer) -> None:
            answer["deploymentsInfo"] = [i for i in answer["deploymentsInfo"] if i["deploymentId"] != bad]

        changes(it, "codedeploy", ("BatchGetDeployments",), lack, times=2)
        fired = it.now()
        with pytest.raises(RetryableError, match=bad):
            it.alarm_fires()
        it.deliver(it.alarm_message(at=fired))
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_deployments_without_a_time_end_the_rollback_with_a_sentence() -> None:
    with scene("Server") as it:
        bad_release(it)
        changes(it, "codedeploy", ("BatchGetDeployments",), of_each("createTime", None))
        it.alarm_fires()
        assert (it.head["outcome"], it.head["reason_code"]) == ("FAILED", "READ_REFUSED")


def test_an_old_deployment_that_is_listed_and_never_described_again_is_no_candidate() -> None:
    with scene("Server") as it:
        old, _ = it.good_history(1, 2)
        it.release(3, settle=True, rest=300)

        def lack(answer: Answer) -> None:
            answer["deploymentsInfo"] = [i for i in answer["deploymentsInfo"] if i["deploymentId"] != old]

        changes(it, "codedeploy", ("BatchGetDeployments",), lack)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_rollbacks_own_deployment_that_a_read_does_not_find_at_once_is_waited_for(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        assert it.head["phase"] == "VERIFYING"
        it.sim.fail_call("GetDeployment", "DeploymentDoesNotExistException", "The deployment does not exist.", count=2)
        it.sweep()
        assert not it.head.get("outcome"), it.head["explanation"]
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


def test_a_rollbacks_deployment_that_stays_away_is_told_as_failed() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.fail_call("GetDeployment", "DeploymentDoesNotExistException", "The deployment does not exist.", count=99)
        head = it.run_to_end(20)
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "ROLLBACK_DEPLOYMENT_FAILED")


@pytest.mark.parametrize("answer", ["Deferred", None])
@pytest.mark.parametrize("platform", ["Server", "Lambda"])
def test_a_stop_that_is_answered_with_a_new_word_is_looked_at(platform: str, answer: str | None) -> None:
    def reword(given: Answer) -> None:
        given.pop("status", None)
        given.update({"status": answer} if answer else {})

    with scene(platform) as it:
        bad_release(it, active=True)
        changes(it, "codedeploy", ("StopDeployment",), reword)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


@pytest.mark.parametrize(
    ("platform", "ahead"),
    [
        *((platform, timedelta(seconds=90)) for platform in PLATFORMS),
        # A bundle must not be younger than its deployment, so servers are not asked for this.
        *((platform, timedelta(seconds=-90)) for platform in PLATFORMS if platform != "Server"),
    ],
)
def test_clocks_that_differ_by_a_minute_and_a_half_change_no_blame(platform: str, ahead: timedelta) -> None:
    """CodeDeploy's clock against CloudWatch's and the function's own."""

    def shift(answer: Answer) -> None:
        for info in deployments_in(answer):
            for name in ("createTime", "completeTime"):
                moment: datetime | None = info.get(name)
                info.update({name: moment + ahead} if moment else {})

    with scene(platform) as it:
        bad_release(it)
        changes(it, "codedeploy", READS, shift)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


ODD_REASON = (
    '{"version":"1.0","queryDate":"x","startDate":5,"period":NaN,"recentDatapoints":[null,"x"],"threshold":"x"}'
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StateReasonData", "{not json"),
        ("StateReasonData", ODD_REASON),
        ("AlarmArn", None),
        ("AlarmName", None),
        ("Period", 0),
        ("EvaluationPeriods", None),
        ("ComparisonOperator", "SpikesAbove"),
        ("StateTransitionedTimestamp", None),
    ],
)
def test_an_alarm_with_odd_or_missing_values_confirms_by_its_state(name: str, value: object) -> None:
    def odd(answer: Answer) -> None:
        for alarm in answer.get("MetricAlarms", []):
            alarm.pop(name, None)
            alarm.update({name: value} if value is not None else {})

    with scene("Lambda") as it:
        bad_release(it)
        changes(it, "cloudwatch", ("DescribeAlarms",), odd)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_an_alarm_in_a_state_that_nobody_knows_yet_starts_nothing_and_is_told() -> None:
    def renamed(answer: Answer) -> None:
        for alarm in answer.get("MetricAlarms", []):
            alarm["StateValue"] = "EVALUATING"

    with scene("Server") as it:
        bad_release(it)
        changes(it, "cloudwatch", ("DescribeAlarms",), renamed)
        it.alarm_fires()
        assert (it.head["reason_code"], it.head["needs_human"], it.is_live(3)) == ("ALARM_NOT_CONFIRMED", True, True)
        assert ALARM in str(it.local.notices())


@pytest.mark.parametrize(
    "items",
    [[{"AlarmName": ALARM}], [{"Timestamp": None, "HistoryData": "x"}], [{"HistoryData": '{"newState": 5}'}]],
    ids=["no time", "nothing", "an odd state"],
)
def test_a_history_of_the_alarm_that_cannot_be_read_is_unknown(items: list[Answer]) -> None:
    with scene("Server") as it:
        bad_release(it)
        changes(it, "cloudwatch", ("DescribeAlarmHistory",), lambda answer: answer.update(AlarmHistoryItems=items))
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_message_that_is_faster_than_cloudwatchs_reads_is_looked_up_once_more(platform: str) -> None:
    def before(answer: Answer) -> None:
        for alarm in answer.get("MetricAlarms", []):
            hour = timedelta(hours=1)
            alarm["StateValue"] = "OK"
            alarm.update({name: alarm[name] - hour for name in alarm if name.endswith("Timestamp")})

    with scene(platform) as it:
        bad_release(it)
        # The alarm itself and the search for a storm are read beside each other.
        changes(it, "cloudwatch", ("DescribeAlarms",), before, times=2)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_an_answer_that_nobody_can_read_holds_the_group_for_minutes_and_not_for_hours() -> None:
    """The next alarm waits for the one that cannot be decided, and is answered when that is given up."""

    def nonsense(answer: Answer) -> None:
        answer["deploymentGroupInfo"] = {"computePlatform": "Lambda", "ecsServices": 7}

    with scene("Lambda") as it:
        bad_release(it)
        changes(it, "codedeploy", ("GetDeploymentGroup",), nonsense, times=9)
        with pytest.raises(TypeError):
            it.alarm_fires()
        (first,) = [item["rollback_id"] for item in it.local.items() if item["sk"] == "META"]
        it.local.alarm("shop-prod-latency", tags=it.tags)
        it.deliver(it.alarm_message(alarm="shop-prod-latency"))
        it.rollback_id = first
        head = it.run_to_end(10)
        assert (head["outcome"], head["reason_code"], head["needs_human"]) == ("FAILED", "READ_REFUSED", True)
        it.sim.advance(60)
        it.sweep()
        second = next(each for each in it.local.items() if each["sk"] == "META" and each["rollback_id"] != first)
        it.rollback_id = second["rollback_id"]
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("active", [True, False], ids=["active", "succeeded"])
def test_a_newest_deployment_that_the_list_does_not_name_yet_is_blamed_all_the_same(
    platform: str, active: bool
) -> None:
    """The group names it as its last one."""
    with scene(platform) as it:
        bad = bad_release(it, active=active)

        def behind(answer: Answer) -> None:
            answer["deployments"] = [name for name in answer.get("deployments", []) if name != bad]

        changes(it, "codedeploy", ("ListDeployments",), behind, times=2)
        it.alarm_fires()
        assert it.head["suspect_deployment_id"] == bad, it.head["explanation"]
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_a_newest_deployment_that_is_not_listed_yet_is_found_where_what_is_listed_cannot_be_blamed() -> None:
    """The release before it is recent enough to be listed, and too old to be the cause."""
    with scene("Server") as it:
        it.release(1, settle=True)
        it.release(2, settle=True, rest=80 * 60)
        bad = it.release(3, settle=True, rest=120)

        def behind(answer: Answer) -> None:
            answer["deployments"] = [name for name in answer.get("deployments", []) if name != bad]

        changes(it, "codedeploy", ("ListDeployments",), behind, times=2)
        it.alarm_fires()
        assert it.head["suspect_deployment_id"] == bad, it.head["explanation"]
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


# --- ECS's own services: its service model promises none of the members -------------------------------------------

LISTS, DESCRIBES = ("ListServiceDeployments",), ("DescribeServiceDeployments",)


def of_each_service_deployment(*names: str) -> Callable[[Answer], object]:
    """Every service deployment in an answer that has begun lacks these members."""

    def change(answer: Answer) -> None:
        for raw in answer.get("serviceDeployments", []):
            for name in names if "startedAt" in raw else ():
                raw.pop(name, None)

    return change


@pytest.mark.parametrize(
    ("where", "lacking"),
    [
        (LISTS, ("status",)),
        (LISTS, ("createdAt",)),
        (LISTS, ("status", "createdAt", "startedAt", "finishedAt")),
        (LISTS + DESCRIBES, ("createdAt",)),
        (LISTS + DESCRIBES, ("statusReason", "finishedAt", "updatedAt")),
    ],
    ids=["a list without status", "without time", "with nothing", "no time of creation anywhere", "no end"],
)
@pytest.mark.parametrize("settle", [True, False], ids=["succeeded", "active"])
def test_a_services_release_goes_back_though_answers_lack_what_ecs_does_not_promise(
    where: tuple[str, ...], lacking: tuple[str, ...], settle: bool
) -> None:
    with service_scene() as it:
        it.release(2, settle=True)
        it.release(3, settle=settle, rest=120)
        it.sim.advance(25)
        changes(it, "ecs", where, of_each_service_deployment(*lacking))


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("service", "operation", "token"),
    [("codedeploy", "ListDeployments", "nextToken"), ("cloudwatch", "DescribeAlarms", "NextToken")],
    ids=["deployments", "alarms"],
)
def test_a_list_that_begins_with_an_empty_page_is_read_on(
    platform: str, service: str, operation: str, token: str
) -> None:
    """A page is filtered after it was cut, so it may be empty and not the last."""
    with scene(platform) as it:
        bad_release(it)
        begins_with_an_empty_page(it, service, operation, token)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_service_deployments_of_which_ecs_tells_no_status_are_no_good_ones_and_people_are_called() -> None:
    with service_scene() as it:
        it.release(2, settle=True)
        it.release(3, settle=True, rest=120)
        changes(it, "ecs", LISTS + DESCRIBES, of_each_service_deployment("status"))
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"], head["needs_human"]) == ("BLOCKED", "NO_GOOD_REVISION", True)
        assert not it.calls("StopServiceDeployment") and not it.calls("UpdateService")


def test_service_deployments_without_any_time_end_the_rollback_with_a_sentence() -> None:
    with service_scene() as it:
        it.release(2, settle=True, rest=120)
        changes(it, "ecs", LISTS + DESCRIBES, of_each_service_deployment("createdAt", "startedAt"))
        it.alarm_fires()
        assert (it.head["outcome"], it.head["reason_code"], it.head["needs_human"]) == ("FAILED", "READ_REFUSED", True)
        assert "has no time of creation" in it.head["explanation"]


def without_containers(answer: Answer) -> None:
    for revision in answer.get("serviceRevisions", []):
        revision.pop("containerImages", None)
    answer.get("taskDefinition", {}).pop("containerDefinitions", None)


@pytest.mark.parametrize("settle", [True, False], ids=["succeeded", "active"])
def test_a_definition_released_again_is_a_release_where_ecs_names_no_image_of_it(settle: bool) -> None:
    """Nothing says that its images are the same, so it may be the cause."""
    with service_scene() as it:
        it.release(2, settle=True)
        again = it.release(2, settle=settle, rest=120)
        it.sim.advance(25)
        changes(it, "ecs", ("DescribeServiceRevisions", "DescribeTaskDefinition"), without_containers)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["suspect_deployment_id"], head["needs_human"]) == (again, True), head["explanation"]
        assert head["reason_code"] != "VERIFIED"


def test_a_services_list_that_begins_with_an_empty_page_is_read_on() -> None:
    with service_scene() as it:
        bad_release(it)
        begins_with_an_empty_page(it, "ecs", "ListServiceDeployments", "nextToken")
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_a_pipelines_list_that_begins_with_an_empty_page_is_read_on() -> None:
    """The rollback of a stage is found again there after its answer was lost."""
    with stage_scene() as it:
        bad_release(it)
        begins_with_an_empty_page(it, "codepipeline", "ListPipelineExecutions", "nextToken")
        it.sim.effect_then_timeout("RollbackStage")
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]
        assert len(it.calls("RollbackStage")) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_deployment_behind_a_short_page_is_found(platform: str) -> None:
    """The first page has the newest deployment alone; the good one is on the next."""
    with scene(platform) as it:
        bad = bad_release(it)
        client = it.local.application._parts.notices._clients.codedeploy
        further: list[bool] = []

        def note(params: Answer, **_: Any) -> None:
            further.append(params.pop("nextToken", "") == "further")

        def cut(parsed: Answer, **_: Any) -> None:
            parsed["deployments"] = [name for name in parsed["deployments"] if (name != bad) == further[-1]]
            parsed.update({} if further[-1] else {"nextToken": "further"})

        client.meta.events.register_first("provide-client-params.codedeploy.ListDeployments", note)
        client.meta.events.register("after-call.codedeploy.ListDeployments", cut)
        it.alarm_fires()
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


# --- reason data ------------------------------------------------------------------------------------------------------


def test_reason_data_with_a_number_beyond_all_measure_keep_no_alarm_from_being_answered() -> None:
    """They may have been written by somebody who set the alarm's state by hand."""
    with scene("Server") as it:
        bad_release(it)
        it.local.alarm(ALARM, tags=it.tags)
        now = it.now().isoformat()
        data = f'{{"queryDate": "{now}", "startDate": "{now}", "period": 60, "threshold": 1{"0" * 400}}}'
        it.local.cloudwatch.set_alarm_state(
            AlarmName=ALARM, StateValue="ALARM", StateReason="by hand", StateReasonData=data
        )
        it.deliver(it.alarm_message())
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]
