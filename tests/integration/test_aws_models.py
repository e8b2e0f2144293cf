"""What the runtime's botocore does not know is told beforehand, and never an error in the middle of a rollback."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from botocore.model import ServiceModel

from lastgood import aws_models
from lastgood.clients import call
from lastgood.errors import RefusedError
from scene import Scene, scene
from template_stack import ROOT

SHIPPED = ROOT / "src" / "function" / "lastgood"


def operations_called() -> set[str]:
    """The operations that the code names: `call(client, "get_item", …)`."""
    found: set[str] = set()
    for path in SHIPPED.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="call"), args=[_, ast.Constant(value=str(operation)), *_]):
                    found.add(operation.title().replace("_", ""))
    return found


@contextmanager
def older_botocore(*operations: str) -> Iterator[None]:
    """A botocore that does not know these operations yet."""

    def known(model: Any) -> list[str]:
        return [name for name in model._service_description["operations"] if name not in operations]

    with patch.object(ServiceModel, "operation_names", property(known)):
        yield


def test_every_operation_that_the_code_calls_is_written_down_and_no_other() -> None:
    assert operations_called() == {name for needed in aws_models.NEEDED.values() for name in needed}


def test_the_botocore_of_the_tests_knows_all_of_it() -> None:
    with scene("Lambda") as it:
        (answer,) = it.local.handle({"action": "health"})
        assert (answer["healthy"], answer["runtime_lacks"]) == (True, [])


def test_what_an_older_botocore_lacks_is_in_health_and_in_the_drill_and_people_are_told() -> None:
    with scene("Lambda") as it, older_botocore("StopServiceDeployment"):
        (health,) = it.local.handle({"action": "health"})
        (drill,) = it.local.handle({"action": "drill"})
        assert health["healthy"] is False
        assert "ecs StopServiceDeployment" in health["runtime_lacks"][0]
        assert health["runtime_lacks"][0] in drill["problems"]
        assert "StopServiceDeployment" in json.dumps(it.local.notices())


@contextmanager
def botocore_before(shape: str, name: str) -> Iterator[None]:
    """A botocore in whose models a shape does not have this member, or this value, yet."""
    known = ServiceModel.shape_for

    def older(model: Any, shape_name: str, *more: Any, **named: Any) -> Any:
        found = known(model, shape_name, *more, **named)
        if shape_name != shape:
            return found
        if found.type_name == "structure":
            members = {each: member for each, member in found.members.items() if each != name}
            return SimpleNamespace(type_name="structure", members=members)
        return SimpleNamespace(type_name="string", enum=[each for each in found.enum if each != name])

    with patch.object(ServiceModel, "shape_for", older):
        yield


@pytest.mark.parametrize(
    ("shape", "name"),
    [(shape, name) for shapes in aws_models.FEATURES.values() for shape, names in shapes.items() for name in names],
)
def test_each_feature_that_an_older_botocore_does_not_see_is_named_by_health_with_what_follows(
    shape: str, name: str
) -> None:
    with scene("Lambda") as it, botocore_before(shape, name):
        (health,) = it.local.handle({"action": "health"})
        (told,) = health["runtime_lacks"]
        assert f"{shape} {name}: " in told and health["healthy"]


def test_what_an_older_botocore_does_not_see_is_told_once_by_the_drill_and_not_each_morning() -> None:
    with scene("Lambda") as it, botocore_before("AlarmType", "LogAlarm"):
        (first,) = it.local.handle({"action": "drill"})
        assert [each for each in first["problems"] if "LogAlarm" in each]
        it.sim.advance(86_400)
        (second,) = it.local.handle({"action": "drill"})
        assert not [each for each in second["problems"] if "LogAlarm" in each]
        assert [each for each in second["warnings"] if "LogAlarm" in each]


def test_a_shape_that_an_older_botocore_lacks_as_a_whole_is_named() -> None:
    older = property(lambda model: [each for each in model._shape_resolver._shape_map if "LifecycleHook" not in each])
    with scene("Lambda") as it, patch.object(ServiceModel, "shape_names", older):
        (health,) = it.local.handle({"action": "health"})
        assert "DeploymentLifecycleHookAction ROLLBACK" in health["runtime_lacks"][0]


def test_a_member_that_is_not_known_is_named_too() -> None:
    members = {"StopDeployment": SimpleNamespace(input_shape=SimpleNamespace(members={"deploymentId": None}))}
    model = SimpleNamespace(
        service_name="codedeploy", operation_names=["StopDeployment"], operation_model=members.__getitem__
    )
    client = SimpleNamespace(meta=SimpleNamespace(service_model=model))
    needed = {"codedeploy": {"StopDeployment": ("autoRollbackEnabled",)}}
    with patch.object(aws_models, "NEEDED", needed):
        (told,) = aws_models.missing(SimpleNamespace(codedeploy=client))
    assert "codedeploy StopDeployment.autoRollbackEnabled" in told


def test_calling_what_botocore_does_not_know_is_a_refusal_with_words() -> None:
    with pytest.raises(RefusedError, match="does not know it") as refused:
        call(SimpleNamespace(), "stop_service_deployment")
    assert refused.value.code == "UnknownOperation"


# --- registering a task definition again ------------------------------------------------------------------------------


@contextmanager
def aws_sends(**members: Any) -> Iterator[None]:
    """AWS answers with members of a task definition that this botocore does not know."""
    before = aws_models._note_unknown

    def note(http_response: Any, parsed: dict[str, Any], **more: Any) -> None:
        sent = json.loads(http_response.content)
        if "taskDefinition" in sent:
            sent["taskDefinition"] |= members
        raw = SimpleNamespace(status_code=http_response.status_code, content=json.dumps(sent).encode())
        before(raw, parsed, **more)

    with patch.object(aws_models, "_note_unknown", note):
        yield


def tidied_away(it: Scene) -> dict[str, Any]:
    """The good task definition was deregistered after the bad one was released. The rollback's head at its end."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)
    it.sim.engine.ecs_world.deregister("web:2", it.now())
    it.alarm_fires()
    return it.run_to_end()


def test_a_task_definition_is_not_registered_again_without_what_botocore_does_not_know() -> None:
    """A task that was isolated would come back without its isolation. Nothing is stopped for it either."""
    with aws_sends(enclaveOfTomorrow={"isolated": True}), scene("ECS", task_definitions=3, current=3) as it:
        head = tidied_away(it)
        assert not it.calls("RegisterTaskDefinition")
        assert head["outcome"] == "ROLLED_BACK" and it.is_live(1), head["explanation"]
        assert any("taskDefinition.enclaveOfTomorrow" in each["explanation"] for each in head["candidates"])


def test_a_task_definition_that_botocore_knows_whole_is_registered_again() -> None:
    with aws_sends(enclaveOfTomorrow={}), scene("ECS", task_definitions=3, current=3) as it:
        assert tidied_away(it)["outcome"] == "ROLLED_BACK"
        assert len(it.calls("RegisterTaskDefinition")) == 1


@pytest.mark.parametrize(
    ("sent", "parsed", "unknown"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": {"c": 2}}, {"a": 1}, ["b"]),
        ({"t": {"x": [{"n": 1, "new": True}, {"n": 2}]}}, {"t": {"x": [{"n": 1}, {"n": 2}]}}, ["t.x.new"]),
        ({"t": {"none": None, "list": [], "text": "", "map": {}}}, {"t": {}}, []),
        ({"t": {"no": False, "zero": 0}}, {"t": {}}, ["t.no", "t.zero"]),
    ],
)
def test_what_botocore_drops_of_an_answer_is_named(sent: Any, parsed: Any, unknown: list[str]) -> None:
    answer = SimpleNamespace(status_code=200, content=json.dumps(sent).encode())
    aws_models._note_unknown(answer, parsed)
    assert parsed.get(aws_models.UNKNOWN_MEMBERS, []) == unknown
