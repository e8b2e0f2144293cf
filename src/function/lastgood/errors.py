"""The errors that cross modules. Each says who must act and whether trying again can help."""

from __future__ import annotations

from typing import Any


class LastgoodError(Exception):
    """Any error that lastgood raises on purpose."""


class SettingsError(LastgoodError):
    """The function's settings are wrong. The people who deployed the stack must act; a retry cannot help.

    `problems` lists every one of them, each with the variable's name and the rule it breaks.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("settings: " + "; ".join(problems))
        self.problems = problems


class RetryableError(LastgoodError):
    """AWS did not answer as it should (throttling, 5xx, no connection). A retry will help; nothing is lost."""


class PassingError(RetryableError):
    """AWS refused a call for now, without effect: another operation is in progress there, and will end."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation} was refused for now with {code}: {message}")


class ExpiredError(RetryableError):
    """The credentials have expired. The function's next environment has fresh ones; a person has to sign in again."""


class AmbiguousError(RetryableError):
    """A writing call was sent and no usable answer came: it may or may not have taken effect."""


class LostLeaseError(RetryableError):
    """Another invocation has advanced the rollback meanwhile. Leave it to that one."""


class RefusedError(LastgoodError):
    """AWS refused a call for good: permission, a missing resource, an invalid request. A retry cannot help.

    `code` is the AWS error code; people must act.
    """

    def __init__(self, operation: str, code: str, message: str, response: dict[str, Any] | None = None) -> None:
        super().__init__(f"{operation} was refused with {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message
        self.response = response or {}

    @property
    def permission_denied(self) -> bool:
        """True when the function's role lacks a permission."""
        return self.code in {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}


class GroupNotFoundError(RefusedError):
    """The application or the deployment group does not exist. Correct the route or the alarm's tags."""


class GroupBusyError(RefusedError):
    """The group already has an active deployment (`DeploymentLimitExceededException`). Look at it first."""


class AlreadyCompletedError(RefusedError):
    """The deployment that was to be stopped has ended already. Read it again."""
