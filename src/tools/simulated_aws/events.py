"""EventBridge events in AWS's shape, told to listeners and kept to be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from simulated_aws.cloudformation.stacks import Stack
from simulated_aws.codedeploy.model import Deployment
from simulated_aws.ecs.service_model import ServiceDeployment

DETAIL_TYPE = "CodeDeploy Deployment State-change Notification"
SERVICE_DETAIL_TYPE = "ECS Deployment State Change"
STACK_DETAIL_TYPE = "CloudFormation Stack Status Change"
STAGE_DETAIL_TYPE = "CodePipeline Stage Execution State Change"
HOOK_DETAIL_TYPE = "ECS Hook State Change"


class Events:
    """Every state-change notification. `detail.state` is START, READY, STOP, FAILURE or SUCCESS."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region
        self._unread: list[dict[str, Any]] = []
        self._undelivered: list[dict[str, Any]] = []
        self.listeners: list[Callable[[dict[str, Any]], object]] = []
        self.all: list[dict[str, Any]] = []
        self.lost_count = 0

    def tell(self, deployment: Deployment, state: str, at: datetime, event_id: str) -> None:
        """Note that a deployment changed state. EventBridge is best effort: `lost_count` events get lost."""
        self._note(self._event(deployment, state, at, event_id))

    def tell_service(
        self, deployment: ServiceDeployment, event_name: str, reason: str, at: datetime, event_id: str
    ) -> None:
        """Note that a service deployment of ECS changed state."""
        self._note(self._service_event(deployment, event_name, reason, at, event_id))

    def tell_hook(self, deployment: ServiceDeployment, hook_id: str, at: datetime, event_id: str) -> None:
        """Note that a service deployment waits at a hook that pauses it."""
        event = self._service_event(deployment, "HOOK_AWAITING_ACTION", "", at, event_id)
        event["detail-type"] = HOOK_DETAIL_TYPE
        event["detail"] |= {"hookId": hook_id, "lifecycleStage": deployment.stage}
        self._note(event)

    def tell_stack(self, stack: Stack, at: datetime, event_id: str) -> None:
        """Note that a stack changed its status (user guide, "CloudFormation events detail reference")."""
        event = {
            "account": self._account,
            "region": self._region,
            "detail-type": STACK_DETAIL_TYPE,
            "source": "aws.cloudformation",
            "version": "0",
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "id": event_id,
            "resources": [stack.id],
            "detail": {
                "stack-id": stack.id,
                "status-details": {"status": stack.status, "status-reason": stack.reason},
                "client-request-token": stack.token,
            },
        }
        self._note(event)

    def tell_stage(self, pipeline: str, execution: str, stage: str, state: str, at: datetime, event_id: str) -> None:
        """Note that a stage of a pipeline changed its state (user guide, "Monitoring CodePipeline events")."""
        detail = {"pipeline": pipeline, "execution-id": execution, "stage": stage, "state": state, "version": 1}
        event = {
            "account": self._account,
            "region": self._region,
            "detail-type": STAGE_DETAIL_TYPE,
            "source": "aws.codepipeline",
            "version": "0",
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "id": event_id,
            "resources": [f"arn:aws:codepipeline:{self._region}:{self._account}:{pipeline}"],
            "detail": detail,
        }
        self._note(event)

    def _note(self, event: dict[str, Any]) -> None:
        if self.lost_count:
            self.lost_count -= 1
            return
        self.all.append(event)
        self._unread.append(event)
        self._undelivered.append(event)

    def deliver(self) -> None:
        """Tell the listeners. Never inside an API call: a listener may make API calls of its own."""
        while event := self._next_undelivered():
            for listener in list(self.listeners):
                listener(event)

    def _next_undelivered(self) -> dict[str, Any] | None:
        # Over HTTP several threads deliver: another one may take the last event between a look and the taking.
        try:
            return self._undelivered.pop(0)
        except IndexError:
            return None

    def read(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        unread, self._unread = self._unread, []
        return unread

    def _event(self, deployment: Deployment, state: str, at: datetime, event_id: str) -> dict[str, Any]:
        group, application = deployment.group.name, deployment.group.application.name
        arn = f"arn:aws:codedeploy:{self._region}:{self._account}"
        return {
            "account": self._account,
            "region": self._region,
            "detail-type": DETAIL_TYPE,
            "source": "aws.codedeploy",
            "version": "0",
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "id": event_id,
            "resources": [f"{arn}:application:{application}", f"{arn}:deploymentgroup:{application}/{group}"],
            "detail": {
                "instanceGroupId": deployment.group.id,
                "region": self._region,
                "application": application,
                "deploymentId": deployment.id,
                "state": state,
                "deploymentGroup": group,
            },
        }

    def _service_event(
        self, deployment: ServiceDeployment, event_name: str, reason: str, at: datetime, event_id: str
    ) -> dict[str, Any]:
        service, moment = deployment.owner.service, at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "account": self._account,
            "region": self._region,
            "detail-type": SERVICE_DETAIL_TYPE,
            "source": "aws.ecs",
            "version": "0",
            "time": moment,
            "id": event_id,
            "resources": [f"arn:aws:ecs:{self._region}:{self._account}:service/{service.cluster}/{service.name}"],
            "detail": {
                "eventType": "ERROR" if event_name.endswith("FAILED") else "INFO",
                "eventName": event_name,
                "deploymentId": deployment.ecs_id,
                "updatedAt": moment,
                "reason": reason,
            },
        }
