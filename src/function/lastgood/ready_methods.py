"""The methods of dataclasses, compiled when the artifact is built, not each time the function starts.

`@dataclass` writes the source of a class's methods and compiles it whenever the class is made. That was half of the
time that lastgood's own modules took to load. So the build keeps what was compiled, under its source, and `use` hands
it out again. A source that was not kept is compiled as ever: where nothing was built, or should Python's own
`dataclasses` write something else one day. So what is kept can be useless, but never wrong.

The name that is replaced is no promise of `dataclasses`. Should it no longer be called, nothing is gained.
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
    """Take the methods of the classes that are made from now on from `kept`. False if it has none for this Python."""
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
    """Write the methods of every dataclass that can be made without boto3: a machine that builds need not have it."""
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
    """A name of its own in `dataclasses`, which hides the builtin there and nowhere else."""
    vars(dataclasses)["exec"] = run


if __name__ == "__main__":
    keep()
