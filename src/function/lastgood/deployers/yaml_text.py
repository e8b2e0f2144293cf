"""The texts of a YAML file: plain, in quotes or as a block, and what is between two of them."""

from __future__ import annotations

import re

_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "\\": "\\", "/": "/", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX = {"x": 2, "u": 4, "U": 8}
_DIGITS = re.compile("[0-9A-Fa-f]+")
_BLOCK_HEADER = re.compile(r"([|>])([+-]?)([1-9]?)([+-]?)(?: +#[^\n]*)? *(?:\n|$)")
_LINE_ENDS = re.compile(r"(?: *\n)+ *")
_FOLD = re.compile(r"[ \t]*(?:\n[ \t]*)+")
_JOINED = re.compile(r"\\(?:\n[ \t]*)+")
_NO_TEXT = frozenset(",[]{}#&*!|>'\"%@`") | {""}
_NO_TEXT_ALONE = frozenset("-?:")
_KEY = re.compile(r"""(?:[^\s\-?:,\[\]{}#&*!|>'"%@`]|[-?:](?=[^\s]))(?:[^\n\t:#]|:(?=[^\s])|(?<=[^\s])\#)*""")


class YamlError(ValueError):
    """The text is not YAML, or uses a part of YAML that is not read here."""


class Plain(str):
    """A scalar without quotes: it may mean a number, a truth value or nothing."""

    __slots__ = ()


class Text:
    """A text and the present position in it. `_at` is an index into the text; columns decide what belongs to what."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    # --- where it is --------------------------------------------------------------------------------------------------

    def _error(self, what: str) -> YamlError:
        return YamlError(f"line {self._text.count(chr(10), 0, self._at) + 1}: {what}")

    @property
    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    @property
    def _column(self) -> int:
        return self._at - (self._text.rfind("\n", 0, self._at) + 1)

    def _spaces(self) -> bool:
        """Skip spaces and a comment after them. Returns whether the line has more."""
        began = self._at
        while self._here == " ":
            self._at += 1
        if self._here == "#" and (self._at > began or self._column == 0):
            self._at = self._line_end()
        if self._here == "\t":
            raise self._error("a tab is between two tokens")
        return self._here not in {"", "\n"}

    def _line_end(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _skip_lines(self) -> None:
        """Skip to the next token, on this line or a later one."""
        while not self._spaces() and self._at < len(self._text):
            self._at += 1

    def _ends_line(self) -> None:
        if self._spaces():
            raise self._error("more follows on this line")

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _key_ahead(self) -> bool:
        """Whether a key and its colon begin here, on one line."""
        began = self._at
        try:
            self._key()
        except YamlError:
            return False
        finally:
            self._at = began
        return True

    def _key(self) -> str:
        line = self._line_end()
        if self._here in {'"', "'"}:
            key: str = self._quoted()
            self._spaces()
        else:
            match = _KEY.match(self._text, self._at, line)
            if match is None:
                raise self._error("there is no key here")
            key, self._at = Plain(match[0].rstrip(" ")), match.end()
        if self._at > line or self._here != ":" or self._text[self._at + 1 : self._at + 2] not in {"", " ", "\n"}:
            raise self._error("a key is not followed by a colon")
        self._at += 1
        return key

    # --- scalars ------------------------------------------------------------------------------------------------------

    def _plain(self, column: int, ends: str) -> Plain:
        """Text without quotes; it continues on lines that are indented further than `column`."""
        following = self._text[self._at + 1 : self._at + 2]
        if (
            self._here in _NO_TEXT
            or (ends and self._here in {":", "?"})
            or (self._here in _NO_TEXT_ALONE and following in {"", " ", "\n", *ends})
        ):
            raise self._error(f"{self._here or 'the end'} cannot begin a text")
        text = self._plain_line(ends)
        while breaks := self._goes_on(column, ends):
            text += (" " if breaks == 1 else "\n" * (breaks - 1)) + self._plain_line(ends)
        return Plain(text)

    def _goes_on(self, column: int, ends: str) -> int:
        """Move to the next line of a text. Returns how many line ends were before it; 0 if the text ends here."""
        match = _LINE_ENDS.match(self._text, self._at)
        if match is None:
            return 0
        indent = match.end() - (self._text.rfind("\n", 0, match.end()) + 1)
        if indent <= column or self._text[match.end() : match.end() + 1] in {"", "#", *ends}:
            return 0
        if ends and self._text[match.end() : match.end() + 2] in {":", ": ", ":\n"}:
            return 0
        self._at = match.end()
        return match[0].count("\n")

    def _plain_line(self, ends: str) -> str:
        began = self._at
        while self._here not in {"", "\n", *ends}:
            if self._here == ":" and self._text[self._at + 1 : self._at + 2] in {"", " ", "\n", *ends}:
                if not ends:
                    raise self._error("a key is inside a text")
                break
            if self._here == "#" and self._text[self._at - 1] == " ":
                break
            if self._here == "\t" or (ends and self._here == "?"):
                raise self._error("a text without quotes has a character that only quotes allow")
            self._at += 1
        line = self._text[began : self._at].rstrip(" ")
        self._at = began + len(line)
        return line

    def _quoted(self) -> str:
        """Text in quotes; line ends in it are folded to spaces, and blank lines are kept."""
        quote, parts = self._here, list[str]()
        self._at += 1
        while self._here != quote or (quote == "'" and self._text[self._at : self._at + 2] == "''"):
            parts.append(self._piece(quote))
        self._at += 1
        return "".join(parts)

    def _piece(self, quote: str) -> str:
        """The next character of a text in quotes, or the fold in its place."""
        fold = _FOLD.match(self._text, self._at)
        if fold:
            self._at = fold.end()
            breaks = fold[0].count("\n")
            return "\n" * (breaks - 1) or " "
        if self._here == "":
            raise self._error("the quotes are not closed")
        if quote == "'" and self._here == "'":
            self._at += 2
            return "'"
        if quote == '"' and self._here == "\\":
            return self._escaped()
        self._at += 1
        return self._text[self._at - 1]

    def _escaped(self) -> str:
        joined = _JOINED.match(self._text, self._at)
        if joined:
            self._at = joined.end()
            return "\n" * (joined[0].count("\n") - 1)
        letter = self._text[self._at + 1 : self._at + 2]
        digits = self._text[self._at + 2 : self._at + 2 + _HEX.get(letter, 0)]
        self._at += 2 + len(digits)
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        code = int(digits, 16) if _DIGITS.fullmatch(digits) and len(digits) == _HEX[letter] else -1
        if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise self._error("it has an escape that YAML does not know")
        return chr(code)

    def _literal(self, column: int) -> str:
        """A block scalar: its lines as they are (`|`), or folded (`>`)."""
        header = _BLOCK_HEADER.match(self._text, self._at)
        if header is None or (header[2] and header[4]):
            raise self._error("a block of text begins in a way that is not read")
        self._at = header.end()
        indent = max(column, 0) + int(header[3]) if header[3] else 0
        lines = self._literal_lines(max(column + 1, 0), indent)
        text = "\n".join(lines) if header[1] == "|" else _folded(lines)
        kept = text.rstrip("\n")
        trailing = {"-": "", "+": "\n" * (len(text) - len(kept) + bool(lines))}
        clipped = "\n" if kept and self._text[self._at - 1] == "\n" else ""
        return kept + trailing.get(header[2] or header[4], clipped)

    def _literal_lines(self, least: int, indent: int) -> list[str]:
        lines: list[str] = []
        while self._at < len(self._text):
            line = self._text[self._at : self._line_end()]
            blank, own = not line.strip(" "), len(line) - len(line.lstrip(" "))
            indent = indent or (0 if blank else max(own, least))
            if not blank and own < (indent or least):
                break
            lines.append(line[indent:] if indent else "")
            self._at = min(self._line_end() + 1, len(self._text))
        return lines


def _folded(lines: list[str]) -> str:
    """Lines joined by spaces; a blank line is a line end."""
    if any(line.startswith((" ", "\t")) for line in lines) or lines[:1] == [""]:
        raise YamlError("a folded block of text has lines of other kinds than text")
    text = "\n".join(lines)
    kept = text.rstrip("\n")
    return re.sub(r"\n+", _fold, kept) + text[len(kept) :]


def _fold(breaks: re.Match[str]) -> str:
    return "\n" * (len(breaks[0]) - 1) or " "
