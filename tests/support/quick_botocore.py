"""botocore, without what it works out again for each client. What a client does stays the same.

Each client copies the session's handlers, chunk by chunk of their names, and looks for itself which event names were
others once.
"""

from __future__ import annotations

import copy
from typing import Any

from botocore.hooks import EventAliaser, NodeList, _PrefixTrie


def quicken() -> None:
    """From now on, in this process."""
    EventAliaser.__copy__ = _copied_aliaser
    _PrefixTrie._recursive_copy = _copied_trie


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
