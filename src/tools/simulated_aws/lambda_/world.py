"""Functions, their versions and aliases. Standard library only."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulated_aws.model import ServiceError


@dataclass
class LambdaVersion:
    """A published version. `state` and `last_update_status` as GetFunctionConfiguration tells them.

    `code` stands for the code; `configuration` is in AWS's spelling (`MemorySize`, `Environment`, `Layers` …).
    """

    number: str
    description: str = ""
    state: str = "Active"
    last_update_status: str = "Successful"
    code: str = ""
    configuration: dict[str, Any] = field(default_factory=dict)
    published_at: datetime | None = None

    @property
    def code_sha256(self) -> str:
        """`CodeSha256`: the same for the same code, whatever its number."""
        return base64.b64encode(hashlib.sha256(self.code.encode()).digest()).decode()

    @property
    def content(self) -> str:
        """What it really is: code and configuration together."""
        text = json.dumps([self.code, self.configuration], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Alias:
    """An alias: the version it points at and, while traffic is split, the weights of others."""

    name: str
    version: str
    revision_id: str
    weights: dict[str, float] = field(default_factory=dict)
    description: str = ""


@dataclass
class Function:
    """A function with its published versions and aliases."""

    name: str
    versions: dict[str, LambdaVersion] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    published_count: int = 0
    tags: dict[str, str] = field(default_factory=dict)


class LambdaWorld:
    """Every function that the simulator answers for."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.functions: dict[str, Function] = {}

    def create_function(self, name: str, versions: int = 0) -> Function:
        """A function with versions 1 to `versions`; one that exists is returned as it is."""
        function = self.functions.setdefault(name, Function(name))
        while function.published_count < versions:
            self.publish(name)
        return function

    def publish(
        self, name: str, description: str = "", code: str = "", at: datetime | None = None, **configuration: Any
    ) -> str:
        """Publish the next version and return its number. Without `code` its code is new."""
        function = self.function(name)
        function.published_count += 1
        number = str(function.published_count)
        function.versions[number] = LambdaVersion(
            number, description, code=code or f"{name} {number}", configuration=configuration, published_at=at
        )
        return number

    def delete_version(self, name: str, number: str) -> None:
        """What a version janitor does."""
        self.function(name).versions.pop(str(number), None)

    def create_alias(self, function: str, name: str, version: str) -> Alias:
        """Create an alias, or point the one that exists at `version`."""
        alias = Alias(name, str(version), self._revision_id())
        self.function(function).aliases[name] = alias
        return alias

    def function(self, name: str) -> Function:
        """A function by name. Raises ResourceNotFoundException."""
        if name not in self.functions:
            raise ServiceError("ResourceNotFoundException", f"Function not found: {name}", 404)
        return self.functions[name]

    def alias(self, function: str, name: str) -> Alias:
        """An alias by name. Raises ResourceNotFoundException."""
        aliases = self.function(function).aliases
        if name not in aliases:
            raise ServiceError("ResourceNotFoundException", f"Cannot find alias arn: {function}:{name}", 404)
        return aliases[name]

    def point(self, function: str, name: str, version: str, weights: dict[str, float] | None = None) -> Alias:
        """Move an alias. Every move gives it a new RevisionId, which is its optimistic lock."""
        alias = self.alias(function, name)
        alias.version, alias.weights, alias.revision_id = (
            str(version),
            dict(weights or {}),
            self._revision_id(),
        )
        return alias

    def _revision_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
