"""What the tests of the template share."""

from __future__ import annotations

import pytest

from template_stack import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    """As deployed with every parameter left alone."""
    return Stack()
