"""What the contract tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codedeploy_simulator import Server, serve


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for the session: starting and stopping one costs half a second."""
    with serve() as running:
        yield running
