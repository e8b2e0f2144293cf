"""The answers to `health`: whether the function is set up well, and what is wrong with its settings if it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood import __version__
from lastgood.errors import SettingsError
from lastgood.parts import Parts
from lastgood.results import refusal
from lastgood.settings import unknown_variables


def health(parts: Parts, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the runtime lacks. The settings are right, or the function would not have got here.

    It is healthy even where newer features of AWS are only not seen.
    """
    lacking = parts.missing_models()
    parts.telemetry.runtime_lacks(lacking)
    return {
        "healthy": not lacking,
        "version": __version__,
        "settings_problems": [],
        "unknown_settings": unknown_variables(environ),
        "runtime_lacks": lacking + parts.unseen_features(),
    }


def misconfigured(error: SettingsError, event: object) -> dict[str, Any]:
    """Answer `health` with the list of problems. For any other event raise, so that it, perhaps an alarm, is kept."""
    if isinstance(event, dict) and event.get("action") == "health":
        about = {"healthy": False, "version": __version__, "settings_problems": error.problems}
        return {"results": [{**about, **refusal("settings", str(error))}]}
    raise error
