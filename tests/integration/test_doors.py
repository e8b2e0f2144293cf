"""`LASTGOOD_DOORS`: what operators ask is taken only through the alias that opens it, and the record says which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lastgood.signals import ACTIONS, OPENS
from lastgood.signals.actions import alias_of
from lastgood_cli.asking import door
from lastgood_cli.context import Session
from scene import Scene, scene
from stage.local import event

ON = {"LASTGOOD_DOORS": "true"}
APPROVE_ON = {**ON, "LASTGOOD_MODE": "approve"}


def bad_release(it: Scene) -> None:
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)


def rollback(**changes: Any) -> dict[str, Any]:
    return {**event("manual-rollback"), "requested_by": "anna", **changes}


def ask(it: Scene, what: dict[str, Any], through: str = "") -> dict[str, Any]:
    (answer,) = it.local.handle(what, door=through)
    it.rollback_id = answer.get("rollback_id") or it.rollback_id
    return answer


def waiting(it: Scene, **request: Any) -> str:
    """A rollback that waits for approval, asked for by a person."""
    bad_release(it)
    found = ask(it, rollback(**request), "operate")
    assert found["phase"] == "AWAITING_APPROVAL"
    return str(found["rollback_id"])


def approve(rollback_id: str, who: str) -> dict[str, Any]:
    return {"action": "approve", "rollback_id": rollback_id, "requested_by": who}


@pytest.mark.parametrize("through", ["", "read", "approve", "$LATEST", "7", "Operate"])
def test_a_rollback_is_taken_through_operate_only(through: str) -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        answer = ask(it, rollback(), through)
        assert answer["refused"] == "wrong_door"
        assert "alias operate" in answer["explanation"]
        assert it.is_live(3) and not it.calls("CreateDeployment")[3:]
        assert ask(it, rollback(), "operate")["phase"] == "VERIFYING"


@pytest.mark.parametrize("action", [name for name, act in ACTIONS.items() if act.door])
def test_each_action_is_refused_through_every_alias_that_does_not_open_it(action: str) -> None:
    with scene("Lambda", settings=ON) as it:
        for through in ("", *OPENS):
            answer = ask(it, event(f"manual-{action.replace('_', '-')}"), through)
            opened = ACTIONS[action].door in OPENS.get(through, ())
            assert (answer.get("refused") == "wrong_door") is not opened, (through, answer)


@pytest.mark.parametrize("action", [name for name, act in ACTIONS.items() if not act.door])
def test_the_schedules_errands_need_no_alias(action: str) -> None:
    with scene("Lambda", settings=ON) as it:
        assert "refused" not in ask(it, {"action": action})


def test_an_alarm_needs_no_alias_to_roll_back() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


def test_whoever_operates_may_not_approve_and_the_record_names_both_doors() -> None:
    with scene("Lambda", settings=APPROVE_ON) as it:
        found = waiting(it)
        assert ask(it, approve(found, "ben"), "operate")["refused"] == "wrong_door"
        assert ask(it, approve(found, "ben"), "approve")["phase"] == "VERIFYING"
        said = " ".join(step["explanation"] for step in it.steps)
        assert "ben approved it (through the alias approve)" in said
        assert "(through the alias operate)" in it.head["request_reason"]


@pytest.mark.parametrize("who", ["anna", " Anna ", "\uff41nna", "an na", "anna\u200b"])
def test_whoever_asked_for_a_rollback_may_not_approve_it(who: str) -> None:
    with scene("Lambda", settings=APPROVE_ON) as it:
        found = waiting(it)
        assert ask(it, approve(found, who), "approve")["refused"] == "own_request"
        assert it.head["phase"] == "AWAITING_APPROVAL" and it.is_live(3)


def test_a_pause_through_operate_stops_everything_without_any_right_to_deploy() -> None:
    with scene("Lambda", settings=ON) as it:
        bad_release(it)
        pause = {"action": "pause", "requested_by": "anna", "reason": "it rolls back what is fine"}
        assert ask(it, pause)["refused"] == "wrong_door"
        assert "refused" not in ask(it, pause, "operate")
        it.alarm_fires()
        assert (it.head["outcome"], it.head["reason_code"]) == ("SKIPPED", "PAUSED")
        (item,) = [item for item in it.local.items() if item["sk"] == "PAUSE"]
        assert item["explanation"].endswith("(through the alias operate)")


def test_without_the_setting_there_is_one_door_as_before() -> None:
    with scene("Lambda", settings={"LASTGOOD_MODE": "approve"}) as it:
        bad_release(it)
        found = ask(it, rollback())
        assert found["phase"] == "AWAITING_APPROVAL"
        assert ask(it, approve(found["rollback_id"], "anna"))["phase"] == "VERIFYING"
        assert "alias" not in it.head["request_reason"]


@pytest.mark.parametrize(
    ("arn", "alias"),
    [
        ("arn:aws:lambda:us-east-1:123456789012:function:lastgood:operate", "operate"),
        ("arn:aws:lambda:us-east-1:123456789012:function:lastgood", ""),
        ("", ""),
    ],
)
def test_the_alias_is_read_from_the_invoked_arn(arn: str, alias: str) -> None:
    assert alias_of(arn) == alias


def session(option: str, doors: str) -> Session:
    return cast(Session, SimpleNamespace(function_option=option, parameters={"Doors": doors}))


def test_the_command_takes_the_door_of_what_it_asks_where_the_stack_has_doors() -> None:
    assert door(session("", "true"), {"action": "approve"}) == {"Qualifier": "approve"}
    assert door(session("", "true"), {"action": "health"}) == {}
    assert door(session("", "false"), {"action": "approve"}) == {}
    assert door(session("arn:aws:lambda:…:operate", "true"), {"action": "approve"}) == {}
