"""Break what decides in small ways, one at a time, and count which breaks the unit tests notice: `make mutate`.

mutmut makes the mutants and runs the tests. A mutant that only changes the words of an explanation is told apart from
one that changes what is decided: the second kind is the one that counts.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeIs

from docs_from_code.fault_figures import append

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / ".mutation"
MUTATED = ("judgement", "model")
"""The packages that are mutated, and the folders of their tests."""
SUPPORT = ("builders.py", "judging.py")
CONFIGURATION = f"""
[tool.pytest.ini_options]
pythonpath = [".", "tests"]
addopts = ["--import-mode=importlib"]

[tool.mutmut]
source_paths = {json.dumps([f"lastgood/{package}" for package in MUTATED])}
also_copy = ["lastgood"]
pytest_add_cli_args_test_selection = ["tests/unit"]
use_git_change_detection = false
"""
RUNNING_THE_TESTS = '''
"""How mutmut runs the tests: nothing is worked out before, and the examples come first: the properties are slower."""

import gc
import sys
from functools import cached_property


def pytest_sessionstart():
    """mutmut forks from a process that ran the tests: forget what their objects have worked out once and kept."""
    modules = [module for name, module in sys.modules.items() if name.startswith("lastgood.")]
    types = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    kept = {each: [name for name, of in vars(each).items() if isinstance(of, cached_property)] for each in types}
    for found in gc.get_objects():
        for name in kept.get(type(found), ()):
            vars(found).pop(name, None)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "test_properties" in item.nodeid)
'''
READ_AS_FIELDS = {"property", "cached_property"}
"""The decorators whose methods are mutated like the others. mutmut leaves out whatever is decorated."""
SHOWN_BEFORE, SHOWN = 60, 160
"""How many characters of a changed line are shown before the difference, and in all."""
UNNOTICED = {0, 5, 33}
"""mutmut's codes for a mutant that the tests passed, and for one that no test ran."""


@dataclass(frozen=True)
class Mutant:
    """One small change of one function. `logic` is false where only the words of a text differ."""

    name: str
    killed: bool
    logic: bool
    change: str


def prepare(scratch: Path) -> None:
    """Lay out what mutmut works on: the package beside the tests of what is mutated, and nothing else."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(ROOT / "src/function/lastgood", scratch / "lastgood")
    for package in MUTATED:
        shutil.copytree(ROOT / "tests/unit" / package, scratch / "tests/unit" / package)
        for module in (scratch / "lastgood" / package).rglob("*.py"):
            module.write_text(undecorated(module.read_text()))
    for name in SUPPORT:
        shutil.copy(ROOT / "tests/support" / name, scratch / "tests" / name)
    (scratch / "tests/conftest.py").write_text(RUNNING_THE_TESTS)
    (scratch / "pyproject.toml").write_text(CONFIGURATION)


def undecorated(source: str) -> str:
    """The same module, in which properties are made by an assignment after the method instead of a decorator."""
    lines = source.splitlines()
    for method in filter(is_function, ast.walk(ast.parse(source))):
        match method.decorator_list:
            case [ast.Name(id=kind, lineno=line)] if kind in READ_AS_FIELDS:
                indent = " " * method.col_offset
                lines[line - 1] = ""
                lines[(method.end_lineno or 0) - 1] += f"\n{indent}{method.name} = {kind}({method.name})"
    return "\n".join([*lines, ""])


def run(scratch: Path, workers: str, only: Sequence[str]) -> None:
    """Try every mutant. The properties try few cases each, for all of them run for every mutant that survives."""
    environment = os.environ | {"LASTGOOD_EXAMPLES": "10"}
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", "--max-children", workers, *only], cwd=scratch, env=environment, check=True)


def results(scratch: Path, only: Sequence[str]) -> Iterator[Mutant]:
    """Every mutant and what became of it. Raises RuntimeError if one was not tried."""
    for found in sorted((scratch / "mutants/lastgood").rglob("*.py.meta")):
        source = found.with_suffix("")
        functions = {node.name: node for node in ast.walk(ast.parse(source.read_text())) if is_function(node)}
        codes = json.loads(found.read_text())["exit_code_by_key"]
        for key, code in codes.items():
            if only and not any(fnmatch(key, pattern) for pattern in only):
                continue
            if code is None:
                raise RuntimeError(f"{key} was not tried")
            function = key.rpartition(".")[2]
            original, mutated = functions[f"{function.rpartition('_')[0]}_orig"], functions[function]
            yield Mutant(key, code not in UNNOTICED, wordless(original) != wordless(mutated), change(original, mutated))


def is_function(node: ast.AST) -> TypeIs[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef)


def wordless(function: ast.FunctionDef) -> str:
    """The function without its name and its sentences: what they leave is the logic. A text with a space is one."""
    tree = ast.parse(ast.unparse(function))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = ""
        elif isinstance(node, ast.FunctionDef):
            node.name = ""
    return ast.dump(tree)


def change(original: ast.FunctionDef, mutated: ast.FunctionDef) -> str:
    """The lines that differ, each after a minus or a plus. Long ones begin a little before the difference."""
    before, after = (ast.unparse(function).replace(function.name, "…").splitlines() for function in (original, mutated))
    lines = [line for line in difflib.unified_diff(before, after, lineterm="", n=0) if not line.startswith("@@")][2:]
    letters = enumerate(zip(*(line[1:] for line in lines), strict=False))
    start = max(0, next((place for place, found in letters if len(set(found)) > 1), 0) - SHOWN_BEFORE)
    return "\n".join(f"    {line[0]}{'…' * bool(start)}{line[1:][start:][:SHOWN]}" for line in lines)


def score(what: str, mutants: Iterable[Mutant]) -> str:
    """`mutants that change logic: 970 of 1000 killed (97.0 %)`."""
    tried = list(mutants)
    killed = sum(mutant.killed for mutant in tried)
    return f"{what}: {killed} of {len(tried)} killed ({killed / len(tried):.1%})"


def main(arguments: list[str]) -> int:
    """Try all mutants, print the survivors and the score. The first argument is the number of workers.

    Any others are globs: only mutants with such names are tried, such as `lastgood.model.due.*`.
    """
    workers, *only = arguments or ["1"]
    prepare(SCRATCH)
    run(SCRATCH, workers, only)
    mutants = list(results(SCRATCH, only))
    logic = [mutant for mutant in mutants if mutant.logic]
    survivors = [mutant for mutant in logic if not mutant.killed]
    for mutant in survivors:
        print(f"{mutant.name}\n{mutant.change}\n")
    print(score("mutants that change logic", logic))
    print(score("all mutants", mutants))
    append(
        "mutation",
        mutants=len(mutants),
        killed=sum(mutant.killed for mutant in mutants),
        logic=len(logic),
        logic_killed=len(logic) - len(survivors),
        survivors=[mutant.name for mutant in survivors],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
