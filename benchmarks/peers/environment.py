"""Environments of the peers: each its own, installed once from a hashed lock, so that its pins never move ours.

A peer is a folder beside this file with a `requirements.lock`. Its environment lies in ``.test-env/bench-<name>`` below
the repository's root, and is made again when the lock or the Python changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".test-env"


def environment(name: str) -> Path:
    """The ``bin`` folder of the environment of peer `name`, installed if need be; safe for parallel processes."""
    lock = Path(__file__).parent / name / "requirements.lock"
    home = ENVIRONMENTS / f"bench-{name}"
    stamp = home / "installed-from"
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version}"
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"bench-{name}.lock").open("w") as turnstile:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"  setting up the environment of {name} ...", flush=True)
            shutil.rmtree(home, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(home))
            python = str(home / "bin" / "python")
            _uv("pip", "sync", "--python", python, "--compile-bytecode", "--require-hashes", str(lock))
            stamp.write_text(wanted)
    return home / "bin"


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise FileNotFoundError(f"uv is neither {beside} nor on the path; run 'make bench', which installs it")
    done = subprocess.run([uv, "--quiet", *arguments], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)}: {done.stderr}")
