"""botocore, without what it works out again for each client or session. What a client does stays the same.

Each client copies the session's handlers, chunk by chunk of their names, looks for itself which event names were others
once, and makes a method for each operation of its service. Each session reads the models of its services from megabytes
of JSON.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from botocore.client import ClientCreator
from botocore.hooks import EventAliaser, NodeList, _PrefixTrie
from botocore.loaders import Loader

_read: dict[Any, Any] = {}
_methods: dict[tuple[int, tuple[str, ...]], tuple[Any, dict[str, Any]]] = {}
"""By the operations, and by the identity of a service's description: it is kept too, so that no other one gets that."""
_create_methods = ClientCreator._create_methods


def quicken() -> None:
    """From now on, in this process."""
    EventAliaser.__copy__ = _copied_aliaser
    _PrefixTrie._recursive_copy = _copied_trie
    ClientCreator._create_methods = _shared_methods
    # Sessions that look in the same folders share the models of services; another kind of loader keeps to itself.
    for name in ("load_service_model", "list_available_services"):
        setattr(Loader, name, _sharing(name, getattr(Loader, name)))


def _copied_aliaser(aliaser: EventAliaser) -> EventAliaser:
    """What a name was once is the same for all copies, which have the same aliases."""
    made = EventAliaser(copy.copy(aliaser._emitter), aliaser._event_aliases)
    made._alias_name_cache = aliaser._alias_name_cache
    return made


def _copied_trie(trie: _PrefixTrie, node: dict[str, Any]) -> dict[str, Any]:
    return {
        name: NodeList(value.first[:], value.middle[:], value.last[:])
        if type(value) is NodeList
        else _copied_trie(trie, value)
        if type(value) is dict
        else value
        for name, value in node.items()
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
