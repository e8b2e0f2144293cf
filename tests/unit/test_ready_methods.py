"""Methods of dataclasses that the build compiled: they do what Python's own do, and are used only where they fit."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

FUNCTION = Path(__file__).resolve().parents[2] / "src" / "function"

KEEP = "import sys; from pathlib import Path; from lastgood.ready_methods import keep; keep(Path(sys.argv[1]))"
USE = """
import sys
from dataclasses import replace
from pathlib import Path
from lastgood.ready_methods import use
print(use(Path(sys.argv[1])), file=sys.stderr)
from lastgood.model import DeploymentGroup, Policy
group = DeploymentGroup("shop", "prod")
print(group, group == DeploymentGroup("shop", "prod"), hash(group) == hash(replace(group)), replace(group) is group)
print(Policy(), Policy() == replace(Policy(), cooldown=Policy().deadline))
for wrong in (lambda: setattr(group, "application", "x"), lambda: DeploymentGroup(1, 2, 3, 4, 5, 6, 7, 8, 9)):
    try:
        wrong()
    except Exception as error:
        print(type(error), error)
print(Policy.__init__.__code__.co_filename, file=sys.stderr)
"""

EVERY_CLASS = """
import sys
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
import lastgood
from lastgood.ready_methods import NAME, use
use(Path(sys.argv[1]))
for module in walk_packages(lastgood.__path__, "lastgood."):
    if module.name != "lastgood.handler":
        import_module(module.name)
ours = [module for name, module in sys.modules.items() if name.startswith("lastgood.")]
made = {each for module in ours for each in vars(module).values() if isinstance(each, type) and is_dataclass(each)}
print(len(made), [each for each in made if each.__eq__.__code__.co_filename != NAME])
"""


def run(program: str, kept: Path, *options: str) -> tuple[str, str]:
    """What a program writes to its output and to its errors, with the function's code; `-S`: nothing is installed."""
    environment = {**os.environ, "PYTHONPATH": str(FUNCTION)}
    command = [sys.executable, *options, "-B", "-c", program, str(kept)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build keeps."""
    path = tmp_path_factory.mktemp("kept") / "methods"
    run(KEEP, path, "-S")
    return path


def test_methods_that_were_kept_do_what_those_do_that_are_compiled_at_each_start(kept: Path, tmp_path: Path) -> None:
    ours, told = run(USE, kept, "-S")
    assert told == "True\n<kept>\n"
    theirs, told = run(USE, tmp_path / "none", "-S")
    assert told == "False\n<string>\n"
    assert ours == theirs != ""


def test_the_build_keeps_the_methods_of_every_class_though_boto3_is_not_there(kept: Path) -> None:
    made, compiled_now = run(EVERY_CLASS, kept)[0].split(maxsplit=1)
    assert int(made) > 100
    assert compiled_now.strip() == "[]"


@pytest.mark.parametrize("content", [b"", b"\x00\x00\r\n" + b"of another Python", MAGIC_NUMBER + b"{0"])
def test_what_was_kept_for_another_python_or_names_no_source_is_left_alone(content: bytes, tmp_path: Path) -> None:
    """`{0` is an empty table: nothing was kept of the classes that are made."""
    path = tmp_path / "methods"
    path.write_bytes(content)
    _, told = run(USE, path, "-S")
    assert told == f"{content.startswith(MAGIC_NUMBER)}\n<string>\n"
