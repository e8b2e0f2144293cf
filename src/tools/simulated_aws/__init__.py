"""AWS as far as releases go: a CodeDeploy, ECS, CodePipeline and stacks that move, for tests and the demo.

moto's CodeDeploy accepts a deployment and leaves it `Created` for ever. This one deploys, shifts traffic,
fails, stops, rolls back and tells EventBridge, on a clock that the test moves.

    from simulated_aws import simulated_aws

    with simulated_aws() as simulator:
        simulator.lambda_group("shop", "prod", "checkout", "live", versions=3, alarms=["errors"])
        simulator.release("shop", "prod", 2, settle=True)
        suspect = simulator.release("shop", "prod", 3, deploymentConfigName=canary)
        simulator.advance(60)                                   # 10 % of the traffic is on version 3
        boto3.client("codedeploy").stop_deployment(deploymentId=suspect, autoRollbackEnabled=True)
        simulator.settle()
        assert simulator.live("shop", "prod").target == "2"

    with serve(port=0) as server:                               # the same over HTTP
        server.client("codedeploy").list_applications()

What serves is judged by content, whatever it is called: `simulator.declare_bad(suspect)`, then
`simulator.bad_share("shop", "prod") == 0`; `mishaps.py` has what may go wrong on the way.

Every other service is moto's own: alarms are read from its CloudWatch, bundles from its S3. `lambda` and
`ecs` answer for the functions, services and task definition families that were made here;
moto answers for all others.
Over HTTP, `POST /moto-api/codedeploy` with `{"command": "advance", "seconds": 60}` calls the same methods.
"""

from simulated_aws.clock import Clock, VirtualClock, WallClock
from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.model import Timing
from simulated_aws.codedeploy.revisions import ecs_appspec, github_revision, lambda_appspec, s3_revision
from simulated_aws.model import ServiceError
from simulated_aws.run import Server, serve, simulated_aws
from simulated_aws.simulator import Arrival, Live, Simulator

__all__ = [
    "Arrival",
    "Clock",
    "Live",
    "Server",
    "ServiceError",
    "Simulator",
    "Timing",
    "VirtualClock",
    "WallClock",
    "ecs_appspec",
    "github_revision",
    "lambda_appspec",
    "revisions",
    "s3_revision",
    "serve",
    "simulated_aws",
]
