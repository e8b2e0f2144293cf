"""What the command knows of each controller: one row per controller, and a module of its own for what is in it."""

from __future__ import annotations

from lastgood.model import Controller
from lastgood_cli.controllers import codedeploy, ecs, pipeline
from lastgood_cli.controllers.known import Known

KNOWN = {
    Controller.CODE_DEPLOY: Known(
        service="codedeploy",
        events=("aws.codedeploy", "RollbackFunctionDeploymentMoved"),
        applications=codedeploy.applications,
        groups=codedeploy.groups,
        needed=codedeploy.needed,
        past=codedeploy.past,
        history=codedeploy.history,
    ),
    Controller.ECS: Known(
        service="ecs",
        events=("aws.ecs", "ServiceDeploymentMoved"),
        applications=ecs.clusters,
        groups=ecs.services,
        needed=ecs.needed,
        past=ecs.past,
        checks=ecs.checks,
    ),
    Controller.PIPELINE: Known(
        service="codepipeline",
        events=("aws.codepipeline", "StageMoved"),
        applications=pipeline.pipelines,
        groups=pipeline.stages,
        needed=pipeline.needed,
        past=pipeline.past,
    ),
}
