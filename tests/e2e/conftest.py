"""The deployed stack, once for all tests here, and what its processes wrote where a test fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_aws import Stack, local_stack
from local_aws.processes import tail
from local_aws.stack import LOGS

PARAMETERS = {
    # The shortest, so that the end of a recovery can be awaited.
    "RecoveryWindow": "1m",
    "EcsServices": "*/*",
    # The tests put more groups into alarm at once than a healthy region does.
    "StormGroups": "0",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Stack]:
    """The repository's own template, built by SAM and deployed into a local AWS."""
    terminal = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"  {line}")

    with local_stack(tmp_path_factory.mktemp("stack"), say, **PARAMETERS) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows the ends of the logs of AWS (with the function's own) and of CodeDeploy."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack is not None:
        for name in LOGS:
            report.sections.append((name, tail(stack.folder / name)))
    return report
