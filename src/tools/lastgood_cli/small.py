"""The two smallest commands: the demo, and completion for the shell."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from lastgood_cli.places import TOOLS
from lastgood_cli.problems import Exit, Problem


@click.command()
def demo() -> None:
    """Play a bad release on each platform, in a simulated AWS. Needs no account."""
    sys.path.append(str(TOOLS))
    from stage.demo import main as play

    play()


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes lastgood's commands and options in a shell.

    \b
    bash:  eval "$(lastgood completion bash)"       in ~/.bashrc
    zsh:   eval "$(lastgood completion zsh)"        in ~/.zshrc
    fish:  lastgood completion fish > ~/.config/fish/completions/lastgood.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise Problem(f"There is no completion for {shell}", "lastgood completion --help", Exit.USAGE)
    click.echo(kind(ctx.find_root().command, {}, "lastgood", "_LASTGOOD_COMPLETE").source())
