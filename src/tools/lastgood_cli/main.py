"""`lastgood`, the operator's command: global options, and the commands, each loaded when it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import click

from lastgood.signals import ACTIONS
from lastgood_cli.context import DEFAULT_STACK, Session
from lastgood_cli.output import Format
from lastgood_cli.problems import Commands

COMMANDS: dict[str, str] = {
    "audit": "audit:audit",
    "status": "status:status",
    "plan": "plan:plan",
    "explain": "plan:explain",
    "doctor": "doctor:doctor",
    "backtest": "backtest:backtest",
    "report": "report:report",
    **dict.fromkeys(dict.fromkeys(act.command.split()[0] for act in ACTIONS.values() if act.command), "acts:COMMANDS"),
    "events": "events:events",
    "permissions": "permissions:permissions",
    "demo": "small:demo",
    "completion": "small:completion",
}
"""Command → module of this package and the name in it, of a command or of a table that holds it.

In the order in which `--help` lists them.
"""


class LazyCommands(Commands):
    """Commands are imported when they are called: nobody waits for Jinja to read a table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(f"lastgood_cli.{module}"), name)
        command: click.Command = found[cmd_name] if isinstance(found, dict) else found
        return command


def _global[F: Callable[..., Any]](*names: str, about: str, **more: Any) -> Callable[[F], F]:
    return click.option(*names, help=about, show_envvar=True, **more)


@click.group(
    cls=LazyCommands,
    context_settings={
        "auto_envvar_prefix": "LASTGOOD",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@_global("--profile", default="", about="The AWS profile.")
@_global("--region", default="", about="The AWS region.")
@_global("--endpoint-url", default="", about="Another endpoint for every AWS service, for a simulated AWS.")
@_global("--stack", default=DEFAULT_STACK, show_default=True, about="The stack; leads to its table and function.")
@_global("--table", default="", about="The audit table, where it is not to be found by the stack.")
@_global("--function", default="", about="The function, where it is not to be found by the stack.")
@_global(
    "--output",
    "-o",
    type=click.Choice([each.value for each in Format]),
    default=Format.TABLE.value,
    show_default=True,
    about="How to print.",
)
@click.version_option(package_name=None, version="0.1.0", prog_name="lastgood")
@click.pass_context
def cli(
    ctx: click.Context, profile: str, region: str, endpoint_url: str, stack: str, table: str, function: str, output: str
) -> None:
    """Ask what lastgood did and why, try what it would do, and act by hand.

    \b
    What happened last night?        lastgood audit list --since 12h
    Why that revision?               lastgood audit show ID
    Would it work right now?         lastgood plan --help; lastgood doctor
    How do I stop it?                lastgood pause --reason "…"
    """
    ctx.obj = replace(
        ctx.obj or Session(),
        profile=profile,
        region_option=region,
        endpoint_url=endpoint_url,
        stack=stack,
        table_option=table,
        function_option=function,
        output=Format(output),
    )


def main() -> None:
    """The entry point."""
    cli(prog_name="lastgood")


if __name__ == "__main__":
    main()
