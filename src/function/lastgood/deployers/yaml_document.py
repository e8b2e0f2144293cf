"""The one document of a YAML text, between its markers and behind its directives."""

from __future__ import annotations

import re

from lastgood.deployers.yaml_text import YamlError

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIRECTIVE = re.compile(r"%YAML 1\.[0-9]+ *(?: #.*)?")
_MARKER = re.compile(r"(---|\.\.\.)(?= *(?: #.*| \{.*)?$)")
_BLANK = re.compile(r"(?: *(?:#[^\n]*)?(?:\n|$))+")


def one_document(text: str) -> str:
    """The text between its document markers. Raises YamlError unless there is exactly one document."""
    if _UNPRINTABLE.search(text):
        raise YamlError("it holds a character that no AppSpec needs")
    documents, lines, may_direct, begun = list[str](), list[str](), True, False
    for line in [*text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"), "..."]:
        marker = _MARKER.match(line)
        if marker is None and line.startswith(("---", "...")):
            raise YamlError("a marker of documents is written in a way that is not read")
        if marker is None and not (may_direct and _DIRECTIVE.fullmatch(line)):
            lines.append(line)
            may_direct = may_direct and _BLANK.fullmatch(line + "\n") is not None
        elif marker:
            document = "\n".join([*lines, ""])
            # Behind --- there is a document even if nothing is in it.
            documents += [document] if begun or not _BLANK.fullmatch(document) else []
            lines, may_direct, begun = [" " * 3 + line[3:]], marker[1] == "...", marker[1] == "---"
    if len(documents) != 1 or _BLANK.fullmatch(documents[0]):
        raise YamlError(f"it holds {len(documents)} documents, not one with something in it")
    return documents[0]
