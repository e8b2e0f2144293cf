"""Whether a person could type a command of `lastgood` as a text has it."""

from __future__ import annotations

import shlex

import click

from lastgood_cli.context import Session
from lastgood_cli.main import cli


def can_be_typed(line: str) -> None:
    """Fail unless the command exists and takes these arguments. `line` begins with `lastgood`."""
    name, *arguments = shlex.split(line)
    assert name == "lastgood", line
    command: click.Command = cli
    context = cli.make_context("lastgood", arguments, obj=Session())
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context.protected_args, *context.args])
        assert found is not None, line
        command, context = found, found.make_context(found.name, rest, parent=context)
