"""What every test needs: fake credentials, a region, and metrics that stay out of the output."""

from __future__ import annotations

import gc
import os

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


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end: the garbage collector need not go through it again."""
    gc.collect()
    gc.freeze()
