"""The two ways to get a simulator that boto3 talks to: in process, and over HTTP."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from simulated_aws import moto_plug
from simulated_aws.clock import Clock
from simulated_aws.simulator import Simulator

POLL_SECONDS = 0.02
"""How often a server looks whether it should end: its users wait for that."""


def make_simulator(
    clock: Clock | None, seed: int = 0, account: str = "123456789012", region: str = "us-east-1"
) -> Simulator:
    """A simulator that reads alarms and bundles from moto."""
    return Simulator(
        clock,
        seed=seed,
        account=account,
        region=region,
        alarm_state=moto_plug.alarm_state(account, region),
        objects=moto_plug.MotoObjects(account),
    )


@contextmanager
def simulated_aws(clock: Clock | None = None, *, seed: int = 0, region: str = "us-east-1") -> Iterator[Simulator]:
    """All of moto in this process, with a CodeDeploy that moves. The clock is virtual unless one is given."""
    with patch.dict(os.environ, {"AWS_DEFAULT_REGION": region}), mock_aws(), ExitStack() as patches:
        simulator = make_simulator(clock, seed, region=region)
        _on_its_clock(simulator, patches)
        moto_plug.plug(simulator, over_http=False)
        try:
            yield simulator
        finally:
            moto_plug.unplug(over_http=False)


def _on_its_clock(simulator: Simulator, patches: ExitStack) -> None:
    """moto stamps objects and alarms with the machine's time; here everything lives by the simulated clock."""
    for module in ("moto.s3.models", "moto.cloudwatch.models"):
        patches.enter_context(patch(f"{module}.utcnow", lambda: simulator.clock.now().replace(tzinfo=None)))


@dataclass(frozen=True)
class Server:
    """A running server: `url` is the endpoint of every AWS service, `application` the WSGI application behind it."""

    url: str
    simulator: Simulator
    application: Any

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client that talks to this server."""
        connect: Any = boto3.client  # its stubs want the service as a literal
        return connect(
            service,
            endpoint_url=self.url,
            region_name=self.simulator.region,
            aws_access_key_id="simulated",
            aws_secret_access_key="simulated",
            **options,
        )


@contextmanager
def serve(
    port: int = 0,
    clock: Clock | None = None,
    *,
    host: str = "127.0.0.1",
    seed: int = 0,
    region: str = "us-east-1",
) -> Iterator[Server]:
    """All of moto over HTTP, with a CodeDeploy that moves. Port 0 takes a free one."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line for each request otherwise
    BackendDict.reset()
    simulator = make_simulator(clock, seed, region=region)
    moto_plug.plug(simulator, over_http=True)
    moto = DomainDispatcherApplication(create_backend_app)
    server = make_server(host, port, moto, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://{host}:{server.server_port}", simulator, moto)
    finally:
        server.shutdown()
        thread.join()
        moto_plug.unplug(over_http=True)
        BackendDict.reset()
