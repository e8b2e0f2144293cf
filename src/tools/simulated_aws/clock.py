"""Clocks. The engine never reads the time of the machine by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time as an aware UTC datetime."""
        ...

    def advance(self, seconds: float) -> datetime:
        """Move on by `seconds` and return the new time."""
        ...

    def advance_to(self, moment: datetime) -> datetime:
        """Move on to `moment`; time never goes back."""
        ...


class VirtualClock:
    """Time that stands still until it is told to move."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._now = start

    def now(self) -> datetime:
        """The time as an aware UTC datetime."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move on by `seconds` and return the new time."""
        return self.advance_to(self._now + timedelta(seconds=seconds))

    def advance_to(self, moment: datetime) -> datetime:
        """Move on to `moment`; time never goes back."""
        self._now = max(self._now, moment)
        return self._now


class WallClock:
    """The time of the machine, plus whatever was skipped with `advance`."""

    def __init__(self) -> None:
        self._skipped = timedelta(0)

    def now(self) -> datetime:
        """The time as an aware UTC datetime."""
        return datetime.now(UTC) + self._skipped

    def advance(self, seconds: float) -> datetime:
        """Skip `seconds`, so that a demo need not wait for a canary."""
        self._skipped += timedelta(seconds=seconds)
        return self.now()

    def advance_to(self, moment: datetime) -> datetime:
        """Skip to `moment`; time never goes back."""
        self._skipped += max(moment - self.now(), timedelta(0))
        return self.now()
