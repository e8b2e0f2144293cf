"""moto, without what it does slowly and that no test is about. What it answers stays the same.

A third of the time of most tests went into them: each attribute of each item was looked for under the names of all ten
DynamoDB types in all spellings; each transaction copied the whole table, value by value; each topic's first message
made a key of its own to be signed with; each stack's template, which is JSON here, was read as YAML; and each start of
moto registered the addresses of all services one by one.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from botocore.model import Shape
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.cloudformation.models import Stack
from moto.core import models as core
from moto.core import responses
from moto.core.serialize import BaseJSONSerializer
from moto.sns.models import Subscription

import quick_botocore
import quick_dynamodb
from faults.wireless import plain

_register_addresses = core.MockAWS._enable_patching
_addresses: dict[str, list[Any]] = {}
_parse_template = Stack.parse_template
_as_a_structure = BaseJSONSerializer._serialize_type_structure


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


def _structure(serializer: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if isinstance(shape, Shape) and shape.name == "AttributeValue" and key:
        serialized[serializer.get_serialized_name(shape, key)] = plain(value)
    else:
        _as_a_structure(serializer, serialized, value, shape, key)


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
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
