"""What the contract tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulated_aws import Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for a file: starting and stopping one costs half a second."""
    with serve() as running:
        yield running
