"""What a record says of itself: who opened it, whether people are called, what its stack and its floor are called."""

from __future__ import annotations

from typing import Any

import pytest

from builders import ALARM_AT, NOW, at, release, rollback
from lastgood.model import (
    Controller,
    DeploymentGroup,
    Floor,
    Origin,
    Outcome,
    Phase,
    Reason,
    Rollback,
    Trigger,
    TriggerKind,
)

ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-errors"


def test_a_rollback_begins_with_its_group_its_trigger_and_the_time() -> None:
    service = DeploymentGroup("main", "web", Controller.ECS)
    trigger = Trigger(TriggerKind.SNS, ALARM_AT)
    opened = Rollback.opened("rb-1", service, trigger, NOW)
    assert (opened.rollback_id, opened.group, opened.trigger, opened.opened_at) == ("rb-1", service, trigger, NOW)
    assert (opened.phase, opened.open) == (Phase.CLAIMED, True)


@pytest.mark.parametrize(
    ("record", "called"),
    [
        pytest.param({}, False, id="nothing is decided yet"),
        pytest.param({"reason_code": Reason.VERIFIED, "outcome": Outcome.ROLLED_BACK}, False, id="all went well"),
        pytest.param({"reason_code": Reason.KILL_SWITCH, "outcome": Outcome.BLOCKED}, True, id="it must not act"),
        pytest.param({"reason_code": Reason.KILL_SWITCH, "outcome": Outcome.SKIPPED}, False, id="switched off"),
        pytest.param({"reason_code": Reason.UNROUTED_ALARM, "outcome": Outcome.SKIPPED}, True, id="by the reason"),
        pytest.param(
            {"reason_code": Reason.UNROUTED_ALARM, "outcome": Outcome.SKIPPED, "people": False},
            False,
            id="against the catalogue",
        ),
        pytest.param(
            {"reason_code": Reason.VERIFIED, "outcome": Outcome.ROLLED_BACK, "people": True}, True, id="for its remark"
        ),
        pytest.param({"people": True}, True, id="before any reason"),
        pytest.param(
            {"reason_code": Reason.VERIFIED, "outcome": Outcome.ROLLED_BACK, "people": False, "not_recovered_at": NOW},
            True,
            id="the alarm did not recover",
        ),
    ],
)
def test_people_are_called_by_the_reason_unless_the_record_says_otherwise(record: dict[str, Any], called: bool) -> None:
    assert rollback(**record).needs_human is called


def test_the_revision_that_is_blamed_is_the_newest_suspects() -> None:
    assert rollback(suspect_revisions=("v3", "v2")).choice.suspect_revision == "v3"
    assert rollback().choice.suspect_revision == ""


def test_the_clearer_way_back_names_the_commit_that_is_blamed() -> None:
    assert rollback(suspect_commit="b2b2b2b").trail.revert_command == "git revert b2b2b2b"
    assert rollback().trail.revert_command == ""


def test_cloudwatch_is_asked_by_the_arn_and_for_an_old_record_by_the_name() -> None:
    assert rollback(alarm_arn=ARN).trigger.alarm == ARN
    assert rollback(alarm_arn="").trigger.alarm == "shop-errors"


def test_a_floor_says_who_set_it_and_why_or_quotes_the_release() -> None:
    assert Floor("d-1", at(-10), "contracted the schema", "ann").source == "ann, who said: contracted the schema"
    assert Floor("d-1", at(-10), "its description says so").source == "its description says so"


@pytest.mark.parametrize(
    ("origin", "kind", "acted_on"),
    [
        (Origin(stack="child", root="parent"), "stack", "parent"),
        (Origin(stack="alone"), "stack", "alone"),
        (Origin(stack="alone", problem="its template could not be read"), "stack", "alone"),
        (Origin(problem="access denied"), "unknown", ""),
        (Origin(), "none", ""),
    ],
)
def test_what_a_stack_holds_goes_back_with_the_outermost_one(origin: Origin, kind: str, acted_on: str) -> None:
    assert (origin.kind, origin.acted_on) == (kind, acted_on)


@pytest.mark.parametrize(
    ("more", "stack"),
    [
        pytest.param({"held_by": "holds", "creator": "CloudFormation", "external_id": "made"}, "holds", id="holds it"),
        pytest.param({"creator": "CloudFormation", "external_id": "made"}, "made", id="made it"),
        pytest.param({"creator": "CloudFormation"}, "the stack that made it", id="made it, and has no name"),
        pytest.param({"external_id": "arn:aws:cloudformation:eu-west-1:1:stack/s"}, ":stack/s", id="through a user"),
        pytest.param({"external_id": "my-ticket-7"}, "", id="somebody's own id"),
        pytest.param({}, "", id="nobody's"),
    ],
)
def test_a_deployment_is_of_a_stack_that_holds_or_made_what_it_moved(more: dict[str, Any], stack: str) -> None:
    found = release("d-1", **more).stack
    assert found.endswith(stack) and bool(found) is bool(stack)
