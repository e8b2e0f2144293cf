"""What every test needs: fake credentials, a region, and metrics that stay out of the output."""

from __future__ import annotations

import gc
import os
import sys

os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_SESSION_TOKEN="testing",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_REGION="us-east-1",
    POWERTOOLS_METRICS_DISABLED="true",
    POWERTOOLS_LOG_LEVEL="CRITICAL",
)

from quick_moto import quicken

quicken()

# What was compiled is kept, also where a shell says otherwise: the tests start the command as a process many times, and
# pytest would rewrite every module's assertions anew in each run and in each of its processes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end: the garbage collector need not go through it again.

    What the tests make is mostly free without it: it looks for circles a thirtieth as often as it would.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
