"""The function's settings: one frozen value, read once from the environment, all problems reported at once.

`Settings` is the only list of the settings: the template, the README's table and the tests are checked against it.
`setting_rules` says how the text of each is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from lastgood.errors import SettingsError
from lastgood.model import (
    AppSpecHooks,
    AppSpecParts,
    CheckBundles,
    DeploymentGroup,
    FloorsFrom,
    Mode,
    OthersOfARelease,
    Policy,
    ReleaseInAlarm,
    RollbackPauses,
    StopWithoutTarget,
    parse_stage,
)
from lastgood.setting_rules import (
    EMPTY_MEANS_NONE,
    FileExists,
    PipelineRule,
    Route,
    at_least,
    one_of,
    parse_count,
    parse_duration,
    parse_flag,
    parse_globs,
    parse_pipelines,
    parse_regions,
    parse_routes,
    parse_text,
)

__all__ = [
    "PipelineRule",
    "Route",
    "Settings",
    "parse_duration",
    "unknown_variables",
    "variable",
]


def _setting(default: str | None, parse: Callable[[str], Any], about: str) -> Any:
    """A field of Settings: its default, as written in the environment (None: required), its rule and its meaning."""
    return field(metadata={"default": default, "parse": parse, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; the variable of `attribution_window` is `LASTGOOD_ATTRIBUTION_WINDOW`."""

    table: str = _setting(None, parse_text, "The audit table's name.")
    notification_topic_arn: str = _setting("", parse_text, "Where notices go. Empty: no notices.")
    event_bus: str = _setting("default", parse_text, "The EventBridge bus for outcome events. Empty: none.")
    account_id: str = _setting(
        "", parse_text, "This account: alarms of another account or region are refused. Empty: not checked."
    )
    account_name: str = _setting(
        "", parse_text, "What people call this account, such as prod-eu: notices say it. Empty: they say its number."
    )
    alarm_topic_arns: tuple[str, ...] = _setting(
        "",
        parse_globs,
        "Topics whose messages are accepted, separated by commas. Empty: any that may invoke the function.",
    )
    alarm_regions: tuple[str, ...] = _setting(
        "",
        parse_regions,
        "Other regions of this account whose alarms may command too, separated by commas: those of CloudFront, Route "
        "53 and WAF are in us-east-1 only. Each needs the satellite stack.",
    )
    mode: Mode = _setting(
        "auto",
        one_of(Mode),
        "How far lastgood goes by itself: auto, approve, observe or off. A new stack only observes.",
    )
    kill_switch: bool = _setting(
        "false", parse_flag, "The break-glass: true stops every rollback, with no table needed."
    )
    doors: bool = _setting(
        "false",
        parse_flag,
        "Take what operators ask only through the aliases read, operate and approve, each with a right of its own; "
        "the person who asked for a rollback may not approve it.",
    )
    routes: tuple[Route, ...] = _setting(
        "[]",
        parse_routes,
        "Alarm name globs and their deployment groups or ECS services, as JSON. A <placeholder> takes its text from "
        "the alarm's name, or from the attribute of that name of the time series that fires.",
    )
    group_alarms: bool = _setting(
        "false",
        parse_flag,
        "Take the alarms that a CodeDeploy group lists itself, and watches, as routes where no tag and no route claims "
        "them; one that several groups list is refused. Needs codedeploy:ListApplications, ListDeploymentGroups and "
        "BatchGetDeploymentGroups.",
    )
    pipelines: tuple[PipelineRule, ...] = _setting(
        "[]",
        parse_pipelines,
        "Deployment groups or ECS services (globs), the pipeline that releases to them, and what to do with it after a "
        "rollback, as JSON. The first that fits counts.",
    )
    default_application: str = _setting("", parse_text, "The application of alarms that nothing else claims.")
    default_deployment_group: str = _setting("", parse_text, "The deployment group of such alarms.")
    allowed_groups: tuple[str, ...] = _setting(
        "*",
        parse_globs,
        "Globs of application/deployment-group, or ecs:cluster/service, that may be rolled back at all, separated by "
        "commas.",
    )
    attribution_window: timedelta = _setting("1h", at_least("1m"), "How long after a deployment an alarm may blame it.")
    evaluation_window: timedelta = _setting(
        "5m", parse_duration, "How far back an alarm looks, where its message does not say."
    )
    max_signal_age: timedelta = _setting("15m", at_least("10s"), "An alarm older than this starts nothing.")
    require_still_in_alarm: bool = _setting("true", parse_flag, "Whether an alarm that has recovered starts nothing.")
    require_evidence: bool = _setting(
        "false",
        parse_flag,
        "Act only where the alarm's own metric breaches its threshold in GetMetricData: then a person who may only set "
        "an alarm's state cannot start a rollback.",
    )
    cooldown: timedelta = _setting("30m", parse_duration, "The rest after a rollback of the same deployment group.")
    max_rollbacks: int = _setting(
        "3", parse_count, "Rollbacks of one deployment group in the rollback window. 0: no limit."
    )
    rollback_window: timedelta = _setting("24h", at_least("5m"), "The window in which rollbacks are counted.")
    storm_groups: int = _setting(
        "5",
        parse_count,
        "More deployment groups than this in alarm within the storm window stop all rollbacks. 0: never.",
    )
    storm_window: timedelta = _setting("10m", at_least("1m"), "The window in which alarmed groups are counted.")
    stop_without_target: StopWithoutTarget = _setting(
        "first-deployment",
        one_of(StopWithoutTarget),
        "Whether a deployment is stopped when nothing can be put back: first-deployment stops it only where no earlier "
        "good revision exists, always also where only revisions below the floor or known bad ones do.",
    )
    native_rollback: bool = _setting("true", parse_flag, "Let CodeDeploy flip the traffic back itself where it can.")
    server_deployment_config: str = _setting(
        "CodeDeployDefault.AllAtOnce",
        parse_text,
        "Deployment configuration of rollbacks to servers. Empty: the group's.",
    )
    lambda_deployment_config: str = _setting(
        "CodeDeployDefault.LambdaAllAtOnce", parse_text, "The same for Lambda. Empty: the group's."
    )
    ecs_deployment_config: str = _setting(
        "CodeDeployDefault.ECSAllAtOnce", parse_text, "The same for ECS. Empty: the group's."
    )
    file_exists_behavior: FileExists = _setting(
        "OVERWRITE", one_of(FileExists), "What a rollback does with files it finds on servers."
    )
    ignore_application_stop_failures: bool = _setting(
        "true", parse_flag, "Go on when the scripts of the revision that is replaced fail."
    )
    floors_from: FloorsFrom = _setting(
        "both",
        one_of(FloorsFrom),
        "Who may say that nothing older goes back: a release, in its description or in the tags of its revision; "
        "operators, with lastgood floor set; or both.",
    )
    check_bundles: CheckBundles = _setting(
        "false",
        one_of(CheckBundles),
        "Whether a bundle in S3 is still there is asked before anything is stopped (present), and what its tags say, a "
        "floor or a wish for approval (true; needs s3:GetObjectTagging too). With false, only a bundle without version "
        "and ETag is looked for. A stack says present, or false where ArtifactBucketArns is empty.",
    )
    find_stacks: bool = _setting(
        "false",
        parse_flag,
        "Ask CloudFormation whether a stack holds the alias or the service that would be moved: deployments of SAM and "
        "CDK mostly do not say so themselves. What one holds, or may hold, is moved only with force; needs "
        "cloudformation:DescribeStackResources and cloudformation:DescribeStacks.",
    )
    cancel_stack_updates: str = _setting(
        "",
        parse_text,
        "Stacks (a glob over names) whose update may be cancelled while it runs, where it released what is bad and "
        "CodeDeploy cannot put it back: that undoes the whole update, whatever else it changes. Empty: none. Needs "
        "LASTGOOD_FIND_STACKS and cloudformation:CancelUpdateStack.",
    )
    rerun_outdated_stages: bool = _setting(
        "false",
        parse_flag,
        "Where a pipeline was changed since its last good execution, RollbackStage is refused: run the pipeline again "
        "from its start for that execution's source revisions instead, never for the newest; needs "
        "codepipeline:StartPipelineExecution.",
    )
    release_in_alarm: ReleaseInAlarm = _setting(
        "tell",
        one_of(ReleaseInAlarm),
        "What to do when a release comes while its alarm fires already, for then CloudWatch sends no message: tell "
        "people, or also roll it back when the alarm still fires some time after the release is done.",
    )
    release_in_alarm_grace: timedelta = _setting("10m", parse_duration, "How long that alarm may go on firing.")
    appspec_hooks: AppSpecHooks = _setting(
        "present",
        one_of(AppSpecHooks),
        "Whether a rollback runs the validation functions of the old AppSpec: all, those that still exist, or none.",
    )
    appspec_parts: AppSpecParts = _setting(
        "keep",
        one_of(AppSpecParts),
        "Whether a rollback under CodeDeploy's ECS brings back the network and the capacity of the old AppSpec, or "
        "keeps today's.",
    )
    rollback_pauses: RollbackPauses = _setting(
        "tell",
        one_of(RollbackPauses),
        "What to do when a rollback's own deployment waits for a go-ahead (a PAUSE hook of ECS, or Ready at "
        "CodeDeploy): tell people, or give it.",
    )
    release_set: OthersOfARelease = _setting(
        "tell",
        one_of(OthersOfARelease),
        "What happens to the other groups that a release changed, once one of them is rolled back: people are told how "
        "they go back too, or they follow, each under guards of its own. A run of a pipeline of LASTGOOD_PIPELINES is "
        "one release.",
    )
    override_alarms: bool = _setting(
        "true",
        parse_flag,
        "Switch the group's own alarms off for the rollback; without it a firing alarm stops it at once.",
    )
    deadline: timedelta = _setting("2h", at_least("5m"), "After this an open rollback is closed as failed.")
    approval_expiry: timedelta = _setting("30m", at_least("1m"), "How long a plan waits for approval.")
    recovery_window: timedelta = _setting("15m", at_least("1m"), "How long the alarm is watched after a rollback.")
    proven_after: timedelta = _setting(
        "15m", parse_duration, "How long a revision must have served, with quiet alarms, to count as good."
    )
    known_bad_heals_after: timedelta = _setting(
        "7d",
        at_least("1h"),
        "How long a known-bad revision must have served quietly, released again, to count as good again.",
    )
    retention: timedelta = _setting("400d", at_least("30d"), "How long audit records are kept.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting. Raises SettingsError with all problems, each by its variable's name."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for spec in fields(cls):
            name, default = variable(spec.name), spec.metadata["default"]
            parse = spec.metadata["parse"]
            text = environ.get(name, "").strip() or default
            if name in environ and default and parse in EMPTY_MEANS_NONE:
                text = environ[name]
            if text is None:
                problems.append(f"{name} is missing: {spec.metadata['about']}")
                continue
            try:
                values[spec.name] = parse(text.strip())
            except ValueError as error:
                problems.append(f"{name}: {error}; it is {text[:80]!r}")
        if bool(values.get("default_application")) != bool(values.get("default_deployment_group")):
            problems.append("LASTGOOD_DEFAULT_APPLICATION and LASTGOOD_DEFAULT_DEPLOYMENT_GROUP go together")
        if values.get("cancel_stack_updates") and not values.get("find_stacks"):
            problems.append("LASTGOOD_CANCEL_STACK_UPDATES needs LASTGOOD_FIND_STACKS")
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    def pipeline_of(self, group: DeploymentGroup) -> PipelineRule | None:
        """The first rule whose globs cover the deployment group."""
        return next(iter(self.pipelines_of(group)), None)

    def pipelines_of(self, group: DeploymentGroup) -> tuple[PipelineRule, ...]:
        """Every rule whose globs cover the deployment group: several pipelines may release to it."""
        return tuple(rule for rule in self.pipelines if rule.covers(group))

    def stages_of(self, group: DeploymentGroup) -> tuple[DeploymentGroup, ...]:
        """The stages that may release to the deployment group through its stack, by all rules that cover it."""
        named = (f"{rule.pipeline}/{rule.stage}" for rule in self.pipelines_of(group) if rule.stage)
        return tuple(map(parse_stage, dict.fromkeys(named)))

    def policy(self) -> Policy:
        """The settings that decisions need, without what operators set on top of them."""
        return Policy(**{spec.name: getattr(self, spec.name) for spec in fields(Policy) if hasattr(self, spec.name)})


def variable(field_name: str) -> str:
    """The environment variable of a setting."""
    return "LASTGOOD_" + field_name.upper()


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """`LASTGOOD_…` variables that are not settings: `health` reports them, because a misspelt one has no effect."""
    known = {variable(spec.name) for spec in fields(Settings)}
    return sorted(name for name in environ if name.startswith("LASTGOOD_") and name not in known)
