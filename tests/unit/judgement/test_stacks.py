"""What people can do with a stack in each of its states, and what a stack believes in that was passed over."""

from __future__ import annotations

import pytest

from builders import NOW, rollback
from lastgood.judgement.stacks import advice, can_be_updated, command_for, debt, left_alone, name_of
from lastgood.model import ComputePlatform, Controller, Origin

ROOT = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1"
NESTED = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-Function/2"
AWS = "aws cloudformation --region eu-west-1"


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("UPDATE_IN_PROGRESS", f"{AWS} cancel-update-stack --stack-name {ROOT}"),
        (
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            f"{AWS} wait stack-update-complete --stack-name {ROOT} && "
            f"{AWS} deploy --stack-name shop --template-file THE-LAST-GOOD-TEMPLATE",
        ),
        ("UPDATE_ROLLBACK_IN_PROGRESS", f"{AWS} wait stack-rollback-complete --stack-name {ROOT}"),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", f"{AWS} wait stack-rollback-complete --stack-name {ROOT}"),
        ("UPDATE_FAILED", f"{AWS} rollback-stack --stack-name {ROOT}"),
        ("UPDATE_ROLLBACK_FAILED", f"{AWS} continue-update-rollback --stack-name {ROOT}"),
        *(
            (status, f"{AWS} deploy --stack-name shop --template-file THE-LAST-GOOD-TEMPLATE")
            for status in ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_COMPLETE", "IMPORT_COMPLETE")
        ),
        *(
            (status, "")
            for status in ("CREATE_IN_PROGRESS", "CREATE_FAILED", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS")
        ),
        ("", f"{AWS} describe-stacks --stack-name {ROOT}"),
    ],
)
def test_people_get_the_command_that_the_stacks_state_allows(status: str, command: str) -> None:
    origin = Origin(ROOT, status)
    assert command_for(ROOT, origin) == command
    assert advice(ROOT, origin).endswith(command or ".")
    assert status in advice(ROOT, origin)


@pytest.mark.parametrize(
    ("status", "updatable"),
    [
        ("", True),
        ("UPDATE_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", True),
        ("UPDATE_IN_PROGRESS", True),
        ("UPDATE_FAILED", False),
        ("UPDATE_ROLLBACK_IN_PROGRESS", False),
        ("DELETE_IN_PROGRESS", False),
    ],
)
def test_a_pipeline_may_deploy_to_a_stack_that_is_at_rest_or_on_its_way_there(status: str, updatable: bool) -> None:
    assert can_be_updated(status) is updatable


def test_a_nested_stack_is_acted_on_by_the_outermost_one() -> None:
    for status in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"):
        assert command_for(NESTED, Origin(NESTED, status, ROOT)).endswith(ROOT)


def test_a_stack_whose_state_was_not_asked_for_is_looked_at_first_and_an_unnamed_one_cannot_be() -> None:
    assert command_for(ROOT, None) == command_for(ROOT, Origin(NESTED, "UPDATE_FAILED"))
    assert "describe-stacks" in command_for(ROOT, None)
    assert command_for("the stack that made it", None) == ""


@pytest.mark.parametrize(
    ("controller", "platform", "said", "follows"),
    [
        (Controller.CODE_DEPLOY, ComputePlatform.LAMBDA, "believes in v3", "INVALID_LAMBDA_CONFIGURATION"),
        (Controller.ECS, ComputePlatform.ECS, "believes in v3", "over it"),
        (Controller.CODE_DEPLOY, ComputePlatform.ECS, "cannot change its task definition", "names what is live"),
    ],
)
def test_what_was_moved_without_its_stack_is_a_debt(
    controller: Controller, platform: ComputePlatform, said: str, follows: str
) -> None:
    record = rollback(suspect_stack=ROOT, suspect_revision="v3", compute_platform=platform, controller=controller)
    assert ROOT in debt(record) and said in debt(record)
    assert follows in debt(record)
    assert debt(record.changed(suspect_stack="")) == ""


def test_what_a_stack_cannot_release_is_left_to_it_only_while_its_own_update_is_cancelled() -> None:
    service = {"compute_platform": ComputePlatform.ECS, "suspect_stack": ROOT}
    assert not left_alone(rollback(**service))
    assert left_alone(rollback(**service, stack_cancel_requested_at=NOW))
    assert left_alone(rollback(**service, controller=Controller.ECS))


def test_what_a_stack_holds_or_may_hold_is_left_alone_unless_somebody_insists() -> None:
    for held in ({"suspect_stack": ROOT}, {"origin": "unknown"}):
        assert left_alone(rollback(**held))
        assert not left_alone(rollback(**held, force=True))
    assert not left_alone(rollback(origin="none"))


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (Origin(ROOT, "UPDATE_FAILED"), "It is UPDATE_FAILED. Its update failed and is not undone: roll it back to"),
        (Origin(ROOT), "See its state first, which says what is possible: aws cloudformation"),
        (None, "See its state first, which says what is possible: aws cloudformation"),
        (Origin(NESTED, "UPDATE_FAILED"), "See its state first"),
        (Origin(ROOT, "DELETE_IN_PROGRESS"), "It is DELETE_IN_PROGRESS. In this state CloudFormation offers nothing"),
    ],
)
def test_people_are_told_the_state_and_the_way(origin: Origin | None, told: str) -> None:
    assert advice(ROOT, origin).startswith(told)
    assert advice(ROOT, Origin(ROOT, "DELETE_IN_PROGRESS")).endswith("back.")


def test_a_stack_is_called_by_the_name_in_its_id() -> None:
    assert (name_of(ROOT), name_of("shop")) == ("shop", "shop")
    odd = ROOT.replace("shop", "shop:blue")
    assert command_for(odd, Origin(odd, "UPDATE_FAILED")) == f"{AWS} rollback-stack --stack-name {odd}"
    assert command_for("a:b:c:d:e", None) == ""


def test_a_stack_of_a_stack_set_is_updated_where_the_set_is_administered() -> None:
    member = ROOT.replace("stack/shop/", "stack/StackSet-shop-1f/")
    assert command_for(member, Origin(member, "UPDATE_COMPLETE")) == ""
    assert "stack set" in advice(member, Origin(member, "UPDATE_COMPLETE"))
    assert command_for(member, Origin(member, "UPDATE_IN_PROGRESS")).endswith(member)
