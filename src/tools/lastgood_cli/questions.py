"""The questions that are asked before anything is touched, and how a case or a record answered them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lastgood.judgement.case import Case
from lastgood.judgement.guards import GUARDS, Guard
from lastgood.judgement.steps import Decision
from lastgood.model import Reason, Rollback

ROUTED = "Does it lead to a deployment group?"
ALLOWED = "May this deployment group be rolled back at all?"
ALONE = "Is no other rollback of the group open?"


class Verdict(StrEnum):
    """How one question was answered."""

    YES = "yes"
    NO = "no"
    NO_TOO = "no, too"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Answer:
    """One question that is asked before anything is touched, and its answer."""

    question: str
    verdict: Verdict
    reason: str = ""
    explanation: str = ""


def answers(case: Case) -> tuple[Answer, ...]:
    """Every guard's answer. The first that objects decides; those that would object too are told.

    Where the group is gone, or nobody can be blamed, the later questions have no subject and are not asked.
    """
    given: list[Answer] = []
    decided = False
    for guard in GUARDS:
        asked = not decided or (case.seen.group is not None and case.attribution.reason is None)
        decision = guard.check(case) if asked else None
        given.append(_answer(guard, decision, decided=decided, asked=asked))
        decided = decided or decision is not None
    return tuple(given)


def _answer(guard: Guard, decision: Decision | None, *, decided: bool, asked: bool) -> Answer:
    if decision is None:
        return Answer(guard.question, Verdict.YES if asked else Verdict.NOT_ASKED)
    verdict = Verdict.NO_TOO if decided else Verdict.NO
    return Answer(guard.question, verdict, str(decision.reason), decision.explanation)


def recorded(rollback: Rollback) -> tuple[Answer, ...]:
    """The questions as a rollback that happened answered them, from what its record holds.

    The record names the reason, not the question: where several questions share a reason, each of them is marked.
    """
    asked = (Answer(q, Verdict.YES) for q in (ROUTED, ALLOWED, ALONE))
    if rollback.reason_code in {Reason.UNROUTED_ALARM, Reason.NOT_ALLOWED}:
        failed = ROUTED if rollback.reason_code is Reason.UNROUTED_ALARM else ALLOWED
        return (Answer(failed, Verdict.NO, rollback.reason_code, rollback.explanation),)
    if began_to_act(rollback) or not rollback.reason_code:
        return (*asked, *(Answer(g.question, Verdict.YES) for g in GUARDS))
    objecting = [g for g in GUARDS if rollback.reason_code in g.reasons]
    if not objecting:
        return (*asked, *(Answer(g.question, Verdict.YES) for g in GUARDS))
    given: list[Answer] = []
    for guard in GUARDS[: GUARDS.index(objecting[-1]) + 1]:
        no = Answer(guard.question, Verdict.NO, rollback.reason_code, rollback.explanation)
        given.append(no if guard in objecting else Answer(guard.question, Verdict.YES))
    rest = GUARDS[GUARDS.index(objecting[-1]) + 1 :]
    return (*asked, *given, *(Answer(g.question, Verdict.NOT_ASKED) for g in rest))


def began_to_act(rollback: Rollback) -> bool:
    """True where something was stopped, adopted or deployed: then every question had been answered with yes."""
    return bool(
        rollback.progress.stop_requested_at
        or rollback.progress.create_attempted_at
        or rollback.progress.rollback_deployment_id
    )
