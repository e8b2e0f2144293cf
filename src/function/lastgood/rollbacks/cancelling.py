"""Cancelling the update of a stack: intent, one call with the rollback's id as its token, result."""

from __future__ import annotations

from lastgood.draft import Draft
from lastgood.errors import RefusedError, RetryableError
from lastgood.judgement.steps import CancelUpdate
from lastgood.ledger import Kind
from lastgood.model import Phase, Reason
from lastgood.parts import Parts
from lastgood.rollbacks.closing import LONGEST_EXPLANATION, Closing
from lastgood.text import clean


def cancel_update(parts: Parts, draft: Draft, closing: Closing, decision: CancelUpdate) -> None:
    """Ask for it. Asking twice does no harm: the token makes it one request, and the stack's state shows the result.

    A refusal for the stack's state is no end: it has gone on meanwhile, and is looked at again.
    """
    draft.note(Kind.INTENT, str(decision.action), decision.explanation)
    draft.change(phase=Phase.STOPPING, stack_cancel_requested_at=parts.clock())
    draft.save()
    try:
        parts.stacks.cancel(decision.stack, draft.rollback.rollback_id)
    except RefusedError as error:
        if error.code != "ValidationError":
            closing.refused(Reason.STOP_REFUSED, error)
            return
        told = f"CloudFormation does not cancel it any more: {error.message}"
    except RetryableError as error:
        told = f"No usable answer came: {error}"
    else:
        told = f"The update of {decision.stack} is being cancelled."
    draft.note(Kind.RESULT, str(decision.action), clean(told, LONGEST_EXPLANATION))
