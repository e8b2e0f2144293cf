"""One check of the chain, and a part of the chain with its checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lastgood_cli.fix import NOTHING, Fix


@dataclass(frozen=True, slots=True)
class Check:
    """One link of the chain. `ok`: True, False, or None where it could not be looked at."""

    name: str
    ok: bool | None
    detail: str = ""
    fix: Fix = NOTHING


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the chain with its checks."""

    name: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool | None:
        """False if anything is wrong, None if something could not be looked at, else True."""
        found = {check.ok for check in self.checks}
        return False if False in found else None if None in found else True


def healthy(parts: Iterable[Part]) -> bool:
    """True where nothing is wrong; what could not be looked at does not count against it."""
    return all(part.ok is not False for part in parts)
