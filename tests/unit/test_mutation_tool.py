"""What the mutation run sees of a module: properties are mutated like other methods, and are still properties."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from mutation import undecorated

MODULE = """from functools import cached_property


class Deployment:
    status = "Failed"

    @property
    def ended_badly(self):
        return self.status == "Failed"

    @cached_property
    def name(self):
        return "d-1"

    @classmethod
    def of(cls, status):
        found = cls()
        found.status = status
        return found
"""


def test_a_property_has_no_decorator_and_works_as_before() -> None:
    rewritten = undecorated(MODULE)
    assert "@property" not in rewritten and "@cached_property" not in rewritten
    assert "@classmethod" in rewritten, "mutmut knows these"
    made: dict[str, Any] = {}
    exec(rewritten, made)
    deployment = made["Deployment"]
    assert (deployment.of("Failed").ended_badly, deployment.of("Succeeded").ended_badly) == (True, False)
    assert isinstance(vars(deployment)["ended_badly"], property)
    assert isinstance(vars(deployment)["name"], cached_property) and deployment().name == "d-1"


def test_what_has_no_properties_is_left_as_it_is() -> None:
    assert undecorated("def plain():\n    return 1\n") == "def plain():\n    return 1\n"
