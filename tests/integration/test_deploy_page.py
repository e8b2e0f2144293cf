"""Every command of the page on deploying, upgrading and uninstalling, played as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from samcli.commands.build.command import cli as sam_build
from samcli.commands.delete.command import cli as sam_delete
from samcli.commands.deploy.command import cli as sam_deploy

from answering import answering
from aws_cli import call_aws
from integration.test_cli_judgement import two_releases, unknown_to_moto
from lastgood_cli.stack_template import StackTemplate
from stage.local import ROOT
from terminal import ACTS, Terminal, terminal
from typing_it import can_be_typed

PAGE, CONNECTING = ((ROOT / "docs" / name).read_text() for name in ("deploy.md", "connecting.md"))
SAM = {"build": sam_build, "deploy": sam_deploy, "delete": sam_delete}


def commands(heading: str = "") -> list[str]:
    """The commands of a section, or of this page and the one on connecting: the lines of blocks, and those in texts."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] if heading else PAGE + CONNECTING
    assert section, heading
    found = re.findall(r"^\$ (.+)$|`((?:aws|git|lastgood|make|pipx|sam) [^`]+)`", section, flags=re.MULTILINE)
    return [block or inline for block, inline in found]


@pytest.fixture
def it() -> Iterator[Terminal]:
    """The stack, with a group that has a bad release, and a rollback of it in the record."""
    with terminal() as made:
        two_releases(made)
        yield made


def overrides(line: str) -> dict[str, str]:
    """The parameters that a line of `make deploy` or `sam deploy` changes."""
    words = [word for each in shlex.split(line) for word in each.removeprefix("OVERRIDES=").split()]
    names = {"MODE": "Mode", "EMAIL": "NotificationEmail"}
    pairs = (word.split("=", 1) for word in words if "=" in word and not word.startswith("-"))
    return {names.get(name, name): value for name, value in pairs}


@pytest.mark.parametrize("line", [each for each in commands() if each.startswith("sam ")])
def test_sam_takes_every_option_of_the_page(line: str) -> None:
    _, name, *words = shlex.split(line)
    known = {option for each in SAM[name].params for option in (*each.opts, *each.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("line", [each for each in commands() if re.match(r"make deploy|sam deploy", each)])
def test_cloudformation_takes_every_parameter_of_the_page(line: str) -> None:
    assert StackTemplate(ACTS | overrides(line)).objections() == []


@pytest.mark.parametrize("line", [each for each in commands() if each.startswith("lastgood ")])
def test_every_command_of_the_page_can_be_typed(line: str) -> None:
    can_be_typed(line.replace(" …", " because"))


def test_the_first_stack_observes_then_asks_and_acts_only_on_what_is_named(it: Terminal) -> None:
    it.deploy(Mode="observe", ActOnEverything="false")
    for line in (each for each in commands("The first stack") if each.startswith("make deploy ")):
        it.deploy(**overrides(line))
    told = it.aws.client("lambda").get_function_configuration(FunctionName=it.function)["Environment"]["Variables"]
    assert (told["LASTGOOD_MODE"], told["LASTGOOD_ALLOWED_GROUPS"]) == ("approve", "shop/prod")
    people = it.aws.client("sns").list_subscriptions_by_topic(TopicArn=it.outputs["NotificationTopicArn"])
    assert "ops@example.com" in {each["Endpoint"] for each in people["Subscriptions"]}


def test_what_the_stack_made_is_told_by_the_pages_command(it: Terminal) -> None:
    (line,) = [each for each in commands("The first stack") if each.startswith("aws ")]
    told = call_aws(line, it.aws.client)
    assert {each["OutputKey"] for each in told} >= {"AlarmTopicArn", "RollbackFunctionName", "AuditTableName"}
    assert it.call("status").code == 0


def test_lastgood_is_stopped_by_a_pause_and_by_the_kill_switch(it: Terminal) -> None:
    section = commands("Roll lastgood itself back")
    (pause,) = [each for each in section if each.startswith("lastgood pause")]
    assert it.call(*shlex.split(pause.replace("…", "'it misbehaves'"))[1:], "--yes").code == 0
    (kill,) = [each for each in PAGE.split("`") if each.startswith("OVERRIDES=KillSwitch")]
    it.deploy(**overrides(kill))
    with answering(unknown_to_moto(it)):
        rows = it.call("doctor", "-o", "json").json
    wrong = {row["check"] for row in rows if row["ok"] is False}
    assert wrong == {"it is switched on", "nothing is paused"}


def test_uninstalling_keeps_the_record_until_its_table_is_deleted_by_two_commands(
    it: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollback_id = it.alarm_fires()
    it.minutes(10)
    export, delete, *rest = [each.replace("TABLE", it.table) for each in commands("Uninstall")]
    assert delete == "sam delete --stack-name lastgood"
    monkeypatch.chdir(tmp_path)
    # The export's span is a year back from now; the simulated clock is in the same year.
    assert it.call(*shlex.split(export)[1:]).code == 0
    assert rollback_id in (tmp_path / "lastgood.jsonl").read_text()
    unprotect, drop, old = [each for each in rest if it.table in each]
    without_a_stack = it.call("--stack", "gone", *shlex.split(old)[1:], "-o", "json")
    assert [row["rollback_id"] for row in without_a_stack.json] == [rollback_id]
    with pytest.raises(ClientError, match="can't be deleted"):
        call_aws(drop, it.aws.client)
    call_aws(unprotect, it.aws.client)
    call_aws(drop, it.aws.client)
    assert it.table not in it.aws.client("dynamodb").list_tables()["TableNames"]


def test_the_records_outlive_the_stack() -> None:
    made: dict[str, Any] = StackTemplate().resources()
    kept = {name for name, each in made.items() if each.get("DeletionPolicy", "Delete").startswith("Retain")}
    assert {"AuditTable", "DeadLetterQueue"} <= kept
    assert {made[name]["Type"] for name in kept} >= {"AWS::Logs::LogGroup"}
