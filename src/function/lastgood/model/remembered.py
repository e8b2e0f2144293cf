"""The content of a revision as text, by which it is recognised later under whatever name it has then."""

from __future__ import annotations

import json

from lastgood.model.deployments import Image, Revision, same_content


def remembered(revision: Revision) -> str:
    """What AWS recorded of the content, as JSON; empty where there is nothing that could be compared."""
    if not revision.digest:
        return ""
    images = [[image.container, image.reference, image.digest] for image in revision.images]
    kept = {"digest": revision.digest, "other_parts": revision.other_parts, "images": images}
    return json.dumps(kept, sort_keys=True)


def is_remembered(text: str, revision: Revision) -> bool:
    """Whether a revision certainly has this content. A text that somebody else wrote matches nothing."""
    if not text or not revision.digest:
        return False
    try:
        kept = json.loads(text)
        images = tuple(Image(str(name), str(reference), str(digest)) for name, reference, digest in kept["images"])
        was = Revision("", "", digest=str(kept["digest"]), other_parts=str(kept["other_parts"]), images=images)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return bool(same_content(was, revision))
