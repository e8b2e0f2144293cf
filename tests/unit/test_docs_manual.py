"""docs/cli.md is true: every command's help is in it as it is printed, and every command line in it can be typed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest

from docs_from_code import manual
from docs_from_code.pages import ROOT
from lastgood.model import DeploymentGroup
from lastgood.signals import ACTIONS, Act
from lastgood_cli import acts
from lastgood_cli.main import COMMANDS, cli
from lastgood_cli.problems import ABOUT, Exit
from local_aws.__main__ import tour
from typing_it import can_be_typed

PAGE = (ROOT / "docs" / "cli.md").read_text()
HAND_WRITTEN = re.sub(r"<!-- ([\w-]+) -->.*?<!-- /\1 -->", "", PAGE, flags=re.DOTALL)
TYPED = re.findall(r"^\$ (lastgood .*?)(?:  +#.*)?$", HAND_WRITTEN, flags=re.MULTILINE)


@pytest.mark.parametrize("name", manual.BLOCKS)
def test_each_block_is_what_the_code_makes(name: str) -> None:
    """If this fails: `make readme`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE, flags=re.DOTALL)
    assert found and found[1] == manual.BLOCKS[name]()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_list_can_be_loaded(name: str) -> None:
    assert isinstance(cli.get_command(click.Context(cli), name), click.Command)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_each_command_what_its_own_help_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command and command.help
    said = re.sub(r"[\s`]+", " ", command.help.split("\n\n")[0].replace("\b", ""))
    about = COMMANDS[name][1].rstrip(".")
    assert said.startswith(about.rstrip(".")), f"{said!r} does not begin with {about!r}"


def test_the_list_has_a_command_for_the_first_word_of_each_action() -> None:
    words = {act.command.split()[0] for act in ACTIONS.values() if act.command}
    assert words == {name for name, (target, _) in COMMANDS.items() if target == "acts:COMMANDS"}


@pytest.mark.parametrize("typed", [["--help"], ["--version"], ["--colour"]])
def test_helps_and_mistakes_load_neither_aws_nor_the_commands(typed: list[str]) -> None:
    """Importing boto3 alone takes longer than a person wants to wait for a help."""
    code = (
        "import sys\n"
        "from lastgood_cli.main import cli\n"
        "try:\n"
        f"    cli.main({typed!r}, 'lastgood')\n"
        "except SystemExit:\n"
        "    pass\n"
        "print([m for m in sys.modules if m in {'boto3', 'rich', 'jinja2', 'lastgood_cli.acts', 'lastgood.app'}])"
    )
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src/function'}{os.pathsep}{ROOT / 'src/tools'}"}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("line", TYPED)
def test_every_command_line_in_the_page_can_be_typed(line: str) -> None:
    """As far as parsing goes: the commands and options exist, and the values have the right form."""
    arguments = shlex.split(line)[1:]
    context = cli.make_context("lastgood", arguments)
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, [*context.protected_args, *context.args])
        assert name and found
        command, context = found, found.make_context(name, arguments, parent=context)
    assert not context.args


PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", ".github/**/*.md", ".github/**/*.yml")
    for path in sorted(ROOT.glob(pattern))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_any_page_names_exists_with_its_options(page: Path) -> None:
    """What is left out is for the reader to fill in; what stands there must be taken."""
    text = page.read_text()
    named = re.findall(r"`(lastgood [a-z-][^`<]*)`", text) + re.findall(r"^\$ (lastgood [^#\n]*)", text, re.MULTILINE)
    for line in named:
        try:
            with suppress(click.exceptions.Exit):
                can_be_typed(line.split(" || ")[0].split(" > ")[0])
        except click.UsageError as error:
            assert error.format_message().startswith("Missing"), (line, error.format_message())


@pytest.mark.parametrize("line", re.findall(r"^  (lastgood .*)$", tour("aws"), flags=re.MULTILINE))
def test_every_command_of_the_local_tour_can_be_typed(line: str) -> None:
    test_every_command_line_in_the_page_can_be_typed(line)


def test_the_page_answers_the_four_questions_with_commands() -> None:
    assert len(TYPED) > 25
    for question in (
        "What happened last night?",
        "Why that revision?",
        "Would it work right now?",
        "How do I stop it?",
    ):
        assert f"### {question}" in HAND_WRITTEN


def test_every_exit_code_is_explained_once() -> None:
    assert set(ABOUT) == set(Exit)
    assert len({int(code) for code in Exit}) == len(Exit)


def test_the_commands_that_the_issue_names_are_there() -> None:
    wanted = {"audit", "plan", "explain", "rollback", "approve", "reject", "pause", "resume", "mode", "floor", "mark"}
    assert wanted | {"status", "doctor", "backtest", "report", "events", "permissions", "demo"} <= set(COMMANDS)


def test_whatever_an_operator_may_ask_of_the_function_has_its_command() -> None:
    """`sweep` and `drill` are the schedule's; `health` is `doctor`'s; `status` reads the table."""
    typed = {" ".join(path) for path in manual.commands()}
    assert {act.command for act in ACTIONS.values() if act.command} <= typed
    assert {name for name, act in ACTIONS.items() if not act.command} == {"status", "sweep", "drill", "health"}


@pytest.mark.parametrize("act", [act for act in ACTIONS.values() if act.command], ids=lambda act: act.name)
def test_a_command_asks_about_everything_that_its_action_needs(act: Act) -> None:
    """Who and why are recorded; the rest is what would be done, and is read aloud before it is."""
    given = {name: f"<{name}>" for name in (*act.required, *act.optional)}
    question = acts.question_of(act, {**given, "group": DeploymentGroup("shop", "prod")})
    for name in set(act.required) - {"application", "deployment_group", "reason", "requested_by"}:
        assert given[name] in question
    assert ("shop/prod" in question) == ("application" in given)
    assert ("EVERYTHING" in acts.question_of(act, given)) == ("application" in given)


def test_the_command_runs_from_a_checkout_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "lastgood"
    link.symlink_to(ROOT / "bin" / "lastgood")
    ran = subprocess.run([str(link), "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout.startswith("lastgood, version ")


def test_a_checkout_that_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    copy = Path(shutil.copy(ROOT / "bin" / "lastgood", tmp_path / "bin"))
    ran = subprocess.run([str(copy)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (5, f"lastgood: it is not installed yet. Try: make -C {tmp_path} install\n")


@pytest.mark.parametrize("path", sorted(manual.commands()))
def test_every_command_says_what_it_does_in_a_sentence(path: tuple[str, ...]) -> None:
    text = manual.help_of(*path)
    first = text.split("\n\n")[1].strip()
    assert first[0].isupper() and first.rstrip().endswith((".", "lastgood.", "`on`.")), first


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_the_commands(shell: str) -> None:
    from click.testing import CliRunner

    made = CliRunner().invoke(cli, ["completion", shell], prog_name="lastgood")
    assert made.exit_code == 0 and "_LASTGOOD_COMPLETE" in made.output
    words = {"COMP_WORDS": "lastgood au", "COMP_CWORD": "1", "_LASTGOOD_COMPLETE": f"{shell}_complete"}
    if shell == "fish":
        words |= {"COMP_WORDS": "lastgood", "COMP_CWORD": "au"}
    offered = CliRunner().invoke(cli, [], prog_name="lastgood", env=words)
    assert "audit" in offered.output and "plan" not in offered.output
