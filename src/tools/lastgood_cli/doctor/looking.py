"""A look at AWS that ends in checks, also where AWS does not let it."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from lastgood.errors import LastgoodError, RefusedError
from lastgood_cli import by_hand
from lastgood_cli.checks import Check

GONE = {"NotFound", "NotFoundException", "ResourceNotFoundException", "NoSuchEntity", "QueueDoesNotExist"}
_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}
_UNKNOWN_CALL = {"InvalidAction", "UnknownOperationException", "UnknownOperation", "NotImplemented"}
_NO_GROUP = {"DeploymentGroupDoesNotExistException", "ApplicationDoesNotExistException"}
type Found = Check | tuple[Check, ...]


def attempted(name: str, look: Callable[[], Found]) -> tuple[Check, ...]:
    """The checks that `look` makes; where AWS does not let it, one that says what is missing."""
    try:
        found = look()
    except ClientError as error:
        told = error.response.get("Error", {})
        return (_unmade(name, error.operation_name, str(told.get("Code", "")), str(told.get("Message", ""))),)
    except RefusedError as error:
        return (_unmade(name, error.operation, error.code, error.message),)
    except (BotoCoreError, LastgoodError) as error:
        return (Check(name, None, str(error), by_hand.again()),)
    except ResponseParserError:
        return (Check(name, None, "The answer cannot be read.", by_hand.look_at_network()),)
    return found if isinstance(found, tuple) else (found,)


def _unmade(name: str, operation: str, code: str, message: str) -> Check:
    if code in _DENIED:
        return Check(name, None, f"You may not call {operation}.", by_hand.ask_for_permission())
    if code in GONE or code.endswith("NonExistentQueue"):
        what = operation.removeprefix("Describe").removeprefix("Get")
        return Check(name, False, f"It does not exist: {operation} answers {code}.", by_hand.restore(what))
    if code in _NO_GROUP:
        return Check(name, False, message, by_hand.sort_out_routes())
    if code == "PipelineNotFoundException":
        return Check(name, False, "CodePipeline has no pipeline of that name here.", by_hand.no_such_pipeline())
    if code in _UNKNOWN_CALL:
        return Check(name, None, f"{operation} is unknown here: {message}", by_hand.look_in_console())
    return Check(name, None, f"{operation} answers {code}: {message}", by_hand.again())
