"""The options that every command takes, before its name or after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import click

DEFAULT_STACK = "lastgood"


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Option:
    """One option: what it is called, what it sets in the session, what `--help` says about it."""

    names: tuple[str, ...]
    sets: str
    about: str
    default: str = ""
    choices: tuple[str, ...] = ()

    @property
    def type(self) -> click.ParamType | None:
        """Only some values, or any text."""
        return click.Choice(self.choices) if self.choices else None


OPTIONS = (
    Option(("--profile",), "profile", "The AWS profile."),
    Option(("--region",), "region_option", "The AWS region."),
    Option(("--endpoint-url",), "endpoint_url", "Another endpoint for every AWS service, for a simulated AWS."),
    Option(("--stack",), "stack", "The stack; leads to its table and function.", DEFAULT_STACK),
    Option(("--table",), "table_option", "The audit table, where it is not to be found by the stack."),
    Option(("--function",), "function_option", "The function, where it is not to be found by the stack."),
    Option(("--output", "-o"), "output", "How to print.", Format.TABLE.value, tuple(each.value for each in Format)),
)


class Family(click.Group):
    """Commands of two words. Its help has their first sentences whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each command with what it does."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=200)) for name, each in self.commands.items()])


def before[F: Callable[..., Any]](command: F) -> F:
    """The options of `lastgood` itself; `given` collects their values for the session."""
    for each in reversed(OPTIONS):
        command = click.option(
            *each.names,
            each.sets,
            default=each.default,
            type=each.type,
            envvar=f"LASTGOOD_{each.names[0].strip('-').replace('-', '_').upper()}",
            show_default=bool(each.default),
            show_envvar=True,
            help=each.about,
        )(command)
    return command


def after(command: click.Command) -> click.Command:
    """The same command, which takes these options too, and so do the commands in it. `--help` names them in a line."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            after(each)
    taken = {name for parameter in command.params for name in parameter.opts}
    for option in OPTIONS:
        if not taken & set(option.names):
            command.params.append(_late(option))
    return command


def _late(option: Option) -> click.Option:
    return click.Option(
        [*option.names, f"late_{option.sets}"],
        type=option.type,
        hidden=True,
        expose_value=False,
        allow_from_autoenv=False,
        callback=lambda ctx, _, value: _set(ctx, option, value),
    )


def _set(ctx: click.Context, option: Option, value: str | None) -> None:
    """The last one on the line counts: the session of the whole run is another one from here on."""
    if value is None or ctx.resilient_parsing:
        return
    made = Format(value) if option.choices else value
    ctx.obj = ctx.find_root().obj = replace(ctx.find_root().obj, **{option.sets: made})
