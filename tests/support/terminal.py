"""A person at a terminal: the repository's own stack in a simulated AWS over HTTP, and the command `lastgood`.

The stack is `template.yaml`, made by moto's CloudFormation. CodeDeploy is the simulator. moto cannot run a function
without Docker, so Lambda's Invoke is answered by the real application, with the deployed function's variables.

with terminal() as it:
    it.sim.server_group("shop", "prod")
    …
    ran = it.run("audit", "list", *it.when)      # a real process
    ran = it.call("audit", "list")               # in this process, by the simulated clock
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aws_lambda_powertools import Logger, Metrics
from boto3.dynamodb.types import TypeSerializer
from click.testing import CliRunner

from lastgood.app import Application
from lastgood.clients import Clients
from lastgood_cli.context import Aws, Session
from lastgood_cli.main import cli
from lastgood_cli.stack_template import StackTemplate
from short_wire import short_wire
from simulated_aws import Server, VirtualClock, serve
from stage.local import ERRORS, alarm_event, group_tags

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
CTRL_C = "\x03"
PATIENCE = 60
"""Seconds after which a command that has not ended is killed, and its test fails."""
START = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
"""When the simulated time begins: in the past of any machine, so that a real process may ask for it."""


def _hears_ctrl_c() -> None:
    """A shell starts what it puts in the background with Ctrl-C ignored, and everything below inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


# A new stack only observes, and knows nothing of ECS.
ACTS = {"Mode": "auto", "ActOnEverything": "true", "EnableEcs": "true"}


class Terminal:
    """The stack `lastgood`, deployed, and somebody who asks it things."""

    when = ("--since", "2025-03-03", "--until", "2025-03-08")
    """The options that ask a real process for the simulated time."""

    def __init__(self, server: Server, **parameters: str) -> None:
        self.server, self.sim = server, server.simulator
        self.aws = Aws(region=REGION, endpoint_url=server.url)
        self._cloudwatch, self._dynamodb = self.aws.client("cloudwatch"), self.aws.client("dynamodb")
        self.parameters = ACTS | parameters
        self.outputs = _deploy(server, self.parameters)
        self.function, self.table = self.outputs["RollbackFunctionName"], self.outputs["AuditTableName"]
        configuration = server.client("lambda").get_function_configuration(FunctionName=self.function)
        self.environ: dict[str, str] = configuration["Environment"]["Variables"]
        self.invoked: list[dict[str, Any]] = []
        self.ids: dict[str, str] = {}
        """Rollbacks by names that a test gives them."""
        self.application = Application.make(
            self.environ,
            Logger(service="lastgood", level=logging.CRITICAL),
            Metrics(namespace="lastgood", service="lastgood"),
            clients=Clients.make(self.aws),
            clock=self.sim.clock.now,
            wait=self.sim.advance,
        )

    # --- the stack ---

    def deploy(self, **parameters: str) -> None:
        """Deploy the stack again with some parameters changed; the others keep their values."""
        self.parameters |= parameters
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.aws.client("cloudformation").update_stack(StackName="lastgood", TemplateBody=_body(self.parameters))

    def handle(self, event: object) -> list[dict[str, Any]]:
        """An event reaches the function."""
        self.invoked.append(event if isinstance(event, dict) else {"event": event})
        answer = self.application.handle(event, f"request-{len(self.invoked)}", timedelta(seconds=60))
        results: list[dict[str, Any]] = answer["results"]
        return results

    def alarm_fires(self, application: str = "shop", group: str = "prod", name: str = "") -> str:
        """An alarm of a group goes into ALARM, and its message reaches the function. Returns the rollback's id."""
        alarm = name or f"{application}-{group}-error-rate"
        self.alarm(alarm, "ALARM")
        self.tag_alarm(alarm, group_tags(application, group))
        message = alarm_event(at=self.sim.clock.now(), alarm=alarm, tags=group_tags(application, group))
        message["Records"][0]["Sns"]["TopicArn"] = self.outputs["AlarmTopicArn"]
        return str(self.handle(message)[0]["rollback_id"])

    def tag_alarm(self, name: str, tags: Mapping[str, str]) -> None:
        """Give an alarm these tags."""
        (alarm,) = self._cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        self._cloudwatch.tag_resource(ResourceARN=alarm["AlarmArn"], Tags=pairs)

    def alarm(self, name: str, state: str) -> None:
        """Make an alarm that tells the stack's topic, or change its state."""
        if not self._cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
            self._cloudwatch.put_metric_alarm(
                AlarmName=name,
                **ERRORS,
                AlarmActions=[self.outputs["AlarmTopicArn"]],
            )
        self._cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="simulated")

    def minutes(self, count: int) -> None:
        """Minutes pass, each with its sweep."""
        for _ in range(count):
            self.sim.advance(60)
            self.handle({"action": "sweep"})

    def put(self, **attributes: Any) -> None:
        """Write an item of the audit table as it stands, past everything that the function makes harmless."""
        encode = TypeSerializer().serialize
        item = {name: encode(value) for name, value in attributes.items()}
        self._dynamodb.put_item(TableName=self.table, Item=item)

    # --- the person ---

    def run(self, *arguments: str, stdin: str = "", **environ: str) -> Ran:
        """Run the command as a process. `environ` adds variables; an empty one is removed."""
        variables = {**os.environ, **self._variables(), **environ}
        done = subprocess.run(
            [sys.executable, "-m", "lastgood_cli", *arguments],
            env={name: value for name, value in variables.items() if value},
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def at_terminal(self, *arguments: str, typed: str = "", **environ: str) -> Ran:
        """Run the command as a process at a terminal of 100 columns; type when it asks. All output is one stream."""
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        variables = {**os.environ, **self._variables(), "TERM": "xterm-256color", **environ}
        process = subprocess.Popen(
            [sys.executable, "-m", "lastgood_cli", *arguments],
            env={name: value for name, value in variables.items() if value},
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            preexec_fn=_hears_ctrl_c,
        )
        os.close(there)
        shown = b""
        deadline, pressed = time.monotonic() + PATIENCE, 0.0
        # Linux ends a terminal's stream with an error once the last process has left it.
        with suppress(OSError):
            while (now := time.monotonic()) < deadline:
                silent = not select.select([here], [], [], 0.2)[0]
                if not silent:
                    shown += os.read(here, 65_536)
                if not typed or b"[y/N]" not in shown:
                    continue
                if typed != CTRL_C:
                    os.write(here, typed.encode())
                    typed = ""
                elif silent and now - pressed > 5:
                    # A Ctrl-C between the question and the reading of the answer is forgotten: like a person, press
                    # when it waits, and press again if nothing comes of it.
                    process.send_signal(signal.SIGINT)
                    pressed = now
        os.close(here)
        if time.monotonic() >= deadline:
            process.kill()
        return Ran(process.wait(timeout=PATIENCE), shown.decode(), "")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command as a process, to read while it runs."""
        variables = {**os.environ, **self._variables()}
        return subprocess.Popen(
            [sys.executable, "-m", "lastgood_cli", *arguments],
            env={name: value for name, value in variables.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hears_ctrl_c,
        )

    def call(self, *arguments: str, stdin: str = "", session: Session | None = None, **environ: str) -> Ran:
        """Run the command in this process: quicker, and by the simulated clock."""
        variables: dict[str, str | None] = {k: v or None for k, v in {**self._variables(), **environ}.items()}
        with patch.dict(os.environ):
            os.environ.pop("COLUMNS", None)  # a test runner may set it
            session = session or Session(clock=self.sim.clock.now, wait=self.pass_time)
            ran = CliRunner(mix_stderr=False).invoke(
                cli, list(arguments), input=stdin, env=variables, obj=session, prog_name="lastgood"
            )
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return Ran(ran.exit_code, ran.stdout, ran.stderr)

    def pass_time(self, seconds: float) -> None:
        """What a command that waits does here: a minute passes, with its sweep."""
        self.minutes(1)

    def _variables(self) -> dict[str, str]:
        return {
            "LASTGOOD_ENDPOINT_URL": self.server.url,
            "PYTHONPATH": f"{ROOT / 'src/function'}{os.pathsep}{ROOT / 'src/tools'}",
            "AWS_DEFAULT_REGION": REGION,
            "COLUMNS": "",
        }


def _deploy(server: Server, parameters: dict[str, str]) -> dict[str, str]:
    """Deploy the repository's own template. moto's CloudFormation does not drop what is `AWS::NoValue`; we do."""
    s3, formation = server.client("s3"), server.client("cloudformation")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"")
    body = _body(parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what moto cannot make, such as the alarms that watch the watchman
        formation.create_stack(StackName="lastgood", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    (made,) = formation.describe_stacks(StackName="lastgood")["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}


def _body(parameters: dict[str, str]) -> str:
    stack = StackTemplate(parameters)
    return json.dumps({"Resources": stack.resources(), "Outputs": stack.outputs()})


@contextmanager
def terminal(**parameters: str) -> Iterator[Terminal]:
    """A terminal. `parameters` are the stack's."""
    logging.getLogger("moto").setLevel(logging.ERROR)
    clock = VirtualClock(START)
    with (
        serve(clock=clock, region=REGION) as server,
        short_wire(server),
        # moto stamps alarms with the machine's time; here everything lives by the simulated clock.
        patch("moto.cloudwatch.models.utcnow", lambda: clock.now().replace(tzinfo=None)),
    ):
        made = Terminal(server, **parameters)

        def invoke(function: Any, body: str, request_headers: Any, response_headers: Any) -> str:
            """Lambda's Invoke, as the service answers a function that returns or raises."""
            try:
                return json.dumps({"results": made.handle(json.loads(body))})
            except Exception as error:
                response_headers["x-amz-function-error"] = "Unhandled"
                return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})

        with (
            patch("moto.awslambda.models.LambdaFunction.invoke", invoke),
            # moto's EventBridge cannot hand an event to a function, and raises for a rule that is a schedule.
            patch("moto.events.models.Rule.send_to_targets", lambda rule, event: None),
        ):
            try:
                yield made
            finally:
                made.application.close()
