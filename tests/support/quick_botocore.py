"""botocore, without what it works out again for each client or session. What a client does stays the same.

Each client copies the session's handlers, chunk by chunk of their names, looks for itself which event names were others
once, and makes a method for each operation of its service. Each session reads the models of its services from megabytes
of JSON. Each request is signed with cryptography, though nobody here looks at a signature; the name of what sends it is
put together twice, letter by letter; and each attribute of each item that DynamoDB answers with is looked for under the
names of all ten types.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore import useragent
from botocore.auth import AUTH_TYPE_MAPS, BaseSigner
from botocore.client import ClientCreator
from botocore.compat import get_current_datetime
from botocore.exceptions import NoCredentialsError
from botocore.hooks import EventAliaser, NodeList, _PrefixTrie
from botocore.loaders import Loader
from botocore.parsers import BaseJSONParser

_read: dict[Any, Any] = {}
_methods: dict[tuple[int, tuple[str, ...]], tuple[Any, dict[str, Any]]] = {}
"""By the operations, and by the identity of a service's description: it is kept too, so that no other one gets that."""
_create_methods = ClientCreator._create_methods
_parsed_structure = BaseJSONParser._handle_structure


def quicken() -> None:
    """From now on, in this process."""
    EventAliaser.__copy__ = _copied_aliaser
    _PrefixTrie.__copy__ = _copied_trie
    _PrefixTrie.append_item = _owning(_PrefixTrie.append_item)
    _PrefixTrie.remove_item = _owning(_PrefixTrie.remove_item)
    ClientCreator._create_methods = _shared_methods
    # S3 looks at what else its own signature says of a body.
    AUTH_TYPE_MAPS["v4"] = _Unsigned
    useragent.sanitize_user_agent_string_component = cache(useragent.sanitize_user_agent_string_component)
    BaseJSONParser._handle_structure = _structure
    # Sessions that look in the same folders share the models of services; another kind of loader keeps to itself.
    for name in ("load_service_model", "list_available_services"):
        setattr(Loader, name, _sharing(name, getattr(Loader, name)))


def _copied_aliaser(aliaser: EventAliaser) -> EventAliaser:
    """What a name was once is the same for all copies, which have the same aliases."""
    made = EventAliaser(copy.copy(aliaser._emitter), aliaser._event_aliases)
    made._alias_name_cache = aliaser._alias_name_cache
    return made


def _copied_trie(trie: _PrefixTrie) -> _PrefixTrie:
    """Both share their nodes from now on: whichever gets or loses a handler makes the way to it its own before."""
    made = _PrefixTrie()
    made._root = trie._root
    return made


def _owning(change: Callable[..., None]) -> Callable[..., None]:
    def changed(trie: _PrefixTrie, key: str, value: Any, **more: Any) -> None:
        node = trie._root = _own(trie._root)
        for chunk in key.split("."):
            if chunk not in node["children"]:
                break
            node["children"][chunk] = node = _own(node["children"][chunk])
        change(trie, key, value, **more)

    return changed


def _own(node: dict[str, Any]) -> dict[str, Any]:
    values = node["values"]
    return {
        "chunk": node["chunk"],
        "children": dict(node["children"]),
        "values": values and NodeList(values.first[:], values.middle[:], values.last[:]),
    }


def _shared_methods(creator: ClientCreator, service_model: Any) -> dict[str, Any]:
    """A method knows nothing of its client but what it is called on."""
    description = service_model._service_description
    key = (id(description), tuple(service_model.operation_names))
    if key not in _methods:
        _methods[key] = (description, _create_methods(creator, service_model))
    return dict(_methods[key][1])


def _sharing(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
    def shared(loader: Loader, *what: Any, **more: Any) -> Any:
        if type(loader) is not Loader:
            return read(loader, *what, **more)
        key = (name, tuple(loader.search_paths), what, tuple(more.items()))
        if key not in _read:
            _read[key] = read(loader, *what, **more)
        return _read[key]

    return shared


class _Unsigned(BaseSigner):
    """Says who asks, and which service of which region, as a signed request does. What would be the proof is nought."""

    REQUIRES_REGION = True

    def __init__(self, credentials: Any, service_name: str, region_name: str) -> None:
        self.credentials, self._service, self._region = credentials, service_name, region_name

    def add_auth(self, request: Any) -> None:
        if self.credentials is None:
            raise NoCredentialsError()
        moment = get_current_datetime().strftime("%Y%m%dT%H%M%SZ")
        scope = f"{self.credentials.access_key}/{moment[:8]}/{self._region}/{self._service}/aws4_request"
        said = {
            "X-Amz-Date": moment,
            "X-Amz-Security-Token": self.credentials.token,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}",
        }
        for name, value in said.items():
            del request.headers[name]
            if value:
                request.headers[name] = value


def _structure(parser: BaseJSONParser, shape: Any, value: Any) -> Any:
    """An attribute of an item has one type and one value; what has not is left to botocore."""
    if shape.name == "AttributeValue" and type(value) is dict and len(value) == 1:
        ((kind, held),) = value.items()
        if kind in _AS_THEY_COME and held is not None:
            return value
        if kind == "M":
            return {kind: {name: _structure(parser, shape, inner) for name, inner in held.items()}}
        if kind == "L":
            return {kind: [_structure(parser, shape, inner) for inner in held]}
    return _parsed_structure(parser, shape, value)


_AS_THEY_COME = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
