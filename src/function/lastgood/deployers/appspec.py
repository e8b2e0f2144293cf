"""An AppSpec file: read a property, replace a property, drop the hooks.

The content comes back as JSON or as YAML, whichever it was registered in; `yaml_subset` reads every form of YAML that
AppSpec files are written in. What it does not understand is refused with an error: it is never guessed, and never
treated as missing. (CodeDeploy user guide, "AppSpec file structure", "resources section".)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lastgood.model import AppSpecHooks
from lastgood.settings import Settings


class AppSpecError(ValueError):
    """The file cannot be fetched, or cannot be read without guessing."""


class OverwrittenError(AppSpecError):
    """Its key holds another file by now. `then`: the text that it held for the deployment; empty where unknown."""

    def __init__(self, message: str, then: str) -> None:
        super().__init__(message)
        self.then = then


@dataclass(frozen=True)
class AppSpec:
    """The text of an AppSpec file. Property names are found in any case: AWS's own examples differ."""

    text: str

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole file. Raises AppSpecError if lastgood cannot parse it."""
        try:
            document = json.loads(self.text, object_pairs_hook=_once) if self._is_json else _yaml(self.text)
        except AppSpecError:
            raise
        except (RecursionError, ValueError) as error:
            document = _yaml_after_all(self.text, error) if self._is_json else None
            if document is None:
                raise AppSpecError(f"lastgood cannot parse this AppSpec: {error}") from error
        if not isinstance(document, dict):
            raise AppSpecError("lastgood cannot parse this AppSpec: it is neither a JSON object nor a YAML map")
        return document

    def get(self, name: str) -> str:
        """The value of a resource property, such as `TargetVersion`. Raises AppSpecError unless it occurs just once."""
        values = [str(holder[key]) for holder, key in _places(self.document, name.lower()) if str(holder[key])]
        if len(values) != 1:
            raise AppSpecError(f"{name} occurs {len(values)} times in the AppSpec, not once")
        return values[0]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of its one resource, by their names in lower case; empty if there is not exactly one."""
        properties = _maps(self.document, "properties")
        return {str(key).lower(): value for key, value in properties[0].items()} if len(properties) == 1 else {}

    def replaced(self, **properties: str) -> AppSpec:
        """The same file with other values for these properties; everything else keeps its spelling where possible."""
        spec = self
        for name, value in properties.items():
            spec.get(name)
            wanted = deepcopy(spec.document)
            for holder, key in _places(wanted, name.lower()):
                holder[key] = value
            spec = spec._become(wanted, _with_value(spec.text, name, value))
        return spec

    @property
    def hooks(self) -> tuple[str, ...]:
        """The functions that validate a deployment, each once, by name or ARN as the file writes them."""
        hooks = next((value for key, value in self.document.items() if key.lower() == "hooks"), None)
        entries = hooks if isinstance(hooks, list) else []
        named = [str(name) for entry in entries if isinstance(entry, dict) for name in entry.values() if name]
        return tuple(dict.fromkeys(named))

    def without(self, functions: Container[str]) -> AppSpec:
        """The same file without the hooks that call these functions."""
        kept = [name for name in self.hooks if name not in functions]
        if len(kept) == len(self.hooks):
            return self
        if not kept:
            return self.without_hooks()
        key = next(key for key in self.document if key.lower() == "hooks")
        entries = [{k: v for k, v in entry.items() if str(v) in kept} for entry in self.document[key]]
        return AppSpec(json.dumps({**self.document, key: [entry for entry in entries if entry]}))

    def with_properties(self, values: Mapping[str, Any]) -> AppSpec:
        """The same file with these properties of its resource; those with no value are left out."""
        wanted, named = deepcopy(self.document), {name.lower() for name in values}
        for properties in _maps(wanted, "properties"):
            for key in [key for key in properties if str(key).lower() in named]:
                del properties[key]
            properties |= {name: value for name, value in values.items() if value}
        return self if wanted == self.document else AppSpec(json.dumps(wanted))

    def without_hooks(self) -> AppSpec:
        """The same file without its validation functions."""
        wanted = {k: v for k, v in self.document.items() if k.lower() != "hooks"}
        kept, inside = [], False
        for line in self.text.splitlines():
            if line[:1].strip() and line[0] not in "-#":
                inside = line.strip("\"'").lower().startswith("hooks")
            if not inside:
                kept.append(line)
        return self._become(wanted, "\n".join(kept) + "\n")

    def _become(self, document: dict[str, Any], text: str) -> AppSpec:
        """The edited text, if it parses to the document; else the document written anew, as JSON."""
        spec = AppSpec(text)
        try:
            same = not self._is_json and spec.document == document
        except AppSpecError:
            same = False
        return spec if same else AppSpec(json.dumps(document))

    @property
    def _is_json(self) -> bool:
        return self.text.lstrip().startswith("{")


def _yaml(text: str) -> Any:
    """Parse YAML. The reader is imported on first use: most AppSpecs come back as JSON. Raises ValueError."""
    from lastgood.deployers.yaml_subset import load

    return load(text)


def _yaml_after_all(text: str, error: Exception) -> Any:
    """Parse text that is not JSON but may be YAML's flow style, which begins like it; None if it is not that either."""
    try:
        return None if isinstance(error, RecursionError) else _yaml(text)
    except ValueError:
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's pairs as a dictionary. JSON allows a key twice, and which one counts would be a guess: refused."""
    if len({key.lower() for key, _ in pairs}) != len(pairs):
        raise AppSpecError("lastgood cannot parse this AppSpec: it has the same key twice")
    return dict(pairs)


def _places(node: Any, name: str) -> list[tuple[dict[str, Any], str]]:
    """Where a property occurs under Resources, as (holder, key); hooks are not searched."""
    if isinstance(node, list):
        return [place for part in node for place in _places(part, name)]
    if not isinstance(node, dict):
        return []
    here = [(node, key) for key, value in node.items() if key.lower() == name and isinstance(value, str | int)]
    return here + [place for key, part in node.items() if key.lower() != "hooks" for place in _places(part, name)]


def _maps(node: Any, name: str) -> list[dict[str, Any]]:
    """The maps under this name; hooks are not searched."""
    if isinstance(node, list):
        return [mapping for part in node for mapping in _maps(part, name)]
    if not isinstance(node, dict):
        return []
    here = [value for key, value in node.items() if key.lower() == name and isinstance(value, dict)]
    return here + [
        mapping for key, part in node.items() if key.lower() not in {"hooks", name} for mapping in _maps(part, name)
    ]


def _with_value(text: str, name: str, value: str) -> str:
    return _yaml_line(name).sub(lambda match: f"{match['head']}{json.dumps(value)}{match['rest']}", text)


def _yaml_line(name: str) -> re.Pattern[str]:
    """Matches a property on a line of its own, with a scalar that has no anchor."""
    head = rf"""[ \t]*(?:-[ \t]+)?["']?{re.escape(name)}["']?[ \t]*:[ \t]*"""
    value = r"""(?:(?P<quote>["'])(?P<quoted>[^"'\r\n]+)(?P=quote)|(?P<plain>[^"'\s#{\[&*|>](?:[^\r\n]*?[^\s])??))"""
    rest = r"(?P<rest>(?:[ \t]+\#[^\r\n]*)?[ \t]*\r?)$"
    return re.compile(rf"^(?P<head>{head}){value}{rest}", re.IGNORECASE | re.MULTILINE)


def appspec_location(spec: AppSpec, settings: Settings) -> dict[str, Any]:
    """The `RevisionLocation` that deploys this AppSpec, without its hooks where the settings drop them."""
    spec = spec.without_hooks() if settings.appspec_hooks is AppSpecHooks.DROP else spec
    digest = hashlib.sha256(spec.text.encode()).hexdigest()
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec.text, "sha256": digest}}
