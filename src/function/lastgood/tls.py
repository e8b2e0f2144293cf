"""The trusted certificates are loaded once per process, not for each connection.

botocore gives every client a TLS context of its own, and urllib3 reads the bundle of trusted certificates into it again
for each connection that it opens (boto/botocore#3171, urllib3/urllib3#3623). Four connections are open before anything
is stopped, each of which costs 20 ms of a whole processor, and the handler has only a share of one. So all clients get
the same context, and it is filled while the module loads.

The function that is replaced is not a public part of botocore. Where it is gone, connections are opened in botocore's
usual way. And the context is shared by all: no client here may have a bundle of its own or skip verification, because
the context holds that as well.
What this gains, and how to take it out: docs/decisions/15-a-quick-start-by-private-parts.md.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore import httpsession

from lastgood.aws_data import use_small_data


def session() -> botocore.session.Session:
    """A session whose clients share one TLS context. It trusts the certificates that botocore's settings name."""
    core = botocore.session.get_session()
    use_small_data(core)
    read_certificates_once(core.get_config_variable("ca_bundle"))
    return core


def read_certificates_once(bundle: str | None = None) -> bool:
    """Share one context among all clients of this process that are made from now on, filled from `bundle`.

    `bundle` is a file of certificates; None means those that come with botocore. False if this botocore cannot do it,
    or if there is no such file: then the first call reports that.
    """
    makes_one = getattr(httpsession, "create_urllib3_context", None)
    if makes_one is None:
        return False
    context = makes_one()
    try:
        context.load_verify_locations = cache(context.load_verify_locations)
        # Called with urllib3's own arguments, so that urllib3 does not load them again.
        context.load_verify_locations(bundle or httpsession.get_cert_path(True), None, None)
    except (AttributeError, OSError):
        return False

    def shared(*settings: Any, **more: Any) -> Any:
        return makes_one(*settings, **more) if settings or more else context

    httpsession.create_urllib3_context = shared
    return True
