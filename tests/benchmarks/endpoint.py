"""AWS with a fixed latency, over HTTP and TLS, in a process of its own.

`python -m benchmarks.endpoint FOLDER` makes a certificate authority in FOLDER, listens on two free loopback ports, and
prints one line of JSON: `{"http": …, "https": …}`. Every answer is sent exactly one latency after its request was
complete, however long the answer took to find. `POST /bench/reset` begins a new scene, `POST /bench/log` tells of the
calls since then, `POST /bench/brief` only of CodeDeploy's and without what they asked.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from benchmarks.authority import make_authority
from benchmarks.cloud import Cloud, Refused

SERVICES = {
    "CodeDeploy_20141006": "codedeploy",
    "DynamoDB_20120810": "dynamodb",
    "GraniteServiceVersion20100801": "cloudwatch",
    "AWSEvents": "events",
}


@dataclass
class Bucket:
    """A token bucket: `rate` calls a second, `burst` at once. A rate of 0 lets everything pass."""

    rate: float = 0.0
    burst: float = 0.0
    _tokens: float = field(default=0.0, init=False)
    _at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def passes(self, at: float) -> bool:
        """Take a token if there is one."""
        if not self.rate:
            return True
        if self._at:
            self._tokens = min(self.burst, self._tokens + (at - self._at) * self.rate)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass
class Scene:
    """What is answered now, and every call since it began."""

    cloud: Cloud
    latency: dict[str, float]
    bucket: Bucket = field(default_factory=Bucket)
    arrivals: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(cls, asked: dict[str, Any]) -> Scene:
        """`{"groups", "length", "failed", "latency": {service or "default": seconds}, "rate", "burst"}`."""
        size = {name: asked[name] for name in ("groups", "length", "failed") if name in asked}
        return cls(
            Cloud(time.time(), **size),
            asked.get("latency") or {"default": 0.0},
            Bucket(asked.get("rate", 0.0), asked.get("burst", 0.0)),
        )

    def answer(self, service: str, operation: str, asked: dict[str, Any], at: float) -> tuple[int, dict[str, Any]]:
        """The status and body of one call; the call is written down."""
        status, body, throttled = 200, {}, False
        try:
            if service == "codedeploy" and not self.bucket.passes(at):
                throttled = True
                raise Refused("ThrottlingException", "Rate exceeded")
            body = self.cloud.answer(service, operation, asked, time.time())
        except Refused as refused:
            status, body = 400, refused.body
        arrival = {"service": service, "operation": operation, "at": at, "throttled": throttled, "parameters": asked}
        self.arrivals.append({**arrival, "answered": at + self.seconds(service)})
        return status, body

    def brief(self) -> list[dict[str, Any]]:
        """CodeDeploy's calls without their parameters."""
        asked = (a for a in self.arrivals if a["service"] == "codedeploy")
        return [{name: value for name, value in a.items() if name != "parameters"} for a in asked]

    def seconds(self, service: str) -> float:
        """The latency of a service."""
        return self.latency.get(service, self.latency["default"])


class Endpoint:
    """Both listeners share one scene."""

    def __init__(self) -> None:
        self.scene = Scene.begin({})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = head[0].split(" ")[1]
                headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                at = time.monotonic()
                status, kind, text, seconds = self._handle(path, headers, body, at)
                await asyncio.sleep(max(0.0, at + seconds - time.monotonic()))
                data = text.encode()
                about = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
                writer.write(about.encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _handle(self, path: str, headers: dict[str, str], body: bytes, at: float) -> tuple[int, str, str, float]:
        if path == "/bench/reset":
            self.scene = Scene.begin(json.loads(body))
            return 200, "application/json", "{}", 0.0
        if path == "/bench/log":
            return 200, "application/json", json.dumps(self.scene.arrivals), 0.0
        if path == "/bench/brief":
            return 200, "application/json", json.dumps(self.scene.brief()), 0.0
        target = headers.get("x-amz-target", "")
        if target:
            name, _, operation = target.partition(".")
            service, asked = SERVICES[name], json.loads(body or b"{}")
            status, answer = self.scene.answer(service, operation, asked, at)
            return status, "application/x-amz-json-1.1", json.dumps(answer), self.scene.seconds(service)
        if body:
            asked = dict(parse_qsl(body.decode()))
            self.scene.answer("sns", asked.get("Action", ""), asked, at)
            return 200, "text/xml", PUBLISHED, self.scene.seconds("sns")
        # A connection that is opened ahead of its first call.
        return 404, "text/plain", "", 0.0


PUBLISHED = (
    '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId>'
    "</PublishResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PublishResponse>"
)


async def _main(folder: Path) -> None:
    endpoint = Endpoint()
    authority = make_authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    plain = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    secure = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, ssl=context)
    ports = {"http": plain.sockets[0].getsockname()[1], "https": secure.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    # Whoever started this holds the other end of stdin; when it is gone, so is the endpoint.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
