"""moto, without what it does slowly and that no test is about. What it answers stays the same.

A third of the time of most tests went into them: each attribute of each item was looked for under the names of all ten
DynamoDB types in all spellings; each transaction copied the whole table, value by value; each topic's first message
made a key of its own to be signed with, and each message a certificate; each stack's template, which is JSON here, was
read as YAML; each start of moto registered the addresses of all services one by one; and each request was compared with
the addresses of every service, and was taken apart and put together as one that a browser sends.
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache, lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from botocore.model import Shape
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import backend_index
from moto.backends import get_backend
from moto.cloudformation.models import Stack
from moto.core import DEFAULT_ACCOUNT_ID, responses
from moto.core import models as core
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.exceptions import HTTPException
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, Request, environ_key_for_header
from moto.core.serialize import BaseJSONSerializer
from moto.sns.models import Subscription

import quick_botocore
import quick_dynamodb
from faults.wireless import plain

_register_addresses = core.MockAWS._enable_patching
_addresses: dict[str, list[Any]] = {}
_parse_template = Stack.parse_template
_as_a_structure = BaseJSONSerializer._serialize_type_structure
_as_a_map = BaseJSONSerializer._serialize_type_map
_made_request = Request.from_primitives
_answer = BotocoreStubber.process_request


def quicken() -> None:
    """From now on, in this process."""
    quick_botocore.quicken()
    quick_dynamodb.quicken()
    responses.method_names_from_class = cache(responses.method_names_from_class)
    core.CallbackResponse = cache(core.CallbackResponse)
    core.MockAWS._enable_patching = _with_known_addresses  # type: ignore[method-assign]
    Subscription.private_key = lambda subscription: _one_key()  # type: ignore[method-assign,assignment]
    Stack.parse_template = staticmethod(_template)  # type: ignore[method-assign]
    BaseJSONSerializer._serialize_type_structure = _structure  # type: ignore[method-assign]
    BaseJSONSerializer._serialize_type_map = _map  # type: ignore[method-assign]
    BotocoreStubber.process_request = _answered  # type: ignore[method-assign]
    Request.from_primitives = staticmethod(_request)  # type: ignore[method-assign,assignment]


def _structure(serializer: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if isinstance(shape, Shape) and shape.name == "AttributeValue" and key:
        serialized[serializer.get_serialized_name(shape, key)] = plain(value)
    else:
        _as_a_structure(serializer, serialized, value, shape, key)


def _map(serializer: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.value.name == "AttributeValue":
        serialized[serializer.get_serialized_name(shape, key)] = plain(value)
    else:
        _as_a_map(serializer, serialized, value, shape, key)


# --- a request's way to what answers it ---


def _answered(stubber: BotocoreStubber, request: Any) -> Any:
    """What the service at this address answers; moto itself looks for those that are answered by none, or seldom."""
    paths, path = _way(request.url.partition("?")[0]) or ({}, "")
    if path not in paths:
        return _answer(stubber, request)
    asked = Request.from_primitives(request.method, request.url, request.headers, request.body)
    try:
        return paths[path](asked, asked.raw_url, asked.headers)
    except HTTPException as refused:
        return refused.code, refused.get_headers(), refused.get_body()


@lru_cache(maxsize=1000)
def _way(address: str) -> tuple[dict[str, Any], str] | None:
    """The handlers of the service at an address, and the key of the one that answers there.

    Not the handler: the simulator puts its own ones into their places.
    """
    for service, pattern in backend_index.backend_url_patterns:
        if pattern.match(address):
            known = get_backend(service)  # type: ignore[call-overload]
            if not isinstance(known, BackendDict):
                return None
            regions = known[DEFAULT_ACCOUNT_ID]
            backend = regions["us-east-1" if "us-east-1" in regions else "aws"]
            paths = backend._url_module.url_paths
            for path in (path for base in backend.url_bases for path in paths if re.match(path.format(base), address)):
                return paths, path
    return None


def _request(method: str, url: str, headers: Any, body: Any = None) -> Request:
    """A request whose body says everything, as nearly all do; moto itself makes the others."""
    parts = urlsplit(url)
    if method != "POST" or parts.path != "/" or parts.query or ":" in parts.netloc or not isinstance(body, bytes):
        return _made_request(method, url, headers, body)
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "REQUEST_URI": "/",
        "RAW_URI": "/",
        "SERVER_NAME": parts.netloc,
        "SERVER_PORT": "443" if parts.scheme == "https" else "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        PRESERVED_HEADER_NAMES_ENVIRON_KEY: {},
    }
    for name, value in headers.items():
        environ[_environ_key(name)] = value.decode() if isinstance(value, bytes) else value
    environ["CONTENT_LENGTH"] = str(len(body))
    return Request(environ)


_environ_key = cache(environ_key_for_header)


def _with_known_addresses(mock: core.MockAWS, reset: bool = True) -> None:
    """A start of moto. The addresses at which it answers others than botocore are those that it registered at first."""
    if not _addresses:
        _register_addresses(mock, reset)
        _addresses.update({method: [*known] for method, known in core.responses_mock._registry._registered.items()})
        return
    core.botocore_stubber.enabled = True
    if reset:
        mock.reset()
    core.responses_mock.start()
    core.responses_mock._registry._registered.update({method: [*known] for method, known in _addresses.items()})


def _template(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        found = _parse_template(text)
    return found


@cache
def _one_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)
