"""ECR's DescribeImages and BatchGetImage, for the images that were pushed or used here."""

from __future__ import annotations

from typing import Any

from simulated_aws.ecs.images import Images
from simulated_aws.model import ServiceError

Answer = dict[str, Any]


class RegistryApi:
    """Which digest a tag means, and whether a digest is still there. Errors as in the API reference of ECR."""

    def __init__(self, images: Images, account: str, region: str) -> None:
        self._images = images
        self._host = f"{account}.dkr.ecr.{region}.amazonaws.com"
        self._account = account

    def describe_images(self, given: dict[str, Any]) -> Answer:
        """DescribeImages: an image that is not there is an error."""
        details = []
        for asked in given.get("imageIds") or ():
            digest = self._digest(given["repositoryName"], asked)
            if not digest:
                message = f"The image with imageId {asked} does not exist within the repository."
                raise ServiceError("ImageNotFoundException", message)
            tagged = {"imageTags": [asked["imageTag"]]} if asked.get("imageTag") else {}
            pushed = self._images.pushed_at(digest)
            dated = {"imagePushedAt": pushed.timestamp()} if pushed else {}
            details.append({"registryId": self._account, "repositoryName": given["repositoryName"],
                            "imageDigest": digest, **tagged, **dated})  # fmt: skip
        return {"imageDetails": details}

    def batch_get_image(self, given: dict[str, Any]) -> Answer:
        """BatchGetImage: an image that is not there is a failure."""
        found, failures = [], []
        for asked in given.get("imageIds") or ():
            if digest := self._digest(given["repositoryName"], asked):
                named = {"imageDigest": digest} | {k: v for k, v in asked.items() if k == "imageTag"}
                found.append({"registryId": self._account, "repositoryName": given["repositoryName"],
                              "imageId": named, "imageManifest": "{}"})  # fmt: skip
            else:
                reason = "Requested image not found"
                failures.append({"imageId": asked, "failureCode": "ImageNotFound", "failureReason": reason})
        return {"images": found, "failures": failures}

    def _digest(self, repository: str, asked: dict[str, str]) -> str:
        if digest := asked.get("imageDigest"):
            return self._images.digest(f"{self._host}/{repository}@{digest}")
        return self._images.digest(f"{self._host}/{repository}:{asked.get('imageTag', 'latest')}")
