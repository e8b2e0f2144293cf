"""The catalogue of reasons: complete, and what it advises can be done."""

from __future__ import annotations

import pytest

from lastgood.model import (
    OUTCOMES,
    REASONS,
    REJECTIONS,
    DeploymentGroup,
    Outcome,
    Reason,
    Rejection,
    calls_people,
    what_to_do,
)

CALLING = {reason for reason, meaning in REASONS.items() if any(calls_people(reason, end) for end in meaning.ends)}
SHOP = DeploymentGroup("shop", "prod")


def test_every_code_has_its_row() -> None:
    assert set(REASONS) == set(Reason)
    assert set(OUTCOMES) == set(Outcome)
    assert set(REJECTIONS) == set(Rejection)
    assert all(meaning.means.endswith(".") for meaning in REASONS.values())
    assert all(means.endswith(".") for means in REJECTIONS.values())


@pytest.mark.parametrize("reason", sorted(CALLING))
def test_people_who_are_called_are_told_what_to_do(reason: Reason) -> None:
    assert what_to_do(reason, SHOP).endswith(".")


def test_what_is_blocked_or_failed_always_calls_people_and_a_switch_that_people_set_does_not() -> None:
    for reason in Reason:
        assert calls_people(reason, Outcome.BLOCKED) and calls_people(reason, Outcome.FAILED)
    assert not calls_people(Reason.KILL_SWITCH, Outcome.SKIPPED)
    assert not calls_people(Reason.MODE_OFF, Outcome.SKIPPED)
    assert not calls_people(Reason.VERIFIED, Outcome.ROLLED_BACK)
    assert not calls_people(Reason.SUSPECT_ACTIVE, None)


def test_the_advice_names_the_group_and_its_deployer_or_a_placeholder_where_there_is_none() -> None:
    assert "lastgood resume shop/prod " in what_to_do(Reason.PAUSED, SHOP)
    assert "lastgood resume APPLICATION/GROUP " in what_to_do(Reason.PAUSED, None)
    assert "Release through CodeDeploy again" in what_to_do(Reason.LIVE_DIFFERS, SHOP)


def test_a_notice_has_a_title_of_its_own_with_its_subject_or_neither() -> None:
    own = [meaning for meaning in REASONS.values() if meaning.title or meaning.subject]
    assert own and all(meaning.title and meaning.subject.isascii() and meaning.subject for meaning in own)
