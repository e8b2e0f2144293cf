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
        self._built: set[str] = set()
        self._pushed: dict[str, datetime] = {}

    def push(self, image: str, content: str, at: datetime | None = None) -> str:
        """Move `repository:tag` to an image with this content. Returns the digest, the same for equal content."""
        self.tags[image] = self._pushed_now(_digest(content), at)
        self._deleted.discard(self.tags[image].digest)
        self._built.discard(image)
        return self.tags[image].digest

    def build(self, image: str, at: datetime) -> None:
        """What a pipeline does before it deploys a name that is the same for every release: push a new image to it.

        A tag with a digit in it names one release, and a tag that somebody pushed by hand stays as it is.
        """
        tag = image.rpartition("/")[2].partition(":")[2]
        moves = "@" not in image and not any(letter.isdigit() for letter in tag)
        if moves and (image in self._built or image not in self.tags):
            self._built.add(image)
            self.tags[image] = self._pushed_now(_digest(f"{image}, as built at {at.isoformat()}"), at)

    def pushed_at(self, digest: str) -> datetime | None:
        """When an image first came; None if nobody pushed it."""
        return self._pushed.get(digest)

    def _pushed_now(self, digest: str, at: datetime | None) -> Image:
        if at is not None:
            self._pushed.setdefault(digest, at)
        return Image(digest, at)

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
