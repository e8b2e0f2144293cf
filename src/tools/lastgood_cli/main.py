"""`lastgood`, the operator's command: global options, and the commands, each imported when it is called.

Helps, completion and mistakes at the command line are answered without AWS's libraries, so that nobody waits for them.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from lastgood import __version__
from lastgood_cli.near import nearest, there_is
from lastgood_cli.options import Format, after, before

COMMANDS: dict[str, tuple[str, str]] = {
    "audit": ("audit:audit", "What happened, and why: the audit table."),
    "status": ("status:status", "Show the state of everything, or of one rollback, and exit by it."),
    "plan": ("plan:plan", "Say what would happen now, and why."),
    "explain": ("plan:explain", "Say why a rollback that happened went as it did."),
    "alarms": ("connect:alarms", "List which alarms speak for which deployment groups."),
    "connect": ("connect:connect", "Let alarms speak for a deployment group."),
    "doctor": ("doctor:doctor", "Look at the whole chain from an alarm to the audit table."),
    "drill": ("errands:drill", "Let the function try everything that a rollback would need, without one."),
    "health": ("errands:health", "Ask the function whether its settings are right, and which version it is."),
    "gate": ("errands:gate", "Say whether a pipeline may release to a deployment group now."),
    "backtest": ("backtest:backtest", "Say what lastgood would have done about the alarms that really came."),
    "report": ("report:report", "Write one page about a period: figures, timeline, outcomes, times."),
    "rollback": ("acts:COMMANDS", "Roll a deployment group back to its last good revision."),
    "approve": ("acts:COMMANDS", "Let a rollback that waits for approval go on."),
    "reject": ("acts:COMMANDS", "Close a rollback that waits for approval."),
    "pause": ("acts:COMMANDS", "Stop all rollbacks, or those of one deployment group."),
    "resume": ("acts:COMMANDS", "Take a pause back."),
    "mode": ("acts:COMMANDS", "Say how far lastgood goes by itself for a deployment group."),
    "release": ("acts:COMMANDS", "Open the pipeline's stage that a rollback of this deployment group holds."),
    "floor": ("acts:COMMANDS", "The oldest deployment that may be redeployed."),
    "mark": ("acts:COMMANDS", "Say that a revision is good or bad."),
    "events": ("events:events", "The sample events: to look at, to plan with, to put into Lambda's console."),
    "permissions": ("permissions:permissions", "The exact IAM policies, as JSON."),
    "demo": ("small:demo", "Play a bad release on each platform, in a simulated AWS."),
    "completion": ("small:completion", "Print the script that completes lastgood's commands and options in a shell."),
}
"""Command → module of this package and the name in it, of a command or of a table that holds it; its help in a line.

In the order in which `--help` lists them.
"""

ALSO = "It also takes the options of lastgood itself, such as --output json."


class Commands(click.Group):
    """The outermost group. Commands are imported when they are called; whatever happens ends in an exit code.

    A command returns its exit code, or None for success. What goes wrong is at most one line on stderr.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        found = getattr(import_module(f"lastgood_cli.{module}"), name)
        command: click.Command = found[cmd_name] if isinstance(found, dict) else found
        return command if ALSO in (command.epilog or "") else _complete(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; what is misspelt is told with what it may have been."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = nearest(name, COMMANDS, 2, 0.6)
            ctx.fail(f"No such command {name!r}{there_is(near)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with their helps, from the table: none is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may come next, from the table too."""
        offered = [CompletionItem(n, help=about) for n, (_, about) in COMMANDS.items() if n.startswith(incomplete)]
        return offered + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what AWS or lastgood raises becomes a Problem, which knows the profile in use."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            # The last one is `| head`, which Click ends quietly.
            raise
        except Exception as error:
            from lastgood_cli.problems import problem_of

            raise problem_of(error, getattr(ctx.obj, "profile", "")) from error

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **more: Any) -> Any:
        """Run as a program and leave with an exit code."""
        try:
            code = super().main(args, prog_name, *rest, **{**more, "standalone_mode": False})
        except Exception as error:
            from lastgood_cli.problems import problem_of

            problem = problem_of(error)
            click.echo(problem.line(), err=True)
            code = problem.exit_code
        raise SystemExit(int(code) if isinstance(code, int) else 0)


def _complete(command: click.Command) -> click.Command:
    """A command with the global options, said in its help."""
    each_one = command.commands.values() if isinstance(command, click.Group) else ()
    for each in (command, *each_one):
        each.epilog = ALSO
    return after(command)


@click.group(
    cls=Commands,
    context_settings={
        "auto_envvar_prefix": "LASTGOOD",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@before
@click.version_option(version=__version__, prog_name="lastgood")
@click.pass_context
def cli(ctx: click.Context, /, output: str, **given: str) -> None:
    """Ask what lastgood did and why, try what it would do, and act by hand.

    \b
    What happened last night?        lastgood audit list --since 12h
    Why that revision?               lastgood audit show ID
    Would it work right now?         lastgood plan --help; lastgood doctor
    How do I stop it?                lastgood pause --reason "…"
    """
    from lastgood_cli.context import Session

    ctx.obj = replace(ctx.obj or Session(), output=Format(output), **given)


def main() -> None:
    """The entry point."""
    cli(prog_name="lastgood")


if __name__ == "__main__":
    main()
