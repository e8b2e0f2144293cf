"""Whether an answer fits botocore's model of it: no unknown or missing member, no unknown value, every type right."""

from __future__ import annotations

from typing import Any

from botocore.model import Shape


def check(value: Any, shape: Shape, where: str) -> None:
    """Walk an answer along its shape."""
    if value is None:
        return
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)  # type: ignore[attr-defined]
        assert not unknown, f"{where}: unknown members {unknown}"
        missing = set(shape.required_members) - set(value)  # type: ignore[attr-defined]
        assert not missing, f"{where}: missing members {missing}"
        for name, member in value.items():
            check(member, shape.members[name], f"{where}.{name}")  # type: ignore[attr-defined]
    elif shape.type_name == "list":
        for index, member in enumerate(value):
            check(member, shape.member, f"{where}[{index}]")  # type: ignore[attr-defined]
    elif shape.type_name == "string":
        assert isinstance(value, str), where
        enum = getattr(shape, "enum", None)
        assert not enum or value in enum, f"{where}: {value} is not in {enum}"
    elif shape.type_name == "boolean":
        assert isinstance(value, bool), where
    elif shape.type_name in {"integer", "long"}:
        assert isinstance(value, int), where
