"""The README and docs/ are true: their tables, trees and transcripts are what the code makes now."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from docs_from_code import attributes, pages
from lastgood.ledger.codec import stored_names
from lastgood.model import APPROVAL_MARKER, FLOOR_MARKER, TIMES, DeploymentGroup, Reason, Rejection
from lastgood.settings import Settings, variable
from lastgood.signals import ACTIONS

TEXT = (pages.ROOT / "README.md").read_text()
PROSE = {path.name: path.read_text() for path in (pages.ROOT / "README.md", *(pages.ROOT / "docs").glob("*.md"))}
KEYS = {"pk", "sk", "deployment_group_key", "day", "open_key", "next_check_at", "expires_at", "schema_version"}


@pytest.mark.parametrize(("page", "name"), [(page, name) for page, blocks in pages.PAGES.items() for name in blocks])
def test_each_block_is_what_the_code_makes(page: str, name: str) -> None:
    """If this fails: `make readme`."""
    text = (pages.ROOT / page).read_text()
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, flags=re.DOTALL)
    assert found and found[1] == pages.PAGES[page][name]()


def test_the_readme_is_short() -> None:
    assert len(TEXT.splitlines()) <= 220


def test_every_attribute_of_a_head_item_has_a_meaning_and_nothing_else_has() -> None:
    stored = {*stored_names()} | {f"seconds_to_{name}" for name in TIMES} | KEYS
    assert attributes.MEANINGS.keys() == stored


@pytest.mark.parametrize("page", [pages.ROOT / "README.md", *sorted((pages.ROOT / "docs").rglob("*.md"))], ids=str)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (pages.ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", TEXT)) <= targets


def test_the_runbook_has_a_row_for_every_reason_and_every_rejection_and_for_nothing_else() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", PROSE["runbook.md"], flags=re.MULTILINE)
    assert set(named) == {str(each) for each in (*Reason, *Rejection)}


def test_every_event_file_that_the_pages_name_exists() -> None:
    assert all((pages.ROOT / path).exists() for path in re.findall(r"events/[a-z-]+\.json", "".join(PROSE.values())))


def test_the_commands_of_the_first_screen_are_demo_and_test() -> None:
    first_screen = TEXT[:1800]
    assert "$ make demo" in first_screen and "$ make test" in first_screen


def test_every_name_in_the_table_of_judgement_is_one_that_the_code_knows() -> None:
    """Reasons, settings, actions, markers and attributes of the record: nothing else stands there in code's type."""
    table = re.search(r"These rules outlive one rollback:\n\n(.*?)\n\n", PROSE["how-it-works.md"], flags=re.DOTALL)
    assert table
    named = set(re.findall(r"`([^`]+)`", table[1]))
    known = {*Reason, *ACTIONS, FLOOR_MARKER, APPROVAL_MARKER, *stored_names()}
    known |= {variable(spec.name) for spec in fields(Settings)}
    assert {name.split("=")[0] for name in named} - {str(each) for each in known} <= {'{"action": "drill"}'}
    assert len(named) > 10


def test_the_alarm_of_the_page_on_connecting_leads_to_its_group() -> None:
    """As CloudFormation would make it: told to the topic in both directions, and routed by its tags alone."""
    found = re.search(r"```yaml\n(.*?)```", PROSE["connecting.md"], flags=re.DOTALL)
    assert found
    alarm = yaml_parse(found[1])["ErrorRate"]["Properties"]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}]
    tags = {tag["Key"]: tag["Value"] for tag in alarm["Tags"]}
    assert tags == DeploymentGroup("shop", "prod").tags
    for key in tags:
        assert PROSE["connecting.md"].count(f'"{key}"') == 3, "in CloudFormation, Terraform and CDK"


def test_the_alarm_is_told_in_both_directions_in_terraform_and_in_cdk_too() -> None:
    terraform, cdk = (
        re.search(rf"```{kind}\n(.*?)```", PROSE["connecting.md"], flags=re.DOTALL) for kind in ("hcl", "python")
    )
    assert terraform and cdk
    assert re.findall(r"(\w+) += \[var\.alarm_topic_arn\]", terraform[1]) == ["alarm_actions", "ok_actions"]
    calls = [node.func for node in ast.walk(ast.parse(cdk[1])) if isinstance(node, ast.Call)]
    called = [each.attr for each in calls if isinstance(each, ast.Attribute)]
    assert called.count("add_alarm_action") == called.count("add_ok_action") == 1 and called.count("add") == 2
