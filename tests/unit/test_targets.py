"""How far a deployment came, by its targets: what was not looked at may have come further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from builders import release
from lastgood.deployers.targets import reach
from lastgood.model import Reach

BEGAN = datetime(2026, 3, 2, 10, tzinfo=UTC)


def fleet(*served_at: datetime | None, page: int = 100) -> Any:
    """CodeDeploy's answers about instances, each with the time when users were sent to it; None: not so far."""

    def described(targetIds: list[str], **_: Any) -> dict[str, Any]:
        events = [{"status": "Succeeded", "startTime": at} if at else {"status": "Pending"} for at in served_at]
        assert len(targetIds) <= 25
        return {
            "deploymentTargets": [
                {"instanceTarget": {"lifecycleEvents": [{"lifecycleEventName": "AllowTraffic", **events[int(name)]}]}}
                for name in targetIds
            ]
        }

    ids = [str(number) for number in range(len(served_at))]
    more = {"nextToken": "more"} if len(ids) > page else {}
    listed = {"targetIds": ids[:page], **more}
    return SimpleNamespace(list_deployment_targets=lambda **_: listed, batch_get_deployment_targets=described)


def test_users_were_served_from_the_first_instance_on() -> None:
    client = fleet(None, BEGAN + timedelta(minutes=5), BEGAN)
    assert reach(client, release("d-1", status="InProgress"), moves_traffic=True) == Reach(BEGAN)


def test_where_no_instance_has_come_so_far_no_user_was_served() -> None:
    assert reach(fleet(*[None] * 25), release("d-1", status="Stopped"), moves_traffic=True) == Reach()


@pytest.mark.parametrize("page", [100, 25])
@pytest.mark.parametrize("first", [[None] * 25, [BEGAN + timedelta(minutes=9)] * 25])
def test_of_a_fleet_that_is_too_large_to_describe_it_is_unknown_what_the_rest_serves(
    first: list[datetime | None], page: int
) -> None:
    """The 26th instance served users before all others: nothing of this release is cleared or taken for unseen."""
    client = fleet(*first, BEGAN, page=page)
    assert reach(client, release("d-1", status="Stopped"), moves_traffic=True) is None
