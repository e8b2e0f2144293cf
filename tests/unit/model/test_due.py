"""What a record calls for now: the times that are measured, and the notices that are still to be sent."""

from __future__ import annotations

from typing import Any

import pytest

from builders import NOW, at, by_operator, rollback
from lastgood.model import JOINED, PASSED_ON, Outcome, Phase, Reason, Rollback, notices_due, seconds_of

WENT_BACK: dict[str, Any] = {
    "suspect_created_at": at(-10),
    "stopped_at": at(1),
    "redeployed_at": at(2),
    "closed_at": at(4),
    "alarm_recovered_at": at(6),
    "reason_code": Reason.VERIFIED,
    "outcome": Outcome.ROLLED_BACK,
}


def closed(**more: Any) -> Rollback:
    return rollback(**{"phase": Phase.CLOSED, "closed_at": NOW, "reason_code": Reason.VERIFIED, **more})


# --- times ------------------------------------------------------------------------------------------------------------


def test_times_count_from_the_release_to_the_alarm_and_then_from_the_alarm() -> None:
    times = {"detect": 600, "stop": 60, "redeploy": 120, "verify": 240, "recover": 360}
    assert seconds_of(closed(**WENT_BACK)) == times


def test_of_a_release_into_a_firing_alarm_they_count_from_the_release_and_recovery_from_the_alarm() -> None:
    landed = closed(**WENT_BACK, released_in_alarm="d-2", signal_at=at(0.5))
    assert seconds_of(landed) == {"detect": 600, "stop": 30, "redeploy": 90, "verify": 210, "recover": 360}


def test_of_an_old_record_whose_signal_is_dated_when_it_was_opened_they_count_from_the_alarm() -> None:
    old = closed(**WENT_BACK, signal_at=NOW)
    assert seconds_of(old) == {"detect": 600, "stop": 60, "redeploy": 120, "verify": 240, "recover": 360}


def test_without_an_alarm_they_count_from_the_request() -> None:
    asked = by_operator(Phase.CLOSED, **WENT_BACK, signal_at=at(0.5))
    assert seconds_of(asked) == {"stop": 30, "redeploy": 90, "verify": 210}


def test_only_what_is_known_is_told_in_whole_seconds_and_never_less_than_none() -> None:
    assert seconds_of(rollback()) == {}
    assert seconds_of(rollback(suspect_created_at=at(1))) == {"detect": 0}
    assert seconds_of(rollback(suspect_created_at=at(-0.026))) == {"detect": 2}
    assert "verify" not in seconds_of(closed(**{**WENT_BACK, "reason_code": Reason.DEADLINE_PASSED}))


# --- notices ----------------------------------------------------------------------------------------------------------

HELD_UP = {"held_up_by": "The agent of i-1 is dead."}


@pytest.mark.parametrize(
    ("record", "due"),
    [
        (rollback(), ()),
        (rollback(Phase.AWAITING_APPROVAL), ("needs_human",)),
        (rollback(Phase.STOPPING), ("opened",)),
        (rollback(Phase.VERIFYING), ("opened",)),
        (rollback(Phase.STOPPING, notified=("opened",)), ()),
        (rollback(Phase.STOPPING, **HELD_UP), ("opened", "held_up")),
        (rollback(Phase.STOPPING, **HELD_UP, held_up_ended_at=NOW), ("opened", "goes_on")),
        (closed(), ("closed",)),
        (closed(**HELD_UP), ("closed",)),
        (closed(**HELD_UP, held_up_ended_at=NOW), ("closed",)),
        (closed(notified=("closed",)), ()),
        (closed(not_recovered_at=NOW), ("closed", "not_recovered")),
        (closed(pipeline_alert="The run failed."), ("closed", "pipeline")),
        (closed(passed_on_to="pipeline:shop/prod"), (PASSED_ON,)),
        (closed(reason_code=Reason.ALARM_RECOVERED, outcome=Outcome.SKIPPED), ("closed", JOINED)),
    ],
)
def test_the_notices_that_are_due_are_those_of_its_phase_that_were_not_sent(
    record: Rollback, due: tuple[str, ...]
) -> None:
    assert set(notices_due(record)) == set(due)


@pytest.mark.parametrize("heard", ["opened", "opened@chat", "opened@arn:aws:sns:eu-west-1:1:people"])
def test_who_heard_that_it_began_hears_how_it_ended_though_it_was_passed_on(heard: str) -> None:
    passed_on = closed(passed_on_to="pipeline:shop/prod", notified=(heard, PASSED_ON))
    assert notices_due(passed_on) == ("closed",)
    other = closed(passed_on_to="pipeline:shop/prod", notified=("held_up@chat", PASSED_ON))
    assert notices_due(other) == ()


def test_the_last_notice_waits_for_what_follows_at_once_for_the_pipeline_so_that_it_can_report_it() -> None:
    holds = {"outcome": Outcome.ROLLED_BACK, "hold_stage": "prod"}
    assert notices_due(closed(**holds)) == ()
    assert notices_due(closed(**holds, followed_up=("HOLD",))) == ("closed",)
    assert notices_due(closed(rerun_execution_id="run-1")) == ("closed",), "a run is watched for hours"


# --- signals that joined ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "answers_none"),
    [
        ({"reason_code": Reason.PAUSED, "outcome": Outcome.SKIPPED}, False),
        ({"reason_code": Reason.PAUSED, "outcome": Outcome.SKIPPED, "requested_by": "ann"}, True),
        ({"reason_code": Reason.PAUSED, "outcome": Outcome.FAILED}, True),
        ({"reason_code": Reason.ALARM_RECOVERED, "outcome": Outcome.SKIPPED}, True),
        ({"reason_code": Reason.ALARM_RECOVERED, "outcome": Outcome.SKIPPED, "stop_requested_at": NOW}, False),
        ({"reason_code": None, "outcome": Outcome.FAILED}, False),
        ({"phase": Phase.STOPPING, "reason_code": Reason.ALARM_RECOVERED}, False),
    ],
)
def test_an_end_that_is_about_its_own_signal_alone_answers_no_other(more: dict[str, Any], answers_none: bool) -> None:
    assert (JOINED in notices_due(closed(**more))) is answers_none
