"""The real Lambda runtime on the built artifact: the runtime interface emulator and client, on loopback ports.

The artifact runs with what Lambda's own runtime brings (boto3 and what it needs) and nothing else of the development
environment, so that a dependency that is missing from the artifact is missing here too.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import py_compile
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awslambdaric
import samcli

PROVIDED_BY_THE_RUNTIME = (
    "awslambdaric",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "simplejson",
    "six.py",
    "snapshot_restore_py.py",
    "urllib3",
)
SITE_PACKAGES = Path(awslambdaric.__file__).parent.parent


@dataclass(frozen=True)
class Runtime:
    """A running function."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def invoke(self, event: object, timeout: float = 60) -> Any:
        """One invocation; the emulator takes one at a time."""
        request = urllib.request.Request(self.url, data=json.dumps(event).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read())

    @property
    def log_text(self) -> str:
        """What the function and the emulator wrote."""
        return self.log.read_text(errors="replace")


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def provided_packages(folder: Path) -> Path:
    """A folder with only what Lambda's Python runtime provides, linked from the development environment."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROVIDED_BY_THE_RUNTIME:
        if (SITE_PACKAGES / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to(SITE_PACKAGES / name)
            if name.endswith(".py"):
                # A module's bytecode lies beside the link to it, a package's within.
                py_compile.compile(str(folder / name), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    for extension in SITE_PACKAGES.glob("runtime_client*.so"):
        if not (folder / extension.name).exists():
            (folder / extension.name).symlink_to(extension)
    return folder


@contextlib.contextmanager
def running(
    artifact: Path,
    folder: Path,
    environment: dict[str, str],
    timeout_seconds: int = 60,
    handler: str = "lastgood.handler.lambda_handler",
) -> Iterator[Runtime]:
    """The artifact under the emulator, until the block ends; the whole process group goes with it."""
    provided = provided_packages(folder / "provided")
    port, api_port = free_port(), free_port()
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    emulator = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    log = folder / "runtime.log"
    command = [
        str(emulator),
        "--log-level",
        "info",
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{api_port}",
        sys.executable,
        "-S",
        "-m",
        "awslambdaric",
        handler,
    ]
    base = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": f"{artifact}:{provided}",
        "LAMBDA_TASK_ROOT": str(artifact),
        "AWS_LAMBDA_FUNCTION_NAME": "lastgood",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=artifact, env=base | environment, stdout=out, stderr=out, start_new_session=True
        )
        try:
            _wait_for(port, process, log)
            yield Runtime(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", log, process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=10)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the emulator did not start: {log.read_text(errors='replace')[-2000:]}")
