"""The notebook of releases: what each release of a group contained and when it served, written once when it has ended.

It helps where AWS forgets what a moving key or tag contained. Where the two contradict each other, AWS is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lastgood.ledger.controls import group_pk
from lastgood.ledger.dynamo import Table
from lastgood.model import DeploymentGroup, Image, Note
from lastgood.times import iso, parse_iso

RELEASE = "RELEASE#"
MOST_NOTES = 50
"""How many of the newest releases are read."""


class Notebook:
    """The notes of every group, in the group's own partition of the audit table."""

    def __init__(self, table: Table, retention: timedelta) -> None:
        self._table = table
        self._retention = retention

    def read(self, group: DeploymentGroup) -> list[Note]:
        """The newest notes of a group, newest first. What cannot be understood is left out."""
        rows = self._table.newest(group_pk(group), RELEASE, MOST_NOTES)
        return [note for row in rows if (note := _read(row)) is not None]

    def write(self, group: DeploymentGroup, note: Note, now: datetime) -> bool:
        """Note a release. False if it was noted before: the first note is kept."""
        item = {"pk": group_pk(group), "sk": _sk(note), "noted_at": iso(now), **_item(note)}
        item["expires_at"] = int((now + self._retention).timestamp())
        return self._table.transact([self._table.put(item, "attribute_not_exists(pk)")]) is None

    def ended(self, group: DeploymentGroup, note: Note, at: datetime, by: str) -> None:
        """Note once that another release took its place."""
        self._table.change(
            group_pk(group),
            _sk(note),
            "SET served_until = :at, replaced_by = :by",
            "attribute_exists(pk) AND attribute_not_exists(served_until)",
            {":at": iso(at), ":by": by},
        )


def _sk(note: Note) -> str:
    return f"{RELEASE}{iso(note.created_at)}#{note.deployment_id}"


def _item(note: Note) -> dict[str, Any]:
    images = [{"container": i.container, "image": i.reference, "digest": i.digest} for i in note.images]
    values = {
        "deployment_id": note.deployment_id,
        "created_at": iso(note.created_at),
        "revision": note.revision,
        "content": note.content,
        "images": images,
        "served_from": iso(note.served_from) if note.served_from else "",
        "served_until": iso(note.served_until) if note.served_until else "",
        "replaced": note.replaced,
        "replaced_by": note.replaced_by,
    }
    return {name: value for name, value in values.items() if value}


def _read(row: Mapping[str, Any]) -> Note | None:
    try:
        return Note(
            deployment_id=str(row["deployment_id"]),
            created_at=parse_iso(row["created_at"]),
            revision=str(row.get("revision", "")),
            content=str(row.get("content", "")),
            images=tuple(_image(image) for image in row.get("images", ())),
            served_from=parse_iso(row["served_from"]) if row.get("served_from") else None,
            served_until=parse_iso(row["served_until"]) if row.get("served_until") else None,
            replaced=str(row.get("replaced", "")),
            replaced_by=str(row.get("replaced_by", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _image(row: Mapping[str, Any]) -> Image:
    return Image(str(row["container"]), str(row.get("image", "")), str(row.get("digest", "")))
