"""What ships can be built again, byte for byte, and says what it is made of."""

from __future__ import annotations

import hashlib
import marshal
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from supply_chain import sbom
from supply_chain.outdated import report

ROOT = Path(__file__).resolve().parents[2]


def built(folder: Path) -> dict[str, str]:
    """The artifact made in a folder of its own, from a copy of the sources: each file and the digest of its bytes."""
    source, artifact = folder / "source", folder / "artifact"
    shutil.copytree(ROOT / "src" / "function", source, ignore=shutil.ignore_patterns("__pycache__"))
    artifact.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ARTIFACTS_DIR": str(artifact)}
    subprocess.run(["make", "build-RollbackFunction"], cwd=source, env=environment, check=True, capture_output=True)
    files = [path for path in sorted(artifact.rglob("*")) if path.is_file()]
    return {str(path.relative_to(artifact)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """Two builds in two folders, whose names differ in length as well."""
    return built(tmp_path_factory.mktemp("one")), built(tmp_path_factory.mktemp("another-place"))


def test_two_builds_in_two_folders_are_the_same_bytes(twice: tuple[dict[str, str], dict[str, str]]) -> None:
    one, other = twice
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert any(name.endswith(".pyc") for name in one)


def test_nothing_that_ships_names_the_folder_that_it_was_built_in(tmp_path: Path) -> None:
    built(tmp_path)
    files = [path for path in (tmp_path / "artifact").rglob("*") if path.is_file()]
    assert [path.name for path in files if str(tmp_path).encode() in path.read_bytes()] == []
    (compiled,) = (tmp_path / "artifact" / "lastgood").glob("__pycache__/times.*.pyc")
    assert marshal.loads(compiled.read_bytes()[16:]).co_filename == "/var/task/lastgood/times.py"


def test_the_bill_of_materials_is_that_of_what_is_pinned() -> None:
    """If this fails: `make readme`."""
    assert (ROOT / "docs" / "sbom.cdx.json").read_text() == sbom.written()


def test_the_bill_names_every_package_that_ships_with_its_licence_and_its_hashes() -> None:
    parts = {part["name"]: part for part in sbom.bill()["components"]}
    pinned = re.findall(r"^([\w.-]+)==(\S+)", sbom.REQUIREMENTS.read_text(), flags=re.MULTILINE)
    assert {name: part["version"] for name, part in parts.items()} == dict(pinned)
    assert {name: part["licenses"][0]["expression"] for name, part in parts.items()} == {
        "aws-lambda-powertools": "MIT",
        "jmespath": "MIT",
        "typing-extensions": "PSF-2.0",
    }
    assert all(part["externalReferences"][0]["hashes"] for part in parts.values())


def test_what_a_package_needs_is_in_the_bill() -> None:
    needed = {each["ref"].split("@")[0]: each["dependsOn"] for each in sbom.bill()["dependencies"]}
    powertools = needed["pkg:pypi/aws-lambda-powertools"]
    assert [each.split("@")[0] for each in powertools] == ["pkg:pypi/jmespath", "pkg:pypi/typing-extensions"]


def test_an_outdated_package_fails_only_if_it_ships() -> None:
    old = {"name": "moto", "version": "1", "latest_version": "2"}
    shipped = {"name": "aws-lambda-powertools", "version": "3", "latest_version": "4"}
    assert report([], {"aws-lambda-powertools"}) == ("Everything is current.", 0)
    assert report([old], {"aws-lambda-powertools"}) == ("moto 1 -> 2", 0)
    assert report([old, shipped], {"aws-lambda-powertools"})[1] == 1
