"""A deployment group's name on the command line: `shop/prod`."""

from __future__ import annotations

from typing import Any

import click

from lastgood.model import DeploymentGroup
from lastgood.signals import name_problem
from lastgood_cli.output import harmless


class GroupName(click.ParamType):
    """`shop/prod`: an application and its deployment group. Whether there is one of that name is for AWS to say."""

    name = "APPLICATION/DEPLOYMENT_GROUP"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DeploymentGroup:
        """`shop/prod` → DeploymentGroup. CodeDeploy allows no slash in a name."""
        if isinstance(value, DeploymentGroup):
            return value
        names = str(value).split("/")
        problem = next((found for name in names if (found := name_problem(name))), "")
        if len(names) != 2 or problem:
            why = f"; a name {problem}" if problem else ""
            self.fail(f"{harmless(value, 200)!r} must be APPLICATION/DEPLOYMENT_GROUP, as shop/prod{why}.", param, ctx)
        return DeploymentGroup(*names)


GROUP = GroupName()
