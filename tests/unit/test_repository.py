"""The layout and the import arrows: who may know whom."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from lastgood_cli.local import ROOT

FUNCTION = ROOT / "src" / "function" / "lastgood"
TOOLS = ROOT / "src" / "tools"
PURE = ("model", "selection", "decide", "phrases")
KNOWS_BOTO3 = {"clients.py", "ledger.py"}
SHIPPED = {"lastgood", "boto3", "botocore", "aws_lambda_powertools"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, whole names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def packages(path: Path) -> set[str]:
    return {name.split(".", 1)[0] for name in imported(path)}


MODULES = sorted(FUNCTION.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FUNCTION)))
def test_what_ships_imports_the_standard_library_powertools_and_boto3_only(path: Path) -> None:
    assert packages(path) - set(sys.stdlib_module_names) <= SHIPPED


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FUNCTION)))
def test_boto3_is_known_to_the_clients_and_the_ledger_alone(path: Path) -> None:
    knows = bool(packages(path) & {"boto3", "botocore"})
    assert not knows or path.name in KNOWS_BOTO3


@pytest.mark.parametrize("name", PURE)
def test_the_pure_core_imports_the_standard_library_and_itself_only(name: str) -> None:
    allowed = {f"lastgood.{each}" for each in PURE}
    foreign = {m for m in imported(FUNCTION / f"{name}.py") if m.split(".")[0] not in sys.stdlib_module_names}
    assert foreign <= allowed


@pytest.mark.parametrize("path", sorted((TOOLS / "codedeploy_simulator").rglob("*.py")), ids=lambda path: path.name)
def test_the_simulator_does_not_know_lastgood(path: Path) -> None:
    assert not packages(path) & {"lastgood", "lastgood_cli"}


def test_no_heavy_part_of_powertools_is_imported() -> None:
    """Tracer, Parser, Idempotency and the like cost more than a whole cold start of this function."""
    used = {m for path in MODULES for m in imported(path) if m.startswith("aws_lambda_powertools")}
    assert used <= {"aws_lambda_powertools", "aws_lambda_powertools.metrics"}


def test_every_module_and_every_public_function_says_what_it_is() -> None:
    silent = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            silent.append(path.name)
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                silent.append(f"{path.name}:{node.name}")
    assert silent == []


def test_the_top_level_is_what_the_owner_fixed() -> None:
    for name in ("template.yaml", "samconfig.toml", "README.md", "pyproject.toml", "Makefile", "CHANGELOG.md"):
        assert (ROOT / name).is_file(), name
    for name in ("src", "tests", "events"):
        assert (ROOT / name).is_dir(), name
