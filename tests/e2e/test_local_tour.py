"""The tour that `make local` prints: every line is typed as it stands there, in a shell that was set up as it says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from local_aws import Stack, eventually, local_stack
from local_aws.__main__ import ALARM, APPLICATION, GROUP, PERSON, commands, environment, set_the_scene
from local_aws.stack import ROOT

pytestmark = pytest.mark.e2e

PATIENCE = 120


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make local` leaves up."""
    with local_stack(tmp_path_factory.mktemp("tour"), lambda line: None, NotificationEmail=PERSON) as made:
        set_the_scene(made)
        yield made


def typed(line: str, stack: Stack) -> subprocess.CompletedProcess[str]:
    """A line in another terminal, in this folder, after the line that comes first."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LASTGOOD_"))}
    return subprocess.run(
        ["bash", "-c", f". {environment(stack)}; {line}"],
        cwd=ROOT,
        env={**shell, "TMPDIR": str(stack.folder), "HOME": str(stack.folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_every_line_of_the_tour_does_what_it_says(stack: Stack) -> None:
    shown = commands(stack)
    tour = shown.partition("\nTrip the alarm by its metric")[0]
    lines = [line.strip() for line in tour.splitlines() if line.startswith(("  lastgood ", "  .venv"))]
    assert [line.split()[1] for line in lines if line.startswith("lastgood")][:3] == ["doctor", "plan", "mode"]
    said: dict[str, str] = {}
    for line in lines:
        line = line.replace("--out report.html", f"--out {stack.folder / 'report.html'}")
        ran = typed(line, stack)
        assert ran.returncode == 0, (line, ran.stdout[-3000:], ran.stderr[-3000:])
        assert "Traceback" not in ran.stderr
        said[" ".join(line.split()[:3])] = ran.stdout
        if "set-alarm-state" in line:
            # A person is slower than the message.
            eventually(lambda: typed("lastgood status last", stack).returncode == 21, PATIENCE, "the rollback waits")
    assert "[NG]" not in said["lastgood doctor"] and "Not in the local AWS" in said["lastgood doctor"]
    assert "It would roll back" in said[f"lastgood plan {ALARM}"]
    assert "ROLLED_BACK" in said["lastgood approve last"] and "ROLLED_BACK" in said["lastgood audit show"]
    assert "<html" in (stack.folder / "report.html").read_text()
    live = stack.simulator("live", application=APPLICATION, group=GROUP)
    assert "prod-00002.zip" in str(live) and "bad.zip" not in str(live)
