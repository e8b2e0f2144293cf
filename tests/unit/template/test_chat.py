"""The buttons of a chat channel: each command is one that the function takes, and hangs where it makes sense."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from builders import rollback
from iam import Request, allowed
from lastgood.model import Controller, Outcome, Phase
from lastgood.notice_text import CLOSED, NEEDS_HUMAN, OPENED, Place, compose
from lastgood.notices import chat_message
from lastgood.signals import ACTIONS, OPENS
from scene import Scene, scene, service_scene, stage_scene
from template_stack import Stack

ON = {"ChatButtons": "true", "SlackWorkspaceId": "T0123456789", "SlackChannelId": "C0123456789"}
ACTION = "AWS::Chatbot::CustomAction"


def stack(**parameters: str) -> Stack:
    return Stack(**ON, **parameters)


def value_of(path: str, message: dict[str, Any]) -> str:
    """What the service reads from a notice: an empty text where nothing is there."""
    found: Any = {"event": message}
    for name in path.split("."):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, str) else ""


def filled(command: str, values: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], command)


def buttons(message: dict[str, Any], made: Stack) -> dict[str, str]:
    """The commands of the buttons that a notice gets, by the buttons' texts."""
    commands = {}
    for action in made.of_type(ACTION).values():
        (attached,) = action["Attachments"]
        values = {name: value_of(path, message) for name, path in attached["Variables"].items()}
        fits = (
            values[each["VariableName"]] == each["Value"]
            if each["Operator"] == "EQUALS"
            else bool(values[each["VariableName"]])
            for each in attached["Criteria"]
        )
        if all(fits):
            assert attached["ButtonText"] not in commands
            commands[attached["ButtonText"]] = filled(action["Definition"]["CommandText"], values)
    return commands


def event_in(command: str) -> dict[str, Any]:
    found = re.fullmatch(r"lambda invoke --function-name \S+ --payload (\S+) --region us-east-1", command)
    assert found, command
    event: dict[str, Any] = json.loads(found[1])
    return event


def pressed(it: Scene, text: str, made: Stack) -> dict[str, Any]:
    """Somebody presses a button of the newest notice. Returns the function's answer."""
    message = it.local.notices()[-1]
    return it.local.handle(event_in(buttons(message, made)[text]))[0]


def notice_of(kind: str, **more: Any) -> dict[str, Any]:
    phase = {CLOSED: Phase.CLOSED, NEEDS_HUMAN: Phase.AWAITING_APPROVAL}.get(kind, Phase.VERIFYING)
    told = rollback(phase, outcome=Outcome.ROLLED_BACK if kind == CLOSED else None, **more)
    return chat_message(told, compose(told, kind, Place()))


# --- off, and on ------------------------------------------------------------------------------------------------------


def test_by_default_nothing_of_it_is_there() -> None:
    made = Stack()
    assert not made.of_type(ACTION) and not made.of_type("AWS::Chatbot::SlackChannelConfiguration")
    assert not {"ChatRole", "ChatPolicy"} & made.resources.keys()


def test_buttons_without_a_channel_are_for_one_that_is_set_up_by_hand() -> None:
    made = Stack(ChatButtons="true")
    assert len(made.of_type(ACTION)) == 6 and "ChatRole" in made.resources
    assert "SlackChannel" not in made.resources


@pytest.mark.parametrize("missing", ON)
def test_a_channel_that_is_only_half_described_is_refused(missing: str) -> None:
    given = {name: value for name, value in ON.items() if name != missing}
    assert Stack(**given).objections == ["SlackWorkspaceId and SlackChannelId go together, with ChatButtons=true."]
    assert stack().objections == []


def test_the_channel_gets_the_notices_and_every_button() -> None:
    made = stack()
    channel = made.properties("SlackChannel")
    assert channel["SnsTopicArns"] == ["<NotificationTopic>"]
    assert channel["CustomizationResourceArns"] == [f"<{name}.CustomActionArn>" for name in made.of_type(ACTION)]


# --- which button hangs where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (notice_of(NEEDS_HUMAN), {"Approve", "Reject", "Pause rollbacks here", "Open the record"}),
        (notice_of(OPENED), {"Pause rollbacks here", "Open the record"}),
        (notice_of(CLOSED), {"Pause rollbacks here", "Open the record"}),
        (notice_of(OPENED, controller=Controller.ECS), {"Pause rollbacks here", "Open the record"}),
        (notice_of(OPENED, controller=Controller.PIPELINE), {"Pause rollbacks here", "Open the record"}),
        (notice_of(CLOSED, application="", deployment_group=""), {"Open the record"}),
        ({"version": "1.0", "source": "custom", "content": {"description": "somebody else's"}}, set()),
    ],
)
def test_a_notice_gets_the_buttons_that_fit_it(message: dict[str, Any], shown: set[str]) -> None:
    assert buttons(message, stack()).keys() == shown


# --- what they do -----------------------------------------------------------------------------------------------------

APPROVE = {"LASTGOOD_MODE": "approve"}


def waiting(it: Scene) -> None:
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)
    it.alarm_fires()
    assert it.head["phase"] == "AWAITING_APPROVAL"


def test_approving_from_the_channel_rolls_back() -> None:
    with scene("Lambda", settings=APPROVE) as it:
        waiting(it)
        pressed(it, "Approve", stack())
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert (it.head["approved_by"], it.is_live(2)) == ("chat", True)


def test_rejecting_from_the_channel_touches_nothing() -> None:
    with scene("Lambda", settings=APPROVE) as it:
        waiting(it)
        pressed(it, "Reject", stack())
        assert (it.run_to_end()["reason_code"], it.is_live(3)) == ("APPROVAL_REJECTED", True)


def test_pausing_from_the_channel_holds_the_group_of_the_notice() -> None:
    with scene("Lambda", settings=APPROVE) as it:
        waiting(it)
        pressed(it, "Pause rollbacks here", stack())
        assert [item["pk"] for item in it.local.items() if item["sk"] == "PAUSE"] == ["GROUP#shop/prod"]


def test_pausing_from_the_channel_holds_the_service_of_the_notice() -> None:
    with service_scene(settings=APPROVE) as it:
        waiting(it)
        pressed(it, "Pause rollbacks here", stack())
        assert [item["pk"] for item in it.local.items() if item["sk"] == "PAUSE"] == ["GROUP#ecs:main/web"]


def test_pausing_from_the_channel_holds_the_stage_of_the_notice() -> None:
    message = notice_of(OPENED, application="shop", deployment_group="Deploy", controller=Controller.PIPELINE)
    with stage_scene() as it:
        it.local.handle(event_in(buttons(message, stack())["Pause rollbacks here"]))
        assert [item["pk"] for item in it.local.items() if item["sk"] == "PAUSE"] == ["GROUP#pipeline:shop/Deploy"]


def test_opening_the_record_from_the_channel_tells_its_steps() -> None:
    with scene("Lambda", settings=APPROVE) as it:
        waiting(it)
        answer = pressed(it, "Open the record", stack())
        assert answer["rollback_id"] == it.rollback_id and answer["steps"]


def test_with_doors_each_button_goes_through_the_alias_that_takes_it() -> None:
    for action in stack(Doors="true").of_type(ACTION).values():
        command = action["Definition"]["CommandText"]
        name = re.search(r'"action":"(\w+)"', command)
        alias = re.search(r"--function-name <(\w+)Door>", command)
        assert name and alias, command
        assert ACTIONS[name[1]].door in OPENS[alias[1].lower()]


# --- what the channel may do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("doors", ["true", "false"])
def test_whoever_is_in_the_channel_may_invoke_the_function_and_nothing_else(doors: str) -> None:
    made = stack(Doors=doors)
    assert made.properties("ChatRole")["ManagedPolicyArns"] == ["<ChatPolicy>"]
    assert made.properties("SlackChannel")["GuardrailPolicies"] == ["<ChatPolicy>"]
    policy = made.properties("ChatPolicy")["PolicyDocument"]["Statement"]
    own = ["<ReadDoor>", "<OperateDoor>", "<ApproveDoor>"] if doors == "true" else ["<RollbackFunction.Arn>"]
    role = "arn:aws:iam::123456789012:role/chat"
    for action in ("lambda:InvokeFunction", "lambda:UpdateFunctionConfiguration", "codedeploy:CreateDeployment"):
        for resource in (*own, "arn:aws:lambda:us-east-1:123456789012:function:other"):
            taken = allowed(Request(action, resource, role), [], policy)
            assert taken is (action == "lambda:InvokeFunction" and resource in own)


def test_only_the_chat_service_in_this_account_takes_the_role() -> None:
    (trust,) = stack().properties("ChatRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "chatbot.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
