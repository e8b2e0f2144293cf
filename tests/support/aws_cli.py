"""A line of the AWS CLI, read as the CLI reads it, by the service's own model, and sent to a simulated AWS."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import jmespath
from botocore import xform_name

OF_THE_CLI = {"--region", "--output", "--query", "--cli-binary-format"}
"""Options of the CLI itself, each with a value."""


def call_aws(line: str, client_of: Callable[[str], Any]) -> Any:
    """Run `aws SERVICE OPERATION --option value …`; `client_of` makes the client of a service. Returns the answer."""
    program, *words = shlex.split(line)
    assert program == "aws", line
    words, own = _split(words)
    service, operation, *options = words
    client = client_of(service)
    name = next(n for n in client.meta.service_model.operation_names if xform_name(n, "-") == operation)
    if name == "Invoke":
        assert options.pop() == "/dev/stdout", "The file for the function's answer comes last."
    answer = getattr(client, xform_name(name))(**_parameters(client.meta.service_model.operation_model(name), options))
    return jmespath.search(own["--query"], answer) if "--query" in own else answer


def _split(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words of the operation, and the options of the CLI itself, which may be anywhere."""
    rest, own, given = [], {}, iter(words)
    for word in given:
        if word in OF_THE_CLI:
            own[word] = next(given)
        else:
            rest.append(word)
    return rest, own


def _parameters(operation: Any, options: list[str]) -> dict[str, Any]:
    members = operation.input_shape.members
    by_option = {f"--{xform_name(member, '-')}": member for member in members}
    # The CLI renames it, because --endpoint-url is its own.
    by_option |= {"--notification-endpoint": "Endpoint"} if "Endpoint" in members else {}
    parameters: dict[str, Any] = {}
    given = iter(options)
    for option in given:
        positive = option if option in by_option else f"--{option.removeprefix('--no-')}"
        member = by_option[positive]
        if members[member].type_name == "boolean":
            parameters[member] = positive == option
        else:
            parameters[member] = _value(next(given), members[member].type_name)
    return parameters


def _value(text: str, kind: str) -> Any:
    """A value as the CLI takes it: JSON, or the shorthand `A=true,B=c`."""
    if kind == "integer":
        return int(text)
    if kind in {"string", "blob"}:
        return text
    if text.startswith(("[", "{")):
        return json.loads(text)
    if kind == "list":
        return [text]
    pairs = (pair.split("=", 1) for pair in text.split(","))
    return {key: {"true": True}.get(given, given) for key, given in pairs}
