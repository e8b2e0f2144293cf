"""What is said, and done, when no revision can go back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, by_operator, group, observation, release, rollback, running
from judging import BAD, BAD_RUNNING, GOOD, first_step, refused
from lastgood.judgement.case import Case
from lastgood.judgement.no_target import good_revision
from lastgood.judgement.steps import Decision, Stop
from lastgood.model import (
    ComputePlatform,
    Controls,
    Deployment,
    Floor,
    Image,
    Mode,
    Outcome,
    Policy,
    Reason,
    Revision,
    Rollback,
    StopWithoutTarget,
)

MOVING = replace(GOOD, revision=Revision("AppSpecContent", "main", moves="main is a branch"))


def asked(
    *history: Deployment, policy: Policy | None = None, record: Rollback | None = None, **seen: Any
) -> Decision | None:
    return good_revision(Case(record or rollback(), observation(*history, **seen), policy or Policy(), NOW))


def why(*history: Deployment, reason: Reason = Reason.NO_GOOD_REVISION, **more: Any) -> str:
    return refused(asked(*history, **more), reason, Outcome.BLOCKED).explanation


# --- why --------------------------------------------------------------------------------------------------------------


def test_a_content_that_nobody_knows_is_named_as_what_was_live_before() -> None:
    assert why(BAD, MOVING) == "Nobody knows what d-1 deployed, which was live before: main is a branch."


def test_settings_that_are_put_back_by_hand_are_named_as_what_was_live_before() -> None:
    web = (Image("web", "shop/web@sha256:1", "sha256:1"),)
    good, bad = (
        replace(made, revision=Revision("TaskDefinition", "task:1", other_parts=parts, images=web))
        for made, parts in ((GOOD, "two subnets"), (BAD, "one subnet"))
    )
    assert why(bad, good).startswith("d-1 was live before: It differs from the suspect in the service's own settings")


def test_what_can_no_longer_be_deployed_says_why() -> None:
    assert "can be deployed any more: version 7 is deleted" in why(BAD, GOOD, unusable={"d-1": "version 7 is deleted"})


def test_the_floor_in_the_way_says_who_made_it() -> None:
    floor = Controls(floor=Floor("d-2", BAD.created_at, "ann"))
    said = why(BAD, GOOD, controls=floor, reason=Reason.BELOW_FLOOR)
    assert said.startswith("Only revisions below the floor are left (d-1: ")
    assert "The floor comes from ann." in said


@pytest.mark.parametrize(
    ("controls", "reason", "told"),
    [
        (Controls(floor=Floor("d-2", BAD.created_at, "ann")), Reason.BELOW_FLOOR, "The floor comes from ann."),
        (Controls(known_bad={"v1": "rb-7"}), Reason.KNOWN_BAD, "Known bad: rb-7."),
    ],
)
def test_what_an_operator_asked_for_says_why_it_cannot_go_back(controls: Controls, reason: Reason, told: str) -> None:
    record = by_operator(to_deployment_id="d-1")
    said = why(BAD, GOOD, controls=controls, record=record, reason=reason)
    assert said.startswith("d-1 cannot be put back: ")
    assert said.endswith(told)


def test_what_an_operator_asked_for_and_is_not_there_is_told_as_that() -> None:
    record = by_operator(to_deployment_id="d-77")
    assert why(BAD, GOOD, record=record) == "d-77 is not in the recent history of shop/prod."


# --- what is done -----------------------------------------------------------------------------------------------------

NATIVE = Policy(stop_without_target=StopWithoutTarget.FIRST_DEPLOYMENT)


def test_the_deployer_goes_back_to_what_was_live_though_nobody_knows_what_it_is() -> None:
    found = asked(BAD_RUNNING, MOVING, policy=NATIVE)
    assert isinstance(found, Stop)
    assert (found.deployment, found.native, found.then) == (BAD_RUNNING, True, None)
    assert found.suspects == (BAD_RUNNING,)
    assert "d-2 is still running: it is stopped, CodeDeploy flips the traffic back by itself, whatever that is." in (
        found.explanation
    )


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"policy": replace(NATIVE, native_rollback=False)}, id="the settings forbid it"),
        pytest.param({"policy": replace(NATIVE, mode=Mode.APPROVE)}, id="people are asked first"),
        pytest.param({"policy": Policy(stop_without_target=StopWithoutTarget.NEVER)}, id="nothing is stopped so"),
        pytest.param({"record": by_operator(to_deployment_id="d-1")}, id="an operator names what goes back"),
        pytest.param({"record": rollback(dry_run=True)}, id="a dry run"),
        pytest.param({"group": group(last_successful_id="d-0")}, id="it would go elsewhere"),
        pytest.param({"controls": Controls(known_bad={"main": "rb-7"})}, id="that is known bad by its name"),
        pytest.param({"controls": Controls(floor=Floor("d-2", BAD_RUNNING.created_at, "ann"))}, id="below the floor"),
        pytest.param(
            {"group": group(ComputePlatform.SERVER, last_successful_id="d-1")}, id="it moves more than traffic"
        ),
    ],
)
def test_the_deployers_own_rollback_is_asked_for_only_where_nothing_speaks_against_it(more: dict[str, Any]) -> None:
    found = asked(BAD_RUNNING, MOVING, **{"policy": NATIVE, **more})
    assert not (isinstance(found, Stop) and found.native)


def test_a_floor_that_is_itself_what_was_live_is_no_objection() -> None:
    found = asked(BAD_RUNNING, MOVING, policy=NATIVE, controls=Controls(floor=Floor("d-1", MOVING.created_at, "ann")))
    assert isinstance(found, Stop) and found.native


def test_a_first_deployment_that_runs_is_stopped_and_people_are_called() -> None:
    found = first_step(running("d-1", "v1"), policy=NATIVE)
    assert isinstance(found, Stop)
    assert (found.native, found.then, found.needs_human) == (False, Outcome.BLOCKED, True)
    assert found.suspects == (running("d-1", "v1"),)


def test_where_something_can_go_back_nothing_is_said() -> None:
    assert asked(BAD, GOOD) is None
    assert asked(release("d-3", "v3", -1), BAD, GOOD) is None
