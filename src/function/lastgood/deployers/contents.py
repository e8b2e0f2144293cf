"""The text of an application's AppSpecs: inline, in S3, or registered with CodeDeploy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpecError, OverwrittenError
from lastgood.deployers.bundles import s3_text
from lastgood.errors import RefusedError


class AppSpecText(Protocol):
    """Reads the text of an AppSpec."""

    def __call__(self, location: Mapping[str, Any], made_at: datetime | None = None) -> str: ...


def read_appspec(
    content: AppSpecText, location: Mapping[str, Any], made_at: datetime
) -> tuple[Mapping[str, Any], bool]:
    """The location of the AppSpec that a deployment of `made_at` read, and whether its key holds another one by now.

    Raises AppSpecError if it cannot be read.
    """
    try:
        return inline(location, content(location, made_at)), False
    except OverwrittenError as error:
        if not error.then:
            raise
        return inline(location, error.then), True


def inline(location: Mapping[str, Any], text: str) -> Mapping[str, Any]:
    """A location in S3 replaced by the text read from it, because the key may be overwritten; others are unchanged."""
    if location.get("revisionType") != "S3":
        return location
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}}


@dataclass(frozen=True, slots=True)
class Contents:
    """Reads AppSpecs of one application. `known` caches them by application and hash, which never changes its text."""

    clients: Clients
    application: str
    known: dict[tuple[str, str], str]

    def text(self, location: Mapping[str, Any], made_at: datetime | None = None) -> str:
        """The text of an AppSpec, as a deployment of `made_at` read it. Raises AppSpecError if it cannot be read."""
        if location.get("revisionType") == "S3":
            return s3_text(self.clients, location, made_at)
        inline = location.get("appSpecContent") or location.get("string") or {}
        if inline.get("content"):
            return str(inline["content"])
        key = (self.application, inline.get("sha256", ""))
        if key not in self.known:
            self.known[key] = self._registered(location)
        return self.known[key]

    def _registered(self, location: Mapping[str, Any]) -> str:
        kind = location.get("revisionType", "")
        part = {"AppSpecContent": "appSpecContent", "String": "string"}.get(kind)
        if part is None or not (location.get(part) or {}).get("sha256"):
            raise AppSpecError(f"a revision of type {kind or 'unknown'} holds no AppSpec that can be read")
        try:
            answer = call(
                self.clients.codedeploy,
                "get_application_revision",
                applicationName=self.application,
                revision={"revisionType": kind, part: {"sha256": location[part]["sha256"]}},
            )
        except RefusedError as error:
            if error.permission_denied:
                raise
            raise AppSpecError(f"CodeDeploy no longer has the AppSpec: {error.code}") from error
        content = (answer["revision"].get(part) or {}).get("content")
        if not content:
            raise AppSpecError("CodeDeploy returned the AppSpec without its content")
        return str(content)
