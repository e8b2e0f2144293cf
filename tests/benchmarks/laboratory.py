"""Where it is measured: the endpoint, the built artifact with its variants, and the ways to run them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import botocore

from benchmarks.authority import authority_in
from benchmarks.cloud import APPLICATION, alarm_name, group_name
from benchmarks.cpu_share import cpu_share
from runtime import Runtime, provided_packages, running
from stage.local import ROOT, alarm_event, group_tags

HERE = Path(__file__).parent
SAM_DATE = 315_532_800
"""1 January 1980, which `sam package` writes on every file."""

TOPIC = "arn:aws:sns:us-east-1:123456789012:NotificationTopic"


@dataclass(frozen=True)
class Variant:
    """One thing to run: a handler, where its code lies, and what its environment adds."""

    name: str
    handler: str
    code: str = "artifact"
    environment: tuple[tuple[str, str], ...] = ()


BARE = Variant("BARE", "bare.handler", "yardsticks")
BARE2 = Variant("BARE2", "bare2.handler", "yardsticks")
NAIVE = Variant("NAIVE", "naive.handler", "yardsticks")
LASTGOOD = Variant("lastgood", "lastgood.handler.lambda_handler")


@dataclass(frozen=True)
class Run:
    """One cold invocation. Times in seconds since the request was sent; `peak` in bytes."""

    total: float
    init: float
    stop: float
    create: float
    peak: int
    arrivals: tuple[Mapping[str, Any], ...]
    answer: Any


class Laboratory:
    """Owns a folder, the endpoint's process, and prepared code. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._provided = provided_packages(folder / "provided")
        self._code = {"yardsticks": self._yardsticks(), **self._artifacts()}
        self._endpoint: subprocess.Popen[str] | None = None
        self._ports: dict[str, int] = {}
        self._numbers = count()

    def __enter__(self) -> Laboratory:
        self._endpoint = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.endpoint", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )
        assert self._endpoint.stdout is not None
        self._ports = json.loads(self._endpoint.stdout.readline())
        self._bundles()
        return self

    def __exit__(self, *_: object) -> None:
        if self._endpoint is not None:
            self._endpoint.terminate()
            self._endpoint.wait(timeout=10)

    # --- the endpoint -------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The endpoint without TLS."""
        return f"http://127.0.0.1:{self._ports['http']}"

    @property
    def secure_url(self) -> str:
        """The endpoint with TLS."""
        return f"https://127.0.0.1:{self._ports['https']}"

    def reset(self, **scene: Any) -> None:
        """Begin a new scene; see `endpoint.Scene.begin`."""
        self._ask("reset", scene)

    def arrivals(self, *, brief: bool = False) -> tuple[dict[str, Any], ...]:
        """Every call since then, in order of arrival; `brief`: without its parameters, and CodeDeploy's only."""
        return tuple(self._ask("brief" if brief else "log", {}))

    def _ask(self, what: str, asked: object) -> Any:
        request = urllib.request.Request(f"{self.url}/bench/{what}", data=json.dumps(asked).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def bundle(self, name: str) -> Path:
        """A file of certificates that trusts the endpoint: `all` that botocore trusts, or only `amazon`'s roots."""
        return self.folder / f"{name}.pem"

    def _bundles(self) -> None:
        root = authority_in(self.folder).root.read_text()
        theirs = Path(botocore.__file__).parent / "cacert.pem"
        everything, amazon = theirs.read_text(), "".join(_of_amazon(theirs))
        self.bundle("all").write_text(everything + "\n" + root)
        self.bundle("amazon").write_text(amazon + "\n" + root)

    # --- code ---------------------------------------------------------------------------------------------------------

    def _yardsticks(self) -> Path:
        code = self.folder / "yardsticks"
        shutil.copytree(HERE / "yardsticks", code, ignore=shutil.ignore_patterns("__pycache__"))
        _compile(code, "unchecked-hash")
        return code

    def _artifacts(self) -> dict[str, Path]:
        """What `sam build` makes, as SAM's package dates it; and the same compiled afresh, by date, and not at all."""
        built = _built(self.folder)
        code = {name: self.folder / name for name in ("artifact", "fresh", "dated", "source")}
        for name, folder in code.items():
            shutil.copytree(built, folder)
            if name != "artifact":
                for cache in list(folder.rglob("__pycache__")):
                    shutil.rmtree(cache)
            if name in {"fresh", "dated"}:
                _compile(folder, "timestamp")
            if name != "fresh":
                for path in folder.rglob("*"):
                    os.utime(path, (SAM_DATE, SAM_DATE))
        return code

    def environment(self, variant: Variant, *, secure: bool) -> dict[str, str]:
        """What a variant's process sees."""
        code = self._code[variant.code]
        return {
            "PYTHONPATH": f"{code}:{self._code['yardsticks']}:{self._provided}",
            # The artifact is read-only on Lambda: nothing that is compiled at run time can be kept.
            "PYTHONDONTWRITEBYTECODE": "1",
            "BENCH_HANDLER": variant.handler,
            "AWS_ENDPOINT_URL": self.secure_url if secure else self.url,
            "AWS_CA_BUNDLE": str(self.bundle("all")),
            "LASTGOOD_TABLE": "AuditTable",
            "LASTGOOD_NOTIFICATION_TOPIC_ARN": TOPIC,
            # A storm on many groups would rightly stop lastgood; here its speed is asked for.
            "LASTGOOD_STORM_GROUPS": "0",
            # As in a stack that was given no access to S3, which is the default.
            "LASTGOOD_CHECK_BUNDLES": "false",
            "POWERTOOLS_METRICS_NAMESPACE": "lastgood",
            "POWERTOOLS_SERVICE_NAME": "lastgood",
            **{name: value.format(bundle=self.bundle("amazon")) for name, value in variant.environment},
        }

    # --- running ------------------------------------------------------------------------------------------------------

    def initialise(self, variant: Variant) -> float:
        """CPU seconds of a process until it has imported the handler.

        It ends there without tidying up, for an execution environment does not end either: taking everything apart
        costs whoever has not frozen it. It waits for nothing, so on a processor of its own that is its time; and what
        else the machine does stays out.
        """
        environment = {"PATH": "/usr/bin:/bin", **_AWS, **self.environment(variant, secure=False)}
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", "import entry, os; os._exit(0)"], env=environment, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{variant.name} does not start")
        return used.ru_utime + used.ru_stime

    def cold(self, variant: Variant, *, share: float = 1.0, swept: bool = False, **scene: Any) -> Run:
        """The first invocation under the emulator, over TLS; the handler gets that share of a CPU.

        `swept`: the minute's sweep has been there before, as it has for nearly every alarm.
        """
        self.reset(**scene)
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        environment = {**self.environment(variant, secure=True), "BENCH_READY": str(ready)}
        with self.runtime(variant, environment) as runtime, cpu_share(ready, share):
            if swept:
                runtime.invoke({"action": "sweep"})
                self.reset(**scene)
            begun = time.monotonic()
            answer = runtime.invoke(message(0))
            total = time.monotonic() - begun
            pid, initialised = ready.read_text().split()
            peak = _peak(int(pid))
        arrivals = self.arrivals()
        _check(variant, answer, arrivals, runtime)
        return Run(
            total=total,
            init=float(initialised) - begun,
            stop=_first(arrivals, "StopDeployment") - begun,
            create=_first(arrivals, "CreateDeployment") - begun,
            peak=peak,
            arrivals=arrivals,
            answer=answer,
        )

    @contextlib.contextmanager
    def warm(self, variant: Variant) -> Iterator[Runtime]:
        """A running function over plain HTTP that has done one rollback already."""
        self.reset(latency={"default": 0.0})
        with self.runtime(variant, self.environment(variant, secure=False)) as runtime:
            runtime.invoke(message(0))
            yield runtime

    def rollback(self, runtime: Runtime, variant: Variant, **scene: Any) -> tuple[float, tuple[dict[str, Any], ...]]:
        """Seconds and calls of one rollback by a function that is warm."""
        self.reset(**scene)
        begun = time.monotonic()
        answer = runtime.invoke(message(0))
        total = time.monotonic() - begun
        arrivals = self.arrivals()
        _check(variant, answer, arrivals, runtime)
        return total, arrivals

    @contextlib.contextmanager
    def runtime(self, variant: Variant, environment: dict[str, str]) -> Iterator[Runtime]:
        """A function under the emulator."""
        folder = self.folder / f"run-{next(self._numbers)}"
        folder.mkdir()
        (folder / "provided").symlink_to(self._provided)
        with running(self._code[variant.code], folder, environment, handler="entry.handler") as runtime:
            yield runtime


def message(number: int, suffix: str = "") -> dict[str, Any]:
    """CloudWatch's message that an alarm of the n-th group fires; for the yardsticks it also names the group."""
    group = group_name(number)
    tags = group_tags(APPLICATION, group)
    return {**alarm_event(at=datetime.now(UTC), alarm=alarm_name(number) + suffix, tags=tags), "group": group}


def _of_amazon(bundle: Path) -> list[str]:
    """The roots of Amazon Trust Services (its repository page lists them) as PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    ours = ("Amazon Root CA", "Starfield Services Root Certificate Authority")
    return [
        ssl.DER_cert_to_PEM_cert(certificate)
        for about, certificate in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True)
        if dict(part[0] for part in about["subject"]).get("commonName", "").startswith(ours)
    ]


_AWS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def _built(folder: Path) -> Path:
    environment = {
        **os.environ,
        "SAM_CLI_TELEMETRY": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    sam, out = Path(sys.executable).parent / "sam", folder / "build"
    command = [str(sam), "build", "--build-dir", str(out), "--cache-dir", str(folder / "cache")]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return out / "RollbackFunction"


def _compile(folder: Path, mode: str) -> None:
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", mode, str(folder)]
    subprocess.run(command, check=True)


def _peak(pid: int) -> int:
    """The most memory that the process ever held, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _first(arrivals: tuple[dict[str, Any], ...], operation: str) -> float:
    return min((a["at"] for a in arrivals if a["operation"] == operation), default=float("nan"))


def _check(variant: Variant, answer: Any, arrivals: tuple[dict[str, Any], ...], runtime: Runtime) -> None:
    """A figure of a run that did not do its work would be worth nothing."""
    done = [a["operation"] for a in arrivals]
    wanted = 0 if variant == BARE else 1
    created = done.count("CreateDeployment")
    if not done or created != wanted or (isinstance(answer, dict) and "errorMessage" in answer):
        raise RuntimeError(f"{variant.name} did not do its work: {answer}\n{done}\n{runtime.log_text[-2000:]}")
