"""The examined chain as a tree, or as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from lastgood_cli.checks import Part
from lastgood_cli.output import brief, harmless, whole

_SIGNS: Mapping[bool | None, tuple[str, str]] = {
    True: ("[OK]", "green"),
    False: ("[NG]", "bold red"),
    None: ("[??]", "yellow"),
}


_GUIDES = {"├── ": "|-- ", "└── ": "`-- ", "│   ": "|   "}
"""The lines of the tree, and how a terminal draws them that knows ASCII only."""


@dataclass(frozen=True)
class Chain:
    """The chain as a tree; what is wrong has its fix below it, on one line: broken over two, it could not be copied."""

    parts: Sequence[Part]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _line(all_ok(self.parts), "From the alarm to the record")
        for before, after, text in self._lines():
            if options.ascii_only:
                before, after = (_in_ascii(each) for each in (before, after))
            lines = [text] if text.no_wrap else text.wrap(console, options.max_width - len(before))
            for number, each in enumerate(lines):
                yield whole((after if number else before, "dim")).append_text(each)

    def _lines(self) -> Iterator[tuple[str, str, Text]]:
        """For each line: the prefix of its first row, the prefix of its other rows, and its text."""
        for part, before, after in _drawn("", self.parts):
            yield before, after, _line(part.ok, part.name, bold=True)
            for each, first, rest in _drawn(after, part.checks):
                yield first, rest, _line(each.ok, each.name, each.detail)
                if each.fix and each.ok is not True:
                    yield f"{rest}└── ", f"{rest}    ", whole(("fix: ", "bold"), harmless(each.fix))


def _drawn[T](guide: str, children: Sequence[T]) -> Iterator[tuple[T, str, str]]:
    for number, child in enumerate(children, start=1):
        last = number == len(children)
        yield child, guide + ("└── " if last else "├── "), guide + ("    " if last else "│   ")


def _in_ascii(guide: str) -> str:
    for drawn, plain in _GUIDES.items():
        guide = guide.replace(drawn, plain)
    return guide


def all_ok(parts: Iterable[Part]) -> bool | None:
    """One sign for everything."""
    return Part("", tuple(each for part in parts for each in part.checks)).ok


def _line(ok: bool | None, name: str, detail: str = "", *, bold: bool = False) -> Text:
    sign, style = _SIGNS[ok]
    line = Text.assemble((sign, style), " ", (harmless(name), "bold" if bold else ""))
    return line.append(f"  {brief(detail)}", "dim") if detail else line


def rows(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """One row for each check, for JSON and CSV. `ok` is null where it could not be looked at."""
    return [
        {"part": part.name, "check": each.name, "ok": each.ok, "detail": each.detail, "fix": each.fix}
        for part in parts
        for each in part.checks
    ]
