"""The deployed stack without an AWS account: MiniStack as AWS, the simulator as CodeDeploy, `sam deploy` as ever.

    with local_stack(Path("/some/empty/folder")) as stack:
        stack.simulator("server_group", application="shop", group="prod")
        stack.client("lambda").invoke(FunctionName=stack.outputs["RollbackFunctionName"], …)

What runs for real and what is simulated: `docs/local-stack.md`.
"""

from local_aws.processes import eventually
from local_aws.stack import Stack, local_aws, local_stack

__all__ = ["Stack", "eventually", "local_aws", "local_stack"]
