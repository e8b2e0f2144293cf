"""The blocks of docs/cli.md that come from the code: every command's help, the exit codes, the environment's twins."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.testing import CliRunner

from lastgood.signals import ACTIONS
from lastgood_cli.main import COMMANDS, cli
from lastgood_cli.problems import ABOUT

WIDTH = 100


def commands() -> Iterator[tuple[str, ...]]:
    """Every command as it is typed, without groups' own: `("audit", "list")`."""
    context = click.Context(cli, info_name="lastgood")
    for name in COMMANDS:
        found = cli.get_command(context, name)
        if isinstance(found, click.Group):
            yield from ((name, each) for each in found.commands)
        elif found is not None:
            yield (name,)


def help_of(*path: str) -> str:
    """What `lastgood PATH --help` prints on a terminal of 100 columns."""
    ran = CliRunner().invoke(cli, [*path, "--help"], prog_name="lastgood", terminal_width=WIDTH)
    if ran.exit_code:
        raise LookupError(f"there is no command {' '.join(path)}")
    return "\n".join(line.rstrip() for line in ran.output.rstrip().splitlines())


def global_help() -> str:
    """`lastgood --help`."""
    return f"```console\n$ lastgood --help\n{help_of()}\n```"


def command_help() -> str:
    """Every command's help, each under its own heading."""
    parts = []
    for path in commands():
        typed = " ".join(("lastgood", *path))
        parts.append(f"### `{typed}`\n\n```console\n$ {typed} --help\n{help_of(*path)}\n```")
    return "\n\n".join(parts)


def exit_codes() -> str:
    """The exit codes and what each means."""
    rows = ["| code | meaning |", "|---|---|"]
    return "\n".join([*rows, *(f"| {int(code)} | {about} |" for code, about in ABOUT.items())])


def action_table() -> str:
    """Every action of the function: the fields of its event, and the command that sends it."""
    rows = ["| action | what it does | needs | may have | command |", "|---|---|---|---|---|"]
    for act in ACTIONS.values():
        needs, may = (", ".join(f"`{name}`" for name in names) for names in (act.required, act.optional))
        rows.append(f"| `{act.name}` | {act.about} | {needs} | {may} | {act.command and f'`lastgood {act.command}`'} |")
    return "\n".join(rows)


BLOCKS = {"actions": action_table, "global-help": global_help, "command-help": command_help, "exit-codes": exit_codes}
