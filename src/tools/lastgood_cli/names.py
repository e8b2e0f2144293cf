"""A deployment group's name on the command line: `shop/prod`, `ecs:cluster/service`, or `pipeline:name/stage`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lastgood.model import CAPABILITIES, DeploymentGroup, controller_of, parse_prefixed
from lastgood.signals import name_problem
from lastgood_cli.completing import groups
from lastgood_cli.output import harmless


class GroupName(click.ParamType):
    """`shop/prod`, `ecs:cluster/service` or `pipeline:name/stage`. Whether there is one is for AWS to say."""

    name = "APPLICATION/DEPLOYMENT_GROUP"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DeploymentGroup:
        """A name → DeploymentGroup. CodeDeploy allows no slash in a name."""
        if isinstance(value, DeploymentGroup):
            return value
        try:
            return parse_group(str(value))
        except ValueError as error:
            self.fail(
                f"{harmless(value, 200)!r} must be APPLICATION/DEPLOYMENT_GROUP, as shop/prod{error}.", param, ctx
            )


def parse_group(text: str) -> DeploymentGroup:
    """The reverse of DeploymentGroup.key. Raises ValueError with the end of a sentence."""
    try:
        if (other := parse_prefixed(text)) is not None:
            return other
    except ValueError as error:
        raise ValueError(f"; a {CAPABILITIES[controller_of(text), None].called} {error}") from None
    names = text.split("/")
    problem = next((found for name in names if (found := name_problem(name))), "")
    if len(names) != 2 or problem:
        raise ValueError(f"; a name {problem}" if problem else "")
    return DeploymentGroup(names[0], names[1])


class Prefixed(click.ParamType):
    """What CodeDeploy does not deploy, without the prefix of its key: `cluster/service` or `pipeline/stage`."""

    def __init__(self, prefix: str, name: str, example: str) -> None:
        self.name = name
        self._prefix, self._example = prefix, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DeploymentGroup:
        """A name → DeploymentGroup."""
        if isinstance(value, DeploymentGroup):
            return value
        try:
            return parse_group(self._prefix + str(value))
        except ValueError as error:
            self.fail(f"{harmless(value, 200)!r} must be {self.name}, as {self._example}{error}.", param, ctx)


GROUP = GroupName()
SERVICE_NAME = Prefixed("ecs:", "CLUSTER/SERVICE", "production/web")
STAGE_NAME = Prefixed("pipeline:", "PIPELINE/STAGE", "shop/Production")


def group_names(group: DeploymentGroup) -> tuple[str, str]:
    """(application, deployment group)."""
    return group.application, group.deployment_group


def group_option[F: Callable[..., Any]](about: str) -> Callable[[F], F]:
    """The option `--group` of a command; `about` is its help."""
    return click.option("--group", "-g", type=GROUP, metavar="APPLICATION/GROUP", shell_complete=groups, help=about)
