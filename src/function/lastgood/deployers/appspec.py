"""An AppSpec file as text: read a property, replace a property, drop the hooks.

The content comes back as JSON or as YAML, whichever it was registered in. The function ships no YAML library, and an
AppSpec for Lambda or ECS is flat enough that it needs none: each property that matters stands once, on a line of its
own. A file where that does not hold is refused, never guessed.
(CodeDeploy user guide, "AppSpec file structure", "resources section".)
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from lastgood.settings import Settings


class AppSpecError(ValueError):
    """The file cannot be read without guessing."""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """The text of an AppSpec file. Property names are found in any case: AWS's own examples differ."""

    text: str

    def get(self, name: str) -> str:
        """The value of a resource property, such as `TargetVersion`. Raises AppSpecError if it is not there once."""
        values = self._json_values(name) if self._is_json else self._yaml_values(name)
        if len(values) != 1:
            raise AppSpecError(f"{name} stands {len(values)} times in the AppSpec, not once")
        return values[0]

    def replaced(self, **properties: str) -> AppSpec:
        """The same file with other values for these properties; all else stays as it was written."""
        spec = self
        for name, value in properties.items():
            spec.get(name)
            spec = AppSpec(spec._json_replaced(name, value) if self._is_json else spec._yaml_replaced(name, value))
        return spec

    def without_hooks(self) -> AppSpec:
        """The same file without its validation functions."""
        if self._is_json:
            document = json.loads(self.text)
            return AppSpec(json.dumps({k: v for k, v in document.items() if k.lower() != "hooks"}))
        kept, inside = [], False
        for line in self.text.splitlines():
            if line[:1].strip() and line[0] not in "-#":
                inside = line.strip("\"'").lower().startswith("hooks")
            if not inside:
                kept.append(line)
        return AppSpec("\n".join(kept) + "\n")

    @property
    def _is_json(self) -> bool:
        return self.text.lstrip().startswith("{")

    def _json_values(self, name: str) -> list[str]:
        try:
            document = json.loads(self.text, object_pairs_hook=_once)
        except AppSpecError:
            raise
        except (ValueError, RecursionError) as error:
            raise AppSpecError("the AppSpec is neither JSON nor YAML") from error
        return [str(holder[key]) for holder, key in _places(document, name.lower())]

    def _json_replaced(self, name: str, value: str) -> str:
        document = json.loads(self.text)
        for holder, key in _places(document, name.lower()):
            holder[key] = value
        return json.dumps(document)

    def _yaml_values(self, name: str) -> list[str]:
        return [match["quoted"] or match["plain"] for match in _yaml_line(name).finditer(self.text)]

    def _yaml_replaced(self, name: str, value: str) -> str:
        return _yaml_line(name).sub(lambda match: f'{match["head"]}"{value}"{match["rest"]}', self.text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key stand twice; which of the two counts would be a guess."""
    if len({key.lower() for key, _ in pairs}) != len(pairs):
        raise AppSpecError("a key stands twice in the AppSpec")
    return dict(pairs)


def _places(node: Any, name: str) -> list[tuple[dict[str, Any], str]]:
    """Where a property stands under Resources, as (holder, key); hooks are not searched."""
    if isinstance(node, list):
        return [place for part in node for place in _places(part, name)]
    if not isinstance(node, dict):
        return []
    here = [(node, key) for key, value in node.items() if key.lower() == name and isinstance(value, str | int)]
    return here + [place for key, part in node.items() if key.lower() != "hooks" for place in _places(part, name)]


def _yaml_line(name: str) -> re.Pattern[str]:
    head = rf"""[ \t]*(?:-[ \t]+)?["']?{re.escape(name)}["']?[ \t]*:[ \t]*"""
    # A scalar, in quotes or plain; maps, lists, anchors and block scalars are not read. A comment needs a space before.
    value = r"""(?:(?P<mark>["'])(?P<quoted>[^"'\r\n]+)(?P=mark)|(?P<plain>[^"'\s#{\[&*|>](?:[^\r\n]*?[^\s])??))"""
    rest = r"(?P<rest>(?:[ \t]+\#[^\r\n]*)?[ \t]*\r?)$"
    return re.compile(rf"^(?P<head>{head}){value}{rest}", re.IGNORECASE | re.MULTILINE)


def appspec_location(spec: AppSpec, settings: Settings) -> dict[str, Any]:
    """The `RevisionLocation` that deploys this AppSpec, without its hooks where the settings drop them."""
    spec = spec.without_hooks() if settings.appspec_hooks == "drop" else spec
    digest = hashlib.sha256(spec.text.encode()).hexdigest()
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec.text, "sha256": digest}}
