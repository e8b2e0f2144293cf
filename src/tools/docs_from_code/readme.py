"""The blocks of the README and of docs/cli.md that come from the code. Tests compare them; `make readme` writes them.

Run as `python -m docs_from_code.readme README.md docs/cli.md`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from docs_from_code import manual, queries
from lastgood.decide import GUARDS
from lastgood.ledger import stored_name
from lastgood.model import TIMES, Rollback
from lastgood.settings import Settings, variable
from stage import demo

ROOT = Path(__file__).resolve().parents[3]


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


def attribute_list() -> str:
    """The attributes of a head item."""
    keys = ["pk", "sk", "deployment_group_key", "day", "open_key", "next_check_at", "expires_at", "schema_version"]
    times = [f"seconds_to_{name}" for name in TIMES]
    names = sorted({*keys, *times, *(stored_name(spec.name) for spec in fields(Rollback))})
    return ", ".join(f"`{name}`" for name in names) + "."


def query_examples() -> str:
    """The PartiQL statements that the tests run."""
    parts = [f"{about}\n\n```sql\n{statement}\n```" for about, statement in queries.EXAMPLES]
    return "\n\n".join(parts)


def tree() -> str:
    """The modules that ship, with the first sentence of each docstring; a package's own comes before its modules."""
    folder = ROOT / "src" / "function" / "lastgood"
    rows = ["```", "src/function/lastgood/"]
    for path in sorted(folder.rglob("*.py")):
        shown = path.relative_to(folder)
        if shown.name == "__init__.py":
            shown = shown.parent
        if shown.name:
            first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n", 1)[0]
            rows.append(f"  {str(shown) + '/' * (shown.suffix == ''):<26} {first}")
    return "\n".join([*rows, "```"])


def demo_transcript() -> str:
    """What the demo prints, without colour."""
    return f"```console\n$ make demo\n{demo.transcript()}\n```"


BLOCKS: dict[str, Callable[[], str]] = {
    "demo": demo_transcript,
    "guards": guard_table,
    "settings": settings_table,
    "queries": query_examples,
    "attributes": attribute_list,
    "tree": tree,
}


PAGES: dict[str, dict[str, Callable[[], str]]] = {"README.md": BLOCKS, "cli.md": manual.BLOCKS}
"""The blocks of each page, by its file's name."""


def rendered(text: str, blocks: dict[str, Callable[[], str]] = BLOCKS) -> str:
    """A page's text with every block as the code makes it now."""
    for name, make in blocks.items():
        block = f"<!-- {name} -->\n{make()}\n<!-- /{name} -->"
        text, count = re.subn(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _: block, text, flags=re.DOTALL)  # noqa: B023
        if count != 1:
            raise ValueError(f"the page has {count} blocks named {name}, not one")
    return text


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        page.write_text(rendered(page.read_text(), PAGES[page.name]))
