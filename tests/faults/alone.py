"""The crashes of one scenario in a process of their own: a copy costs what the process weighs, and the tests' is heavy.

It is started with the scenario's name, the kinds of crashes, and how the function is made worse first, if at all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest

import conftest
from faults.crashes import Crash, Figures, Scenario, crash_everywhere


def crash_alone(scenario: Scenario, kinds: Iterable[Crash] = Crash, worsen: str = "") -> Figures:
    """What `crash_everywhere` finds. `worsen` is the name of a function of `test_crashes`."""
    told = json.dumps([str(scenario), [kind.name for kind in kinds], worsen])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "faults.alone", told]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return Figures(str(scenario), **json.loads(ran.stdout))


def main(told: str) -> None:
    """Crash it, and print what was found."""
    from faults import test_crashes

    name, kinds, worsen = json.loads(told)
    conftest.pytest_collection_finish()
    if worsen:
        getattr(test_crashes, worsen)(pytest.MonkeyPatch())
    found = crash_everywhere(test_crashes.SCENARIOS[name], [Crash[kind] for kind in kinds])
    print(json.dumps({each: getattr(found, each) for each in ("calls", "cases", "worlds", "failures")}))


if __name__ == "__main__":
    main(sys.argv[1])
