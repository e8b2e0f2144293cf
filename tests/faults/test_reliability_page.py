"""docs/reliability.md and the tests say the same: every row is there, and every test that it names."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from docs_from_code import fault_figures

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TABLES = {"Faults": 42, "Bad input": 43}
NAMED = re.compile(r"`(tests/[^`]+)`")


def rows(section: str) -> list[list[str]]:
    """The cells of each row of a section's table."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def expectations(path: str) -> dict[str, bool]:
    """The tests of a file, as pytest names them, and whether each is expected to pass."""
    found: dict[str, bool] = {}
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for each in inside:
            if isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
                decorators = " ".join(ast.unparse(decorator) for decorator in each.decorator_list)
                found[prefix + each.name] = "xfail" not in decorators
    return found


@pytest.mark.parametrize(("section", "count"), TABLES.items())
def test_a_table_has_every_row_once_and_in_order(section: str, count: int) -> None:
    assert [int(cells[0]) for cells in rows(section)] == list(range(1, count + 1))


@pytest.mark.parametrize("section", TABLES)
def test_each_row_names_its_tests_or_says_why_there_is_none(section: str) -> None:
    for number, fault, happens, shown in rows(section):
        assert fault and happens.endswith("."), number
        assert NAMED.search(shown) or shown.startswith("Cannot be tested here: "), number


@pytest.mark.parametrize("section", TABLES)
def test_each_test_that_a_row_names_is_there_and_expected_to_pass(section: str) -> None:
    named = [name for cells in rows(section) for name in NAMED.findall(cells[3])]
    assert len(named) >= len(rows(section))
    assert [name for name in named if not expectations(name.split("::", 1)[0]).get(name.split("::", 1)[1])] == []


def test_each_test_of_a_numbered_fault_is_named_in_its_row() -> None:
    path = "tests/faults/test_fault_table.py"
    shown = {int(cells[0]): cells[3] for cells in rows("Faults")}
    passing = [name for name, passes in expectations(path).items() if passes]
    assert passing
    assert [n for n in passing if f"{path}::{n}`" not in shown[int(n.removeprefix("test_fault_").split("_")[0])]] == []


def test_figures_are_added_up_by_kind_and_written_between_the_markers() -> None:
    lines = [
        json.dumps({"kind": "meteors", "groups": 3}),
        json.dumps({"kind": "crashes", "scenario": "one", "calls": 38, "crashes": 1900}),
        json.dumps({"kind": "crashes", "scenario": "two", "calls": 2, "crashes": 10}),
    ]
    table = fault_figures.table(fault_figures.read(lines), fault_figures.mutants_of(PAGE))
    *_, crashes, others, mutants = table.splitlines()
    assert crashes == "| Crash at every call | 2 tests, 40 calls, 1,910 crashes |"
    assert others == "| meteors | 1 test, 3 groups |"
    assert mutants in PAGE
    page = fault_figures.written(PAGE, table)
    assert table in page
    assert fault_figures.written(page, table) == page
    with pytest.raises(ValueError, match="figures"):
        fault_figures.written("no markers", table)


def test_figures_are_appended_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_FIGURES", str(tmp_path / "figures.jsonl"))
    fault_figures.append("storms", groups=3)
    fault_figures.append("storms", groups=4)
    assert fault_figures.read((tmp_path / "figures.jsonl").read_text().splitlines()) == {
        "storms": {"tests": 2, "groups": 7}
    }
