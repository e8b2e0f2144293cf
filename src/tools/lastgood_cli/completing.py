"""What the TAB key completes from the audit table: ids of rollbacks, deployment groups, alarms. Kept for a minute."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from lastgood_cli.options import OPTIONS

KEPT_SECONDS = 60
LOOKS_BACK = timedelta(days=14)
MOST = 200
ATTRIBUTES = {"ids": "rollback_id", "groups": "deployment_group_key", "alarms": "alarm_name"}


def _offers(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            offered = _kept(ctx)[kind]
        except Exception:
            # Somebody is typing: whatever is wrong will be said when the command runs.
            return []
        return [each for each in offered if each.startswith(incomplete)]

    return complete


rollback_ids = _offers("ids")
groups = _offers("groups")
alarm_names = _offers("alarms")


def _kept(ctx: click.Context) -> dict[str, list[str]]:
    """What the table held a minute ago at most, by kind."""
    given = {each.sets: ctx.find_root().params.get(each.sets) or each.default for each in OPTIONS}
    named = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]
    place = _cache() / f"{named}.json"
    if place.exists() and time.time() - place.stat().st_mtime < KEPT_SECONDS:
        found: dict[str, list[str]] = json.loads(place.read_text())
        return found
    found = _read(ctx.find_root().obj, given)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found))
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lastgood"


def _read(session: Any, given: Mapping[str, Any]) -> dict[str, list[str]]:
    from lastgood_cli.context import Session
    from lastgood_cli.options import Format

    session = replace(session or Session(), **{**given, "output": Format.TABLE})
    heads = list(_newest(session.records.rollbacks(session.now - LOOKS_BACK, session.now)))
    return {
        kind: list(dict.fromkeys(str(head[name]) for head in heads if head.get(name)))
        for kind, name in ATTRIBUTES.items()
    }


def _newest(heads: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for _, head in zip(range(MOST), heads, strict=False):
        yield head
