"""The validation functions of an old AppSpec: which of them no longer exist."""

from __future__ import annotations

from collections.abc import Callable

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpec, AppSpecError
from lastgood.errors import RefusedError
from lastgood.model import AppSpecHooks, Gone, LeftOut


def missing_hooks(clients: Clients, spec: AppSpec, setting: AppSpecHooks) -> tuple[str, ...]:
    """The functions that are gone. With `drop` none matters; one that may not be read is assumed to exist."""
    return () if setting is AppSpecHooks.DROP else tuple(name for name in spec.hooks if _is_gone(clients, name))


def rejection(clients: Clients, content: Callable[[], str], setting: AppSpecHooks) -> str:
    """Why this AppSpec can no longer be deployed, as a sentence; empty if its hooks allow it.

    Only where all hooks are kept one that is gone matters, so only then are they looked at before anything is stopped.
    """
    if setting is not AppSpecHooks.KEEP:
        return ""
    try:
        missing = missing_hooks(clients, AppSpec(content()), setting)
    except AppSpecError:
        return ""
    return " ".join(f"{gone.why[0].upper()}{gone.why[1:]}." for gone in in_the_way(missing, setting))


def _is_gone(clients: Clients, function: str) -> bool:
    try:
        call(clients.lambda_, "get_function_configuration", FunctionName=function)
    except RefusedError as error:
        return error.code == "ResourceNotFoundException"
    return False


def in_the_way(missing: tuple[str, ...], setting: AppSpecHooks) -> tuple[Gone, ...]:
    """With `keep`, an AppSpec cannot be deployed once one of its hooks is gone."""
    if not missing or setting is not AppSpecHooks.KEEP:
        return ()
    why = (
        f"its AppSpec is validated by {', '.join(missing)}, which no longer exists. LASTGOOD_APPSPEC_HOOKS=present "
        "leaves such a hook out"
    )
    return (Gone(why),)


def left_out(missing: tuple[str, ...]) -> tuple[LeftOut, ...]:
    """The remark that hooks are left out; empty if none is missing."""
    return (LeftOut(f"Its hooks {', '.join(missing)} no longer exist and are left out."),) if missing else ()
