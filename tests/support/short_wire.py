"""A server's answers without its socket, for clients in its own process: a request is handed to its application.

Other processes, and clients of anything else, take the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from moto.core.botocore_stubber import MockRawResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from simulated_aws import Server


@contextmanager
def short_wire(server: Server) -> Iterator[None]:
    """Until the block ends."""
    over_the_wire = URLLib3Session.send

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        if not request.url.startswith(f"{server.url}/"):
            return over_the_wire(session, request)
        try:
            body, status, headers = run_wsgi_app(server.application, _environ(server, request))
        except Exception:
            # What the server would answer for a mistake of its own, such as an operation that moto does not have.
            return AWSResponse(request.url, 500, {}, MockRawResponse(b""))
        return AWSResponse(request.url, int(status.split()[0]), headers, MockRawResponse(b"".join(body)))

    with patch.object(URLLib3Session, "send", send):
        yield


def _environ(server: Server, request: AWSPreparedRequest) -> dict[str, Any]:
    """The request as a WSGI application gets it."""
    parts, body = urlsplit(request.url), request.body
    return EnvironBuilder(
        path=parts.path,
        query_string=parts.query,
        base_url=server.url,
        method=request.method,
        headers=[(name, _text(value)) for name, value in request.headers.items()],
        data=body.read() if hasattr(body, "read") else body,
    ).get_environ()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
