"""What happened, told again from the record: `explain`, `report`, and a plan while a rollback is open."""

from __future__ import annotations

import re
from pathlib import Path

from terminal import START, terminal


def test_what_happened_is_explained_and_reported_from_the_record(tmp_path: Path) -> None:
    with terminal() as it:
        it.sim.server_group("shop", "prod")
        it.sim.release("shop", "prod", "a.zip", settle=True)
        it.sim.advance(86_400)
        it.sim.release("shop", "prod", "b.zip", settle=True)
        it.sim.advance(300)
        rollback_id = it.alarm_fires()
        busy = it.call("-o", "json", "plan", "--group", "shop/prod").json[0]
        assert (busy["acts"], busy["reason"]) == (False, "ALREADY_OPEN") and rollback_id in busy["explanation"]
        it.minutes(5)
        explained = it.call("explain", rollback_id)
        assert explained.code == 0
        assert "ROLLED_BACK (VERIFIED)" in explained.out and "CHOSEN" in explained.out
        assert re.search(r"a\.zip\?etag=\w+… +its ETag +24 h, ", explained.out)
        out = tmp_path / "report.html"
        made = it.run("report", "--since", START.date().isoformat(), "--out", str(out))
        assert made.code == 0, made.err
        html = out.read_text()
        assert f'id="{rollback_id}"' in html
        assert re.search(r"s3://bundles/b\.zip\S* went back to s3://bundles/a\.zip", html)
