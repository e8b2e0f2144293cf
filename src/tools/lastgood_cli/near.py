"""The names that a misspelt one may have meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ID_PREFIX = "rb-"
"""How the id of a rollback begins."""


def nearest(wanted: str, known: Iterable[str], at_most: int = 3, alike: float = 0.5) -> list[str]:
    """The known names that are spelt most like a wanted one, the likeliest first. `alike`: from 0, any, to 1, equal."""
    from difflib import get_close_matches  # slow to import, and needed for a typing mistake only

    return get_close_matches(wanted, list(known), n=at_most, cutoff=alike)


def there_is(near: Sequence[str]) -> str:
    """`; there is a and b`, the end of a sentence that something does not exist; empty without a name."""
    return f"; there is {' and '.join(near)}" if near else ""


def nearest_id(wanted: str, ids: Iterable[str]) -> list[str]:
    """The ids of rollbacks that are spelt like a whole id, or end like an ending of one, but for a slip or two."""
    whole = wanted.startswith(ID_PREFIX)
    by_part = {each if whole else each[-len(wanted) :]: each for each in ids}
    return [by_part[part] for part in nearest(wanted, by_part, alike=0.9 if whole else 0.7)]
