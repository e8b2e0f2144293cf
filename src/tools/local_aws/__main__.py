"""`make local`: the deployed stack, kept up for people to try, with a bad release and the alarm that will blame it."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

from local_aws.stack import AWS, CREDENTIALS, ROOT, Stack, local_stack

APPLICATION, GROUP, ALARM = "shop", "prod", "shop-prod-error-rate"


def main() -> None:
    """Deploy, set the scene, print what to type, and wait for Ctrl-C."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lastgood-", ignore_cleanup_errors=True) as folder,
            local_stack(Path(folder), say) as stack,
        ):
            set_the_scene(stack)
            say(commands(stack))
            threading.Event().wait()
    except KeyboardInterrupt:
        say("\nstopped; nothing is left behind")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def set_the_scene(stack: Stack) -> None:
    """Two good releases to servers, long ago; a bad one now; an alarm that speaks for them."""
    stack.simulator("server_group", application=APPLICATION, group=GROUP)
    stack.simulator("seed_history", application=APPLICATION, group=GROUP, count=2, every_seconds=86_400)
    stack.simulator("release", application=APPLICATION, group=GROUP, revision="bad.zip")
    stack.alarm(ALARM, {"lastgood:application": APPLICATION, "lastgood:deployment-group": GROUP})


def commands(stack: Stack) -> str:
    """What to type in another terminal."""
    variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.url}
    exports = "\n".join(f"  export {name}={value}" for name, value in variables.items())
    aws, answer = AWS.relative_to(ROOT), stack.folder / "answer.json"
    table, function = stack.outputs["AuditTableName"], stack.outputs["RollbackFunctionName"]
    return f"""
The stack is up. {APPLICATION}/{GROUP} was just given a bad release. In another terminal, in this folder:

{exports}

Ask what would be done, and do nothing:
  {aws} lambda invoke --function-name {function} \\
    --payload file://events/manual-dry-run.json {answer} && cat {answer}

Trip the alarm, by its metric or by hand:
  {aws} cloudwatch put-metric-data --namespace Shop --metric-name ErrorRate --dimensions Service={ALARM} --value 0.21
  {aws} cloudwatch set-alarm-state --alarm-name {ALARM} --state-value ALARM --state-reason "a trial"

Query the table: what happened to the group, and everything that is recorded:
  {aws} dynamodb execute-statement --statement "SELECT opened_at, outcome, explanation
    FROM \\"{table}\\".\\"by_deployment_group\\" WHERE deployment_group_key = '{APPLICATION}/{GROUP}'"
  {aws} dynamodb scan --table-name {table}

Look at CodeDeploy, and release something else:
  curl -s {stack.simulator_url}/moto-api/codedeploy -H 'Content-Type: application/json' \\
    -d '{{"command": "deployments", "application": "{APPLICATION}", "group": "{GROUP}"}}'
  curl -s {stack.simulator_url}/moto-api/codedeploy -H 'Content-Type: application/json' \\
    -d '{{"command": "release", "application": "{APPLICATION}", "group": "{GROUP}", "revision": "next.zip"}}'

Logs, the function's among them: {stack.folder}
Ctrl-C ends it.
"""


if __name__ == "__main__":
    main()
