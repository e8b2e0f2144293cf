"""The methods of dataclasses, compiled when the artifact is built, not each time the function starts.

`@dataclass` writes the source of a class's methods and compiles it whenever the class is made. That took half of the
time in which lastgood's own modules loaded. So the build keeps the compiled code by its source, and `use` hands it out
again. A source that was not kept is compiled as usual: where nothing was built, or if Python's `dataclasses` writes
other source one day. So what is kept may be useless, but never wrong.
The function that is replaced is not a public part of `dataclasses`. If it is no longer called, nothing is gained.
What this gains, and how to take it out: docs/decisions/15-a-quick-start-by-private-parts.md.
"""

from __future__ import annotations

import dataclasses
import marshal
from importlib import import_module
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType
from typing import Any

KEPT = Path(__file__).with_name("ready_methods.bin")
"""The version of the bytecode, then each source with its code. Only the artifact has it."""

NAME = "<kept>"
"""What a traceback shows instead of a file."""


def use(kept: Path = KEPT) -> bool:
    """Take the methods of classes from `kept` from now on. False if it has none for this version of Python."""
    try:
        content = kept.read_bytes()
    except OSError:
        return False
    if not content.startswith(MAGIC_NUMBER):
        return False
    code = marshal.loads(content[len(MAGIC_NUMBER) :])

    def ready(source: Any, *scope: Any) -> None:
        exec(code.get(source, source), *scope)

    _run_by(ready)
    return True


def keep(kept: Path = KEPT) -> None:
    """Write the methods of every dataclass that can be imported without boto3, which a build machine need not have."""
    code: dict[str, CodeType] = {}

    def compiled(source: str, *scope: Any) -> None:
        code[source] = compile(source, NAME, "exec")
        exec(code[source], *scope)

    _run_by(compiled)
    for module in walk_packages([str(Path(__file__).parent)], "lastgood.", onerror=lambda _: None):
        try:
            import_module(module.name)
        except ModuleNotFoundError:
            continue
    kept.write_bytes(MAGIC_NUMBER + marshal.dumps(dict(sorted(code.items()))))


def _run_by(run: Any) -> None:
    """Define `exec` in the module `dataclasses`, where it hides the builtin, and nowhere else."""
    vars(dataclasses)["exec"] = run


if __name__ == "__main__":
    keep()
