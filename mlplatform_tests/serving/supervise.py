"""A supervisor as a process of a test: ``python -m mlplatform_tests.serving.supervise <root> '<name>' '<code>' …``."""

from __future__ import annotations

import sys
from pathlib import Path

from mlplatform.errors import ConflictError
from mlplatform.serving.program import Program
from mlplatform.serving.supervisor import Supervisor

if __name__ == "__main__":
    root = Path(sys.argv[1])
    pairs = zip(sys.argv[2::2], sys.argv[3::2], strict=True)
    programs = [Program(name, [sys.executable, "-c", code], stop_s=2.0) for name, code in pairs]
    try:
        Supervisor(programs, run=root / "run", logs=root / "logs").run()
    except ConflictError as error:
        sys.exit(str(error))
