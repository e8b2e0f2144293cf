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
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, ModuleType
from typing import Any

KEPT = Path(__file__).with_name("ready_methods.bin")
"""The version of the bytecode, then each source with its code. Only the artifact has it."""

BROUGHT = {"aws_lambda_powertools", "botocore"}
"""What lastgood imports that is installed beside it, or by the runtime."""

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
    """Write the methods of every dataclass. What the runtime brings need not be there: it is stood in for."""
    code: dict[str, CodeType] = {}

    def compiled(source: str, *scope: Any) -> None:
        code[source] = compile(source, NAME, "exec")
        exec(code[source], *scope)

    _run_by(compiled)
    sys.meta_path.append(_StandIns())
    for module in walk_packages([str(Path(__file__).parent)], "lastgood."):
        if module.name != "lastgood.handler":  # It makes clients, and no class.
            import_module(module.name)
    kept.write_bytes(MAGIC_NUMBER + marshal.dumps(dict(sorted(code.items()))))


def _run_by(run: Any) -> None:
    """Define `exec` in the module `dataclasses`, where it hides the builtin, and nowhere else."""
    vars(dataclasses)["exec"] = run


class _StandIns(MetaPathFinder, Loader):
    """Finds a module without content for everything that the runtime brings, where that is not installed."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """A package, so that modules can be found in it."""
        return ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] in BROUGHT else None

    def exec_module(self, module: ModuleType) -> None:
        """It has every name."""
        vars(module)["__getattr__"] = lambda _: _Anything


class _Anything:
    """What can be inherited from, called and asked for any part, which is as far as modules go when they are loaded."""

    def __init__(self, *_: object, **__: object) -> None:
        """Whatever is given."""

    def __getattr__(self, _: str) -> _Anything:
        return self

    def __call__(self, *_: object, **__: object) -> _Anything:
        """Whatever is asked."""
        return self


if __name__ == "__main__":
    keep()
