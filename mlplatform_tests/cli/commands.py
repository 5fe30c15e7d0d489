"""Commands as a shell runs them: arguments and environment in, exit code, output and complaints out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv

from mlplatform.cli.main import main
from mlplatform.errors import PlatformError
from mlplatform.platform import Platform, open_platform
from mlplatform.spec.scaffold import write_system
from mlplatform_tests.prices import price_rows
from mlplatform_tests.spec.editing import EXAMPLES, edit

OWN = ("MLPLATFORM_HOME", "MLPLATFORM_DEFS", "MLPLATFORM_PROFILE", "MLPLATFORM_API_KEY", "DAGSTER_HOME")


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The complaint of a command with ``--json``."""
        return dict(json.loads(self.err)["error"])


@dataclass
class Shell:
    """An installation and the commands on it."""

    root: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def defs(self) -> Path:
        return self.root / "defs"

    @property
    def env(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k not in OWN}
        return {**inherited, "MLPLATFORM_HOME": str(self.home), "MLPLATFORM_DEFS": str(self.defs), **self.more}

    def platform(self) -> Platform:
        return open_platform(self.env)

    def run(self, *arguments: str, **env: str) -> Done:
        """One command in this process, as `main` runs it; an error that it ends with must say a next step of its own."""
        out, err = io.StringIO(), io.StringIO()
        with _environment({**self.env, **env}), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
        return _with_next_step(Done(code, out.getvalue(), err.getvalue()))

    def process(self, *arguments: str, stdin: bytes = b"", **env: str) -> Done:
        """One command as a process of its own."""
        command = [sys.executable, "-m", "mlplatform.cli.main", *arguments]
        done = subprocess.run(command, env={**self.env, **env}, input=stdin, capture_output=True, timeout=120)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def load_days(self, first: int, last: int) -> int:
        """Upload trading days as a file of the base history and load it; the rows loaded."""
        file = self.root / f"days-{first}-{last}.csv"
        pacsv.write_csv(price_rows(first, last), file)
        done = self.run("upload", str(file), f"stock_prices/base/{file.name}")
        assert done.code == 0, done.err
        ingest = self.platform().system("stock_prices").ingest("stock_table")
        ingest.create()
        return sum(r.loaded for r in ingest.run())


def make_shell(root: Path) -> Shell:
    """A home without state, and two systems: `stock_prices` with a quick model, and `churn` as scaffolded."""
    shell = Shell(root)
    folder = shell.defs / "stock_prices"
    folder.mkdir(parents=True)
    for name in ("defs.yaml", "features.sql"):
        (folder / name).write_text((EXAMPLES / "stock_prices" / name).read_text())
    edit(folder / "defs.yaml", "num_round: 300", "num_round: 30")
    edit(folder / "defs.yaml", "    trials: 6\n", "    trials: 1\n")
    write_system(shell.defs / "churn")
    return shell


def _with_next_step(done: Done) -> Done:
    """`done`, where its complaint, if it has one, says what to do about this very error, not only about its kind."""
    if done.err.startswith('{"error"'):
        step = done.error["next_step"]
    elif done.err.startswith("error: "):
        step = done.err.partition("\n  → ")[2].strip()
    else:
        return done
    assert step not in FALLBACKS, done.err
    return done


def _kinds(kind: type[PlatformError]) -> list[type[PlatformError]]:
    return [kind, *(k for below in kind.__subclasses__() for k in _kinds(below))]


FALLBACKS = {"", *(kind.fallback for kind in _kinds(PlatformError))}
"""Next steps that say nothing of the error itself."""


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
