"""The blocks of the README and of docs/ that come from the code. Tests compare them; `make readme` writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from docs_from_code import attributes, manual, notices, queries, runbook
from lastgood.judgement.guards import GUARDS
from lastgood.model import NEXT_PHASES, Phase
from lastgood.settings import Settings, variable
from stage import demo

ROOT = Path(__file__).resolve().parents[3]
FUNCTION = ROOT / "src" / "function" / "lastgood"
ENTRY = ("handler.py", "app.py")
FIRST_SCREEN = frozenset({1})
"""The scene of the demo that the README shows."""


def settings_table() -> str:
    """Every setting, its default, and what it is for."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for spec in fields(Settings):
        default = spec.metadata["default"]
        shown = "required" if default is None else f"`{default}`" if default else "empty"
        rows.append(f"| `{variable(spec.name)}` | {shown} | {spec.metadata['about']} |")
    return "\n".join(rows)


def guard_table() -> str:
    """The guards in the order in which they are tried."""
    rows = ["| # | question | objects with |", "|---|---|---|"]
    for number, guard in enumerate(GUARDS, start=1):
        rows.append(f"| {number} | {guard.question} | {', '.join(f'`{r}`' for r in guard.reasons)} |")
    return "\n".join(rows)


def phase_diagram() -> str:
    """The phases of a rollback, and which may follow which."""
    arrows = [f"{phase} --> {after}" for phase in Phase for after in Phase if after in NEXT_PHASES[phase]]
    lines = [
        f"[*] --> {next(iter(Phase))}",
        *arrows,
        *(f"{phase} --> [*]" for phase in Phase if not NEXT_PHASES[phase]),
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in lines), "```"])


def attribute_table() -> str:
    """Every attribute of a head item, with its meaning."""
    rows = ["| attribute | meaning |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {meaning} |" for name, meaning in sorted(attributes.MEANINGS.items()))])


def query_examples() -> str:
    """The PartiQL statements that the tests run."""
    parts = [f"{about}\n\n```sql\n{statement}\n```" for about, statement in queries.EXAMPLES]
    return "\n\n".join(parts)


def _summary(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n", 1)[0]


def tree() -> str:
    """The modules that ship, with the first sentence of each docstring; a package's own comes before its modules."""
    rows = ["```", "src/function/lastgood/"]
    for path in sorted(FUNCTION.rglob("*.py")):
        shown = path.relative_to(FUNCTION)
        if shown.name == "__init__.py":
            shown = shown.parent
        if shown.name:
            rows.append(f"  {str(shown) + '/' * (shown.suffix == ''):<26} {_summary(path)}")
    return "\n".join([*rows, "```"])


def what_tests_share() -> str:
    """The modules that tests share, with the first sentence of each docstring."""
    rows = (f"  {path.name:<18} {_summary(path)}" for path in sorted((ROOT / "tests" / "support").glob("*.py")))
    return "\n".join(["```", "tests/support/", *rows, "```"])


def map_of_the_code() -> str:
    """The entry, the application and each package, with the first sentence of its docstring."""
    paths = [*(FUNCTION / name for name in ENTRY), *sorted(FUNCTION.glob("*/__init__.py"))]
    named = ((f"{path.parent.name}/" if path.name == "__init__.py" else path.name, path) for path in paths)
    rows = ["```", "src/function/lastgood/", *(f"  {name:<12} {_summary(path)}" for name, path in named)]
    return "\n".join([*rows, "```"])


def demo_scenes() -> str:
    """One scene of the demo, without colour."""
    return f"```console\n$ make demo\n{demo.transcript(only=FIRST_SCREEN)}\n```"


def demo_transcript() -> str:
    """All that the demo prints, without colour."""
    return f"```console\n$ make demo\n{demo.transcript()}\n```"


Blocks = dict[str, Callable[[], str]]

PAGES: dict[str, Blocks] = {
    "README.md": {"demo": demo_scenes, "outcomes": runbook.outcomes, "map": map_of_the_code},
    "CONTRIBUTING.md": {"tree": tree, "test-support": what_tests_share},
    "docs/audit-table.md": {"queries": query_examples, "attributes": attribute_table},
    "docs/cli.md": manual.BLOCKS,
    "docs/demo.md": {"demo-whole": demo_transcript},
    "docs/how-it-works.md": {"phases": phase_diagram, "guards": guard_table},
    "docs/notices.md": notices.BLOCKS,
    "docs/runbook.md": runbook.BLOCKS,
    "docs/settings.md": {"settings": settings_table},
}
"""The blocks of each page, by its path."""


def rendered(text: str, blocks: Blocks) -> str:
    """A page's text with every block as the code makes it now. Raises ValueError if a block is missing."""
    for name, make in blocks.items():
        block = f"<!-- {name} -->\n{make()}\n<!-- /{name} -->"
        text, count = re.subn(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _: block, text, flags=re.DOTALL)  # noqa: B023
        if count != 1:
            raise ValueError(f"the page has {count} blocks named {name}, not one")
    return text


if __name__ == "__main__":
    for page, made in PAGES.items():
        path = ROOT / page
        path.write_text(rendered(path.read_text(), made))
