"""What holds for every history, every control and every policy, not only for the examples."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import (
    ALARM_AT,
    NOW,
    ROLLBACK_ID,
    alarm,
    at,
    by_operator,
    group,
    newest_first,
    our_rollback,
    past,
    release,
    rollback,
)
from lastgood.judgement import decide
from lastgood.judgement.choice import effective_floor, select
from lastgood.judgement.onset import onset_attributes, onset_of
from lastgood.judgement.steps import Action, Close, Decision, outcome_of
from lastgood.model import (
    REASONS,
    AlarmState,
    ComputePlatform,
    Controls,
    Deployment,
    Floor,
    Gone,
    LeftOut,
    Live,
    Mode,
    Observation,
    Onset,
    Outcome,
    Pause,
    Phase,
    Policy,
    Reason,
    Rollback,
    SplitAlias,
    StopWithoutTarget,
    Unregistered,
)

CALM = settings(
    derandomize=True,
    max_examples=int(os.environ.get("LASTGOOD_EXAMPLES", "120")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
ACTING = {Action.STOP, Action.CREATE, Action.CLEAR_ALIAS, Action.REGISTER_TASK_DEFINITION}
# Hypothesis prefers the ends of a range, so what is to be rare stands in a list.
RARELY = st.sampled_from([False] * 11 + [True])
IDENTITIES = st.sampled_from(["v1", "v2", "v3", "v4", "v5", "v6", ""])
STATUSES = st.sampled_from(["Succeeded"] * 6 + ["Failed", "Stopped", "InProgress", "Ready", "SomethingNew"])
CREATORS = st.sampled_from(
    ["user"] * 8 + ["codeDeployRollback"] * 2 + ["autoscaling", "CodeDeployAutoUpdate", "CloudFormation", "CodeDeploy"]
)
MAKERS = st.sampled_from(["", "", "", "", "", "", "rb-before", ROLLBACK_ID, ""])


@st.composite
def histories(draw: st.DrawFn) -> tuple[Deployment, ...]:
    """Up to eight deployments, newest first, some newer than the alarm; only the newest may still be active."""
    count = draw(st.sampled_from([0, 1, 2, 3, 3, 4, 4, 5, 6, 8]))
    times = sorted(draw(st.sets(st.integers(-100, 0), min_size=count, max_size=count)))
    if times and draw(st.sampled_from([False] * 9 + [True])):
        times[-1] = 1
    deployments = []
    for number, minute in enumerate(times, start=1):
        status = draw(STATUSES)
        if number < len(times) and status not in {"Succeeded", "Failed", "Stopped"}:
            status = "Stopped"
        undone = status in {"Failed", "Stopped"} and number < len(times) and draw(st.booleans())
        made = release(
            f"d-{number}",
            draw(IDENTITIES),
            minute,
            took=draw(st.sampled_from([0.1, 0.5, 0.9])),
            status=status,
            creator=draw(CREATORS),
            made_by=draw(MAKERS),
            restart=draw(RARELY),
            outdated_instances_only=draw(RARELY),
            floor=draw(RARELY),
            needs_approval=draw(RARELY),
            rollback_deployment_id=f"d-{number + 1}" if undone else "",
            rolls_back_deployment_id=f"d-{number - 1}" if draw(st.booleans()) else "",
        )
        deployments.append(made)
    return newest_first(*deployments)


controls = st.builds(
    Controls,
    pause_all=st.sampled_from([None] * 14 + [Pause("x", "bob"), Pause("x", "bob", at(-5))]),
    pause_group=st.sampled_from([None] * 14 + [Pause("x", "bob"), Pause("x", "bob", at(60))]),
    floor=st.sampled_from([None] * 5 + [Floor("d-x", at(minute)) for minute in (-140, -100, -50, 0)]),
    cleared_floors=st.frozensets(st.sampled_from([f"d-{n}" for n in range(1, 9)]), max_size=3),
    known_bad=st.dictionaries(st.sampled_from(["v1", "v2", "v3"]), st.just("it was bad"), max_size=2),
    marked_good=st.frozensets(st.sampled_from(["v1", "v4"]), max_size=1),
    past=st.lists(st.integers(-4000, 0).map(past), max_size=2).map(tuple),
    groups_in_alarm=st.frozensets(st.sampled_from("abcdefgh"), max_size=4),
)
policies = st.builds(
    Policy,
    mode=st.sampled_from([Mode.AUTO] * 4 + list(Mode)),
    kill_switch=st.sampled_from([False] * 14 + [True]),
    attribution_window=st.sampled_from([timedelta(minutes=20), timedelta(hours=2), timedelta(hours=9)]),
    evaluation_window=st.sampled_from([timedelta(0), timedelta(minutes=5), timedelta(minutes=40)]),
    require_still_in_alarm=st.booleans(),
    max_rollbacks=st.integers(0, 3),
    storm_groups=st.integers(0, 8),
    stop_without_target=st.sampled_from(list(StopWithoutTarget)),
    native_rollback=st.booleans(),
)
live = st.builds(Live, st.sampled_from(["", "", "", "v1", "v2", "v77"]), st.booleans())
UNUSABLE = st.dictionaries(st.sampled_from(["d-1", "d-2", "d-3"]), st.just("it is gone"), max_size=2)


ONSETS = tuple(Onset(at(-minute), timedelta(minutes=1), measured=True) for minute in (0, 5, 30, 70))


@st.composite
def surveys(draw: st.DrawFn) -> Observation:
    """What is seen before anything is decided."""
    history = draw(histories())
    facts = group(
        draw(st.sampled_from(list(ComputePlatform))),
        blue_green=draw(st.booleans()),
        last_successful_id=next((d.deployment_id for d in history if d.status == "Succeeded"), ""),
    )
    state = draw(st.sampled_from([AlarmState.ALARM] * 14 + list(AlarmState)))
    measured = [replace(alarm(state), onset=onset) for onset in ONSETS]
    return Observation(
        group=draw(st.sampled_from([facts] * 18 + [None])),
        alarm=draw(st.sampled_from([*[alarm(state)] * 18, alarm(state, -90), None, *measured])),
        alarm_read=True,
        history=history,
        live=draw(live),
        controls=draw(controls),
        unusable=draw(UNUSABLE),
    )


@st.composite
def questions(draw: st.DrawFn) -> Rollback:
    """A rollback that was just opened, by an alarm or by a person."""
    common: dict[str, Any] = {"dry_run": draw(RARELY)}
    if draw(st.sampled_from([True, True, False])):
        told = draw(st.sampled_from([None, None, None, *ONSETS]))
        return rollback(**common, **onset_attributes(told), evaluation_seconds=draw(st.sampled_from([0, 60, 600])))
    pinned = draw(st.sampled_from(["", "", "d-1", "d-2", "d-none"]))
    return by_operator(**common, force=draw(st.booleans()), to_deployment_id=pinned)


PREPARATIONS = (Gone("gone"), SplitAlias(), Unregistered("task:6"), LeftOut("Its hook is left out."))


@st.composite
def under_way(draw: st.DrawFn) -> tuple[Rollback, Observation]:
    """A rollback in any later phase, and whatever may be seen then."""
    history = draw(histories().filter(lambda found: len(found) >= 2))
    suspect, good = history[0], release("d-0", draw(st.sampled_from(["v1", "v4"])), -300)
    phase = draw(st.sampled_from([p for p in Phase if p is not Phase.CLAIMED]))
    # Only a stop may be under way with nothing to put back.
    target = phase is not Phase.STOPPING or draw(st.booleans())
    times = st.none() | st.integers(-130, 1).map(at)
    one = st.none() | st.sampled_from(history)
    record = rollback(
        phase,
        opened_at=at(draw(st.sampled_from([0, 1, -200]))),
        reason_code=Reason.SUSPECT_ACTIVE,
        explanation="It began.",
        suspect_deployment_id=draw(st.sampled_from([suspect.deployment_id, ""])),
        suspect_revision=suspect.revision.identity,
        good_deployment_id=good.deployment_id if target else "",
        good_revision=good.revision.identity if target else "",
        rollback_deployment_id=draw(st.sampled_from(["", "d-9"])),
        native_rollback_asked=draw(st.booleans()),
        stop_requested_at=draw(times),
        create_attempted_at=draw(times),
        approved_by=draw(st.sampled_from(["", "ann"])),
        rejected_by=draw(st.sampled_from(["", "", "eve"])),
    )
    active = draw(one)
    seen = replace(
        draw(surveys()),
        history=history,
        suspect=draw(st.none() | st.just(suspect)),
        good=good if target else None,
        rollback=draw(one),
        newest=active,
        preparations=draw(
            st.sets(st.sampled_from([Gone("gone"), SplitAlias(), Unregistered("task:6"), LeftOut("A hook.")])).map(
                tuple
            )
        ),
    )
    return record, seen


def unhindered(asked: Rollback, seen: Observation, policy: Policy) -> tuple[Rollback, Observation, Policy]:
    """Nothing is switched off, asked about or brakes: what remains is whom it blames and what goes back."""
    memory = replace(seen.controls, pause_all=None, pause_group=None, past=(), groups_in_alarm=frozenset())
    seen = replace(seen, controls=memory, alarm=alarm(), group=seen.group or group())
    return asked.changed(dry_run=False), seen, replace(policy, mode=Mode.AUTO, kill_switch=False)


def paused(seen: Observation) -> bool:
    pauses = (seen.controls.pause_all, seen.controls.pause_group)
    return any(pause is not None and pause.holds(NOW) for pause in pauses)


# --- selection --------------------------------------------------------------------------------------------------------


@CALM
@given(histories(), controls, UNUSABLE, st.data())
def test_what_is_selected_succeeded_before_every_suspect_and_nothing_is_held_against_it(history, memory, gone, data):
    suspects = data.draw(
        st.lists(st.sampled_from(history), max_size=3, unique_by=lambda d: d.deployment_id) if history else st.just([])
    )
    suspects = newest_first(*suspects)
    good = select(history, suspects, controls=memory, unusable=gone).good
    if good is None:
        return
    floor = effective_floor(history, memory)
    assert good.status == "Succeeded"
    assert good.revision.identity
    assert good.revision.identity not in memory.known_bad
    assert floor is None or good.created_at >= floor.created_at
    assert all(good.revision.identity != suspect.revision.identity for suspect in suspects)
    assert all(good.created_at < suspect.created_at for suspect in suspects)
    assert good.creator not in {"autoscaling", "CodeDeployAutoUpdate"}
    assert not good.restart
    assert not good.outdated_instances_only
    assert good.deployment_id not in gone


@CALM
@given(histories(), controls, UNUSABLE, st.sampled_from(["", "d-1", "d-2", "d-none"]), st.booleans())
def test_every_candidate_but_the_chosen_one_has_a_reason_against_it(history, memory, gone, wanted, force):
    suspects = history[:1]
    found = select(history, suspects, controls=memory, unusable=gone, to_deployment_id=wanted, force=force)
    chosen = [c.deployment_id for c in found.candidates if c.rejection is None]
    assert chosen == ([found.good.deployment_id] if found.good else [])
    assert all(c.explanation for c in found.candidates)
    looked_at = [c.deployment_id for c in found.candidates]
    assert looked_at == [d.deployment_id for d in history[: len(looked_at)]]
    ended = found.candidates and found.candidates[-1].rejection in {"UNREADABLE_REVISION", "CONTENT_UNKNOWN"}
    assert found.good is not None or ended or len(looked_at) == len(history)


@CALM
@given(histories(), controls, st.booleans())
def test_what_is_selected_is_the_newest_that_could_be(history, memory, force):
    good = select(history, history[:1], controls=memory, unusable={}, force=force).good
    if good is None:
        return
    newer = [d for d in history if d.created_at > good.created_at]
    assert select(newer, history[:1], controls=memory, unusable={}).good is None


@CALM
@given(histories(), controls, st.sampled_from(["d-1", "d-2", "d-3", "d-none"]), st.booleans())
def test_an_operators_choice_is_taken_or_nothing_is(history, memory, wanted, force):
    found = select(history, history[:1], controls=memory, unusable={}, to_deployment_id=wanted, force=force)
    assert found.good is None or found.good.deployment_id == wanted


# --- decisions --------------------------------------------------------------------------------------------------------


def explained(decision: Decision) -> None:
    assert decision.explanation.strip()
    assert isinstance(decision.reason, Reason)
    assert isinstance(decision.action, Action)


def ends_as_the_runbook_says(decision: Decision, record: Rollback) -> None:
    if not isinstance(decision, Close) or decision.outcome is Outcome.DRY_RUN or decision.reason is record.reason_code:
        return
    assert decision.outcome in REASONS[decision.reason].ends


@CALM
@given(questions(), surveys(), policies)
def test_every_first_decision_is_explained_and_the_same_every_time(asked, seen, policy):
    first, second = decide(asked, seen, policy, NOW), decide(asked, seen, policy, NOW)
    assert first == second
    explained(first)
    ends_as_the_runbook_says(first, asked)


@CALM
@given(under_way(), policies)
def test_every_later_decision_is_explained_and_the_same_every_time(story, policy):
    record, seen = story
    first, second = decide(record, seen, policy, NOW), decide(record, seen, policy, NOW)
    assert first == second
    explained(first)
    ends_as_the_runbook_says(first, record)


@CALM
@given(questions(), surveys(), policies)
def test_nothing_is_stopped_that_is_a_rollback_or_newer_than_the_alarm_or_cloudformations(asked, seen, policy):
    asked, seen, policy = unhindered(asked, seen, policy)
    decision = decide(asked, seen, policy, NOW)
    if decision.action is not Action.STOP:
        return
    stopped = decision.deployment
    assert stopped.active
    assert not stopped.is_rollback
    assert stopped.creator not in {"CloudFormation", "CloudFormationRollback"}
    assert asked.trigger.alarm_changed_at is None or stopped.created_at <= ALARM_AT


@CALM
@given(questions(), surveys(), policies)
def test_nothing_is_blamed_that_came_after_the_breach_began(asked, seen, policy):
    asked, seen, policy = unhindered(asked, seen, policy)
    decision = decide(asked, seen, policy, NOW)
    onset = onset_of(asked, seen.alarm)
    if onset is not None:
        assert all(s.created_at <= onset.at + onset.margin for s in decision.suspects)


@CALM
@given(questions(), surveys(), policies)
def test_what_goes_back_is_never_what_the_alarm_blames_nor_known_bad(asked, seen, policy):
    asked, seen, policy = unhindered(asked, seen, policy)
    decision = decide(asked, seen, policy, NOW)
    if decision.good is None or asked.trigger.force:
        return
    assert decision.good.revision.identity not in seen.controls.known_bad
    assert all(decision.good.deployment_id != s.deployment_id for s in decision.suspects)
    assert all(decision.good.revision.identity != s.revision.identity for s in decision.suspects)


@CALM
@given(questions(), surveys(), policies, st.sampled_from(["observe", "off", "dry run", "paused", "kill switch"]))
def test_nothing_is_touched_while_lastgood_may_not_act(asked, seen, policy, why):
    asked = asked.changed(force=False)
    match why:
        case "observe" | "off":
            policy = replace(policy, mode=Mode(why))
        case "dry run":
            asked = asked.changed(dry_run=True)
        case "paused":
            seen = replace(seen, controls=replace(seen.controls, pause_group=Pause("x", "bob")))
        case _:
            policy = replace(policy, kill_switch=True)
    decision = decide(asked, seen, policy, NOW)
    assert decision.action not in ACTING
    assert decision.action is Action.CLOSE
    if why in {"off", "paused", "kill switch"}:
        assert outcome_of(decision) is Outcome.SKIPPED


@CALM
@given(questions(), surveys(), policies)
def test_neither_force_nor_anything_else_passes_the_kill_switch(asked, seen, policy):
    decision = decide(asked, seen, replace(policy, kill_switch=True), NOW)
    assert (decision.action, decision.reason) == (Action.CLOSE, Reason.KILL_SWITCH)


@CALM
@given(questions(), surveys(), policies)
def test_only_force_passes_a_pause(asked, seen, policy):
    decision = decide(asked, seen, policy, NOW)
    if paused(seen) and not (asked.trigger.force and not asked.trigger.alarm_name) and not policy.kill_switch:
        assert (decision.action, decision.reason) == (Action.CLOSE, Reason.PAUSED)


@CALM
@given(questions(), surveys(), policies)
def test_a_dry_run_plans_what_the_real_one_does(asked, seen, policy):
    policy = replace(policy, mode=Mode.AUTO, stop_without_target=StopWithoutTarget.NEVER)
    real = decide(asked.changed(dry_run=False), seen, policy, NOW)
    dry = decide(asked.changed(dry_run=True), seen, policy, NOW)
    assert dry.action is Action.CLOSE
    assert (dry.good, dry.suspects, dry.candidates) == (real.good, real.suspects, real.candidates)
    if real.action is Action.CLOSE:
        # Only the real one pauses a group that has had too many rollbacks.
        assert isinstance(real, Close)
        assert dry == replace(real, pauses_group=False)


@CALM
@given(histories(), st.sampled_from(["v1", "v2", "v3"]), st.sampled_from([0, 1, 30]), surveys(), policies)
def test_nobody_goes_two_steps_back_for_one_incident(history, back_to, later, seen, policy):
    """Once a rollback is what was deployed last, an alarm can adopt it at most."""
    older = [d for d in history if d.created_at < NOW]
    done = our_rollback("d-99", back_to, later, took=0.1)
    asked = rollback().changed(alarm_changed_at=at(later), opened_at=at(later + 1))
    decision = decide(asked, replace(seen, history=newest_first(done, *older)), policy, at(later + 1))
    assert decision.action in {Action.CLOSE, Action.ADOPT}
    assert decision.action is Action.CLOSE or decision.deployment == done


@CALM
@given(histories(), surveys(), policies)
def test_a_release_in_a_firing_alarm_never_leads_back_to_what_came_after_the_alarm(history, seen, policy):
    if not history:
        return
    landed = replace(history[0], created_at=at(5), completed_at=at(6), status="Succeeded")
    asked = rollback(released_in_alarm=landed.deployment_id, opened_at=at(20), signal_at=at(20))
    decision = decide(asked, replace(seen, history=newest_first(landed, *history[1:])), policy, at(20))
    if decision.good is not None and decision.action is not Action.ADOPT:
        assert decision.good.created_at <= asked.trigger.alarm_changed_at
        assert landed in decision.suspects


@CALM
@given(histories(), surveys(), policies)
def test_a_release_that_brings_back_what_a_rollback_put_back_is_never_touched(history, seen, policy):
    landed, known = release("d-99", "v9", 5, took=1), {"d-99": "rb-before"}
    asked = rollback(released_in_alarm="d-99", brought_back=known, opened_at=at(20), signal_at=at(20))
    decision = decide(asked, replace(seen, history=newest_first(landed, *history)), policy, at(20))
    assert decision.action is Action.CLOSE
    assert outcome_of(decision) in {Outcome.SKIPPED, Outcome.FAILED}


@CALM
@given(under_way(), policies)
def test_a_rollback_that_is_under_way_never_stops_anything_but_its_suspect(story, policy):
    record, seen = story
    decision = decide(record, seen, policy, NOW)
    if decision.action is Action.STOP and record.phase is not Phase.AWAITING_APPROVAL:
        assert decision.deployment in (seen.suspect, seen.newest)
        assert seen.suspect == decision.deployment or decision.deployment.deployment_id == record.suspect_deployment_id


@CALM
@given(under_way(), policies)
def test_nothing_is_created_over_somebody_elses_deployment_or_after_the_deadline(story, policy):
    record, seen = story
    decision = decide(record, seen, policy, NOW)
    if decision.action is Action.CREATE:
        newest = seen.newest
        assert newest is None or not newest.active
        assert newest is None or not newest.is_release or newest.created_at <= record.alarm_changed_at
        assert record.good_deployment_id
        assert NOW - record.opened_at <= policy.deadline
        assert not any(isinstance(each, Gone | SplitAlias | Unregistered) for each in seen.preparations)


@CALM
@given(under_way(), policies)
def test_a_rollback_is_called_verified_only_when_the_good_revision_is_live(story, policy):
    record, seen = story
    decision = decide(record, seen, policy, NOW)
    if outcome_of(decision) is Outcome.ROLLED_BACK and decision.reason is not Reason.OTHER_DEPLOYMENT:
        assert decision.reason is Reason.VERIFIED
        assert seen.live.identity == record.good_revision
        assert not seen.live.split


@CALM
@given(under_way(), policies)
def test_what_people_said_against_the_chosen_revision_meanwhile_is_heard(story, policy):
    record, seen = story
    decision = decide(record, seen, policy, NOW)
    if decision.action is Action.CREATE and not record.trigger.force:
        floor = seen.controls.floor
        assert record.choice.good_revision not in seen.controls.known_bad
        assert floor is None or seen.good is None or seen.good.created_at >= floor.created_at


@CALM
@given(under_way(), policies)
def test_what_is_closed_stays_closed(story, policy):
    record, seen = story
    closed = replace(record, phase=Phase.CLOSED, outcome=Outcome.FAILED)
    assert decide(closed, seen, policy, NOW).action is Action.WAIT
