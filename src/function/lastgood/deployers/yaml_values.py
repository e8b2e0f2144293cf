"""What the scalars of a YAML text mean: numbers, truth values, nothing, or text; and what `<<` takes over."""

from __future__ import annotations

import re
from typing import Any

from lastgood.deployers.yaml_text import Plain, YamlError

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


def typed(node: Any) -> Any:
    """A composed node with values in the place of its plain scalars."""
    if isinstance(node, dict):
        return _merged({str(key): typed(value) for key, value in node.items()}, node)
    if isinstance(node, list):
        return [typed(item) for item in node]
    if not isinstance(node, Plain):
        return node
    if node.lower() in _WORDS and node in {node.lower(), node.capitalize(), node.upper()}:
        return _WORDS[node.lower()]
    if _INTEGER.fullmatch(node) and len(node) < 19:
        return int(node)
    return float(node) if _FLOAT.fullmatch(node) else str(node)


def _merged(values: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """`<<` takes over the keys of other maps that a map does not have itself."""
    if not any(isinstance(key, Plain) and key == "<<" for key in node):
        return values
    others = values.pop("<<")
    for other in others if isinstance(others, list) else [others]:
        if not isinstance(other, dict):
            raise YamlError("<< takes over what is no map")
        values = {**other, **values}
    return values
