"""Plays every world and writes the pages: `python -m benchmarks.recovery [ours|others|page]`.

`ours` plays lastgood's worlds alone, for when nothing but lastgood has changed, `others` all the rest; `page` nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks import page as speed
from benchmarks.recovery import page
from benchmarks.recovery.actors import ACTORS
from benchmarks.recovery.judge import play, worlds
from benchmarks.recovery.table import OURS, actors_table
from stage.local import ROOT

DOCS = ROOT / "docs"
PAGE = DOCS / "recovery.md"


def prepare() -> None:
    """What the tests' conftest does, for a process of its own."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_REGION="us-east-1",
        POWERTOOLS_METRICS_DISABLED="true",
        POWERTOOLS_LOG_LEVEL="CRITICAL",
    )
    from quick_moto import quicken

    quicken()


def played(world: tuple[str, str, str]) -> dict[str, Any]:
    """One world as a row. What an actor says is kept where lastgood has something to learn from it."""
    with contextlib.redirect_stdout(io.StringIO()):
        row = play(*world).as_row()
    keep = row["actor"] in OURS and (row["wrong"] or not row["right"])
    return row if keep else {**row, "said": []}


def _main(what: str) -> None:
    if what != "page":
        actors = {"ours": OURS, "others": tuple(key for key in ACTORS if key not in OURS)}
        again = list(worlds(actors.get(what, tuple(ACTORS))))
        with ProcessPoolExecutor(os.cpu_count(), initializer=prepare) as pool:
            found = dict(zip(again, pool.map(played, again, chunksize=4), strict=True))
        before = {} if what == "all" else {(row["scenario"], row["place"], row["actor"]): row for row in page.kept()}
        rows = [found[world] if world in found else before[world] for world in worlds()]
        page.KEPT.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    PAGE.write_text(page.render(page.kept()))
    # The page of speed begins with the same table.
    measured = json.loads((DOCS / "performance.json").read_text())
    (DOCS / "performance.md").write_text(speed.render(measured))
    print(actors_table(page.kept()))


if __name__ == "__main__":
    _main(sys.argv[1] if sys.argv[1:] else "all")
