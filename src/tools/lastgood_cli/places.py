"""Where `template.yaml` and the sample events are: beside the installed command, or in the checkout it runs from."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_BUNDLED = _HERE / "bundled"

ROOT = _BUNDLED if _BUNDLED.is_dir() else _HERE.parents[2]
TEMPLATE = ROOT / "template.yaml"
EVENTS = ROOT / "events"
TOOLS = ROOT / "src" / "tools"
