"""A name that is not there: whatever kind it is of, the command offers those that may have been meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from answering import answering, denied
from lastgood_cli.near import nearest_id
from lastgood_cli.problems import Exit
from terminal import Terminal, terminal

WHY = ("--reason", "a slip of the pen", "--as", "jane", "--yes")
ALARM = "shop-prod-error-rate"


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """Two deployment groups, a service and a pipeline; a rollback of shop/prod waits for an answer."""
    with terminal(EcsServices="main/*", PipelineStages="shop/*", Mode="approve") as made:
        made.sim.server_group("shop", "prod")
        made.sim.server_group("shop", "staging")
        made.sim.rolling_service("main", "web")
        made.sim.pipeline("shop", application="shop", group="prod", deploys_with="S3")
        for bundle in ("v1.zip", "v2.zip"):
            made.sim.release("shop", "prod", bundle, settle=True)
            made.sim.advance(86_400 if bundle == "v1.zip" else 300)
        made.alarm_fires("shop", "prod")
        yield made


def waiting(it: Terminal) -> str:
    (row,) = [row for row in it.call("status", "-o", "json").json["open"] if row["phase"] == "AWAITING_APPROVAL"]
    return str(row["rollback_id"])


def slip(rollback_id: str) -> str:
    """The id with two of its characters exchanged."""
    other = "0" if rollback_id[-3] != "0" else "1"
    return f"{rollback_id[:-3]}{other}{rollback_id[-2:]}"


# --- deployment groups, services, stages ---


@pytest.mark.parametrize(
    ("command", "typed", "offered"),
    [
        ("plan --group shop/prd", "shop/prd", "shop/prod"),
        ("plan --group shpo/prod", "shpo/prod", "shop/prod"),
        ("plan --group ecs:main/wbe", "ecs:main/wbe", "ecs:main/web"),
        ("plan --group ecs:mian/web", "ecs:mian/web", "ecs:main/web"),
        ("plan --group pipeline:sohp/Deploy", "pipeline:sohp/Deploy", "pipeline:shop/Deploy"),
        ("pause ecs:main/wbe", "ecs:main/wbe", "ecs:main/web"),
        ("rollback pipeline:shop/Depoly", "pipeline:shop/Depoly", "pipeline:shop/Deploy"),
        (f"connect {ALARM} --group shop/prd", "shop/prd", "shop/prod"),
        (f"connect {ALARM} --ecs-service main/wbe", "ecs:main/wbe", "ecs:main/web"),
        (f"connect {ALARM} --pipeline shop/Depoly", "pipeline:shop/Depoly", "pipeline:shop/Deploy"),
    ],
)
def test_a_misspelt_group_is_answered_with_the_one_that_is_like_it(
    it: Terminal, command: str, typed: str, offered: str
) -> None:
    acts = {"pause": WHY, "rollback": WHY, "connect": ("--yes",)}
    ran = it.call(*command.split(), *acts.get(command.split()[0], ()))
    assert (ran.code, f"There is no {typed} in us-east-1; there is {offered}" in ran.err) == (3, True), ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("typed", ["ecs:main/wbe", "pipeline:shop/Depoly"])
def test_doctor_offers_the_service_and_the_stage_too(it: Terminal, typed: str) -> None:
    (row,) = [row for row in it.call("-o", "json", "doctor", "-g", typed).json if "there is" in row["detail"]]
    meant = {"ecs:main/wbe": "ecs:main/web", "pipeline:shop/Depoly": "pipeline:shop/Deploy"}[typed]
    assert row["detail"].endswith(f"; there is {meant}.")
    assert row["fix"] == f"By hand: name a group that exists: lastgood doctor --group {meant}"


def test_where_the_application_is_right_and_nothing_is_like_the_group_its_groups_are_named(it: Terminal) -> None:
    assert "; there is shop/prod and shop/staging." in it.call("plan", "--group", "shop/zzz").err


@pytest.mark.parametrize(
    ("typed", "operation"),
    [
        ("shop/prd", "ListApplications"),
        ("shop/prd", "ListDeploymentGroups"),
        ("ecs:main/wbe", "ListClusters"),
        ("ecs:main/wbe", "ListServices"),
        ("pipeline:shop/Depoly", "ListPipelines"),
    ],
)
def test_whoever_may_not_list_the_names_is_told_that_it_does_not_exist_all_the_same(
    it: Terminal, typed: str, operation: str
) -> None:
    with answering({operation: denied()}):
        ran = it.call("plan", "--group", typed)
    assert (ran.code, f"There is no {typed} in us-east-1." in ran.err) == (3, True), ran.err


# --- alarms, stacks, lists ---


@pytest.mark.parametrize("command", [("plan",), ("connect", "--group", "shop/prod", "--yes")])
def test_a_misspelt_alarm_is_answered_with_the_one_that_is_like_it(it: Terminal, command: tuple[str, ...]) -> None:
    ran = it.call(*command, "shop-prod-eror-rate")
    told = f"CloudWatch knows no alarm shop-prod-eror-rate in us-east-1; there is {ALARM}."
    assert (ran.code, told in ran.err) == (3, True), ran.err


def test_doctor_offers_the_alarm_that_is_like_it(it: Terminal) -> None:
    (row,) = [row for row in it.call("-o", "json", "doctor", "shop-prod-eror-rate").json if "there is" in row["detail"]]
    assert row["detail"] == f"CloudWatch knows no alarm of that name here; there is {ALARM}."
    assert row["fix"] == f"By hand: name an alarm that exists: lastgood doctor {ALARM}"


def test_a_misspelt_stack_is_answered_with_the_stacks_that_are_lastgoods(it: Terminal) -> None:
    it.aws.client("cloudformation").create_stack(StackName="lastgod-shop", TemplateBody=json.dumps(A_QUEUE))
    ran = it.call("--stack", "lastgod", "audit", "list")
    assert "There is no stack lastgod in us-east-1; there is lastgood. Try: lastgood --stack lastgood" in ran.err
    assert ran.code == 3


A_QUEUE = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}


@pytest.mark.parametrize(
    ("which", "told"),
    [
        (("--application", "shpo"), "There is no shpo in us-east-1; there is shop."),
        (("--application", "ecs:mian"), "There is no ecs:mian in us-east-1; there is main."),
        (("--application", "pipeline:shpo"), "There is no pipeline:shpo in us-east-1; there is shop."),
        (("--alarm", "shop-prod-eror-rate"), f"no alarm shop-prod-eror-rate in us-east-1; there is {ALARM}."),
        (("--application", "shop", "--outcome", "FAILED"), ""),
        (("--application", "s*p", "--outcome", "FAILED"), ""),
        (("--alarm", ALARM, "--outcome", "FAILED"), ""),
        (("--alarm", "*-eror-rate"), ""),
    ],
)
def test_an_empty_list_says_which_name_is_unknown(it: Terminal, which: tuple[str, ...], told: str) -> None:
    ran = it.call("audit", "list", *which)
    assert "No rollback from" in ran.err + ran.out
    assert (told in ran.err + ran.out) if told else ("there is" not in (ran.err + ran.out).lower()), ran.err


# --- ids of rollbacks ---


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_a_misspelt_id_is_answered_with_the_rollback_that_waits(it: Terminal, answer: str) -> None:
    meant, asked = waiting(it), len(it.invoked)
    typed = slip(meant)
    ran = it.call(answer, typed, *WHY)
    assert ran.code == Exit.NOT_FOUND
    assert ran.err == (
        f"lastgood: There is no rollback {typed}; waiting for an answer: {meant}. Try: lastgood {answer} {meant}\n"
    )
    assert (waiting(it), len(it.invoked)) == (meant, asked)


@pytest.mark.parametrize("typed", ["rb-19700101T000000000Z-ffffffffffff", "zzzzzz"])
def test_an_id_that_is_like_none_is_answered_with_those_that_wait(it: Terminal, typed: str) -> None:
    assert f"waiting for an answer: {waiting(it)}." in it.call("approve", typed, *WHY).err


@pytest.mark.parametrize("command", [("audit", "show"), ("explain",), ("status",)])
def test_a_misspelt_id_is_answered_with_the_ids_that_are_like_it(it: Terminal, command: tuple[str, ...]) -> None:
    meant = waiting(it)
    for typed in (slip(meant), slip(meant)[-8:]):
        ran = it.call(*command, typed)
        assert (ran.code, f"There is no rollback {typed} in the table {it.table}; there is {meant}" in ran.err) == (
            3,
            True,
        )


IDS = (
    "rb-20250303T090000123Z-0123456789ab",
    "rb-20250303T090000123Z-ba9876543210",
    "rb-20250401T120000000Z-0123456789ab",
)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("rb-20250303T090000123Z-0123456788ab", IDS[0]),
        ("rb-20250303T09000123Z-ba9876543210", IDS[1]),
        ("ba987654321", IDS[1]),
        ("98765432l0", IDS[1]),
        ("rb-1", None),
        ("ffff", None),
    ],
)
def test_an_id_is_near_by_its_whole_or_by_its_ending(typed: str, first: Any) -> None:
    assert (nearest_id(typed, IDS) or [None])[0] == first
