"""Rows as a table, JSON or CSV, in which no text can steer the terminal or the spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lastgood.text import clean, without_surrogates
from lastgood.times import iso
from lastgood_cli.options import Format as Format

LONGEST_CELL = 2000
UNWRAPPED = 10_000
ONE_LINE = 160
"""From this width on, a row with an explanation fits on one line."""
_IDENTITY = re.compile(r"([?&](?:etag|versionId)=[\w.-]{8}|sha256:[0-9a-f]{12})[\w.-]*[\w-]")
_FORMULA = tuple("=+-@＝＋－＠")

OUTCOME_STYLES = {
    "ROLLED_BACK": "green",
    "SKIPPED": "dim",
    "BLOCKED": "yellow",
    "FAILED": "bold red",
    "DRY_RUN": "cyan",
}


_BLANKS = re.compile(r"[ ]+$", re.MULTILINE)


class _Console(Console):
    """Rich's, which leaves a line that must stay whole to the terminal, and pads no line into a pipe."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; nothing is cut at the terminal's edge."""
        options.setdefault("crop", False)
        if self.is_terminal:
            return super().print(*objects, **options)
        with self.capture() as made:
            super().print(*objects, **options)
        self.file.write(_BLANKS.sub("", made.get()))
        self.file.flush()


def console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """A console: colour on a terminal only, and never with NO_COLOR; into a pipe no line is wrapped."""
    made = _Console(stderr=stderr, file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = UNWRAPPED
    if not made.is_terminal:
        made.no_color = True
    return made


def harmless(value: Any, limit: int = LONGEST_CELL) -> str:
    """Any value as a text for a terminal: controls, ANSI sequences and bidirectional marks are made visible."""
    return clean(_plain(value), limit)


def brief(value: Any, limit: int = LONGEST_CELL) -> str:
    """The same for people, who tell versions and digests apart by how they begin. JSON and CSV have the whole."""
    return _IDENTITY.sub(r"\1…", harmless(value, limit))


def text(value: Any, style: str = "") -> Text:
    """The same for Rich: its markup is text here."""
    return Text(brief(value), style=style)


def whole(*pieces: str | tuple[str, str]) -> Text:
    """A line to be copied, such as a command or an address: broken over lines it would be another one."""
    return Text.assemble(*pieces, no_wrap=True, overflow="ignore")


def cell(value: Any) -> str:
    """A value for CSV: a text that a spreadsheet would take for a formula is made a text with an apostrophe."""
    shown = harmless(value, 32_000)
    risky = isinstance(value, str) and shown.lstrip().startswith(_FORMULA)
    return f"'{shown}" if risky else shown


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON in ASCII: what could disturb a terminal is escaped, and nothing is lost."""
    return json.dumps(value, indent=indent, ensure_ascii=True, default=_json_value)


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, header: bool = True) -> str:
    """Rows as RFC 4180 CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows([cell(row.get(name, "")) for name in columns] for row in rows)
    return out.getvalue()


def as_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """Rows as a Rich table without lines. `outcome` has its colour."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        style = OUTCOME_STYLES.get(str(row.get("outcome", "")), "")
        table.add_row(*[_shown(row.get(name, ""), style if name == "outcome" else "") for name in columns])
    return table


def _shown(value: Any, style: str = "") -> Text:
    return value if isinstance(value, Text) else text(value, style)


def as_blocks(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], below: Sequence[str], *, header: bool = True
) -> RenderableType:
    """The same for a narrow terminal: of each row a line, and under it, indented, the columns that are long."""
    titles = {name: name.replace("_", " ") for name in columns}
    widths = {name: max(_shown(row.get(name, "")).cell_len for row in (titles, *rows)) for name in columns}
    parts: list[RenderableType] = []
    if header:
        parts.append(Text("  ".join(titles[name].ljust(widths[name]) for name in columns).rstrip(), style="bold"))
    for row in rows:
        style = OUTCOME_STYLES.get(str(row.get("outcome", "")), "")
        line = Text()
        for name in columns:
            shown = _shown(row.get(name, ""), style if name == "outcome" else "")
            line.append_text(shown).append(" " * (widths[name] - shown.cell_len + 2))
        line.rstrip()
        long = "  ".join(filter(None, (brief(row.get(name, "")) for name in below)))
        parts += [line, *([Padding(Text(long, style="dim"), (0, 0, 0, 4))] if long else ())]
    return Group(*parts)


@dataclass(frozen=True)
class Fitting:
    """Rows as a table; where the terminal is too narrow for it, the columns `below` are printed below each row."""

    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[str]
    below: Sequence[str]
    header: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < ONE_LINE:
            beside = [name for name in self.columns if name not in self.below]
            yield as_blocks(self.rows, beside, self.below, header=self.header)
        else:
            table = as_table(self.rows, self.columns)
            table.show_header = self.header
            yield table


def grid(columns: int) -> Table:
    """Columns without lines and header. What does not fit is folded, so that an address can still be copied."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        made.add_column(overflow="fold")
    return made


def show_rows(
    out: Console,
    form: Format,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    wide: Sequence[str] = (),
    empty: str = "Nothing found.",
) -> None:
    """Print rows. A table shows `columns`; CSV has `wide` as well; JSON has every field. `empty` is for the table."""
    match form:
        case Format.JSON:
            write(out, as_json(list(rows)))
        case Format.CSV:
            write(out, as_csv(rows, [*columns, *wide]).rstrip("\n"))
        case Format.TABLE if rows:
            out.print(as_table(rows, columns))
        case Format.TABLE:
            out.print(Text(empty))


def show_one(out: Console, form: Format, value: Mapping[str, Any]) -> None:
    """Print one thing with its fields."""
    match form:
        case Format.JSON:
            write(out, as_json(value))
        case Format.CSV:
            write(out, as_csv([value], list(value)).rstrip("\n"))
        case Format.TABLE:
            table = grid(2)
            for name, each in value.items():
                table.add_row(Text(name.replace("_", " "), style="bold"), text(each))
            out.print(table)


def write(out: Console, made: str) -> None:
    """A line as it is: no wrapping, no markup."""
    print(without_surrogates(made), file=out.file)


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return iso(value)
        case Mapping() | list() | tuple():
            return as_json(value, indent=None)
        case _:
            return without_surrogates(str(value))


def _json_value(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return iso(value)
        case set() | frozenset():
            return sorted(value)
        case Mapping():
            return dict(value)
        case _:
            return str(value)
