"""The command as somebody installs it: a wheel, an environment with what it declares and nothing else, no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lastgood import __version__
from terminal import Ran, terminal

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOBODY = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Without credentials no command asks the AWS outside."""


def checkout(to: Path) -> Path:
    """What a fresh clone holds, as far as the package is made from it."""
    for name in ("src", "events"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "template.yaml", "satellite.yaml", ".gitignore"):
        shutil.copy(ROOT / name, to / name)
    return to


def files(folder: Path) -> set[str]:
    """Every file in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def needed(requirements: list[str]) -> Iterator[str]:
    """The distributions that these requirements bring, with all that those need."""
    waiting: list[tuple[str, str]] = [(each, "") for each in requirements]
    seen: set[str] = set()
    while waiting:
        text, extra = waiting.pop()
        wanted = Requirement(text)
        if text + extra in seen or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        seen.add(text + extra)
        found = distribution(wanted.name).requires or []
        waiting += [(each, extra) for each in found for extra in ("", *wanted.extras)]
        yield canonicalize_name(wanted.name)


def put_into(site: Path, name: str) -> None:
    """Copy an installed distribution into another environment."""
    found = distribution(name)
    for file in found.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(str(found.locate_file(file)))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` builds, from a checkout that must stay as it was."""
    source = checkout(tmp_path_factory.mktemp("checkout"))
    before, into = files(source), tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(into), str(source)], check=True, capture_output=True)
    assert files(source) == before
    (made,) = into.glob("*.whl")
    return made


def install(wheel: Path, folder: Path, *extras: str) -> Path:
    """An environment with the wheel, what it declares, and nothing else."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3.*/site-packages")
    declared = [*PROJECT["dependencies"], *(r for each in extras for r in PROJECT["optional-dependencies"][each])]
    for name in set(needed(declared)):
        put_into(site, name)
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*command, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the command alone, without any extra."""
    return install(wheel, tmp_path_factory.mktemp("environment"))


def run(environment: Path, *arguments: str, **variables: str) -> Ran:
    """Run the installed command, far from the checkout."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    command = [str(environment / "bin" / "lastgood"), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    return Ran(done.returncode, done.stdout, done.stderr)


def test_the_wheel_brings_no_names_but_its_own(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"lastgood", "lastgood_cli", f"lastgood-{__version__}.dist-info"}


def test_there_is_one_version(environment: Path, wheel: Path) -> None:
    assert run(environment, "--version").out == f"lastgood, version {__version__}\n"
    assert wheel.name.startswith(f"lastgood-{__version__}-")


def test_the_installed_command_reads_the_record_with_what_it_declares(environment: Path) -> None:
    with terminal() as it:
        it.sim.server_group("shop", "prod")
        rollback_id = it.alarm_fires()
        there = {"AWS_DEFAULT_REGION": "us-east-1", "LASTGOOD_ENDPOINT_URL": it.server.url}
        listed = run(environment, "audit", "list", *it.when, "--output", "json", **there)
        told = run(environment, "audit", "show", rollback_id, **there)
    assert listed.code == 0, listed.err
    assert rollback_id in listed.out
    assert told.code == 0 and "What happened" in told.out, told.err


def test_the_sample_events_come_along(environment: Path) -> None:
    ran = run(environment, "events", "show", "manual-rollback")
    assert (ran.code, '"action": "rollback"' in ran.out) == (0, True), ran.err


@pytest.mark.parametrize(("command", "extra"), [(("demo",), "demo"), (("permissions", "function"), "permissions")])
def test_what_needs_an_extra_names_it(environment: Path, command: tuple[str, ...], extra: str) -> None:
    ran = run(environment, *command, **NOBODY)
    assert ran.code == 2
    assert f"lastgood[{extra}]" in ran.err
    assert extra in PROJECT["optional-dependencies"]


def test_with_the_extras_these_commands_run_far_from_a_checkout(wheel: Path, tmp_path: Path) -> None:
    environment = install(wheel, tmp_path / "environment", "demo", "permissions")
    policy = run(environment, "permissions", "function", **NOBODY)
    assert (policy.code, "codedeploy:CreateDeployment" in policy.out) == (0, True), policy.err
    played = run(environment, "demo")
    assert (played.code, "ROLLED_BACK" in played.out) == (0, True), played.err
