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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from docs_from_code.fault_figures import append

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / ".mutation"
MUTATED = "judgement"
"""The package that is mutated, and the folder of its tests."""
SUPPORT = ("builders.py", "judging.py")
CONFIGURATION = f"""
[tool.pytest.ini_options]
pythonpath = [".", "tests"]
addopts = ["--import-mode=importlib"]

[tool.mutmut]
source_paths = ["lastgood/{MUTATED}"]
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
    shutil.copytree(ROOT / "tests/unit" / MUTATED, scratch / "tests/unit" / MUTATED)
    for name in SUPPORT:
        shutil.copy(ROOT / "tests/support" / name, scratch / "tests" / name)
    (scratch / "tests/conftest.py").write_text(RUNNING_THE_TESTS)
    (scratch / "pyproject.toml").write_text(CONFIGURATION)


def run(scratch: Path, workers: str) -> None:
    """Try every mutant. The properties try few cases each, for all of them run for every mutant that survives."""
    environment = os.environ | {"LASTGOOD_EXAMPLES": "10"}
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", "--max-children", workers], cwd=scratch, env=environment, check=True)


def results(scratch: Path) -> Iterator[Mutant]:
    """Every mutant and what became of it. Raises RuntimeError if one was not tried."""
    for found in sorted((scratch / "mutants/lastgood" / MUTATED).glob("*.py.meta")):
        source = found.with_suffix("")
        functions = {node.name: node for node in ast.walk(ast.parse(source.read_text())) if is_function(node)}
        codes = json.loads(found.read_text())["exit_code_by_key"]
        for key, code in codes.items():
            if code is None:
                raise RuntimeError(f"{key} was not tried")
            function = key.rpartition(".")[2]
            original, mutated = functions[f"{function.rpartition('_')[0]}_orig"], functions[function]
            yield Mutant(key, code not in UNNOTICED, wordless(original) != wordless(mutated), change(original, mutated))


def is_function(node: ast.AST) -> bool:
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
    """The lines that differ, each after a minus or a plus."""
    before, after = (ast.unparse(function).replace(function.name, "…").splitlines() for function in (original, mutated))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    return "\n".join(f"    {line}" for line in lines if not line.startswith("@@"))


def score(what: str, mutants: Iterable[Mutant]) -> str:
    """`mutants that change logic: 970 of 1000 killed (97.0 %)`."""
    tried = list(mutants)
    killed = sum(mutant.killed for mutant in tried)
    return f"{what}: {killed} of {len(tried)} killed ({killed / len(tried):.1%})"


def main(arguments: list[str]) -> int:
    """Try all mutants, print the survivors and the score. The first argument is the number of workers."""
    prepare(SCRATCH)
    run(SCRATCH, arguments[0] if arguments else "1")
    mutants = list(results(SCRATCH))
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
