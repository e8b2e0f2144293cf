"""Build and deploy the repository's own template into a local AWS, and talk to what was deployed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from samcli.yamlhelper import yaml_parse

from local_aws.processes import free_port, running

ROOT = Path(__file__).resolve().parents[3]
EMULATOR = Path(__file__).with_name("emulator.py")
# An environment of its own: MiniStack and SAM pin different versions of botocore.
EMULATOR_PYTHON = ROOT / ".venv-e2e" / "bin" / "python"
AWS = EMULATOR_PYTHON.with_name("aws")
ACCOUNT, REGION = "123456789012", "us-east-1"
NAME = "lastgood"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
# A new stack only observes; this one acts, on whatever the simulator plays.
ACTS = {"Mode": "auto", "ActOnEverything": "true", "EnableEcs": "true", "EnableDashboard": "true"}
# S3 too: the bundles that are released are where they were released.
SIMULATED = ("CODEDEPLOY", "CODEPIPELINE", "LAMBDA", "ECS", "S3")
LOGS = ("aws.log", "codedeploy.log")


@dataclass
class Stack:
    """A deployed stack. `url` is AWS's endpoint, `simulator_url` CodeDeploy's; `outputs` are the template's."""

    folder: Path
    url: str
    simulator_url: str
    say: Callable[[str], None]
    outputs: dict[str, str] = field(default_factory=dict)

    # --- deploying ---

    def build(self) -> None:
        """`sam build`, into this stack's folder. The function asks the simulator instead of CodeDeploy."""
        self._sam("build", "--build-dir", str(self.folder / "build"), "--cache-dir", str(self.folder / "cache"))
        built = self.folder / "build" / "template.yaml"
        template = yaml_parse(built.read_text())
        variables = template["Resources"]["RollbackFunction"]["Properties"]["Environment"]["Variables"]
        variables |= {f"AWS_ENDPOINT_URL_{service}": self.simulator_url for service in SIMULATED}
        built.write_text(json.dumps(template))

    def deploy(self, **parameters: str) -> str:
        """`sam deploy` with parameters of the template. Returns what sam printed."""
        given = ACTS | parameters
        printed = self._sam(
            "deploy",
            *("--config-file", str(ROOT / "samconfig.toml")),
            *("--template-file", str(self.folder / "build" / "template.yaml"), "--stack-name", NAME),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--parameter-overrides", *[f"{name}={value}" for name, value in given.items()]),
        )
        (stack,) = self.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        return printed

    def delete(self) -> None:
        """`sam delete`."""
        self._sam("delete", "--no-prompts", "--stack-name", NAME, "--region", REGION)

    def _sam(self, *arguments: str) -> str:
        """One sam command. Raises RuntimeError with all that it printed if it fails."""
        begun = time.monotonic()
        printed = self._run(Path(sys.executable).with_name("sam"), *arguments)
        self.say(f"sam {arguments[0]}: {time.monotonic() - begun:.1f} s")
        return printed

    def _run(self, program: Path, *arguments: str) -> str:
        done = subprocess.run(
            [str(program), *arguments],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program.name} {' '.join(arguments)} failed:\n{done.stdout[-6000:]}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        """For sam and aws. Nothing of the machine's own AWS configuration is used."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **own,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
            # sam looks for the function's runtime by name, and the environment's folder has it.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    # --- talking ---

    def client(self, service: str) -> Any:
        """A boto3 client of the local AWS."""
        connect: Any = boto3.client
        return connect(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def simulator(self, command: str, **parameters: Any) -> Any:
        """A command to the CodeDeploy simulator: its `Simulator`'s methods by name. Raises ValueError if refused."""
        body = json.dumps({"command": command, **parameters}).encode()
        url, headers = f"{self.simulator_url}/moto-api/codedeploy", {"Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{command}: {error.read().decode(errors='replace')}") from error

    def invoke(self, event: Path) -> dict[str, Any]:
        """`aws lambda invoke` with an event in a file, as a person does. Returns the function's one result."""
        out = self.folder / "answer.json"
        function = ("--function-name", self.outputs["RollbackFunctionName"])
        printed = self._run(AWS, "lambda", "invoke", *function, "--payload", f"fileb://{event}", str(out))
        if "FunctionError" in printed:
            raise RuntimeError(f"the function failed: {out.read_text()}")
        (result,) = json.loads(out.read_text())["results"]
        return dict(result)

    def sql(self, statement: str, *values: str) -> list[dict[str, Any]]:
        """A PartiQL statement over the audit table, which it calls `AuditTable`. Rows as plain dictionaries."""
        given = {"Parameters": [{"S": value} for value in values]} if values else {}
        named = statement.replace('"AuditTable"', f'"{self.outputs["AuditTableName"]}"')
        return [_plain(row) for row in self.client("dynamodb").execute_statement(Statement=named, **given)["Items"]]

    def alarm(self, name: str, tags: Mapping[str, str]) -> None:
        """An alarm on an error rate over 5 per cent. Its tags say what it speaks for; it tells the stack's topic."""
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName="ErrorRate",
            Dimensions=[{"Name": "Service", "Value": name}],
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0.05,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[self.outputs["AlarmTopicArn"]],
            OKActions=[self.outputs["AlarmTopicArn"]],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

    def error_rate(self, alarm: str, rate: float) -> None:
        """A data point of the metric that an alarm looks at."""
        self.client("cloudwatch").put_metric_data(
            Namespace="Shop",
            MetricData=[
                {"MetricName": "ErrorRate", "Dimensions": [{"Name": "Service", "Value": alarm}], "Value": rate},
            ],
        )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    decode = TypeDeserializer().deserialize
    return {name: decode(value) for name, value in row.items()}


@contextmanager
def local_aws(folder: Path, say: Callable[[str], None] = print) -> Iterator[Stack]:
    """An empty account until the block ends: the stack is there to be built and deployed. Its logs are in `folder`."""
    if not EMULATOR_PYTHON.exists():
        raise RuntimeError(f"{EMULATOR_PYTHON.parents[1].name} is missing: `make e2e` and `make local` set it up")
    begun = time.monotonic()
    with _aws(folder) as url, _codedeploy(folder, url) as simulator_url:
        say(f"AWS: {url}, CodeDeploy: {simulator_url}, after {time.monotonic() - begun:.1f} s; logs: {folder}")
        yield Stack(folder, url, simulator_url, say)


@contextmanager
def local_stack(folder: Path, say: Callable[[str], None] = print, **parameters: str) -> Iterator[Stack]:
    """The stack, deployed and ready until the block ends. Build and logs are in `folder`; `say` hears the progress."""
    with local_aws(folder, say) as stack:
        stack.build()
        stack.deploy(**parameters)
        yield stack


@contextmanager
def _aws(folder: Path) -> Iterator[str]:
    """MiniStack on a free port of loopback, in an empty environment: the function inherits what is in it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **CREDENTIALS,
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "LAMBDA_EXECUTOR": "local",
        # The function's role is enforced.
        "AUTH": "true",
        # AWS waits a minute before the second try and two before the third.
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    command = [str(EMULATOR_PYTHON), str(EMULATOR)]
    with running(command, environment, folder / LOGS[0], lambda: _answers(f"{url}/_ministack/health")):
        yield url


@contextmanager
def _codedeploy(folder: Path, aws_url: str) -> Iterator[str]:
    """The CodeDeploy simulator on a free port of loopback; its events go to the local AWS's EventBridge."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "simulated_aws", "--port", str(port), "--events-to", aws_url]
    environment = {**CREDENTIALS, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src" / "tools")}
    with running(command, environment, folder / LOGS[1], lambda: _answers(f"{url}/moto-api/")):
        yield url


def _answers(url: str) -> bool:
    """Whether a server answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
