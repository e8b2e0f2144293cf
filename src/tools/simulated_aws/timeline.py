"""What will happen, in the order in which it is due, on a clock that is passed in. Standard library only."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from simulated_aws.clock import Clock


class Timeline:
    """One queue of (moment, what). `tick` does what is due, and nothing else does."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock, self.seed = clock, seed
        self.chance = random.Random(seed)
        self._queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._moment: datetime | None = None

    def now(self) -> datetime:
        """The moment that is being played, or the clock's time."""
        return self._moment or self.clock.now()

    def next_due(self) -> datetime | None:
        """When something happens next."""
        return self._queue[0][0] if self._queue else None

    def tick(self) -> None:
        """Do everything that is due, each at its own moment."""
        while self._queue and self._queue[0][0] <= self.clock.now():
            moment, _, act = heapq.heappop(self._queue)
            self._moment = moment
            try:
                act()
            finally:
                self._moment = None

    def advance(self, seconds: float) -> None:
        """Move the clock from one thing that happens to the next, up to `seconds` from now."""
        self.advance_to(self.clock.now() + timedelta(seconds=seconds))

    def advance_to(self, until: datetime) -> None:
        """Move the clock to `until`, doing on the way what becomes due."""
        while self.play_next(until):
            pass
        self.clock.advance_to(until)

    def play_next(self, until: datetime) -> bool:
        """Move the clock to the next thing that happens and do it. False if nothing happens up to `until`."""
        due = self.next_due()
        if due is None or due > until:
            return False
        self.clock.advance_to(due)
        self.tick()
        return True

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._queue, (self.now() + timedelta(seconds=seconds), next(self._order), act))

    def random_id(self, alphabet: str, length: int) -> str:
        """An id, the same for the same seed."""
        return "".join(self.chance.choices(alphabet, k=length))

    def new_uuid(self) -> str:
        """An id in the form of a UUID, the same for the same seed."""
        digits = f"{self.chance.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
