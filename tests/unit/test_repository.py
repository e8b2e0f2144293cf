"""The repository's own promises: where things live, which way the imports point, and what development and CI run."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from lastgood import __version__

ROOT = Path(__file__).resolve().parents[2]
FUNCTION, TOOLS = ROOT / "src" / "function", ROOT / "src" / "tools"
SHIPPED = sorted((FUNCTION / "lastgood").rglob("*.py"))
SIMULATOR = sorted((TOOLS / "simulated_aws").rglob("*.py"))
COMMAND_LINE = sorted(
    p for name in ("lastgood_cli", "stage", "docs_from_code", "supply_chain") for p in (TOOLS / name).rglob("*.py")
)
LOCAL_AWS = sorted((TOOLS / "local_aws").rglob("*.py"))
EVERY_TOOL = sorted(TOOLS.rglob("*.py"))
EVENTS = sorted((ROOT / "events").glob("*.json"))

PURE = ("model", "judgement")
"""Modules and packages that are pure with all that they import."""
MAY_USE_BOTOCORE = {"alarms.py", "aws_models.py", "aws_data.py", "clients.py", "notices.py", "tls.py"}
MAY_SHIP = {"aws_lambda_powertools", "botocore"}
# What a decision must not do: look at a clock, read the environment, touch files or the network, log, draw lots.
IMPURE_MODULES = {
    "asyncio",
    "concurrent",
    "http",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
IMPURE_CALLS = {"now", "utcnow", "today", "open", "print", "input"}


def name_of(path: Path) -> str:
    """A short name for reports."""
    return str(path.relative_to(ROOT))


# --- reading imports ---


def imports(source: str, package: str = "") -> set[str]:
    """The dotted names that a module imports, wherever in it; relative ones as seen from `package`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def tops(source: str) -> set[str]:
    """The packages that a module imports, without the standard library."""
    return {name.split(".")[0] for name in imports(source, "lastgood")} - sys.stdlib_module_names


def impurities(source: str) -> set[str]:
    """What a module does that a pure one must not."""
    found = {name.split(".")[0] for name in imports(source, "lastgood")} & IMPURE_MODULES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found |= {f"{called}()"} & {f"{name}()" for name in IMPURE_CALLS}
    return found


def module_path(dotted: str) -> Path | None:
    """The file of a module of `lastgood` by its dotted name, or by the name of something in it."""
    while dotted.startswith("lastgood."):
        found = FUNCTION / dotted.replace(".", "/")
        for path in (found.with_suffix(".py"), found / "__init__.py"):
            if path.exists():
                return path
        dotted = dotted.rpartition(".")[0]
    return None


@cache
def own_imports(path: Path) -> frozenset[Path]:
    """The modules of `lastgood` that a module of it imports."""
    package = ".".join(path.relative_to(FUNCTION).parent.parts)
    found = {module_path(name) for name in imports(path.read_text(), package)}
    return frozenset(other for other in found if other is not None and other != path)


def modules_of(name: str) -> list[Path]:
    """The file of a module of `lastgood`, or all files of a package of it."""
    path = FUNCTION / "lastgood" / name
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def reach(path: Path) -> set[Path]:
    """A module and every module of `lastgood` that comes with it."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(own_imports(module))
    return seen


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import boto3", {"boto3"}),
        ("from botocore.config import Config", {"botocore.config.Config"}),
        ("def late():\n    from lastgood import ledger", {"lastgood.ledger"}),
        ("from . import ledger", {"lastgood.ledger"}),
        ("from .model import Mode", {"lastgood.model.Mode"}),
        ("import os.path", {"os.path"}),
        ("x = 'import boto3'", set()),
    ],
)
def test_imports_are_seen_wherever_they_stand(source: str, found: set[str]) -> None:
    assert imports(source, "lastgood") == found


def test_an_import_from_the_package_above_is_seen() -> None:
    assert imports("from ..clients import call", "lastgood.deployers") == {"lastgood.clients.call"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from datetime import datetime\ndatetime.now()", {"now()"}),
        ("import logging", {"logging"}),
        ("open('x')", {"open()"}),
        ("from concurrent.futures import ThreadPoolExecutor", {"concurrent"}),
        ("from datetime import timedelta\ntimedelta(0)", set()),
    ],
)
def test_a_look_at_the_world_is_seen(source: str, found: set[str]) -> None:
    assert impurities(source) == found


# --- the arrows ---


@pytest.mark.parametrize("module", PURE)
def test_the_model_and_the_judgement_are_pure_with_all_that_they_import(module: str) -> None:
    assert modules_of(module)
    for path in {reached for part in modules_of(module) for reached in reach(part)}:
        assert tops(path.read_text()) <= {"lastgood"}, name_of(path)
        assert not impurities(path.read_text()), name_of(path)


def test_the_model_stands_alone() -> None:
    package = set(modules_of("model"))
    assert len(package) > 1
    assert {other for path in package for other in reach(path)} == package


def test_the_judgement_imports_nothing_but_the_model() -> None:
    package = set(modules_of("judgement"))
    assert len(package) > 1
    assert {other for path in package for other in reach(path)} <= package | set(modules_of("model"))


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_botocore_appears_only_in_the_adapters_and_where_clients_are_made(path: Path) -> None:
    if "botocore" in tops(path.read_text()):
        assert path.name in MAY_USE_BOTOCORE or path.relative_to(FUNCTION).parts[1] == "deployers"


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_what_ships_imports_only_what_ships_and_what_the_runtime_brings(path: Path) -> None:
    assert tops(path.read_text()) <= MAY_SHIP | {"lastgood"}


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_only_the_handler_reads_the_environment(path: Path) -> None:
    assert path.name == "handler.py" or not {n for n in imports(path.read_text()) if n.split(".")[0] == "os"}


def test_nothing_imports_the_handler() -> None:
    handler = FUNCTION / "lastgood" / "handler.py"
    assert handler.exists()
    assert not [name_of(path) for path in SHIPPED if handler in own_imports(path)]


def test_no_two_modules_import_each_other() -> None:
    for path in SHIPPED:
        for other in own_imports(path):
            assert path not in reach(other), f"{name_of(path)} and {name_of(other)}"


@pytest.mark.parametrize("path", SIMULATOR, ids=name_of)
def test_the_simulator_knows_nothing_of_lastgood(path: Path) -> None:
    """Or it would confirm what lastgood believes of CodeDeploy."""
    assert not tops(path.read_text()) & {"lastgood", "lastgood_cli", "stage"}


def test_what_ships_and_what_does_not_are_both_found() -> None:
    """Else the tests above would pass over nothing."""
    assert len(SHIPPED) > 10
    assert SIMULATOR
    assert COMMAND_LINE
    assert EVENTS


# --- who deploys ---

WHO_DEPLOYS = {"Controller", "ComputePlatform"}
MAY_ASK_WHO_DEPLOYS = {FUNCTION / "lastgood" / "deployers", TOOLS / "lastgood_cli" / "controllers"}
"""The adapters, and what the command knows of each controller. All else reads the row of capabilities."""


def asks_who_deploys(source: str) -> list[int]:
    """The lines on which a module compares something with a controller or a compute platform."""

    def named(node: ast.expr) -> bool:
        return any(
            isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in WHO_DEPLOYS
            for part in ast.walk(node)
        )

    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            asked = any(named(each) for each in (node.left, *node.comparators))
        else:
            asked = isinstance(node, ast.MatchValue) and named(node.value)
        if asked:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    "path",
    [p for p in [*SHIPPED, *COMMAND_LINE] if not MAY_ASK_WHO_DEPLOYS & set(p.parents)],
    ids=name_of,
)
def test_nothing_but_the_adapters_asks_who_deploys(path: Path) -> None:
    """What differs between deployers is a row: `Capabilities` in the model, `Known` in the command."""
    assert asks_who_deploys(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = group.controller is Controller.ECS",
        "x = platform not in {ComputePlatform.LAMBDA, ComputePlatform.ECS}",
        "match x:\n    case Controller.ECS:\n        pass",
    ],
)
def test_a_question_who_deploys_would_be_seen(source: str) -> None:
    assert asks_who_deploys(source)


# --- where things live ---


@pytest.mark.parametrize(
    "path",
    [
        ".ci/run",
        ".python-version",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "events",
        "pyproject.toml",
        "requirements/demo.in",
        "requirements/demo.txt",
        "requirements/dev.in",
        "requirements/dev.txt",
        "requirements/e2e.in",
        "requirements/e2e.txt",
        "requirements/mutation.in",
        "requirements/mutation.txt",
        "requirements/tools.in",
        "requirements/tools.txt",
        "samconfig.toml",
        "satellite.yaml",
        "src/function/Makefile",
        "src/function/lastgood/deployers",
        "src/function/requirements.in",
        "src/function/requirements.txt",
        "src/tools/simulated_aws",
        "src/tools/lastgood_cli",
        "src/tools/local_aws",
        "src/tools/docs_from_code",
        "src/tools/stage",
        "src/tools/supply_chain",
        "template.yaml",
        "tests/contract",
        "tests/e2e",
        "tests/integration",
        "tests/support",
        "tests/unit",
    ],
)
def test_everything_lies_where_the_design_says(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_functions_folder_holds_only_what_ships_and_how_it_is_built() -> None:
    found = {path.name for path in FUNCTION.iterdir() if path.name != "__pycache__"}
    found = {name for name in found if not name.startswith(".")}
    assert found == {"lastgood", "Makefile", "requirements.in", "requirements.txt"}


@pytest.mark.parametrize("path", [*SHIPPED, *SIMULATOR, *COMMAND_LINE, *LOCAL_AWS], ids=name_of)
def test_every_module_says_in_one_line_what_it_is(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
    assert first.endswith((".", "?", ":"))


@pytest.mark.parametrize("path", EVENTS, ids=name_of)
def test_every_example_event_is_a_json_object(path: Path) -> None:
    assert isinstance(json.loads(path.read_text()), dict)


# --- pins ---


def pins(text: str) -> dict[str, str]:
    """Package → version of a lock file. Raises AssertionError for a requirement that is not pinned with a hash."""
    found: dict[str, str] = {}
    for requirement in re.split(r"\n(?=\S)", text):
        if requirement.startswith("#") or not requirement.strip():
            continue
        match = re.match(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.!+]+)", requirement)
        assert match, f"not pinned: {requirement[:60]!r}"
        assert "--hash=sha256:" in requirement, f"without a hash: {match[1]}"
        found[match[1].lower()] = match[2]
    return found


DEVELOPMENT = ROOT / "requirements" / "dev.txt"
DEMO = ROOT / "requirements" / "demo.txt"
LOCAL = ROOT / "requirements" / "e2e.txt"
MUTATION = ROOT / "requirements" / "mutation.txt"
OUTSIDE = ROOT / "requirements" / "tools.txt"
REQUIREMENTS = FUNCTION / "requirements.txt"


@pytest.mark.parametrize("path", [DEVELOPMENT, DEMO, LOCAL, MUTATION, OUTSIDE, REQUIREMENTS], ids=name_of)
def test_every_requirement_is_pinned_with_its_hash(path: Path) -> None:
    assert pins(path.read_text())


@pytest.mark.parametrize("line", ["boto3>=1.40", "boto3==1.43.108"])
def test_a_loose_requirement_would_be_seen(line: str) -> None:
    with pytest.raises(AssertionError, match=r"not pinned|without a hash"):
        pins(line + "\n")


def test_the_demo_needs_a_part_of_what_development_does_in_the_same_versions() -> None:
    demo, development = pins(DEMO.read_text()), pins(DEVELOPMENT.read_text())
    assert {name: development[name] for name in demo} == demo
    assert len(demo) < len(development) / 2
    assert not {"aws-sam-cli", "pytest", "mypy", "cfn-lint"} & demo.keys()


def test_what_the_first_run_installs_is_said_before_it_begins() -> None:
    said = re.findall(r'echo "(Setting up .*?)"', (ROOT / "Makefile").read_text())
    assert len(said) == 2
    packages = len(pins(DEMO.read_text()))
    (about_demo,) = [line for line in said if "demo" in line]
    assert re.search(r"(\d+) packages, half a minute, \d+ MB", about_demo)
    assert abs(int(re.findall(r"(\d+) packages", about_demo)[0]) - packages) <= 5


def test_what_ships_is_tested_in_the_version_that_ships() -> None:
    development = pins(DEVELOPMENT.read_text())
    for package, version in pins(REQUIREMENTS.read_text()).items():
        assert development[package] == version, package


def test_only_powertools_ships_beside_the_functions_own_code() -> None:
    """And it is pure Python with all that it needs: the artifact is built on any machine for arm64."""
    assert pins(REQUIREMENTS.read_text()).keys() == {"aws-lambda-powertools", "jmespath", "typing-extensions"}


def test_the_local_aws_is_the_version_that_its_mends_were_written_for() -> None:
    mends = (TOOLS / "local_aws" / "emulator.py").read_text()
    assert f'VERSION = "{pins(LOCAL.read_text())["ministack"]}"' in mends


@pytest.mark.parametrize("path", LOCAL_AWS, ids=name_of)
def test_the_local_aws_knows_nothing_of_the_function_that_it_runs(path: Path) -> None:
    """Or the function could be helped along."""
    assert not tops(path.read_text()) & {"lastgood", "lastgood_cli", "stage"}


def test_there_is_one_version_of_lastgood() -> None:
    """In the package; the template says it too, because a deployed function is asked which one it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/function/lastgood/__init__.py"
    template = yaml_parse((ROOT / "template.yaml").read_text())
    said = template["Resources"]["RollbackFunction"]["Properties"]["Description"]
    assert said.startswith(f"lastgood {__version__}: ")
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert sections[1:2] in ([], [__version__])


def test_there_is_one_version_of_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert (ROOT / ".python-version").read_text().strip() == "3.13"
    assert project["project"]["requires-python"] == ">=3.13"
    assert project["tool"]["ruff"]["target-version"] == "py313"
    assert project["tool"]["mypy"]["python_version"] == "3.13"
    assert template["Resources"]["RollbackFunction"]["Properties"]["Runtime"] == "python3.13"
    assert "PYTHON ?= python3.13\n" in (ROOT / "Makefile").read_text()
    assert "python3.13 -m pip" in (FUNCTION / "Makefile").read_text()


# --- what people and CI run ---


def targets() -> dict[str, list[str]]:
    """The Makefile's targets and what each needs first."""
    rules = re.findall(r"^([a-z0-9-]+):([^=#\n]*)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    return {name: needs.split() for name, needs in rules}


def test_the_targets_that_the_contract_names_exist() -> None:
    assert {"demo", "test", "check", "help"} <= targets().keys()


def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    assert ".DEFAULT_GOAL := help" in text
    listed = set(re.findall(r"^([a-z0-9-]+):.*## \w", text, flags=re.MULTILINE))
    assert listed == targets().keys()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert set(phony.split()) == targets().keys()


def leads_to(target: str) -> Iterator[str]:
    """A target and all that it needs first."""
    yield target
    for needed in targets().get(target, []):
        yield from leads_to(needed)


@pytest.mark.parametrize("target", sorted(targets().keys() - {"help", "clean"}))
def test_every_target_sets_up_what_it_runs_in(target: str) -> None:
    assert {"$(STAMP)", "$(DEMO_STAMP)"} & set(leads_to(target))


def test_only_the_demo_does_without_the_development_environment() -> None:
    assert [name for name in targets() if "$(DEMO_STAMP)" in leads_to(name)] == ["demo"]


def test_ci_runs_the_test_command_first_and_then_the_rest_of_check() -> None:
    script = ROOT / ".ci" / "run"
    run = [line.split()[1:] for line in script.read_text().splitlines() if line.startswith("make ")]
    assert os.access(script, os.X_OK)
    assert run[0] == ["test"]
    # The local AWS needs an environment of its own, and minutes: the workflow gives it a job beside this one.
    assert {name for names in run for name in names} >= set(targets()["check"]) - {"e2e"}
    assert set(targets()["check"]) == {"lint", "types", "template", "test", "e2e"}


def test_in_ci_the_tests_in_a_browser_are_not_skipped() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert script.index("export LASTGOOD_NEEDS_CHROMIUM=1") < script.index("make test")
    assert "apt-get install" in script and "chromium" in script


def test_the_workflow_runs_what_ci_runs_and_the_deployed_stack_and_may_only_read() -> None:
    workflow = yaml_parse((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in workflow["jobs"].items()}
    assert runs == {"check": ["bash .ci/run"], "deployed": ["make e2e"]}
    assert workflow["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in workflow["jobs"].values())


def test_the_workflow_and_the_forms_of_issues_are_linted_with_what_is_pinned() -> None:
    (template,) = re.findall(r"^template:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for linted in (".github/workflows/*.yml", ".github/ISSUE_TEMPLATE/*.yml", "zizmor --offline"):
        assert linted in template
    assert {"check-jsonschema", "zizmor"} <= set(re.findall(r"^([a-z-]+)==", OUTSIDE.read_text(), flags=re.MULTILINE))


def test_an_issue_about_a_decision_asks_for_the_record() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    form = yaml_parse((folder / "wrong-decision.yml").read_text())
    needed = {each["id"] for each in form["body"] if each.get("validations", {}).get("required")}
    assert {"expected", "record", "version"} <= needed
    assert "lastgood audit show" in (folder / "wrong-decision.yml").read_text()


def test_the_deployment_asks_before_it_changes_anything_and_names_no_account() -> None:
    config: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    assert config["global"]["parameters"] == {"stack_name": "lastgood"}
    assert config["deploy"]["parameters"] == {
        "capabilities": "CAPABILITY_IAM",
        "confirm_changeset": True,
        "resolve_s3": True,
    }


def test_a_first_stack_only_observes_and_what_acts_names_its_groups() -> None:
    config: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = {
        name: dict(o.split("=", 1) for o in each["deploy"]["parameters"].get("parameter_overrides", ()))
        for name, each in config.items()
        if isinstance(each, dict)
    }
    assert overrides["observe"] == {"Mode": "observe"}
    assert overrides["prod"]["Mode"] != "observe"
    assert "*" not in overrides["prod"]["AllowedGroups"] + overrides["prod"]["ApplicationPattern"]


@pytest.mark.parametrize(
    ("given", "typed", "asked"),
    [
        # Whatever the stack has stays; a new one takes the template's defaults.
        ([], "\n\n", ["--no-confirm-changeset"]),
        ([], "approve\nops@example.com\n", ["Mode=approve", "NotificationEmail=ops@example.com"]),
        (["MODE=auto", "EMAIL=a@b.example"], "", ["Mode=auto", "NotificationEmail=a@b.example"]),
        (
            ["MODE=auto", "EMAIL=a@b.example", "OVERRIDES=AllowedGroups=shop/prod"],
            "",
            ["Mode=auto", "NotificationEmail=a@b.example", "AllowedGroups=shop/prod"],
        ),
    ],
)
def test_deploying_asks_two_questions_and_hands_the_answers_to_sam(
    given: list[str], typed: str, asked: list[str]
) -> None:
    """Without `sam build`, and with an echo in the place of sam."""
    command = ["make", "--silent", "--old-file=build", "--assume-old=build", "deploy", "SAM=printf '%s\\n'", *given]
    ran = subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert lines[-len(asked) :] == asked
    assert any(line.endswith("deploy") for line in lines)
    assert ("--parameter-overrides" in lines) == any("=" in each for each in asked)


def test_the_recipe_of_a_release_tags_it_with_its_section_of_the_changelog(tmp_path: Path) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    commands = re.findall(r"^\$ ((?:awk|git) .*)$", page.partition("\n## Release\n")[2], flags=re.MULTILINE)
    (push,) = (each for each in commands if each.startswith("git push"))
    assert push.split()[-1] == "v1.2.3"
    changelog = (ROOT / "CHANGELOG.md").read_text()
    released = changelog.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n", 1)
    (tmp_path / "CHANGELOG.md").write_text(f"{released}\n## [1.2.2] - 2026-10-01\n\n### Added\n\n- Older.\n")
    known = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    begin = ["git init -q", "git add .", f"git {' '.join(known)} commit -qm x", *commands]
    played = [each.replace("git tag", f"git {' '.join(known)} tag") for each in begin if each != push]
    subprocess.run(["bash", "-euc", "\n".join(played)], cwd=tmp_path, check=True, capture_output=True)
    told = ["git", "for-each-ref", "--format=%(contents)", "refs/tags/v1.2.3"]
    notes = subprocess.run(told, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "### Added" in notes and "`RollbackFunction`, a Lambda function" in notes
    assert "Older." not in notes and "## [" not in notes


def test_the_changelog_has_a_section_for_what_is_not_released() -> None:
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", section) for section in sections[1:])


# --- sizes ---

STORY = ("handler.py", "app.py", "rollbacks/__init__.py", "judgement/__init__.py")
"""What a newcomer reads first, in this order."""


def lines_of(path: Path) -> int:
    """The lines of a file, comments and blank ones too."""
    return len(path.read_text().splitlines())


def long_functions(source: str, most: int) -> list[str]:
    """The functions and methods of a module that have more lines than that, with their docstrings."""
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in found if (node.end_lineno or 0) - node.lineno + 1 > most]


def test_handler_application_story_and_decision_are_read_in_300_lines() -> None:
    assert sum(lines_of(FUNCTION / "lastgood" / name) for name in STORY) <= 300


@pytest.mark.parametrize("path", [*SHIPPED, *EVERY_TOOL], ids=name_of)
def test_no_module_is_longer_than_350_lines_and_no_function_than_40(path: Path) -> None:
    """What is longer has two subjects: find the seam, do not squeeze the lines."""
    assert lines_of(path) <= 350
    assert long_functions(path.read_text(), 40) == []


def test_a_long_function_would_be_seen_wherever_it_is() -> None:
    body = "\n".join("        pass" for _ in range(40))
    assert long_functions(f"class A:\n    def f(self):\n{body}\n", 40) == ["f"]
    assert long_functions(f"class A:\n    def f(self):\n{body}\n", 41) == []
