"""What is well is folded where there is much of it, and what a local AWS lacks is no fault."""

from __future__ import annotations

from collections.abc import Sequence

from lastgood_cli.checks import Check, Part

FEW = 3
"""Up to this many healthy alarms, or groups, are shown one by one; more are folded into a line."""
_NOT_LOCAL = frozenset(
    {
        "it is not muted",
        "it may events:PutEvents",
        "it can be restored to a point in time",
        "old records expire",
        "the sweep is running",
    }
)
"""What the local AWS of `make local` does not have, or cannot tell."""


def as_local(part: Part) -> Part:
    """A part of the local AWS's stack: what that cannot show is not known, and not wrong."""
    return Part(part.name, tuple(map(_locally, part.checks)))


def _locally(found: Check) -> Check:
    unknown = found.name in _NOT_LOCAL and found.ok is not True
    return Check(found.name, None, "Not in the local AWS.") if unknown else found


def folded(parts: Sequence[Part], title: str, said: str) -> list[Part]:
    """Parts with those that are well folded into one line where there are many: what is wrong must be seen."""
    well = [part for part in parts if part.ok]
    if len(well) <= FEW:
        return list(parts)
    line = Check(said.format(len(well)), True, f"Of {len(parts)}.")
    return [Part(title, (line,)), *(part for part in parts if not part.ok)]
