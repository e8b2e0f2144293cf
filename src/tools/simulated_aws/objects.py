"""Bundles in S3, as far as a release looks at them. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """An object in S3 as far as CodeDeploy looks at it."""

    key: str
    version: str = ""
    etag: str = ""
    content: str | None = None


class Objects(Protocol):
    """Where bundles are."""

    def knows(self, bucket: str) -> bool:
        """Whether this store can say anything about the bucket."""
        ...

    def find(self, bucket: str, key: str, version: str) -> StoredObject | None:
        """The object, or None if it is gone. No version means the newest."""
        ...

    def add(self, bucket: str, key: str, content: str, at: datetime) -> None:
        """Upload an object at that time, unless one is there already."""
        ...


class RegisteredObjects:
    """Bundles that a test has named. A bucket nobody mentioned is not looked into."""

    def __init__(self) -> None:
        self._objects: dict[str, list[StoredObject]] = {}

    def put(self, bucket: str, key: str, version: str = "", etag: str = "", content: str | None = None) -> None:
        """Add an object; the last one put is the newest version."""
        self._objects.setdefault(bucket, []).append(StoredObject(key, version, etag, content))

    def add(self, bucket: str, key: str, content: str, at: datetime) -> None:
        """Upload an object, unless one is there already."""
        if self.find(bucket, key, "") is None:
            self.put(bucket, key, content=content)

    def delete(self, bucket: str, key: str) -> None:
        """Take every version of an object away."""
        self._objects[bucket] = [each for each in self._objects.get(bucket, []) if each.key != key]

    def knows(self, bucket: str) -> bool:
        """Whether a test has named the bucket."""
        return bucket in self._objects

    def find(self, bucket: str, key: str, version: str) -> StoredObject | None:
        """The object, or None if it is gone."""
        found = [each for each in self._objects.get(bucket, []) if each.key == key]
        found = [each for each in found if not version or each.version == version]
        return found[-1] if found else None
