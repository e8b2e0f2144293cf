"""Whether what ships is current: exit code 1, with the lines of pip's list, where a newer version is out.

Run as `python -m supply_chain.outdated`. What only development uses is listed too, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys

from supply_chain.sbom import bill


def outdated() -> list[dict[str, str]]:
    """Every installed package of which the index has a newer version, as pip tells it."""
    command = [sys.executable, "-m", "pip", "list", "--outdated", "--format=json", "--disable-pip-version-check"]
    found: list[dict[str, str]] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def report(found: list[dict[str, str]], shipped: set[str]) -> tuple[str, int]:
    """What to print, and the exit code."""
    lines = [
        f"{each['name']} {each['version']} -> {each['latest_version']}"
        + (" (ships)" if each["name"].lower() in shipped else "")
        for each in sorted(found, key=lambda each: each["name"].lower())
    ]
    ships = any(line.endswith("(ships)") for line in lines)
    return "\n".join(lines or ["Everything is current."]), int(ships)


if __name__ == "__main__":
    text, code = report(outdated(), {part["name"].lower() for part in bill()["components"]})
    print(text)
    sys.exit(code)
