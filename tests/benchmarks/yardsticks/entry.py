"""Every variant begins here: it imports the handler that BENCH_HANDLER names, and says when that is done and by whom.

BENCH_WITHOUT takes levers away before the import, to see what each is worth: `gc` leaves the collector as it is.
"""

import gc
import os
import time
from importlib import import_module

if "gc" in os.environ.get("BENCH_WITHOUT", "").split():
    gc.disable = gc.enable = gc.freeze = lambda: None

_module, _name = os.environ["BENCH_HANDLER"].rsplit(".", 1)
handler = getattr(import_module(_module), _name)

if os.environ.get("BENCH_READY"):
    _temporary = os.environ["BENCH_READY"] + ".new"
    with open(_temporary, "w") as _file:
        _file.write(f"{os.getpid()} {time.monotonic()}")
    os.rename(_temporary, os.environ["BENCH_READY"])
