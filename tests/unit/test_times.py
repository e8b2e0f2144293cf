"""Times as the audit table has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from builders import ALARM_AT
from lastgood.times import iso, parse_iso


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (ALARM_AT, "2026-03-02T10:00:00.000Z"),
        (datetime(2026, 3, 2, 10, 0, 0, 999_999, UTC), "2026-03-02T10:00:00.999Z"),
        (datetime.fromisoformat("2026-03-02T12:00:00.5+02:00"), "2026-03-02T10:00:00.500Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds(moment, text):
    assert iso(moment) == text
    assert abs(parse_iso(text) - moment) < timedelta(milliseconds=1)
