"""What the command knows of each controller: one row per controller, and a module of its own for what is in it."""

from __future__ import annotations

from lastgood.model import Controller
from lastgood_cli.controllers import codedeploy, ecs, pipeline
from lastgood_cli.controllers.known import Known

KNOWN = {
    Controller.CODE_DEPLOY: Known(
        events=("aws.codedeploy", "RollbackFunctionDeploymentMoved"),
        needed=codedeploy.needed,
        past=codedeploy.past,
        history=codedeploy.history,
    ),
    Controller.ECS: Known(
        events=("aws.ecs", "ServiceDeploymentMoved"), needed=ecs.needed, past=ecs.past, checks=ecs.checks
    ),
    Controller.PIPELINE: Known(events=("aws.codepipeline", "StageMoved"), needed=pipeline.needed, past=pipeline.past),
}
