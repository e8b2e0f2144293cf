"""Commands that people can paste into a shell: quoted, so that nothing in them can do anything else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any


def start_command(request: Mapping[str, Any], region: str) -> str:
    """`aws codepipeline start-pipeline-execution …`, for the same run from a terminal."""
    options = {"region": region, "name": request["name"], "client-request-token": request["clientRequestToken"]}
    options["source-revisions"] = json.dumps(request["sourceRevisions"])
    if request.get("variables"):
        options["variables"] = json.dumps(request["variables"])
    return _command("start-pipeline-execution", options)


def enable_command(pipeline: str, stage: str, region: str) -> str:
    """`aws codepipeline enable-stage-transition …`, for a stage's inbound transition."""
    options = {"pipeline-name": pipeline, "stage-name": stage, "transition-type": "Inbound"}
    return _command("enable-stage-transition", {"region": region, **options})


def _command(name: str, options: Mapping[str, str]) -> str:
    # `--name=value`: a value that begins with a dash is no option of its own.
    return " ".join(["aws", "codepipeline", name, *(f"--{key}={shlex.quote(value)}" for key, value in options.items())])
