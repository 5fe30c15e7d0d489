"""The worker's own command, on a real home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.serving.listening import listen
from mlplatform_tests.gateway.site import NAME, ROW, Site
from mlplatform_tests.packages import make_package
from mlplatform_tests.serving.until import until


def command(*arguments: str, home: Path, **env: str) -> tuple[list[str], dict[str, str]]:
    """Argv and environment of a worker on `home`."""
    return [sys.executable, "-m", "mlplatform.gateway.main", *arguments], {
        **os.environ,
        "MLPLATFORM_HOME": str(home),
        **env,
    }


@contextmanager
def running(*arguments: str, home: Path, fd: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is stopped when the block ends."""
    argv, env = command(*arguments, home=home)
    with (
        (home.parent / "log").open("wb") as log,
        subprocess.Popen(argv, env=env, stdout=log, stderr=log, pass_fds=[fd] if fd else []) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(90) == 0


def test_a_worker_serves_what_the_home_says(tmp_path: Path) -> None:
    home = tmp_path / "home"
    digest = make_package(tmp_path / "new", rounds=2)
    (home / "packages").mkdir(parents=True)
    (tmp_path / "new").rename(home / "packages" / digest)
    Site(home).deploy(digest, public=True)
    with listen("127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with running("--fd", str(listening.fileno()), home=home, fd=listening.fileno()):
            until(lambda: LocalEndpoints(home / "endpoints").state(NAME).status == "InService")
            answer = httpx.post(f"{url}/predict/prices", json=ROW)
    assert answer.status_code == 200
    assert list((home / "capture" / NAME).glob("*.jsonl"))


def test_a_taken_port_ends_the_worker_with_a_clear_word(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        argv, env = command("--port", str(port), home=tmp_path / "home")
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert f"gateway: Port {port} of 127.0.0.1 is taken by process {os.getpid()} (" in done.stderr


def test_an_unknown_profile_ends_the_worker_with_its_exit_code(tmp_path: Path) -> None:
    argv, env = command("--port", "0", home=tmp_path / "home", MLPLATFORM_PROFILE="nowhere")
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "There is no profile 'nowhere'" in done.stderr
