"""The processes of the local AWS: none outlives its block, and what went wrong is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from local_aws.processes import eventually, free_port, running, tail

FOREVER = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait()"


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_process_is_ready_in_its_block_and_ends_with_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(python(FOREVER), {}, log, lambda: "\n" in log.read_text()):
        process_id = int(log.read_text())
        assert is_alive(process_id)
    assert not is_alive(process_id)


def test_a_process_ends_when_its_block_fails(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(ZeroDivisionError), running(python(FOREVER), {}, log, lambda: "\n" in log.read_text()):
        raise ZeroDivisionError
    assert not is_alive(int(log.read_text()))


def test_a_process_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(RuntimeError, match="ended with 3") as raised,
        running(python("print('no room'); raise SystemExit(3)"), {}, log, lambda: False),
    ):
        pytest.fail("it was never ready")
    assert "no room" in raised.value.__notes__[0]


def test_a_process_that_is_never_ready_is_ended_and_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(TimeoutError, match="to be ready"),
        running(python(FOREVER), {}, log, lambda: False, within=0.5),
    ):
        pytest.fail("it was never ready")
    assert not log.read_text() or not is_alive(int(log.read_text()))


def test_the_first_look_that_finds_something_ends_the_waiting() -> None:
    found = iter([0, "", [], "it"])
    assert eventually(lambda: next(found), 5, "it", pause=0) == "it"


def test_what_does_not_come_is_named_with_the_last_look() -> None:
    with pytest.raises(TimeoutError, match=r"not within 0 seconds: the rain\. The last look gave \[\]"):
        eventually(list, 0, "the rain", pause=0)


def test_a_long_log_is_shown_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "aws.log"
    log.write_text("early" * 100 + "late")
    assert tail(log, 4) == "--- the end of aws.log ---\nlate"


def test_a_free_port_is_a_port() -> None:
    assert 1024 < free_port() < 65536
