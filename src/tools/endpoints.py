"""Cuts the function's endpoints out of botocore's: `make endpoints`. A test says when that is due."""

from __future__ import annotations

import json

from botocore.loaders import Loader

from lastgood.aws_data import OURS, cut


def text() -> str:
    """The file as it should be."""
    return json.dumps(cut(Loader().load_data("endpoints")), separators=(",", ":"), sort_keys=True) + "\n"


if __name__ == "__main__":
    OURS.write_text(text())
