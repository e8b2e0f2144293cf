"""Marks that people put on a revision itself, in its tags or description: a floor, or that approval is needed."""

from __future__ import annotations

from collections.abc import Container

from lastgood.errors import RefusedError
from lastgood.model import APPROVAL_MARKER, FLOOR_MARKER, Marks


def marks_in(tags: Container[str]) -> Marks:
    """The marks in the names of tags, or in a description."""
    return Marks(FLOOR_MARKER in tags, APPROVAL_MARKER in tags)


def unless_denied(error: RefusedError) -> Marks:
    """No marks for a revision that is gone. One that may not be read could be a floor: the error is raised again."""
    if error.permission_denied:
        raise error
    return Marks()
