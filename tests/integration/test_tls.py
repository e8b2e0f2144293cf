"""Connections to a real server: the trusted certificates are read once, and whoever is not trusted is refused."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore import httpsession
from botocore.config import Config
from botocore.exceptions import SSLError

from benchmarks.authority import Authority, make_authority
from lastgood import tls

ONE_ATTEMPT = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=5)


class Answering(BaseHTTPRequestHandler):
    """DynamoDB's answer to ListTables, over a connection that is closed after it."""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"TableNames": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    """A caller who does not trust it hangs up: nothing to speak of."""

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Server:
    """Where it listens, and who vouches for it."""

    port: int
    authority: Authority


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority = make_authority(tmp_path_factory.mktemp("authority"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    with Quiet(("127.0.0.1", 0), Answering) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Server(listening.server_port, authority)
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def botocore_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts in the place of botocore's function goes when the test ends; nobody's settings meddle."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setattr(httpsession, "create_urllib3_context", httpsession.create_urllib3_context)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every bundle of certificates that is read, each time it is read."""
    found: list[Any] = []

    def load(self: ssl.SSLContext, *bundle: Any) -> None:
        found.append(bundle[0])
        super(ssl.SSLContext, self).load_verify_locations(*bundle)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load, raising=False)
    return found


def call(server: Server, session: Any, host: str = "127.0.0.1") -> Any:
    """One call by a client of its own, and so over a connection of its own."""
    client = session.create_client("dynamodb", endpoint_url=f"https://{host}:{server.port}", config=ONE_ATTEMPT)
    return client.list_tables()["TableNames"]


def test_the_bundle_is_read_once_however_many_connections_are_opened(
    server: Server, read: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(server.authority.root)
    monkeypatch.setenv("AWS_CA_BUNDLE", root)
    session = tls.session()
    assert read == [root]
    assert [call(server, session) for _ in range(3)] == [[], [], []]
    assert read == [root]


def test_without_that_every_connection_reads_it(
    server: Server, read: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When this fails, botocore or urllib3 does it themselves, and `lastgood.tls` is no longer needed."""
    root = str(server.authority.root)
    monkeypatch.setenv("AWS_CA_BUNDLE", root)
    monkeypatch.setattr(tls, "read_certificates_once", lambda _: False)
    session = tls.session()
    assert [call(server, session) for _ in range(3)] == [[], [], []]
    assert read == [root] * 3


def test_a_server_is_refused_for_whom_nobody_trusted_vouches(server: Server) -> None:
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        call(server, tls.session())


def test_a_server_is_refused_whose_certificate_is_for_another_name(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(server.authority.root))
    with pytest.raises(SSLError, match="doesn't match"):
        call(server, tls.session(), "localhost")


def test_only_those_are_trusted_whom_the_settings_of_botocore_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "config"
    settings.write_text(f"[default]\nca_bundle = {server.authority.root}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
    assert call(server, tls.session()) == []
    (trusted,) = httpsession.create_urllib3_context().get_ca_certs()
    assert dict(part[0] for part in trusted["subject"]) == {"commonName": "lastgood benchmark"}


def test_a_context_with_settings_of_its_own_is_not_the_shared_one() -> None:
    assert tls.read_certificates_once()
    shared = httpsession.create_urllib3_context()
    assert shared is httpsession.create_urllib3_context()
    assert shared is not httpsession.create_urllib3_context(ciphers="DEFAULT")


def test_another_botocore_opens_its_connections_as_it_likes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(server.authority.root))
    whole = httpsession.create_urllib3_context
    monkeypatch.delattr(httpsession, "create_urllib3_context")
    monkeypatch.setattr(httpsession.URLLib3Session, "_get_ssl_context", lambda _: whole())
    assert not tls.read_certificates_once()
    assert call(server, tls.session()) == []


def test_a_bundle_that_is_not_there_is_reported_by_the_first_call(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/roots.pem")
    before = httpsession.create_urllib3_context
    session = tls.session()
    assert httpsession.create_urllib3_context is before
    with pytest.raises(SSLError, match="No such file"):
        call(server, session)
