"""The nouns of a rollback: frozen values and enums, standard library only.

`groups`: where a revision is deployed. `deployments`: what was deployed there, and what is live. `notes`: what the
notebook says of a release. `record`: a rollback, its phases and its outcomes. `due`: what a record calls for.
`reasons`: the codes that say why; `catalogue`: what each means, and what people do. `policy`: what settings and
operators allow. `observation`: the facts of one look. `places`: where an alarm is. `stacks`: whether a stack holds what
would be moved.

Stored values use AWS's own spelling (`"InProgress"`, `"ALARM"`). All times are aware and in UTC.
"""

from __future__ import annotations

from lastgood.model.catalogue import (
    OUTCOMES,
    REASONS,
    REJECTIONS,
    Meaning,
    calls_people,
    what_to_do,
)
from lastgood.model.deployments import (
    APPROVAL_MARKER,
    BEFORE,
    CLOUDFORMATION_CREATORS,
    CLOUDFORMATION_ROLLBACK_CREATOR,
    FLOOR_MARKER,
    NATIVE_ROLLBACK_CREATOR,
    SCALE_OUT_CREATORS,
    TERMINAL_STATUSES,
    Deployment,
    Evidence,
    Gate,
    Image,
    Live,
    Marks,
    Preparation,
    Revision,
    same_content,
    same_images,
)
from lastgood.model.due import (
    TIMES,
    follow_up_due,
    notices_due,
    seconds_of,
)
from lastgood.model.groups import (
    CAPABILITIES,
    KEY_PREFIXES,
    Capabilities,
    ComputePlatform,
    Controller,
    DeploymentGroup,
    GroupFacts,
    parse_ecs_service,
    parse_prefixed,
    parse_stage,
    prefix_of,
)
from lastgood.model.notes import Note, around
from lastgood.model.observation import (
    AlarmFacts,
    AlarmHistory,
    AlarmState,
    Firing,
    Observation,
    Onset,
)
from lastgood.model.places import AlarmPlace, name_of
from lastgood.model.policy import (
    Controls,
    Floor,
    Mode,
    PastRollback,
    Pause,
    Policy,
)
from lastgood.model.reasons import (
    Reason,
    Rejection,
)
from lastgood.model.record import (
    GROUPS,
    NEXT_PHASES,
    Bookkeeping,
    Candidate,
    Choice,
    FollowUp,
    Outcome,
    Phase,
    Progress,
    Rollback,
    Trail,
    Trigger,
    TriggerKind,
)
from lastgood.model.stacks import (
    Origin,
    goes_back_by_itself,
)

__all__ = [
    "APPROVAL_MARKER",
    "BEFORE",
    "CAPABILITIES",
    "CLOUDFORMATION_CREATORS",
    "CLOUDFORMATION_ROLLBACK_CREATOR",
    "FLOOR_MARKER",
    "GROUPS",
    "KEY_PREFIXES",
    "NATIVE_ROLLBACK_CREATOR",
    "NEXT_PHASES",
    "OUTCOMES",
    "REASONS",
    "REJECTIONS",
    "SCALE_OUT_CREATORS",
    "TERMINAL_STATUSES",
    "TIMES",
    "AlarmFacts",
    "AlarmHistory",
    "AlarmPlace",
    "AlarmState",
    "Bookkeeping",
    "Candidate",
    "Capabilities",
    "Choice",
    "ComputePlatform",
    "Controller",
    "Controls",
    "Deployment",
    "DeploymentGroup",
    "Evidence",
    "Firing",
    "Floor",
    "FollowUp",
    "Gate",
    "GroupFacts",
    "Image",
    "Live",
    "Marks",
    "Meaning",
    "Mode",
    "Note",
    "Observation",
    "Onset",
    "Origin",
    "Outcome",
    "PastRollback",
    "Pause",
    "Phase",
    "Policy",
    "Preparation",
    "Progress",
    "Reason",
    "Rejection",
    "Revision",
    "Rollback",
    "Trail",
    "Trigger",
    "TriggerKind",
    "around",
    "calls_people",
    "follow_up_due",
    "goes_back_by_itself",
    "name_of",
    "notices_due",
    "parse_ecs_service",
    "parse_prefixed",
    "parse_stage",
    "prefix_of",
    "same_content",
    "same_images",
    "seconds_of",
    "what_to_do",
]
