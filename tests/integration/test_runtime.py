"""The artifact of `sam build`, run by Lambda's own runtime client and emulator, against AWS over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from runtime import Runtime, provided_packages, running
from simulated_aws import Server, WallClock, serve
from stage.local import ERRORS, ROOT, TABLE, alarm_event, audit_table, event, group_tags, tag_pairs

ALARM = "shop-prod-error-rate"
SHIPPED = {"lastgood", "aws_lambda_powertools", "jmespath", "typing_extensions.py"}


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes, in a folder of its own, so that parallel runs do not meet."""
    out = tmp_path_factory.mktemp("artifact")
    environment = {
        **os.environ,
        "SAM_CLI_TELEMETRY": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    sam = Path(sys.executable).parent / "sam"
    command = [str(sam), "build", "--build-dir", str(out / "build"), "--cache-dir", str(out / "cache")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / "build" / "RollbackFunction"


@pytest.fixture
def aws() -> Iterator[Server]:
    """AWS over HTTP, with a Lambda function whose version 3 is being released as a canary."""
    with serve(clock=WallClock()) as server:
        audit_table(server.client("dynamodb"))
        server.client("cloudwatch").put_metric_alarm(
            AlarmName=ALARM,
            **ERRORS,
            Tags=tag_pairs(group_tags("shop", "prod")),
        )
        yield server


@pytest.fixture
def topic(aws: Server) -> str:
    """The notification topic."""
    return str(aws.client("sns").create_topic(Name="NotificationTopic")["TopicArn"])


@pytest.fixture
def function(artifact: Path, aws: Server, topic: str, tmp_path: Path) -> Iterator[Runtime]:
    """The artifact as a running function."""
    environment = {
        "AWS_ENDPOINT_URL": aws.url,
        "LASTGOOD_TABLE": TABLE,
        "LASTGOOD_NOTIFICATION_TOPIC_ARN": topic,
        "POWERTOOLS_METRICS_NAMESPACE": "lastgood",
    }
    with running(artifact, tmp_path, environment) as runtime:
        yield runtime


def _alarm_now(aws: Server) -> dict[str, Any]:
    aws.client("cloudwatch").set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="simulated")
    return alarm_event(at=datetime.now(UTC), tags=group_tags("shop", "prod"))


def _items(aws: Server) -> list[dict[str, Any]]:
    decode = TypeDeserializer().deserialize
    rows = aws.client("dynamodb").scan(TableName=TABLE)["Items"]
    return [{name: decode(value) for name, value in row.items()} for row in rows]


def test_the_artifact_holds_the_function_and_powertools_and_nothing_else(artifact: Path) -> None:
    found = {path.name for path in artifact.iterdir() if not path.name.endswith(".dist-info")}
    assert found - {"requirements.txt", "requirements.in", "__pycache__"} == SHIPPED


def test_every_module_of_the_artifact_is_compiled_against_its_content(artifact: Path) -> None:
    """A SAM package dates every file 1980: bytecode that is checked by date would be compiled at each start."""
    for source in artifact.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.exists(), source
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") & 1, f"{source} is checked by its date"


def test_the_methods_of_what_is_judged_are_compiled_in_the_artifact(artifact: Path, tmp_path: Path) -> None:
    """With what Lambda brings, as in production: the build had none of that, and what it kept fits all the same."""
    program = """
import dataclasses, sys
import lastgood.handler
classes = {c for name, m in list(sys.modules.items()) for c in vars(m).values()
           if name.startswith(("lastgood.model", "lastgood.judgement", "lastgood.signals")) and isinstance(c, type)}
made = [c for c in classes if dataclasses.is_dataclass(c) and c.__module__.startswith("lastgood.")]
compiled = [c.__qualname__ for c in made if c.__init__.__code__.co_filename != "<kept>"]
print(len(made) > 50, compiled)
"""
    path = f"{artifact}:{provided_packages(tmp_path / 'provided')}"
    environment = {**os.environ, "PYTHONPATH": path, "AWS_DEFAULT_REGION": "eu-central-1", "LASTGOOD_TABLE": TABLE}
    command = [sys.executable, "-S", "-B", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n", done.stderr[-2000:]


def test_an_alarm_message_is_answered_by_stopping_and_putting_the_last_good_revision_back(
    aws: Server, function: Runtime
) -> None:
    sim = aws.simulator
    sim.server_group("shop", "prod", config="CodeDeployDefault.OneAtATime")
    good = sim.seed_history("shop", "prod", 2, every_seconds=86_400)[-1]
    bad = sim.release("shop", "prod", "bad.zip")

    result = function.invoke(_alarm_now(aws))["results"][0]

    assert result["phase"] == "VERIFYING", (result, function.log_text[-2000:])
    assert sim.deployment(bad)["status"] == "Stopped"
    made = sim.deployment(result["rollback_deployment_id"])
    assert made["description"].startswith(f"lastgood {result['rollback_id']}")
    put_back, deployed = (d["revision"]["s3Location"] for d in (made, sim.deployment(good)))
    assert (put_back["bucket"], put_back["key"]) == (deployed["bucket"], deployed["key"])
    assert put_back["eTag"], "a bundle that may be overwritten goes back by what it holds"

    sim.read_events()
    sim.settle()
    for state_change in sim.read_events():
        function.invoke(state_change)
    head = next(i for i in _items(aws) if i["sk"] == "META")
    assert head["outcome"] == "ROLLED_BACK", (head, function.log_text[-2000:])
    assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good)
    steps = sorted(i["sk"] for i in _items(aws) if i["sk"].startswith("STEP#"))
    assert steps[0] == "STEP#0001"
    assert len(sim.calls("StopDeployment")) == len(sim.calls("CreateDeployment")) == 1


def test_a_second_delivery_names_the_same_rollback_and_creates_nothing(aws: Server, function: Runtime) -> None:
    sim = aws.simulator
    sim.lambda_group("shop", "prod", "checkout", "live", versions=1)
    sim.seed_history("shop", "prod", 2, every_seconds=86_400)
    sim.publish_version("checkout")
    sim.release("shop", "prod", 4, deploymentConfigName="CodeDeployDefault.LambdaCanary10Percent10Minutes")
    message = _alarm_now(aws)
    first = function.invoke(message)["results"][0]
    second = function.invoke(message)["results"][0]
    assert first["rollback_id"] == second["rollback_id"]
    assert len(sim.calls("StopDeployment")) == 1
    assert first["rollback_deployment_id"] == second["rollback_deployment_id"] != ""


def test_wrong_settings_are_listed_by_health_and_stop_every_rollback(
    artifact: Path, aws: Server, tmp_path: Path
) -> None:
    broken = {"AWS_ENDPOINT_URL": aws.url, "LASTGOOD_MODE": "sometimes", "LASTGOOD_COOLDOWN": "-1"}
    with running(artifact, tmp_path, broken) as runtime:
        health = runtime.invoke({"action": "health"})["results"][0]
        assert health["healthy"] is False
        named = " ".join(health["settings_problems"])
        assert all(name in named for name in ("LASTGOOD_TABLE", "LASTGOOD_MODE", "LASTGOOD_COOLDOWN"))
        error = runtime.invoke(alarm_event(at=datetime.now(UTC)))
        assert error["errorType"] == "SettingsError"
    assert aws.simulator.arrivals == []


def test_a_function_with_right_settings_says_that_it_is_healthy(function: Runtime) -> None:
    assert function.invoke(event("manual-health"))["results"][0]["healthy"] is True


@pytest.mark.parametrize("bad", [None, [], "x", {"key1": "value1"}, {"Records": None}])
def test_an_event_that_is_not_understood_is_refused_and_reaches_nothing(
    bad: object, aws: Server, function: Runtime
) -> None:
    result = function.invoke(bad)["results"][0]
    assert result["refused"]
    assert aws.simulator.arrivals == []
