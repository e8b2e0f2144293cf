"""PartiQL statements over the audit table: shown in the README, run by the tests."""

from __future__ import annotations

EXAMPLES: tuple[tuple[str, str], ...] = (
    (
        "What happened on a day, newest first:",
        """SELECT opened_at, deployment_group_key, outcome, reason_code, explanation
FROM "AuditTable"."by_day" WHERE day = '2026-11-23' ORDER BY opened_at DESC""",
    ),
    (
        "What happened to one deployment group since a time:",
        """SELECT opened_at, outcome, suspect_deployment_id, good_deployment_id, rollback_deployment_id
FROM "AuditTable"."by_deployment_group"
WHERE deployment_group_key = 'shop/prod' AND opened_at >= '2026-11-01'""",
    ),
    (
        "One rollback, whole, with every step in order:",
        """SELECT * FROM "AuditTable" WHERE pk = 'ROLLBACK#rb-20261123T100412345Z-0123456789ab'""",
    ),
    (
        "What is open right now:",
        """SELECT rollback_id, phase, deployment_group_key, next_check_at
FROM "AuditTable"."open" WHERE open_key = 'open'""",
    ),
    (
        "What lastgood remembers of a deployment group (lock, floor, mode, pause, known-bad revisions):",
        """SELECT * FROM "AuditTable" WHERE pk = 'GROUP#shop/prod'""",
    ),
    (
        "The notebook of its releases (what each contained, what it replaced, when it served):",
        """SELECT * FROM "AuditTable" WHERE pk = 'GROUP#shop/prod' AND begins_with(sk, 'RELEASE#')""",
    ),
    (
        "Rollbacks of a group that called for people:",
        """SELECT opened_at, outcome, reason_code, explanation FROM "AuditTable"."by_deployment_group"
WHERE deployment_group_key = 'shop/prod' AND opened_at >= '2026-11-01' AND needs_human = true""",
    ),
)
