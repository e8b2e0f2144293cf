"""`lastgood events`: the sample events, and putting them up as test events that everybody shares in Lambda's console.

Shareable test events are one OpenAPI schema per function in EventBridge's schema registry: each event is one of its
examples. https://docs.aws.amazon.com/lambda/latest/dg/testing-functions.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click
from botocore.exceptions import ClientError

from lastgood.signals import (
    AlarmSignal,
    DeploymentSignal,
    DrillSignal,
    HealthRequest,
    Home,
    OperatorRequest,
    Refusal,
    ServiceDeploymentSignal,
    SweepSignal,
    parse,
)
from lastgood_cli.context import Session
from lastgood_cli.options import Family
from lastgood_cli.output import as_json, show_rows, text, write
from lastgood_cli.places import EVENTS
from lastgood_cli.problems import Exit, Problem

REGISTRY = "lambda-testevent-schemas"
MOST_VERSIONS = 5
"""Lambda's console keeps at most this many versions of a function's schema."""

_KINDS: dict[type, str] = {
    AlarmSignal: "alarm",
    DeploymentSignal: "CodeDeploy deployment or stage",
    ServiceDeploymentSignal: "ECS service deployment",
    OperatorRequest: "operator",
    SweepSignal: "sweep",
    DrillSignal: "drill",
    HealthRequest: "health",
}


def names() -> list[str]:
    """The sample events, by their file's name without `.json`."""
    return sorted(path.stem for path in EVENTS.glob("*.json"))


def load(name: str) -> dict[str, Any]:
    """One sample event. Raises Problem where there is none of that name."""
    if name not in names():
        raise Problem(f"There is no sample event {name}", "lastgood events list", Exit.NOT_FOUND)
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def leads_to(event: object) -> str:
    """What the function takes an event for."""
    (found, *_) = parse(event, Home(), datetime.now(UTC))
    if isinstance(found, Refusal):
        return f"not taken: {found.message}"
    action = getattr(found, "action", "") or getattr(found, "state", "")
    kind = _KINDS[type(found)]
    return f"{kind}: {action}" if action else kind


@click.group(cls=Family)
def events() -> None:
    """The sample events: to look at, to plan with, to put into Lambda's console."""


@events.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the sample events, and what the function takes each for."""
    rows = [{"name": name, "is": leads_to(load(name))} for name in names()]
    show_rows(session.out, session.output, rows, ("name", "is"))


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in names() if name.startswith(incomplete)]


@events.command()
@click.argument("name", shell_complete=_complete)
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Print a sample event as JSON."""
    write(session.out, as_json(load(name)))


@events.command()
@click.argument("names_", metavar="[NAME]…", nargs=-1, shell_complete=_complete)
@click.option("--dry-run", is_flag=True, help="Print the schema that would be written, and write nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.pass_obj
def put(session: Session, names_: tuple[str, ...], dry_run: bool, yes: bool) -> None:
    """Put sample events up as the function's shareable test events; without names all manual ones.

    Test events of other names stay. Nothing is invoked.

    \b
    lastgood events put manual-dry-run manual-health
    """
    chosen = {name: load(name) for name in names_ or [n for n in names() if n.startswith("manual-")]}
    registry = TestEvents(session.client("schemas"), str(session.configuration["FunctionName"]))
    schema = registry.with_events(chosen)
    if dry_run:
        return write(session.out, as_json(schema))
    if not yes:
        if not session.interactive:
            raise Problem("Nobody can be asked here, so nothing was done", "the same with --yes", Exit.USAGE)
        click.confirm(f"Write {len(chosen)} test events for {session.function}?", err=True, abort=True)
    registry.write(schema)
    session.out.print(text(f"{len(chosen)} test events stand in Lambda's console, tab Test: {', '.join(chosen)}"))


class TestEvents:
    """The shareable test events of one function, through one client of EventBridge's schemas."""

    __test__ = False

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._schema = {"RegistryName": REGISTRY, "SchemaName": f"_{function}-schema"}
        self._exists = False

    def with_events(self, chosen: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The function's schema as it would be with these events."""
        schema = self._read() or self._discovered(next(iter(chosen.values())))
        examples = schema.setdefault("components", {}).setdefault("examples", {})
        metadata = {"invocationType": "RequestResponse"}
        examples |= {name: {"value": event, "x-metadata": metadata} for name, event in chosen.items()}
        return schema

    def write(self, schema: dict[str, Any]) -> None:
        """Write the schema: a new version of it, or the first. The oldest version makes room."""
        content = {**self._schema, "Content": json.dumps(schema), "Type": "OpenApi3"}
        if self._exists:
            self._make_room()
            self._client.update_schema(**content)
            return
        try:
            self._client.create_registry(RegistryName=REGISTRY)
        except ClientError as error:
            if _code(error) != "ConflictException":
                raise
        self._client.create_schema(**content)

    def _read(self) -> dict[str, Any] | None:
        try:
            content = self._client.describe_schema(**self._schema)["Content"]
        except ClientError as error:
            if _code(error) != "NotFoundException":
                raise
            return None
        self._exists = True
        found: dict[str, Any] = json.loads(content)
        return found

    def _discovered(self, event: dict[str, Any]) -> dict[str, Any]:
        """A schema that fits the first event, as EventBridge itself writes it."""
        answer = self._client.get_discovered_schema(Events=[json.dumps(event)], Type="OpenApi3")
        found: dict[str, Any] = json.loads(answer["Content"])
        return found

    def _make_room(self) -> None:
        pages = self._client.get_paginator("list_schema_versions").paginate(**self._schema)
        versions = sorted(int(v["SchemaVersion"]) for page in pages for v in page["SchemaVersions"])
        for version in versions[: len(versions) - MOST_VERSIONS + 1]:
            self._client.delete_schema_version(**self._schema, SchemaVersion=str(version))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
