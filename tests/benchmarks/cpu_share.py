"""A function's share of a CPU, kept by stopping and continuing its process: no privileges, any Linux.

Lambda gives a function memory/1769 of a CPU while it handles an event, and a whole one while it initialises. The kernel
does it with a quota per 20 ms; here the quota is watched by the clock of the process's own CPU time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PERIOD = 0.020
LOOK = 0.001
FULL_CPU_MB = 1769
"""At this memory size a function has one whole CPU (Lambda's developer guide)."""


def share_of(memory_mb: int) -> float:
    """The share of one CPU that a function of that memory size has."""
    return memory_mb / FULL_CPU_MB


@contextlib.contextmanager
def cpu_share(ready: Path, share: float) -> Iterator[None]:
    """While the block runs: from when `ready` names a process, that process gets `share` of a CPU."""
    if share >= 1:
        yield
        return
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(ready, share, over), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join(timeout=5)


def _keep(ready: Path, share: float, over: threading.Event) -> None:
    while not ready.exists():
        if over.wait(LOOK):
            return
    pid = int(ready.read_text().split()[0])
    with contextlib.suppress(ProcessLookupError, OSError):
        try:
            _periods(pid, share, over)
        finally:
            os.kill(pid, signal.SIGCONT)


def _periods(pid: int, share: float, over: threading.Event) -> None:
    clock = ((~pid) << 3) | 2
    """The kernel's number for the CPU-time clock of a process (MAKE_PROCESS_CPUCLOCK in its headers)."""
    allowed = time.clock_gettime(clock)
    end = time.monotonic()
    while not over.is_set():
        # What was used too much in one period is missing in the next; what was left is not saved up.
        now = time.monotonic()
        end = max(end, now - PERIOD) + PERIOD
        allowed = min(allowed, time.clock_gettime(clock)) + PERIOD * share
        while (now := time.monotonic()) < end:
            if time.clock_gettime(clock) >= allowed:
                os.kill(pid, signal.SIGSTOP)
                over.wait(max(0.0, end - now))
                os.kill(pid, signal.SIGCONT)
                break
            over.wait(LOOK)
