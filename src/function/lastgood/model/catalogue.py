"""The catalogue of reasons: what each one means, whether people are called, and what they should do.

The judgement, the notices, `lastgood doctor` and docs/runbook.md all read it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lastgood.model.groups import DeploymentGroup
from lastgood.model.phases import Outcome
from lastgood.model.reasons import Reason, Rejection

BLOCKED, FAILED, ROLLED_BACK, SKIPPED = Outcome.BLOCKED, Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.SKIPPED
_BY_HAND = "`lastgood rollback {group} --reason …`"
_FURTHER_BACK = "`lastgood rollback {group} --to DEPLOYMENT --force --reason …`"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason means, as a sentence, and what to do about it.

    `todo`: what people do, with commands in backticks; `{group}` and `{deployer}` are filled in by `what_to_do`.
    `ends`: the outcomes that it ends a rollback with; none where it only says why a rollback goes on.
    `calls_people`: people are called whatever the outcome. BLOCKED and FAILED always call them.
    `of_the_signal`: it is a judgement on this signal alone, so another signal that joined the rollback is not answered.
    `title` (with `{where}`) and `subject`: of the notice of the end, where the outcome alone says too little.
    """

    means: str
    todo: str = ""
    ends: tuple[Outcome, ...] = ()
    calls_people: bool = False
    of_the_signal: bool = False
    title: str = ""
    subject: str = ""


REASONS: Mapping[Reason, Meaning] = {
    # Why something is being done.
    Reason.SUSPECT_ACTIVE: Meaning("The suspect deployment is still running."),
    Reason.SUSPECT_SUCCEEDED: Meaning("The suspect deployment succeeded and is live."),
    Reason.SUSPECT_STOPPED: Meaning("The suspect deployment failed or was stopped, and may have reached a part."),
    Reason.NATIVE_ROLLBACK: Meaning("CodeDeploy or ECS rolls back by itself: lastgood watches it, or waits for it."),
    Reason.ALREADY_ROLLING_BACK: Meaning(
        "Somebody else is rolling back. lastgood watches; `BLOCKED` where that puts back what is blamed or known bad.",
        "Talk to the person who began it.",
        ends=(BLOCKED,),
    ),
    Reason.STACK_ROLLING_BACK: Meaning("The stack that made the release rolls back by itself: lastgood watches it."),
    Reason.VERIFIED: Meaning("The last good revision is live, and nothing of the suspect's is.", ends=(ROLLED_BACK,)),
    Reason.IN_PROGRESS: Meaning("The rollback is under way."),
    # Why a signal opens or changes nothing.
    Reason.ALREADY_OPEN: Meaning("The signal belongs to a rollback that is open for the group already."),
    Reason.UNROUTED_ALARM: Meaning(
        "The alarm leads to no deployment group, or its message names tags that CloudWatch does not have.",
        "Give the alarm the tags that the explanation names, or add it to `LASTGOOD_ROUTES`.",
        ends=(SKIPPED,),
        calls_people=True,
    ),
    Reason.KNOWN_BAD_RELEASED: Meaning(
        "A known-bad revision is released again. People are told; the release is not touched.",
        "Stop the release, or mark the revision good if it is: `lastgood mark good {group} DEPLOYMENT --reason …`.",
        ends=(SKIPPED,),
        calls_people=True,
        title="⚠️ A known-bad revision is being released to {where}",
        subject="KNOWN BAD RELEASED:",
    ),
    Reason.RELEASED_IN_ALARM: Meaning(
        "A release meets an alarm that fires already, so CloudWatch sends no new message. People are told; the release "
        "is not touched.",
        "Stop the release, or watch it. `LASTGOOD_RELEASE_IN_ALARM` says whether it is rolled back as well.",
        ends=(SKIPPED,),
        calls_people=True,
        title="⚠️ A release to {where} meets an alarm that fires already",
        subject="RELEASED IN ALARM:",
    ),
    Reason.FLOOR_RELEASED: Meaning(
        "A release says that nothing older may go back. Where `LASTGOOD_FLOORS_FROM` is `operators`, that does not "
        "count yet, and people are called.",
        "If that is a mistake: `lastgood floor clear {group} DEPLOYMENT --reason …`, before a rollback needs it. If it "
        "is true and does not count yet: `lastgood floor set {group} DEPLOYMENT --reason …`.",
        ends=(SKIPPED,),
        title="📌 A release to {where} says that it is a floor",
        subject="FLOOR RELEASED:",
    ),
    Reason.NOT_ALLOWED: Meaning(
        "The deployment group is not in `LASTGOOD_ALLOWED_GROUPS`.",
        "Add {group} to the stack's parameter AllowedGroups, or correct the route.",
        ends=(SKIPPED,),
        calls_people=True,
    ),
    # Why nothing was done.
    Reason.KILL_SWITCH: Meaning(
        "`LASTGOOD_KILL_SWITCH` is on.", "When it is time, deploy the stack with KillSwitch=false.", ends=(SKIPPED,)
    ),
    Reason.PAUSED: Meaning(
        "Somebody paused the deployment group, or everything.",
        "When it is time: `lastgood resume {group} --reason …`, or without the name for everything.",
        ends=(SKIPPED,),
        calls_people=True,
    ),
    Reason.MODE_OFF: Meaning(
        "The deployment group's mode is `off`.",
        "When it is time: `lastgood mode {group} auto --reason …`.",
        ends=(SKIPPED,),
    ),
    Reason.OBSERVE_MODE: Meaning(
        "The deployment group's mode is `observe`: the explanation says what would have been done.",
        "To let lastgood act: `lastgood mode {group} auto --reason …`.",
        ends=(Outcome.DRY_RUN,),
    ),
    Reason.STALE_SIGNAL: Meaning(
        "The message came too late, perhaps from a dead-letter queue.",
        f"Look at what is live, then decide by hand: {_BY_HAND}.",
        ends=(SKIPPED,),
        calls_people=True,
        of_the_signal=True,
    ),
    Reason.ALARM_NOT_CONFIRMED: Meaning(
        "CloudWatch does not confirm what the message says of the alarm.",
        "Look at the alarm in CloudWatch, and at what sent the message.",
        ends=(SKIPPED,),
        calls_people=True,
        of_the_signal=True,
    ),
    Reason.ALARM_RECOVERED: Meaning(
        "The alarm is OK again.", "There is nothing to do.", ends=(SKIPPED,), of_the_signal=True
    ),
    Reason.ALARM_SUPPRESSED: Meaning(
        "Another alarm suppresses the actions of this one.",
        "Look at the alarm's suppressor in CloudWatch.",
        ends=(SKIPPED,),
        of_the_signal=True,
    ),
    Reason.NOT_ATTRIBUTABLE: Meaning(
        "No release is the likely cause. Or one is, but nobody can tell which: then people are called.",
        "Look at traffic and dependencies. Where nothing was ever released, nothing can be rolled back: release first.",
        ends=(SKIPPED,),
        of_the_signal=True,
    ),
    Reason.NEWER_DEPLOYMENT: Meaning(
        "A deployment began after the breach did. It may be the fix, so it is left alone.",
        f"If it is not the fix, roll back by hand: {_BY_HAND}.",
        ends=(SKIPPED,),
        calls_people=True,
        of_the_signal=True,
    ),
    Reason.SUSPECT_IS_ROLLBACK: Meaning(
        "The newest deployment is a rollback, which did not help. A rollback is never rolled back.",
        f"Decide by hand; {_FURTHER_BACK} goes further back.",
        ends=(SKIPPED,),
        calls_people=True,
    ),
    Reason.RELEASED_BY_PIPELINE: Meaning(
        "A stack holds what would be moved. The pipeline stage that released it is rolled back instead, by a rollback "
        "of its own, which `passed_on_id` names.",
        ends=(SKIPPED,),
    ),
    Reason.MANAGED_BY_CLOUDFORMATION: Meaning(
        "A stack holds what would be moved, or nobody could tell whether one does. If the stack's release is still "
        "running, it is stopped where CodeDeploy rolls back by itself.",
        "Run the command for the stack that the explanation gives: it depends on the stack's state. In an emergency "
        "`lastgood rollback {group} --force --reason …` moves it all the same; `stack_debt` in the record says what "
        "then follows for the stack.",
        ends=(BLOCKED,),
    ),
    Reason.COOLDOWN: Meaning(
        "A rollback of the group has just ended, and the alarm fires again.",
        f"Decide by hand: {_BY_HAND}; {_FURTHER_BACK} goes further back.",
        ends=(SKIPPED,),
        calls_people=True,
    ),
    Reason.TOO_MANY_ROLLBACKS: Meaning(
        "The group has had its limit of rollbacks: something else is wrong. It is paused.",
        "Find the cause, then: `lastgood resume {group} --reason …`.",
        ends=(BLOCKED,),
        title="⛔ {where} has had its limit of rollbacks and is paused",
        subject="PAUSED:",
    ),
    Reason.STORM: Meaning(
        "Many deployment groups are in alarm at once: that is one shared fault, not many bad releases.",
        f"Look for the shared cause. Roll back single groups by hand ({_BY_HAND}); `lastgood resume --reason …` ends "
        "the storm for lastgood.",
        ends=(BLOCKED,),
        title="⛈️ Too many deployment groups are in alarm at once: rollbacks rest",
        subject="STORM:",
    ),
    Reason.NO_GOOD_REVISION: Meaning(
        "Nothing can be put back: no earlier revision is good, or none can be deployed any more.",
        "Fix forward, or mark good what you trust: `lastgood mark good {group} DEPLOYMENT --reason …`. A group that is "
        "new needs two releases: the first good one makes the second one reversible.",
        ends=(BLOCKED,),
        calls_people=True,
    ),
    Reason.BELOW_FLOOR: Meaning(
        "What could be put back is older than the floor: a database change is in between. The explanation says who set "
        "the floor.",
        "Fix forward, or revert the commit and release that. If the database can go back after all: "
        "`lastgood floor clear {group} DEPLOYMENT --reason …`.",
        ends=(BLOCKED,),
        calls_people=True,
    ),
    Reason.KNOWN_BAD: Meaning(
        "What could be put back is known bad.",
        "Fix forward. If a revision was marked wrongly: `lastgood mark good {group} DEPLOYMENT --reason …`.",
        ends=(BLOCKED,),
        calls_people=True,
    ),
    Reason.NEEDS_APPROVAL: Meaning(
        "The plan waits until somebody approves or rejects it.",
        "`lastgood approve ROLLBACK`, or `lastgood reject ROLLBACK --reason …`.",
        calls_people=True,
    ),
    Reason.APPROVAL_REJECTED: Meaning("Somebody rejected the plan.", "There is nothing to do.", ends=(SKIPPED,)),
    Reason.APPROVAL_EXPIRED: Meaning(
        "Nobody approved the plan in time.",
        f"If it is still wanted: {_BY_HAND}.",
        ends=(SKIPPED,),
        calls_people=True,
    ),
    Reason.ALREADY_LIVE: Meaning(
        "What was live before is already live again.",
        "If the alarm goes on firing, look at traffic and dependencies.",
        ends=(SKIPPED,),
    ),
    Reason.LIVE_DIFFERS: Meaning(
        "What is live is not what the history says, or not what the rollback deployment put back.",
        "Look at what is live before anything else. Release through {deployer} again, so that live and history agree.",
        ends=(BLOCKED, FAILED),
    ),
    Reason.OTHER_DEPLOYMENT: Meaning(
        "Somebody started a deployment after the stop, or after the rollback had succeeded.",
        "Talk to them: lastgood leaves their deployment alone.",
        ends=(BLOCKED, ROLLED_BACK),
    ),
    Reason.RECORD_CONTRADICTED: Meaning(
        "The record would act without its group's lock, or on a choice that no longer holds.",
        "Find out who wrote to the audit table, or whether it was restored.",
        ends=(BLOCKED,),
        of_the_signal=True,
    ),
    Reason.CONTENT_UNKNOWN: Meaning(
        "What was live before is live again, going by its name; nobody recorded what that name contained (a tag, an "
        "overwritten AppSpec).",
        "Look at what is live; release by digest, version or full commit from now on.",
        ends=(ROLLED_BACK,),
        calls_people=True,
    ),
    # Why it failed.
    Reason.GROUP_NOT_FOUND: Meaning(
        "The deployment group or the service does not exist.",
        "Correct the alarm's tags, or `LASTGOOD_ROUTES` (the stack's parameter Routes).",
        ends=(FAILED,),
    ),
    Reason.PERMISSION_DENIED: Meaning(
        "AWS did not allow a call.",
        "Allow what the explanation names; `lastgood doctor` finds the rest.",
        ends=(FAILED,),
    ),
    Reason.READ_REFUSED: Meaning(
        "AWS refused a read.", f"Fix what the explanation names, then decide by hand: {_BY_HAND}.", ends=(FAILED,)
    ),
    Reason.STOP_REFUSED: Meaning(
        "AWS refused to stop the suspect.", "Read AWS's answer in the explanation, and stop it there.", ends=(FAILED,)
    ),
    Reason.REDEPLOY_REFUSED: Meaning(
        "The last good revision cannot be deployed any more, or AWS refused to deploy it.",
        f"Read AWS's answer in the explanation. To put another revision back: {_FURTHER_BACK}.",
        ends=(FAILED,),
    ),
    Reason.ROLLBACK_DEPLOYMENT_FAILED: Meaning(
        "The rollback deployment failed; its error is in the explanation. lastgood does not try again by itself.",
        f"Fix what the error names, then decide by hand: {_FURTHER_BACK}.",
        ends=(FAILED,),
    ),
    Reason.DEADLINE_PASSED: Meaning(
        "The rollback did not end within `LASTGOOD_DEADLINE`.", "Watch the deployment in {deployer}.", ends=(FAILED,)
    ),
    Reason.DRILL_FAILED: Meaning(
        "No rollback: the daily drill found what would make one fail, and names it.",
        "Fix what it names, then try again: `lastgood drill`.",
        ends=(FAILED,),
        title="🧯 The daily drill failed: a rollback might fail today",
        subject="DRILL FAILED:",
    ),
}
"""Every reason. A dry run ends with the reason that the real rollback would begin with."""

OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.ROLLED_BACK: (
        "the last good revision is live, proven unless the reason says otherwise",
        "see whether the alarm recovered: `alarm_recovered_at`",
    ),
    Outcome.SKIPPED: (
        "nothing was touched and, as far as lastgood could see, nothing should have been",
        "read the explanation",
    ),
    Outcome.BLOCKED: (
        "the release may be bad, and lastgood must not act",
        "you are needed: the reason says for what",
    ),
    Outcome.FAILED: (
        "it acted, or tried, and it did not work",
        "look at what is live, then at the explanation",
    ),
    Outcome.DRY_RUN: (
        "nothing was touched, because only a plan was wanted",
        "the explanation says what would have been done",
    ),
}
"""What each outcome means, and what to look at first."""

REJECTIONS: Mapping[Rejection, str] = {
    Rejection.SUSPECT: "The alarm blames it.",
    Rejection.NOT_BEFORE_SUSPECT: "It is not older than the oldest suspect.",
    Rejection.NOT_SUCCEEDED: "It did not succeed.",
    Rejection.SAME_REVISION: "It deployed the suspect's revision.",
    Rejection.SAME_CONTENT: "Under another name it contains what the suspect contains.",
    Rejection.KNOWN_BAD: "Its revision was rolled away from before, or somebody marked it bad.",
    Rejection.ROLLED_BACK_BY_CODEDEPLOY: "CodeDeploy rolled it back by itself.",
    Rejection.SCALE_OUT: "It only brought new instances up to date, and released nothing.",
    Rejection.OUTDATED_INSTANCES_ONLY: "It only updated instances that had missed a release.",
    Rejection.RESTART: "It restarted what was live, and released nothing.",
    Rejection.BELOW_FLOOR: "It is older than the floor.",
    Rejection.UNREADABLE_REVISION: "What it deployed could not be read.",
    Rejection.NOT_DEPLOYABLE: "It can no longer be deployed.",
    Rejection.NOT_REQUESTED: "Another one was asked for.",
    Rejection.CONTENT_UNKNOWN: "Nobody knows what its name stood for when it was deployed.",
    Rejection.OTHER_TARGET: "It deployed another function or service than the suspect.",
    Rejection.OTHER_SETTINGS: "The suspect changed the service's own settings alone, which no redeployment puts back.",
    Rejection.UNPROVEN: "It did not serve for long enough with quiet alarms, and a proven one is older.",
}
"""What each rejection of a candidate means."""


def calls_people(reason: Reason, outcome: Outcome | None) -> bool:
    """Whether people are called for a rollback that is, or ends, like this."""
    return REASONS[reason].calls_people or outcome in {Outcome.BLOCKED, Outcome.FAILED}


def what_to_do(reason: Reason, group: DeploymentGroup | None) -> str:
    """What people should do about it, with the group's name in the commands; empty where there is nothing to do."""
    key, deployer = (group.key, group.deployer) if group else ("APPLICATION/GROUP", "CodeDeploy or ECS")
    return REASONS[reason].todo.format(group=key, deployer=deployer)
