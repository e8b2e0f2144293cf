"""Names with placeholders: `<app>-<env>-errors` fits `shop-prod-errors`, with app = shop and env = prod. Pure.

Besides placeholders a pattern may have the wildcards of a glob. A name is matched from both ends, so the time that it
takes is at most the pattern's length times the name's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

_PLACEHOLDER = re.compile(r"<([^<>]*)>")
# The elements of a pattern; in brackets, as in a glob, `<` and `*` are meant literally.
_ELEMENT = re.compile(r"\[!?\]?[^\]]*\]|<[^<>]*>|\*+|.", re.DOTALL)
_STAR = "*"
_TWO_NAMES = re.compile(r"((?:<[^<>]+>|[^/<>])+)/((?:<[^<>]+>|[^/<>])+)")


class MissingValueError(Exception):
    """A text has a placeholder whose value is unknown. `name` is the placeholder's name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def placeholders(text: str) -> tuple[str, ...]:
    """The placeholders of a text, in order. Raises ValueError where a `<` is not closed, or a placeholder is empty."""
    if "<" in _PLACEHOLDER.sub("", text):
        raise ValueError(f'has a "<" that no ">" closes: {text[:80]!r}')
    names = tuple(match[1] for match in _PLACEHOLDER.finditer(text))
    if not all(name.strip() == name != "" for name in names):
        raise ValueError(f"has a placeholder without a name, or with a space at its end: {text[:80]!r}")
    return names


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder's value in its place. Raises MissingValueError."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise MissingValueError(match[1])
        return values[match[1]]

    return _PLACEHOLDER.sub(value, text)


def stand_in(text: str) -> str:
    """The text with a letter in place of each placeholder, so that the rest of it can be checked."""
    return _PLACEHOLDER.sub("x", text)


def split_names(text: str) -> tuple[str, str]:
    """`<cluster>/<service>` in its two halves, each of which may have placeholders. Raises ValueError."""
    match = _TWO_NAMES.fullmatch(text)
    if match is None:
        raise ValueError("must be two names with a slash between")
    return match[1], match[2]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a pattern that fits exactly `width` characters."""

    glob: str
    width: int
    pattern: re.Pattern[str]

    def fits(self, name: str, at: int) -> bool:
        """Whether it fits the name there."""
        return at >= 0 and self.pattern.fullmatch(name, at, at + self.width) is not None


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern: segments, and between each two of them a gap that fits any text.

    A gap is a placeholder's name, which fits at least one character, or `*`.
    """

    segments: tuple[Segment, ...]
    gaps: tuple[str, ...]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of its placeholders."""
        return tuple(gap for gap in self.gaps if gap != _STAR)

    def bindings(self, name: str) -> Iterator[dict[str, str]]:
        """Each way in which the pattern fits a name: the placeholders with their values."""
        latest = self._latest(name)
        if latest and (self.gaps or latest == (0,)) and self.segments[0].fits(name, 0):
            yield from self._from(name, latest, (0,))

    def _latest(self, name: str) -> tuple[int, ...]:
        """The latest beginning of each segment such that everything after it still fits; empty if nothing fits."""
        end = len(name) - self.segments[-1].width
        ends = [end] if self.segments[-1].fits(name, end) else []
        for segment, gap in zip(self.segments[-2::-1], self.gaps[::-1], strict=True):
            if not ends:
                return ()
            last = ends[-1] - segment.width - _least(gap)
            at = next((at for at in range(last, -1, -1) if segment.fits(name, at)), None)
            ends = [*ends, at] if at is not None else []
        return tuple(ends[::-1])

    def _from(self, name: str, latest: tuple[int, ...], begins: tuple[int, ...]) -> Iterator[dict[str, str]]:
        """The ways to go on from the segments that are placed already; there is always at least one."""
        placed = len(begins)
        if placed == len(self.segments):
            yield self._binding(name, begins)
            return
        first = begins[-1] + self.segments[placed - 1].width + _least(self.gaps[placed - 1])
        # The last segment can only be at the end of the name.
        earliest = latest[placed] if placed == len(self.segments) - 1 else first
        for at in range(max(first, earliest), latest[placed] + 1):
            if self.segments[placed].fits(name, at):
                yield from self._from(name, latest, (*begins, at))

    def _binding(self, name: str, begins: tuple[int, ...]) -> dict[str, str]:
        ends = (at + segment.width for at, segment in zip(begins, self.segments, strict=True))
        texts = (name[end:begin] for end, begin in zip(ends, begins[1:], strict=False))
        return {gap: text for gap, text in zip(self.gaps, texts, strict=True) if gap != _STAR}


def _least(gap: str) -> int:
    return 0 if gap == _STAR else 1


@lru_cache(maxsize=512)
def parse_pattern(text: str) -> NamePattern:
    """A pattern from its text. Raises ValueError for one that could be read in more than one way."""
    names = placeholders(re.sub(r"\[!?\]?[^\]]*\]", "", text))
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"has the placeholder <{twice}> twice")
    segments, gaps = [""], []
    for element in _ELEMENT.findall(text):
        if element.startswith("*") or _PLACEHOLDER.fullmatch(element):
            gaps.append(_STAR if element.startswith("*") else element[1:-1])
            segments.append("")
        else:
            segments[-1] += element
    if not all(segments[1:-1]):
        raise ValueError("has two placeholders, or a placeholder and a *, with nothing between them")
    return NamePattern(tuple(map(_segment, segments)), tuple(gaps))


def _segment(glob: str) -> Segment:
    return Segment(glob, len(_ELEMENT.findall(glob)), re.compile(translate(glob)))
