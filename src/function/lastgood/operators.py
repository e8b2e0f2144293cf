"""Operators' requests. Each one that changes something says who asks and why, and is recorded."""

from __future__ import annotations

import unicodedata
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.model import (
    Deployment,
    DeploymentGroup,
    FloorsFrom,
    Phase,
    Rollback,
    Trigger,
    TriggerKind,
    remembered,
)
from lastgood.parts import Parts
from lastgood.pipelines.runs import holder
from lastgood.results import answer, pipeline_of, refusal, result_of
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.notes import Notes
from lastgood.rollbacks.opening import rollback_id
from lastgood.routing import is_allowed
from lastgood.signals import ACTIONS, OPENS, OperatorRequest
from lastgood.text import REPLACEMENT
from lastgood.times import iso


class Operators:
    """Handles one operator's request within one invocation."""

    def __init__(self, parts: Parts, rollbacks: Rollbacks, notes: Notes, door: str) -> None:
        self._parts = parts
        self._rollbacks = rollbacks
        self._notes = notes
        self._door = door

    def handle(self, request: OperatorRequest) -> dict[str, Any]:
        """Do what is asked. Returns one result, in the shape of the contract."""
        if request.application and not is_allowed(_group(request), self._parts.settings):
            return refusal(
                "not_allowed",
                f"{_group(request).key} is not in LASTGOOD_ALLOWED_GROUPS; nothing was done, and force does not help.",
            )
        act = ACTIONS[request.action]
        needed = act.door
        if self._parts.settings.doors and needed not in OPENS.get(self._door, ()):
            came = f"the alias {self._door}" if self._door else "the function itself"
            return refusal(
                "wrong_door",
                f"{request.action} is taken through the alias {needed} only; it came through {came}. Nothing was done.",
            )
        return act.handler(self)(request)

    def rollback(self, request: OperatorRequest) -> dict[str, Any]:
        if self._is_nowhere(request):
            return _no_group(request)
        now, group = self._parts.clock(), _group(request)
        trigger = Trigger(
            TriggerKind.MANUAL,
            now,
            requested_by=request.requested_by,
            request_reason=request.reason + self._through(),
            dry_run=request.dry_run,
            force=request.force,
            to_deployment_id=request.to_deployment_id,
        )
        # Lambda repeats an asynchronous request under the same id, so a retry finds what the first try opened.
        rollback = Rollback.opened(rollback_id(f"manual|{self._rollbacks.owner}", group, None), group, trigger, now)
        opened = self._rollbacks.open(rollback, self._rollbacks.owner)
        return result_of(opened, joined=opened.rollback_id != rollback.rollback_id)

    def approve(self, request: OperatorRequest) -> dict[str, Any]:
        note = f"{request.requested_by} approved it{self._through()}. {request.reason}".strip()
        return self._answer(request, note, approved_by=request.requested_by)

    def reject(self, request: OperatorRequest) -> dict[str, Any]:
        note = f"{request.requested_by} rejected it{self._through()}: {request.reason}"
        return self._answer(request, note, rejected_by=request.requested_by)

    def _answer(self, request: OperatorRequest, note: str, **changes: str) -> dict[str, Any]:
        rollback = self._parts.ledger.load(request.rollback_id)
        if rollback is None:
            return _unknown(request.rollback_id)
        if rollback.phase is not Phase.AWAITING_APPROVAL:
            return refusal("not_waiting", f"{rollback.rollback_id} does not wait for approval: it is {rollback.phase}.")
        if (
            self._parts.settings.doors
            and "approved_by" in changes
            and _same(rollback.trigger.requested_by, request.requested_by)
        ):
            return refusal(
                "own_request",
                f"{request.requested_by} asked for {rollback.rollback_id}: somebody else has to approve it.",
            )
        answered = self._notes.answer(rollback.rollback_id, note, **changes)
        if answered is None:
            return refusal("busy", f"{rollback.rollback_id} is being advanced right now; send it again in a moment.")
        return result_of(answered)

    def status(self, request: OperatorRequest) -> dict[str, Any]:
        rollback = self._parts.ledger.load(request.rollback_id)
        if rollback is None:
            return _unknown(request.rollback_id)
        steps = self._parts.ledger.steps(rollback.rollback_id)
        told = [{k: s.get(k, "") for k in ("occurred_at", "kind", "step_name", "explanation")} for s in steps]
        return {**result_of(rollback), **pipeline_of(rollback), "steps": told}

    def pause(self, request: OperatorRequest) -> dict[str, Any]:
        if self._is_nowhere(request):
            return _no_group(request)
        until = iso(request.until) if request.until else ""
        self._set(request, "PAUSE", until=until)
        return answer("pause", f"Paused {_what(request)}{' until ' + until if until else ', until resumed'}.")

    def resume(self, request: OperatorRequest) -> dict[str, Any]:
        if self._is_nowhere(request):
            return _no_group(request)
        now = iso(self._parts.clock())
        self._set(request, "PAUSE", resumed_at=now)
        if not request.application:
            # A person who resumes everything has looked at the storm; people are told of the next one again.
            self._set(request, "STORM", silent_until=now)
        return answer("resume", f"Resumed {_what(request)}.")

    def set_mode(self, request: OperatorRequest) -> dict[str, Any]:
        if self._is_nowhere(request):
            return _no_group(request)
        until = iso(request.until) if request.until else ""
        self._set(request, "MODE", mode=str(request.mode), until=until)
        return answer("set_mode", f"{_what(request)} is in mode {request.mode}{' until ' + until if until else ''}.")

    def set_floor(self, request: OperatorRequest) -> dict[str, Any]:
        if self._parts.settings.floors_from is FloorsFrom.DESCRIPTION:
            told = "LASTGOOD_FLOORS_FROM is description: a floor comes with a release. Nothing was changed."
            return refusal("not_allowed", told)
        deployment = self._deployment(request)
        if deployment is None:
            return _no_deployment(request)
        self._set(request, "FLOOR", deployment_id=deployment.deployment_id, created_at=iso(deployment.created_at))
        return answer("set_floor", f"Nothing older than {deployment.deployment_id} is redeployed to {_what(request)}.")

    def clear_floor(self, request: OperatorRequest) -> dict[str, Any]:
        if self._is_nowhere(request):
            return _no_group(request)
        now = self._parts.clock()
        floor = self._parts.ledger.controls(_group(request), now).floor
        was = bool(floor and floor.deployment_id == request.deployment_id)
        if was:
            self._set(request, "FLOOR", cleared_at=iso(now))
        # A release's own floor is in its description, which nobody can change: this item overrides it.
        self._set(request, f"FLOOR_CLEARED#{request.deployment_id}", cleared_at=iso(now))
        so_far = "" if was else ", should its release have made it one: none was set by hand"
        return answer("clear_floor", f"{request.deployment_id} is no longer a floor of {_what(request)}{so_far}.")

    def mark(self, request: OperatorRequest) -> dict[str, Any]:
        deployment = self._deployment(request)
        if deployment is None or not deployment.revision.identity:
            return _no_deployment(request)
        good = request.action == "mark_good"
        self._parts.ledger.mark_revision(
            _group(request),
            deployment.revision.identity,
            good=good,
            by=request.requested_by,
            why=request.reason,
            now=self._parts.clock(),
            content="" if good else self._content(request, deployment),
        )
        return answer(request.action, f"{deployment.revision.identity} is marked {'good' if good else 'bad'}.")

    def _content(self, request: OperatorRequest, deployment: Deployment) -> str:
        """What it contains, by which it is recognised under another name; empty where that cannot be read now."""
        try:
            return remembered(self._parts.deployer_for(_group(request), None).evidence(deployment).revision)
        except LastgoodError:
            return ""

    def release(self, request: OperatorRequest) -> dict[str, Any]:
        """Open the stage that a rollback holds; one that somebody else closed stays closed."""
        group = _group(request)
        rule = self._parts.settings.pipeline_of(group)
        if rule is None or not rule.hold:
            return refusal("not_held", f"LASTGOOD_PIPELINES holds no stage for {group.key}; nothing was changed.")
        try:
            stage = self._parts.pipelines.stage(rule.pipeline, rule.hold)
        except LastgoodError as error:
            return refusal("pipeline_unreadable", f"{error} Nothing was changed.")
        rollback_id = holder(stage.reason) if stage and not stage.enabled else ""
        held = self._parts.ledger.load(rollback_id) if rollback_id else None
        if held is None:
            state = "is not disabled" if stage and stage.enabled else "is not held by lastgood"
            return refusal("not_held", f"The stage {rule.hold} of {rule.pipeline} {state}; nothing was changed.")
        note = f"{request.requested_by} asks to release the stage {rule.hold} of {rule.pipeline}: {request.reason}"
        released = self._notes.release_stage(held.rollback_id, request.requested_by, note)
        if released is None:
            return refusal("busy", f"{held.rollback_id} is being advanced right now; send it again in a moment.")
        if released.trail.released_at is None:
            return refusal("not_released", released.trail.pipeline_problem or "It is tried again within minutes.")
        return answer("release", f"The stage {rule.hold} of {rule.pipeline} is open again.")

    def _is_nowhere(self, request: OperatorRequest) -> bool:
        """Whether AWS says that the named group does not exist: then a confirmation would mislead.

        If AWS does not answer, the request is accepted: a pause must not wait for it.
        """
        if not request.application:
            return False
        try:
            return self._parts.deployer_for(_group(request), None).facts() is None
        except LastgoodError:
            return False

    def _through(self) -> str:
        """For the record: the alias through which the request came, where aliases are required."""
        return f" (through the alias {self._door})" if self._parts.settings.doors else ""

    def _deployment(self, request: OperatorRequest) -> Deployment | None:
        return self._parts.deployer_for(_group(request), None).deployment(request.deployment_id)

    def _set(self, request: OperatorRequest, name: str, **attributes: str) -> None:
        now = self._parts.clock()
        said = {
            "requested_by": request.requested_by,
            "explanation": request.reason + self._through(),
            "occurred_at": iso(now),
            **attributes,
        }
        self._parts.ledger.set_control(request.group, name, said)


def _same(one: str, other: str) -> bool:
    """Whether two names are the same person's: people write them, so case, width and spaces do not count."""
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).replace(REPLACEMENT, "").casefold().split())


def _group(request: OperatorRequest) -> DeploymentGroup:
    return request.group or DeploymentGroup("", "")


def _what(request: OperatorRequest) -> str:
    return _group(request).key if request.application else "everything"


def _unknown(wanted: str) -> dict[str, Any]:
    return refusal("unknown_rollback", f"There is no rollback {wanted}. Query the index by_day for what there is.")


def _no_group(request: OperatorRequest) -> dict[str, Any]:
    told = f"There is no {_group(request).key} here, so nothing was done. Names are no patterns."
    return refusal("unknown_group", told)


def _no_deployment(request: OperatorRequest) -> dict[str, Any]:
    return refusal(
        "unknown_deployment",
        f"{_what(request)} has no deployment {request.deployment_id} whose revision can be read. Nothing was changed.",
    )
