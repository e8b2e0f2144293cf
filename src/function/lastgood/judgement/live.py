"""Whether what is live is what the history says."""

from __future__ import annotations

from lastgood.judgement.case import Case
from lastgood.judgement.proof import is_live
from lastgood.judgement.steps import Decision
from lastgood.judgement.wording import name
from lastgood.model import Reason, same_content


def live_as_expected(case: Case) -> Decision | None:
    """What is live may differ from the history, because people change aliases by hand."""
    suspect, good, live = case.attribution.suspect, case.selection.good, case.seen.live
    if suspect is None or suspect.active or good is None or not live.identity or live.split or case.attribution.adopt:
        return None
    if live.identity == good.revision.identity and is_live(good.revision, live, case.attribution.suspects):
        return case.refuse(Reason.ALREADY_LIVE, f"{name(good)} is already live; there is nothing to redeploy.")
    if suspect.status == "Succeeded" and live.identity not in _names_of_the_suspects(case):
        return case.block(
            Reason.LIVE_DIFFERS,
            f"Live is {live.identity}, which is neither the suspect nor the last good revision: somebody changed it "
            f"outside {case.rollback.group.deployer}.",
        )
    return None


def _names_of_the_suspects(case: Case) -> set[str]:
    """The identities under which the suspects' content was deployed, by them or by any other deployment."""
    suspects = [s.revision for s in case.attribution.suspects]
    again = (d.revision for d in case.seen.history if any(same_content(d.revision, s) for s in suspects))
    return {revision.identity for revision in (*suspects, *again)}
