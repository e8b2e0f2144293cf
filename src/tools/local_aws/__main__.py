"""`make local`: the deployed stack, kept up for people to try, with a bad release and the alarm that will blame it."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

from local_aws.stack import AWS, CREDENTIALS, ROOT, SIMULATED, Stack, local_stack

APPLICATION, GROUP, ALARM = "shop", "prod", "shop-prod-error-rate"
PERSON = "ops@example.com"
"""Who is told; the local AWS sends no mail."""


def main() -> None:
    """Deploy, set the scene, print what to type, and wait for Ctrl-C."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lastgood-", ignore_cleanup_errors=True) as folder,
            local_stack(Path(folder), say, NotificationEmail=PERSON) as stack,
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


def environment(stack: Stack) -> Path:
    """A file that sets a shell up for the local AWS: credentials, endpoints, and `lastgood` on the PATH."""
    simulated = {f"AWS_ENDPOINT_URL_{service}": stack.simulator_url for service in SIMULATED if service != "LAMBDA"}
    variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.url, **simulated, "LASTGOOD_LOCAL_AWS": "yes"}
    lines = [f"export {name}={value}" for name, value in variables.items()]
    made = stack.folder / "environment"
    made.write_text("\n".join([*lines, f'export PATH="{ROOT / "bin"}:$PATH"']) + "\n")
    return made


TOUR = (
    ("Is everything connected? What a local AWS does not have is marked [??].", "doctor"),
    ("What would happen now, and why?", "plan {alarm}"),
    ("Let it ask first, and trip the alarm:", "mode {group} approve --reason 'a trial' --yes"),
    ("", "!{aws} cloudwatch set-alarm-state --alarm-name {alarm} --state-value ALARM --state-reason 'a trial'"),
    ("What waits? Approve it, and watch:", "status"),
    ("", "approve last --yes --wait"),
    ("What happened, and why that revision?", "audit show"),
    ("", "explain"),
    ("Stop it all for an hour, and see what that does:", "pause --reason 'a trial' --until 1h --yes"),
    ("", "status"),
    ("", "resume --reason 'seen' --yes"),
    ("One page about the day:", "report --since 24h --out report.html"),
)
"""The tour: what each command answers, and the command; one that begins with `!` is not lastgood's."""


def tour(aws: object) -> str:
    """The commands of the tour, each under its question."""
    lines = []
    for about, command in TOUR:
        typed = command.format(alarm=ALARM, group=f"{APPLICATION}/{GROUP}", aws=aws)
        lines += [f"\n{about}"] if about else []
        lines.append(f"  {typed.removeprefix('!') if typed.startswith('!') else f'lastgood {typed}'}")
    return "\n".join(lines)


def commands(stack: Stack) -> str:
    """What to type in another terminal."""
    aws = AWS.relative_to(ROOT)
    table = stack.outputs["AuditTableName"]
    return f"""
The stack is up. {APPLICATION}/{GROUP} was just given a bad release. In another terminal, in this folder, first:

  . {environment(stack)}
{tour(aws)}

Trip the alarm by its metric instead:
  {aws} cloudwatch put-metric-data --namespace Shop --metric-name ErrorRate --dimensions Service={ALARM} --value 0.21

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
