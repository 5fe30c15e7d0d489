"""Containers' environments: made once from a hashed lock, whole or not at all, by whoever comes first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mlplatform.adapters.containers.environments import Environments
from mlplatform.errors import NotFoundError, PermissionDeniedError, SpecError, UnavailableError
from mlplatform_tests.packages import LINEAR
from mlplatform_tests.serving.until import until

NOTHING = "# This container needs nothing but Python.\n"
AWAY = f"nothing-there==1.0 --hash=sha256:{'0' * 64}\n"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(NOTHING)
    return path


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "cache")


def test_it_is_made_once_and_the_second_time_nothing_is_said(environments: Environments, lock: Path) -> None:
    said: list[str] = []
    python = environments.python(lock, what="Container 'a'", say=said.append)
    assert said[0] == "Container 'a': setting up its environment from requirements.lock (once on this machine) …"
    assert said[-1].startswith("Container 'a': its environment is ready after ")
    assert environments.python(lock, what="Container 'a'", say=pytest.fail) == python
    assert environments.ready(lock)


def test_its_programs_import_mlplatform_and_nothing_that_is_installed_beside_it(
    environments: Environments, lock: Path
) -> None:
    python = environments.python(lock, what="it")
    code = "import mlplatform.entrypoints.contract, importlib.util as u; print(u.find_spec('dagster'), u.find_spec('numpy'))"
    env = {"PATH": os.environ["PATH"], **environments.variables()}
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "None None\n"


def test_a_lock_that_cannot_be_read_now_is_told_as_such(environments: Environments, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnavailableError, match=r"(?m)^Lock '.*folder' cannot be read: Is a directory\.$"):
        environments.folder(tmp_path / "folder")


def test_another_lock_is_another_environment(environments: Environments, lock: Path) -> None:
    before = environments.folder(lock)
    lock.write_text("# something else\n")
    assert environments.folder(lock) != before


def test_resume_after_an_installation_was_broken_off_makes_it_anew(environments: Environments, lock: Path) -> None:
    environments.python(lock, what="it")
    folder = environments.folder(lock)
    (folder / "complete").unlink()
    (folder / "half").touch()
    assert not environments.ready(lock)
    environments.python(lock, what="it")
    assert not (folder / "half").exists()
    assert environments.ready(lock)


def test_of_processes_that_come_at_once_one_makes_it_and_all_use_it(tmp_path: Path, lock: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mlplatform.adapters.containers.environments import Environments\n"
        "print(Environments(Path(sys.argv[1])).python(Path(sys.argv[2]), what='it', say=lambda l: print(l, file=sys.stderr)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), str(lock)]
    processes = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in processes]
    assert len({out for out, _ in ended}) == 1
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum("is ready after" in err for _, err in ended) == 1


def test_packages_that_cannot_be_had_are_said_with_what_to_do_and_leave_nothing_in_use(
    tmp_path: Path, lock: Path
) -> None:
    lock.write_text(AWAY)
    environments = Environments(tmp_path / "cache", env={**os.environ, "UV_OFFLINE": "1"})
    said: list[str] = []
    with pytest.raises(UnavailableError, match=r"^Container 'a': its environment cannot be set up: .*UV_INDEX_URL.*"):
        environments.python(lock, what="Container 'a'", say=said.append)
    assert not environments.folder(lock).exists()
    assert any("nothing-there" in line for line in said)


@pytest.mark.parametrize(
    "line", ["numpy", "numpy==2.4.6", "--index-url x", f"-r other.txt\n{AWAY}", f"{AWAY}numpy==2 # --hash=sha256:0"]
)
def test_a_lock_that_names_no_hash_or_an_option_is_refused(environments: Environments, lock: Path, line: str) -> None:
    lock.write_text(line)
    with pytest.raises(SpecError, match=r"expected a package with its version and hashes, found .* Write it with: uv"):
        environments.python(lock, what="it")


def test_a_lock_that_is_not_there_is_named(environments: Environments, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no lock '.*away\.lock'"):
        environments.python(tmp_path / "away.lock", what="it")


def test_a_cache_that_cannot_be_written_to_is_named(tmp_path: Path, lock: Path) -> None:
    (tmp_path / "file").touch()
    environments = Environments(tmp_path / "file" / "cache")
    for use in (lambda: environments.python(lock, what="it"), environments.variables):
        with pytest.raises(PermissionDeniedError, match=r"cannot be kept under '.*file/cache'.* Set MLPLATFORM_CACHE"):
            use()


def test_the_link_to_mlplatform_is_mended_where_it_leads_elsewhere(environments: Environments, tmp_path: Path) -> None:
    link = Path(environments.variables()["PYTHONPATH"]) / "mlplatform"
    link.unlink()
    link.symlink_to(tmp_path)
    assert environments.variables() == {"PYTHONPATH": str(link.parent)}
    assert (link / "errors.py").is_file()
    assert sorted(path.name for path in link.parent.iterdir()) == ["mlplatform"]


@pytest.mark.slow
def test_resume_after_kill_while_it_is_made_leaves_no_installer_and_makes_it(tmp_path: Path, lock: Path) -> None:
    shutil.copy(LINEAR / "requirements.lock", lock)
    code = (
        "import sys; from pathlib import Path; from mlplatform.adapters.containers.environments import Environments\n"
        "Environments(Path(sys.argv[1])).python(Path(sys.argv[2]), what='it', say=lambda l: print(l, flush=True))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        while "Installed" not in maker.stdout.readline():
            assert maker.poll() is None
        maker.kill()
    environments = Environments(tmp_path / "cache")
    folder = str(environments.folder(lock))
    assert not environments.ready(lock)
    until(lambda: not any(folder in " ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])))
    python = environments.python(lock, what="it")
    assert subprocess.run([python, "-c", "import numpy"], timeout=60, check=False).returncode == 0


@pytest.mark.slow
def test_without_uv_it_is_made_by_pip(tmp_path: Path, lock: Path) -> None:
    shutil.copy(LINEAR / "requirements.lock", lock)
    python = Environments(tmp_path / "cache", pip=True).python(lock, what="it")
    done = subprocess.run([python, "-c", "import numpy, duckdb, pyarrow"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
