"""A cold start: what is made while the module loads, and what only when it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from lastgood.clients import Clients
from stage.local import ROOT

FUNCTION = ROOT / "src" / "function"


class Session:
    """A session that remembers which clients it was asked for."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def client(self, service: str, config: Any = None) -> object:
        """A new object each time, as boto3 does it."""
        self.made.append(service)
        return object()


class NoBody:
    """An answer without a body, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        """All of it."""
        yield b""


def test_what_every_rollback_needs_is_made_at_once_and_what_one_platform_needs_is_not() -> None:
    session = Session()
    Clients.make(session)
    assert sorted(session.made) == ["cloudwatch", "codedeploy", "codedeploy", "dynamodb"]


@pytest.mark.parametrize("name", ["lambda_", "ecs", "ecs_writer", "s3", "sns", "events"])
def test_threads_that_ask_for_a_client_at_the_same_moment_get_the_same_one(name: str) -> None:
    session = Session()
    clients = Clients.make(session)
    before = len(session.made)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: getattr(clients, name), range(64)))
    assert len({id(each) for each in got}) == 1
    assert len(session.made) == before + 1


def test_the_client_that_reads_and_the_one_that_writes_differ_in_their_attempts() -> None:
    clients = Clients.make(boto3.Session(region_name="us-east-1"))
    assert clients.ecs.meta.config.retries["total_max_attempts"] > 1
    assert clients.ecs_writer.meta.config.retries["total_max_attempts"] == 1


def test_cloudtrail_shows_by_whom_a_call_was_made() -> None:
    names: list[str] = []

    def answered(request: Any, **_: Any) -> AWSResponse:
        names.append(request.headers["User-Agent"].decode())
        return AWSResponse(request.url, 200, {}, NoBody())

    session = boto3.Session(region_name="us-east-1")
    session.events.register("before-send", answered)
    clients = Clients.make(session)
    clients.codedeploy.stop_deployment(deploymentId="d-1")
    clients.codedeploy_writer.create_deployment(applicationName="shop")
    assert len(names) == 2
    assert all(name.startswith("lastgood/") for name in names)


def test_the_collector_rests_while_modules_load_and_works_afterwards() -> None:
    script = "import lastgood.handler, gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FUNCTION, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "True True"


def test_a_start_loads_botocore_without_boto3_around_it() -> None:
    script = "import lastgood.handler, sys; print('botocore' in sys.modules, 'boto3' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FUNCTION, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "True False"
