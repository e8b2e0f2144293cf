"""Faults of docs/reliability.md's table that no other test plays: AWS fails, time runs out, messages repeat.

The number in a name is the row in the table.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from lastgood.errors import RefusedError, RetryableError
from scene import PLATFORMS, Scene, scene
from stage.local import event

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
OWN = {"LASTGOOD_NATIVE_ROLLBACK": "false"}
Trouble = Callable[[], Exception]


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits between its own attempts; nobody has to wait for that here."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


def error(code: str, status: int = 400, **more: Any) -> Trouble:
    """What botocore raises for an answer of AWS."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return lambda: ClientError(answer, "call")


def unreachable() -> Exception:
    """What botocore raises when there is nobody at the other end."""
    return EndpointConnectionError(endpoint_url="https://aws")


@contextmanager
def trouble(service: str, trouble: Trouble, *, operation: str = "", times: int = 10_000) -> Iterator[list[str]]:
    """Calls of a service (or one of its operations) fail, the first so many times. Yields the operations that did."""
    original, failed = BaseClient._make_api_call, []

    def make_api_call(client: Any, asked: str, parameters: dict[str, Any]) -> Any:
        meant = client.meta.service_model.service_name == service and operation in {"", asked}
        if not meant or len(failed) >= times:
            return original(client, asked, parameters)
        failed.append(asked)
        raise trouble()

    with patch.object(BaseClient, "_make_api_call", make_api_call):
        yield failed


def bad_release(it: Scene, *, active: bool = False) -> str:
    """Two good releases, then a bad one: still active, or live for ten minutes. The alarm fires, nobody was told."""
    it.good_history(1, 2)
    bad = it.release(3, settle=not active, rest=600)
    it.sim.advance(15 if active else 0)
    it.local.alarm("shop-prod-error-rate")
    return bad


def untouched(it: Scene) -> bool:
    """Nothing was changed outside the audit table."""
    effects = ("StopDeployment", "CreateDeployment", "UpdateAlias", "RegisterTaskDefinition")
    return not any(it.calls(operation) for operation in effects)


def heads(it: Scene) -> list[dict[str, Any]]:
    """The head items of all rollbacks."""
    return [item for item in it.local.items() if item["sk"] == "META"]


def swept_to_its_end(it: Scene, message: dict[str, Any]) -> dict[str, Any]:
    """Lambda repeats the message, the sweep comes every minute, and there is one rollback in the end."""
    it.sim.advance(60)
    it.deliver(message, "first")
    head = it.run_to_end()
    assert len(heads(it)) == 1
    return head


def is_back(it: Scene, head: dict[str, Any]) -> None:
    """It ends as if nothing had happened."""
    assert head["outcome"] == "ROLLED_BACK", head["explanation"]
    # A Lambda alias that was met in the middle of its shift is cleared, and nothing has to be deployed.
    assert len(it.calls("CreateDeployment")) == (0 if it.calls("UpdateAlias") else 1)
    assert it.lock() == ""
    assert it.is_live(2)


# --- Lambda -----------------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_fault_6_an_invocation_that_lambda_makes_twice_is_one_rollback(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        message = it.alarm_message()
        first, second = it.deliver(message, "same request"), it.deliver(message, "same request")
        assert first["rollback_id"] == second["rollback_id"]
        is_back(it, it.run_to_end())
        assert len(heads(it)) == 1


@EVERYWHERE
def test_fault_7_an_invocation_that_failed_twice_goes_on_from_where_it_was(platform: str) -> None:
    with scene(platform, settings=OWN) as it:
        bad_release(it, active=True)
        message = it.alarm_message()
        with trouble("codedeploy", error("InternalFailure", 500), operation="BatchGetDeployments", times=2) as failed:
            for _ in range(2):
                with pytest.raises(RetryableError):
                    it.deliver(message, "first")
                it.sim.advance(60)
        assert failed == ["BatchGetDeployments"] * 2
        is_back(it, swept_to_its_end(it, message))
        assert [step["step_name"] for step in it.steps].count("OPEN") == 1


@EVERYWHERE
def test_fault_8_no_step_begins_when_the_time_is_nearly_over(platform: str) -> None:
    with scene(platform, settings=OWN) as it:
        bad_release(it, active=True)
        message = it.alarm_message()
        it.local.remaining = timedelta(seconds=7)
        with pytest.raises(RetryableError, match="time is nearly over"):
            it.deliver(message, "first")
        assert untouched(it)
        it.local.remaining = timedelta(seconds=60)
        is_back(it, swept_to_its_end(it, message))


# --- DynamoDB ---------------------------------------------------------------------------------------------------------

CONFLICT = error("TransactionCanceledException", CancellationReasons=[{"Code": "TransactionConflict"}, {}, {}, {}])


def test_fault_11_a_claim_that_conflicts_with_another_transaction_is_tried_again_at_once() -> None:
    with scene("Server") as it:
        bad_release(it)
        with trouble("dynamodb", CONFLICT, operation="TransactWriteItems", times=2):
            it.deliver(it.alarm_message())
        is_back(it, it.run_to_end())


def test_fault_11_a_claim_that_conflicts_for_long_fails_before_anything_is_touched() -> None:
    with scene("Server") as it:
        bad_release(it)
        message = it.alarm_message()
        with (
            trouble("dynamodb", CONFLICT, operation="TransactWriteItems"),
            pytest.raises(RetryableError, match="contended"),
        ):
            it.deliver(message, "first")
        assert untouched(it)
        is_back(it, swept_to_its_end(it, message))


@pytest.mark.parametrize(
    "what",
    [
        error("ThrottlingException"),
        error("ProvisionedThroughputExceededException"),
        error("InternalServerError", 500),
        unreachable,
    ],
    ids=["throttled", "no capacity", "500", "unreachable"],
)
def test_fault_12_without_the_audit_table_nothing_is_touched(what: Trouble) -> None:
    with scene("Server") as it:
        bad_release(it, active=True)
        message = it.alarm_message()
        with trouble("dynamodb", what), pytest.raises(RetryableError):
            it.deliver(message, "first")
        assert untouched(it)
        is_back(it, swept_to_its_end(it, message))


def test_fault_13_each_transaction_has_a_token_under_which_botocore_repeats_it() -> None:
    with scene("Server") as it:
        bad_release(it)
        original, tokens = BaseClient._make_request, []

        def make_request(client: Any, operation: Any, request: Any, context: Any) -> Any:
            if operation.name == "TransactWriteItems":
                tokens.append(request["body"])
            return original(client, operation, request, context)

        with patch.object(BaseClient, "_make_request", make_request):
            it.deliver(it.alarm_message())
        assert tokens and all(b"ClientRequestToken" in body for body in tokens)


def test_fault_13_a_claim_whose_answer_got_lost_is_found_to_be_ours() -> None:
    with scene("Server") as it:
        bad_release(it)
        message = it.alarm_message()
        with answers_lost("TransactWriteItems"), pytest.raises(RetryableError):
            it.deliver(message, "first")
        assert heads(it)[0]["phase"] == "CLAIMED"
        again = it.deliver(message, "first")
        assert again["phase"] == "VERIFYING"
        is_back(it, it.run_to_end())


@contextmanager
def answers_lost(operation: str) -> Iterator[None]:
    """The next call of this operation takes effect, and its answer never comes."""
    original, lost = BaseClient._make_api_call, []

    def make_api_call(client: Any, asked: str, parameters: dict[str, Any]) -> Any:
        answer = original(client, asked, parameters)
        if asked == operation and not lost:
            lost.append(asked)
            raise unreachable()
        return answer

    with patch.object(BaseClient, "_make_api_call", make_api_call):
        yield


@EVERYWHERE
def test_fault_14_the_intent_of_a_stop_survives_when_the_table_is_gone_after_it(platform: str) -> None:
    with scene(platform, settings=OWN) as it:
        bad = bad_release(it, active=True)
        message, original, stopped = it.alarm_message(), BaseClient._make_api_call, []

        def make_api_call(client: Any, asked: str, parameters: dict[str, Any]) -> Any:
            if stopped and client.meta.service_model.service_name == "dynamodb":
                raise error("InternalServerError", 500)()
            stopped.extend([asked] * (asked == "StopDeployment"))
            return original(client, asked, parameters)

        with patch.object(BaseClient, "_make_api_call", make_api_call), pytest.raises(RetryableError):
            it.deliver(message, "first")
        it.rollback_id = heads(it)[0]["rollback_id"]
        assert [(step["kind"], step["step_name"]) for step in it.steps][-1] == ("intent", "STOP")
        is_back(it, swept_to_its_end(it, message))
        assert it.sim.deployment(bad)["status"] == "Stopped"


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_fault_15_a_table_that_is_missing_or_forbidden_fails_loudly_before_anything_is_touched(code: str) -> None:
    with scene("Server") as it:
        bad_release(it, active=True)
        with trouble("dynamodb", error(code)), pytest.raises(RefusedError, match=code):
            it.deliver(it.alarm_message())
        assert untouched(it)


def test_fault_16_a_record_stays_within_what_an_item_may_hold() -> None:
    with scene("Server") as it:
        it.good_history(*range(1, 40))
        for bad in it.sim.deployments("shop", "prod")[:39]:
            named = {"application": "shop", "deployment_group": "prod", "deployment_id": bad["deploymentId"]}
            it.local.handle({"action": "mark_bad", **named, "reason": "🔥" * 1000, "requested_by": "x" * 200})
        it.release(40, settle=True, rest=600)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "BLOCKED"
        assert len(head["candidates"]) == 25
        assert len(repr(head).encode()) < 400 * 1024


# --- CodeDeploy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "operation"),
    [("Lambda", "GetDeploymentGroup"), ("Server", "ListDeployments"), ("Server", "BatchGetDeployments")],
)
def test_fault_19_throttled_reads_are_repeated_and_then_left_to_the_next_visit(platform: str, operation: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        message = it.alarm_message()
        it.sim.throttle(operation, count=100)
        with pytest.raises(RetryableError, match="throttled"):
            it.deliver(message, "first")
        assert len(it.calls(operation)) >= 7
        assert untouched(it)
        it.sim.faults.clear()
        is_back(it, swept_to_its_end(it, message))


def test_fault_29_a_lost_connection_to_github_fails_the_rollback_and_says_so() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.sim.fail_next("MISSING_GITHUB_TOKEN", "Reconnect to GitHub.", after_seconds=1)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "ROLLBACK_DEPLOYMENT_FAILED")
        assert "lost its connection to GitHub" in head["explanation"]
        assert head["needs_human"] is True


@EVERYWHERE
def test_fault_30_a_group_that_is_deleted_half_way_fails_the_rollback_and_calls_people(platform: str) -> None:
    with scene(platform, settings=OWN) as it:
        it.sim.timing("shop", "prod", stop_pending_seconds=90)
        bad_release(it, active=True)
        it.deliver(it.alarm_message())
        it.sim.advance(80)
        with trouble("codedeploy", error("DeploymentGroupDoesNotExistException"), operation="GetDeploymentGroup"):
            head = it.run_to_end()
        assert (head["outcome"], head["needs_human"]) == ("FAILED", True)
        assert "deployment group is gone" in head["explanation"]
        assert it.calls("CreateDeployment") == []
        assert it.lock() == ""


@EVERYWHERE
def test_fault_34_an_event_that_comes_before_the_id_is_recorded_changes_nothing(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        create, early = it.sim.engine.create_deployment, event("codedeploy-state-change")

        def create_and_tell(given: dict[str, Any], *more: Any) -> Any:
            made = create(given, *more)
            early["detail"] |= {
                "application": "shop",
                "deploymentGroup": "prod",
                "deploymentId": made.id,
                "state": "START",
            }
            told = it.local.handle(early, "by event")[0]
            assert (told["phase"], told["rollback_deployment_id"]) == ("REDEPLOYING", "")
            return made

        with patch.object(it.sim.engine, "create_deployment", create_and_tell):
            it.deliver(it.alarm_message())
        assert it.head["rollback_deployment_id"] == early["detail"]["deploymentId"]
        is_back(it, it.run_to_end())


@EVERYWHERE
def test_fault_35_events_that_come_late_twice_and_in_the_wrong_order_change_nothing(platform: str) -> None:
    with scene(platform) as it:
        events: list[dict[str, Any]] = []
        it.sim.listen(events.append)
        bad_release(it)
        it.deliver(it.alarm_message())
        it.sim.advance(10)
        for each in [*reversed(copy.deepcopy(events)), *events]:
            it.local.handle(each)
        is_back(it, it.run_to_end())
        head, steps = it.head, it.steps
        for each in reversed(events):
            it.local.handle(each)
        assert (it.head, it.steps) == (head, steps)
        is_back(it, head)


@EVERYWHERE
def test_fault_35_the_start_of_the_bad_release_that_comes_after_its_rollback_is_no_second_release(
    platform: str,
) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        starts: list[dict[str, Any]] = []
        it.sim.listen(lambda event: starts.append(event) if event["detail"]["state"] == "START" else None)
        bad = it.release(3, settle=True, rest=600)
        it.alarm_fires()
        is_back(it, it.run_to_end())
        assert starts[0]["detail"]["deploymentId"] == bad
        it.local.handle(starts[0])
        assert [head["reason_code"] for head in heads(it)] == ["VERIFIED"]


@EVERYWHERE
def test_fault_36_when_codedeploy_is_back_after_ten_minutes_the_rollback_is_done(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        message = it.alarm_message()
        with trouble("codedeploy", unreachable) as failed:
            for _ in range(3):
                with pytest.raises(RetryableError):
                    it.deliver(message, "first")
            for _ in range(10):
                it.sim.advance(60)
                assert it.sweep()["failed"] == 1
        assert len(failed) >= 13
        it.rollback_id = heads(it)[0]["rollback_id"]
        is_back(it, it.run_to_end())


def test_fault_36_a_rollback_that_cannot_look_for_hours_ends_and_people_hear_of_it() -> None:
    with scene("Server") as it:
        bad_release(it)
        with trouble("codedeploy", unreachable):
            with pytest.raises(RetryableError):
                it.deliver(it.alarm_message(), "first")
            while not heads(it)[0].get("outcome"):
                it.sim.advance(600)
                it.sweep()
        head = heads(it)[0]
        assert (head["outcome"], head["reason_code"], head["needs_human"]) == ("FAILED", "DEADLINE_PASSED", True)
        assert it.now() - datetime.fromisoformat(head["opened_at"]) < timedelta(hours=24)
        assert [notice["metadata"]["eventType"] for notice in it.local.notices()] == ["lastgood.closed"]
        assert untouched(it)
        assert it.lock() == ""


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
def test_fault_37_credentials_that_ran_out_are_left_to_the_next_environment(code: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        message = it.alarm_message()
        with trouble("codedeploy", error(code), operation="ListDeployments"), pytest.raises(RetryableError, match=code):
            it.deliver(message)
        it.deliver(message)
        is_back(it, it.run_to_end())


EXPIRED = "Signature expired: 20261127T100000Z is now earlier than 20261127T100500Z (20261127T101000Z - 5 min.)"


@pytest.mark.parametrize("operation", ["ListDeployments", "StopDeployment", "CreateDeployment"])
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidSignatureException", EXPIRED),
        ("InvalidSignatureException", EXPIRED.replace("expired", "not yet current")),
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        ("RequestTimeoutException", "The request was not read to its end."),
    ],
    ids=["frozen", "ahead", "skewed", "slow"],
)
def test_fault_37_a_request_that_came_too_late_after_its_signature_is_made_again(
    operation: str, code: str, message: str
) -> None:
    """An environment that Lambda froze in the middle of a call, or whose clock is wrong for a while."""
    with scene("Server", settings=OWN) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(60)
        it.sim.fail_call(operation, code, message, count=1, status=403)
        try:
            it.alarm_fires()
        except RetryableError:
            it.deliver(it.alarm_message())
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]


def test_fault_37_a_signature_that_is_wrong_is_no_matter_of_time() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.sim.fail_call("ListDeployments", "InvalidSignatureException", "The signature does not match.", status=403)
        it.alarm_fires()
        assert (it.head["outcome"], it.head["reason_code"]) == ("FAILED", "READ_REFUSED")


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "AccessDeniedException"])
def test_fault_37_credentials_that_are_not_accepted_end_it_with_the_call_and_aws_own_word(code: str) -> None:
    with scene("Server") as it:
        bad_release(it)
        with trouble("codedeploy", error(code), operation="ListDeployments"):
            it.deliver(it.alarm_message())
        head = it.run_to_end()
        assert (head["outcome"], head["needs_human"]) == ("FAILED", True)
        assert "list_deployments" in head["explanation"] and code in head["explanation"]
        assert untouched(it)
        assert it.lock() == ""


def test_fault_38_an_event_bus_that_refuses_delays_the_notice_and_not_the_rollback() -> None:
    with scene("Server") as it:
        bad_release(it)
        original, put = BaseClient._make_api_call, []

        def make_api_call(client: Any, asked: str, parameters: dict[str, Any]) -> Any:
            if asked == "PutEvents":
                put.append(parameters["Entries"][0])
                failed = int(len(put) < 4)
                return {"FailedEntryCount": failed, "Entries": [{"ErrorCode": "InternalFailure"}]}
            return original(client, asked, parameters)

        with patch.object(BaseClient, "_make_api_call", make_api_call):
            it.deliver(it.alarm_message())
            is_back(it, it.run_to_end())
            while "open_key" in it.head:
                it.sim.advance(60)
                it.sweep()
        assert len(put) >= 4
        ids = {(entry["DetailType"], json.loads(entry["Detail"])["notice_id"]) for entry in put}
        assert ("Rollback Closed", f"{it.rollback_id}:closed") in ids
        assert len(ids) == len(dict(ids))
