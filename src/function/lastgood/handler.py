"""The Lambda entry point: wiring only. Event in, summary out."""

from __future__ import annotations

import gc

# What is made while this module loads is never freed: the collector would walk through it again and again.
gc.disable()

from lastgood import ready_methods

ready_methods.use()

import os
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from lastgood import tls
from lastgood.app import Application
from lastgood.clients import Clients, Session
from lastgood.errors import SettingsError
from lastgood.health import misconfigured
from lastgood.signals.actions import alias_of

logger = Logger()
metrics = Metrics(namespace="lastgood")


def _application() -> Application | SettingsError:
    try:
        return Application.make(os.environ, logger, metrics, clients=Clients.make(Session(tls.session())))
    except SettingsError as error:
        logger.critical("settings_are_wrong", problems=error.problems)
        return error


application = _application()

gc.freeze()
gc.enable()


@metrics.log_metrics
def lambda_handler(event: object, context: Any) -> dict[str, Any]:
    """Handle any event that the contract names. Raises when AWS should deliver it again."""
    if isinstance(application, SettingsError):
        metrics.add_metric(name="SettingsWrong", unit="Count", value=1)
        return misconfigured(application, event)
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    door = alias_of(getattr(context, "invoked_function_arn", ""))
    return application.handle(event, context.aws_request_id, remaining, door)
