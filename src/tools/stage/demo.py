"""The demo: bad releases as a person would see them, with the real application in a simulated AWS. No account needed.

Run as `python -m stage.demo`. Everything lives by a simulated clock, so minutes take no time.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulated_aws import Simulator, simulated_aws
from stage.local import ACCOUNT, Local, alarm_event, group_tags, service_tags

WIDTH = 118
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_METRICS_DISABLED": "true",
}


@dataclass
class Act:
    """One act: a deployment group, its alarm, and what the audience is shown."""

    sim: Simulator
    local: Local
    console: Console
    application: str
    group: str
    told: set[tuple[str, str]] = field(default_factory=set)

    @property
    def alarm(self) -> str:
        """The alarm that watches this group."""
        return f"{self.application}-{self.group}-error-rate"

    @property
    def tags(self) -> dict[str, str]:
        """The tags of that alarm."""
        return group_tags(self.application, self.group)

    @property
    def live(self) -> str:
        """What is live now."""
        target = self.sim.live(self.application, self.group).target
        return target.split("|")[1] if "|" in target else target

    def say(self, who: str, text: str, style: str = "", at: datetime | None = None) -> None:
        """One line: the time, who speaks, what happened."""
        moment = (at or self.sim.clock.now()).strftime("%H:%M:%S")
        self._row((8, moment), (10, who), text=text, style=style)

    def _row(self, *columns: tuple[int, str], text: str, style: str = "") -> None:
        """Narrow columns, then a text that wraps under itself."""
        row = Table.grid(padding=(0, 2, 0, 0))
        for width, _ in columns:
            row.add_column(width=width, no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(*[escape(value) for _, value in columns], escape(text), style=style)
        self.console.print(row)

    def release(self, revision: int | str, what: str, *, settle: bool, **request: Any) -> str:
        """A pipeline releases a revision."""
        made = self.sim.release(self.application, self.group, revision, settle=settle, **request)
        state = self.sim.deployment(made)["status"] if settle else "begins"
        self.say("pipeline", f"{made} releases {what}: {state}")
        return made

    def a_day_passes(self) -> None:
        """The release proves itself."""
        self.sim.advance(86_400)
        self.say("", "a day passes, nothing to see")

    def alarm_fires(self) -> str:
        """The alarm goes into ALARM; SNS hands its message to the function. Returns the rollback's id."""
        self.local.alarm(self.alarm, tags=self.tags)
        self.say("CloudWatch", f"{self.alarm} is in ALARM: error rate 0.21 > 0.05", "red")
        message = alarm_event(at=self.sim.clock.now(), alarm=self.alarm, tags=self.tags)
        found = str(self.local.handle(message)[0]["rollback_id"])
        self.tell(found)
        return found

    def tell(self, rollback_id: str) -> None:
        """Show the steps that were recorded since the last look."""
        for step in self.local.steps(rollback_id):
            if (step["pk"], step["sk"]) in self.told:
                continue
            self.told.add((step["pk"], step["sk"]))
            at = datetime.fromisoformat(step["occurred_at"])
            action = step["step_name"].lower().replace("_", " ")
            self.say("lastgood", f"{step['kind']}, {action}: {step['explanation']}", "cyan", at)

    def until_closed(self, rollback_id: str) -> dict[str, Any]:
        """Let time pass, with a sweep each minute, until the rollback is closed."""
        return self.until(rollback_id, lambda head: bool(head.get("outcome")))

    def until(self, rollback_id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The same, until the record's head is so."""
        for _ in range(240):
            if done(self.local.head(rollback_id)):
                break
            self.sim.advance(60)
            self.local.handle({"action": "sweep"})
            self.tell(rollback_id)
        return self.local.head(rollback_id)

    def record(self, rollback_id: str) -> None:
        """The audit record, as a query returns it."""
        head = self.local.head(rollback_id)
        style = "green" if head["outcome"] == "ROLLED_BACK" else "yellow"
        self._row((8, ""), (10, "record"), text=f"{head['outcome']} ({head['reason_code']})", style=style)
        for name in ("suspect", "good", "rollback"):
            if head.get(f"{name}_deployment_id"):
                revision = head.get(f"{name}_revision", "")
                self._row((8, ""), (10, ""), (9, name), text=f"{head[f'{name}_deployment_id']}  {revision}")
        if head.get("suspect_commit"):
            self._row((8, ""), (10, ""), (9, "commits"), text=f"{head['suspect_commit']} is bad")
            self._row((8, ""), (10, ""), (9, ""), text=f"{head['good_commit']} is good")
            self._row((8, ""), (10, ""), (9, "in git"), text=head["revert_command"])
        if head.get("rerun_execution_id"):
            self._row((8, ""), (10, ""), (9, "rerun"), text=f"{head['rerun_execution_id']}: {head['rerun_status']}")
        for candidate in head["candidates"]:
            why = candidate.get("rejection") or "CHOSEN"
            text = f"{candidate['deployment_id']}  {why}: {candidate['explanation']}"
            self._row((8, ""), (10, ""), (9, "candidate"), text=text)
        self._row((8, ""), (10, ""), (9, "live now"), text=self.live)
        self.console.print()


class ServiceAct(Act):
    """An act with a service that ECS itself deploys; `application` is its cluster."""

    @property
    def tags(self) -> dict[str, str]:
        """The tag of its alarm."""
        return service_tags(self.application, self.group)

    @property
    def live(self) -> str:
        """The task definition that all its tasks run."""
        return self.sim.service_live(self.application, self.group).target

    def update(self, task_definition: str, *, settle: bool) -> str:
        """A pipeline updates the service."""
        made = self.sim.release_service(self.application, self.group, task_definition, settle=settle)
        state = self.sim.service_deployments(self.application, self.group)[made] if settle else "begins"
        self.say("pipeline", f"{made} updates the service to {task_definition}: {state}")
        return made


def on_servers(act: Act) -> None:
    """Servers: the bad release has already succeeded, where CodeDeploy's own rollback no longer helps."""
    act.sim.server_group(act.application, act.group, instances=4)
    act.release("shop-1.zip", "shop-1.zip", settle=True)
    act.a_day_passes()
    act.release("shop-2.zip", "shop-2.zip", settle=True)
    act.sim.advance(300)
    found = act.alarm_fires()
    act.until_closed(found)
    act.record(found)


def on_lambda(act: Act) -> None:
    """Lambda: a canary is met half way; CodeDeploy flips the alias back, and that is adopted."""
    canary = "CodeDeployDefault.LambdaCanary10Percent10Minutes"
    act.sim.lambda_group(act.application, act.group, "checkout", "live", versions=3, config=canary)
    act.release(2, "version 2 of checkout", settle=True)
    act.a_day_passes()
    act.release(3, "version 3 of checkout, 10 % first", settle=False)
    act.sim.advance(120)
    found = act.alarm_fires()
    act.until_closed(found)
    act.record(found)


def on_ecs(act: Act) -> None:
    """ECS: the good task definition was deregistered by a clean-up; it is registered again, unchanged."""
    act.sim.ecs_group(act.application, act.group, "main", "web", "web", task_definitions=3)
    act.release(2, "task definition web:2", settle=True)
    act.a_day_passes()
    act.release(3, "task definition web:3", settle=True)
    act.sim.engine.ecs_world.deregister("web:2", act.sim.clock.now())
    act.say("somebody", "deregisters web:2 to tidy up")
    act.sim.advance(240)
    found = act.alarm_fires()
    act.until_closed(found)
    act.record(found)


def on_ecs_service(act: ServiceAct) -> None:
    """An ECS service without CodeDeploy: one bad update has succeeded, the next is stopped while it rolls out."""
    act.sim.rolling_service(act.application, act.group, "api", task_definitions=3, desired_count=4)
    act.update("api:2", settle=True)
    act.sim.advance(240)
    found = act.alarm_fires()
    act.until_closed(found)
    act.record(found)
    act.local.alarm(act.alarm, "OK")
    act.a_day_passes()
    act.update("api:3", settle=False)
    act.sim.advance(45)
    found = act.alarm_fires()
    act.until_closed(found)
    act.record(found)


def refusal(act: Act) -> None:
    """A refusal: the release brought a database change that cannot go back."""
    act.sim.server_group(act.application, act.group)
    act.release("pay-1.zip", "pay-1.zip", settle=True)
    act.a_day_passes()
    act.release("pay-2.zip", "pay-2.zip", settle=True, description="drops the old column, lastgood:floor")
    act.sim.advance(300)
    found = act.alarm_fires()
    act.record(found)


def with_a_pipeline(act: Act) -> None:
    """The pipeline: it runs again for the good commit, so that the newest task definition is right too."""
    good, bad = "7c9e0f1" + "a4" * 16 + "2", "d05b3e8" + "f6" * 16 + "1"
    act.local.restart(LASTGOOD_PIPELINES=PIPELINE_RULE)
    act.sim.ecs_group(act.application, act.group, "main", "cart", "cart", task_definitions=3)
    act.sim.pipeline("cart", act.application, act.group)
    for commit, number in ((good, 2), (bad, 3)):
        act.sim.push("cart", commit, number, settle=True)
        act.say("pipeline", f"commit {commit[:7]} is built into task definition cart:{number} and released: Succeeded")
        if commit == good:
            act.a_day_passes()
    act.sim.advance(240)
    found = act.alarm_fires()
    act.until_closed(found)
    act.until(found, lambda head: head["rerun_status"] == "Succeeded")
    act.say("pipeline", f"commit {good[:7]}, that of cart:2, is built again into cart:4, the newest: Succeeded")
    act.record(found)


def with_a_stack(act: Act) -> None:
    """SAM: a stack holds the alias, so the pipeline that updated the stack puts both back together."""
    good, bad = "3f81b7c" + "d9" * 16 + "4", "e64a0d2" + "5b" * 16 + "7"
    act.local.restart(LASTGOOD_FIND_STACKS="true", LASTGOOD_ACCOUNT_ID=ACCOUNT, LASTGOOD_PIPELINES=STACK_RULE)
    act.sim.lambda_group(act.application, act.group, "orders", "live", versions=3, config=AT_ONCE)
    act.sim.stack("orders", act.application, act.group)
    act.sim.pipeline("orders", act.application, act.group, deploys_with="CloudFormation", stack="orders")
    for commit, version in ((good, 2), (bad, 3)):
        act.sim.push("orders", commit, version, settle=True)
        act.sim.settle()
        act.say("pipeline", f"commit {commit[:7]} updates the stack orders to version {version}: Succeeded")
        if commit == good:
            act.a_day_passes()
    act.sim.advance(240)
    passed_on = act.local.head(act.alarm_fires())["passed_on_id"]
    act.tell(passed_on)
    act.until_closed(passed_on)
    act.sim.settle()
    stack = act.sim.stacks.stack("orders")
    act.say("stack", f"orders is {stack.status} and believes in version {stack.believes} again")
    act.record(passed_on)


AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"
STACK_RULE = '[{"application": "orders", "deployment_group": "*", "pipeline": "orders", "stage": "Deploy"}]'
PIPELINE_RULE = '[{"application": "cart", "deployment_group": "*", "pipeline": "cart", "after_rollback": "rerun"}]'


ACTS: tuple[tuple[type[Act], str, str, Callable[[Any], None]], ...] = (
    (Act, "shop", "prod", on_servers),
    (Act, "checkout", "prod", on_lambda),
    (Act, "web", "prod", on_ecs),
    (ServiceAct, "production", "api", on_ecs_service),
    (Act, "payments", "prod", refusal),
    (Act, "cart", "prod", with_a_pipeline),
    (Act, "orders", "prod", with_a_stack),
)


@contextmanager
def stage() -> Iterator[tuple[Simulator, Local]]:
    """A simulated AWS with the application in it; moto's alarms live by the simulated clock too."""
    with (
        patch.dict(os.environ, CREDENTIALS),
        simulated_aws() as sim,
        patch("moto.cloudwatch.models.utcnow", lambda: sim.clock.now().replace(tzinfo=None)),
    ):
        yield sim, Local(sim.clock, sim.advance)


def play(console: Console, only: Container[int] = range(1, len(ACTS) + 1)) -> None:
    """Play every act, or only those of some numbers."""
    for number, (act, application, group, perform) in enumerate(ACTS, start=1):
        if number not in only:
            continue
        console.rule(f"{number}. {(perform.__doc__ or '').rstrip('.')}", align="left")
        with stage() as (sim, local):
            perform(act(sim, local, console, application, group))


def transcript(only: Container[int] = range(1, len(ACTS) + 1)) -> str:
    """What the demo prints, as plain text; README and docs/demo.md show it."""
    out = io.StringIO()
    play(Console(file=out, width=WIDTH, color_system=None, highlight=False), only)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip()


def main() -> None:
    """Colour and act by act on a terminal, the plain transcript into a pipe."""
    if sys.stdout.isatty():
        play(Console(highlight=False))
    else:
        print(transcript())


if __name__ == "__main__":
    main()
