"""The README's first five commands, on a machine that has never seen lastgood: read from the page and played."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import Stack, local_aws
from local_aws.stack import EMULATOR_PYTHON, ROOT, SIMULATED

pytestmark = pytest.mark.e2e

ALARM, GROUP, ADDRESS = "shop-prod-error-rate", "shop/prod", "ops@example.com"
QUESTION = re.compile(rb"\[y/N\]:? *$")


def commands() -> list[str]:
    """The lines of the page's first block about deploying."""
    section = (ROOT / "README.md").read_text().split("\n## Deploy it\n", 1)[1].split("\n## ", 1)[0]
    (block,) = re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)[:1]
    return [line.removeprefix("$ ") for line in block.splitlines()]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An account with a deployment group and an alarm that has nothing to do with lastgood, and an empty home."""
    with local_aws(tmp_path_factory.mktemp("machine"), lambda line: None) as account:
        account.simulator("server_group", application="shop", group="prod")
        account.simulator("seed_history", application="shop", group="prod", count=2, every_seconds=86_400)
        account.client("cloudwatch").put_metric_alarm(
            AlarmName=ALARM,
            Namespace="Shop",
            MetricName="ErrorRate",
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0.05,
            ComparisonOperator="GreaterThanThreshold",
        )
        yield account


def environment(account: Stack) -> dict[str, str]:
    """What this machine has: git, make, Python and pipx, an empty home, and an account."""
    tools = account.folder / "tools"
    if not tools.exists():
        tools.mkdir()
        (tools / "pipx").symlink_to(EMULATOR_PYTHON.with_name("pipx"))
    installed = account.folder / "installed"
    return {
        **account.environment(),
        **{f"AWS_ENDPOINT_URL_{service}": account.simulator_url for service in set(SIMULATED) - {"LAMBDA", "S3"}},
        "LASTGOOD_LOCAL_AWS": "yes",
        "HOME": str(account.folder),
        "PIPX_HOME": str(account.folder / "pipx"),
        "PIPX_BIN_DIR": str(installed),
        "PATH": f"{installed}:{tools}:{os.environ['PATH']}",
    }


def typed(lines: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """What a person sees who types these lines one after the other, and says yes whenever asked; how the last ended."""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "-eu", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while part := _read(ours):
        seen += part
        if QUESTION.search(seen):
            os.write(ours, b"y\n")
    return shell.wait(), seen.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        # The other side is closed: the shell is over.
        return b""


def test_five_commands_lead_to_an_installed_command_a_stack_that_observes_and_a_connected_alarm(
    machine: Stack,
) -> None:
    clone, *others = commands()
    assert len(others) == 4 and clone.startswith("git clone ")
    here = [
        clone.replace("REPOSITORY", str(ROOT)),
        # The development environment of this machine stands for the one that make would set up.
        f"ln -s {ROOT / '.venv'} .venv; touch -d 2000-01-01 requirements/*.txt",
    ]
    code, seen = typed([*here, *others[:-1]], environment(machine), machine.folder)
    assert code == 0, seen[-4000:]

    (stack,) = machine.client("cloudformation").describe_stacks(StackName="lastgood")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    function = machine.client("lambda").get_function_configuration(FunctionName=outputs["RollbackFunctionName"])
    assert function["Environment"]["Variables"]["LASTGOOD_MODE"] == "observe"
    told = machine.client("sns").list_subscriptions_by_topic(TopicArn=outputs["NotificationTopicArn"])["Subscriptions"]
    assert [(each["Protocol"], each["Endpoint"]) for each in told] == [("email", ADDRESS)]
    assert (machine.folder / "installed" / "lastgood").exists()
    assert connected(machine) == {
        "topics": {outputs["AlarmTopicArn"]},
        "tags": {"lastgood:application": "shop", "lastgood:deployment-group": "prod"},
    }

    _, seen = typed([f"cd lastgood && {others[-1]}"], environment(machine), machine.folder)
    assert ALARM in seen and GROUP in seen
    assert re.search(r"\[OK\].*an SNS action|\[OK\].*actions", seen), seen[-4000:]


def connected(account: Stack) -> dict[str, Any]:
    """What the alarm tells in both states, and its tags."""
    cloudwatch = account.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    assert alarm["AlarmActions"] == alarm["OKActions"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    return {"topics": set(alarm["AlarmActions"]), "tags": {each["Key"]: each["Value"] for each in tags}}
