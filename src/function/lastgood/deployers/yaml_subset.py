"""YAML as AppSpec files use it: block and flow, quotes, comments, anchors, one document. Standard library only.

What is read is read as YAML 1.1 says; everything else raises YamlError and is never guessed: tabs between tokens, tags
other than `!!str`, `!!map` and `!!seq`, keys that are not a single line of text, duplicate keys, several documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lastgood.deployers.yaml_document import one_document
from lastgood.deployers.yaml_text import Plain, Text, YamlError
from lastgood.deployers.yaml_values import typed

__all__ = ["YamlError", "compose", "load"]

DEEPEST = 60
"""How deeply collections may be nested."""

MOST_NODES = 20_000
"""How many nodes all aliases together may expand to, so that a few lines cannot fill the memory."""

_ANCHOR = re.compile(r"[&*]([0-9A-Za-z_-]+)(?=[ \n,\]}]|$)")
_TAG = re.compile(r"!!(str|map|seq)(?=[ \n,\]}]|$)")
_TAGGED: dict[str, type] = {"str": str, "map": dict, "seq": list}
_NEXT = re.compile(r"(?:[ \n]|#[^\n]*)*([*&!]?)")
_FLOW = frozenset("'\"[{*")
_COLON = re.compile(r":(?=[ \n]|$)")


def load(text: str) -> Any:
    """The one document of a text, as dictionaries, lists, strings, numbers, truth values and None."""
    return typed(compose(text))


def compose(text: str) -> Any:
    """The same with every scalar as text: `Plain` where it had no quotes."""
    return _Parser(one_document(text)).document()


def _size(node: Any) -> int:
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + sum(_size(member) for member in inside)


class _Parser(Text):
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._anchors: dict[str, Any] = {}
        self._expanded = 0

    def document(self) -> Any:
        document = self._block(-1)
        self._skip_lines()
        if self._at < len(self._text):
            raise self._error("this belongs to nothing before it")
        return document

    def _sequence_here(self) -> bool:
        return self._here == "-" and self._text[self._at + 1 : self._at + 2] in {"", " ", "\n", "\t"}

    def _deeper(self, read: Callable[[int], Any], column: int) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error("it is nested too deeply")
        node = read(column)
        self._depth -= 1
        return node

    # --- block style --------------------------------------------------------------------------------------------------

    def _block(self, parent: int) -> Any:
        """The node that begins at the next token, if that is indented further than its parent."""
        self._skip_lines()
        column = self._column
        if self._at >= len(self._text) or column <= parent:
            return Plain()
        if self._sequence_here():
            return self._deeper(self._sequence, column)
        if self._explicit_key_here() or self._key_ahead():
            return self._deeper(self._mapping, column)
        return self._value(parent, sequences=False)

    def _sequence(self, column: int) -> list[Any]:
        nodes: list[Any] = []
        while self._at < len(self._text) and self._column == column and self._sequence_here():
            self._at += 1
            nodes.append(self._block(column) if self._spaces() else self._below(column, sequences=False))
            self._skip_lines()
        self._must_not_be_inside(column)
        return nodes

    def _mapping(self, column: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while self._at < len(self._text) and self._column == column and not self._sequence_here():
            explicit = self._explicit_key_here()
            key = self._explicit_key(column) if explicit else self._key()
            if any(key.lower() == other.lower() for other in mapping):
                raise self._error(f"{key} occurs 2 times, not once")
            read = self._block if explicit else self._value
            mapping[key] = read(column) if self._spaces() else self._below(column)
            self._skip_lines()
        self._must_not_be_inside(column)
        return mapping

    def _explicit_key_here(self) -> bool:
        return self._text.startswith("? ", self._at)

    def _explicit_key(self, column: int) -> str:
        """A key after a question mark; its colon begins the next line."""
        self._at += 1
        self._spaces()
        began = self._at
        key: str = self._quoted() if self._here in {'"', "'"} else self._plain(column, "")
        if "\n" in self._text[began : self._at]:
            raise self._error("a key is no single text")
        self._ends_line()
        self._skip_lines()
        if self._column != column or not _COLON.match(self._text, self._at):
            raise self._error("a key is not followed by a colon")
        self._at += 1
        return key

    def _must_not_be_inside(self, column: int) -> None:
        if self._at < len(self._text) and self._column > column:
            raise self._error("its indentation fits nothing before it")

    def _below(self, column: int, *, sequences: bool = True) -> Any:
        """The node on the lines below a key or a dash. The dashes of a list may be right under its key."""
        self._skip_lines()
        if sequences and self._column == column and self._at < len(self._text) and self._sequence_here():
            return self._deeper(self._sequence, column)
        return self._block(column)

    def _value(self, column: int, *, sequences: bool = True) -> Any:
        """What follows a key on its own line, or stands alone: no block collection begins here."""
        if self._here in {"&", "!"}:
            return self._with_property(
                lambda: self._value(column) if self._spaces() else self._below(column, sequences=sequences)
            )
        if self._here in {"|", ">"}:
            return self._literal(column)
        node = self._flow(0) if self._here in _FLOW else self._plain(column, "")
        self._ends_line()
        return node

    def _with_property(self, read: Callable[[], Any]) -> Any:
        """A node after its anchor, or its tag, or both."""
        return self._anchored(read) if self._here == "&" else self._tagged(read)

    def _past(self, match: re.Match[str]) -> None:
        """Move behind an anchor or a tag. An alias has neither, and no node has two of a kind."""
        mark, self._at = self._here, match.end()
        behind = _NEXT.match(self._text, self._at)
        if behind and behind[1] in {"*", mark}:
            raise self._error(f"{behind[1]} follows {match[0]}")

    def _tagged(self, read: Callable[[], Any]) -> Any:
        match = _TAG.match(self._text, self._at)
        if match is None:
            raise self._error("it has a tag that is not read")
        self._past(match)
        node = read()
        if not isinstance(node, _TAGGED[match[1]]):
            raise self._error(f"what follows !!{match[1]} is something else")
        return str(node) if match[1] == "str" else node

    def _anchored(self, read: Callable[[], Any]) -> Any:
        match = _ANCHOR.match(self._text, self._at)
        if match is None:
            raise self._error("an anchor has no name")
        if match[1] in self._anchors:
            raise self._error("two anchors have one name")
        self._past(match)
        node = read()
        self._anchors[match[1]] = node
        return node

    def _alias(self) -> Any:
        match = _ANCHOR.match(self._text, self._at)
        if match is None or match[1] not in self._anchors:
            raise self._error("an alias names no anchor before it")
        self._at = match.end()
        node = self._anchors[match[1]]
        self._expanded += _size(node)
        if self._expanded > MOST_NODES:
            raise self._error("its aliases expand to too much")
        return node

    # --- flow style ---------------------------------------------------------------------------------------------------

    def _flow(self, _: int) -> Any:
        match self._here:
            case "[":
                return self._deeper(self._flow_sequence, 0)
            case "{":
                return self._deeper(self._flow_mapping, 0)
            case "*":
                return self._alias()
            case "&" | "!":
                return self._with_property(self._after_property_in_flow)
            case '"' | "'":
                return self._quoted()
            case _:
                return self._plain(-1, ",[]{}")

    def _after_property_in_flow(self) -> Any:
        self._skip_lines()
        return self._flow(0)

    def _flow_sequence(self, _: int) -> list[Any]:
        nodes: list[Any] = []
        for _ in self._entries("]"):
            value = self._flow(0)
            self._skip_lines()
            if self._here == ":":
                raise self._error("a list has a pair without braces")
            nodes.append(value)
        return nodes

    def _flow_mapping(self, _: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for _ in self._entries("}"):
            began, key = self._at, self._flow(0)
            self._skip_lines()
            if not isinstance(key, str) or (self._here == ":" and "\n" in self._text[began : self._at]):
                raise self._error("a key is no single text")
            if any(key.lower() == other.lower() for other in mapping):
                raise self._error(f"{key} occurs 2 times, not once")
            mapping[key] = self._flow_value()
        return mapping

    def _flow_value(self) -> Any:
        if self._here != ":":
            return Plain()
        self._at += 1
        self._skip_lines()
        return Plain() if self._here in {",", "}"} else self._flow(0)

    def _entries(self, closing: str) -> Any:
        """Stops before each entry of a flow collection; afterwards the position is behind the closing bracket."""
        self._at += 1
        self._skip_lines()
        while self._here != closing:
            yield self._at
            self._skip_lines()
            if self._here == ",":
                self._at += 1
                self._skip_lines()
            elif self._here != closing:
                raise self._error(f"a comma or {closing} is missing")
        self._at += 1
