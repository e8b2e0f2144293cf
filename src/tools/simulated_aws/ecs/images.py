"""Container images: what each tag means at the moment, and what lies behind a digest. Standard library only.

ECS resolves a tag to a digest when it deploys ("Container image resolution", ECS developer guide); `ServiceRevision`
and `Container` of the API carry that digest. A tag can be moved meanwhile, a digest can be deleted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Image:
    """What lies behind a digest, and when it was pushed."""

    digest: str
    pushed_at: datetime | None = None


class Images:
    """Every repository. An image that nobody pushed is there all the same, and is told by its own name."""

    def __init__(self) -> None:
        self.tags: dict[str, Image] = {}
        self._deleted: set[str] = set()

    def push(self, image: str, content: str, at: datetime | None = None) -> str:
        """Move `repository:tag` to an image with this content. Returns the digest, the same for equal content."""
        self.tags[image] = Image(_digest(content), at)
        self._deleted.discard(self.tags[image].digest)
        return self.tags[image].digest

    def delete(self, image: str) -> None:
        """Take an image away, by tag or by digest: no task can be started with it any more."""
        self._deleted.add(self._named(image))

    def digest(self, image: str) -> str:
        """What an image's name means now; empty once it was deleted."""
        found = self._named(image)
        return "" if found in self._deleted else found

    def _named(self, image: str) -> str:
        repository, at, digest = image.partition("@")
        if at:
            return digest
        known = self.tags.get(image)
        return known.digest if known else _digest(repository)


def _digest(content: str) -> str:
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
