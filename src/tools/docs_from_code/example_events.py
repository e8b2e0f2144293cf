"""The example events of operators' actions, `events/manual-*.json`, made from the table of actions.

Run as `python -m docs_from_code.example_events events`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from lastgood.signals import ACTIONS, ECS_SERVICE, GROUP

type Example = Mapping[str, str | bool]


def _without(event: Example, *names: str) -> Example:
    return {name: value for name, value in event.items() if name not in names}


def example_events() -> dict[str, Example]:
    """File name → event. A rollback has three: as it is, as a dry run, and as a dry run for an ECS service."""
    dry_run = ACTIONS["rollback"].event
    events: dict[str, Example] = {name: act.event for name, act in ACTIONS.items() if name != "rollback"}
    events |= {"rollback": _without(dry_run, "dry_run"), "dry_run": dry_run}
    events["dry_run_service"] = {
        "action": "rollback",
        ECS_SERVICE: "production/shop",
        **_without(dry_run, "action", *GROUP),
    }
    return {f"manual-{name.replace('_', '-')}.json": event for name, event in events.items()}


def written(event: Example) -> str:
    """The text of a file."""
    return json.dumps(event, indent=2) + "\n"


if __name__ == "__main__":
    for name, event in example_events().items():
        Path(sys.argv[1], name).write_text(written(event))
