"""What follows a rollback for the pipeline that released its suspect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FollowUp(StrEnum):
    """What is done for the pipeline beside a rollback. None of it can delay or fail the rollback itself.

    RELEASE lets a stage that was held go on.
    """

    HOLD = "HOLD"
    FIND_COMMITS = "FIND_COMMITS"
    RERUN = "RERUN"
    WATCH_RERUN = "WATCH_RERUN"
    RELEASE = "RELEASE"
    BRING_OTHERS = "BRING_OTHERS"

    @property
    def prompt(self) -> bool:
        """True for what is done at once and reported in the closing notice; the others take hours or days."""
        return self in {FollowUp.HOLD, FollowUp.FIND_COMMITS, FollowUp.RERUN, FollowUp.BRING_OTHERS}


@dataclass(frozen=True, slots=True)
class Trail:
    """The pipeline's rule as it was when the rollback was opened, the commits, and what was done for the pipeline."""

    looks_for_commits: bool = False
    pipeline: str = ""
    after_rollback: str = ""
    hold_stage: str = ""
    suspect_commit: str = ""
    good_commit: str = ""
    compare_url: str = ""
    suspect_execution_id: str = ""
    good_execution_id: str = ""
    rerun_request: str = ""
    rerun_command: str = ""
    rerun_execution_id: str = ""
    rerun_status: str = ""
    held_at: datetime | None = None
    release_requested_by: str = ""
    released_at: datetime | None = None
    others_of_release: str = ""
    follower_ids: tuple[str, ...] = ()
    pipeline_problem: str = ""
    pipeline_alert: str = ""
    followed_up: tuple[str, ...] = ()
    follow_up_attempts: int = 0
    follow_up_at: datetime | None = None

    @property
    def revert_command(self) -> str:
        """The slower, clearer way back; empty where the suspect's commit is not known."""
        return f"git revert {self.suspect_commit}" if self.suspect_commit else ""
