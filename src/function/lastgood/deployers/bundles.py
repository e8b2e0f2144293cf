"""Objects in S3 that CodeDeploy deploys, identified by version or ETag, because a key may have been overwritten.

CodeDeploy records a version and an ETag only where the caller gave them, and fetches the newest object otherwise (API
reference, `S3Location`). So a bare key does not say what an old deployment deployed, unless S3 itself proves it: an
object that is older than the deployment has not been overwritten since, and a bucket with versions shows which one was
current then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpecError, OverwrittenError
from lastgood.errors import RefusedError
from lastgood.model import Deployment, Note, Revision

_APPSPEC_LIMIT = 1_000_000
_READ_WITHIN = timedelta(minutes=5)
_MOST_PAGES = 10
_GONE = {"404", "NoSuchKey", "NoSuchVersion", "NotFound", "NoSuchBucket"}
_DENIED = {"403", "AccessDenied", "Forbidden", "AllAccessDisabled"}
_HOW = "Release it with the object's version or ETag, or under a key of its own that the function may read"


def s3_revision(location: Mapping[str, Any]) -> Revision:
    """The bundle of a deployment; its content is unknown where neither version nor ETag was recorded."""
    moves = f"{s3_label(location)} was deployed without a version or ETag: its key may hold another bundle now. {_HOW}"
    moves = "" if _pinned(location) else moves
    return Revision("S3", s3_identity(location), s3_label(location), "", location, moves, _digest(location))


def as_deployed(clients: Clients, deployment: Deployment) -> tuple[Revision, str]:
    """The bundle that a deployment deployed, by version or ETag where S3 proves which; and why it is gone, if it is.

    One HeadObject; the versions of the key are listed only where the newest is younger than the deployment. Where S3
    may not be read, the content stays unknown, and the revision says so.
    """
    revision, where = deployment.revision, s3_label(deployment.revision.location)
    try:
        head = _newest(clients, revision)
        if not revision.moves:
            return _as_named(clients, revision, head)
        newest = _older(head, deployment.created_at)
        version = head if newest else _version_then(clients, deployment, bool(head))
    except RefusedError as error:
        if error.code not in _DENIED:
            return revision, ""
        moves = f"{where} may not be read, so nobody knows whether it still is what was deployed. {_HOW}"
        return replace(revision, moves=moves if revision.moves else ""), ""
    if version:
        return replace(_pinned_to(revision, version), rewritten=not newest), ""
    if not head:
        return revision, f"{where} is no longer in S3."
    moves = f"{where} was overwritten after {deployment.deployment_id} deployed it: its key holds what came later"
    return replace(revision, moves=f"{moves}. {_HOW}"), ""


def _as_named(clients: Clients, revision: Revision, head: Mapping[str, Any]) -> tuple[Revision, str]:
    """A bundle that was deployed by its version or ETag; and why it is gone, if it is.

    It keeps its name, by which it may be known bad. Overwritten or deleted, it may still be there as an older version.
    """
    where = s3_label(revision.location)
    problem = overwritten(revision.location, head, where) if head else f"{where} is no longer in S3."
    version = _with_etag(clients, revision.location) if problem else {}
    if not version:
        return revision, problem
    pinned = _pinned_to(revision, version)
    return replace(pinned, identity=revision.identity, deployed_again_as=pinned.identity, rewritten=True), ""


def _with_etag(clients: Clients, location: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest version of a key that has the ETag which was deployed; empty where none is known."""
    s3 = location.get("s3Location", {})
    wanted = "" if s3.get("version") else _bare(s3.get("eTag") or "")
    if not wanted:
        return {}
    try:
        versions = _versions(clients, s3_object(location))
    except RefusedError:
        return {}
    # What was there before the bucket kept versions has no id by which it could be deployed.
    named = (v for v in versions if v.get("VersionId", "null") != "null")
    return next((v for v in named if _bare(v.get("ETag", "")) == wanted), {})


def _newest(clients: Clients, revision: Revision) -> Mapping[str, Any]:
    """The object's head now, of the deployed version where one was recorded; empty if it is gone."""
    try:
        head: Mapping[str, Any] = call(clients.s3, "head_object", **s3_object(revision.location))
    except RefusedError as error:
        if error.code not in _GONE:
            raise
        return {}
    return head


def as_noted(clients: Clients, deployment: Deployment, note: Note) -> Revision:
    """What a deployment deployed, by the version in the notebook; unchanged where S3 contradicts the notebook.

    Where S3 shows which versions may have been current, the noted one must be among them; else it must exist, and not
    be younger than the deployment.
    """
    revision = deployment.revision
    bare, _, version = note.content.partition("?versionId=")
    if not version or bare != revision.identity:
        return revision
    try:
        head = call(clients.s3, "head_object", **s3_object(revision.location), VersionId=version)
    except RefusedError:
        return revision
    try:
        possible = {v.get("VersionId") for v in _possible_versions(clients, deployment)}
    except RefusedError:
        possible = {version}
    if version not in possible or not _older(head, deployment.completed_at or deployment.created_at):
        return revision
    return replace(_pinned_to(revision, {**head, "VersionId": version}), noted=True, rewritten=True)


def _pinned_to(revision: Revision, head: Mapping[str, Any]) -> Revision:
    """The revision with the version and the ETag of an object's head."""
    version = {"version": head["VersionId"]} if head.get("VersionId", "null") != "null" else {}
    s3 = {**revision.location["s3Location"], "eTag": _bare(head["ETag"]), **version}  # type: ignore[dict-item]
    location = {**revision.location, "s3Location": s3}
    return replace(revision, identity=s3_identity(location), location=location, moves="", digest=_digest(location))


def _pinned(location: Mapping[str, Any]) -> bool:
    s3 = location.get("s3Location", {})
    return bool(s3.get("version") or s3.get("eTag"))


def _older(head: Mapping[str, Any], made_at: datetime) -> bool:
    moment: datetime | None = head.get("LastModified")
    return moment is not None and moment.astimezone(UTC) <= made_at


def _version_then(clients: Clients, deployment: Deployment, there: bool) -> Mapping[str, Any]:
    """The version that was current when a deployment began, if none came while it ran; empty if that is unknown.

    A key that was deleted (not `there`) still has its versions, where the bucket keeps them.
    """
    if not there and not deployment.revision.moves:
        return {}
    try:
        possible = _possible_versions(clients, deployment)
    except RefusedError:
        if there:
            raise
        return {}
    only = possible[0] if len(possible) == 1 else {}
    return only if only and _older(only, deployment.created_at) else {}


def _possible_versions(clients: Clients, deployment: Deployment) -> list[Mapping[str, Any]]:
    """The versions that a deployment may have fetched: the one current when it began, and those that came while it ran.

    Each instance fetches the bundle when its turn comes.
    """
    versions = _versions(clients, s3_object(deployment.revision.location))
    older = [v for v in versions if _older(v, deployment.created_at)]
    ended = deployment.completed_at
    meanwhile = [v for v in versions if v not in older and (ended is None or _older(v, ended))]
    return [*sorted(older, key=lambda version: version["LastModified"])[-1:], *meanwhile]


def _versions(clients: Clients, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The versions of an object that its bucket keeps, newest first; of very many, the newest.

    S3 lists keys in alphabetical order, so the key itself comes before those that only begin with its name.
    """
    versions: list[dict[str, Any]] = []
    page: dict[str, Any] = {}
    for _ in range(_MOST_PAGES):
        asked = {"Bucket": wanted["Bucket"], "Prefix": wanted["Key"], **page}
        answer = call(clients.s3, "list_object_versions", **asked)
        listed = answer.get("Versions", [])
        versions += [dict(version) for version in listed if version.get("Key") == wanted["Key"]]
        if not answer.get("IsTruncated") or answer.get("NextKeyMarker") != wanted["Key"]:
            break
        page = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer.get("NextVersionIdMarker", "")}
    return versions


def s3_identity(location: Mapping[str, Any]) -> str:
    """`s3://bucket/key?versionId=…`, or `?etag=…`, or the bare object where neither was recorded."""
    s3 = location.get("s3Location", {})
    base = f"s3://{s3.get('bucket', '')}/{s3.get('key', '')}"
    if s3.get("version"):
        return f"{base}?versionId={s3['version']}"
    if s3.get("eTag"):
        return f"{base}?etag={_bare(s3['eTag'])}"
    return base


def s3_text(clients: Clients, location: Mapping[str, Any], made_at: datetime | None) -> str:
    """An AppSpec in S3, as a deployment of `made_at` read it.

    Raises OverwrittenError if its key holds another one by now, AppSpecError if it is gone or may not be read.
    """
    where, bare = s3_label(location), not _pinned(location)
    try:
        answer = call(clients.s3, "get_object", **s3_object(location))
    except RefusedError as error:
        if error.code in _GONE:
            then = _text_then(clients, location, made_at) if bare and made_at else _text_with_etag(clients, location)
            raise OverwrittenError(f"{where} is no longer in S3", then) from error
        raise AppSpecError(f"{where} may not be read ({error.code})") from error
    changed = overwritten(location, answer, where)
    if changed:
        raise OverwrittenError(changed, _text_with_etag(clients, location))
    if bare and made_at is not None and not _older(answer, made_at):
        later = f"{where} was written over later: its key holds what came after this deployment"
        raise OverwrittenError(later, _text_then(clients, location, made_at))
    return _text(answer)


def _text_with_etag(clients: Clients, location: Mapping[str, Any]) -> str:
    """The AppSpec with the ETag that was deployed, from an older version of its key; empty where none is known."""
    version = _with_etag(clients, location)
    if not version:
        return ""
    try:
        return _text(call(clients.s3, "get_object", **s3_object(location), VersionId=version["VersionId"]))
    except RefusedError:
        return ""


def _text_then(clients: Clients, location: Mapping[str, Any], made_at: datetime) -> str:
    """The AppSpec that was current when a deployment of `made_at` read it; empty if that is unknown.

    CodeDeploy reads it a moment after the deployment was created, so none may have come within minutes of that.
    """
    try:
        versions = _versions(clients, s3_object(location))
        until = [v for v in versions if _older(v, made_at + _READ_WITHIN)]
        newest = max(until, key=lambda version: version["LastModified"], default={})
        if not _older(newest, made_at):
            return ""
        return _text(call(clients.s3, "get_object", **s3_object(location), VersionId=newest["VersionId"]))
    except RefusedError:
        return ""


def _text(answer: Mapping[str, Any]) -> str:
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
    """A sentence if the object is not the one that was deployed, by its ETag; empty if it is, or that is unknown."""
    recorded, current = _bare(location.get("s3Location", {}).get("eTag") or ""), _bare(head.get("ETag", ""))
    if recorded and current and recorded != current:
        return f"{where} was overwritten since: its ETag is {current} and was {recorded}."
    return ""


def _digest(location: Mapping[str, Any]) -> str:
    """A digest by ETag: objects with the same ETag have the same content. Empty where none is known."""
    etag = _bare(location.get("s3Location", {}).get("eTag") or "")
    return f"etag:{etag}" if etag else ""


def _bare(etag: str) -> str:
    return etag.strip('"')
