"""Sample events, permissions, the demo: what a person needs before anything happens."""

from __future__ import annotations

import ast
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import pytest
from botocore.model import OperationModel

from lastgood_cli import context
from lastgood_cli.events import MOST_VERSIONS, REGISTRY, names
from stage.local import EVENTS
from terminal import Terminal, terminal


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    with terminal() as made:
        made.sim.server_group("shop", "prod")
        made.ids["deployment"] = made.sim.release("shop", "prod", "v1.zip", settle=True)
        made.sim.advance(7_200)
        made.sim.release("shop", "prod", "v2.zip", settle=True)
        made.sim.advance(300)
        made.alarm("shop-prod-error-rate", "OK")
        yield made


# --- sample events ---


def test_every_sample_event_is_listed_with_what_the_function_takes_it_for(it: Terminal) -> None:
    found = {row["name"]: row["is"] for row in it.call("-o", "json", "events", "list").json}
    assert set(found) == {path.stem for path in EVENTS.glob("*.json")}
    assert found["alarm-in-alarm"] == "alarm: ALARM" and found["manual-pause"] == "operator: pause"
    assert found["codedeploy-sns-trigger"].startswith("not taken: ")
    assert found["scheduled-sweep"] == "sweep" and found["manual-health"] == "health"


@pytest.mark.parametrize("name", names())
def test_a_sample_event_is_shown_as_it_is(it: Terminal, name: str) -> None:
    assert it.call("events", "show", name).json == json.loads((EVENTS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ["nope", "../pyproject", "manual-pause.json", ""])
def test_a_name_that_is_no_sample_event_shows_no_file(it: Terminal, name: str) -> None:
    ran = it.call("events", "show", name)
    assert ran.code == 3 and "lastgood events list" in ran.err


class Schemas:
    """EventBridge's schema registry, as far as shareable test events need it: versions that only grow, at most so many.

    https://docs.aws.amazon.com/eventbridge/latest/schema-reference/
    """

    def __init__(self) -> None:
        self.registries: set[str] = set()
        self.versions: dict[str, dict[int, str]] = {}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """One call, answered as the service does."""
        if path == "/v1/discover":
            made = {"openapi": "3.0.0", "info": {"version": "1.0.0", "title": "Event"}, "paths": {}}
            return 200, {"Content": json.dumps({**made, "components": {"schemas": {"Event": {"type": "object"}}}})}
        found = re.fullmatch(r"/v1/registries/name/([^/]+)(?:/schemas/name/([^/]+)(/versions|/version/\d+)?)?", path)
        assert found, path
        registry, schema, rest = found[1], unquote(found[2] or ""), found[3] or ""
        if not schema:
            taken = registry in self.registries
            self.registries.add(registry)
            return (409, {"Code": "Conflict", "Message": "taken"}) if taken else (201, {})
        kept = self.versions.get(schema, {})
        match method, rest:
            case "GET", "/versions":
                return 200, {"SchemaVersions": [{"SchemaVersion": str(v), "SchemaName": schema} for v in sorted(kept)]}
            case "DELETE", _:
                del kept[int(rest.rpartition("/")[2])]
                return 204, {}
            case "GET", _ if not kept:
                return 404, {"Code": "NotFound", "Message": "no such schema"}
            case "GET", _:
                return 200, {"Content": kept[max(kept)], "SchemaName": schema, "Type": "OpenApi3"}
            case "POST", _ if registry not in self.registries:
                return 404, {"Code": "NotFound", "Message": "no such registry"}
        if len(kept) >= MOST_VERSIONS:
            return 400, {"Code": "BadRequest", "Message": "too many versions"}
        self.versions.setdefault(schema, {})[max(kept, default=0) + 1] = body["Content"]
        return 200 if method == "PUT" else 201, {"SchemaVersion": str(max(self.versions[schema]))}

    def events(self, function: str) -> dict[str, Any]:
        """The test events that Lambda's console shows for a function."""
        kept = self.versions[f"_{function}-schema"]
        examples: dict[str, Any] = json.loads(kept[max(kept)])["components"]["examples"]
        return {name: example["value"] for name, example in examples.items()}


@contextmanager
def schema_registry() -> Iterator[tuple[Schemas, str]]:
    """The registry over HTTP."""
    schemas = Schemas()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = schemas.answer(self.command, self.path.split("?")[0], json.loads(sent or b"{}"))
            body = json.dumps(answer).encode() if status != 204 else b""
            self.send_response(status)
            if status >= 400:
                self.send_header("x-amzn-errortype", f"{answer['Code']}Exception")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _do

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield schemas, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_sample_events_become_shareable_test_events_beside_those_of_others(it: Terminal) -> None:
    with schema_registry() as (schemas, url):
        at: dict[str, Any] = {
            "LASTGOOD_ENDPOINT_URL": "",
            "AWS_ENDPOINT_URL": it.server.url,
            "AWS_ENDPOINT_URL_SCHEMAS": url,
        }
        ran = it.call("events", "put", "manual-dry-run", "manual-health", "--yes", **at)
        assert ran.code == 0, ran.err
        assert "manual-dry-run, manual-health" in ran.out
        assert schemas.registries == {REGISTRY}
        events = schemas.events(it.function)
        assert events["manual-health"] == {"action": "health"} and events["manual-dry-run"]["dry_run"] is True
        for _ in range(MOST_VERSIONS + 1):
            assert it.call("events", "put", "manual-pause", "--yes", **at).code == 0
        assert set(schemas.events(it.function)) == {"manual-dry-run", "manual-health", "manual-pause"}


def test_without_names_all_manual_events_are_put_up(it: Terminal) -> None:
    with schema_registry() as (schemas, url):
        at: dict[str, Any] = {
            "LASTGOOD_ENDPOINT_URL": "",
            "AWS_ENDPOINT_URL": it.server.url,
            "AWS_ENDPOINT_URL_SCHEMAS": url,
        }
        shown = it.call("events", "put", "--dry-run", **at)
        wanted = {name for name in names() if name.startswith("manual-")}
        assert set(shown.json["components"]["examples"]) == wanted
        assert schemas.versions == {}
        assert it.call("events", "put", **at).code == 2  # nobody was asked
        assert schemas.versions == {}


def test_a_test_event_that_does_not_exist_writes_nothing(it: Terminal) -> None:
    assert it.call("events", "put", "nope", "--yes").code == 3


# --- permissions ---


def actions(policy: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for statement in policy["Statement"]:
        if statement["Effect"] == "Allow":
            given = statement["Action"]
            found |= {given} if isinstance(given, str) else set(given)
    return found


def test_the_functions_policy_is_that_of_its_role(it: Terminal) -> None:
    """What the command prints is what the deployed role has, statement for statement."""
    printed = it.call("permissions", "function", "-p", "EnableEcs=true").json
    iam = it.aws.client("iam")
    (role,) = [r["RoleName"] for r in iam.list_roles()["Roles"] if "RollbackFunctionRole" in r["RoleName"]]
    documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in _policies(iam, role)]
    # moto keeps the policies that a template writes into a role as Python writes them.
    read = [ast.literal_eval(each) if isinstance(each, str) else each for each in documents]
    deployed = [statement for document in read for statement in document["Statement"]]
    by_sid = {s["Sid"]: s for s in printed["PolicyDocument"]["Statement"] if "Sid" in s}
    assert {s["Sid"] for s in deployed if "Sid" in s} == set(by_sid)
    for statement in deployed:
        if "Sid" in statement:
            assert set(_list(statement["Action"])) == set(_list(by_sid[statement["Sid"]]["Action"]))
    assert by_sid["WriteTheAuditTable"]["Resource"][0].endswith(f":table/{it.table}")
    assert by_sid["TellPeople"]["Resource"] == it.outputs["NotificationTopicArn"]
    assert "Fn::" not in json.dumps(printed) and '"Ref"' not in json.dumps(printed)


def _policies(iam: Any, role: str) -> list[str]:
    found: list[str] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_a_parameter_narrows_the_functions_policy(it: Terminal) -> None:
    ran = it.call("permissions", "function", "-p", "EnableEcs=false", "-p", "ApplicationPattern=shop")
    assert not any(action.startswith("ecs:") for action in actions(ran.json["PolicyDocument"]))
    assert ":deploymentgroup:shop/*" in ran.out


@pytest.mark.parametrize(("given", "words"), [("Nope=1", "no parameter Nope"), ("EnableEcs", "no NAME=VALUE")])
def test_a_parameter_that_cannot_be_is_refused(it: Terminal, given: str, words: str) -> None:
    ran = it.call("permissions", "function", "-p", given)
    assert ran.code == 2 and words in ran.err


def test_a_deployer_is_told_what_this_stack_needs_and_no_more(it: Terminal) -> None:
    without, with_it = (
        it.call("permissions", "deployer", "-p", f"EnableDashboard={switch}").json for switch in ("false", "true")
    )
    assert actions(with_it) - actions(without) == {
        f"cloudwatch:{name}" for name in ("DeleteDashboards", "GetDashboard", "PutDashboard")
    }
    assert {"cloudformation:ExecuteChangeSet", "lambda:UpdateFunctionCode", "iam:PutRolePolicy"} <= actions(without)


def test_a_person_who_reads_may_change_nothing(it: Terminal) -> None:
    reading, acting = (it.call("permissions", "operator", *more).json for more in ((), ("--acting",)))
    # To detect drift compares, and is a read by AWS's own list.
    reads = re.compile(r"\w+:(Get|List|Describe|Detect|Query|BatchGet|Simulate)")
    assert all(reads.match(action) for action in actions(reading))
    assert {a for a in actions(acting) - actions(reading) if not a.startswith("schemas:")} == {"lambda:InvokeFunction"}


def test_policies_are_printed_before_there_is_a_stack(it: Terminal) -> None:
    ran = it.call("--stack", "later", "permissions", "operator")
    assert ran.code == 0 and ":table/later-AuditTable-*" in ran.out


def test_policies_are_printed_within_seconds_where_aws_cannot_be_reached(it: Terminal) -> None:
    """Nobody answers at the address, and nobody is asked there a second time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        ran = it.call("--endpoint-url", address, "--region", "cn-north-1", "permissions", "function")
        took = time.monotonic() - began
    assert (ran.code, took < 5) == (0, True)
    assert "arn:aws-cn:" in ran.out and ":123456789012:" in ran.out and "arn:aws:iam::123" not in ran.out
    assert ran.err.startswith("Not looked up (AWS cannot be reached: Read timeout")
    assert "the account is 123456789012" in ran.err


def test_policies_are_printed_without_credentials(it: Terminal) -> None:
    ran = it.call(
        "permissions", "function", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true"
    )
    assert ran.code == 0 and "PolicyDocument" in ran.json
    assert ran.err.startswith("Not looked up (There are no AWS credentials): the account is 123456789012")


READING = [
    ("audit", "list"),
    ("audit", "stats"),
    ("audit", "export"),
    ("plan", "--group", "shop/prod"),
    ("plan", "shop-prod-error-rate"),
    ("plan", "--group", "shop/prd"),
    ("plan", "--group", "ecs:main/wbe"),
    ("plan", "--group", "pipeline:shop/Depoly"),
    ("plan", "shop-prod-eror-rate"),
    ("--stack", "lastgod", "audit", "list"),
    ("doctor", "--group", "shop/prod"),
    ("backtest", "--since", "1d"),
    ("permissions", "function"),
    ("permissions", "deployer"),
    ("mode", "shop/prod", "auto", "--reason", "x", "--dry-run"),
]
ACTING = [
    ("resume", "--reason", "x", "--yes"),
    ("rollback", "shop/prod", "--reason", "x", "--dry-run"),
]


def called(it: Terminal, *arguments: str) -> set[str]:
    """What a command asks of AWS, as the actions that IAM authorises."""
    seen: set[str] = set()
    prefixes = {"Invoke": "InvokeFunction"}

    def note(model: OperationModel, **_: Any) -> None:
        service = str(model.service_model.signing_name)
        service = {"monitoring": "cloudwatch"}.get(service, service)
        seen.add(f"{service}:{prefixes.get(model.name, model.name)}")

    made = context.Aws.client

    def client(aws: context.Aws, name: str, **options: Any) -> Any:
        found = made(aws, name, **options)
        if aws is not it.aws:  # the function itself, which runs in this process
            found.meta.events.register("before-call", note)
        return found

    with patch.object(context.Aws, "client", client):
        it.call(*arguments)
    return seen


@pytest.mark.parametrize("command", READING, ids=lambda command: " ".join(command))
def test_reading_needs_no_more_than_the_policy_for_reading(it: Terminal, command: tuple[str, ...]) -> None:
    asked = called(it, *command)
    assert asked
    # IAM knows no action for an object's head: it is allowed with the object.
    wanted = {"s3:GetObject" if action == "s3:HeadObject" else action for action in asked}
    assert wanted <= actions(it.call("permissions", "operator").json)


@pytest.mark.parametrize("command", ACTING, ids=lambda command: command[0])
def test_acting_needs_no_more_than_the_policy_for_acting(it: Terminal, command: tuple[str, ...]) -> None:
    asked = called(it, *command)
    assert "lambda:InvokeFunction" in asked
    assert asked <= actions(it.call("permissions", "operator", "--acting").json)


# --- the demo ---


def test_the_demo_is_what_make_demo_runs(it: Terminal) -> None:
    with patch("stage.demo.main") as play:
        assert it.call("demo").code == 0
    play.assert_called_once_with()
