"""An action that lastgood does not know is added by one row and the function that carries it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from docs_from_code.example_events import example_events
from docs_from_code.manual import action_table
from lastgood.model import DeploymentGroup
from lastgood.results import answer
from lastgood.signals import ACTIONS, GROUP, Act, Door, OperatorRequest
from lastgood_cli.acts import commands, event_of, question_of
from scene import Scene, scene

ASKED = {"action": "applaud", "application": "shop", "deployment_group": "prod", "requested_by": "ann"}


def applaud(request: OperatorRequest) -> dict[str, Any]:
    """Say thanks to those who released."""
    return answer(request.action, f"{request.requested_by} applauds {request.deployment_group}: {request.reason}")


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A scene in which the row is in the table."""
    row = Act(
        name="applaud",
        about="Applaud those who released to a deployment group.",
        does=lambda do: applaud,
        required=(*GROUP, "reason", "requested_by"),
        example={"reason": "no alarm all week"},
        command="applaud",
        question="Applaud {group}?",
    )
    monkeypatch.setitem(ACTIONS, row.name, row)
    with scene("Server") as it:
        yield it


def test_the_function_carries_the_new_action_out(it: Scene) -> None:
    (found,) = it.local.handle({**ASKED, "reason": "quiet"})
    assert found["explanation"] == "ann applauds prod: quiet"


@pytest.mark.parametrize(
    ("more", "code"), [({}, "missing_field"), ({"reason": "quiet", "until": "2h"}, "unknown_field")]
)
def test_its_fields_are_those_of_its_row(it: Scene, more: dict[str, str], code: str) -> None:
    (found,) = it.local.handle({**ASKED, **more})
    assert found["refused"] == code
    assert '"reason": "no alarm all week"' in found["hint"]


def test_the_new_action_is_taken_only_through_the_door_of_its_row(it: Scene) -> None:
    it.local.restart(LASTGOOD_DOORS="true")
    (found,) = it.local.handle({**ASKED, "reason": "quiet"})
    assert (found["refused"], str(Door.OPERATE) in found["explanation"]) == ("wrong_door", True)


def test_the_command_the_example_event_and_the_page_come_from_its_row(it: Scene) -> None:
    assert commands()["applaud"].help == "Applaud those who released to a deployment group."
    assert example_events()["manual-applaud.json"]["reason"] == "no alarm all week"
    assert "| `applaud` | Applaud those who released" in action_table()
    given = {"group": DeploymentGroup("shop", "prod"), "reason": "quiet"}
    assert question_of(ACTIONS["applaud"], given) == "Applaud shop/prod?"
    assert event_of(ACTIONS["applaud"], given, "ann") == {**ASKED, "reason": "quiet"}
