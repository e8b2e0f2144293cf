"""What the catalogue of reasons advises can be typed."""

from __future__ import annotations

import re

import pytest

from lastgood.model import DeploymentGroup, Reason, what_to_do
from typing_it import can_be_typed

SHOP = DeploymentGroup("shop", "prod")


@pytest.mark.parametrize("reason", sorted(Reason))
def test_the_commands_of_the_catalogue_can_be_typed(reason: Reason) -> None:
    said = what_to_do(reason, SHOP)
    assert "{" not in said and said.count("`") % 2 == 0
    for command in re.findall(r"`(lastgood [^`]+)`", said):
        can_be_typed(command)
