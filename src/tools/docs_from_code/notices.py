"""The blocks of docs/notices.md: notices as they are sent, composed by the function's own code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from lastgood.model import ComputePlatform, DeploymentGroup, Outcome, Phase, Reason, Rollback, Trigger, TriggerKind
from lastgood.notice_text import Place, compose
from lastgood.notices import CLOSED, NEEDS_HUMAN, chat_message, email
from lastgood_cli.stack_template import StackTemplate

_OPENED = datetime(2026, 11, 23, 10, 4, 12, tzinfo=UTC)
_PLACE = Place(
    function="lastgood-RollbackFunction-1X", table="lastgood-AuditTable-1X", approval_expiry=timedelta(minutes=30)
).at("arn:aws:sns:eu-west-1:123456789012:lastgood-NotificationTopic")
_STACK = {"RollbackFunction": "FUNCTION", "AWS::Region": "REGION", "AWS::StackName": "lastgood"}
_WAITS = Rollback.opened(
    "rb-20261123T100412345Z-0123456789ab",
    DeploymentGroup("shop", "prod"),
    Trigger(TriggerKind.SNS, _OPENED, alarm_name="shop-prod-error-rate", alarm_changed_at=_OPENED),
    _OPENED,
).changed(
    phase=Phase.AWAITING_APPROVAL,
    reason_code=Reason.NEEDS_APPROVAL,
    explanation="The plan: stop d-BADBADBAD and put shop-41.zip back.",
    compute_platform=ComputePlatform.SERVER,
    suspect_deployment_id="d-BADBADBAD",
    suspect_revisions=("s3://bundles/shop-42.zip",),
    good_deployment_id="d-GOODGOOD1",
    good_revision="s3://bundles/shop-41.zip",
)
_DONE = _WAITS.changed(
    phase=Phase.CLOSED,
    outcome=Outcome.ROLLED_BACK,
    reason_code=Reason.VERIFIED,
    explanation="d-BACKBACK1 succeeded, and shop-41.zip is live.",
    rollback_deployment_id="d-BACKBACK1",
    alarm_recovered_at=_OPENED + timedelta(minutes=4),
    closed_at=_OPENED + timedelta(minutes=5),
)


def _mail(rollback: Rollback, kind: str) -> str:
    notice = compose(rollback, kind, _PLACE)
    return f"```text\nSubject: {notice.subject}\n\n{email(notice)}\n```"


def _chat() -> str:
    made = chat_message(_WAITS, compose(_WAITS, NEEDS_HUMAN, _PLACE))
    return f"```json\n{json.dumps(made, indent=2, ensure_ascii=False)}\n```"


def _buttons() -> str:
    """The custom actions of the template: where each hangs, and its command."""
    with patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}):
        made = StackTemplate({"ChatButtons": "true"}, _STACK).resources()
    rows = ["| button | on notices | command |", "|---|---|---|"]
    for action in (each["Properties"] for each in made.values() if each["Type"] == "AWS::Chatbot::CustomAction"):
        (attached,) = action["Attachments"]
        where = ", ".join(
            f"`{attached['Variables'][each['VariableName']].rpartition('.')[2]}`"
            + (f" is `{each['Value']}`" if each["Operator"] == "EQUALS" else " is there")
            for each in attached["Criteria"]
        )
        rows.append(f"| {attached['ButtonText']} | {where} | `{action['Definition']['CommandText']}` |")
    return "\n".join(rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "mail-approval": lambda: _mail(_WAITS, NEEDS_HUMAN),
    "mail-end": lambda: _mail(_DONE, CLOSED),
    "chat": _chat,
    "chat-buttons": _buttons,
}
