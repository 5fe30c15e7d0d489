"""One fresh process: ``python -m benchmarks.start.load import MODULE`` or ``… definitions MODULE``; prints the seconds."""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any


def load(kind: str, module: str) -> dict[str, float]:
    """Seconds from the first import to the module, or to all jobs, sensors and assets of its definitions."""
    start = time.perf_counter()
    found: Any = importlib.import_module(module)
    if kind == "definitions":
        found.defs().get_repository_def().get_all_jobs()
    return {"seconds": time.perf_counter() - start, "modules": len(sys.modules)}


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1], sys.argv[2])))
