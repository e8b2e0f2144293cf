"""The figures of docs/reliability.md: tests append what they tried; run as a program, this runs them and writes totals.

A test run appends JSON lines, each with its `kind`, to the file that `LASTGOOD_FIGURES` names. Without that variable
nothing is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->"
TESTS = ("tests/faults", "tests/unit/signals/test_bad_input.py")
LABELS = {
    "crashes": "Crash at every call",
    "interleavings": "Random interleavings",
    "storm": "Storm of messages",
    "bad_input": "Bad input",
}
"""What a kind of figures is called on the page; others are shown by their own name."""


def append(kind: str, **figures: int | float | str | list[str]) -> None:
    """Tell what a test tried: one line of text and numbers. Numbers of one kind are added up."""
    path = os.environ.get("LASTGOOD_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **figures}) + "\n")


def read(lines: list[str]) -> dict[str, Counter[str]]:
    """The totals of each kind, with `tests`, the number of lines, first, and `platforms` where a line names one."""
    totals: dict[str, Counter[str]] = {}
    platforms: dict[str, set[str]] = {}
    for line in lines:
        figures = json.loads(line)
        kind = figures.pop("kind")
        total = totals.setdefault(kind, Counter())
        total["tests"] += 1
        if "platform" in figures:
            platforms.setdefault(kind, set()).add(figures["platform"])
            total["platforms"] = len(platforms[kind])
        total.update({name: value for name, value in figures.items() if isinstance(value, int | float)})
    return totals


def table(totals: dict[str, Counter[str]], mutants: str) -> str:
    """The totals as a table in Markdown; `mutants` is its last row."""
    known = [kind for kind in LABELS if kind in totals]
    rows = [f"| {LABELS.get(kind, kind)} | {told(totals[kind])} |" for kind in dict.fromkeys([*known, *totals])]
    return "\n".join(["| what was tried | how much |", "|---|---|", *rows, mutants, ""])


def mutants_of(page: str) -> str:
    """The page's own row of mutants: they are made by another command, and stay until it has run again."""
    return next(line for line in page.splitlines() if line.startswith("| Mutants |"))


def told(total: Counter[str] | dict[str, Any]) -> str:
    """`14 tests, 569 calls, 2,845 cases`."""
    numbers = {name.replace("_", " "): value for name, value in total.items() if isinstance(value, int | float)}
    return ", ".join(f"{value:,} {name.removesuffix('s') if value == 1 else name}" for name, value in numbers.items())


def written(page: str, figures: str) -> str:
    """The page with these figures between its markers. Raises ValueError if it has none."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"no {BEGIN.strip()} … {END} in the page")
    return before + BEGIN + figures + END + after


def main(arguments: list[str]) -> int:
    """Run the tests with everything that `make soak` runs, print the figures, write them into the page."""
    from rich.console import Console
    from rich.markdown import Markdown

    page = PAGE.read_text()
    mutants = f"| Mutants | {told(json.loads(Path(arguments[0]).read_text()))} |" if arguments else mutants_of(page)
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as file:
        environment = os.environ | {"LASTGOOD_FIGURES": file.name, "LASTGOOD_SOAK": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "-o", "faulthandler_timeout=0", *TESTS]
        ran = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        figures = table(read(file.readlines()), mutants)
    Console().print(Markdown(figures))
    if ran.returncode:
        return ran.returncode
    PAGE.write_text(written(page, figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
