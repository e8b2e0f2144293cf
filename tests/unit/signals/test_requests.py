"""What a person may ask for, and in which words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lastgood.model import Controller, DeploymentGroup, Mode
from lastgood.signals import (
    ACTIONS,
    DrillSignal,
    HealthRequest,
    Refusal,
    ServiceDeploymentSignal,
    SweepSignal,
)
from reading import NOW, asked, load, refusal, sole


class TestOperators:
    def test_a_rollback_may_name_its_target_and_insist(self) -> None:
        request = asked(load("manual-rollback") | {"to_deployment_id": "d-Z9Y8X7W6V", "force": True})
        assert (request.to_deployment_id, request.force, request.dry_run) == ("d-Z9Y8X7W6V", True, False)

    @pytest.mark.parametrize("action", ["pause", "resume"])
    def test_a_pause_without_a_group_is_for_everything(self, action: str) -> None:
        request = asked({"action": action, "reason": "holidays", "requested_by": "me"})
        assert request.application == request.deployment_group == "" and request.until is None

    @pytest.mark.parametrize("action", ["pause", "resume"])
    @pytest.mark.parametrize("half", ["application", "deployment_group"])
    def test_a_request_with_half_of_a_groups_name_is_refused(self, action: str, half: str) -> None:
        event = {"action": action, "reason": "holidays", "requested_by": "me", half: "shop"}
        assert refusal(event).code == "missing_field"

    @pytest.mark.parametrize(
        ("until", "expected"),
        [
            ("2h", NOW + timedelta(hours=2)),
            ("90s", NOW + timedelta(seconds=90)),
            ("2026-03-03T08:00:00Z", datetime(2026, 3, 3, 8, tzinfo=UTC)),
            ("2026-03-03T08:00:00+02:00", datetime(2026, 3, 3, 6, tzinfo=UTC)),
        ],
    )
    def test_until_is_a_duration_or_a_time(self, until: str, expected: datetime) -> None:
        assert asked(load("manual-pause") | {"until": until}).until == expected

    @pytest.mark.parametrize(
        "until",
        [
            "",
            "soon",
            "0s",
            "-2h",
            "999999d",
            "2026-03-03T08:00:00",
            "2026-03-02T10:11:59Z",
            "9999-12-31T23:59:59Z",
            7,
            None,
            True,
        ],
    )
    def test_until_must_be_clear_and_lie_in_the_future(self, until: object) -> None:
        assert refusal(load("manual-pause") | {"until": until}).code == "bad_time"

    @pytest.mark.parametrize("mode", list(Mode))
    def test_every_mode_can_be_set(self, mode: Mode) -> None:
        assert asked(load("manual-set-mode") | {"mode": mode.value}).mode is mode

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("application", "x" * 101),
            ("application", "  "),
            ("application", "sh\nop"),
            ("deployment_group", 7),
            ("deployment_id", "d-a1b2c3d4e"),
            ("deployment_id", "d-A1B2C3D4"),
            ("deployment_id", ["d-A1B2C3D4E"]),
            ("reason", "x" * 1001),
            ("reason", " \n "),
            ("requested_by", "x" * 201),
            ("requested_by", {"name": "me"}),
        ],
    )
    def test_a_field_of_the_wrong_shape_is_refused_with_a_correct_example(self, field: str, value: object) -> None:
        found = refusal(load("manual-set-floor") | {field: value})
        assert (found.code, found.rejected) == ("bad_field", True)
        assert field in found.message and json.dumps(ACTIONS["set_floor"].event) in found.hint

    @pytest.mark.parametrize("mode", ["AUTO", "", None, 7, "on"])
    def test_an_unknown_mode_is_refused(self, mode: object) -> None:
        assert refusal(load("manual-set-mode") | {"mode": mode}).code in {"bad_field", "missing_field"}

    @pytest.mark.parametrize("action", sorted(ACTIONS))
    def test_the_example_of_every_action_is_itself_accepted(self, action: str) -> None:
        assert not isinstance(sole(dict(ACTIONS[action].event)), Refusal)

    @pytest.mark.parametrize(
        ("action", "field"), [(action, field) for action in ACTIONS for field in ACTIONS[action].required]
    )
    def test_every_required_field_is_missed_by_name(self, action: str, field: str) -> None:
        event = {name: value for name, value in ACTIONS[action].event.items() if name != field}
        found = refusal(event)
        assert found.code == "missing_field" and field in found.message

    @pytest.mark.parametrize("action", ["sweep", "drill", "health"])
    def test_sweep_drill_and_health_take_nothing_else(self, action: str) -> None:
        assert refusal({"action": action, "reason": "x"}).code == "unknown_field"
        assert isinstance(sole({"action": action}), SweepSignal | DrillSignal | HealthRequest)

    @pytest.mark.parametrize("action", sorted(name for name, a in ACTIONS.items() if "ecs_service" in a.known))
    def test_a_service_may_stand_for_the_deployment_group(self, action: str) -> None:
        event = {k: v for k, v in ACTIONS[action].event.items() if k not in {"application", "deployment_group"}}
        found = asked(event | {"ecs_service": "production/shop"})
        assert found.group == DeploymentGroup("production", "shop", Controller.ECS)

    def test_every_action_that_takes_a_group_takes_a_service(self) -> None:
        taking = {name for name, action in ACTIONS.items() if "application" in action.known}
        assert taking == {name for name, action in ACTIONS.items() if "ecs_service" in action.known}
        assert {"rollback", "pause", "set_floor", "mark_bad"} <= taking

    @pytest.mark.parametrize("action", sorted(name for name, a in ACTIONS.items() if "stage" in a.known))
    def test_a_stage_may_stand_for_the_deployment_group(self, action: str) -> None:
        event = {k: v for k, v in ACTIONS[action].event.items() if k not in {"application", "deployment_group"}}
        if "deployment_id" in event:
            event["deployment_id"] = "0a1b2c3d-0000-4000-8000-000000000001"
        found = asked(event | {"pipeline": "shop", "stage": "Deploy"})
        assert found.group == DeploymentGroup("shop", "Deploy", Controller.PIPELINE)
        assert found.group.address == {"pipeline": "shop", "stage": "Deploy"}

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"pipeline": "shop"}, "missing_field"),
            ({"stage": "Deploy"}, "missing_field"),
            ({"pipeline": None, "stage": "Deploy"}, "bad_field"),
            ({"pipeline": "shop", "stage": "a/b"}, "bad_field"),
            ({"pipeline": "*", "stage": "Deploy"}, "bad_field"),
            ({"pipeline": "shop", "stage": "Deploy", "application": "shop"}, "two_groups"),
            ({"pipeline": "shop", "stage": "Deploy", "ecs_service": "a/b"}, "two_groups"),
        ],
    )
    def test_half_a_stage_or_another_shape_never_means_everything(self, given: dict[str, Any], code: str) -> None:
        assert refusal({"action": "pause", "reason": "x", "requested_by": "me"} | given).code == code

    @pytest.mark.parametrize("given", ["d-A1B2C3D4E", "0a1b2c3d", "", None, "0A1B2C3D-0000-4000-8000-000000000001"])
    def test_of_a_stage_an_execution_is_named_by_its_id(self, given: object) -> None:
        event = {"action": "mark_bad", "pipeline": "shop", "stage": "Deploy", "reason": "x", "requested_by": "me"}
        assert refusal(event | {"deployment_id": given}).code in {"bad_field", "missing_field"}

    @pytest.mark.parametrize("more", [{"application": "shop"}, {"deployment_group": "prod"}, {"application": None}])
    def test_a_service_and_a_group_together_are_refused(self, more: dict[str, Any]) -> None:
        event = {"action": "pause", "reason": "x", "requested_by": "me", "ecs_service": "production/shop"}
        assert refusal(event | more).code == "two_groups"

    @pytest.mark.parametrize("service", ["", "shop", "a/b/c", "a b/c", "a/", None, 7, "a/b\n", ["a/b"]])
    def test_a_service_of_another_shape_is_refused_and_never_means_everything(self, service: object) -> None:
        event = {"action": "pause", "reason": "x", "requested_by": "me", "ecs_service": service}
        if service == "a/b\n":
            assert asked(event).group == DeploymentGroup("a", "b", Controller.ECS)
            return
        assert refusal(event).code == "bad_field"

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("NCWGC2ZR-taawPAYrIaU5", "NCWGC2ZR-taawPAYrIaU5"),
            ("NCWGC2ZR-taawPAYrIaU5/rollback", "NCWGC2ZR-taawPAYrIaU5/rollback"),
            (
                "arn:aws:ecs:us-east-1:123456789012:service-deployment/c/s/NCWGC2ZR-taawPAYrIaU5",
                "NCWGC2ZR-taawPAYrIaU5",
            ),
        ],
    )
    def test_a_service_deployment_is_named_by_its_id_or_its_arn(self, given: str, kept: str) -> None:
        event = {"action": "mark_bad", "ecs_service": "c/s", "reason": "x", "requested_by": "me"}
        assert asked(event | {"deployment_id": given}).deployment_id == kept

    @pytest.mark.parametrize("given", ["", "short", "a/b/c", "x" * 65, None, 7, "arn:aws:ecs:us-east-1:1:service/c/s"])
    def test_a_service_deployment_of_another_shape_is_refused(self, given: object) -> None:
        event = {"action": "mark_bad", "ecs_service": "c/s", "reason": "x", "requested_by": "me"}
        assert refusal(event | {"deployment_id": given}).code in {"bad_field", "missing_field"}

    def test_an_application_cannot_pass_for_a_service(self) -> None:
        assert refusal(load("manual-rollback") | {"application": "ecs:production"}).code == "bad_field"

    @pytest.mark.parametrize(
        ("resource", "group"),
        [
            ("service/production/shop", DeploymentGroup("production", "shop", Controller.ECS)),
            ("service/shop", None),
        ],
    )
    def test_an_event_of_ecs_names_its_service(self, resource: str, group: DeploymentGroup | None) -> None:
        event = load("ecs-deployment-state-change") | {"resources": [f"arn:aws:ecs:us-east-1:123456789012:{resource}"]}
        found = sole(event)
        assert isinstance(found, ServiceDeploymentSignal) and found.group == group

    @pytest.mark.parametrize("action", ["Rollback", "roll_back", "", None, 7, ["rollback"], {"a": 1}])
    def test_an_unknown_action_is_refused_with_the_list(self, action: object) -> None:
        found = refusal({"action": action})
        assert found.code == "unknown_action"
        assert all(known in found.hint for known in ACTIONS)

    def test_a_misspelt_action_is_guessed_aloud_but_not_done(self) -> None:
        assert "Did you mean rollback?" in refusal({"action": "rolback"}).hint
