"""The bill of materials of what ships, as CycloneDX: each package with its version, licence and hashes.

Run as `python -m supply_chain.sbom docs/sbom.cdx.json`. It holds no time and no serial number: the same requirements
give the same bytes. boto3 is not in it, for Lambda's runtime brings it.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path
from typing import Any

from lastgood import __version__

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "src" / "function" / "requirements.txt"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def bill() -> dict[str, Any]:
    """The bill. Raises ValueError for a package whose metadata names no licence, or that is installed otherwise."""
    pinned = {found[1].lower(): found for found in _PINNED.finditer(REQUIREMENTS.read_text())}
    references = {name: f"pkg:pypi/{name}@{found[2]}" for name, found in pinned.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "lastgood",
                "name": "lastgood",
                "version": __version__,
                "licenses": [{"expression": "MIT-0"}],
            }
        },
        "components": [_component(references[name], found) for name, found in pinned.items()],
        "dependencies": [
            {"ref": "lastgood", "dependsOn": sorted(references.values())},
            *({"ref": references[name], "dependsOn": _needs(name, references)} for name in pinned),
        ],
    }


def _component(reference: str, found: re.Match[str]) -> dict[str, Any]:
    installed = distribution(found[1])
    if installed.version != found[2]:
        raise ValueError(f"{found[1]} is pinned at {found[2]}, and {installed.version} is installed")
    hashes = [{"alg": "SHA-256", "content": each} for each in _HASH.findall(found[3])]
    page = f"https://pypi.org/project/{found[1]}/{found[2]}/"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": found[1],
        "version": found[2],
        "purl": reference,
        "licenses": [{"expression": _licence(installed)}],
        "externalReferences": [{"type": "distribution", "url": page, "hashes": hashes}],
    }


def _licence(installed: Distribution) -> str:
    """The licence as SPDX writes it; older metadata has it in another field, in the same words for what ships here."""
    said = installed.metadata.get("License-Expression") or installed.metadata.get("License") or ""
    if not re.fullmatch(r"[A-Za-z0-9.+-]+", said):
        raise ValueError(f"{installed.metadata['Name']} names no licence: {said!r}")
    return said


def _needs(name: str, references: dict[str, str]) -> list[str]:
    """What a package needs of what ships; extras are not installed."""
    named = [_NAME.match(each) for each in requires(name) or [] if "extra ==" not in each]
    return sorted({references[found[0].lower()] for found in named if found and found[0].lower() in references})


def written() -> str:
    """The bill as it is written."""
    return json.dumps(bill(), indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written())
