"""A model in a process of its own: started again when it dies, never asked for ever, and gone with its owner."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.adapters.runtimes.packages import PackageModel
from mlplatform.adapters.runtimes.scorer_process import ScorerProcess
from mlplatform.core.packages.manifest import InputField
from mlplatform.core.packages.writer import seal_package
from mlplatform.errors import JobError, PlatformError, StateError, TimedOutError, UnavailableError
from mlplatform_tests.packages import make_package, make_table
from mlplatform_tests.serving.until import until

INPUTS = (InputField("ticker_symbol", "varchar"), InputField("change", "double", missing="keep"))
DIE, HANG, FAIL = 1001.0, 1002.0, 1003.0


def row(change: float = 1.0) -> dict[str, Any]:
    return {"ticker_symbol": "AAPL", "change": change}


def load(folder: Path, **how: Any) -> PackageModel:
    digest = make_package(folder, runtime="process", inputs=INPUTS)
    return PackageRuntimes(**how).load(folder, digest=digest)


def pid_of(model: PackageModel) -> int | None:
    return model._score.pid  # type: ignore[attr-defined]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def answers(model: PackageModel) -> bool:
    """Whether it does, and in time."""
    try:
        model.predict_rows([row()])
    except (TimedOutError, UnavailableError):
        return False
    return True


@pytest.fixture
def model(tmp_path: Path) -> PackageModel:
    return load(tmp_path)


def test_one_that_dies_at_a_question_is_started_again(model: PackageModel) -> None:
    before = model.predict_rows([row()])
    first = pid_of(model)
    with pytest.raises(UnavailableError, match=r"^The model's process ended\. Try again in a moment\.$") as refused:
        model.predict_rows([row(DIE)])
    assert refused.value.retryable
    until(lambda: answers(model))
    assert model.predict_rows([row()]) == before
    assert pid_of(model) != first


def test_one_that_is_killed_while_idle_is_started_again_without_being_asked(model: PackageModel) -> None:
    first = pid_of(model)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(model) not in (first, None))
    assert answers(model)


def test_calls_while_it_is_started_again_are_refused_at_once(model: PackageModel, tmp_path: Path) -> None:
    # It cannot be started while this is there.
    (tmp_path / "json.py").touch()
    with pytest.raises(UnavailableError):
        model.predict_rows([row(DIE)])
    with pytest.raises(UnavailableError, match="is being started again"):
        model.predict_rows([row()])
    (tmp_path / "json.py").unlink()
    until(lambda: answers(model))


def test_one_that_hangs_is_given_up_in_time_and_started_again(tmp_path: Path) -> None:
    model = load(tmp_path, answer_s=1.0)
    first = pid_of(model)
    with pytest.raises(TimedOutError, match=r"The model did not answer within 1 s\."):
        model.predict_rows([row(HANG)])
    until(lambda: answers(model))
    assert first is not None
    until(lambda: gone(first))


def test_an_interrupt_while_it_is_asked_leaves_no_answer_for_the_next_call(tmp_path: Path) -> None:
    code = (
        "import signal, sys, threading, time, os; from pathlib import Path\n"
        "from mlplatform.adapters.runtimes import PackageRuntimes\n"
        "from mlplatform.errors import UnavailableError\n"
        "model = PackageRuntimes().load(Path(sys.argv[1])); first = model._score.pid\n"
        "def interrupt():\n"
        "    while not model._score._keeper._asking.locked(): time.sleep(0.01)\n"
        "    time.sleep(0.3); os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        "try: model.predict_rows([{'ticker_symbol': 'AAPL', 'change': 1002.0}])\n"
        "except KeyboardInterrupt: pass\n"
        "while True:\n"
        "    try: print(model.predict_rows([{'ticker_symbol': 'AAPL', 'change': 1.0}])[0].value); break\n"
        "    except UnavailableError: time.sleep(0.05)\n"
        "print(model._score.pid != first)"
    )
    model = load(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(model.predict_rows([row()])[0].value), "True"], done.stderr


def test_rows_that_its_own_code_fails_on_are_refused_and_it_goes_on(
    model: PackageModel, caplog: pytest.LogCaptureFixture
) -> None:
    first = pid_of(model)
    with pytest.raises(JobError, match=r"^The model's own program failed on these rows\. Its log says why\.$"):
        model.predict_rows([row(FAIL)])
    assert answers(model)
    assert pid_of(model) == first
    assert "could not score 1 rows: ValueError: no good" in caplog.text


def test_of_a_model_with_a_personal_input_no_log_has_the_text_of_its_librarys_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    personal = (INPUTS[0], replace(INPUTS[1], personal=True))
    digest = make_package(tmp_path, runtime="process", inputs=personal)
    model = PackageRuntimes().load(tmp_path, digest=digest)
    with pytest.raises(JobError):
        model.predict_rows([row(FAIL)])
    assert answers(model)
    assert "could not score 1 rows: ValueError, whose text is not told" in caplog.text
    said = capfd.readouterr().err
    assert "in score" in said
    assert "no good" not in said.replace('raise ValueError("no good")', "")


def test_callers_at_once_are_asked_for_together_and_each_gets_its_own_answers(
    model: PackageModel,
) -> None:
    changes = [[float(place), -float(place)] for place in range(40)]
    alone = [model.predict_rows([row(c) for c in pair]) for pair in changes]
    changes[7] = [FAIL, 0.0]
    with ThreadPoolExecutor(40) as threads:
        asked = [threads.submit(model.predict_rows, [row(c) for c in pair]) for pair in changes]
    assert isinstance(asked[7].exception(), JobError)
    for place in (p for p in range(40) if p != 7):
        together = [answer.value for answer in asked[place].result()]
        assert together == pytest.approx([answer.value for answer in alone[place]], rel=1e-9)


def test_a_table_larger_than_one_question_is_asked_for_in_parts(model: PackageModel) -> None:
    table = make_table(25_001)
    whole = model.score_table(table)
    assert whole.shape == (25_001,)
    np.testing.assert_array_equal(whole[-5:], model.score_table(table.slice(24_996)))


def test_it_ends_with_the_model_that_nobody_holds_any_more(tmp_path: Path) -> None:
    model = load(tmp_path)
    pid = pid_of(model)
    assert pid is not None
    del model
    gc.collect()
    until(lambda: gone(pid))


@pytest.mark.parametrize("change", [1.0, HANG])
def test_it_ends_when_its_owner_is_killed_idle_or_busy(tmp_path: Path, change: float) -> None:
    make_package(tmp_path, runtime="process", inputs=INPUTS)
    code = (
        "import sys; from pathlib import Path; from mlplatform.adapters.runtimes import PackageRuntimes\n"
        "model = PackageRuntimes().load(Path(sys.argv[1])); print(model._score.pid, flush=True)\n"
        "model.predict_rows([{'ticker_symbol': 'AAPL', 'change': float(sys.argv[2])}]); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(change)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        time.sleep(0.3)
        owner.kill()
    until(lambda: gone(pid))


def test_a_package_changed_since_is_not_loaded_again(model: PackageModel, tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text("{}")
    first = pid_of(model)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(model) is None)
    time.sleep(1.0)
    assert pid_of(model) is None
    assert not answers(model)


def test_one_that_cannot_be_started_again_for_want_of_files_is_once_there_are_some(tmp_path: Path) -> None:
    code = (
        "import logging, os, signal, sys, time; from pathlib import Path\n"
        "from mlplatform.adapters.runtimes import PackageRuntimes\n"
        "from mlplatform.errors import UnavailableError\n"
        "said, handler = [], logging.Handler()\n"
        "handler.emit = lambda record: said.append(record.getMessage())\n"
        "logging.getLogger().addHandler(handler)\n"
        "model = PackageRuntimes().load(Path(sys.argv[1])); first = model._score.pid; taken = []\n"
        "try:\n"
        "    while True: taken.append(os.dup(0))\n"
        "except OSError: os.close(taken.pop())\n"
        "os.kill(first, signal.SIGKILL)\n"
        "while not any('cannot be started: Too many open files' in line for line in said): time.sleep(0.05)\n"
        "for held in taken: os.close(held)\n"
        "while True:\n"
        "    try: print(model.predict_rows([{'ticker_symbol': 'AAPL', 'change': 1.0}])[0].value); break\n"
        "    except UnavailableError: time.sleep(0.05)\n"
    )
    model = load(tmp_path)
    command = ["bash", "-c", 'ulimit -n 64; exec "$@"', "bash", sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(model.predict_rows([row()])[0].value)], done.stderr


def test_a_program_that_cannot_be_started_leaves_no_socket_open(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(UnavailableError, match=r"cannot be started: No such file or directory: '/no/python'\."):
        ScorerProcess(["/no/python", "scorer.py"], package=tmp_path, env={}, start_s=5.0, answer_s=5.0)
    assert psutil.Process().num_fds() == before


def test_what_came_into_a_package_since_is_not_run_by_it(model: PackageModel, tmp_path: Path) -> None:
    first = pid_of(model)
    assert first is not None
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(model) is None)
    time.sleep(1.0)
    assert pid_of(model) is None
    assert not (tmp_path / "ran").exists()
    (tmp_path / "json.py").unlink()
    until(lambda: answers(model))


def test_its_program_does_not_look_for_libraries_in_the_package(tmp_path: Path) -> None:
    model = load(tmp_path)
    assert psutil.Process(pid_of(model)).cmdline()[1:] == ["-P", "scorer.py"]


def test_modules_that_a_package_lists_are_found_and_leave_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    model = load(tmp_path)
    (tmp_path / "score_weights.py").write_text((tmp_path / "scorer.py").read_text())
    program = "import sys\nfrom score_weights import load\nfrom mlplatform.entrypoints.scorer import serve\nsys.exit(serve(load))"
    (tmp_path / "scorer.py").write_text(program)
    _seal_again(tmp_path, model)
    again = PackageRuntimes().load(tmp_path)
    assert again.predict_rows([row()]) == model.predict_rows([row()])
    assert not (tmp_path / "__pycache__").exists()


def test_it_sees_no_secret_of_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPLATFORM_SECRET_X", "s3cret")
    model = load(tmp_path)
    seen = psutil.Process(pid_of(model)).environ()
    assert "MLPLATFORM_SECRET_X" not in seen
    assert seen["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("import sys; sys.exit(3)", UnavailableError, "ended with exit code 3 before it was ready; its log says why"),
        ("import os; os.write(0, b'hello, world')", UnavailableError, "ended before it was ready: expected a frame"),
        ("import os, struct; os.write(0, struct.pack('<4sII', b'OPEN', 9, 0))", StateError,
         "speaks version 9; this release speaks 1"),
    ],
)  # fmt: skip
def test_a_program_that_does_not_open_is_told(
    tmp_path: Path, program: str, error: type[PlatformError], message: str
) -> None:
    model = load(tmp_path)
    (tmp_path / "scorer.py").write_text(program)
    _seal_again(tmp_path, model)
    with pytest.raises(error, match=message):
        PackageRuntimes().load(tmp_path)


def test_a_package_without_a_lock_is_refused(tmp_path: Path) -> None:
    model = load(tmp_path)
    (tmp_path / "requirements.lock").unlink()
    _seal_again(tmp_path, model)
    with pytest.raises(StateError, match=r"lacks 'requirements\.lock', which runtime 'process' makes"):
        PackageRuntimes().load(tmp_path)


def _seal_again(folder: Path, model: PackageModel) -> None:
    signature = model.manifest.signature
    seal_package(
        folder, model="m", signature=signature, runtime="process", snapshot={}, training_job="", code_version=""
    )
