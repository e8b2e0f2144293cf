"""Processes that end when their block ends, each with its log; and waiting for what they do."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually[T](look: Callable[[], T], within: float, what: str, pause: float = 0.1) -> T:
    """The first look that finds something, within so many seconds. Raises TimeoutError, naming `what` was awaited."""
    deadline = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} seconds: {what}. The last look gave {found!r}")
        time.sleep(pause)
    return found


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: dict[str, str], log: Path, ready: Callable[[], bool], within: float = 30
) -> Iterator[None]:
    """A process, ready for use until the block ends; all that it started ends with it.

    Raises RuntimeError with the end of its log if it ends early or is not ready in time.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        eventually(lambda: process.poll() is not None or ready(), within, f"{command[-1]} to be ready")
        if process.poll() is not None:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        yield
    except (RuntimeError, TimeoutError) as error:
        error.add_note(tail(log))
        raise
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience: float = 5) -> None:
    """End a process and its group: politely, then not."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def tail(log: Path, size: int = 6000) -> str:
    """The end of a log, under its name."""
    return f"--- the end of {log.name} ---\n{log.read_text(errors='replace')[-size:]}"
