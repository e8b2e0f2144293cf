"""What can go wrong at the command line, as one line: what is wrong, and the next command to try. Never a traceback."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import IntEnum

import click
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)
from botocore.parsers import ResponseParserError

from lastgood.errors import ExpiredError, LastgoodError, RefusedError, RetryableError, SettingsError
from lastgood.text import clean

MOST = 400


class Exit(IntEnum):
    """The exit codes. Every command uses them; docs/cli.md lists them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    AWS = 4
    UNEXPECTED = 5
    SKIPPED = 10
    BLOCKED = 11
    FAILED = 12
    DRY_RUN = 13
    STILL_OPEN = 20
    WAITS_FOR_APPROVAL = 21
    INTERRUPTED = 130


ABOUT: Mapping[Exit, str] = {
    Exit.DONE: "It worked. For `status`: ROLLED_BACK.",
    Exit.REFUSED: "Refused, or found wanting: the function refused a request, `doctor` found a fault, or you said no.",
    Exit.USAGE: "The command line is wrong: an unknown option, a bad time, a missing `--yes`.",
    Exit.NOT_FOUND: "No such stack, table, function, rollback or event.",
    Exit.AWS: "AWS did not answer as needed: credentials, permission, region, throttling, network.",
    Exit.UNEXPECTED: "A mistake in lastgood itself, or something that nobody foresaw.",
    Exit.SKIPPED: "`status`: SKIPPED.",
    Exit.BLOCKED: "`status`: BLOCKED, people must act.",
    Exit.FAILED: "`status`: FAILED, people must act.",
    Exit.DRY_RUN: "`status`: DRY_RUN.",
    Exit.STILL_OPEN: "`status`: still open, also when `--timeout` is over.",
    Exit.WAITS_FOR_APPROVAL: "`status`: waits for approval.",
    Exit.INTERRUPTED: "Interrupted with Ctrl-C.",
}


EXTRAS: Mapping[str, str] = {"moto": "demo", "flask": "demo", "samtranslator": "permissions", "yaml": "demo"}
"""Package → the extra of pyproject.toml that brings it."""


class Problem(Exception):
    """What keeps a command from going on: one line for people, the next command to try, an exit code."""

    def __init__(self, message: str, next_command: str = "", exit_code: Exit = Exit.UNEXPECTED) -> None:
        super().__init__(message)
        self.message = message
        self.next_command = next_command
        self.exit_code = exit_code

    def line(self) -> str:
        """`lastgood: There is no table X. Try: lastgood --stack NAME audit list`."""
        said = clean(self.message.strip(), MOST)
        said += "" if said.endswith((".", "?", "…", "!")) else "."
        return f"lastgood: {said}" + (f" Try: {clean(self.next_command, MOST)}" if self.next_command else "")


def problem_of(error: BaseException, profile: str = "") -> Problem:  # noqa: C901, PLR0912 - a case for each error
    """Any exception as a Problem. `profile` is the AWS profile in use; empty for the default one."""
    cause = error.__cause__
    match error:
        case Problem():
            return error
        case click.Abort():
            return Problem("Interrupted; nothing more is done", "", Exit.INTERRUPTED)
        case click.ClickException():
            return _usage(error)
        case SettingsError():
            return Problem(f"The function's settings are wrong: {error}", "lastgood doctor", Exit.AWS)
        case RefusedError() if isinstance(cause, BotoCoreError | ClientError):
            return problem_of(cause, profile)
        case RefusedError():
            return _refused(error.operation, error.code, error.message, profile)
        case ExpiredError():
            return _expired(profile)
        case RetryableError():
            return Problem(f"AWS did not answer: {error}", "the same command again in a moment", Exit.AWS)
        case LastgoodError():
            return Problem(str(error), "lastgood doctor", Exit.UNEXPECTED)
        case ModuleNotFoundError() if _extra(error):
            told = f"This needs {error.name}, which comes with lastgood[{_extra(error)}]"
            return Problem(told, f"pipx install --force '.[{_extra(error)}]', in the checkout", Exit.USAGE)
        case UnicodeEncodeError():
            return Problem("What was typed holds a character that is none", "the same without it", Exit.USAGE)
        case ResponseParserError():
            told = "What answered is not AWS: its answer cannot be read"
            return Problem(told, "another --region or --endpoint-url, or look at proxies", Exit.AWS)
        case ClientError():
            answer = error.response.get("Error", {})
            return _refused(error.operation_name, answer.get("Code", ""), answer.get("Message", ""), profile)
        case BotoCoreError():
            return _unanswered(error, profile)
        case _:
            return Problem(f"{type(error).__name__}: {error}. This is a mistake in lastgood", "lastgood --help")


def _extra(error: ModuleNotFoundError) -> str:
    return EXTRAS.get(str(error.name).split(".")[0], "")


def _usage(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "lastgood"
    return Problem(error.format_message(), f"{path} --help", Exit.USAGE)


def _unanswered(error: BotoCoreError, profile: str) -> Problem:
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return Problem("There are no AWS credentials", "lastgood --profile NAME …, or: aws configure", Exit.AWS)
        case ProfileNotFound():
            return Problem(str(error), "aws configure list-profiles", Exit.AWS)
        case CredentialRetrievalError() | SSOError():
            return Problem(f"The credentials cannot be had: {error}", _sign_in(profile), Exit.AWS)
        case NoRegionError():
            return Problem("No region is given", "lastgood --region us-east-1 …", Exit.AWS)
        case InvalidRegionError():
            return Problem(str(error), "lastgood --region us-east-1 …", Exit.AWS)
        case HTTPClientError() | ConnectionError():
            told = f"AWS cannot be reached: {error}"
            return Problem(told, "another --region or --endpoint-url, or look at the network", Exit.AWS)
        case _:
            return Problem(f"{type(error).__name__}: {error}", "lastgood doctor", Exit.AWS)


_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_KEY = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "InvalidAccessKeyId",
    "AuthFailure",
}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
}


def _refused(operation: str, code: str, message: str, profile: str) -> Problem:
    if code in _DENIED:
        told = f"You may not do this ({operation}): {message}"
        return Problem(told, "lastgood permissions operator --acting", Exit.AWS)
    if code in _EXPIRED:
        return _expired(profile)
    if code in _UNKNOWN_KEY:
        return Problem(f"AWS does not know these credentials ({code})", "aws sts get-caller-identity", Exit.AWS)
    if code in _THROTTLED:
        return Problem(f"AWS is throttling {operation}", "the same command again in a moment", Exit.AWS)
    if code in {"ResourceNotFoundException", "TableNotFoundException"}:
        told = f"{operation} found nothing there ({message}): the name or the region is wrong"
        return Problem(told, "lastgood --stack NAME --region REGION …", Exit.NOT_FOUND)
    told = f"AWS refused {operation} with {code}: {message.strip(' .') or 'it does not say why'}"
    return Problem(told, "lastgood doctor", Exit.AWS)


def _expired(profile: str) -> Problem:
    return Problem("The AWS credentials have expired", f"{_sign_in(profile)}, or fetch new ones", Exit.AWS)


def _sign_in(profile: str) -> str:
    named = profile or os.environ.get("AWS_PROFILE", "")
    return f"aws sso login --profile {named}" if named else "aws sso login"
