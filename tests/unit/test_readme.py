"""The README is true: its tables, its tree and its transcript are what the code makes now."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from docs_from_code import readme
from lastgood.model import APPROVAL_MARKER, FLOOR_MARKER, Reason, Rollback
from lastgood.settings import Settings, variable
from lastgood.signals import ACTIONS

TEXT = (readme.ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", readme.BLOCKS)
def test_each_block_is_what_the_code_makes(name: str) -> None:
    """If this fails: `make readme`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", TEXT, flags=re.DOTALL)
    assert found and found[1] == readme.BLOCKS[name]()


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (readme.ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", TEXT)) <= targets


def test_every_reason_that_the_runbook_names_exists() -> None:
    runbook = TEXT.split("## When something goes wrong", 1)[1].split("## Permissions", 1)[0]
    named = {
        word
        for row in re.findall(r"^\| `[A-Z_]+` \| (.*?) \|", runbook, flags=re.MULTILINE)
        for word in re.findall(r"`([A-Z_]+)`", row)
    }
    assert named and named <= {str(reason) for reason in Reason}


def test_every_event_file_that_the_readme_names_exists() -> None:
    assert all((readme.ROOT / path).exists() for path in re.findall(r"events/[a-z-]+\.json", TEXT))


def test_the_commands_of_the_first_screen_are_demo_and_test() -> None:
    first_screen = TEXT[:1800]
    assert "$ make demo" in first_screen and "$ make test" in first_screen


def test_every_name_in_the_table_of_judgement_is_one_that_the_code_knows() -> None:
    """Reasons, settings, actions, markers and attributes of the record: nothing else stands there in code's type."""
    table = re.search(r"Judgement that outlives one rollback:\n\n(.*?)\n\n", TEXT, flags=re.DOTALL)
    assert table
    named = set(re.findall(r"`([^`]+)`", table[1]))
    known = {*Reason, *ACTIONS, FLOOR_MARKER, APPROVAL_MARKER, *(spec.name for spec in fields(Rollback))}
    known |= {variable(spec.name) for spec in fields(Settings)}
    assert {name.split("=")[0] for name in named} - {str(each) for each in known} <= {'{"action": "drill"}'}
    assert len(named) > 10
