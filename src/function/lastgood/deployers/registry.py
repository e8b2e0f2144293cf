"""ECR: whether an image that served is still there, and since when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError
from lastgood.model import Image

_REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<repository>[^:@]+)"
)
_GONE = {"ImageNotFoundException", "RepositoryNotFoundException"}


@dataclass(frozen=True, slots=True)
class Stored:
    """What ECR says about an image: whether it is there (None: unknown), and when it was pushed."""

    there: bool | None = None
    pushed_at: datetime | None = None


def gone(clients: Clients, images: Iterable[Image]) -> str:
    """A sentence if an image that served is no longer in its registry; empty where none is known to be gone."""
    missing = (i for i in images if stored(clients, i.reference, i.digest).there is False)
    image = next(missing, None)
    return lost(image) if image else ""


def lost(image: Image) -> str:
    """The sentence for an image that is gone."""
    return f"{image.reference} was {image.digest} then, which is no longer in the registry."


def stored(clients: Clients, reference: str, digest: str) -> Stored:
    """Look up an image by its digest in the repository that a reference names. Unknown where that may not be read."""
    detail = _described(clients, reference, {"imageDigest": digest})
    if detail is None:
        return Stored()
    pushed: datetime | None = detail.get("imagePushedAt")
    return Stored(bool(detail), pushed.astimezone(UTC) if pushed else None)


def means(clients: Clients, image: Image) -> str:
    """The digest that an image's tag means now; empty where that may not be read, or the tag is gone."""
    return str((_tagged(clients, image) or {}).get("imageDigest", ""))


def no_longer_means(clients: Clients, images: Iterable[Image]) -> str:
    """A sentence if a tag names another image than the one that was deployed, or none; empty where that is unknown.

    It does if its image was pushed after the deployment had ended. Asked only of tags whose digest nobody recorded.
    """
    for image in images:
        if image.digest or image.moves or image.deployed_at is None:
            continue
        detail = _tagged(clients, image)
        if detail == {}:
            return f"{image.reference} is no longer in the registry."
        pushed: datetime | None = (detail or {}).get("imagePushedAt")
        if pushed and pushed.astimezone(UTC) > image.deployed_at:
            return (
                f"{image.reference} was pushed again after it was deployed, so it names another image by now, and "
                "nothing records which one served."
            )
    return ""


def _tagged(clients: Clients, image: Image) -> Mapping[str, Any] | None:
    """What ECR says about the image that a tag names now; empty if there is none, None where that is unknown."""
    tag = image.reference.rpartition("/")[2].partition(":")[2]
    return _described(clients, image.reference, {"imageTag": tag or "latest"})


def _described(clients: Clients, reference: str, image_id: dict[str, str]) -> Mapping[str, Any] | None:
    """What ECR says about an image; empty if it is not there, None where that is unknown.

    Only registries of ECR in the function's own region are asked.
    """
    named = _REFERENCE.match(reference)
    if named is None or named["region"] != clients.ecr.meta.region_name:
        return None
    try:
        answer = call(
            clients.ecr,
            "describe_images",
            registryId=named["account"],
            repositoryName=named["repository"],
            imageIds=[image_id],
        )
    except RefusedError as error:
        return {} if error.code in _GONE else None
    return next(iter(answer.get("imageDetails") or ()), {})
