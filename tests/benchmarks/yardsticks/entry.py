"""Every variant begins here: it imports the handler that BENCH_HANDLER names, and says when that is done and by whom.

To see what a lever is worth, BENCH_WITHOUT takes one away and BENCH_WITH adds one that lastgood does not use: without
`gc` the collector works while modules load, without `methods` those of dataclasses are compiled then, without `data`
botocore reads all it has, without `parallel` each read waits for the one before, without `certificates` each connection
reads whom it trusts; with `clients` every platform's clients are made while the module loads, with `connections`
connections are opened then, with `boto3` its session makes the clients, not botocore's own.
"""

import gc
import os
import sys
import time
from importlib import import_module


def _open_connection(client):
    """An unsigned GET; botocore has no public way to open a connection ahead of its first call."""
    from botocore.awsrequest import AWSRequest

    client._endpoint.http_session.send(AWSRequest("GET", client.meta.endpoint_url).prepare())


_without = os.environ.get("BENCH_WITHOUT", "").split()
if "gc" in _without:
    gc.disable = gc.enable = gc.freeze = lambda: None
if "parallel" in _without:
    import concurrent.futures

    class _OneAfterTheOther(concurrent.futures.Executor):
        def __init__(self, *_):
            pass

        def submit(self, work, *arguments):
            done = concurrent.futures.Future()
            try:
                done.set_result(work(*arguments))
            except Exception as error:
                done.set_exception(error)
            return done

    concurrent.futures.ThreadPoolExecutor = _OneAfterTheOther

if "methods" in _without:
    import lastgood.ready_methods

    lastgood.ready_methods.use = lambda: False

_with = os.environ.get("BENCH_WITH", "").split()
if "boto3" in _with or {"data", "certificates"}.intersection(_without):
    # As the handler begins: what is imported here for a lever's sake costs no more than it would there.
    import lastgood.ready_methods

    gc.disable()
    lastgood.ready_methods.use()

if "boto3" in _with:
    import boto3

    import lastgood.clients

    lastgood.clients.Session = lambda core: boto3.Session(botocore_session=core)

if "data" in _without:
    import lastgood.aws_data

    lastgood.aws_data.use_small_data = lambda _: None

if "certificates" in _without:
    import lastgood.tls

    lastgood.tls.read_certificates_once = lambda _: False

_module, _name = os.environ["BENCH_HANDLER"].rsplit(".", 1)
handler = getattr(import_module(_module), _name)

if "clients" in _with:
    _clients = sys.modules[_module].application._parts.notices._clients
    for _name in ("lambda_", "ecs", "ecs_writer", "s3", "sns", "events"):
        getattr(_clients, _name)

if "connections" in _with:
    from concurrent.futures import ThreadPoolExecutor

    _clients = sys.modules[_module].application._parts.notices._clients
    _each = [_clients.codedeploy] * 3 + [_clients.dynamodb] * 2
    _each += [_clients.codedeploy_writer, _clients.cloudwatch, _clients.sns]
    with ThreadPoolExecutor(len(_each)) as _pool:
        list(_pool.map(_open_connection, _each))

if os.environ.get("BENCH_READY"):
    _temporary = os.environ["BENCH_READY"] + ".new"
    with open(_temporary, "w") as _file:
        _file.write(f"{os.getpid()} {time.monotonic()}")
    os.rename(_temporary, os.environ["BENCH_READY"])
