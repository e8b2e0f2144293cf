"""The examined chain as a tree, or as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from lastgood_cli.checks import Part
from lastgood_cli.output import harmless

_SIGNS: Mapping[bool | None, tuple[str, str]] = {
    True: ("[OK]", "green"),
    False: ("[NG]", "bold red"),
    None: ("[??]", "yellow"),
}


def tree(parts: Sequence[Part]) -> Tree:
    """The chain as a tree; what is wrong has its fix below it."""
    root = Tree(_line(all_ok(parts), "From the alarm to the record"), guide_style="dim")
    for part in parts:
        branch = root.add(_line(part.ok, part.name, bold=True))
        for each in part.checks:
            leaf = branch.add(_line(each.ok, each.name, each.detail))
            if each.fix and each.ok is not True:
                leaf.add(Text.assemble(("fix: ", "bold"), harmless(each.fix)))
    return root


def all_ok(parts: Iterable[Part]) -> bool | None:
    """One sign for everything."""
    return Part("", tuple(each for part in parts for each in part.checks)).ok


def _line(ok: bool | None, name: str, detail: str = "", *, bold: bool = False) -> Text:
    sign, style = _SIGNS[ok]
    line = Text.assemble((sign, style), " ", (harmless(name), "bold" if bold else ""))
    return line.append(f"  {harmless(detail)}", "dim") if detail else line


def rows(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """One row for each check, for JSON and CSV. `ok` is null where it could not be looked at."""
    return [
        {"part": part.name, "check": each.name, "ok": each.ok, "detail": each.detail, "fix": each.fix}
        for part in parts
        for each in part.checks
    ]
