"""Untrusted text: make it harmless, read it as JSON, read it as a time.

Alarm names, reasons and operators' words end up in logs, the audit table, notices and terminals, and must not
steer any of them.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Never

REPLACEMENT = "\ufffd"
LINE = " | "
"""Between the lines of a notice."""

# `<https://…|shown>`, `<!channel>`, `<@U0123>`, `<#C0123>`.
_MENTION = re.compile("<(?=[!@#]|[A-Za-z][A-Za-z0-9+.-]*:)")
# Controls (ANSI's escape among them), invisible and bidirectional marks, lone surrogates, and the separators
# of lines and paragraphs.
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_DIRECTION_MARKS = frozenset({"\u061c", "\u200e", "\u200f"})
_UNSEEN_SPACES = frozenset({"\u200b", "\ufeff"})
_MAX_DEPTH = 50
_MAX_DIGITS = 18


class UnreadableError(ValueError):
    """A text is not JSON that we accept. A retry cannot help. `code` says what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def clean(text: str, limit: int) -> str:
    """The text with every hostile character replaced visibly, cut to `limit` characters with an ellipsis."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(_harmless(character) for character in cut)


def one_line_of_several(text: str) -> str:
    """The text without what separates the lines of a notice: a name must not look like a line of its own."""
    return text.replace(LINE, " ¦ ")


def without_links(text: str) -> str:
    """The text without what a chat client turns into a link or a mention: what is shown must be what is there."""
    return _MENTION.sub("‹", text).replace("](", "] (")


def is_plain(text: str) -> bool:
    """True where nothing in the text is hostile or was replaced: only such a text may be a name."""
    return REPLACEMENT not in text and _HOSTILE.isdisjoint(map(unicodedata.category, text))


def is_name(text: str) -> bool:
    """True for a possible alarm's name, including joiners and other format characters, which emoji and scripts need.

    Refused are characters that end a line, steer a terminal, override the direction of reading, or are invisible
    spaces. The marks by which Arabic and Hebrew text states its direction override nothing, and are allowed.
    """
    return REPLACEMENT not in text and not any(map(_is_no_part_of_a_name, text))


def _is_no_part_of_a_name(character: str) -> bool:
    category = unicodedata.category(character)
    if category != "Cf":
        return category in _HOSTILE
    marks = unicodedata.bidirectional(character) != "BN" and character not in _DIRECTION_MARKS
    return marks or character in _UNSEEN_SPACES


def without_surrogates(text: str) -> str:
    """The text with lone surrogates replaced; DynamoDB and every UTF-8 writer would raise on them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _harmless(character: str) -> str:
    if unicodedata.category(character) not in _HOSTILE:
        return character
    return " " if character.isspace() else REPLACEMENT


def read_json(text: str, max_characters: int) -> object:
    """Strict JSON. Raises UnreadableError: too_large, too_deep, duplicate_key, bad_number or not_json."""
    if len(text) > max_characters:
        raise UnreadableError("too_large", f"it has {len(text)} characters; at most {max_characters} are read")
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_float=_finite,
            parse_int=_modest,
        )
    except RecursionError:
        raise _too_deep() from None
    except UnreadableError:
        raise
    except ValueError:
        raise UnreadableError("not_json", f"it is not JSON but begins with: {clean(text, 200)}") from None
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object's pairs as a dictionary. A duplicate key means different things to two readers, so it is refused."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise UnreadableError("duplicate_key", f"it gives {clean(_first_repeated(pairs), 80)!r} twice in one object")
    return values


def _first_repeated(pairs: list[tuple[str, object]]) -> str:
    counts = Counter(key for key, _ in pairs)
    return next(key for key, count in counts.items() if count > 1)


def _refuse_number(text: str) -> Never:
    raise UnreadableError("bad_number", f"it contains {clean(text, 20)}, no number that can be kept")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _modest(text: str) -> int:
    return int(text) if len(text) <= _MAX_DIGITS else _refuse_number(text)


def _too_deep() -> UnreadableError:
    return UnreadableError("too_deep", f"it is nested more than {_MAX_DEPTH} levels deep")


def _check_depth(value: object) -> None:
    """Refuse deep nesting. The depth at which Python's reader gives up depends on its build; this limit does not."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise _too_deep()


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def read_time(text: str) -> datetime:
    """An ISO-8601 time with an offset (`Z`, `+0000`, `+00:00`), in UTC. Else raises ValueError."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError("has no offset from UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the calendar") from None
