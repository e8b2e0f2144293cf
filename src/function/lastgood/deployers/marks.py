"""Marks that people put on a revision itself, in its tags: a floor, a wish to be asked."""

from __future__ import annotations

from collections.abc import Container

from lastgood.errors import RefusedError
from lastgood.model import APPROVAL_MARKER, FLOOR_MARKER, Marks


def marks_in(tags: Container[str]) -> Marks:
    """What the names of tags, or a description, say."""
    return Marks(FLOOR_MARKER in tags, APPROVAL_MARKER in tags)


def unless_denied(error: RefusedError) -> Marks:
    """What is gone marks nothing. What may not be read could be a floor: that is not taken for none."""
    if error.permission_denied:
        raise error
    return Marks()
