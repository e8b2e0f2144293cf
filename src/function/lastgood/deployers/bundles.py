"""Objects in S3 that CodeDeploy deploys: told apart by version or ETag, for a key may have been overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpecError
from lastgood.errors import RefusedError

_APPSPEC_LIMIT = 1_000_000


def s3_identity(location: Mapping[str, Any]) -> str:
    """`s3://bucket/key?versionId=…`, or `?etag=…`, or the bare object where neither was recorded."""
    s3 = location.get("s3Location", {})
    base = f"s3://{s3.get('bucket', '')}/{s3.get('key', '')}"
    if s3.get("version"):
        return f"{base}?versionId={s3['version']}"
    if s3.get("eTag"):
        return f"{base}?etag={_bare(s3['eTag'])}"
    return base


def s3_text(clients: Clients, location: Mapping[str, Any]) -> str:
    """An AppSpec that lies in S3. Raises AppSpecError if it is gone, overwritten or may not be read."""
    where = s3_label(location)
    try:
        answer = call(clients.s3, "get_object", **s3_object(location))
    except RefusedError as error:
        raise AppSpecError(f"{where} cannot be read: {error.code}") from error
    changed = overwritten(location, answer, where)
    if changed:
        raise AppSpecError(changed)
    return str(answer["Body"].read(_APPSPEC_LIMIT).decode("utf-8", "replace"))


def s3_label(location: Mapping[str, Any]) -> str:
    """`bucket/key`, for people."""
    s3 = location.get("s3Location", {})
    return f"{s3.get('bucket', '')}/{s3.get('key', '')}"


def s3_object(location: Mapping[str, Any]) -> dict[str, Any]:
    """The object as S3's calls name it, in the version that was deployed where one was recorded."""
    s3 = location.get("s3Location", {})
    wanted = {"Bucket": s3.get("bucket", ""), "Key": s3.get("key", "")}
    return {**wanted, "VersionId": s3["version"]} if s3.get("version") else wanted


def overwritten(location: Mapping[str, Any], head: Mapping[str, Any], where: str) -> str:
    """That the object is another one than was deployed, by its ETag; empty if it is not, or nobody can tell."""
    recorded, found = _bare(location.get("s3Location", {}).get("eTag") or ""), _bare(head.get("ETag", ""))
    if recorded and found and recorded != found:
        return f"{where} was overwritten since: its ETag is {found} and was {recorded}."
    return ""


def _bare(etag: str) -> str:
    return etag.strip('"')
